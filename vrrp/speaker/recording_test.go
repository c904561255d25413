package speaker

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/explain"
	"github.com/lvs-ha/lvs-ha/internal/flight"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// record makes a rig's engine record to memory.
func (g *rig) record() *os.File {
	f, err := flight.Create("/proc", func(string) *os.File { return nil })
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { f.Close() })
	if g.engine.flight, err = flight.Open(f, bootTime); err != nil {
		g.t.Fatal(err)
	}
	return f
}

// withoutAndWith runs a test or benchmark twice: without and with a recording.
func withoutAndWith[T interface{ Run(string, func(T)) bool }](t T, do func(t T, record func(*rig))) {
	t.Run("alone", func(t T) { do(t, func(*rig) {}) })
	t.Run("recorded", func(t T) { do(t, func(g *rig) { g.record() }) })
}

func recorded(t *testing.T, f *os.File) []flight.Router {
	raw, err := flight.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	list, err := flight.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func kindsOf(r flight.Router) string {
	var words []string
	for _, rec := range r.Records {
		words = append(words, rec.Kind.String())
	}
	return strings.Join(words, " ")
}

// TestRecording checks what an engine records of a takeover, a refused packet and a removal, and that it replays.
func TestRecording(t *testing.T) {
	g := newRig(t)
	f := g.record()
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(v3(100))
	w := g.engine.wires[socketKey{Interface: "eth0", Family: vrrp.IPv4}]
	for range 20 {
		g.advance(100 * time.Millisecond)
		g.engine.receive(w, g.datagram(v3(200), 200, "10.9.0.2"), g.now)
	}
	bad := g.datagram(v3(200), 200, "10.9.0.2")
	bad.TTL = 1
	g.engine.receive(w, bad, g.now)
	g.advance(20 * time.Second)
	g.want()
	g.advance(10 * time.Second)
	list := recorded(t, f)
	if len(list) != 1 || list[0].Name != "v" {
		t.Fatalf("recorded %+v", list)
	}
	const want = "start tracks up changed received dropped prepare addresses timeout changed timeout resign changed timeout timeout changed addresses"
	if got := strings.Replace(kindsOf(list[0]), "start up", "start tracks up", 1); got != want {
		t.Errorf("recorded %s\nwant %s", got, want)
	}
	for _, r := range flight.Replay(list[0].Records) {
		if !r.Same() {
			t.Errorf("replayed %v, recorded %v", r.Replayed, r.Recorded)
		}
	}
	for _, rec := range list[0].Records {
		if rec.Kind == flight.Received && rec.Count != 20 {
			t.Errorf("a run of %d adverts, want 20", rec.Count)
		}
	}
}

// TestExplainedDirector checks how a director that hangs, and one that ended, are explained, and their ends.
func TestExplainedDirector(t *testing.T) {
	for name, lose := range map[string]func(g *rig){
		"hangs": func(g *rig) {
			g.engine.directorHeard(g.now, g.now)
			g.advance(directorSilence + g.engine.wanted.DirectorGrace)
		},
		"ended": func(g *rig) {
			g.engine.directorGone(g.now)
			g.advance(g.engine.wanted.DirectorGrace)
		},
	} {
		g := newRig(t)
		f := g.record()
		g.up("eth0", 2, "10.9.0.1/24")
		g.want(v3(200))
		g.advance(time.Second)
		explained := func(want explain.Code, to vrrp.State) {
			t.Helper()
			if s, _ := explain.Tell(recorded(t, f)[0], g.now.Add(time.Hour)); s.Cause != want || s.To != to {
				t.Errorf("%s: %s because of %s, want %s because of %s: %s", name, s.To, s.Cause, to, want, s.Text)
			}
		}
		explained(explain.NoMaster, vrrp.Master)
		lose(g)
		explained(explain.DirectorLost, vrrp.Leaving)
		g.hear(v3(100), 100, "10.9.0.2")
		g.advance(handOverDelay)
		explained(explain.DirectorLost, vrrp.Backup)
		g.engine.directorHeard(g.now, g.now)
		g.want(v3(200))
		for range 5 {
			g.hear(v3(100), 100, "10.9.0.2")
			g.advance(100 * time.Millisecond)
		}
		explained(explain.DirectorBack, vrrp.Master)
	}
}

// TestEachRefusalIsRecorded has a kernel that refuses adverts for two seconds, and three seconds later again: explain needs both.
func TestEachRefusalIsRecorded(t *testing.T) {
	g := newRig(t)
	f := g.record()
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(v3(100))
	g.advance(5 * time.Second)
	for range 2 {
		g.unsendable = func(*outgoing) bool { return true }
		g.advance(2 * time.Second)
		g.unsendable = nil
		g.advance(3 * time.Second)
	}
	failed := 0
	for _, rec := range recorded(t, f)[0].Records {
		if rec.Kind == flight.SendFailed {
			failed++
		}
	}
	if failed != 2 {
		t.Errorf("%d refusals are recorded, want 2", failed)
	}
}
