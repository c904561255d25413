package speaker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// pipeListener accepts in-memory connections.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return nil }

func (l *pipeListener) dial(ctx context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// office is a server with a list in place of an engine.
type office struct {
	*server
	listener *pipeListener
	mu       sync.Mutex
	statuses []vrrp.Status
	counts   map[string]vrrp.Counters
	wanted   []vrrp.Wanted
	lost     int
}

// dialOnce returns a function that connects once, and is refused after that.
func (o *office) dialOnce() func(context.Context) (net.Conn, error) {
	connected := false
	return func(ctx context.Context) (net.Conn, error) {
		if connected {
			return nil, errors.New("connection refused")
		}
		connected = true
		return o.listener.dial(ctx)
	}
}

func (o *office) all() []vrrp.Status {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.statuses
}

func withOffice(t *testing.T, f func(t *testing.T, o *office)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := &office{listener: newPipeListener(), statuses: []vrrp.Status{{Name: "v", State: vrrp.Backup}, {Name: "w"}}}
		o.server = &server{
			log:     slog.New(slog.DiscardHandler),
			history: newHistory(&series{}),
			arrived: func(c *directorConn) { c.put(news{Statuses: o.all()}) },
			ordered: func(c *directorConn, in order) {
				o.mu.Lock()
				defer o.mu.Unlock()
				if in.Wanted != nil {
					o.wanted = append(o.wanted, *in.Wanted)
				}
				if in.Report && in.Counts {
					c.put(news{Counters: o.counts, Report: true})
				} else if in.Report {
					c.put(news{Statuses: o.statuses, Report: true, Figures: &vrrp.Figures{PID: 7}})
				}
			},
			left: func() {
				o.mu.Lock()
				defer o.mu.Unlock()
				o.lost++
			},
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := o.serve(ctx, o.listener); err != nil {
				t.Error(err)
			}
		}()
		f(t, o)
		cancel()
		o.listener.Close()
		<-done
	})
}

// desk is a client that records what it receives.
type desk struct {
	*Client
	mu     sync.Mutex
	heard  []vrrp.Status
	counts map[string]vrrp.Counters
	linked []bool
	moves  []vrrp.Transition
	stop   func()
}

func newDesk(t *testing.T, dial func(context.Context) (net.Conn, error)) *desk {
	d := &desk{}
	d.Client = NewClient(ClientOptions{
		Logger: slog.New(slog.DiscardHandler),
		Statuses: func(s []vrrp.Status) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.heard = append(d.heard, s...)
		},
		Counters: func(all map[string]vrrp.Counters) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.counts = all
		},
		Transitions: func(list []vrrp.Transition) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.moves = append(d.moves, list...)
		},
		Connected: func(yes bool) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.linked = append(d.linked, yes)
		},
	})
	d.dial = dial
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.Run(ctx)
	}()
	d.stop = func() { cancel(); <-done }
	return d
}

func (d *desk) take() (heard []vrrp.Status, linked []bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	heard, linked = d.heard, d.linked
	d.heard, d.linked = nil, nil
	return heard, linked
}

func TestClientAndServer(t *testing.T) {
	withOffice(t, func(t *testing.T, o *office) {
		d := newDesk(t, o.listener.dial)
		defer d.stop()
		synctest.Wait()
		heard, linked := d.take()
		if len(heard) != 2 || fmt.Sprint(linked) != "[true]" {
			t.Errorf("on connecting: received %v, connected %v", heard, linked)
		}
		d.Set(vrrp.Wanted{DirectorGrace: time.Second})
		synctest.Wait()
		if len(o.wanted) != 1 || o.wanted[0].DirectorGrace != time.Second {
			t.Errorf("wanted: %+v", o.wanted)
		}
		o.publish([]vrrp.Status{{Name: "v", State: vrrp.Master}})
		synctest.Wait()
		if heard, _ := d.take(); len(heard) != 1 || heard[0].State != vrrp.Master {
			t.Errorf("received %v", heard)
		}
		err := d.Report(t.Context(), true)
		if heard, _ := d.take(); err != nil || len(heard) != 2 || d.Figures().PID != 7 {
			t.Errorf("report %v, %+v, %v", heard, d.Figures(), err)
		}
		o.counts = map[string]vrrp.Counters{"v": {AdvertsSent: 1 << 60}, "w": {Dropped: map[string]uint64{"ttl": 1}}}
		err = d.Report(t.Context(), false)
		if heard, _ := d.take(); err != nil || len(heard) != 0 || !reflect.DeepEqual(d.counts, o.counts) {
			t.Errorf("report %v, %+v, %v", heard, d.counts, err)
		}
	})
}

func TestClientComesBack(t *testing.T) {
	withOffice(t, func(t *testing.T, o *office) {
		var tries atomic.Int64
		var up atomic.Bool
		d := newDesk(t, func(ctx context.Context) (net.Conn, error) {
			tries.Add(1)
			if !up.Load() {
				return nil, errors.New("connection refused")
			}
			return o.listener.dial(ctx)
		})
		defer d.stop()
		d.Set(vrrp.Wanted{DirectorGrace: time.Second})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := tries.Load(); n < 40 || n > 60 {
			t.Errorf("tried %d times in 10 s", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := d.Report(ctx, true); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a report without a speaker: %v", err)
		}
		up.Store(true)
		time.Sleep(connectRetryMost)
		synctest.Wait()
		o.server.mu.Lock()
		c := o.current
		o.server.mu.Unlock()
		c.close() // the speaker ends
		time.Sleep(time.Second)
		synctest.Wait()
		if len(o.wanted) != 2 {
			t.Errorf("received %d wanted states, want one for each connection", len(o.wanted))
		}
		if _, linked := d.take(); fmt.Sprint(linked) != "[true false true]" {
			t.Errorf("connected %v", linked)
		}
	})
}

// TestNewDirectorReplacesOld connects a second director while the first is connected.
func TestNewDirectorReplacesOld(t *testing.T) {
	withOffice(t, func(t *testing.T, o *office) {
		first, err := o.listener.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var n news
		if err := json.NewDecoder(first).Decode(&n); err != nil {
			t.Fatal(err)
		}
		second := newDesk(t, o.listener.dial)
		synctest.Wait()
		if _, err := first.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the first director's connection: %v", err)
		}
		if o.lost != 0 {
			t.Error("the director counts as lost")
		}
		second.stop()
		synctest.Wait()
		if o.lost != 1 {
			t.Errorf("the director is lost %d times", o.lost)
		}
	})
}

// TestEndOfADirectorIsNoWarning: a director also ends at a stop and in an upgrade. Only one that sends nonsense is a fault of its own.
func TestEndOfADirectorIsNoWarning(t *testing.T) {
	withOffice(t, func(t *testing.T, o *office) {
		var log bytes.Buffer
		o.log = slog.New(slog.NewTextHandler(&log, nil))
		for _, tt := range []struct {
			said  string
			level slog.Level
		}{{"", slog.LevelInfo}, {"nonsense\n", slog.LevelWarn}} {
			conn, err := o.listener.dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			log.Reset()
			go func() { _, _ = io.Copy(io.Discard, conn) }()
			_, _ = conn.Write([]byte(tt.said))
			conn.Close()
			synctest.Wait()
			if got := log.String(); !strings.Contains(got, "level="+tt.level.String()+" ") || strings.Count(got, "\n") != 1 {
				t.Errorf("after %q, the log is %q", tt.said, got)
			}
		}
	})
}

// TestStuckDirector checks that a director that does not read is disconnected and blocks no goroutine.
func TestStuckDirector(t *testing.T) {
	withOffice(t, func(t *testing.T, o *office) {
		conn, err := o.listener.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for i := range 10000 {
			o.publish([]vrrp.Status{{Name: "v", Transitions: uint64(i)}})
		}
		if time.Since(began) != 0 {
			t.Error("publishing waited for the director")
		}
		time.Sleep(directorWriteTimeout)
		synctest.Wait()
		if _, err := conn.Write([]byte("{}")); err == nil {
			t.Error("it was not cut off")
		}
	})
}

// TestSlowDirector checks that a slow director receives only the latest status of each instance.
func TestSlowDirector(t *testing.T) {
	withOffice(t, func(t *testing.T, o *office) {
		conn, err := o.listener.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the writer is busy with the first line
		for i := range 1000 {
			o.send(news{Counters: map[string]vrrp.Counters{"v": {}, "w": {}}})
			o.publish([]vrrp.Status{{Name: "v", Transitions: uint64(i)}, {Name: "w"}})
		}
		d := json.NewDecoder(conn)
		var lines []news
		for range 2 {
			var n news
			if err := d.Decode(&n); err != nil {
				t.Fatal(err)
			}
			lines = append(lines, n)
		}
		if got := lines[1].Statuses; len(got) != 2 || got[0].Transitions != 999 || got[1].Name != "w" {
			t.Errorf("second line: %+v", got)
		}
		if len(lines[1].Counters) > 0 {
			t.Errorf("the counters are older than the statuses: %+v", lines[1].Counters)
		}
	})
}

func TestFarewell(t *testing.T) {
	withOffice(t, func(t *testing.T, o *office) {
		d := newDesk(t, o.dialOnce())
		defer d.stop()
		synctest.Wait()
		d.take()
		o.publish([]vrrp.Status{{Name: "v", State: vrrp.Initialize}})
		o.finish(farewellTimeout)
		synctest.Wait()
		heard, linked := d.take()
		if len(heard) != 1 || heard[0].State != vrrp.Initialize || fmt.Sprint(linked) != "[false]" {
			t.Errorf("received %v, connected %v", heard, linked)
		}
		if o.lost != 0 {
			t.Error("the director counts as lost")
		}
		o.finish(farewellTimeout) // no director is connected
	})
}

func TestJunkFromDirector(t *testing.T) {
	withOffice(t, func(t *testing.T, o *office) {
		conn, err := o.listener.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		go io.Copy(io.Discard, conn)
		for _, line := range []string{`{"something":"new"}`, `{"wanted":{"instances":[]}}`, `{"wanted":7}`} {
			if _, err := io.WriteString(conn, line+"\n"); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if len(o.wanted) != 1 || o.lost != 1 {
			t.Errorf("wanted %v, lost %d times", o.wanted, o.lost)
		}
	})
}
