package director

import (
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/track"
	connsync "github.com/lvs-ha/lvs-ha/sync"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// followed returns the VRRP instance that the connection-sync daemons follow, or nil. The kernel has one pair of daemons
// per network namespace, so a configuration names at most one.
func followed(cfg *config.Config) *config.VRRP {
	for i := range cfg.VRRP {
		if cfg.VRRP[i].ConnectionSync != nil {
			return &cfg.VRRP[i]
		}
	}
	return nil
}

// syncRole returns the daemon role for an instance's status. A master that is leaving still forwards, so it still sends
// connections; any other state receives them. An instance that has just started, in a new speaker or for a new director, has
// no role yet: the running daemon stays.
func syncRole(s vrrp.Status) (role connsync.Role, known bool) {
	switch {
	case s.State == vrrp.Master || s.State == vrrp.Leaving:
		return connsync.Master, true
	case s.State == "" || s.State == vrrp.Initialize && s.Reason == string(vrrp.ReasonStart):
		return 0, false
	}
	return connsync.Backup, true
}

// gate is the preemption gate: a returning director does not preempt a live master until its backup daemon has run long
// enough to have received the connections.
type gate struct {
	role  connsync.Role
	since time.Time // when the daemon entered that role
}

// follow records the role of the daemons.
func (g *gate) follow(role connsync.Role, now time.Time) {
	if role != g.role {
		g.role, g.since = role, now
	}
}

// holdReason is shown in the status while the gate is closed.
const holdReason = "connection sync is still learning the connections"

// opens returns when the gate opens, or zero if it is open.
func (g *gate) opens(learn time.Duration, now time.Time) time.Time {
	if g.role == connsync.Master || learn == 0 {
		return time.Time{}
	}
	if at := g.since.Add(learn); at.After(now) {
		return at
	}
	return time.Time{}
}

// wanted returns the wanted state of the speaker.
func wanted(cfg *config.Config, g *gate, results map[string]track.Result, now time.Time) vrrp.Wanted {
	w := vrrp.Wanted{DirectorGrace: cfg.Director.Grace, Instances: make([]vrrp.WantedInstance, 0, len(cfg.VRRP)), Static: cfg.Static, AnnounceLimits: cfg.AnnounceLimits}
	byName := tracksByName(cfg)
	for _, v := range cfg.VRRP {
		instance := vrrp.WantedInstance{Instance: v.Instance}
		uses := v.Tracks
		if group := cfg.GroupOf(v.Name); group != nil {
			instance.Group = group.Name
			uses = slices.Concat(uses, group.Tracks)
		}
		for _, use := range uses {
			instance.Tracks = append(instance.Tracks, trackOf(byName[use.Name], use, results[use.Name]))
		}
		if s := v.ConnectionSync; s != nil && !g.opens(s.LearnTime, now).IsZero() {
			instance.Tracks = append(instance.Tracks, vrrp.Track{
				Name: "learning", Kind: vrrp.TrackConnectionSync, Effect: vrrp.EffectHold, Reason: holdReason,
			})
		}
		w.Instances = append(w.Instances, instance)
	}
	return w
}
