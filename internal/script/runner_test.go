package script

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) {
	// lvs-ha does the same with descriptors that it inherits (supervisor.Confine).
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		panic(err)
	}
	if text := os.Getenv(helperEnv); text != "" {
		helper(text)
		return
	}
	goleak.VerifyTestMain(m)
}

// self is the user of this process, for which no capabilities are needed.
var self = strconv.Itoa(os.Geteuid())

func newRunner(t *testing.T) *Runner {
	r := NewRunner(64)
	t.Cleanup(r.Close)
	return r
}

// run runs a shell command as the user of this process.
func run(t *testing.T, line string, args ...string) Result {
	t.Helper()
	return newRunner(t).Run(t.Context(), Command{Args: append([]string{line}, args...), Shell: true, User: self, Group: strconv.Itoa(os.Getegid()), Timeout: time.Minute})
}

func TestResults(t *testing.T) {
	for _, tt := range []struct {
		line   string
		want   Result
		ok     bool
		reason string
	}{
		{line: "echo out; echo err >&2", want: Result{Output: []byte("out\nerr\n")}, ok: true, reason: "exit status 0"},
		{line: "echo $1-$2; exit 7", want: Result{ExitCode: 7, Output: []byte("a b-c\n")}, reason: "exit status 7"},
		{line: "kill -SEGV $$", want: Result{ExitCode: -1, Signal: syscall.SIGSEGV}, reason: "killed by signal 11 (segmentation fault)"},
		{line: "exec >&- 2>&-; exit 3", want: Result{ExitCode: 3}, reason: "exit status 3"},
		{line: "cat; pwd; umask", want: Result{Output: []byte("/\n0022\n")}, ok: true, reason: "exit status 0"},
		{line: "env | grep -v -e ^PWD= -e ^OLDPWD= -e ^SHLVL= -e ^_=", want: Result{Output: []byte("PATH=" + Path + "\n")}, ok: true, reason: "exit status 0"},
	} {
		t.Run(tt.line, func(t *testing.T) {
			t.Setenv("LVS_HA_VAR_secret", "s")
			got := run(t, tt.line, "a b", "c")
			if got.OK() != tt.ok || got.Reason() != tt.reason {
				t.Errorf("OK %t, reason %q", got.OK(), got.Reason())
			}
			if got.ExitCode != tt.want.ExitCode || got.Signal != tt.want.Signal || !bytes.Equal(got.Output, tt.want.Output) {
				t.Errorf("got %+v, output %q", got, got.Output)
			}
			if got.NotRun != nil || got.TimedOut || got.Leftover || got.Truncated {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestNothingIsInherited checks that a script has only its standard descriptors, and a separate process group and session.
func TestNothingIsInherited(t *testing.T) {
	secret, err := os.Open("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	defer secret.Close()
	got := run(t, "ls /proc/$$/fd; cut -d' ' -f5,6 /proc/$$/stat; echo $$ $$")
	lines := strings.Split(strings.TrimSpace(string(got.Output)), "\n")
	if n := len(lines); n < 5 || strings.Join(lines[:3], " ") != "0 1 2" || lines[n-1] != lines[n-2] || n != 5 {
		t.Errorf("got %q", lines)
	}
}

func TestLongOutput(t *testing.T) {
	got := run(t, `echo first; head -c 1000000000 /dev/zero; echo; echo last; exit 3`)
	if got.ExitCode != 3 || !got.Truncated || len(got.Output) != MaxOutput ||
		!bytes.HasPrefix(got.Output, []byte("first\n\x00")) || !bytes.HasSuffix(got.Output, []byte("\x00\nlast\n")) {
		t.Errorf("got %s, %d bytes, truncated %t, %q", got.Reason(), len(got.Output), got.Truncated, got.Output[max(0, len(got.Output)-10):])
	}
	if quote := got.Quote(); quote != "first … last" {
		t.Errorf("quote %q", quote)
	}
}

// TestExcerpt writes a text in pieces of all kinds of sizes.
func TestExcerpt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []byte
		var e excerpt
		for i, n := range rapid.SliceOfN(rapid.IntRange(0, 2*MaxOutput), 0, 8).Draw(t, "sizes") {
			piece := bytes.Repeat([]byte{byte('a' + i)}, n)
			e.add(piece)
			all = append(all, piece...)
		}
		want := all
		if len(all) > MaxOutput {
			want = slices.Concat(all[:headSize], all[len(all)-(MaxOutput-headSize):])
		}
		if !bytes.Equal(e.bytes, want) || e.truncated != (len(all) > MaxOutput) {
			t.Errorf("%d bytes, truncated %t: %.20q…", len(e.bytes), e.truncated, e.bytes)
		}
	})
}

func TestFault(t *testing.T) {
	for _, tt := range []struct {
		args  []string
		shell bool
		fault bool
	}{
		{nil, false, true},
		{[]string{""}, true, true},
		{[]string{"a\x00"}, true, true},
		{[]string{"pidof haproxy"}, false, true},
		{[]string{"pidof haproxy"}, true, false},
		{[]string{"/bin/true|false", "x"}, false, true},
		{[]string{"sbin/x"}, false, true},
		{[]string{"/sbin/x", "a|b"}, false, false},
		{[]string{"pidof", "a b"}, false, false},
	} {
		if got := Fault(tt.args, tt.shell); (got != "") != tt.fault {
			t.Errorf("%q, shell %t: %q", tt.args, tt.shell, got)
		}
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"":                              "",
		"\n\n":                          "",
		"one":                           "one",
		"one\ntwo\n":                    "one … two",
		"\n one\ntwo\nthree \n\n":       "one … three",
		"one\n \x1b[31mred\x07\xff\r\n": "one … [31mred ?",
		strings.Repeat("ä", 200):        strings.Repeat("ä", 120) + "…",
		strings.Repeat(strings.Repeat("ä", 200)+"\n", 3): strings.Repeat("ä", 60) + "… … " + strings.Repeat("ä", 60) + "…",
	} {
		if got := (Result{Output: []byte(in)}).Quote(); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// awaitLine waits until a script has written a line to a file.
func awaitLine(t *testing.T, file string) {
	t.Helper()
	for range 60_000 {
		if raw, err := os.ReadFile(file); err == nil && bytes.HasSuffix(raw, []byte("\n")) {
			return
		}
		unix.Poll(nil, 1)
	}
	t.Errorf("nothing was written to %s", file)
}

// awaitGone waits until the process whose ID a script wrote to a file has exited.
func awaitGone(t *testing.T, file string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range strings.Fields(string(raw)) {
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10_000)
		for errors.Is(err, unix.EINTR) {
			n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10_000)
		}
		if n != 1 || err != nil {
			t.Errorf("process %d still exists: %d, %v", pid, n, err)
		}
	}
}

// TestDeadline checks that a script and its children are gone after the deadline, regardless of what they do.
func TestDeadline(t *testing.T) {
	for name, line := range map[string]string{
		"hangs":            "echo $$ >$1; sleep 1000",
		"forks":            "echo $$ >$1; sleep 1000 & echo $! >>$1; sleep 1000 & echo $! >>$1; wait",
		"ignores SIGTERM":  "trap '' TERM; echo $$ >$1; sleep 1000 & echo $! >>$1; wait; wait; while :; do sleep 1000; done",
		"exits well":       "trap 'exit 0' TERM; echo $$ >$1; sleep 1000 & echo $! >>$1; wait",
		"stopped":          "echo $$ >$1; kill -STOP $$",
		"prints":           "echo $$ >$1; yes",
		"child ignores it": "(trap '' TERM; sleep 1000; sleep 1000) & echo $$ $! >$1; wait",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pids := filepath.Join(t.TempDir(), "pids")
			got := newRunner(t).Run(t.Context(), Command{Args: []string{line, pids}, Shell: true, User: self, Group: strconv.Itoa(os.Getegid()), Timeout: 3 * time.Second})
			if got.OK() || !got.TimedOut || got.NotRun != nil || got.Reason() != "timed out after 3s" {
				t.Errorf("got %+v", got)
			}
			awaitGone(t, pids)
		})
	}
}

// TestCancel checks that a script ends with its context, and that this does not count as a timeout.
func TestCancel(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		awaitLine(t, pids)
		cancel()
	}()
	got := newRunner(t).Run(ctx, Command{Args: []string{"echo $$ >$1; exec sleep 1000", pids}, Shell: true, User: self, Group: strconv.Itoa(os.Getegid()), Timeout: time.Hour})
	if got.TimedOut || got.NotRun != nil || got.Signal != syscall.SIGTERM {
		t.Errorf("got %+v", got)
	}
	awaitGone(t, pids)
}

// TestBackground checks that a child does not delay Run, whether or not it has the output open, and is killed.
func TestBackground(t *testing.T) {
	for name, line := range map[string]string{
		"holds the output": "sleep 1000 & echo $! >$1; echo done",
		"closed it":        "sleep 1000 >/dev/null 2>&1 & echo $! >$1; echo done",
	} {
		t.Run(name, func(t *testing.T) {
			pids := filepath.Join(t.TempDir(), "pids")
			got := run(t, line, pids)
			if !got.OK() || string(got.Output) != "done\n" {
				t.Errorf("got %+v", got)
			}
			awaitGone(t, pids)
		})
	}
}

// TestLoggerGetsLastLines uses bash's `exec > >(logger)`.
func TestLoggerGetsLastLines(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	got := newRunner(t).Run(t.Context(), Command{
		Args: []string{"bash", "-c", `exec > >(sleep 0.1; cat >"$0"); echo last`, file},
		User: self, Group: strconv.Itoa(os.Getegid()), Timeout: time.Minute})
	if text, err := os.ReadFile(file); !got.OK() || string(text) != "last\n" {
		t.Errorf("got %+v, logged %q, %v", got, text, err)
	}
}

// TestConcurrencyIsBounded checks that a command beyond the limit waits, and fails at its timeout.
func TestConcurrencyIsBounded(t *testing.T) {
	r := NewRunner(1)
	defer r.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	file := filepath.Join(t.TempDir(), "started")
	first := make(chan Result)
	own := Command{Shell: true, User: self, Group: strconv.Itoa(os.Getegid()), Timeout: time.Hour}
	go func() {
		c := own
		c.Args = []string{"echo >$1; exec sleep 1000", file}
		first <- r.Run(ctx, c)
	}()
	awaitLine(t, file)
	c := own
	c.Args, c.Timeout = []string{"true"}, time.Millisecond
	if got := r.Run(t.Context(), c); got.NotRun == nil || got.OK() {
		t.Errorf("got %+v", got)
	}
	cancel()
	<-first
	c.Timeout = time.Minute
	if got := r.Run(t.Context(), c); !got.OK() {
		t.Errorf("got %+v", got)
	}
}
