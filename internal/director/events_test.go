package director

import (
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/events"
	"github.com/lvs-ha/lvs-ha/internal/script"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// withNotify returns a configuration with an instance whose transitions run a script.
func withNotify() *config.Config {
	cfg := onlyVRRP()
	cfg.VRRP[0].Notify = &config.Notify{All: []string{"notify"}, Timeout: time.Second}
	return cfg
}

// move makes the speaker report the transitions from one number to another. Their priority is their number, so that it
// appears in the script's arguments.
func (b *bench) move(series string, from, to uint64) {
	var list []vrrp.Transition
	for n := from; n <= to; n++ {
		t := vrrp.Transition{Series: series, Sequence: n, Instance: "gateway", From: vrrp.Backup, To: vrrp.Master, Priority: uint8(n)}
		if n%2 == 0 {
			t.From, t.To = t.To, t.From
		}
		list = append(list, t)
	}
	b.speaker.transitions(list)
	synctest.Wait()
}

// kill ends the director and restores the files from before: its shutdown has no effect.
func (b *bench) kill() {
	b.t.Helper()
	files := map[string][]byte{}
	for _, name := range []string{"transitions.json", "notify.json"} {
		text, err := os.ReadFile(filepath.Join(b.dir, name))
		if err != nil {
			b.t.Fatal(err)
		}
		files[name] = text
	}
	done := b.scripts
	b.stop()
	b.scripts = done
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(b.dir, name), text, 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
}

// wantScripts checks for which transitions the script was run since the last call.
func (b *bench) wantScripts(want ...string) {
	b.t.Helper()
	if !slices.Equal(b.scripts, want) {
		b.t.Errorf("scripts %q, want %q", b.scripts, want)
	}
	b.scripts = nil
}

func (b *bench) wantHistory(want ...uint64) {
	b.t.Helper()
	var got []uint64
	for _, m := range b.status().VRRP[0].History {
		got = append(got, m.Sequence)
	}
	if !slices.Equal(got, want) {
		b.t.Errorf("history %d, want %d", got, want)
	}
}

func TestTransitionsAcrossARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = withNotify()
		b.start(false)
		b.move("x", 1, 3)
		b.move("x", 3, 4)
		b.wantScripts("INSTANCE gateway MASTER 1", "INSTANCE gateway BACKUP 2", "INSTANCE gateway MASTER 3", "INSTANCE gateway BACKUP 4")
		b.wantHistory(1, 2, 3, 4)
		b.kill()

		b.start(true) // the speaker replays some transitions and reports two more
		b.move("x", 2, 6)
		b.wantScripts("INSTANCE gateway MASTER 5", "INSTANCE gateway BACKUP 6")
		b.wantHistory(2, 3, 4, 5, 6)
		b.kill()

		b.start(true) // so late that the speaker has dropped some
		b.move("x", 9, 9)
		b.wantScripts("INSTANCE gateway MASTER 9")
		b.wantHistory(9)
		if log := b.log.read(); !strings.Contains(log, `level=WARN msg="transitions lost" count=2`) {
			t.Errorf("the gap is not in the log:\n%s", log)
		}
		b.move("x", 11, 11)
		b.wantScripts() // the script was last run for MASTER
		b.wantHistory(9, 10, 11)
		b.move("y", 2, 2) // all processes were restarted
		b.wantScripts("INSTANCE gateway BACKUP 2")
		b.stop()
		b.wantScripts("INSTANCE gateway STOP 0")
	})
}

// TestEventsAreSavedAtOnce: what led to the crash of a director is known afterwards. Of many events, the first is.
func TestEventsAreSavedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = withNotify()
		b.start(false)
		defer b.stop()
		saved := func() (n int) {
			synctest.Wait()
			for _, e := range SavedEvents(filepath.Join(b.dir, "director.json")) {
				if e.Subject == "gateway" {
					n++
				}
			}
			return n
		}
		time.Sleep(10*time.Second + aliveInterval/3)
		b.move("x", 1, 1)
		if n := saved(); n != 1 {
			t.Errorf("%d events are saved, want the first at once", n)
		}
		b.move("x", 2, 3)
		b.move("x", 4, 4)
		if n := saved(); n != 1 {
			t.Errorf("%d events are saved, want one write a second", n)
		}
		time.Sleep(2 * aliveInterval)
		if n := saved(); n != 4 {
			t.Errorf("%d events are saved, want all", n)
		}
	})
}

// TestInterruptedNotificationIsRepeated kills the director before the script has ended.
func TestInterruptedNotificationIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = withNotify()
		b.scriptTakes = time.Minute
		b.start(false)
		b.move("x", 1, 2)
		b.wantScripts("INSTANCE gateway MASTER 1")
		b.kill()
		b.scriptTakes = 0
		b.start(true)
		defer b.stop()
		b.move("x", 1, 3)
		b.wantScripts("INSTANCE gateway MASTER 1", "INSTANCE gateway BACKUP 2", "INSTANCE gateway MASTER 3")
	})
}

func TestFailedNotificationIsAProblemUntilNextSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = withNotify()
		b.scriptResult = script.Result{ExitCode: 3, Output: []byte("no route\n")}
		b.start(false)
		defer b.stop()
		b.move("x", 1, 1)
		s := b.status()
		if !hasProblem(s, "notify gateway") || len(s.Notify) != 1 || s.Notify[0].Failed != 1 || !strings.Contains(s.Notify[0].Error, `exit status 3: no route`) {
			t.Errorf("problems %+v, receivers %+v", s.Problems, s.Notify)
		}
		b.scriptResult = script.Result{}
		b.move("x", 2, 2)
		if s := b.status(); hasProblem(s, "notify gateway") || s.Notify[0].Delivered != 1 {
			t.Errorf("problems %+v, receivers %+v", s.Problems, s.Notify)
		}
	})
}

func TestDamagedPositionRepeatsEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = withNotify()
		if err := os.WriteFile(filepath.Join(b.dir, "transitions.json"), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		b.start(true)
		defer b.stop()
		b.move("x", 1, 2)
		b.wantScripts("INSTANCE gateway MASTER 1", "INSTANCE gateway BACKUP 2")
		if log := b.log.read(); !strings.Contains(log, "transitions.json is damaged") {
			t.Errorf("the log does not name the file:\n%s", log)
		}
	})
}

// TestPositionAheadOfTheSpeaker has files with a position that the speaker has not reached. A transition that happened after the
// start of the process is news, whatever they say.
func TestPositionAheadOfTheSpeaker(t *testing.T) {
	for _, damaged := range []string{"transitions.json", "notify.json"} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			b.cfg = withNotify()
			b.start(false)
			b.move("x", 1, 2)
			b.kill()
			b.scripts = nil
			text, err := os.ReadFile(filepath.Join(b.dir, damaged))
			if err != nil {
				t.Fatal(err)
			}
			ahead := regexp.MustCompile(`("sequence"|"notify gateway"):2`).ReplaceAllString(string(text), `${1}:1002`)
			if err := os.WriteFile(filepath.Join(b.dir, damaged), []byte(ahead), 0o600); err != nil || ahead == string(text) {
				t.Fatalf("%v: %s", err, text)
			}
			b.start(true)
			defer func() { b.stop() }()
			b.move("x", 1, 2)
			b.wantScripts()
			time.Sleep(time.Second)
			b.speaker.transitions([]vrrp.Transition{{Series: "x", Sequence: 3, Time: time.Now(), Instance: "gateway", From: vrrp.Backup, To: vrrp.Master, Priority: 3}})
			synctest.Wait()
			b.wantScripts("INSTANCE gateway MASTER 3")
			b.wantHistory(1, 2, 3)
			b.kill()
			b.scripts = nil
			b.start(true)
			b.move("x", 1, 4)
			b.wantScripts("INSTANCE gateway BACKUP 4")
		})
	}
}

func TestHistoryOfRemovedInstanceIsRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = onlyVRRP()
		b.start(false)
		defer b.stop()
		b.move("x", 1, 2)
		cfg := b.cfg
		b.cfg = twoServers()
		if _, err := b.director.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.move("x", 3, 3) // it leaves
		b.cfg = cfg
		if _, err := b.director.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if list := b.status().VRRP[0].History; len(list) != 1 || list[0].Sequence != 3 {
			t.Errorf("history %+v", list)
		}
	})
}

// TestConflictsAreEvents has another master that is seen, counted on, and gone.
func TestConflictsAreEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := pairBench(t)
		defer b.stop()
		other := vrrp.Conflict{Kind: vrrp.ConflictMaster, Router: netip.MustParseAddr("192.0.2.2"), Since: time.Now()}
		again := other
		again.Count, again.Last = 7, time.Now().Add(time.Second)
		for _, list := range [][]vrrp.Conflict{{other}, {again}, nil} {
			b.speaker.report([]vrrp.Status{{Name: "gateway", State: vrrp.Master, Conflicts: list}})
			synctest.Wait()
		}
		var got []string
		list, _ := b.director.Events().After("")
		for _, e := range list {
			if e.Kind == events.Conflict {
				got = append(got, e.Subject+" "+e.To)
			}
		}
		if !slices.Equal(got, []string{"gateway seen", "gateway over"}) {
			t.Errorf("events %q", got)
		}
	})
}

// TestReplacementIsAnEvent checks that a director that replaces another says so, and that an upgrade is not a problem.
func TestReplacementIsAnEvent(t *testing.T) {
	for _, tt := range []struct {
		name    string
		upgrade *api.Upgrade
		want    events.Event
	}{
		{"no upgrade", nil, events.Event{Kind: events.Problem, Subject: "director", To: "in service"}},
		{"upgrade", &api.Upgrade{Step: "starting", From: "1", To: "2"}, events.Event{Kind: events.Config, Subject: "lvs-ha", To: "version 2"}},
		{"the version before is put back", &api.Upgrade{Step: "starting", From: "2", To: "3"}, events.Event{Kind: events.Problem, Subject: "director", To: "in service"}},
		{"a crash after an upgrade", &api.Upgrade{Step: "done", From: "1", To: "2"}, events.Event{Kind: events.Problem, Subject: "director", To: "in service"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.version, b.upgrade = "2", func() *api.Upgrade { return tt.upgrade }
				b.start(true)
				defer b.stop()
				list, _ := b.director.Events().After("")
				if len(list) == 0 || list[0].Kind != tt.want.Kind || list[0].Subject != tt.want.Subject || list[0].To != tt.want.To {
					t.Errorf("events %+v, want first %+v", list, tt.want)
				}
			})
		})
	}
}
