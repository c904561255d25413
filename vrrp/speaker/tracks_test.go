package speaker

import (
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// wantTracks passes an instance with a director's tracks to the engine.
func (g *rig) wantTracks(in vrrp.Instance, tracks ...vrrp.Track) {
	g.engine.setWanted(vrrp.Wanted{Instances: []vrrp.WantedInstance{{Instance: in, Tracks: tracks}}}, g.now)
	g.settle()
}

// TestPendingTracks checks that a track without a result yet has no effect on a router's state.
func TestPendingTracks(t *testing.T) {
	good := vrrp.Track{Name: "haproxy", Kind: vrrp.TrackScript}
	bad, pending := good, good
	bad.Effect = vrrp.EffectFault
	pending.Effect, pending.Pending = vrrp.EffectFault, true

	t.Run("of a new instance", func(t *testing.T) {
		g := newRig(t)
		g.up("eth0", 2, "10.9.0.1/24")
		g.wantTracks(v3(100), pending)
		g.expect("v", vrrp.Initialize, vrrp.ReasonTrackPending)
		g.wantTracks(v3(100), good)
		g.expect("v", vrrp.Backup, vrrp.ReasonStartup)
		g.wantTracks(v3(100), pending) // the director was restarted
		g.expect("v", vrrp.Backup, vrrp.ReasonStartup)
		g.wantTracks(v3(100), bad)
		g.expect("v", vrrp.Initialize, vrrp.ReasonTrack)
		g.wantTracks(v3(100), pending)
		g.expect("v", vrrp.Initialize, vrrp.ReasonTrack)
	})
	t.Run("of a new instance that then fails", func(t *testing.T) {
		g := newRig(t)
		g.up("eth0", 2, "10.9.0.1/24")
		g.wantTracks(v3(100), pending)
		g.expect("v", vrrp.Initialize, vrrp.ReasonTrackPending)
		g.wantTracks(v3(100), bad)
		g.expect("v", vrrp.Initialize, vrrp.ReasonTrack)
	})
	t.Run("beside one that has failed", func(t *testing.T) {
		g := newRig(t)
		g.up("eth0", 2, "10.9.0.1/24")
		other := bad
		other.Name = "other"
		g.wantTracks(v3(100), pending, other)
		g.expect("v", vrrp.Initialize, vrrp.ReasonTrack)
	})
	t.Run("added to a running instance", func(t *testing.T) {
		g := newRig(t)
		g.up("eth0", 2, "10.9.0.1/24")
		g.want(v3(100))
		g.advance(time.Second)
		g.wantTracks(v3(100), pending)
		g.expect("v", vrrp.Master, vrrp.ReasonMasterDownTimer)
	})
	t.Run("of a former speaker's master", func(t *testing.T) {
		g := newRig(t)
		in := v3(100)
		g.engine.inherited = map[routerKey]int64{keyOf(&in): g.now.Add(time.Second).UnixNano()}
		g.up("eth0", 2, "10.9.0.1/24", "10.9.0.100/24")
		g.wantTracks(in, pending)
		g.expect("v", vrrp.Master, vrrp.ReasonAdopted)
	})
}

// TestTracksInTheStatus checks the time since which each track has had its effect.
func TestTracksInTheStatus(t *testing.T) {
	in := v3(100)
	in.TrackInterfaces = []vrrp.TrackInterface{{Interface: "eth1", Weight: -30}, {Interface: "eth2", Weight: 5, Reverse: true}}
	g := newRig(t)
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(in)
	began := g.now
	g.now = g.now.Add(time.Minute)
	g.up("eth1", 3)
	g.up("eth2", 4)
	g.now = g.now.Add(time.Minute)
	g.down("eth1", 0)
	want := []vrrp.Track{
		{Name: "eth1", Kind: vrrp.TrackInterfaceLink, Effect: vrrp.EffectOffset, Offset: -30, Failed: true, Reason: "missing", Since: began.Add(2 * time.Minute)},
		{Name: "eth2", Kind: vrrp.TrackInterfaceLink, Effect: vrrp.EffectOffset, Offset: -5, Failed: true, Reason: "up", Since: began.Add(time.Minute)},
	}
	got := g.status("v").Tracks
	for i, w := range want {
		if len(got) != len(want) || !sameTrack(got[i], w) {
			t.Errorf("got %+v\nwant %+v", got, want)
			break
		}
	}
}
