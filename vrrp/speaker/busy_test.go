package speaker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// keepBusy runs a busy loop for each CPU until the benchmark ends, and lvs-ha with 5,000 TCP checks a second. The test itself, which sends
// the master's adverts, has precedence over them.
func keepBusy(b *testing.B, n *lan) {
	b.Helper()
	precede(b)
	for range runtime.NumCPU() {
		hog(b, n.observer, nil)
	}
	h := n.host(b, "checks")
	l, err := h.Listen("tcp", ":80") // nobody need accept: a check resets its connection
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	var config strings.Builder
	config.WriteString("virtual_service \"web\" {\n  address = \"10.9.1.1:80\"\n  forwarding = \"nat\"\n  scheduler = \"rr\"\n")
	config.WriteString("  health_check \"tcp\" {\n    interval = \"100ms\"\n    timeout = \"100ms\"\n  }\n")
	for i := range 500 {
		fmt.Fprintf(&config, "  real_server \"127.0.%d.%d:80\" {}\n", i/250, 1+i%250)
	}
	config.WriteString("}\n")
	dir := b.TempDir()
	file := filepath.Join(dir, "lvs-ha.hcl")
	if err := os.WriteFile(file, []byte(config.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	binary, err := lab.Binary()
	if err != nil {
		b.Fatal(err)
	}
	var log output
	cmd := h.Command(context.Background(), binary, "run", "-c", file, "--runtime-dir", filepath.Join(dir, "run"))
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr.Setpgid, cmd.SysProcAttr.Setsid = false, true
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if b.Failed() {
			b.Logf("end of the log of the checks:\n%s", last(log.String(), 2000))
		}
	})
	eventually(b, "lvs-ha checks the servers", func() bool { return strings.Contains(log.String(), "to=up") })
}

// precede gives this process's scheduling group the highest weight. The programs that it starts have groups of their own.
func precede(b *testing.B) {
	const autogroup = "/proc/self/autogroup"
	before, err := os.ReadFile(autogroup) // "/autogroup-7 nice 0"
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(autogroup, []byte("-20"), 0); err != nil {
		b.Fatal(err)
	}
	f := strings.Fields(string(before))
	b.Cleanup(func() { _ = os.WriteFile(autogroup, []byte(f[len(f)-1]), 0) })
}

// last returns the end of a text.
func last(text string, bytes int) string { return text[max(0, len(text)-bytes):] }
