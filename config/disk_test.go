package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/healthcheck"
)

// trusting is a configuration whose check uses a file of authorities.
func trusting(file string) string {
	return fmt.Sprintf(`
virtual_service "web" {
  address = "192.0.2.1:443"
  health_check "https" {
    tls { ca_file = %q }
  }
  real_server "192.0.2.2" {}
}
`, file)
}

// wantProblem checks that a configuration has one error with a summary, at a line.
func wantProblem(t *testing.T, diags *Diagnostics, summary string, line int) {
	t.Helper()
	err := diags.Err()
	if err == nil || strings.Count(err.Error(), "\n") > 0 || !strings.Contains(err.Error(), fmt.Sprintf(":%d: %s.", line, summary)) {
		t.Errorf("got %v, want %q at line %d", err, summary, line)
	}
}

func TestAuthoritiesAreReadAndChecked(t *testing.T) {
	dir := t.TempDir()
	pipe, text := filepath.Join(dir, "pipe"), filepath.Join(dir, "text")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(text, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, make([]byte, maxAuthorities+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{
		"missing": filepath.Join(dir, "none"), "pipe": pipe, "device": "/dev/zero", "directory": dir, "no certificate": text, "large": large,
	} {
		t.Run(name, func(t *testing.T) {
			_, diags := LoadText("web.hcl", []byte(trusting(file)), asLB1())
			wantProblem(t, diags, "Cannot use ca_file", 5)
		})
	}
}

func TestConfigurationContainsFileContents(t *testing.T) {
	dir := t.TempDir()
	pem, err := os.ReadFile("testdata/valid/ca.pem")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(file, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, diags := LoadText("web.hcl", []byte(trusting(file)), asLB1())
	if diags.HasErrors() {
		t.Fatal(diags.Err())
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var decoded Config
	if err := json.Unmarshal(encoded, &decoded); err != nil {
		t.Fatal(err)
	}
	decoded.LinkFiles()
	for name, c := range map[string]*Config{"loaded": cfg, "from JSON": &decoded} {
		want, _ := healthcheck.ParseAuthorities(string(pem))
		if got := c.Services[0].Checks[0].Check.(*healthcheck.HTTPS).TLS.Authorities; !got.Equal(want) {
			t.Errorf("%s: the check does not trust what was in the file", name)
		}
	}
}

// TestUnresponsiveFileSystem checks that the waiting time is shared by all files, and that repeated loads do not
// add abandoned calls.
func TestUnresponsiveFileSystem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		answer := make(chan struct{})
		options := asLB1()
		options.Stat = func(name string) (os.FileInfo, error) {
			if strings.HasPrefix(name, "/dead/") {
				calls.Add(1)
				<-answer
				return nil, os.ErrNotExist
			}
			return os.Stat(name)
		}
		began := time.Now()
		for range 3 {
			_, diags := LoadText("web.hcl", []byte(trusting("/dead/ca.pem")), options)
			wantProblem(t, diags, "Cannot use ca_file", 5)
		}
		_, diags := Load("/dead/lvs-ha.hcl", options)
		if text := printed(t, diags); !strings.Contains(text, errSilent.Error()) {
			t.Errorf("problems:\n%s", text)
		}
		two := trusting("/dead/ca.pem") + strings.NewReplacer("web", "web2", "443", "444", "ca.pem", "other.pem").Replace(trusting("/dead/ca.pem"))
		if _, diags = LoadText("web.hcl", []byte(two), options); !diags.HasErrors() {
			t.Error("passed")
		}
		if took, most := time.Since(began), 5*readTimeout; took > most {
			t.Errorf("5 loads took %v, want at most %v", took, most)
		}
		if n := calls.Load(); n != 2 {
			t.Errorf("%d calls hang, want one for each name that was waited for", n)
		}
		options.ReadTimeout = time.Second
		began = time.Now()
		if _, diags = Load("/dead/third.hcl", options); !diags.HasErrors() {
			t.Error("passed")
		}
		if took := time.Since(began); took != options.ReadTimeout {
			t.Errorf("took %v, want %v", took, options.ReadTimeout)
		}
		close(answer)
		synctest.Wait()
		abandoned.Lock()
		defer abandoned.Unlock()
		if len(abandoned.ended) != 0 {
			t.Errorf("still counted as hanging: %v", abandoned.ended)
		}
	})
}
