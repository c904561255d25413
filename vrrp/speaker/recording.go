package speaker

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/flight"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// recordTask records that the keeper has carried out actions.
func (r *router) recordTask(actions []vrrp.Action, took time.Duration, now time.Time) {
	if r.flight == nil {
		return
	}
	steps, count, refused := uint8(0), 0, ""
	for _, a := range actions {
		switch a := a.(type) {
		case vrrp.AddAddresses:
			steps, count = steps|flight.StepAdd, len(a.Addresses)
		case vrrp.RemoveAddresses:
			steps, count = steps|flight.StepRemove, len(a.Addresses)
		case vrrp.SendAnnouncements:
			steps |= flight.StepAnnounce
		}
	}
	if len(r.refused.lacking) > 0 {
		refused = r.refused.lacking[0]
	}
	r.flight.Addresses(steps, count, refused, took, now)
}

// reportRecording logs that nothing can be recorded, or that it can again if err is nil.
func reportRecording(log *slog.Logger, err error) {
	if err == nil {
		log.Info("flight recorder works again")
		return
	}
	log.Warn("flight recorder paused; lvs-ha explain will show nothing of what happens meanwhile", "error", err)
}

// recordUnknown records a packet that matches no router, at all routers of its interface: it may come from their peer. It
// looks at one packet a second, because others on the network may have many virtual routers.
func (w *wire) recordUnknown(reason vrrp.DropReason, from netip.Addr, now time.Time) {
	if now.Sub(w.unknown) < time.Second {
		return
	}
	w.unknown = now
	for _, r := range w.routers {
		if r != nil {
			r.flight.Dropped(reason, from, now)
		}
	}
}
