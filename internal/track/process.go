package track

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
)

// processInterval is how often processes are counted.
const processInterval = 250 * time.Millisecond

// maxComm is the length of a process's name (linux/sched.h, TASK_COMM_LEN, without its final zero).
const maxComm = 15

// watchProcess counts processes at intervals.
func (t *Tracker) watchProcess(ctx context.Context, c config.TrackProcess, r *reporter) {
	settled, since := Unknown, time.Time{}
	for {
		now := time.Now()
		state, reason := Good, ""
		switch n, err := t.processes.count(c, now); {
		case err != nil:
			state, reason = r.last.State, err.Error()
		case n < c.Minimum:
			state, reason = Bad, fmt.Sprintf("%d processes, at least %d required", n, c.Minimum)
		case c.Maximum >= 0 && n > c.Maximum:
			state, reason = Bad, fmt.Sprintf("%d processes, at most %d allowed", n, c.Maximum)
		default:
			reason = fmt.Sprintf("%d processes", n)
		}
		if settled, since = settle(c, settled, since, state, now); settled != Unknown {
			r.put(ctx, Result{State: settled, Reason: reason})
		}
		if !pause(ctx, now.Add(processInterval)) {
			return
		}
	}
}

// settle applies the delays: a state counts when it has lasted. since is when another state than the one that counts began.
func settle(c config.TrackProcess, counts State, since time.Time, state State, now time.Time) (State, time.Time) {
	if state == counts || counts == Unknown {
		return state, time.Time{}
	}
	if since.IsZero() {
		since = now
	}
	delay := c.DelayDown
	if state == Good {
		delay = c.DelayUp
	}
	if now.Sub(since) < delay {
		return counts, since
	}
	return state, time.Time{}
}

// processes is a list of all processes that tracks share.
type processes struct {
	dir string // /proc

	mu    sync.Mutex
	at    time.Time
	names map[string]int // how many processes have the name
	pids  []string
	err   error
}

// count counts the processes that a track names, not older than half an interval.
func (p *processes) count(c config.TrackProcess, now time.Time) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.at) > processInterval/2 {
		p.at = now
		p.read()
	}
	if p.err != nil {
		return 0, p.err
	}
	if len(c.Command) == 0 {
		return p.names[c.Process[:min(len(c.Process), maxComm)]], nil
	}
	n := 0
	want := strings.Join(c.Command, "\x00") + "\x00"
	for _, pid := range p.pids {
		line, err := os.ReadFile(filepath.Join(p.dir, pid, "cmdline"))
		if err == nil && strings.HasPrefix(string(line), want) {
			n++
		}
	}
	return n, nil
}

func (p *processes) read() {
	p.names, p.pids, p.err = map[string]int{}, nil, nil
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		p.err = err
		return
	}
	for _, e := range entries {
		if _, err := strconv.ParseUint(e.Name(), 10, 32); err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join(p.dir, e.Name(), "stat"))
		if err != nil {
			continue // it has ended
		}
		name, state, ok := parseStat(stat)
		if !ok || state == 'Z' || state == 'X' {
			continue
		}
		p.names[name]++
		p.pids = append(p.pids, e.Name())
	}
}

// parseStat reads name and state of a process (proc_pid_stat(5)). The name may contain anything, also parentheses.
func parseStat(line []byte) (name string, state byte, ok bool) {
	first, last := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if first < 0 || last < first || len(line) < last+3 {
		return "", 0, false
	}
	return string(line[first+1 : last]), line[last+2], true
}
