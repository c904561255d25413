package vrrp

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// epoch is the start time of every story.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// scene is one event of a story, with the machine's expected actions and next deadline.
type scene struct {
	at   string // since epoch
	ev   Event
	want string // actions, as describe writes them
	due  string // since epoch; "-" if never
}

type story struct {
	name   string
	in     Instance
	scenes []scene
}

// The routers of the stories: this one, one with a lower address and one with a higher address.
var (
	ours  = netip.MustParseAddr("10.0.0.5")
	lower = netip.MustParseAddr("10.0.0.4")
	upper = netip.MustParseAddr("10.0.0.6")
)

// v2 and v3 are instances of priority 100: version 2 with 1 s, version 3 with 100 ms.
func v2(change ...func(*Instance)) Instance {
	return instance(2, time.Second, change)
}

func v3(change ...func(*Instance)) Instance {
	return instance(3, 100*time.Millisecond, change)
}

func instance(version uint8, interval time.Duration, change []func(*Instance)) Instance {
	in := Instance{
		Name: "web", Interface: "eth0", VirtualRouterID: 51, Version: version, Family: IPv4, Priority: 100,
		AdvertiseInterval: interval, Preempt: true, Addresses: prefixes("10.0.0.100/24"),
		Announce: Announce{Count: 5},
	}
	for _, c := range change {
		c(&in)
	}
	return in
}

func advertFrom(a netip.Addr, priority uint8, interval time.Duration) Received {
	return Received{Source: a, Priority: priority, Interval: interval}
}

// arrived returns the advert with the time at which it arrived.
func arrived(r Received, at string) Received {
	d, err := time.ParseDuration(at)
	if err != nil {
		panic(err)
	}
	r.At = epoch.Add(d)
	return r
}

// The tracks of the stories.
var (
	learning = Track{Name: "sync", Kind: TrackConnectionSync, Effect: EffectHold, Reason: "learning"}
	failover = Track{Name: "failover", Kind: TrackFailover, Effect: EffectLastResort}
	lost     = Track{Name: "director", Kind: TrackDirector, Effect: EffectLastResort}
	degraded = Track{Name: "addresses", Kind: TrackAddresses, Effect: EffectLastResort}
	refused  = Track{Name: "addresses", Kind: TrackAddresses, Effect: EffectFault}
	faulted  = Track{Name: "eth1", Kind: TrackInterfaceLink, Effect: EffectFault}
)

func tracks(list ...Track) SetTracks { return SetTracks{list} }

func offset(n int) SetTracks {
	return tracks(Track{Name: "eth2", Kind: TrackInterfaceLink, Effect: EffectOffset, Offset: n})
}

func describe(actions []Action) string {
	var out []string
	for _, a := range actions {
		switch a := a.(type) {
		case SendAdvert:
			out = append(out, fmt.Sprintf("advert %d", a.Priority))
		case AddAddresses:
			out = append(out, "add "+list(a.Addresses))
		case RemoveAddresses:
			out = append(out, "remove "+list(a.Addresses))
		case SendAnnouncements:
			out = append(out, "announce "+list(a.Addresses))
		case Changed:
			out = append(out, fmt.Sprintf("%s>%s %s", a.From, a.To, a.Reason))
		case MasterHeard:
			out = append(out, fmt.Sprintf("master %s %d %s", a.Address, a.Priority, a.Interval))
		default:
			out = append(out, fmt.Sprintf("unknown %T", a))
		}
	}
	return strings.Join(out, ", ")
}

// list formats addresses by their last byte.
func list(addresses []Address) string {
	var out []string
	for _, a := range addresses {
		s := a.Prefix.Addr().String()
		out = append(out, s[strings.LastIndexAny(s, ".:"):])
	}
	return strings.Join(out, " ")
}

func (s story) run(t *testing.T) {
	m := NewMachine(s.in)
	for i, sc := range s.scenes {
		at, err := time.ParseDuration(sc.at)
		if err != nil {
			t.Fatal(err)
		}
		now := epoch.Add(at)
		got := describe(m.Step(sc.ev, now))
		if got != sc.want {
			t.Errorf("scene %d, at %s, %T%+v:\n got  %s\n want %s", i, sc.at, sc.ev, sc.ev, got, sc.want)
		}
		due := "-"
		if d, ok := m.Deadline(); ok {
			due = d.Sub(epoch).String()
		}
		if due != sc.due {
			t.Errorf("scene %d, at %s, %T%+v: next deadline %s, want %s", i, sc.at, sc.ev, sc.ev, due, sc.due)
		}
		if t.Failed() {
			t.FailNow()
		}
	}
}

func runStories(t *testing.T, stories []story) {
	for _, s := range stories {
		t.Run(s.name, s.run)
	}
}

var up = Up{Source: ours}
