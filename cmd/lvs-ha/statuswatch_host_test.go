package main

import (
	"bufio"
	"context"
	"encoding/json"
	"strings"
	"syscall"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// TestHostWatchedStatus watches a director that becomes master and stops.
func TestHostWatchedStatus(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newPlace(t)
	p.configure(gateway)
	d := p.start()
	d.awaitStatus("master", isMaster)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	watch := p.host.Command(ctx, "lvs-ha", "status", "gateway", "--watch=100ms", "-o", "json", "--runtime-dir", p.path("run"))
	out, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for range 2 {
		var s api.Status
		if !lines.Scan() || json.Unmarshal(lines.Bytes(), &s) != nil || !isMaster(s) {
			t.Fatalf("%q, %v", lines.Text(), lines.Err())
		}
	}
	d.stop()
	for lines.Scan() && !(strings.HasPrefix(lines.Text(), `{"error":`) && strings.Contains(lines.Text(), "not running")) {
	}
	if err := watch.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
	}
	if err := watch.Wait(); err != nil {
		t.Error(err)
	}
	p.wantAnswer(p.asked("status", "--watch=1ms"), 1, "at least 100ms")
	p.wantAnswer(p.asked("status", "--watch", "--state", "odd"), 1, "--state")
}
