package onecpu

import (
	"strings"
	"sync"
)

// daemonLog keeps the last warnings and errors of a log and counts restarted workers.
type daemonLog struct {
	mu     sync.Mutex
	rest   string
	again  int
	recent []string
}

func (l *daemonLog) Write(p []byte) (int, error) {
	const kept, width = 8, 300
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest += string(p)
	for {
		line, rest, ok := strings.Cut(l.rest, "\n")
		if !ok {
			return len(p), nil
		}
		l.rest = rest
		if strings.Contains(line, " restarted=true") {
			l.again++
		}
		if strings.Contains(line, " level=INFO ") {
			continue
		}
		l.recent = append(l.recent, line[:min(len(line), width)])
		l.recent = l.recent[max(0, len(l.recent)-kept):]
	}
}

func (l *daemonLog) restarts() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.again
}

func (l *daemonLog) end() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.recent, "\n")
}
