package vrrp

import (
	"reflect"
	"testing"
	"time"
)

// TestSnapshotCoversEveryField fills every field of a machine, and compares it with the one that its snapshot restores.
func TestSnapshotCoversEveryField(t *testing.T) {
	clock := func(at time.Time) int64 { return int64(at.Sub(epoch)) }
	back := func(n int64) time.Time { return epoch.Add(time.Duration(n)) }
	m := NewMachine(v3())
	m.tracks = []Track{{Name: "x", Kind: TrackScript, Effect: EffectOffset, Offset: -3}, {Name: "y", Effect: EffectFault}, {Name: "z", Effect: EffectLastResort}, {Name: "h", Effect: EffectHold}}
	m.effects = combine(m.tracks)
	m.missing, m.state, m.reason, m.transitions = ReasonSocket, Leaving, ReasonTrack, 7
	m.flaps = 2
	m.source, m.owns, m.early, m.owed, m.masterLeft = ours, true, true, true, true
	m.master = heard{address: ours, priority: 3, interval: 4}
	m.rival = heard{address: ours, priority: 5, interval: 6}
	m.leaving = departure{next: Backup, reason: ReasonTrack, final: true, recovered: true, giveUp: true}
	for i, at := range m.times() {
		*at = epoch.Add(time.Duration(i+1) * time.Second)
	}
	fields := reflect.ValueOf(m).Elem()
	for i := range fields.NumField() {
		if name := fields.Type().Field(i).Name; name != "actions" && fields.Field(i).IsZero() {
			t.Errorf("the test does not fill %s", name)
		}
	}
	if got := Restore(m.Snapshot(clock), back); !reflect.DeepEqual(got, m) {
		t.Errorf("restored %+v\nwant %+v", got, m)
	}
}
