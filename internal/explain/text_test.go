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
