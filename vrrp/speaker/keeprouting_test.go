package speaker

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

func route(destination string) vrrp.Route {
	return vrrp.Route{Destination: netip.MustParsePrefix(destination), Interface: "eth0"}
}

var (
	routeA = route("10.10.0.0/16")
	routeB = route("fd10::/64")
	ruleA  = vrrp.Rule{Family: vrrp.IPv4, Priority: 100, Table: 9}
	paths  = vrrp.Routing{Routes: []vrrp.Route{routeA, routeB}, Rules: []vrrp.Rule{ruleA}}
)

func TestKeeperRoutes(t *testing.T) {
	withKeeper(t, func(t *testing.T, g *keeperRig) {
		h := &holder{key: keyA}
		expect := func(what, want string) {
			t.Helper()
			if got := g.routes.did(); got != want {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
		g.do(h, vrrp.AddAddresses{Routing: paths})
		expect("added", "+route 10.10.0.0/16, +route fd10::/64, +rule 100: from all lookup 9")
		g.do(&holder{key: keyB}, vrrp.RemoveAddresses{Routing: paths})
		expect("another holder's", "")

		g.routes.Unset([]entry{{route: &routeA}})
		g.routes.did()
		g.requestCheck()
		synctest.Wait()
		expect("deleted", "+route 10.10.0.0/16")
		if n := h.routesRestored.Load(); n != 1 {
			t.Errorf("restored %d", n)
		}
		g.routes.Unset([]entry{{route: &routeA}})
		g.routes.did()
		g.requestCheck()
		synctest.Wait()
		expect("deleted again at once", "")
		time.Sleep(restorePause)
		synctest.Wait()
		expect("deleted again, later", "+route 10.10.0.0/16")

		g.routes.refuse(map[string]error{routeB.Key(): unix.ENETUNREACH})
		g.routes.Unset([]entry{{route: &routeB}})
		g.routes.did()
		time.Sleep(checkInterval)
		synctest.Wait()
		g.do(h) // orders the keeper's writes before this goroutine's reads
		if len(g.told) != 1 || h.routesRestored.Load() != 2 {
			t.Errorf("refused: told %q, restored %d", g.told, h.routesRestored.Load())
		}
		time.Sleep(2 * checkInterval)
		g.routes.refuse(nil)
		time.Sleep(checkInterval)
		synctest.Wait()
		g.do(h)
		if len(g.told) != 2 || g.told[1] != "" {
			t.Errorf("accepted: told %q", g.told)
		}
		g.routes.did()

		other := kernelEntry{entry: entry{route: &vrrp.Route{Destination: netip.MustParsePrefix("10.99.0.0/16")}}}
		g.routes.present["10.99.0.0/16"] = other
		done := make(chan struct{})
		g.submit(task{holder: h, sweep: map[string]bool{}, done: func() { close(done) }})
		<-done
		expect("left by another process", "-route 10.99.0.0/16")
		g.do(h, vrrp.RemoveAddresses{Routing: paths})
		expect("removed", "-rule 100: from all lookup 9, -route fd10::/64, -route 10.10.0.0/16")
		time.Sleep(2 * checkInterval)
		expect("afterwards", "")
	})
}

func TestRouteFilter(t *testing.T) {
	vm, err := bpf.NewVM(routeFilter())
	if err != nil {
		t.Fatal(err)
	}
	message := func(r interface{ Serialize() []byte }, kind uint16) []byte {
		b := r.Serialize()
		b[messageTypeAt], b[messageTypeAt+1] = byte(kind), byte(kind>>8)
		return b
	}
	ours := deletion(entry{route: &routeA})
	theirs, m := routeRequest(unix.RTM_DELROUTE, 0, &routeA)
	m.Protocol = unix.RTPROT_STATIC
	for _, c := range []struct {
		name string
		b    []byte
		pass bool
	}{
		{"our route deleted", message(ours, unix.RTM_DELROUTE), true},
		{"our route added", message(ours, unix.RTM_NEWROUTE), false},
		{"another route deleted", message(theirs, unix.RTM_DELROUTE), false},
		{"a rule deleted", message(deletion(entry{rule: &ruleA}), unix.RTM_DELRULE), true},
		{"a rule added", message(deletion(entry{rule: &ruleA}), unix.RTM_NEWRULE), false},
	} {
		if n, err := vm.Run(c.b); err != nil || n > 0 != c.pass {
			t.Errorf("%s: %d, %v", c.name, n, err)
		}
	}
}

// TestStatic checks that the engine applies differences of the static configuration, reports what is refused, and removes
// everything only after the instances have left.
func TestStatic(t *testing.T) {
	g := newRig(t)
	g.up("eth0", 2, "10.9.0.1/24")
	var reports [][]string
	g.engine.reportStatic = func(all []string) { reports = append(reports, all) }
	with := func(s vrrp.Static) {
		in := v3(100)
		g.engine.setWanted(vrrp.Wanted{DirectorGrace: time.Second, Instances: []vrrp.WantedInstance{{Instance: in}}, Static: s}, g.now)
		g.settle()
	}
	with(vrrp.Static{Routing: paths})
	g.advance(400 * time.Millisecond)
	g.expectDid("add, silence, add, advert 100, announce")
	with(vrrp.Static{Routing: paths})
	g.expectDid("")
	with(vrrp.Static{Routing: vrrp.Routing{Routes: paths.Routes}})
	g.expectDid("remove")
	g.engine.setRoutesRefused(g.engine.static.holder, []string{"a"})
	g.engine.setRefused(g.engine.static.holder, refusals{placed{"eth0", vip1.Prefix}: "b"}, g.now)
	g.engine.setRoutesRefused(g.engine.static.holder, nil)
	if got := fmt.Sprint(reports); len(reports) != 3 || !slices.Equal(reports[0], []string{"a"}) || len(reports[1]) != 2 || len(reports[2]) != 1 {
		t.Errorf("reported %s", got)
	}
	g.engine.stop(g.now)
	g.settle()
	g.expectDid("silence, advert 0")
	if g.engine.stopped() {
		t.Error("stopped while leaving")
	}
	g.advance(time.Second)
	g.expectDid("advert 0, remove, silence")
	if g.engine.stopped() {
		t.Error("stopped before the static routes were removed")
	}
	g.settle()
	g.expectDid("remove")
	if !g.engine.stopped() {
		t.Error("not stopped")
	}
}

// FuzzParseRouting checks that no message of the kernel ends the process, and that routes and rules survive a round trip.
func FuzzParseRouting(f *testing.F) {
	for _, e := range entriesOf(paths) {
		f.Add(deletion(e).Serialize()[unix.NLMSG_HDRLEN:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, ok := parseRoute(b); ok {
			_ = e.key() + e.String()
			e.satisfies(e.entry, func(string) int { return 0 })
		}
		if e, ok := parseRule(b); ok {
			_ = e.key() + e.String()
		}
		r := reply{data: b}
		r.Flags = unix.NLM_F_ACK_TLVS
		_ = r.failure()
	})
}

func TestParseRouting(t *testing.T) {
	via := netip.MustParseAddr("10.9.0.9")
	kernel := &kernelRouting{index: func(name string) int { return map[string]int{"eth0": 2}[name] }}
	all := vrrp.Routing{
		Routes: []vrrp.Route{
			routeA, routeB,
			{Destination: netip.MustParsePrefix("0.0.0.0/0"), Via: via, Table: 1000, Metric: 7, MTU: 1400, Source: via},
			{Destination: netip.MustParsePrefix("10.2.0.0/16"), Via: via, PathMetrics: map[string]uint32{"advmss": 1360, "rto_min": 300}},
			{Destination: netip.MustParsePrefix("10.0.0.0/8"), Verdict: vrrp.Prohibit},
			{Destination: netip.MustParsePrefix("10.1.0.0/16"), NextHops: []vrrp.NextHop{{Via: via, Weight: 3}, {Interface: "eth0"}}},
		},
		Rules: []vrrp.Rule{
			ruleA,
			{Family: vrrp.IPv6, Priority: 5, From: netip.MustParsePrefix("fd00::/8"), To: netip.MustParsePrefix("fd01::/16"), Mark: 1, Mask: 3, InputInterface: "eth0", OutputInterface: "eth1", Verdict: vrrp.Blackhole},
		},
	}
	for _, e := range entriesOf(all) {
		request, err := kernel.addition(e)
		if err != nil {
			t.Fatal(err)
		}
		parse := parseRoute
		if e.rule != nil {
			parse = parseRule
		}
		got, ok := parse(request.Serialize()[unix.NLMSG_HDRLEN:])
		if !ok || got.key() != e.key() || !kernel.Satisfies(got, e) {
			t.Errorf("%s: %v %+v", e, ok, got)
		}
		if e.route != nil {
			other := *e.route
			other.MTU = 1300
			if kernel.Satisfies(got, entry{route: &other}) {
				t.Errorf("%s with another MTU is satisfied", e)
			}
			other = *e.route
			other.PathMetrics = map[string]uint32{"advmss": 1360}
			if kernel.Satisfies(got, entry{route: &other}) {
				t.Errorf("%s with other metrics is satisfied", e)
			}
		}
	}
	if _, err := kernel.addition(entry{route: &vrrp.Route{Destination: routeA.Destination, Interface: "eth9"}}); err == nil {
		t.Error("a missing interface is no error")
	}
}
