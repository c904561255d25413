package ipvs_test

import (
	"cmp"
	"net/netip"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/lvs-ha/lvs-ha/ipvs/ipvstest"
)

var values = gocmp.Options{cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()}

func at(p ipvs.Protocol, s string) ipvs.ServiceKey {
	return ipvs.ServiceAt(p, netip.MustParseAddrPort(s))
}

func server(s string) ipvs.DestinationKey {
	a := netip.MustParseAddrPort(s)
	return ipvs.DestinationKey{Address: a.Addr(), Port: a.Port()}
}

func service(key ipvs.ServiceKey, scheduler string) ipvs.Service {
	s := ipvs.Service{ServiceKey: key, Scheduler: scheduler, Netmask: 0xffffffff}
	if key.Family == ipvs.IPv6 {
		s.Netmask = 128
	}
	return s
}

func weighted(s string, weight uint32) ipvs.Destination {
	return ipvs.Destination{DestinationKey: server(s), Weight: weight}
}

func ownsNothing(ipvs.ServiceKey) bool { return false }

var (
	web  = at(ipvs.TCP, "192.0.2.1:80")
	dns  = at(ipvs.UDP, "[2001:db8::1]:53")
	mark = ipvs.ServiceByMark(ipvs.IPv4, 5)
)

func TestDiff(t *testing.T) {
	sticky := service(web, "wlc")
	sticky.Flags, sticky.PersistenceTimeout, sticky.Netmask = ipvs.FlagPersistent|ipvs.FlagOnePacket, 300, 0xffffff00
	tunnel := ipvs.Destination{
		DestinationKey: server("10.0.0.1:80"), Forward: ipvs.Tunnel, Weight: 1,
		TunnelType: ipvs.TunnelGUE, TunnelPort: 6080, TunnelFlags: ipvs.TunnelChecksum,
	}
	limited := weighted("10.0.0.1:80", 2)
	limited.UpperThreshold, limited.LowerThreshold = 100, 50
	for _, tt := range []struct {
		name   string
		wanted []ipvs.Entry
		actual []ipvs.Entry
		owned  func(ipvs.ServiceKey) bool
		want   string
	}{
		{"nothing", nil, nil, ownsNothing, ""},
		{
			"all new",
			[]ipvs.Entry{{sticky, []ipvs.Destination{tunnel, limited}}}, nil, ownsNothing,
			"add service tcp 192.0.2.1:80 scheduler wlc flags ops persistence 300s netmask 255.255.255.0\n" +
				"add server 10.0.0.1:80 of tcp 192.0.2.1:80 forward nat weight 2 upper_threshold 100 lower_threshold 50\n",
		},
		{
			"edits, field by field",
			[]ipvs.Entry{{sticky, []ipvs.Destination{tunnel}}},
			[]ipvs.Entry{{service(web, "rr"), []ipvs.Destination{limited}}}, ownsNothing,
			"edit service tcp 192.0.2.1:80: scheduler rr -> wlc, flags none -> ops, persistence none -> 300s, netmask none -> 255.255.255.0\n" +
				"edit server 10.0.0.1:80 of tcp 192.0.2.1:80: forward nat -> tun, weight 2 -> 1, upper_threshold 100 -> none, " +
				"lower_threshold 50 -> none, tunnel_type none -> gue, tunnel_port none -> 6080, tunnel_checksum none -> csum\n",
		},
		{
			"make before break",
			[]ipvs.Entry{{service(web, "rr"), []ipvs.Destination{weighted("10.0.0.1:80", 1), weighted("10.0.0.2:80", 9), weighted("10.0.0.4:80", 1)}}},
			[]ipvs.Entry{{service(web, "rr"), []ipvs.Destination{weighted("10.0.0.1:80", 5), weighted("10.0.0.2:80", 5), weighted("10.0.0.3:80", 5)}}},
			ownsNothing,
			"add server 10.0.0.4:80 of tcp 192.0.2.1:80 forward nat weight 1\n" +
				"edit server 10.0.0.2:80 of tcp 192.0.2.1:80: weight 5 -> 9\n" +
				"edit server 10.0.0.1:80 of tcp 192.0.2.1:80: weight 5 -> 1\n" +
				"delete server 10.0.0.3:80 of tcp 192.0.2.1:80\n",
		},
		{
			"ours goes, foreign stays",
			[]ipvs.Entry{{service(web, "rr"), nil}},
			[]ipvs.Entry{{service(dns, "rr"), []ipvs.Destination{weighted("[2001:db8::2]:53", 1)}}, {service(mark, "rr"), nil}},
			func(k ipvs.ServiceKey) bool { return k == mark },
			"add service tcp 192.0.2.1:80 scheduler rr\n" +
				"delete service fwmark 5 ipv4\n" +
				"leave service udp [2001:db8::1]:53: not managed here\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plan := ipvs.Diff(tt.wanted, states(tt.actual), tt.owned)
			if got := plan.String(); got != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
			if plan.Empty() != (len(plan.Steps) == 0) {
				t.Errorf("empty: got %v", plan.Empty())
			}
		})
	}
}

// Settings without effect are not a difference.
func TestDiffIgnoresSettingsWithoutEffect(t *testing.T) {
	actual := []ipvs.Entry{
		{service(web, "rr"), []ipvs.Destination{weighted("10.0.0.1:80", 1)}},
		{service(dns, "rr"), nil},
	}
	actual[0].PersistenceTimeout = 77
	wanted := []ipvs.Entry{
		{
			ipvs.Service{ServiceKey: ipvs.ServiceKey{Protocol: ipvs.TCP, Address: netip.MustParseAddr("::ffff:192.0.2.1"), Port: 80}, Scheduler: "rr", Flags: ipvs.FlagHashed},
			[]ipvs.Destination{{DestinationKey: server("[::ffff:10.0.0.1]:80"), Weight: 1, TunnelType: ipvs.TunnelGUE, TunnelPort: 1, TunnelFlags: 1}},
		},
		{ipvs.Service{ServiceKey: dns, Scheduler: "rr"}, nil},
	}
	if plan := ipvs.Diff(wanted, states(actual), ownsNothing); !plan.Empty() {
		t.Errorf("got:\n%s", plan)
	}
}

func TestDiffUsesLastOfEqualKeys(t *testing.T) {
	wanted := []ipvs.Entry{
		{service(web, "rr"), nil},
		{service(web, "wrr"), []ipvs.Destination{weighted("10.0.0.1:80", 1), weighted("10.0.0.1:80", 2)}},
	}
	want := "add service tcp 192.0.2.1:80 scheduler wrr\nadd server 10.0.0.1:80 of tcp 192.0.2.1:80 forward nat weight 2\n"
	if got := ipvs.Diff(wanted, nil, ownsNothing).String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// A dump can repeat an entry if the table changes meanwhile.
func TestDiffOfRepeatedEntries(t *testing.T) {
	actual := states([]ipvs.Entry{
		{service(web, "rr"), []ipvs.Destination{weighted("10.0.0.1:80", 1), weighted("10.0.0.2:80", 1), weighted("10.0.0.2:80", 1)}},
		{service(dns, "rr"), nil}, {service(mark, "rr"), nil}, {service(dns, "rr"), nil}, {service(mark, "rr"), nil},
	})
	wanted := []ipvs.Entry{{service(web, "rr"), []ipvs.Destination{weighted("10.0.0.1:80", 1)}}}
	want := "delete server 10.0.0.2:80 of tcp 192.0.2.1:80\ndelete service fwmark 5 ipv4\n" +
		"leave service udp [2001:db8::1]:53: not managed here\n"
	if got := ipvs.Diff(wanted, actual, func(k ipvs.ServiceKey) bool { return k == mark }).String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func states(entries []ipvs.Entry) []ipvs.ServiceState {
	var list []ipvs.ServiceState
	for _, e := range entries {
		list = append(list, ipvstest.State(e))
	}
	return list
}

// entries returns a table without counters, in an order independent of the kernel's.
func entries(table []ipvs.ServiceState) []ipvs.Entry {
	var list []ipvs.Entry
	for _, s := range table {
		e := ipvs.Entry{Service: s.Service}
		for _, d := range s.Destinations {
			e.Destinations = append(e.Destinations, d.Destination)
		}
		list = append(list, e)
	}
	return sorted(list)
}

func sorted(list []ipvs.Entry) []ipvs.Entry {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b ipvs.Entry) int { return cmp.Compare(a.ServiceKey.String(), b.ServiceKey.String()) })
	for i := range list {
		list[i].Destinations = slices.Clone(list[i].Destinations)
		slices.SortFunc(list[i].Destinations, func(a, b ipvs.Destination) int {
			return cmp.Or(a.Address.Compare(b.Address), cmp.Compare(a.Port, b.Port))
		})
	}
	return list
}
