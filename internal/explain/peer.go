package explain

import (
	"time"

	"github.com/lvs-ha/lvs-ha/internal/flight"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// Peer is what another router of the same virtual router recorded at the time of a transition.
type Peer struct {
	Cause Code   `json:"cause"`
	Text  string `json:"text"`
	Story *Story `json:"story,omitempty"` // its last transition until then
}

// The causes that only the peer's recording shows.
const (
	PeerStalled   Code = "peer-stalled"     // its process did not run
	PeerCrashed   Code = "peer-crashed"     // its process or host ended without handing over
	PeerSending   Code = "adverts-lost"     // it was master and sent adverts all the time
	PeerNoSend    Code = "peer-cannot-send" // its kernel refused to send adverts
	PeerChanged   Code = "peer-changed"     // it changed its state: see its story
	PeerNotMaster Code = "peer-not-master"
	PeerTooOld    Code = "peer-too-old" // its recording was saved before the transition
)

var peerTexts = map[Code]string{
	PeerStalled:   "the other host did not run the process: its adverts were late or missing",
	PeerCrashed:   "the other router's process, or its host, ended without handing over",
	PeerSending:   "the other router sent its adverts all the time: they were lost on the network",
	PeerNoSend:    "the other host's kernel refused to send adverts",
	PeerChanged:   "the other router changed its state shortly before",
	PeerNotMaster: "the other router was not master",
	PeerTooOld:    "the other router's recording was saved before this transition: save it again there",
}

// near is how long before a transition an event on the peer counts as its cause. It is for the clocks of the hosts too.
const near = 2 * time.Second

// Beside returns what the peer recorded at the time of a story; nil if it has no such virtual router. saved is when its recording
// was saved, if that is known.
func Beside(s Story, of flight.Router, peers []flight.Router, saved time.Time) *Peer {
	for _, r := range peers {
		if r.VirtualRouterID == of.VirtualRouterID && r.Family == of.Family {
			if !saved.IsZero() && saved.Before(s.Time.Add(-near)) {
				return &Peer{Cause: PeerTooOld, Text: peerTexts[PeerTooOld]}
			}
			p := peerOf(s, r, intervalOf(r), saved)
			return &p
		}
	}
	return nil
}

func intervalOf(r flight.Router) time.Duration {
	interval := time.Second
	for _, rec := range r.Records {
		if in, ok := rec.Instance(); ok {
			interval = in.AdvertiseInterval
		}
	}
	return interval
}

func peerOf(s Story, r flight.Router, interval time.Duration, saved time.Time) Peer {
	var p Peer
	at, yielded := s.Time, s.From == vrrp.Master
	window := 4*interval + near
	if story, ok := Tell(r, at.Add(near)); ok {
		p.Story = &story
	}
	state := vrrp.Initialize
	var firstSent, lastSent time.Time // of an unbroken series, whatever was recorded between its adverts
	for _, rec := range r.Records {
		switch before := at.Sub(rec.Time); {
		case rec.Kind == flight.Start && before < 0 && state == vrrp.Master && !lastSent.IsZero() && p.Cause != PeerSending:
			p.Cause = PeerCrashed
		case rec.Kind == flight.Changed && before >= -near:
			state = rec.To
			became := rec.To == vrrp.Master
			if before < window && became == yielded && (became || rec.From != vrrp.Initialize && rec.From != vrrp.Backup) {
				p.Cause = PeerChanged
			} else if p.Cause == PeerChanged && became && before > 0 {
				p.Cause = "" // it was master again
			}
		case rec.Kind == flight.SendFailed && before > -near && before < window:
			p.Cause = PeerNoSend
		case rec.Kind == flight.Timeout && rec.From == vrrp.Master:
			first := rec.Time.Add(rec.First - rec.At)
			if first.Sub(lastSent) > 2*interval {
				firstSent = first
			}
			lastSent = rec.Time
			p.sent(rec, firstSent, at, interval)
		}
	}
	if p.Cause == "" && state == vrrp.Master && at.Sub(lastSent) > 2*interval {
		p.Cause = PeerCrashed
		if !saved.IsZero() && saved.Sub(lastSent) <= 2*interval {
			p.Cause = PeerTooOld // it was sending when the recording was saved
		}
	}
	if p.Cause == "" {
		p.Cause = PeerNotMaster
	}
	p.Text = peerTexts[p.Cause]
	return p
}

// sent considers the adverts of a record that the peer sent, in a series without a gap since a time.
func (p *Peer) sent(rec flight.Record, since, at time.Time, interval time.Duration) {
	first := rec.Time.Add(rec.First - rec.At)
	switch {
	case rec.Late > interval && first.Add(-rec.Late-interval).Before(at) && first.After(at.Add(-interval)):
		p.Cause = PeerStalled
	case p.Cause == "" && since.Before(at.Add(-interval)) && rec.Time.After(at.Add(-interval)):
		p.Cause = PeerSending
	}
}
