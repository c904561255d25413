package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

func TestFlushWritesQueuedLines(t *testing.T) {
	var out bytes.Buffer
	w := newQueuedWriter(&out, nil)
	for n := range 100 {
		fmt.Fprintf(w, "line %d\n", n)
	}
	w.flush()
	if got := out.String(); strings.Count(got, "\n") != 100 || !strings.HasSuffix(got, "line 99\n") {
		t.Errorf("written:\n%s", got)
	}
}

func TestDroppedLinesAreLogged(t *testing.T) {
	for format, want := range map[string]string{
		"text": ` level=ERROR msg="log lines dropped: log output is blocked or too slow" worker=speaker lines=(\d+)` + "\n$",
		"json": `,"level":"ERROR","msg":"log lines dropped: log output is blocked or too slow","worker":"speaker","lines":(\d+)}` + "\n$",
	} {
		told := regexp.MustCompile(want)
		r, w := io.Pipe()
		flags := logFlags{level: "error", format: format, worker: "speaker"}
		log, _, err := flags.open(w)
		if err != nil {
			t.Fatal(err)
		}
		const lines = queueLength + 100
		for range lines {
			log.Error("line")
		}
		read, dropped := 0, 0
		for in := bufio.NewReader(r); read+dropped < lines; {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(line, "dropped") {
				read++
				continue
			}
			parts := told.FindStringSubmatch(line)
			if parts == nil {
				t.Fatalf("%s: %s", format, line)
			}
			n, _ := strconv.Atoi(parts[1])
			dropped += n
		}
		if dropped == 0 || read+dropped > lines {
			t.Errorf("of %d lines, %d were read and %d reported as dropped", lines, read, dropped)
		}
	}
}

// clogged returns a full pipe without a reader.
func clogged(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	if err := w.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = w.Write(make([]byte, 4096))
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	return w
}

func TestFlushDoesNotWaitForBlockedReader(t *testing.T) {
	w := newQueuedWriter(clogged(t), nil)
	fmt.Fprintln(w, "a line")
	began := time.Now()
	w.flush()
	if took := time.Since(began); took > 100*flushTimeout {
		t.Errorf("it took %v", took)
	}
}

// broken returns a pipe whose reader is closed.
func broken(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestHostUnreadLogDoesNotBlockProcesses(t *testing.T) {
	lab.Need(t, lab.Host)
	for name, pipe := range map[string]func(*testing.T) *os.File{"a reader that stands still": clogged, "a reader that is gone": broken} {
		t.Run(name, func(t *testing.T) { runsWithLog(t, pipe(t)) })
	}
}

func runsWithLog(t *testing.T, pipe *os.File) {
	p := newPlace(t)
	p.configure(gateway)
	d := &daemon{place: p, ended: make(chan struct{})}
	d.cmd = p.host.Command(context.Background(), "lvs-ha", "run", "-c", p.path("lvs-ha.hcl"), "--runtime-dir", p.path("run"))
	pipe.Fd() // blocking mode, as inherited by programs
	d.cmd.Stdout, d.cmd.Stderr = pipe, pipe
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = d.cmd.Wait()
		close(d.ended)
	}()
	t.Cleanup(func() {
		_ = d.cmd.Process.Signal(syscall.SIGKILL)
		<-d.ended
	})
	d.awaitStatus("master", isMaster)
	p.wantAnswer(p.asked("reload"), 0, "reloaded\n")
	before := d.awaitStatus("master", isMaster)
	for _, pid := range strings.Fields(p.run("pgrep", "-P", fmt.Sprint(d.cmd.Process.Pid)).stdout) {
		p.run("kill", "-KILL", pid)
	}
	d.awaitStatus("master again, by new processes", func(s api.Status) bool { return isMaster(s) && s.Started.After(before.Started) })
	if took := d.stop(); took > promptly {
		t.Errorf("stopping took %v", took)
	}
}
