package supervisor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestMain acts as the worker: the parent under test starts this binary.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv(workerEnv) != "":
		os.Exit(worker(os.Args[1], os.Args[2]))
	case os.Getenv(parentTestEnv) != "":
		os.Exit(parentProcess(os.Args[1], os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

// worker reports its role on a socket, and then acts as its first argument says.
func worker(role, socket string) int {
	switch role {
	case "refuse":
		return ExitRefused
	case "slow":
		return slowWorker(socket)
	case "unprepared":
		// It hangs before it is prepared, unless it is restarted.
		if os.Getenv(workerEnv) == workerFirst {
			select {}
		}
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM, syscall.SIGHUP)
	link, err := Attach(role, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		return 1
	}
	if conn, err := net.Dial("unix", socket+preparedSuffix); err == nil { // some tests do not listen
		fmt.Fprintln(conn, os.Getpid())
		conn.Close()
	}
	if _, err := link.AwaitActivation(context.Background(), func() { term <- syscall.SIGTERM }); err != nil {
		return 0
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return 1
	}
	defer conn.Close()
	link.Ready()
	fmt.Fprintf(conn, "%s %d restarted=%t\n", role, os.Getpid(), link.Restarted)
	if role == "storing" {
		storing(link, conn)
	}
	go sayAlive(link, conn)
	for s := range term {
		fmt.Fprintln(conn, s)
		if s == syscall.SIGTERM {
			return 0
		}
		link.Reloaded()
	}
	return 1
}

// sayAlive reports that the worker is alive until it reads from the socket.
func sayAlive(link *ParentLink, conn net.Conn) {
	hang := make(chan struct{})
	go func() {
		conn.Read(make([]byte, 1))
		close(hang)
	}()
	for tick := time.Tick(testPatience / 20); ; {
		select {
		case <-tick:
			link.Alive()
		case <-hang:
			return
		}
	}
}

// hangLimit ends a test that hangs. Starting a process can take seconds on a busy host.
const hangLimit = time.Minute

const (
	testPatience  = 3 * time.Second
	sparePatience = 3 * AliveInterval // a spare reports at its own interval
)

// slowWorker reports its role before it handles SIGHUP, and continues on request.
func slowWorker(socket string) int {
	signal.Reset(syscall.SIGHUP)
	link, err := Attach("slow", slog.New(slog.DiscardHandler), nil)
	if err != nil {
		return 1
	}
	if _, err := link.AwaitActivation(context.Background(), func() { os.Exit(1) }); err != nil {
		return 0
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return 1
	}
	defer conn.Close()
	fmt.Fprintf(conn, "slow %d restarted=false\n", os.Getpid())
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return 1
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	link.Ready()
	fmt.Fprintln(conn, <-hup)
	return 0
}

// preparedSuffix is appended to the path of a story's socket for that to which workers report that they are prepared.
const preparedSuffix = ".prepared"

// story is a parent under test with the sockets for its workers' reports.
type story struct {
	t           *testing.T
	socket      string
	l, prepared net.Listener
	cancel      context.CancelFunc
	ended       chan error
}

func begin(t *testing.T, role string) *story {
	t.Helper()
	return beginLogged(t, role, slog.New(slog.DiscardHandler))
}

func beginLogged(t *testing.T, role string, log *slog.Logger) *story {
	t.Helper()
	s := newStory(t)
	s.run(t, role, log)
	return s
}

func newStory(t *testing.T) *story {
	t.Helper()
	s := &story{t: t, socket: filepath.Join(t.TempDir(), "s"), ended: make(chan error, 1)}
	for path, l := range map[string]*net.Listener{s.socket: &s.l, s.socket + preparedSuffix: &s.prepared} {
		var err error
		if *l, err = net.Listen("unix", path); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { (*l).Close() })
	}
	return s
}

func (s *story) run(t *testing.T, role string, log *slog.Logger) {
	parent := newTestParent(role, s.socket, s.t.Name(), log)
	ctx, cancel := context.WithCancel(t.Context())
	s.cancel = cancel
	go func() { s.ended <- parent.Run(ctx) }()
}

const testSessionNice = 3 // needs no privilege

// TestSessionNice checks the nice value of a worker's session, on a kernel that schedules by session. The kernel may refuse it
// for a while if another program sets values.
func TestSessionNice(t *testing.T) {
	s := begin(t, "worker")
	path := fmt.Sprintf("/proc/%d/autogroup", s.next().pid)
	want := fmt.Sprintf(" nice %d\n", testSessionNice)
	tick := time.NewTicker(sessionRetry / 10)
	defer tick.Stop()
	limit := time.After(hangLimit)
	for set := false; !set; {
		group, err := os.ReadFile(path)
		set = err != nil || len(group) == 0 || strings.HasSuffix(string(group), want)
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("the worker's session: %q, want %q", group, want)
		}
	}
	s.cancel()
	if err := s.end(); err != nil {
		t.Error(err)
	}
}

// TestSessionNiceIsTriedAgain sets a nice value soon after others did, which Linux refuses for a while.
func TestSessionNiceIsTriedAgain(t *testing.T) {
	for _, tt := range []struct {
		name          string
		results       []error
		ended         time.Duration // when the process ends
		want          error
		calls, pauses int
	}{
		{"two others were first", []error{syscall.EAGAIN, syscall.EAGAIN, nil}, time.Hour, nil, 3, 3},
		{"not permitted", []error{syscall.EPERM}, time.Hour, syscall.EPERM, 1, 1},
		{"the process ends", []error{syscall.EAGAIN, syscall.EAGAIN, nil}, 3 * sessionRetry / 2, syscall.EAGAIN, 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan struct{})
				time.AfterFunc(tt.ended, func() { close(ended) })
				calls, start := 0, time.Now()
				err := untilAccepted(func() error { calls++; return tt.results[calls-1] }, ended)
				if err != tt.want || calls != tt.calls || time.Since(start)/sessionRetry != time.Duration(tt.pauses) {
					t.Errorf("%v after %d calls and %v", err, calls, time.Since(start))
				}
			})
		})
	}
}

// newTestParent returns a parent with one worker and a unique program name.
func newTestParent(role, socket, program string, log *slog.Logger) *Parent {
	worker := Worker{Name: role, Args: []string{role, socket}, Spare: role == "spared", Stores: role == "storing", SessionNice: testSessionNice}
	switch role {
	case "hanging", "unprepared":
		worker.Patience = testPatience
	case "spared":
		worker.Patience = sparePatience
	}
	null, err := os.Open(os.DevNull)
	return &Parent{
		Program: fmt.Sprintf("%s-%d", program, os.Getuid()), Binary: os.Args[0], Workers: []Worker{worker}, Reload: role, Logger: log,
		Open: func(func(string) *os.File) (map[string][]*os.File, error) {
			return map[string][]*os.File{role: {null}}, err
		},
	}
}

// report is a worker's message on start.
type report struct {
	conn      net.Conn
	pid       int
	restarted bool
	lines     *bufio.Reader
}

func (s *story) next() report {
	s.t.Helper()
	s.l.(*net.UnixListener).SetDeadline(time.Now().Add(hangLimit))
	conn, err := s.l.Accept()
	if err != nil {
		s.t.Fatalf("no worker reports: %v", err)
	}
	s.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(hangLimit))
	r := report{conn: conn, lines: bufio.NewReader(conn)}
	var role string
	if _, err := fmt.Fscanf(r.lines, "%s %d restarted=%t\n", &role, &r.pid, &r.restarted); err != nil {
		s.t.Fatalf("reading the worker's report: %v", err)
	}
	return r
}

func (s *story) end() error {
	s.t.Helper()
	select {
	case err := <-s.ended:
		return err
	case <-time.After(hangLimit):
		s.t.Fatal("the parent does not end")
		return nil
	}
}

func TestKilledWorkerIsRestarted(t *testing.T) {
	s := begin(t, "worker")
	first := s.next()
	if first.restarted {
		t.Error("the first worker believes that it was restarted")
	}
	syscall.Kill(first.pid, syscall.SIGKILL)
	if second := s.next(); !second.restarted || second.pid == first.pid {
		t.Errorf("the second worker: pid %d after %d, restarted %t", second.pid, first.pid, second.restarted)
	}
	s.cancel()
	if err := s.end(); err != nil {
		t.Error(err)
	}
}

func TestSpareWaitsForActivation(t *testing.T) {
	s := begin(t, "spared")
	pid, bySpare, spare := s.next().pid, 0, 0
	for range 3 {
		// A spare that the parent did not know to be prepared in the last round is still there.
		if spare == 0 || syscall.Kill(spare, 0) != nil {
			spare = s.awaitPrepared(pid)
		}
		syscall.Kill(pid, syscall.SIGKILL)
		next := s.next()
		if !next.restarted || next.pid == pid {
			t.Errorf("pid %d after %d, restarted %t", next.pid, pid, next.restarted)
		}
		if next.pid == spare {
			bySpare++
			spare = 0
		}
		pid = next.pid
	}
	if bySpare == 0 {
		t.Error("no spare was given its turn")
	}
	s.cancel()
	if err := s.end(); err != nil {
		t.Error(err)
	}
}

// awaitPrepared waits until a worker that is not one of those is about to report that it is prepared, and returns its
// process id. The report of a worker that has ended since does not count.
func (s *story) awaitPrepared(none ...int) int {
	s.t.Helper()
	s.prepared.(*net.UnixListener).SetDeadline(time.Now().Add(hangLimit))
	for {
		conn, err := s.prepared.Accept()
		if err != nil {
			s.t.Fatalf("no other worker is prepared: %v", err)
		}
		var pid int
		_, err = fmt.Fscanln(conn, &pid)
		conn.Close()
		if err == nil && !slices.Contains(none, pid) && syscall.Kill(pid, 0) == nil {
			return pid
		}
	}
}

func TestHangingWorkerIsReplaced(t *testing.T) {
	said := make(chan string, 16)
	s := beginLogged(t, "hanging", slog.New(slog.NewTextHandler(lineWriter(said), nil)))
	first := s.next()
	s.l.(*net.UnixListener).SetDeadline(time.Now().Add(2 * testPatience))
	if conn, err := s.l.Accept(); err == nil {
		conn.Close()
		t.Fatal("a worker that says that it is alive was replaced")
	}
	if _, err := first.conn.Write([]byte("hang")); err != nil {
		t.Fatal(err)
	}
	second := s.next()
	if !second.restarted || second.pid == first.pid {
		t.Errorf("the second worker: pid %d after %d, restarted %t", second.pid, first.pid, second.restarted)
	}
	for line := range said {
		if strings.Contains(line, "worker unresponsive") {
			break
		}
	}
	if err := syscall.Kill(second.pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if third := s.next(); third.pid == second.pid {
		t.Error("a stopped worker was not replaced")
	}
	s.cancel()
	if err := s.end(); err != nil {
		t.Error(err)
	}
}

func TestStopSendsSIGTERMToTheWorker(t *testing.T) {
	s := begin(t, "worker")
	w := s.next()
	s.cancel()
	if line, _ := w.lines.ReadString('\n'); strings.TrimSpace(line) != syscall.SIGTERM.String() {
		t.Errorf("the worker got %q", line)
	}
	if err := s.end(); err != nil {
		t.Error(err)
	}
}

func TestReloadSignalIsForwarded(t *testing.T) {
	s := begin(t, "worker")
	w := s.next()
	syscall.Kill(os.Getpid(), syscall.SIGHUP)
	if line, _ := w.lines.ReadString('\n'); strings.TrimSpace(line) != syscall.SIGHUP.String() {
		t.Errorf("the worker got %q", line)
	}
	s.cancel()
	s.end()
}

func TestReloadSignalWaitsUntilWorkerIsReady(t *testing.T) {
	said := make(chan string, 16)
	s := beginLogged(t, "slow", slog.New(slog.NewTextHandler(lineWriter(said), nil)))
	w := s.next()
	syscall.Kill(os.Getpid(), syscall.SIGHUP)
	for line := range said {
		if strings.Contains(line, "reload requested by signal") {
			break
		}
	}
	if _, err := w.conn.Write([]byte("go on")); err != nil {
		t.Fatal(err)
	}
	if line, err := w.lines.ReadString('\n'); strings.TrimSpace(line) != syscall.SIGHUP.String() {
		t.Errorf("the worker got %q, %v", line, err)
	}
	s.cancel()
	s.end()
}

// lineWriter passes on log lines while there is room.
type lineWriter chan string

func (w lineWriter) Write(line []byte) (int, error) {
	select {
	case w <- string(line):
	default:
	}
	return len(line), nil
}

func TestParentEndsWhenWorkerRefusesConfiguration(t *testing.T) {
	err := begin(t, "refuse").end()
	if refused, ok := errors.AsType[*RefusedError](err); !ok || refused.Worker != "refuse" {
		t.Errorf("got %v", err)
	}
}

func TestBackoff(t *testing.T) {
	for _, c := range []struct {
		pause, ran time.Duration
		starts     int
		want       time.Duration
	}{
		{0, time.Millisecond, 1, 0},
		{0, time.Millisecond, 2, backoffFirst},
		{backoffFirst, time.Millisecond, 3, 2 * backoffFirst},
		{4 * time.Second, time.Millisecond, 9, backoffMax},
		{backoffMax, steadyAfter, 10, 0},
	} {
		if got := backoff(c.pause, c.ran, c.starts); got != c.want {
			t.Errorf("backoff(%v, %v, %d) = %v, want %v", c.pause, c.ran, c.starts, got, c.want)
		}
	}
}

func TestOneParentPerRuntimeDirectory(t *testing.T) {
	dir := RuntimeDir(filepath.Join(t.TempDir(), "run"))
	lock, err := dir.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dir.Lock(); err == nil || !strings.Contains(err.Error(), "another lvs-ha uses") {
		t.Errorf("a second lock: %v", err)
	}
	lock.file.Close()
	again, err := dir.Lock()
	if err != nil {
		t.Fatal("the lock outlives its holder:", err)
	}
	again.file.Close()
}
