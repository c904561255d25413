package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/history"
	"github.com/lvs-ha/lvs-ha/internal/script"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// desk is a notifier whose scripts are recorded.
type desk struct {
	*Notifier
	next uint64

	mu     sync.Mutex
	ran    []string
	saved  Progress
	takes  map[string]time.Duration // by program
	fails  map[string]bool
	unsafe map[string]error
}

func newDesk(former Progress) *desk {
	d := &desk{takes: map[string]time.Duration{}, fails: map[string]bool{}}
	d.Notifier = New(Options{
		Former: former, Logger: slog.New(slog.DiscardHandler),
		Check: func(c script.Command) error {
			d.mu.Lock()
			defer d.mu.Unlock()
			return d.unsafe[c.Args[0]]
		},
		Run: func(ctx context.Context, c script.Command) script.Result {
			d.mu.Lock()
			d.ran = append(d.ran, strings.Join(c.Args, " "))
			takes, fails := d.takes[c.Args[0]], d.fails[c.Args[0]]
			d.mu.Unlock()
			select {
			case <-time.After(takes):
			case <-ctx.Done():
				return script.Result{NotRun: ctx.Err()}
			}
			if fails {
				return script.Result{ExitCode: 1}
			}
			return script.Result{}
		},
		Save: func(p Progress) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.saved = p
		},
	})
	return d
}

// instances returns a configuration with instances of these names. The scripts of each contain its name.
func instances(names ...string) *config.Config {
	cfg := &config.Config{Node: "lb1"}
	for _, name := range names {
		cfg.VRRP = append(cfg.VRRP, config.VRRP{
			Instance: vrrp.Instance{Name: name},
			Notify:   &config.Notify{Master: []string{name + "-master"}, All: []string{name + "-all", "x"}, Timeout: time.Second},
		})
	}
	return cfg
}

// with runs f while no script and no notification is running.
func (d *desk) with(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

// progress returns what was saved last.
func (d *desk) progress() map[string]uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.saved.Receivers)
}

// sort sorts what has run, since receivers do not wait for each other.
func (d *desk) sort() { d.with(func() { slices.Sort(d.ran) }) }

// moves moves an instance through states.
func (d *desk) moves(name string, states ...vrrp.State) {
	for _, to := range states {
		d.next++
		d.Event(history.Event{Transition: vrrp.Transition{Series: "s", Sequence: d.next, Instance: name, To: to, Reason: vrrp.ReasonTrack, Priority: 100}}, false)
	}
	synctest.Wait()
}

func (d *desk) wantRan(t *testing.T, want ...string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.ran, want) {
		t.Errorf("ran %q\nwant %q", d.ran, want)
	}
	d.ran = nil
}

// TestNoFaultBeforeAResult: an instance that waits for the first result of a script has no fault.
func TestNoFaultBeforeAResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(Progress{})
		d.Update(instances("web"))
		d.Event(history.Event{Transition: vrrp.Transition{Series: "s", Sequence: 1, Instance: "web", To: vrrp.Initialize, Reason: vrrp.ReasonTrackPending}}, false)
		synctest.Wait()
		d.wantRan(t)
		d.Event(history.Event{Transition: vrrp.Transition{Series: "s", Sequence: 2, Instance: "web", To: vrrp.Initialize, Reason: vrrp.ReasonTrack}}, false)
		synctest.Wait()
		d.wantRan(t, "web-all x INSTANCE web FAULT 0")
		d.Stop(time.Now().Add(time.Minute))
	})
}

func TestScripts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(Progress{})
		d.Update(instances("web"))
		d.moves("web", vrrp.Backup, vrrp.Master, vrrp.Leaving, vrrp.Master, vrrp.Leaving, vrrp.Initialize)
		d.moves("other", vrrp.Master)
		d.wantRan(t, "web-all x INSTANCE web BACKUP 100", "web-master", "web-all x INSTANCE web MASTER 100", "web-all x INSTANCE web FAULT 100")
		d.Stop(time.Now().Add(time.Minute))
		d.wantRan(t, "web-all x INSTANCE web STOP 0")
	})
}

func TestSlowReceiverDelaysOnlyItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(Progress{})
		d.with(func() { d.takes["slow-all"] = time.Hour })
		d.Update(instances("slow", "web"))
		d.moves("slow", vrrp.Backup, vrrp.Master)
		d.moves("web", vrrp.Backup, vrrp.Master)
		d.wantRan(t, "slow-all x INSTANCE slow BACKUP 100", "web-all x INSTANCE web BACKUP 100", "web-master", "web-all x INSTANCE web MASTER 100")
		if want := map[string]uint64{"notify slow": 0, "notify web": 4}; !maps.Equal(d.progress(), want) {
			t.Errorf("saved %v, want %v", d.progress(), want)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		d.wantRan(t, "slow-master", "slow-all x INSTANCE slow MASTER 100")
		if want := map[string]uint64{"notify slow": 4, "notify web": 4}; !maps.Equal(d.progress(), want) {
			t.Errorf("saved %v, want %v", d.progress(), want)
		}
		d.Stop(time.Now())
	})
}

func TestStopIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(Progress{})
		d.with(func() { d.takes["slow-all"] = time.Hour })
		d.Update(instances("slow", "web"))
		d.moves("slow", vrrp.Master)
		d.moves("web", vrrp.Master)
		d.with(func() { d.ran = nil })
		began := time.Now()
		d.Stop(began.Add(4 * time.Second))
		if took := time.Since(began); took != 4*time.Second {
			t.Errorf("the stop took %v", took)
		}
		d.wantRan(t, "web-all x INSTANCE web STOP 0")
		if left := d.progress()["notify slow"]; left != 0 {
			t.Errorf("the next process begins after %d", left)
		}
	})
}

// TestStopOfNextProcess: the speaker has exited without a transition, and nothing has changed since the previous process.
func TestStopOfNextProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(Progress{Series: "s", Receivers: map[string]uint64{"notify web": 1}})
		d.Update(instances("web"))
		d.Event(history.Event{Transition: vrrp.Transition{Series: "s", Sequence: 1, Instance: "web", To: vrrp.Master}}, true)
		synctest.Wait()
		d.wantRan(t)
		d.Stop(time.Now().Add(time.Minute))
		d.wantRan(t, "web-all x INSTANCE web STOP 0")
	})
}

// kept is a receiver that keeps all messages.
type kept struct{ messages []Message }

func (*kept) most() int           { return 1 }
func (*kept) pace() time.Duration { return 0 }
func (*kept) wants(Message) bool  { return true }
func (*kept) close()              {}
func (k *kept) deliver(_ context.Context, batch []Message) error {
	k.messages = append(k.messages, batch...)
	return nil
}

// TestMessagesAreDistinct checks that a receiver that skips repeated messages does not skip those of groups and of the stop.
func TestMessagesAreDistinct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(Progress{})
		cfg := instances("a", "b")
		cfg.SyncGroups = []config.SyncGroup{{Name: "g", Instances: []string{"a", "b"}}}
		d.Update(cfg)
		k := &kept{}
		q := newQueue("kept", k, d.Logger, func() {})
		d.queues["kept"] = q
		d.work.Go(func() { q.run(d.ctx) })
		d.moves("a", vrrp.Master)
		d.moves("b", vrrp.Master)
		d.Stop(time.Now().Add(time.Minute))
		type identity struct {
			kind string
			vrrp.Position
		}
		seen := map[identity]string{}
		for _, m := range k.messages {
			id := identity{m.kind(), m.Position()}
			if other := seen[id]; other != "" {
				t.Errorf("%s has the identity of %s: %v", strings.TrimSpace(m.line()), other, id)
			}
			seen[id] = strings.TrimSpace(m.line())
		}
		if len(k.messages) != 6 {
			t.Errorf("%d messages: %v", len(k.messages), seen)
		}
	})
}

func TestQueueDropsOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(Progress{})
		d.with(func() { d.takes["web-all"] = time.Hour })
		d.Update(instances("web"))
		for range queueLength {
			d.moves("web", vrrp.Backup, vrrp.Master)
		}
		s := d.Stats()[0]
		if s.Waiting != queueLength+1 || s.Dropped != queueLength-1 {
			t.Errorf("%+v", s)
		}
		d.with(func() { d.takes["web-all"], d.ran = 0, nil })
		time.Sleep(time.Hour)
		synctest.Wait()
		d.with(func() {
			if n := len(d.ran); d.ran[n-1] != "web-all x INSTANCE web MASTER 100" {
				t.Errorf("the last is %s", d.ran[n-1])
			}
		})
		d.Stop(time.Now().Add(time.Minute))
	})
}

// TestNextProcess replays the speaker's events, which were delivered to two receivers up to different numbers.
func TestNextProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(Progress{Series: "s", Receivers: map[string]uint64{"notify web": 3, "notify slow": 1}})
		d.Update(instances("slow", "web", "new"))
		for i, e := range []struct {
			name string
			to   vrrp.State
		}{{"slow", vrrp.Backup}, {"slow", vrrp.Master}, {"web", vrrp.Master}, {"new", vrrp.Master}, {"web", vrrp.Backup}} {
			n := uint64(i + 1)
			d.Event(history.Event{Transition: vrrp.Transition{Series: "s", Sequence: n, Instance: e.name, To: e.to}}, n < 5)
			synctest.Wait()
		}
		d.wantRan(t, "slow-master", "slow-all x INSTANCE slow MASTER 0", "web-all x INSTANCE web BACKUP 0")
		d.next = 5
		d.moves("web", vrrp.Backup, vrrp.Leaving)
		d.wantRan(t)
		d.Stop(time.Now().Add(time.Minute))
	})
}

func TestReceiversFollowTheConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(Progress{})
		d.with(func() { d.fails["web-master"] = true })
		d.Update(instances("web", "gone", "faulty"))
		d.moves("gone", vrrp.Master)
		d.moves("faulty", vrrp.Initialize)
		d.moves("web", vrrp.Master)
		d.with(func() { d.ran = nil })
		if s := d.Stats(); len(s) != 3 || s[2].Failed != 1 || s[2].Error != "the last notification failed: web-master: exit status 1" {
			t.Errorf("%+v", s)
		}
		cfg := instances("web")
		cfg.VRRP[0].Notify.All = []string{"changed"}
		d.Update(cfg)
		if s := d.Stats(); len(s) != 2 || s[1].Error != "" {
			t.Errorf("after the reload: %+v", s)
		}
		d.next++
		d.Event(history.Event{Transition: vrrp.Transition{Series: "s", Sequence: d.next, Instance: "gone", To: vrrp.Initialize, Reason: vrrp.ReasonRemoved}}, false)
		d.moves("web", vrrp.Backup)
		d.sort()
		d.wantRan(t, "changed INSTANCE web BACKUP 100", "gone-all x INSTANCE gone FAULT 0")
		if s := d.Stats(); len(s) != 1 {
			t.Errorf("after the end of the removed instance: %+v", s)
		}
		d.Stop(time.Now().Add(time.Minute))
		d.wantRan(t, "changed INSTANCE web STOP 0")
	})
}

func TestUnrunnableScriptIsReportedInAdvance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(Progress{})
		d.with(func() { d.unsafe = map[string]error{"web-master": errors.New("others can write to it")} })
		d.Update(instances("web"))
		synctest.Wait()
		if s := d.Stats()[0]; s.Error != "web-master: others can write to it" || s.Since.IsZero() {
			t.Errorf("%+v", s)
		}
		d.with(func() { d.unsafe = nil })
		cfg := instances("web")
		cfg.VRRP[0].Notify.Master = []string{"another"}
		d.Update(cfg)
		synctest.Wait()
		if s := d.Stats()[0]; s.Error != "" {
			t.Errorf("after the reload: %+v", s)
		}
		d.Stop(time.Now())
	})
}

func TestGroupFollowsItsMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(Progress{})
		cfg := instances("a", "b")
		cfg.VRRP[0].Notify, cfg.VRRP[1].Notify.Master = nil, nil
		cfg.SyncGroups = []config.SyncGroup{{Name: "g", Instances: []string{"a", "b"}, Notify: &config.Notify{Master: []string{"g-master"}, All: []string{"g-all"}, Timeout: time.Second}}}
		d.Update(cfg)
		d.moves("a", vrrp.Backup)
		d.moves("b", vrrp.Backup)
		d.sort()
		d.wantRan(t, "b-all x INSTANCE b BACKUP 100", "g-all GROUP g BACKUP 0")
		d.moves("b", vrrp.Master)
		d.wantRan(t, "b-all x INSTANCE b MASTER 100")
		d.moves("a", vrrp.Master, vrrp.Leaving, vrrp.Initialize)
		d.wantRan(t, "g-master", "g-all GROUP g MASTER 0")
		d.moves("b", vrrp.Initialize)
		d.sort()
		d.wantRan(t, "b-all x INSTANCE b FAULT 100", "g-all GROUP g FAULT 0")
		d.Stop(time.Now().Add(time.Minute))
		d.sort()
		d.wantRan(t, "b-all x INSTANCE b STOP 0", "g-all GROUP g STOP 0")
	})
}

func TestLinesEqualKeepaliveds(t *testing.T) {
	for _, tt := range []struct {
		m    Message
		want string
	}{
		{Message{Transition: vrrp.Transition{Instance: "web", Priority: 150}, State: stateMaster}, "INSTANCE \"web\" MASTER 150\n"},
		{Message{Transition: vrrp.Transition{Instance: "both", Priority: 150, Group: true}, State: stateFault}, "GROUP \"both\" FAULT 0\n"},
	} {
		if got := tt.m.line(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// flaky is a receiver that fails a number of times.
type flaky struct {
	gap time.Duration

	mu       sync.Mutex
	failures int
	batches  []int
}

func (f *flaky) most() int           { return 3 }
func (f *flaky) pace() time.Duration { return f.gap }
func (f *flaky) wants(Message) bool  { return true }
func (f *flaky) close()              {}
func (f *flaky) deliver(ctx context.Context, batch []Message) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.batches = append(f.batches, len(batch))
	if f.failures--; f.failures >= 0 {
		return errors.New("refused")
	}
	return nil
}

func TestQueueKeepsPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &flaky{gap: time.Minute}
		q := newQueue("test", r, slog.New(slog.DiscardHandler), func() {})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go q.run(ctx)
		for range 8 {
			q.put(Message{})
			synctest.Wait()
		}
		want := func(want string) {
			t.Helper()
			synctest.Wait()
			r.mu.Lock()
			defer r.mu.Unlock()
			if got := fmt.Sprint(r.batches); got != want {
				t.Errorf("batches %s, want %s", got, want)
			}
		}
		want("[1]")
		time.Sleep(time.Minute)
		want("[1 3]")
		time.Sleep(time.Minute)
		want("[1 3 3]")
		q.change(func() { q.closed, q.hurried = true, true })
		want("[1 3 3 1]")
	})
}

func TestRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			errs     []error
			attempts int
			took     time.Duration
			fails    bool
		}{
			{[]error{nil}, 1, 0, false},
			{[]error{errors.New("a"), errors.New("b"), nil}, 3, 3 * time.Second, false},
			{[]error{errFinal{errors.New("a")}}, 1, 0, true},
			{slices.Repeat([]error{errors.New("a")}, 8), 8, (1 + 2 + 4 + 8 + 16 + 30 + 30) * time.Second, true},
		} {
			n, began := 0, time.Now()
			err := retry(t.Context(), 7, func() error { n++; return tt.errs[n-1] })
			if n != tt.attempts || time.Since(began) != tt.took || (err != nil) != tt.fails {
				t.Errorf("%v: %d attempts in %v, %v", tt.errs, n, time.Since(began), err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if err := retry(ctx, 100, func() error { return errors.New("a") }); err == nil {
			t.Error("no error")
		}
	})
}
