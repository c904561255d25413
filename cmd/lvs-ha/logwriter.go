package main

import (
	"io"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// queuedWriter writes lines from its own goroutine, so that a blocked reader of the log, such as a full pipe, delays
// neither adverts nor checks nor worker restarts. If the queue is full, lines are dropped and counted.
type queuedWriter struct {
	lines     chan queuedLine
	dropped   atomic.Uint64
	onDropped func(dropped uint64) // called with the number of dropped lines once there is room again
}

// queuedLine is a line, or, without text, a request for notification when all previous lines have been written.
type queuedLine struct {
	text    []byte
	written chan struct{}
}

const (
	queueLength  = 1024                   // capacity of the queue
	flushTimeout = 100 * time.Millisecond // time limit for the flush on exit
)

func newQueuedWriter(w io.Writer, onDropped func(dropped uint64)) *queuedWriter {
	signal.Ignore(syscall.SIGPIPE) // a closed pipe must not end the process
	p := &queuedWriter{lines: make(chan queuedLine, queueLength), onDropped: onDropped}
	go func() {
		for line := range p.lines {
			if line.written != nil {
				close(line.written)
				continue
			}
			if n := p.dropped.Swap(0); n > 0 {
				p.onDropped(n)
			}
			w.Write(line.text)
		}
	}()
	return p
}

// Write queues a line. It never blocks and never fails.
func (p *queuedWriter) Write(line []byte) (int, error) {
	select {
	case p.lines <- queuedLine{text: append([]byte(nil), line...)}:
	default:
		p.dropped.Add(1)
	}
	return len(line), nil
}

// flush waits for queued lines, for a limited time.
func (p *queuedWriter) flush() {
	end := time.After(flushTimeout)
	written := make(chan struct{})
	select {
	case p.lines <- queuedLine{written: written}:
	case <-end:
		return
	}
	select {
	case <-written:
	case <-end:
	}
}
