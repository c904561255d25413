package pool_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/pool"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// discoverFrom is a discover block with the file of this name.
func discoverFrom(file string, drain time.Duration) config.Discover {
	return config.Discover{
		Source: config.Source{File: &config.FileSource{Path: file}}, Drain: drain,
		Server: config.RealServer{Destination: ipvs.Destination{Forward: ipvs.Masquerade, Weight: 5}},
	}
}

func listed(servers ...string) []config.ListedServer {
	var list []config.ListedServer
	for _, s := range servers {
		at, err := netip.ParseAddrPort(s)
		if err != nil {
			at = netip.AddrPortFrom(netip.MustParseAddr(s), 0)
		}
		list = append(list, config.ListedServer{Address: at.Addr(), Port: at.Port()})
	}
	return list
}

// names lists the servers of an expansion, with an asterisk if they are no longer listed.
func names(e pool.Expansion) string {
	var words []string
	for _, rs := range e.Service.RealServers {
		word := rs.DestinationKey.String()
		if !rs.Unlisted.IsZero() {
			word += "*"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func TestExpansion(t *testing.T) {
	now := time.Unix(1000, 0)
	vs := webService(config.Remove, tcpCheck(0))
	vs.RealServers = []config.RealServer{
		{Destination: destination("10.0.0.1:80", 1)}, {Destination: destination("10.0.0.9:80", 1), Sorry: true},
	}
	vs.Discover = []config.Discover{discoverFrom("/a", time.Minute), discoverFrom("/b", 2*time.Minute)}
	vs.Discover[1].Port = 8080
	a, b := vs.Discover[0].Key(), vs.Discover[1].Key()
	lists := pool.Lists{
		a: pool.List(nil).Next(listed("10.0.0.2", "10.0.0.1", "10.0.0.3:81"), now),
		b: pool.List(nil).Next(listed("10.0.0.2", "10.0.0.2:80", "10.0.0.4:80"), now),
	}
	e := pool.Expand(vs, lists, false, now)
	if got, want := names(e), "10.0.0.1:80 10.0.0.2:80 10.0.0.3:81 10.0.0.2:8080 10.0.0.4:80 10.0.0.9:80"; got != want || len(e.Ignored) > 0 || !e.Changes.IsZero() {
		t.Errorf("%s, want %s; %v", got, want, e)
	}
	if s := e.Service.RealServers[1]; s.Source != "file /a" || s.Weight != 5 {
		t.Errorf("%+v", s)
	}

	lists[a] = lists[a].Next(listed("10.0.0.3:81"), now)
	lists[b] = lists[b].Next(listed("10.0.0.4:80"), now.Add(30*time.Second))
	e = pool.Expand(vs, lists, false, now.Add(59*time.Second))
	if got, want := names(e), "10.0.0.1:80 10.0.0.3:81 10.0.0.4:80 10.0.0.2:80* 10.0.0.2:8080* 10.0.0.9:80"; got != want || !e.Changes.Equal(now.Add(time.Minute)) {
		t.Errorf("%s until %s, want %s", got, e.Changes, want)
	}
	e = pool.Expand(vs, lists, false, now.Add(time.Minute))
	if got, want := names(e), "10.0.0.1:80 10.0.0.3:81 10.0.0.4:80 10.0.0.2:8080* 10.0.0.2:80* 10.0.0.9:80"; got != want {
		t.Errorf("%s, want %s: the second source drains longer", got, want)
	}
	e = pool.Expand(vs, lists, false, now.Add(150*time.Second))
	if got, want := names(e), "10.0.0.1:80 10.0.0.3:81 10.0.0.4:80 10.0.0.9:80"; got != want || !e.Changes.IsZero() {
		t.Errorf("%s, want %s", got, want)
	}
	vs.Scheduler = "sh"
	if got, want := names(pool.Expand(vs, lists, false, now)), "10.0.0.1:80 10.0.0.3:81 10.0.0.4:80 10.0.0.9:80"; got != want {
		t.Errorf("with sh: %s, want %s", got, want)
	}
}

func TestUnusableServers(t *testing.T) {
	for server, tt := range map[string]struct {
		forward      ipvs.ForwardMethod
		synchronized bool
		usable       bool
	}{
		"10.0.0.2":          {ipvs.DirectRoute, true, true},
		"10.0.0.2:80":       {ipvs.DirectRoute, true, true},
		"10.0.0.2:81":       {ipvs.DirectRoute, true, false},
		"10.0.0.3:81":       {ipvs.Masquerade, true, true},
		"0.0.0.0":           {ipvs.Masquerade, false, false},
		"224.0.0.1":         {ipvs.Masquerade, false, false},
		"255.255.255.255":   {ipvs.Masquerade, false, false},
		"192.0.2.1":         {ipvs.Masquerade, false, false}, // the service
		"2001:db8::1":       {ipvs.DirectRoute, false, false},
		"2001:db8::2":       {ipvs.Tunnel, false, true},
		"2001:db8::3":       {ipvs.Tunnel, true, false},
		"fe80::1":           {ipvs.Tunnel, false, false},
		"::ffff:10.0.0.2":   {ipvs.Tunnel, false, false},
		"[2001:db8::2]:443": {ipvs.Tunnel, false, false},
	} {
		vs := webService(config.Remove)
		vs.Discover = []config.Discover{discoverFrom("/a", 0)}
		vs.Discover[0].Server.Forward = tt.forward
		key := vs.Discover[0].Key()
		e := pool.Expand(vs, pool.Lists{key: pool.List(nil).Next(listed(server), time.Time{})}, tt.synchronized, time.Time{})
		if len(e.Service.RealServers) == 1 != tt.usable || len(e.Ignored[key]) == 1 == tt.usable {
			t.Errorf("%s: %+v", server, e)
		}
	}
}

// TestFoundServers checks that a source without a list gets the servers of the table that are not configured.
func TestFoundServers(t *testing.T) {
	vs := webService(config.Remove, tcpCheck(0))
	vs.RealServers = []config.RealServer{{Destination: destination("10.0.0.1:80", 1)}}
	vs.Discover = []config.Discover{discoverFrom("/a", 0), discoverFrom("/b", 0)}
	table := []ipvs.ServiceState{{Service: vs.Service, Destinations: []ipvs.DestinationState{
		{Destination: destination("10.0.0.1:80", 1)}, {Destination: destination("10.0.0.2:80", 1)}, {Destination: destination("10.0.0.3:81", 0)},
	}}}
	a, b := vs.Discover[0].Key(), vs.Discover[1].Key()
	found := pool.Found([]config.VirtualService{vs}, pool.Lists{}, table)
	if len(found) != 1 || !found[a].Equal(pool.List(nil).Next(listed("10.0.0.2", "10.0.0.3:81"), time.Time{})) {
		t.Errorf("%v", found)
	}
	if got := names(pool.Expand(vs, found, false, time.Time{})); got != "10.0.0.1:80 10.0.0.2:80 10.0.0.3:81" {
		t.Errorf("%s", got)
	}
	if found = pool.Found([]config.VirtualService{vs}, pool.Lists{a: nil}, table); len(found[b]) != 2 {
		t.Errorf("%v", found)
	}
	if found = pool.Found([]config.VirtualService{vs}, pool.Lists{a: nil, b: nil}, table); len(found) > 0 {
		t.Errorf("%v", found)
	}
}

// TestDiscoveredSequences draws answers, results and times. A server that has a weight is listed or configured and passes its checks, one that
// is listed and passes has its weight, and one that was listed and works stays in the table until it is drained.
func TestDiscoveredSequences(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1000, 0)
		declared := webService(rapid.SampledFrom([]config.OnFailure{config.Remove, config.Weight}).Draw(t, "on failure"), tcpCheck(0))
		drain := time.Duration(rapid.IntRange(0, 3).Draw(t, "drain")) * time.Second
		declared.Discover = []config.Discover{discoverFrom("/a", drain)}
		key := declared.Discover[0].Key()
		lists := pool.Lists{}
		w := world{health: map[string]healthcheck.Health{}}
		apply := func() {
			e := pool.Expand(declared, lists, false, now)
			w.now = now.Unix()
			w.services = []config.VirtualService{e.Service}
			targets := w.targets()
			for one := range w.health {
				if !targets[one].IsValid() {
					delete(w.health, one)
				}
			}
			w.reconcile()
		}
		all := []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}
		t.Repeat(map[string]func(*rapid.T){
			"answer": func(t *rapid.T) {
				servers := rapid.SliceOfDistinct(rapid.SampledFrom(all), rapid.ID[string]).Draw(t, "servers")
				lists[key] = lists[key].Next(listed(servers...), now)
				apply()
			},
			"result": func(t *rapid.T) {
				at := netip.AddrPortFrom(netip.MustParseAddr(rapid.SampledFrom(all).Draw(t, "server")), 80)
				w.result(at, rapid.SampledFrom([]healthcheck.State{up, down}).Draw(t, "state"))
			},
			"time": func(*rapid.T) { now = now.Add(time.Second); apply() },
			"": func(t *rapid.T) {
				inTable := map[string]uint32{}
				for server, d := range w.destinations() {
					inTable[server.Destination.Address.String()] = d.Weight + 1
				}
				for _, s := range all {
					i := slices.IndexFunc(lists[key], func(l pool.Listing) bool { return l.Address.String() == s })
					isListed := i >= 0 && lists[key][i].Unlisted.IsZero()
					state := unknown
					for target, at := range w.targets() {
						if at.Addr().String() == s {
							state = w.health[target].State
						}
					}
					switch weight, isIn := inTable[s]; {
					case isListed && state == up:
						if weight != 6 {
							t.Errorf("%s is listed and up, with weight %d", s, int(weight)-1)
						}
					case weight > 1:
						t.Errorf("%s has weight %d; listed: %v, %s", s, weight-1, isListed, state)
					case state == up && !isIn && now.Before(lists[key][i].Unlisted.Add(drain)):
						t.Errorf("%s was removed before it was drained", s)
					case !isListed && isIn && !now.Before(lists[key][i].Unlisted.Add(drain)):
						t.Errorf("%s is still in the table", s)
					}
				}
			},
		})
	})
}
