package speaker

import (
	"fmt"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// tracksOf returns a router's tracks: those of the director and those of this process.
func (e *engine) tracksOf(r *router) []vrrp.Track {
	var out []vrrp.Track
	for _, t := range r.instance.TrackInterfaces {
		out = append(out, e.linkTrack(t))
	}
	for _, t := range r.directorTracks {
		out = append(out, r.resolve(t))
	}
	if n := len(r.refused.lacking); n > 0 {
		t := vrrp.Track{Name: "virtual addresses", Kind: vrrp.TrackAddresses, Effect: vrrp.EffectLastResort}
		if n == len(r.instance.Addresses) {
			t.Effect = vrrp.EffectFault
		}
		t.Reason = fmt.Sprintf("%d of %d refused: %s", n, len(r.instance.Addresses), firstReasons(r.refused.lacking))
		out = append(out, t)
	}
	if e.abandoned {
		out = append(out, vrrp.Track{
			Name: "director", Kind: vrrp.TrackDirector, Effect: vrrp.EffectLastResort,
			Reason: "no response for longer than " + e.wanted.DirectorGrace.String(),
		})
	}
	return out
}

// resolve returns the track with its current effect. A track without a result yet keeps its earlier effect, and has no
// effect on a router that is running or is to be adopted: the director was restarted, or a reload added the track.
func (r *router) resolve(t vrrp.Track) vrrp.Track {
	if !t.Pending {
		return t
	}
	for _, known := range r.tracks {
		if known.Kind == t.Kind && known.Name == t.Name {
			return known
		}
	}
	if r.started || r.adoptUntil > 0 {
		t.Effect, t.Offset = vrrp.EffectNone, 0
	}
	return t
}

func (e *engine) linkTrack(t vrrp.TrackInterface) vrrp.Track {
	ifc := e.interfaces[t.Interface]
	out := vrrp.Track{Name: t.Interface, Kind: vrrp.TrackInterfaceLink, Reason: "up"}
	switch {
	case ifc.Index == 0:
		out.Reason = "missing"
	case !ifc.Up:
		out.Reason = "down"
	}
	out.Effect, out.Offset = vrrp.Weigh(ifc.Up, t.Weight, t.Reverse)
	out.Failed = ifc.Up == t.Reverse
	return out
}

// updateTracks passes a router's tracks to its machine if they have changed.
func (e *engine) updateTracks(r *router, shared []vrrp.Track, now time.Time) {
	tracks := append(e.tracksOf(r), shared...)
	for i := range tracks {
		date(&tracks[i], r.tracks, now)
	}
	if slices.EqualFunc(tracks, r.tracks, sameTrack) {
		return
	}
	r.tracks = tracks
	e.step(r, vrrp.SetTracks{Tracks: tracks}, now)
	e.note(r)
}

// date sets the time of a track without one to the time since when it has had its effect.
func date(t *vrrp.Track, before []vrrp.Track, now time.Time) {
	if !t.Since.IsZero() {
		return
	}
	t.Since = now
	for _, o := range before {
		if o.Kind == t.Kind && o.Name == t.Name && o.Effect == t.Effect && o.Offset == t.Offset {
			t.Since = o.Since
		}
	}
}

func sameTrack(a, b vrrp.Track) bool {
	since := a.Since.Equal(b.Since)
	a.Since, b.Since = time.Time{}, time.Time{}
	return a == b && since
}
