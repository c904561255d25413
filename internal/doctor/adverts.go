package doctor

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// adverts checks the adverts received from peers and other routers.
func adverts(cfg *config.Config, o *Observed) []Finding {
	var out []Finding
	for i := range cfg.VRRP {
		in := &cfg.VRRP[i].Instance
		// Without a link nothing is received, regardless of the peer.
		link, known := o.link(in.Interface)
		if _, listened := o.Listened[in.Interface]; listened && (link.Running() || !known) {
			out = append(out, advertFindings(in, o)...)
		}
	}
	return out
}

// conflicts reports what the running daemon has found.
func conflicts(cfg *config.Config, o *Observed) []Finding {
	var out []Finding
	for i := range cfg.VRRP {
		name := cfg.VRRP[i].Name
		if o.Running == nil {
			break
		}
		for _, c := range api.Causes(o.Running.Conflicts[name]) {
			out = append(out, Finding{Code: "conflict", Severity: Error, Subject: name, What: name + ": " + c.What(),
				Why: fmt.Sprintf("packets since %s: %d", c.Since.UTC().Format(time.RFC3339), c.Count), Remedy: c.Remedy()})
		}
	}
	return out
}

// speaker is a router that advertises an instance, with its last advert.
type speaker struct {
	source netip.Addr
	advert Advert
	refuse vrrp.DropReason
}

func advertFindings(in *vrrp.Instance, o *Observed) []Finding {
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

// refusals are the remedies for adverts that are dropped.
var refusals = map[vrrp.DropReason]string{
	vrrp.DropChecksum:         "check for damaged packets; or the peer computes the checksum differently",
	vrrp.DropChecksumMode:     "set the same checksum on both directors",
	vrrp.DropInstanceVersion:  "set the same version on both directors",
	vrrp.DropIntervalMismatch: "set the same advertise_interval on both directors",
	vrrp.DropAuthType:         "set the same auth_pass or auth_hmac on both directors",
	vrrp.DropAuthFailed:       "set the same auth_pass or auth_hmac keys on both directors",
	vrrp.DropAuthMissing:      "add auth_hmac to the other director; while it has none, use mode = \"permissive\"",
	vrrp.DropAuthMalformed:    "use versions of lvs-ha and keepalived with the same auth_hmac trailer",
	vrrp.DropAuthStale:        "synchronize the clocks of both directors (NTP)",
	vrrp.DropAuthKeyUnknown:   "define the same auth_hmac keys, with the same ids, on both directors",
	vrrp.DropAuthReplayed:     "find the host that replays captured adverts; if a director's clock was set back, wait until it catches up",
	vrrp.DropNotAPeer:         "add it to unicast_peers, or use another virtual_router_id",
	vrrp.DropDestination:      "use unicast_peers on both directors or on neither, and the same multicast_address",
	vrrp.DropTTL:              "connect both directors to the same network; for unicast_peers behind routers set unicast_min_ttl",
}

func refused(in *vrrp.Instance, s speaker) Finding {
	return Finding{Code: "advert-refused", Severity: Error, Subject: in.Name,
		What:   fmt.Sprintf("%s: adverts from %s are dropped: %s", in.Name, s.source, s.refuse),
		Why:    "directors that do not receive each other's adverts both become master",
		Remedy: cmp.Or(refusals[s.refuse], "tcpdump -vni "+in.Interface+" proto 112 # and check the packets from "+s.source.String())}
}

func otherAddresses(in *vrrp.Instance, s speaker) Finding {
	return Finding{Code: "addresses-differ", Severity: Warning, Subject: in.Name,
		What: fmt.Sprintf("%s: %s advertises %v with virtual_router_id %d, not this instance's addresses",
			in.Name, s.source, s.advert.Advert.Addresses, in.VirtualRouterID),
		Why:    "the configurations of the directors differ, or another pair uses the same virtual_router_id on this network",
		Remedy: "use the same configuration on both directors, or another virtual_router_id"}
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
			What:   fmt.Sprintf("%s: more than one master: %v", in.Name, names),
			Why:    "all of them use the virtual addresses; they do not receive each other's adverts, or another pair uses the same virtual_router_id",
			Remedy: fmt.Sprintf("tcpdump -vni %s proto 112 # and allow protocol 112 to %s in packet filters and switches", in.Interface, destinations(in))}}
	case len(masters) == 1:
		return []Finding{ok("peer-heard", "%s: %s is master", in.Name, names[0])}
	case state == vrrp.Master:
		return []Finding{ok("master", "%s: this node is the only master seen in %s; a backup sends no adverts, so it cannot be detected",
			in.Name, waited)}
	case state == vrrp.Backup:
		return []Finding{{Code: "peer-silent", Severity: Warning, Subject: in.Name,
			What: fmt.Sprintf("%s: this node is backup, but no adverts were received in %s", in.Name, waited),
			Why:  "the daemon receives adverts that this check does not, or is about to take over", Remedy: "lvs-ha status"}}
	}
	return []Finding{{Code: "peer-silent", Severity: Info, Subject: in.Name,
		What: fmt.Sprintf("%s: no adverts were received in %s", in.Name, waited),
		Why:  "the other director is not running, or its adverts do not arrive; this node would become master"}}
}

// destinations describes where the adverts of the instance's directors are sent.
func destinations(in *vrrp.Instance) string {
	if len(in.UnicastPeers) == 0 {
		return in.Multicast().String()
	}
	return fmt.Sprintf("this node and to %v", in.UnicastPeers)
}
