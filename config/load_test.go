package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// asLB1 loads a configuration as node lb1, with an environment of one variable.
func asLB1() Options {
	environment := map[string]string{"SITE": "west"}
	return Options{
		Hostname:  func() (string, error) { return "lb1", nil },
		LookupEnv: func(name string) (string, bool) { value, ok := environment[name]; return value, ok },
	}
}

func printed(t *testing.T, diags *Diagnostics) string {
	t.Helper()
	var text bytes.Buffer
	if err := diags.Write(&text, false); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// golden compares a text with a file, or updates the file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got), -update rewrites it:\n%s", name, diff)
	}
}

func paths(t testing.TB, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("no files match %s: %v", pattern, err)
	}
	return found
}

func TestValid(t *testing.T) {
	for _, path := range paths(t, "testdata/valid/*.hcl") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			cfg, diags := Load(path, asLB1())
			if text := printed(t, diags); text != "" {
				t.Fatalf("problems:\n%s", text)
			}
			encoded, err := json.MarshalIndent(cfg, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(path, ".hcl")+".json", string(encoded)+"\n")

			var decoded Config
			if err := json.Unmarshal(encoded, &decoded); err != nil {
				t.Fatal(err)
			}
			decoded.LinkFiles()
			decoded.Digest = cfg.Digest
			if diff := cmp.Diff(cfg, &decoded, cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}, netip.Prefix{})); diff != "" {
				t.Errorf("JSON does not keep it (-want +got):\n%s", diff)
			}
		})
	}
}

func TestInvalid(t *testing.T) {
	for _, path := range paths(t, "testdata/invalid/*.hcl") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			cfg, diags := Load(path, asLB1())
			text := printed(t, diags)
			if text == "" {
				t.Fatal("no problem was found")
			}
			if isWarning := strings.HasPrefix(filepath.Base(path), "warn_"); (cfg != nil) != isWarning {
				t.Errorf("configuration %v, problems:\n%s", cfg != nil, text)
			}
			if (diags.Err() != nil) != diags.HasErrors() || (cfg == nil) != diags.HasErrors() {
				t.Errorf("Err is %v, HasErrors %t", diags.Err(), diags.HasErrors())
			}
			golden(t, strings.TrimSuffix(path, ".hcl")+".txt", text)
		})
	}
}

// inSmallPieces splits the files of a test at every possible position.
func inSmallPieces(t *testing.T) {
	t.Helper()
	before := wantedPiece
	wantedPiece = 1
	t.Cleanup(func() { wantedPiece = before })
}

func TestFilesAreTheSameInPieces(t *testing.T) {
	for _, path := range append(paths(t, "testdata/*/*.hcl"), paths(t, "../examples/*.hcl")...) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			whole, diags := Load(path, asLB1())
			want := printed(t, diags)
			if diags.isSyntax {
				return // HCL reports one syntax error per file, and here one per piece
			}
			inSmallPieces(t)
			cfg, diags := Load(path, asLB1())
			if diff := cmp.Diff(want, printed(t, diags)); diff != "" {
				t.Errorf("other findings in pieces (-whole +pieces):\n%s", diff)
			}
			if diff := cmp.Diff(whole, cfg, cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}, netip.Prefix{})); diff != "" {
				t.Errorf("another configuration in pieces (-whole +pieces):\n%s", diff)
			}
		})
	}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDirectoryIsMerged(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "10-node.hcl", `locals { vip = "192.0.2.1" }`)
	write(t, dir, "20-vrrp.hcl", "vrrp \"a\" {\n interface = \"eth0\"\n virtual_router_id = 1\n addresses = [local.vip]\n}\n")
	write(t, dir, "30-service.hcl", "virtual_service \"b\" {\n address = \"${local.vip}:80\"\n real_server \"192.0.2.9\" {}\n}\n")
	write(t, dir, ".30-service.hcl.swp", "{{{")
	write(t, dir, ".hidden.hcl", "{{{")
	write(t, dir, "README", "{{{")
	cfg, diags := Load(dir, asLB1())
	if text := printed(t, diags); text != "" {
		t.Fatal(text)
	}
	if len(cfg.VRRP) != 1 || len(cfg.Services) != 1 {
		t.Errorf("got %+v", cfg)
	}
	write(t, dir, "40-again.hcl", "director {}\nlocals { vip = \"192.0.2.2\" }\n")
	write(t, dir, "50-again.hcl", "director {}\n")
	_, diags = Load(dir, asLB1())
	text := printed(t, diags)
	for _, want := range []string{"50-again.hcl line 1", "Duplicate director block", "40-again.hcl line 2", "Duplicate local value"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
}

func TestNothingToRead(t *testing.T) {
	empty := t.TempDir()
	pipe := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(pipe, "a.hcl"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ path, want string }{
		"pipe":            {pipe, "is not a regular file"},
		"missing file":    {filepath.Join(empty, "lvs-ha.hcl"), "no such file or directory"},
		"empty directory": {empty, "has no *.hcl files"},
		"device":          {"/dev/null", "is not a regular file"},
		"empty path":      {"", "no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, diags := Load(c.path, asLB1())
			if text := printed(t, diags); cfg != nil || !strings.Contains(text, c.want) {
				t.Errorf("got %v and %q", cfg, text)
			}
			if err := diags.Err(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func TestTooLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "large.hcl")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(file.Truncate(maxBytes+1), file.Close()); err != nil {
		t.Fatal(err)
	}
	if _, diags := Load(path, asLB1()); !strings.Contains(printed(t, diags), "larger than 8 MiB") {
		t.Error(printed(t, diags))
	}
}

func TestHostnameUnknown(t *testing.T) {
	o := asLB1()
	o.Hostname = func() (string, error) { return "", errors.New("no name") }
	path := write(t, t.TempDir(), "a.hcl", "director {}\n")
	if _, diags := Load(path, o); !strings.Contains(printed(t, diags), "--node") {
		t.Error(printed(t, diags))
	}
	o.Node = "lb7"
	cfg, diags := Load(path, o)
	if diags.HasErrors() || cfg.Node != "lb7" {
		t.Errorf("%v, %s", cfg, printed(t, diags))
	}
}

func TestColor(t *testing.T) {
	path := write(t, t.TempDir(), "a.hcl", "directr {}\n")
	_, diags := Load(path, asLB1())
	var text bytes.Buffer
	if err := diags.Write(&text, true); err != nil || !strings.Contains(text.String(), "\x1b[31m") {
		t.Errorf("%q, %v", text.String(), err)
	}
}
