package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// patience is the time limit for events that should happen immediately.
const patience = 20 * time.Second

// promptly limits the time of a stop beside other tests. The parent kills a process that hangs after 5 s, so it proves that none did.
const promptly = 4 * time.Second

// place is a host with an interface eth0 where lvs-ha runs.
type place struct {
	t    *testing.T
	lab  *lab.Lab
	host *lab.Node
	dir  string // configuration and runtime directory
}

func newPlace(t *testing.T) *place {
	t.Helper()
	return newPlaces(t, 1)[0]
}

// newPlaces returns hosts on a LAN: 192.0.2.1 and following.
func newPlaces(t *testing.T, n int) []*place {
	t.Helper()
	l := lab.NewT(t, "cli")
	lan, err := l.Bridge("lan")
	if err != nil {
		t.Fatal(err)
	}
	var all []*place
	for i := range n {
		host, err := l.Host(fmt.Sprintf("director%d", i+1), lab.NIC{Name: "eth0", Bridge: lan, Addresses: lab.Prefixes(fmt.Sprintf("192.0.2.%d/24", i+1))})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, &place{t: t, lab: l, host: host, dir: t.TempDir()})
	}
	return all
}

func (p *place) path(name string) string { return filepath.Join(p.dir, name) }

// configure writes the configuration.
func (p *place) configure(text string) {
	p.t.Helper()
	if err := os.WriteFile(p.path("lvs-ha.hcl"), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// answer is a command's output and exit status.
type answer struct {
	stdout, stderr string
	status         int
}

// lvsha runs a command and waits for it.
func (p *place) lvsha(args ...string) answer {
	p.t.Helper()
	return p.run(append([]string{"lvs-ha"}, args...)...)
}

func (p *place) run(argv ...string) answer {
	p.t.Helper()
	return p.runWithin(patience, argv...)
}

func (p *place) runWithin(limit time.Duration, argv ...string) answer {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), limit)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := p.host.Command(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		p.t.Fatalf("%q: %v", argv, err)
	}
	return answer{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// asked runs a command that queries the daemon in this place.
func (p *place) asked(args ...string) answer {
	p.t.Helper()
	return p.lvsha(append(args, "--runtime-dir", p.path("run"))...)
}

// wantAnswer checks the exit status, that each text is in stdout (in stderr if the command failed), and that the other
// stream is empty.
func (p *place) wantAnswer(got answer, status int, texts ...string) {
	p.t.Helper()
	said, silent := got.stdout, got.stderr
	if status == 1 || status == statusNotRunning {
		said, silent = silent, said
	}
	if got.status != status || silent != "" {
		p.t.Errorf("exit status %d, want %d\nstdout: %s\nstderr: %s", got.status, status, got.stdout, got.stderr)
	}
	for _, text := range texts {
		if !strings.Contains(said, text) {
			p.t.Errorf("%q is missing in\n%s", text, said)
		}
	}
}

// daemon is a running lvs-ha.
type daemon struct {
	*place
	cmd    *lab.Cmd
	stdout output
	stderr output
	ended  chan struct{}
}

// start starts `lvs-ha run`, optionally through a command such as setpriv.
func (p *place) start(behind ...string) *daemon {
	p.t.Helper()
	return p.startProgram(append(behind, "lvs-ha")...)
}

// startProgram starts another program than the lvs-ha under test.
func (p *place) startProgram(program ...string) *daemon {
	p.t.Helper()
	return p.startIn("", append(program, "run", "-c", p.path("lvs-ha.hcl"), "--runtime-dir", p.path("run"))...)
}

// startIn starts a command that runs lvs-ha, in a directory or in the test's.
func (p *place) startIn(dir string, argv ...string) *daemon {
	p.t.Helper()
	d := &daemon{place: p, ended: make(chan struct{})}
	d.cmd = p.host.Command(context.Background(), argv[0], argv[1:]...)
	d.cmd.Stdout, d.cmd.Stderr, d.cmd.Dir = &d.stdout, &d.stderr, dir
	if err := d.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		_ = d.cmd.Wait()
		close(d.ended)
	}()
	p.t.Cleanup(func() {
		if p.t.Failed() {
			p.t.Logf("the daemon said:\n%s%s", d.stdout.text(), d.stderr.text())
		}
		d.stop()
	})
	return d
}

// stop sends SIGTERM and returns the time until the daemon exited.
func (d *daemon) stop() time.Duration {
	d.t.Helper()
	began := time.Now()
	select {
	case <-d.ended:
		return 0
	default:
	}
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		d.t.Fatal(err)
	}
	d.awaitEnd()
	return time.Since(began)
}

func (d *daemon) awaitEnd() {
	d.t.Helper()
	select {
	case <-d.ended:
	case <-time.After(patience):
		d.t.Fatal("the daemon does not end")
	}
}

// awaitStatus polls the daemon's status until so returns true.
func (d *daemon) awaitStatus(what string, so func(api.Status) bool) api.Status {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	client := api.NewClient(d.path("run/api.sock"))
	var last api.Status
	var lastErr error
	err := lab.Await(ctx, func() bool {
		last, lastErr = client.Status(ctx)
		return lastErr == nil && so(last)
	})
	if err != nil {
		text, _ := json.MarshalIndent(last, "", " ")
		d.t.Fatalf("not %s: %v: %s", what, lastErr, text)
	}
	return last
}

// awaitLog waits until the daemon has logged a text.
func (d *daemon) awaitLog(text string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	if lab.Await(ctx, func() bool { return strings.Contains(d.stderr.text(), text) }) != nil {
		d.t.Fatalf("%q is not logged", text)
	}
}

// output collects the output of a running process.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// eventually waits until a condition is true.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if lab.Await(ctx, so) != nil {
		t.Fatalf("not after %v: %s", patience, what)
	}
}
