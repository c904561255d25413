package loglimit_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/loglimit"
)

// book is a handler that records the times of lines and the numbers of suppressed lines that they report.
type book struct {
	mu      sync.Mutex
	times   []time.Time
	leftOut uint64
}

func (b *book) Enabled(context.Context, slog.Level) bool { return true }
func (b *book) WithAttrs([]slog.Attr) slog.Handler       { return b }
func (b *book) WithGroup(string) slog.Handler            { return b }

func (b *book) Handle(_ context.Context, r slog.Record) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.times = append(b.times, r.Time)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "left_out" || a.Key == "lines" {
			b.leftOut += a.Value.Uint64()
		}
		return true
	})
	return nil
}

// lines returns the number of lines.
func (b *book) lines() int {
	b.mu.Lock() // the report is written by a timer
	defer b.mu.Unlock()
	return len(b.times)
}

// most returns the largest number of lines within any second after the given time.
func (b *book) most(since time.Time) int {
	b.mu.Lock() // the last report is written by a timer
	defer b.mu.Unlock()
	most := 0
	for i, at := range b.times {
		n := 0
		for _, other := range b.times[i:] {
			if other.Sub(at) >= time.Second {
				break
			}
			n++
		}
		if !at.Before(since) {
			most = max(most, n)
		}
	}
	return most
}

const perSecond = 10

func TestExternalLinesAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b book
		h := loglimit.New(&b)
		log := loglimit.Outside(slog.New(h))
		const sent = 8_000
		for i := range sent {
			log.Warn(fmt.Sprintf("message %d", i%3), "instance", fmt.Sprint("v", i%50), "source", i)
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Minute)
		if n := b.most(time.Time{}); n > perSecond {
			t.Errorf("%d lines within a second", n)
		}
		lines := uint64(len(b.times))
		reports := lines - (sent - b.leftOut)
		if lines < 10 || reports < 1 || reports > 2 {
			t.Errorf("%d lines, of which %d reports, and %d reported as left out, of %d", lines, reports, b.leftOut, sent)
		}
	})
}

// TestOwnChangesAreAllLogged changes the state of every instance and every server at once, as when a switch fails.
func TestOwnChangesAreAllLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b book
		log := slog.New(loglimit.New(&b))
		for round := range 4 { // fewer than a router's state changes in a failover
			for i := range 1000 {
				log.Info("state changed", "instance", fmt.Sprint("v", i), "round", round)
			}
		}
		time.Sleep(time.Minute)
		if len(b.times) != 4000 || b.leftOut != 0 {
			t.Errorf("%d lines, %d left out", len(b.times), b.leftOut)
		}
	})
}

// TestFlappingIsLimited has endless state changes, of each instance and of all of them together.
func TestFlappingIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, instances := range []int{1, 255} {
			var b book
			log := slog.New(loglimit.New(&b))
			sent := uint64(0)
			for range 1200 {
				for i := range instances {
					log.Info("state changed", "instance", fmt.Sprint("v", i))
					sent++
				}
				time.Sleep(250 * time.Millisecond)
			}
			time.Sleep(time.Minute)
			if n := b.most(time.Now().Add(-3 * time.Minute)); n > perSecond {
				t.Errorf("%d instances: %d lines within a second, at the end", instances, n)
			}
			if instances == 1 && len(b.times) > 30+100 {
				t.Errorf("%d lines of one instance in 300 s", len(b.times))
			}
			if written := sent - b.leftOut; written > uint64(len(b.times)) || uint64(len(b.times))-written > 100 {
				t.Errorf("%d instances: %d lines and %d left out, of %d", instances, len(b.times), b.leftOut, sent)
			}
		}
	})
}

func TestOneCauseDoesNotHideAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b book
		log := loglimit.Outside(slog.New(loglimit.New(&b)))
		for range 10_000 {
			log.Warn("flood", "instance", "v")
			time.Sleep(time.Millisecond)
		}
		n := len(b.times)
		log.Warn("packet dropped", "reason", "checksum-mode", "instance", "v")
		log.Warn("packet dropped", "reason", "auth-failed", "instance", "v")
		if len(b.times) != n+2 {
			t.Errorf("%d of 2 lines written during a flood", len(b.times)-n)
		}
	})
}

func TestManyCausesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b book
		h := loglimit.New(&b)
		log := slog.New(h)
		for i := range 100_000 {
			log.Info("health", "endpoint", i)
		}
		h.Flush()
		if written := 100_000 - b.leftOut; written != uint64(len(b.times)-1) {
			t.Errorf("%d lines, %d left out", len(b.times), b.leftOut)
		}
	})
}

func BenchmarkLeftOut(b *testing.B) {
	log := loglimit.Outside(slog.New(loglimit.New(&book{})))
	for b.Loop() {
		log.Warn("packet dropped", "reason", "checksum", "instance", "v")
	}
}

// TestManyServersShareALimit lets a thousand real servers fail and return at once: each message is written some hundred times, and all
// others are counted. It does not suppress the lines of instances.
func TestManyServersShareALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b book
		log := slog.New(loglimit.New(&b))
		const servers = 1000
		for i := range servers {
			log.Warn("health changed", "endpoint", fmt.Sprint("10.0.0.1:", i))
			log.Info("IPVS table changed", "step", fmt.Sprint("edit server 10.0.0.1:", i))
		}
		before := b.lines()
		if before < 100 || before > 600 {
			t.Errorf("%d lines of %d", before, 2*servers)
		}
		log.Info("state changed", "instance", "v")
		if b.lines() != before+1 {
			t.Error("the line of an instance was suppressed")
		}
		time.Sleep(time.Minute)
		written := b.lines() - 2 // without the report and the instance
		b.mu.Lock()
		defer b.mu.Unlock()
		if written+int(b.leftOut) != 2*servers {
			t.Errorf("%d lines and %d left out, of %d", written, b.leftOut, 2*servers)
		}
	})
}
