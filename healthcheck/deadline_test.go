package healthcheck

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

type contextKey struct{}

// TestDeadline compares deadline with a context made by context.WithTimeout.
func TestDeadline(t *testing.T) {
	for name, make := range map[string]maker{
		"ours": func(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
			c := newDeadline(parent, d)
			return c, c.cancel
		},
		"WithTimeout": context.WithTimeout,
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { tryContext(t, make) }) })
	}
}

type maker func(context.Context, time.Duration) (context.Context, context.CancelFunc)

func tryContext(t *testing.T, make maker) {
	parent := context.WithValue(t.Context(), contextKey{}, "value")
	began := time.Now()
	c, cancel := make(parent, time.Second)
	if at, ok := c.Deadline(); !ok || at.Sub(began) != time.Second || c.Err() != nil || c.Value(contextKey{}) != "value" {
		t.Errorf("deadline %v, error %v, value %v", at, c.Err(), c.Value(contextKey{}))
	}
	derived, release := context.WithCancel(c)
	defer release()
	calls := 0
	stop := cut(c, func() { calls++ })
	<-derived.Done()
	synctest.Wait()
	if took := time.Since(began); took != time.Second || !errors.Is(c.Err(), context.DeadlineExceeded) || calls != 1 {
		t.Errorf("after %v: error %v, %d calls", took, c.Err(), calls)
	}
	stop()
	cancel()
	<-c.Done()
	if !errors.Is(c.Err(), context.DeadlineExceeded) {
		t.Errorf("cancelled after its end: %v", c.Err())
	}
	cut(c, func() { calls++ })
	synctest.Wait()
	if calls != 2 {
		t.Error("what is to be cut after the end is not cut")
	}

	c, cancel = make(parent, time.Hour)
	stop = cut(c, func() { calls++ })
	stop()
	cancel()
	cancel()
	<-c.Done()
	synctest.Wait()
	if !errors.Is(c.Err(), context.Canceled) || calls != 2 {
		t.Errorf("cancelled: error %v, %d calls", c.Err(), calls)
	}
	c, cancel = make(parent, 0)
	defer cancel()
	<-c.Done()
	if !errors.Is(c.Err(), context.DeadlineExceeded) {
		t.Errorf("no time at all: %v", c.Err())
	}
}

func BenchmarkDeadline(b *testing.B) {
	parent, cancel := context.WithCancel(b.Context())
	defer cancel()
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c := newDeadline(parent, time.Second)
			cut(c, func() {})()
			c.cancel()
		}
	})
	b.Run("WithTimeout", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c, cancel := context.WithTimeout(parent, time.Second)
			cut(c, func() {})()
			cancel()
		}
	})
}
