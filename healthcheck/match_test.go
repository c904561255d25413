package healthcheck

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// heavy is an expression that takes 15 seconds to match against a body of 1 MiB.
const heavy = "(?:a?){600}b"

// find searches for an expression in a body, where a match may begin.
func find(t interface {
	Helper()
	Fatal(...any)
}, ctx context.Context, expression string, body io.Reader, first, last int) (bool, error) {
	t.Helper()
	m, err := newBodyMatch(expression)
	if err != nil {
		t.Fatal(err)
	}
	m.first, m.last = first, last
	found, _, err := m.find(ctx, body, bufio.NewReaderSize(nil, 64))
	return found, err
}

// TestBodyMatch compares the match of a stream, read in pieces of all sizes, with a match of the whole body.
func TestBodyMatch(t *testing.T) {
	expressions := []string{"ab", "^ab", "ab$", "^ab$", "^$", "", "(?m)^ab$", "(?i)AB", "a.b", "(?s)a.*b", `\bab\b`, "[^a]", "a{3,5}b", "\ufffd", "é", "(?:)", "x|y"}
	piece := rapid.OneOf(rapid.SampledFrom([]string{"ab", "a", "b", "\n", "é", "\xff", "\xe4\xb8", " ", "", strings.Repeat("a", 70)}), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		body := strings.Join(rapid.SliceOf(piece).Draw(t, "body"), "")
		expression := rapid.SampledFrom(expressions).Draw(t, "expression")
		var reader io.Reader = strings.NewReader(body)
		switch rapid.IntRange(0, 2).Draw(t, "reader") {
		case 1:
			reader = iotest.OneByteReader(reader)
		case 2:
			reader = iotest.DataErrReader(reader)
		}
		first := rapid.IntRange(0, 80).Draw(t, "first") * rapid.IntRange(0, 1).Draw(t, "skips")
		last := rapid.IntRange(max(1, first), 160).Draw(t, "last") * rapid.IntRange(0, 1).Draw(t, "limited")
		found, err := find(t, context.Background(), expression, reader, first, last)
		want := false
		if first <= len(body) {
			at := regexp.MustCompile(expression).FindStringIndex(body[first:])
			want = at != nil && (last == 0 || first+at[0] <= last)
		}
		if err != nil || found != want {
			t.Errorf("%q in %q from %d to %d: %v, %v, want %v", expression, body, first, last, found, err, want)
		}
	})
}

// TestBodyMatchError checks that a body truncated by an error is not matched as if it were complete.
func TestBodyMatchError(t *testing.T) {
	for _, expression := range []string{"nothing", "ab$", "^a.$"} {
		if _, err := find(t, t.Context(), expression, io.MultiReader(strings.NewReader("ab"), iotest.ErrReader(io.ErrUnexpectedEOF)), 0, 0); err != io.ErrUnexpectedEOF {
			t.Errorf("%s: %v", expression, err)
		}
	}
}

// TestBodyMemoryIsBounded checks that concurrent checks keep only a buffer of each body.
func TestBodyMemoryIsBounded(t *testing.T) {
	const checks, most = 20, 64 << 10 // bytes each
	for _, expression := range []string{"never", "(?i)never"} {
		began, release := make(chan struct{}, checks), make(chan struct{})
		before := heapAlloc()
		var running sync.WaitGroup
		for range checks {
			c := fuzzCheck(t, expression)
			beginning := strings.NewReader("HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("a", 64<<10))
			server := readWriter{io.MultiReader(beginning, readerFunc(func([]byte) (int, error) {
				began <- struct{}{}
				<-release
				return 0, io.EOF
			}))}
			running.Go(func() { c.exchange(context.Background(), server, someServer) })
		}
		for range checks {
			<-began
		}
		if each := int64(heapAlloc()-before) / checks; each > most {
			t.Errorf("%s: a check in flight takes %d bytes", expression, each)
		}
		close(release)
		running.Wait()
	}
}

func heapAlloc() uint64 {
	runtime.GC()
	runtime.GC() // the first call does not free the contents of pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

type readWriter struct{ io.Reader }

func (readWriter) Write(b []byte) (int, error) { return len(b), nil }

// TestHeavyMatches checks that endless matches run until their deadlines, use half a CPU together, and do not block others.
// A match that gets no turn does not count against the server; one that fails although it runs alone does.
func TestHeavyMatches(t *testing.T) {
	const timeout = time.Second
	body := bytes.Repeat([]byte("a"), 1<<20)
	check := func(c *httpCheck, timeout time.Duration) Result {
		server := &canned{answer: bytes.NewReader(append([]byte("HTTP/1.1 200 OK\r\n\r\n"), body...))}
		d := newDeadline(t.Context(), timeout)
		defer d.cancel()
		result, _ := c.exchange(d, server, someServer)
		return result
	}
	slow := fuzzCheck(t, heavy)
	wallBefore, cpuBefore := time.Now(), processTime()
	var running sync.WaitGroup
	for range 20 {
		running.Go(func() {
			if r := check(slow, timeout); r.OK || !r.Local {
				t.Errorf("a match that had hardly a turn: %+v", r)
			}
		})
	}
	for _, light := range []string{"aaa", "^a{10}", "(?i)A+"} {
		if r := check(fuzzCheck(t, light), time.Minute); !r.OK {
			t.Errorf("%s at the same time: %+v", light, r)
		}
	}
	running.Wait()
	// Half a CPU, plus the allowances, plus the light checks and the work around each match.
	wall, cpu := time.Since(wallBefore), processTime()-cpuBefore
	if most := wall/2 + 20*allowance + 250*time.Millisecond; cpu > most {
		t.Errorf("%v of CPU time in %v, want at most %v", cpu, wall, most)
	}
	if r := check(slow, 100*time.Millisecond); r.OK || r.Local || !strings.HasPrefix(r.Detail, "timeout after ") {
		t.Errorf("alone: %+v", r)
	}
	if matchMemory.Load() != 0 || len(longWork) != 0 {
		t.Errorf("%d bytes and %d turns are left", matchMemory.Load(), len(longWork))
	}
}

// processTime returns the user and system time of this process so far.
func processTime() time.Duration {
	var r unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// TestLargeExpressionMemoryIsBounded checks that exceeding the memory limit does not count against the server.
func TestLargeExpressionMemoryIsBounded(t *testing.T) {
	matchMemory.Add(maxMatching)
	defer matchMemory.Add(-maxMatching)
	if _, err := find(t, t.Context(), heavy, strings.NewReader("b"), 0, 0); err != errMatchMemory {
		t.Errorf("a large one: %v", err)
	}
	if found, err := find(t, t.Context(), "^b$", strings.NewReader("b"), 0, 0); !found || err != nil {
		t.Errorf("a small one: %v, %v", found, err)
	}
}

func BenchmarkBodyMatch(b *testing.B) {
	body := bytes.Repeat([]byte("a"), 16<<10)
	for _, expression := range []string{"never", "(?i)never", "a.*never"} {
		b.Run(expression, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			buffered := bufio.NewReaderSize(nil, 4096)
			m, err := newBodyMatch(expression)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, _, err := m.find(b.Context(), bytes.NewReader(body), buffered); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
