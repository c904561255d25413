package doctor

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// adverts judges what was heard of the peers, and of strangers.
func adverts(cfg *config.Config, o *Observed) []Finding {
	var out []Finding
	for i := range cfg.VRRP {
		in := &cfg.VRRP[i].Instance
		// On a link that is down nothing can be heard, which says nothing about the peer.
		link, known := o.link(in.Interface)
		if _, listened := o.Listened[in.Interface]; listened && (link.Running() || !known) {
			out = append(out, heard(in, o)...)
		}
	}
	return out
}

// speaker is one router that was heard for an instance, by its last advert.
type speaker struct {
	source netip.Addr
	advert Advert
	refuse vrrp.DropReason
}

func heard(in *vrrp.Instance, o *Observed) []Finding {
	var speakers []speaker
	for _, a := range o.Adverts {
		if a.Interface != in.Interface || a.Advert.VirtualRouterID != in.VirtualRouterID || a.Envelope.Family != in.Family {
			continue
		}
		s := speaker{source: a.Source, advert: a, refuse: a.Dropped}
		if s.refuse == vrrp.NotDropped {
			s.refuse = in.Check(&a.Advert, a.Envelope, netip.Addr{})
		}
		speakers = slices.DeleteFunc(speakers, func(t speaker) bool { return t.source == s.source })
		speakers = append(speakers, s)
	}
	slices.SortFunc(speakers, func(a, b speaker) int { return a.source.Compare(b.source) })
	var out []Finding
	var masters []speaker
	for _, s := range speakers {
		if s.refuse != vrrp.NotDropped {
			out = append(out, refused(in, s))
			continue
		}
		if s.advert.Advert.Priority != vrrp.PriorityResign {
			masters = append(masters, s)
		}
		if !in.SameAddresses(&s.advert.Advert) {
			out = append(out, otherAddresses(in, s))
		}
	}
	return append(out, mastership(in, masters, o)...)
}

// refusals are the mends of adverts that do not count.
var refusals = map[vrrp.DropReason]string{
	vrrp.DropChecksum:         "the packet was damaged on its way, or the peer computes another checksum",
	vrrp.DropChecksumMode:     "set checksum alike on both directors",
	vrrp.DropInstanceVersion:  "set version alike on both directors",
	vrrp.DropIntervalMismatch: "set advertise_interval alike on both directors",
	vrrp.DropAuthType:         "set auth_pass alike on both directors",
	vrrp.DropAuthFailed:       "set auth_pass alike on both directors",
	vrrp.DropNotAPeer:         "add it to unicast_peers, or give this instance a virtual_router_id of its own",
	vrrp.DropDestination:      "use unicast_peers on both directors or on none",
	vrrp.DropTTL:              "it came through a router, where multicast VRRP does not go; for unicast_peers that are further away set unicast_min_ttl",
}

func refused(in *vrrp.Instance, s speaker) Finding {
	return Finding{Code: "advert-refused", Severity: Error, Subject: in.Name,
		What: fmt.Sprintf("%s: adverts of %s do not count: %s", in.Name, s.source, s.refuse),
		Why:  "a director that does not hear the other becomes master beside it",
		Mend: cmp.Or(refusals[s.refuse], "tcpdump -vni "+in.Interface+" proto 112 # look at what "+s.source.String()+" sends")}
}

func otherAddresses(in *vrrp.Instance, s speaker) Finding {
	return Finding{Code: "addresses-differ", Severity: Warning, Subject: in.Name,
		What: fmt.Sprintf("%s: %s advertises %v under virtual_router_id %d, which are not this instance's addresses",
			in.Name, s.source, s.advert.Advert.Addresses, in.VirtualRouterID),
		Why:  "either the two directors' configurations differ, or another pair uses the same virtual_router_id on this network",
		Mend: "use the same file on both directors, or another virtual_router_id"}
}

func mastership(in *vrrp.Instance, masters []speaker, o *Observed) []Finding {
	state := vrrp.State("")
	if o.Running != nil {
		state = o.Running.States[in.Name]
	}
	waited := o.Listened[in.Interface].Round(10 * time.Millisecond)
	var names []string
	for _, m := range masters {
		names = append(names, fmt.Sprintf("%s (priority %d)", m.source, m.advert.Advert.Priority))
	}
	switch {
	case len(masters) > 1, len(masters) == 1 && state == vrrp.Master:
		if state == vrrp.Master {
			names = append(names, "this node")
		}
		return []Finding{{Code: "two-masters", Severity: Error, Subject: in.Name,
			What: fmt.Sprintf("%s: more than one is master: %v", in.Name, names),
			Why:  "each answers for the virtual addresses; either they do not hear each other, or one is a stranger with the same virtual_router_id",
			Mend: fmt.Sprintf("tcpdump -vni %s proto 112 # and let protocol 112 to %s through packet filters and switches", in.Interface, destinations(in))}}
	case len(masters) == 1:
		return []Finding{ok("peer-heard", "%s: %s is master and is heard", in.Name, names[0])}
	case state == vrrp.Master:
		return []Finding{ok("master", "%s: this node is master, and no other was heard within %s; a backup sends nothing, so whether there is one does not show",
			in.Name, waited)}
	case state == vrrp.Backup:
		return []Finding{{Code: "peer-silent", Severity: Warning, Subject: in.Name,
			What: fmt.Sprintf("%s: this node is backup, but no master was heard within %s", in.Name, waited),
			Why:  "the daemon hears what this check does not, or will take over at any moment", Mend: "lvs-ha status"}}
	}
	return []Finding{{Code: "peer-silent", Severity: Info, Subject: in.Name,
		What: fmt.Sprintf("%s: no master was heard within %s", in.Name, waited),
		Why:  "the other director is not running, or its adverts do not arrive; this node would become master"}}
}

// destinations are where the adverts of the instance's directors go, in words.
func destinations(in *vrrp.Instance) string {
	if len(in.UnicastPeers) == 0 {
		return vrrp.Group(in.Family).String()
	}
	return fmt.Sprintf("this node and to %v", in.UnicastPeers)
}
