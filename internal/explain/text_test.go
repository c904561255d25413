package explain

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/flight"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// TestNextStep has a step for what went wrong, and none for what is well again.
func TestNextStep(t *testing.T) {
	for _, tt := range []struct {
		code Code
		to   vrrp.State
		want bool
	}{
		{"track-script", vrrp.Initialize, true}, {"track-script", vrrp.Master, false}, {MasterSilent, vrrp.Master, true},
		{Code(vrrp.ReasonInterfaceDown), vrrp.Initialize, true}, {Failover, vrrp.Backup, false}, {Started, vrrp.Backup, false},
	} {
		if got := nextOf(cause{code: tt.code}, tt.to); (got != "") != tt.want {
			t.Errorf("%s, to %s: %q", tt.code, tt.to, got)
		}
	}
}

// TestSentTogether has adverts between which other things were recorded.
func TestSentTogether(t *testing.T) {
	sent := func(at time.Duration, count uint32, own uint8) flight.Record {
		return flight.Record{Kind: flight.Timeout, From: vrrp.Master, At: at, First: at, Count: count, Own: own, Late: at}
	}
	got := sentTogether([]flight.Record{sent(1, 1, 150), {Kind: flight.Received, At: 2}, sent(3, 1, 100), sent(4, 5, 150)})
	if len(got) != 3 || got[0].Kind != flight.Received || got[1].Own != 100 || got[2].Count != 6 || got[2].First != 1 || got[2].At != 4 || got[2].Late != 4 {
		t.Errorf("%+v", got)
	}
}

// TestHostOfAConflict has a host that is known by its MAC address only.
func TestHostOfAConflict(t *testing.T) {
	c := vrrp.Conflict{Hardware: "02:00:00:00:00:02", Address: netip.MustParseAddr("192.0.2.10")}
	if got := hostOf(c); !strings.Contains(got, c.Hardware) || !strings.Contains(got, "192.0.2.10") {
		t.Error(got)
	}
	if c.Router = netip.MustParseAddr("192.0.2.2"); hostOf(c) != "192.0.2.2" {
		t.Error(hostOf(c))
	}
}

// TestDoneOfTwoTransitions checks that the addresses which are added ahead of a takeover belong to it, and not to the transition before.
func TestDoneOfTwoTransitions(t *testing.T) {
	start := time.Date(2026, 1, 31, 12, 0, 0, 0, time.Local)
	at := func(ms int, r flight.Record) flight.Record {
		r.At = time.Duration(ms) * time.Millisecond
		r.Time = start.Add(r.At)
		return r
	}
	r := flight.Router{Name: "web", Records: []flight.Record{
		at(0, flight.Record{Kind: flight.Changed, From: vrrp.Leaving, To: vrrp.Backup, Text: string(vrrp.ReasonSuccessorHeard)}),
		at(5, flight.Record{Kind: flight.Addresses, Code: flight.StepRemove, Count: 1}),
		at(540, flight.Record{Kind: flight.Prepare, Code: 1}),
		at(541, flight.Record{Kind: flight.Addresses, Code: flight.StepAdd | flight.StepAnnounce, Count: 1}),
		at(541, flight.Record{Kind: flight.Changed, From: vrrp.Backup, To: vrrp.Master, Text: string(vrrp.ReasonPreempt)}),
	}}
	for until, want := range map[time.Duration]string{100 * time.Millisecond: "removed 1 address in ", time.Second: "added 1 address and announced it in "} {
		s, ok := Tell(r, start.Add(until))
		if !ok || len(s.Done) != 1 || !strings.HasPrefix(s.Done[0].Text, want) {
			t.Errorf("until %v: %+v, want %q", until, s.Done, want)
		}
	}
	routers := []flight.Router{{Name: "other"}, r}
	for name, want := range map[string]string{"web": "the first one recorded was at 2026-01-31 12:00:00", "": "was at 2026-01-31 12:00:00", "other": `no transition of "other" is recorded`} {
		if err := NotRecorded(routers, name, start.Add(-time.Hour)); !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
}
