package main

import (
	"io"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// patientWriter passes lines on from a goroutine of its own, so that a reader of our log that stands still, such as a
// full pipe, stops neither adverts nor checks nor the restart of a worker. Lines that find the queue full are dropped
// and counted.
type patientWriter struct {
	lines   chan patientLine
	dropped atomic.Uint64
	tell    func(dropped uint64) // in the log, when there is room again
}

// patientLine is a line, or, without one, a question whether all lines before it are written.
type patientLine struct {
	text    []byte
	written chan struct{}
}

const (
	patientLines = 1024                   // may wait
	patientFlush = 100 * time.Millisecond // for what waits at the end of the process
)

func newPatientWriter(w io.Writer, tell func(dropped uint64)) *patientWriter {
	signal.Ignore(syscall.SIGPIPE) // a reader that is gone is no reason to end
	p := &patientWriter{lines: make(chan patientLine, patientLines), tell: tell}
	go func() {
		for line := range p.lines {
			if line.written != nil {
				close(line.written)
				continue
			}
			if n := p.dropped.Swap(0); n > 0 {
				p.tell(n)
			}
			w.Write(line.text)
		}
	}()
	return p
}

// Write queues a line. It never blocks and never fails.
func (p *patientWriter) Write(line []byte) (int, error) {
	select {
	case p.lines <- patientLine{text: append([]byte(nil), line...)}:
	default:
		p.dropped.Add(1)
	}
	return len(line), nil
}

// flush waits until what was queued is written, but not long.
func (p *patientWriter) flush() {
	end := time.After(patientFlush)
	written := make(chan struct{})
	select {
	case p.lines <- patientLine{written: written}:
	case <-end:
		return
	}
	select {
	case <-written:
	case <-end:
	}
}
