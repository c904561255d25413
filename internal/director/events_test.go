package director

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// move has the speaker report the transitions from one number to another.
func (b *bench) move(series string, from, to uint64) {
	var list []vrrp.Transition
	for n := from; n <= to; n++ {
		list = append(list, vrrp.Transition{Series: series, Sequence: n, Instance: "gateway", From: vrrp.Backup, To: vrrp.Master, Reason: "preempt"})
	}
	b.speaker.transitions(list)
	synctest.Wait()
}

// wantEvents sees which events a subscriber was given since the last call: "1 2 -3 6" has three lost.
func (b *bench) wantEvents(want string) {
	b.t.Helper()
	var got []string
	for _, e := range b.events {
		if e.Lost > 0 {
			got = append(got, fmt.Sprintf("-%d", e.Lost))
			continue
		}
		got = append(got, fmt.Sprint(e.Sequence))
	}
	if text := strings.Join(got, " "); text != want {
		b.t.Errorf("events %s, want %s", text, want)
	}
	b.events = nil
}

func TestEventsAcrossARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = onlyVRRP()
		b.start(false)
		b.move("x", 1, 3)
		b.move("x", 3, 4)
		b.wantEvents("1 2 3 4")
		b.stop()

		b.start(true) // the speaker has kept some, and there are two more
		b.move("x", 2, 6)
		b.wantEvents("5 6")
		if list := b.status().VRRP[0].History; len(list) != 5 || list[0].Sequence != 2 || list[4].Sequence != 6 || list[4].To != vrrp.Master {
			t.Errorf("history %+v", list)
		}
		b.stop()

		b.start(true) // for so long that the speaker dropped some
		defer b.stop()
		b.move("x", 9, 9)
		b.wantEvents("-2 9")
		if log := b.log.read(); !strings.Contains(log, `level=WARN msg="transitions lost" count=2`) {
			t.Errorf("the gap is not in the log:\n%s", log)
		}
		if list := b.status().VRRP[0].History; len(list) != 1 {
			t.Errorf("history %+v", list)
		}
		b.move("x", 11, 11)
		b.wantEvents("-1 11")
		if list := b.status().VRRP[0].History; len(list) != 3 || list[1].Lost != 1 {
			t.Errorf("history %+v", list)
		}
		b.move("y", 1, 1) // another start of the whole
		b.wantEvents("1")
	})
}

func TestADamagedPositionRepeatsEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = onlyVRRP()
		if err := os.WriteFile(filepath.Join(b.dir, "transitions.json"), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		b.start(true)
		defer b.stop()
		b.move("x", 1, 2)
		b.wantEvents("1 2")
		if log := b.log.read(); !strings.Contains(log, "transitions.json is damaged") {
			t.Errorf("the log does not name the file:\n%s", log)
		}
	})
}

func TestTheHistoryOfARemovedInstanceIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = onlyVRRP()
		b.start(false)
		defer b.stop()
		b.move("x", 1, 2)
		cfg := b.cfg
		b.cfg = twoServers()
		if err := b.director.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.move("x", 3, 3) // it leaves
		b.wantEvents("1 2 3")
		b.cfg = cfg
		if err := b.director.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if list := b.status().VRRP[0].History; len(list) != 1 || list[0].Sequence != 3 {
			t.Errorf("history %+v", list)
		}
	})
}
