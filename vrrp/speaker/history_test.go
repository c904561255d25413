package speaker

import (
	"encoding/json"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// move makes the speaker's engine perform the given number of transitions.
func (o *office) move(n int) {
	for range n {
		o.history.add(vrrp.Transition{Instance: "v", To: vrrp.Master})
	}
	o.publish([]vrrp.Status{{Name: "v", State: vrrp.Master}})
}

// wantMoves checks that a director was sent the transitions from one number to another, each once and in order.
func (d *desk) wantMoves(t *testing.T, from, to uint64) {
	t.Helper()
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	var got, want []uint64
	for _, m := range d.moves {
		got = append(got, m.Sequence)
	}
	for n := from; n <= to; n++ {
		want = append(want, n)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("transitions %d, want %d to %d", got, from, to)
	}
	d.moves = nil
}

func TestTransitionsArriveInOrderAndOnce(t *testing.T) {
	withOffice(t, func(t *testing.T, o *office) {
		o.move(3) // before a director connects, at the same time
		d := newDesk(t, o.listener.dial)
		defer func() { d.stop() }()
		d.wantMoves(t, 1, 3)
		o.move(3)
		d.wantMoves(t, 4, 6)

		o.server.mu.Lock()
		c := o.current
		o.server.mu.Unlock()
		c.close()
		o.move(2) // while the connection is lost
		time.Sleep(time.Second)
		d.wantMoves(t, 7, 8)

		d.stop()
		o.move(transitionsPerLine + 1)
		d = newDesk(t, o.listener.dial) // another process: it gets all transitions that are kept
		d.wantMoves(t, 1, 9+transitionsPerLine)
	})
}

// TestASlowDirectorGetsEveryTransition checks that transitions, unlike statuses, are not replaced by newer ones.
func TestASlowDirectorGetsEveryTransition(t *testing.T) {
	withOffice(t, func(t *testing.T, o *office) {
		conn, err := o.listener.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		go json.NewEncoder(conn).Encode(order{After: &vrrp.Position{}})
		synctest.Wait() // the writer is busy with the first line
		for range 1000 {
			o.move(1)
		}
		d := json.NewDecoder(conn)
		next := uint64(1)
		for next <= 1000 {
			var n news
			if err := d.Decode(&n); err != nil {
				t.Fatal(err)
			}
			for _, m := range n.Transitions {
				if m.Sequence != next {
					t.Fatalf("transition %d, want %d", m.Sequence, next)
				}
				next++
			}
		}
	})
}

func TestADirectorThatDoesNotAskGetsNoTransitions(t *testing.T) {
	withOffice(t, func(t *testing.T, o *office) {
		o.move(1)
		conn, err := o.listener.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var n news
		if err := json.NewDecoder(conn).Decode(&n); err != nil || n.Transitions != nil {
			t.Errorf("%+v, %v", n, err)
		}
	})
}

func TestTheLastTransitionsReachTheDirector(t *testing.T) {
	withOffice(t, func(t *testing.T, o *office) {
		d := newDesk(t, o.dialOnce())
		defer d.stop()
		synctest.Wait()
		o.move(2 * transitionsPerLine)
		o.finish(farewellTimeout)
		d.wantMoves(t, 1, 2*transitionsPerLine)
	})
}

func TestHistoryIsBounded(t *testing.T) {
	h := newHistory(&series{})
	for range 5 * historyLength {
		h.add(vrrp.Transition{})
	}
	if n := len(h.kept); n < historyLength || n > 2*historyLength {
		t.Errorf("%d transitions are kept", n)
	}
	list := h.after(vrrp.Position{Series: h.id, Sequence: 3}, time.Now())
	if len(list) != transitionsPerLine || list[0].Sequence != h.kept[0].Sequence || list[0].Sequence <= 4 {
		t.Errorf("%d transitions, the first is %d", len(list), list[0].Sequence)
	}
	if list := h.after(vrrp.Position{Series: h.id, Sequence: 5 * historyLength}, time.Now()); list != nil {
		t.Errorf("%d transitions after the last", len(list))
	}
	if list := h.after(vrrp.Position{Series: "another", Sequence: 5 * historyLength}, time.Now()); list == nil {
		t.Error("no transitions after one of another series")
	}
}

// TestTheNextSpeakerContinuesTheSeries kills a speaker: its process's memory is lost, but the parent's is kept. The latter
// may come from a parent of an older version, which allocates less.
func TestTheNextSpeakerContinuesTheSeries(t *testing.T) {
	shared, err := NewTenures()
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	if err := shared.Truncate(int64(tenureBytes)); err != nil {
		t.Fatal(err)
	}
	next := func(f *os.File) *history {
		m, err := mapTenures(f)
		if err != nil {
			t.Fatal(err)
		}
		m.take()
		h := newHistory(m.series)
		h.add(vrrp.Transition{})
		return h
	}
	first, second, another := next(shared), next(shared), next(nil)
	if p := second.kept[0]; p.Series != first.kept[0].Series || p.Sequence != 2 {
		t.Errorf("%+v follows %+v", p.Position(), first.kept[0].Position())
	}
	if another.id == first.id {
		t.Error("two memories have the same series")
	}
}

func TestTheEngineRecordsTransitions(t *testing.T) {
	g := newRig(t)
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(instance(3, vrrp.IPv4, 100, time.Second))
	began := g.now
	g.holding = true // adding the addresses takes a while
	g.advance(4 * time.Second)
	took := g.now
	g.finish()
	g.settle()
	var got []vrrp.Transition
	for _, m := range g.engine.history.kept {
		m.Series = ""
		got = append(got, m)
	}
	want := []vrrp.Transition{
		{Sequence: 1, Time: began, Instance: "v", From: vrrp.Initialize, To: vrrp.Backup, Reason: vrrp.ReasonStartup, Priority: 100},
		{Sequence: 2, Time: began.Add(vrrp.MasterDownInterval(3, 100, time.Second)), Instance: "v", From: vrrp.Backup, To: vrrp.Master, Reason: vrrp.ReasonMasterDownTimer, Priority: 100},
	}
	if !slices.Equal(got, want) || !took.After(want[1].Time) {
		t.Errorf("recorded %+v\nwant %+v", got, want)
	}
}
