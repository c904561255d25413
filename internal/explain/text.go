package explain

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/flight"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// rules describe the rule of the state machine behind each reason.
var rules = map[vrrp.Reason]string{
	vrrp.ReasonInterfaceMissing:   "an instance whose interface does not exist stops",
	vrrp.ReasonInterfaceDown:      "an instance whose interface is down stops",
	vrrp.ReasonNoAddress:          "an instance without a source address for adverts stops",
	vrrp.ReasonSocket:             "an instance that cannot send or receive adverts stops",
	vrrp.ReasonVMAC:               "an instance without the interface of its virtual MAC address stops",
	vrrp.ReasonTrack:              "a failed track without weight makes the instance hand over and stop; one that is unfit makes it hand over",
	vrrp.ReasonTrackPending:       "an instance does not start before its tracks without weight have a result",
	vrrp.ReasonAddressRefused:     "an instance whose addresses the kernel refuses hands over",
	vrrp.ReasonGroupFault:         "a fault of one member of a sync group stops all",
	vrrp.ReasonRemoved:            "an instance that is no longer configured hands over and stops",
	vrrp.ReasonResignStop:         "a daemon that stops hands over with priority 0",
	vrrp.ReasonStartup:            "an instance whose interface is usable starts as backup",
	vrrp.ReasonHigherPriority:     "a master that receives an advert of higher priority becomes backup",
	vrrp.ReasonEqualHigherAddress: "a master that receives an advert of equal priority from a higher address becomes backup",
	vrrp.ReasonLapsed:             "a master that did not run while another took over becomes backup if it may not preempt that one",
	vrrp.ReasonSuccessorHeard:     "a leaving master becomes backup when it receives the next master's advert",
	vrrp.ReasonSuccessorMissing:   "a leaving member of a sync group stops serving after a time, even if no router takes over",
	vrrp.ReasonResignFailover:     "an operator's failover makes the instance hand over",
	vrrp.ReasonDirectorLost:       "without a director for longer than the grace time, the speaker hands over",
	vrrp.ReasonGroup:              "the members of a sync group become master, and leave, together",
	vrrp.ReasonMasterDownTimer:    "a backup that accepts no advert for the master-down interval becomes master",
	vrrp.ReasonPriorityZero:       "a backup that receives priority 0 becomes master after its skew time",
	vrrp.ReasonPreempt:            "a backup of higher priority replaces a master of lower priority",
	vrrp.ReasonOwner:              "the owner of the addresses, priority 255, becomes master at once",
	vrrp.ReasonAdopted:            "the successor of a killed speaker continues as master",
	vrrp.ReasonNobodyTookOver:     "a leaving router stays master if no other takes over in time",
	vrrp.ReasonDirectorBack:       "a router that was leaving stays master when its director is back",
	vrrp.ReasonAddressesBack:      "a router that was leaving stays master when the kernel accepts its addresses again",
	vrrp.ReasonTrackBack:          "a router that was leaving stays master when the track has recovered",
}

// texts are the sentences for causes. {was} and {is} are the former and the present priority.
var texts = map[Code]string{
	Started:          "lvs-ha started",
	Recovered:        "a fault is over ({detail})",
	Replaced:         "the speaker process was replaced, since it was killed or lvs-ha was upgraded, and its successor continued as master",
	Owner:            "this router has priority 255",
	NoMaster:         "no router was master",
	StartupDelay:     "no router was master, and the startup_delay of {time} was over",
	OwnStall:         "this host did not run the process for {time}; adverts were neither read nor sent",
	AdvertsRefused:   "adverts from {router} arrived, but were refused: {detail}",
	AdvertsFiltered:  "adverts from {router} reach the interface, but a packet filter on this host drops them; allow protocol 112",
	MasterSilent:     "adverts from {router} ceased; the last arrived {time} before",
	MasterLeft:       "the master, {router}, left with priority 0",
	PeerLowered:      "the master, {router}, lowered its priority from {was} to {is}",
	PeerRaised:       "{router} raised its priority from {was} to {is}",
	Reload:           "a reload changed the priority from {was} to {is}",
	HoldOver:         "preemption is no longer held ({detail})",
	PreemptDelay:     "{router} has the lower priority {is}, and the preempt_delay of {time} was over",
	LesserMaster:     "{router} was master with the lower priority {is}",
	BetterMaster:     "{router} is master with the higher priority {is}",
	EqualMaster:      "{router} is master with the same priority and a higher address",
	Failover:         "an operator requested a failover ({detail})",
	FailoverEnded:    "an operator's failover ended",
	DirectorLost:     "the director process did not respond within the grace time",
	DirectorBack:     "the director process is back",
	Unfit:            "the director cannot program IPVS ({detail})",
	Fit:              "the director can program IPVS again, or no longer has to",
	AddressesRefused: "the kernel refuses virtual addresses ({detail})",
	AddressesBack:    "the kernel accepts the virtual addresses again",
	SyncGroup:        "another member of the sync group {detail}",
	Stopped:          "lvs-ha was stopped",
	Removed:          "the instance was removed from the configuration",
	NobodyTookOver:   "no other router took over",
}

// next says what to do about causes that somebody should look at.
var next = map[Code]string{
	OwnStall:                          "look for what used the CPU, or for a suspended or migrated virtual machine",
	AdvertsRefused:                    "make the settings of both nodes equal",
	AdvertsFiltered:                   "allow IP protocol 112 in the packet filter of this host",
	MasterSilent:                      "run `lvs-ha explain` on the other node; if it sent adverts all the time, look at the network between the nodes",
	MasterLeft:                        "run `lvs-ha explain` on the other node",
	PeerLowered:                       "run `lvs-ha status` on the other node: which track lowers its priority?",
	PeerRaised:                        "run `lvs-ha status` on the other node: which track raises its priority?",
	DirectorLost:                      "run `journalctl -u lvs-ha -p warning`: why did the director not respond?",
	Unfit:                             "run `lvs-ha doctor`",
	AddressesRefused:                  "run `lvs-ha status`, which says why",
	SyncGroup:                         "run `lvs-ha explain` for that member",
	NobodyTookOver:                    "run `lvs-ha status` on the other node",
	Code(vrrp.ReasonInterfaceDown):    "run `lvs-ha doctor`; look at the cable and the switch port",
	Code(vrrp.ReasonInterfaceMissing): "run `lvs-ha doctor`",
	Code(vrrp.ReasonNoAddress):        "run `lvs-ha doctor`",
	Code(vrrp.ReasonSocket):           "run `journalctl -u lvs-ha -p warning`",
	Code(vrrp.ReasonVMAC):             "run `lvs-ha doctor`",
}

func nextOf(c cause, to vrrp.State) string {
	if kind, isTrack := strings.CutPrefix(string(c.code), "track-"); isTrack && to != vrrp.Master {
		return "repair what the " + kind + " track watches; `lvs-ha status` shows its last result"
	}
	return next[c.code]
}

func textOf(c cause) string {
	format, ok := texts[c.code]
	switch kind, isTrack := strings.CutPrefix(string(c.code), "track-"); {
	case ok:
	case isTrack:
		format = kind + " {detail}"
	default: // a fault of the interface; the code says which
		format = "on {detail}"
	}
	if c.was != 0 && !strings.Contains(format, "{was}") {
		format += "; priority {was} to {is}"
	}
	return strings.NewReplacer("{detail}", c.detail, "{router}", cmp.Or(c.source, "another router"), "{time}", rounded(c.lasted).String(),
		"{was}", strconv.Itoa(c.was), "{is}", strconv.Itoa(c.is)).Replace(format)
}

func rounded(d time.Duration) time.Duration {
	switch {
	case d < 10*time.Millisecond:
		return d.Round(10 * time.Microsecond)
	case d < 10*time.Second:
		return d.Round(time.Millisecond)
	}
	return d.Round(100 * time.Millisecond)
}

func conflictOf(r *flight.Record) (c vrrp.Conflict) {
	_ = json.Unmarshal([]byte(r.Text), &c)
	return c
}

// hostOf names the other host of a conflict.
func hostOf(c vrrp.Conflict) string {
	if c.Router.IsValid() {
		return c.Router.String()
	}
	return fmt.Sprintf("the host with MAC address %s, which answers for %s", c.Hardware, c.Address)
}

// counted returns a number with a noun in its singular or plural.
func counted(n uint32, noun string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(noun, "s"):
		noun += "es"
	default:
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// sentTogether makes one record, in the place of the last, of those of adverts sent with the same priority.
func sentTogether(list []flight.Record) []flight.Record {
	var out []flight.Record
	for _, r := range list {
		if r.Kind == flight.Timeout && r.From == vrrp.Master {
			same := func(o flight.Record) bool { return o.Kind == r.Kind && o.From == r.From && o.Own == r.Own }
			if i := slices.IndexFunc(out, same); i >= 0 {
				r.Count, r.First, r.Late = r.Count+out[i].Count, min(r.First, out[i].First), max(r.Late, out[i].Late)
				out = slices.Delete(out, i, i+1)
			}
		}
		out = append(out, r)
	}
	return out
}

// seen returns what was recorded since the transition before, the last of each kind.
func (p *past) seen() []Fact {
	var out []Fact
	for _, r := range sentTogether(p.window()) {
		f := Fact{Time: r.Time}
		switch r.Kind {
		case flight.Received:
			f.Code, f.Seconds = "adverts", (r.At - r.First).Seconds()
			f.Text = fmt.Sprintf("%s from %s with priority %d, handled at most %s late", counted(r.Count, "advert"), r.Source, r.Priority, rounded(r.Late))
			if r.Priority == vrrp.PriorityResign {
				f.Code = "priority-0"
			}
		case flight.Timeout:
			if r.From != vrrp.Master {
				continue
			}
			f.Code, f.Seconds = "sent", (r.At - r.First).Seconds()
			f.Text = fmt.Sprintf("sent %s with priority %d, at most %s late", counted(r.Count, "advert"), r.Own, rounded(r.Late))
		case flight.Dropped:
			f.Code, f.Seconds = "dropped", (r.At - r.First).Seconds()
			f.Text = fmt.Sprintf("refused %s from %s: %s", counted(r.Count, "packet"), r.Source, vrrp.DropReason(r.Code))
		case flight.Tracks:
			list, _ := r.Tracks()
			f.Code, f.Text = "tracks", trackText(list)
		case flight.Configure:
			f.Code, f.Text = "configured", "a reload changed the instance"
		case flight.Up:
			f.Code, f.Text = "up", fmt.Sprintf("the interface is usable, adverts are sent from %s", r.Source)
		case flight.Down:
			f.Code, f.Text = "down", r.Text
		case flight.Conflicts:
			f.Code, f.Text = Code(conflictOf(&r).Kind), "conflict with "+hostOf(conflictOf(&r))
		case flight.SendFailed:
			f.Code, f.Text = "send-failed", "an advert could not be sent: "+r.Text
		case flight.Resign:
			f.Code, f.Text = "resign", r.Text
		default:
			continue
		}
		out = append(out, f)
	}
	const most = 12
	return out[max(0, len(out)-most):]
}

func trackText(list []vrrp.Track) string {
	text := ""
	for _, t := range list {
		if t.Effect == vrrp.EffectNone {
			continue
		}
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("%s %s", t.Name, t.Effect)
		if t.Effect == vrrp.EffectOffset {
			text += fmt.Sprintf(" %+d", t.Offset)
		}
		if t.Reason != "" {
			text += " (" + t.Reason + ")"
		}
	}
	if text == "" {
		return "no track has an effect"
	}
	return "tracks in effect: " + text
}

// done returns what the router did after the transition.
func (p *past) done() []Fact {
	var out []Fact
	list := p.window()
	if i := slices.IndexFunc(list, func(r flight.Record) bool { return r.Kind == flight.Prepare && p.change.At-r.At < time.Second }); i >= 0 {
		list = list[i:] // addresses are added ahead of a takeover from an active master
	} else {
		list = nil
	}
	after := p.after()
	if i := slices.IndexFunc(after, func(r flight.Record) bool { return r.Kind == flight.Prepare }); i >= 0 {
		after = after[:i] // what follows belongs to the next takeover
	}
	for _, r := range slices.Concat(list, after) {
		if r.Kind != flight.Addresses || r.At-p.change.At > 10*time.Second {
			continue
		}
		f := Fact{Time: r.Time, Seconds: r.Interval.Seconds()}
		switch {
		case r.Code&flight.StepAdd != 0:
			f.Code, f.Text = "addresses-added", "added "+counted(r.Count, "address")
		case r.Code&flight.StepRemove != 0:
			f.Code, f.Text = "addresses-removed", "removed "+counted(r.Count, "address")
		default:
			f.Code, f.Text = "announced", "announced the addresses"
		}
		if r.Code&flight.StepAnnounce != 0 && r.Code&flight.StepAdd != 0 {
			if r.Count == 1 {
				f.Text += " and announced it"
			} else {
				f.Text += " and announced them"
			}
		}
		if r.Text != "" {
			f.Text += "; the kernel refused " + r.Text
		}
		f.Text += " in " + rounded(r.Interval).String()
		out = append(out, f)
	}
	return out
}
