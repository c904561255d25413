package healthcheck_test

import (
	"crypto/x509"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	. "github.com/lvs-ha/lvs-ha/healthcheck"
)

// limitFiles limits this process to the given number of additional open files.
func limitFiles(t *testing.T, more int) {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(len(open) + more), Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
			t.Error(err)
		}
	})
}

// tally counts results by type.
type tally struct {
	mu                sync.Mutex
	good, bad, locals int
	down              int // good servers that went down
	changed           chan struct{}
}

func newTally() *tally { return &tally{changed: make(chan struct{}, 1)} }

func (c *tally) report(e Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case e.Result.OK:
		c.good++
	case e.Result.Local && !e.Stalled:
		c.locals++
	default:
		c.bad++
	}
	if e.Target.Endpoint.Addr().As4()[2] == 0 && e.State == Down {
		c.down++
	}
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// await waits for results until there are enough.
func (c *tally) await(t *testing.T, what string, enough func(*tally) bool) {
	t.Helper()
	for timeout := time.After(2 * time.Minute); ; {
		c.mu.Lock()
		ok := enough(c)
		c.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-c.changed:
		case <-timeout:
			t.Fatalf("%s: %d good, %d bad, %d not carried out", what, c.good, c.bad, c.locals)
		}
	}
}

// TestFewOpenFiles has far more servers than open files, most of which hang: no check fails for lack of a descriptor. When
// something else uses up the descriptors, checks cannot run, which does not count against any server; afterwards checks
// resume.
func TestFewOpenFiles(t *testing.T) {
	port := hostileFarm(t)
	var targets []Target
	spec := Spec{Interval: 200 * time.Millisecond, Timeout: 100 * time.Millisecond, Rise: 1, Fall: 1, Check: &HTTP{}}
	patient := spec
	patient.Timeout = 30 * time.Second // the test host may be busy
	for i := range 250 {
		targets = append(targets, NewTarget(hostileServer(2, i), port, spec)) // sends nothing
		if i < 5 {
			targets = append(targets, NewTarget(hostileServer(0, i), port, patient))
		}
	}
	limitFiles(t, 64)
	c := newTally()
	s := NewScheduler(Options{Report: c.report})
	update(t, s, targets)
	stop := start(t, s)
	defer stop()
	c.await(t, "with few open files", func(c *tally) bool { return c.good >= 20 && c.bad >= 200 })
	c.mu.Lock()
	locals := c.locals
	c.mu.Unlock()
	if locals > 0 {
		t.Errorf("%d checks had no descriptor", locals)
	}

	var taken []*os.File
	c.await(t, "while descriptors are used up", func(*tally) bool { // each check that ends releases one
		for {
			f, err := os.Open("/dev/null")
			if err != nil {
				return len(taken) > 0 && s.Stats().Running == 0
			}
			taken = append(taken, f)
		}
	})
	c.await(t, "without descriptors", func(c *tally) bool { return c.locals >= locals+100 })
	for _, f := range taken {
		_ = f.Close()
	}
	c.mu.Lock()
	good := c.good
	c.mu.Unlock()
	c.await(t, "with descriptors again", func(c *tally) bool { return c.good >= good+20 })
	if c.mu.Lock(); c.down > 0 {
		t.Errorf("good servers were taken for dead %d times", c.down)
	}
	c.mu.Unlock()
}

// TestHostShortageDoesNotCountAgainstServers checks that a failure on this host does not count against a server.
func TestHostShortageDoesNotCountAgainstServers(t *testing.T) {
	for _, err := range []error{unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.EADDRNOTAVAIL, unix.EAGAIN, x509.SystemRootsError{}} {
		r := ResultOf(t.Context(), time.Second, "while waiting", err)
		if !r.Local || !strings.HasPrefix(r.Detail, "not checked: ") {
			t.Errorf("%v: %+v", err, r)
		}
	}
	if r := check(t, tcpSpec, netip.MustParseAddrPort("127.0.0.1:1")); r.Local {
		t.Errorf("a refused connection: %+v", r)
	}
}
