package main

import (
	"fmt"
	"io"
	"sync/atomic"
)

// patientWriter passes lines on from a goroutine of its own, so that a reader of our log that stands still, such as a
// full pipe, never stops the speaker. Lines that find the queue full are dropped and counted.
type patientWriter struct {
	lines   chan []byte
	dropped atomic.Uint64
}

// patientLines is how many lines may wait.
const patientLines = 1024

func newPatientWriter(w io.Writer) *patientWriter {
	p := &patientWriter{lines: make(chan []byte, patientLines)}
	go func() {
		for line := range p.lines {
			if n := p.dropped.Swap(0); n > 0 {
				fmt.Fprintf(w, "level=WARN msg=\"log lines dropped: nobody reads the log fast enough\" lines=%d\n", n)
			}
			w.Write(line)
		}
	}()
	return p
}

// Write queues a line. It never blocks and never fails.
func (p *patientWriter) Write(line []byte) (int, error) {
	select {
	case p.lines <- append([]byte(nil), line...):
	default:
		p.dropped.Add(1)
	}
	return len(line), nil
}
