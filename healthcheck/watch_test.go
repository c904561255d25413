package healthcheck_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/lvs-ha/lvs-ha/healthcheck"
)

// TestFileIsWatched checks that a file that is written, replaced or deleted is read at once, not after its interval.
func TestFileIsWatched(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "servers")
	path := filepath.Join(dir, "192.0.2.1")
	do := func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	do(os.Mkdir(dir, 0o755))
	events := make(chan Event, 1000)
	s := NewScheduler(Options{Report: func(e Event) { events <- e }})
	spec := Spec{Check: &WordFile{Path: filepath.Join(dir, "{address}")}, Interval: 24 * time.Hour, Timeout: time.Minute, Rise: 1, Fall: 1}
	update(t, s, []Target{NewTarget(netip.MustParseAddr("192.0.2.1"), 80, spec)})
	defer start(t, s)()
	await := func(want Advice) {
		t.Helper()
		for late := time.After(time.Minute); ; {
			select {
			case e := <-events:
				if e.Advice == want {
					return
				}
			case <-late:
				t.Fatalf("not %v", want)
			}
		}
	}
	await(Advice{})
	do(os.WriteFile(path, []byte("drain\n"), 0o644))
	await(Advice{Mode: Drain})
	do(os.WriteFile(path+".new", []byte("70%\n"), 0o644), os.Rename(path+".new", path))
	await(Advice{Unit: Percent, Number: 70})
	do(os.Remove(path))
	await(Advice{})
}
