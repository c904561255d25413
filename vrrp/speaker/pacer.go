package speaker

import "time"

// pacer pauses a goroutine that works for long, so that the kernel's threads of normal priority get the CPU: those that
// receive packets when the CPU is busy. Without it, a speaker with the only CPU and the best nice value leaves them a hundredth.
type pacer struct {
	needed func() bool // whether such threads may wait for this process; nil: never
	since  time.Time   // of the last pause
}

const (
	paceAfter = time.Millisecond
	paceRest  = time.Millisecond
	paceIdle  = 20 * time.Millisecond // after that time, the work has just begun
)

// pause is called between two pieces of work.
func (p *pacer) pause() {
	if p.needed == nil || !p.needed() {
		return
	}
	now := time.Now()
	switch passed := now.Sub(p.since); {
	case passed < paceAfter:
		return
	case passed < paceIdle:
		time.Sleep(paceRest)
		now = time.Now()
	}
	p.since = now
}
