package speaker

import (
	"context"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// A master sets the attributes of its addresses, puts a deleted one back with them, and removes all when it stops.
func TestHostAddressAttributes(t *testing.T) {
	n := newLAN(t)
	four, six := instance(3, vrrp.IPv4, 200, 100*time.Millisecond), instance(3, vrrp.IPv6, 200, 100*time.Millisecond)
	six.Name, six.VirtualRouterID = "six", 52
	four.Addresses = []vrrp.Address{
		{Prefix: netip.MustParsePrefix("10.9.3.100/24"), Label: "eth0:vip", Scope: vrrp.ScopeLink, Broadcast: netip.MustParseAddr("10.9.3.250")},
		{Prefix: netip.MustParsePrefix("10.9.1.100/24"), NoPrefixRoute: true, Broadcast: netip.IPv4Unspecified()},
		{Prefix: netip.MustParsePrefix("10.9.2.1/31"), Peer: netip.MustParseAddr("10.9.2.0")},
	}
	six.Addresses = []vrrp.Address{
		{Prefix: netip.MustParsePrefix("fd09::100/64"), Deprecated: true},
		{Prefix: netip.MustParsePrefix("fd09::101/128")},
		{Prefix: netip.MustParsePrefix("fd09::102/128"), Preferred: true},
		{Prefix: netip.MustParsePrefix("fd09:1::100/64"), NoPrefixRoute: true},
		{Prefix: netip.MustParsePrefix("fd09:2::1/127"), Peer: netip.MustParseAddr("fd09:2::2")},
	}
	s := newStation(t, n.a)
	s.want(four, six)
	s.awaitState("v", vrrp.Master)
	s.awaitState("six", vrrp.Master)
	shown := func(what string) string {
		out, err := n.a.Command(context.Background(), "ip", strings.Fields("-o "+what+" show dev eth0")...).CombinedOutput()
		if err != nil {
			t.Fatalf("ip: %v: %s", err, out)
		}
		return strings.Join(strings.Fields(string(out)), " ")
	}
	want := []string{
		"inet 10.9.3.100/24 brd 10.9.3.250 scope link eth0:vip",
		"inet 10.9.1.100/24 scope global noprefixroute eth0",
		"inet 10.9.2.1 peer 10.9.2.0/31 scope global eth0",
		"inet6 fd09::100/64 scope global nodad deprecated",
		"inet6 fd09::101/128 scope global nodad deprecated",
		"inet6 fd09::102/128 scope global nodad",
		"inet6 fd09:1::100/64 scope global nodad noprefixroute",
		"inet6 fd09:2::1 peer fd09:2::2/127 scope global nodad",
	}
	check := func() {
		t.Helper()
		all := ""
		defer func() {
			if t.Failed() {
				t.Logf("addresses %q", all)
			}
		}()
		for _, w := range want {
			eventually(t, w, func() bool { all = shown("address"); return strings.Contains(all, w) })
		}
	}
	check()
	sameTables(t, n.a)
	if routes := shown("-4 route"); strings.Contains(routes, "10.9.1.0/24") {
		t.Errorf("a prefix route in %q", routes)
	}
	for _, p := range []string{"10.9.2.1/31", "fd09:2::1/127"} {
		family := "-4"
		if strings.Contains(p, ":") {
			family = "-6"
		}
		out, err := n.a.Command(context.Background(), "ip", family, "address", "flush", "to", p, "dev", "eth0").CombinedOutput()
		if err != nil {
			t.Fatalf("ip: %v: %s", err, out)
		}
		name := map[string]string{"-4": "v", "-6": "six"}[family]
		s.report(name, "restored", func(st vrrp.Status) bool { return st.AddressesRestored > 0 })
	}
	check()
	s.stop()
	if left := prefixes(t, n.a, "eth0"); strings.Contains(strings.Join(strings.Fields(shown("address")), " "), "10.9.2.1") || len(left) != 3 {
		t.Errorf("left: %v", left)
	}
}

// sameTables compares the speaker's list of a host's addresses with that of the netlink package.
func sameTables(t *testing.T, h *lab.Node) {
	t.Helper()
	var ours *interfaceTable
	err := h.Do(func() error {
		handle, err := openRouteHandle()
		if err != nil {
			return err
		}
		defer handle.Close()
		ours, err = listInterfaces(handle)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := listInterfaces(otherLister{h.Netlink()})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(ours.addresses, theirs.addresses) {
		t.Errorf("listed %v, want %v", ours.addresses, theirs.addresses)
	}
}
