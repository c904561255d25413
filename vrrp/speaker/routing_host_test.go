package speaker

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// routing lists a host's routes and rules: ours, and all others.
func routing(t testing.TB, h *lab.Node) (ours, others []string) {
	t.Helper()
	for _, args := range []string{"-4 route show table all", "-6 route show table all", "-4 rule", "-6 rule"} {
		out, err := h.Command(context.Background(), "ip", strings.Fields("-d "+args)...).CombinedOutput()
		if err != nil {
			t.Fatalf("ip %s: %v: %s", args, err, out)
		}
		for line := range strings.Lines(strings.ReplaceAll(string(out), "\n\t", " ")) {
			line = strings.Join(strings.Fields(line), " ")
			switch {
			case strings.Contains(line, "proto 112"):
				ours = append(ours, strings.TrimPrefix(strings.NewReplacer(" proto 112", "", " table main", "").Replace(line), "unicast "))
			case !strings.Contains(line, "type local") && !strings.Contains(line, "proto kernel"):
				others = append(others, line)
			}
		}
	}
	return ours, others
}

// awaitRouting waits until a host has exactly the given routes and rules of ours; each is the beginning of a line of ip(8).
func awaitRouting(t testing.TB, h *lab.Node, what string, want ...string) {
	t.Helper()
	var have []string
	defer func() {
		if t.Failed() {
			t.Logf("%s: have\n%s\nwant\n%s", what, strings.Join(have, "\n"), strings.Join(want, "\n"))
		}
	}()
	eventually(t, what, func() bool {
		have, _ = routing(t, h)
		return len(have) == len(want) && !slices.ContainsFunc(want, func(w string) bool {
			return !slices.ContainsFunc(have, func(line string) bool { return strings.HasPrefix(line, w) })
		})
	})
}

func prefix(text string) netip.Prefix { return netip.MustParsePrefix(text) }

// TestHostRouting follows the routes and rules of an instance, and static ones, through takeover, deletion by another program,
// a crash, refusals, a reload and a stop.
func TestHostRouting(t *testing.T) {
	n := newLAN(t)
	via := netip.MustParseAddr("10.9.0.9")
	in := instance(3, vrrp.IPv4, 200, 100*time.Millisecond)
	in.Routing = vrrp.Routing{
		Routes: []vrrp.Route{
			{Destination: prefix("10.10.0.0/16"), Via: via, Source: netip.MustParseAddr("10.9.0.100"), MTU: 1400, PathMetrics: map[string]uint32{"advmss": 1360, "initcwnd": 20}},
			{Destination: prefix("0.0.0.0/0"), Table: 1000, Metric: 5, NextHops: []vrrp.NextHop{{Via: via, Weight: 3}, {Interface: "eth0", Via: netip.MustParseAddr("10.9.0.8")}}},
			{Destination: prefix("10.11.0.0/16"), Interface: "eth0", Scope: vrrp.ScopeLink},
			{Destination: prefix("10.12.0.0/16"), Verdict: vrrp.Blackhole},
			{Destination: prefix("fd10::/64"), Via: netip.MustParseAddr("fd09::9"), Source: netip.MustParseAddr("fd09::1"), Metric: 7},
			{Destination: prefix("fd11::/64"), NextHops: []vrrp.NextHop{{Via: netip.MustParseAddr("fd09::9")}, {Via: netip.MustParseAddr("fd09::8")}}},
			{Destination: prefix("fd12::/64"), Verdict: vrrp.Unreachable},
			{Destination: prefix("::/0"), Table: 1000, Interface: "eth0", Via: netip.MustParseAddr("fe80::9"), OnLink: true},
		},
		Rules: []vrrp.Rule{
			{Family: vrrp.IPv4, Priority: 1000, From: prefix("10.9.0.100/32"), Table: 1000},
			{Family: vrrp.IPv6, Priority: 1000, To: prefix("fd13::/64"), Mark: 0x10, Mask: 0xff, InputInterface: "eth0", Table: 1000},
			{Family: vrrp.IPv4, Priority: 1001, OutputInterface: "eth7", Verdict: vrrp.Prohibit},
		},
	}
	static := vrrp.Static{
		Addresses: []vrrp.Address{{Prefix: prefix("10.20.0.1/24"), Interface: "eth0"}},
		Routing: vrrp.Routing{
			Routes: []vrrp.Route{{Destination: prefix("10.21.0.0/16"), Via: netip.MustParseAddr("10.20.0.9")}},
			Rules:  []vrrp.Rule{{Family: vrrp.IPv4, Priority: 1002, From: prefix("10.20.0.0/24"), Table: 1000}},
		},
	}
	staticWant := []string{"10.21.0.0/16 via 10.20.0.9 dev eth0 scope global", "1002: from 10.20.0.0/24 lookup 1000"}
	all := append(slices.Clone(staticWant),
		"10.10.0.0/16 via 10.9.0.9 dev eth0 scope global src 10.9.0.100 mtu 1400 advmss 1360 initcwnd 20",
		"default table 1000 scope global metric 5 nexthop via 10.9.0.9 dev eth0 weight 3 nexthop via 10.9.0.8 dev eth0 weight 1",
		"10.11.0.0/16 dev eth0 scope link", "blackhole 10.12.0.0/16 scope global",
		"fd10::/64 via fd09::9 dev eth0 scope global src fd09::1 metric 7", "fd11::/64 scope global metric 1024",
		"unreachable fd12::/64 dev lo scope global metric 1024", "default via fe80::9 dev eth0 table 1000 scope global metric 1024 onlink",
		"1000: from 10.9.0.100 lookup 1000", "1000: from all to fd13::/64 fwmark 0x10/0xff iif eth0 lookup 1000", "1001: from all oif eth7")
	s := newStation(t, n.a)
	want := func(in vrrp.Instance, static vrrp.Static) {
		s.client.Set(vrrp.Wanted{DirectorGrace: time.Minute, Instances: []vrrp.WantedInstance{{Instance: in}}, Static: static})
	}
	want(in, static)
	s.awaitState("v", vrrp.Master)
	awaitRouting(t, n.a, "set as master", all...)

	for i, args := range []string{"route del 10.10.0.0/16", "route del blackhole 10.12.0.0/16", "-6 route del fd11::/64", "rule del priority 1000", "rule del priority 1002"} {
		ip(t, n.a, strings.Fields(args)...)
		awaitRouting(t, n.a, "after "+args, all...)
		if i == 0 {
			s.report("v", "restored", func(st vrrp.Status) bool { return st.RoutesRestored == 1 && len(st.RoutesRefused) == 0 })
		}
	}
	ip(t, n.a, "link", "set", "dev", "eth0", "down") // the kernel deletes the routes
	ip(t, n.a, "link", "set", "dev", "eth0", "up")
	ip(t, n.a, "address", "replace", "fd09::1/64", "dev", "eth0", "nodad")
	s.awaitState("v", vrrp.Master)
	awaitRouting(t, n.a, "after the link was down", all...)
	ip(t, n.a, "route", "add", "10.99.0.0/16", "via", "10.9.0.9", "proto", "static")
	_, foreign := routing(t, n.a)

	t.Run("crash", func(t *testing.T) {
		s.kill()
		awaitRouting(t, n.a, "after a crash", all...)
		s.start("adopt")
		s.awaitState("v", vrrp.Master)
		st := s.report("v", "running", func(st vrrp.Status) bool { return st.State == vrrp.Master && st.Reason == string(vrrp.ReasonAdopted) })
		awaitRouting(t, n.a, "adopted", all...)
		if strings.Contains(s.log.String(), "left by an earlier process") || st.RoutesRestored != 0 {
			t.Error("adopted routes were changed")
		}
	})
	t.Run("refused", func(t *testing.T) {
		ip(t, n.a, "route", "add", "10.31.0.0/16", "via", "10.9.0.9")
		bad := in
		bad.Routes = append(slices.Clone(in.Routes), vrrp.Route{Destination: prefix("10.30.0.0/16"), Via: netip.MustParseAddr("10.77.0.9")},
			vrrp.Route{Destination: prefix("10.31.0.0/16"), Via: netip.MustParseAddr("10.9.0.8")}, vrrp.Route{Destination: prefix("10.32.0.0/16"), Interface: "eth9"})
		want(bad, static)
		s.report("v", "with three refused routes", func(st vrrp.Status) bool {
			return len(st.RoutesRefused) == 3 && st.State == vrrp.Master && st.EffectivePriority == 200 && len(st.AddressesRefused) == 0
		})
		ip(t, n.a, "address", "add", "10.77.0.2/24", "dev", "eth0")
		s.report("v", "with two refused routes", func(st vrrp.Status) bool { return len(st.RoutesRefused) == 2 })
		ip(t, n.a, "route", "del", "10.31.0.0/16", "via", "10.9.0.9")
		ip(t, n.a, "link", "add", "eth9", "type", "bridge")
		ip(t, n.a, "link", "set", "dev", "eth9", "up")
		s.report("v", "without refused routes", func(st vrrp.Status) bool { return len(st.RoutesRefused) == 0 })
		ip(t, n.a, "link", "del", "eth9")
		ip(t, n.a, "address", "del", "10.77.0.2/24", "dev", "eth0")
		want(in, static)
		awaitRouting(t, n.a, "after the reload", all...)
	})
	t.Run("reload", func(t *testing.T) {
		changed := in
		changed.Routes = slices.Clone(in.Routes[:1])
		changed.Routes[0].MTU, changed.Routes[0].PathMetrics = 1300, map[string]uint32{"quickack": 1}
		changed.Rules = in.Rules[:1]
		want(changed, vrrp.Static{})
		awaitRouting(t, n.a, "after the reload", "10.10.0.0/16 via 10.9.0.9 dev eth0 scope global src 10.9.0.100 mtu 1300 quickack 1", "1000: from 10.9.0.100 lookup 1000")
		eventually(t, "the static address is gone", func() bool { return !has(t, n.a, "eth0", "10.20.0.1/24") })
		want(in, static)
		awaitRouting(t, n.a, "after another reload", all...)
	})
	t.Run("backup", func(t *testing.T) {
		b := newStation(t, n.b)
		better := in
		better.Priority, better.Routing = 250, vrrp.Routing{}
		b.want(better)
		b.awaitState("v", vrrp.Master)
		awaitRouting(t, n.a, "as backup", staticWant...)
		b.stop()
		s.awaitState("v", vrrp.Master)
		awaitRouting(t, n.a, "as master again", all...)
	})
	t.Run("killed with another configuration", func(t *testing.T) {
		s.pauseDirector()
		s.kill()
		s.start("fresh")
		less := in
		less.Routing = vrrp.Routing{}
		want(less, static)
		s.resumeDirector()
		awaitRouting(t, n.a, "without those of an earlier process", staticWant...)
	})
	s.stop()
	awaitRouting(t, n.a, "after the stop")
	if has(t, n.a, "eth0", "10.20.0.1/24") {
		t.Error("the static address was left")
	}
	if _, left := routing(t, n.a); !slices.Equal(left, foreign) {
		t.Errorf("other routes were changed:\n%s\nwere\n%s", strings.Join(left, "\n"), strings.Join(foreign, "\n"))
	}
}
