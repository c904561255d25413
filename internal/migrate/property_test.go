package migrate

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"pgregory.net/rapid"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/ipvsadm"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// TestGeneratedRulesMeanTheSameAsConfiguration formats tables as rules, imports them, and plans the configuration
// against the table: the plan is empty.
func TestImportedRulesGiveEmptyPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := tables.Draw(t, "table")
		var rules bytes.Buffer
		if err := ipvsadm.WriteRules(&rules, table); err != nil {
			t.Fatal(err)
		}
		given := rules.String()
		if rapid.Bool().Draw(t, "long options") {
			given = spelledOut.Replace(given)
		}
		text, lost, err := FromRules(t.Context(), strings.NewReader(given), nil)
		if err != nil || len(lost) > 0 {
			t.Fatalf("lost %v, error %v, of\n%s", lost, err, given)
		}
		cfg, problems := config.LoadText("import.hcl", text, config.Options{Node: "lb1"})
		if err := problems.Err(); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if plan := ipvs.Diff(Entries(cfg), states(table), nil); !plan.Empty() || len(plan.Foreign) > 0 {
			t.Fatalf("%s\nrules:\n%s\nconfiguration:\n%s", plan, given, text)
		}
		if formatted := hclwrite.Format(text); !bytes.Equal(formatted, text) {
			t.Fatalf("not in the canonical layout:\n%s", text)
		}
	})
}

// spelledOut replaces the short options written by -S with long ones.
var spelledOut = strings.NewReplacer(
	"-A ", "--add-service ", "-a ", "--add-server ", " -t ", " --tcp-service ", " -u ", " --udp-service=", " -f ", " --fwmark-service=",
	" -s ", " --scheduler ", " -p ", " --persistent ", " -M ", " --netmask ", " -o", " --ops", " -b ", " --sched-flags ",
	" -r ", " --real-server ", " -m", " --masquerading", " -i ", " --ipip ", " -g ", " --gatewaying ", " -w ", " --weight ",
	" -x ", " --u-threshold ", " -y ", " --l-threshold ", " -6", " --ipv6",
)

func states(table []ipvs.Entry) []ipvs.ServiceState {
	list := make([]ipvs.ServiceState, len(table))
	for i, e := range table {
		list[i].Service = e.Service
		for _, d := range e.Destinations {
			list[i].Destinations = append(list[i].Destinations, ipvs.DestinationState{Destination: d})
		}
	}
	return list
}

// tables draws tables that both ipvsadm and a configuration can express. Options and servers come from small sets, so
// that services often share them.
var tables = rapid.Custom(func(t *rapid.T) []ipvs.Entry {
	options := rapid.SliceOfN(services, 1, 3).Draw(t, "services")
	pools := rapid.SliceOfN(rapid.SliceOfNDistinct(servers, 0, 9, hostOf), 1, 3).Draw(t, "pools")
	keys := rapid.SliceOfNDistinct(serviceKeys, 1, 12, rapid.ID[ipvs.ServiceKey]).Draw(t, "keys")
	table := make([]ipvs.Entry, 0, len(keys))
	for i, key := range keys {
		s := rapid.SampledFrom(options).Draw(t, fmt.Sprintf("options of %d", i))
		table = append(table, fit(key, s, rapid.SampledFrom(pools).Draw(t, fmt.Sprintf("pool of %d", i))))
	}
	return table
})

func hostOf(d ipvs.Destination) netip.Addr { return d.Address }

// fit makes a service and its servers valid for the kernel.
func fit(key ipvs.ServiceKey, s ipvs.Service, pool []ipvs.Destination) ipvs.Entry {
	s.ServiceKey = key
	onlyUDP := key.Mark == 0 && key.Protocol != ipvs.UDP
	if onlyUDP {
		s.Flags &^= ipvs.FlagOnePacket
		s.PersistenceEngine = ""
	}
	if key.Mark == 0 && key.Port == 0 && s.Flags&ipvs.FlagPersistent == 0 {
		s.Flags |= ipvs.FlagPersistent
		s.PersistenceTimeout = 300
	}
	if s.Flags&ipvs.FlagPersistent == 0 {
		s.PersistenceTimeout, s.PersistenceEngine, s.Netmask = 0, "", 0
	}
	switch {
	case s.Netmask == 0 && key.Family == ipvs.IPv6:
		s.Netmask = 128
	case s.Netmask == 0:
		s.Netmask = 1<<32 - 1
	case key.Family == ipvs.IPv6:
		s.Netmask = s.Netmask%128 + 1
	}
	e := ipvs.Entry{Service: s}
	for _, d := range slices.Clone(pool) {
		if (key.Family == ipvs.IPv6) != d.Address.Is6() && d.Forward != ipvs.Tunnel {
			continue
		}
		if key.Mark == 0 && (d.Forward != ipvs.Masquerade || d.Port == 0) {
			d.Port = key.Port
		}
		e.Destinations = append(e.Destinations, d)
	}
	return e
}

var serviceKeys = rapid.Custom(func(t *rapid.T) ipvs.ServiceKey {
	family := rapid.SampledFrom([]ipvs.Family{ipvs.IPv4, ipvs.IPv6}).Draw(t, "family")
	if rapid.IntRange(0, 4).Draw(t, "kind") == 0 {
		return ipvs.ServiceByMark(family, rapid.SampledFrom([]uint32{1, 5, 1 << 31, 1<<32 - 1}).Draw(t, "mark"))
	}
	address := map[ipvs.Family]string{ipvs.IPv4: "192.0.2.", ipvs.IPv6: "2001:db8::"}[family] + fmt.Sprint(rapid.IntRange(1, 2).Draw(t, "host"))
	protocol := rapid.SampledFrom([]ipvs.Protocol{ipvs.TCP, ipvs.UDP, ipvs.SCTP}).Draw(t, "protocol")
	port := rapid.SampledFrom([]uint16{0, 53, 80, 443, 8080, 65535}).Draw(t, "port")
	return ipvs.ServiceAt(protocol, netip.AddrPortFrom(netip.MustParseAddr(address), port))
})

var services = rapid.Custom(func(t *rapid.T) ipvs.Service {
	s := ipvs.Service{Scheduler: rapid.SampledFrom(ipvs.Schedulers()).Draw(t, "scheduler")}
	flags := rapid.SliceOfDistinct(rapid.SampledFrom([]ipvs.ServiceFlags{
		ipvs.FlagOnePacket, ipvs.FlagSched1, ipvs.FlagSched2, ipvs.FlagSched3, ipvs.FlagPersistent, ipvs.FlagPersistent,
	}), rapid.ID[ipvs.ServiceFlags])
	for _, f := range flags.Draw(t, "flags") {
		s.Flags |= f
	}
	s.PersistenceTimeout = rapid.SampledFrom([]uint32{1, 59, 60, 90, 360, 3600, 5400, 86400, 2678400}).Draw(t, "timeout")
	s.Netmask = rapid.SampledFrom([]uint32{0, 0xffffff00, 0xffff0000, 0xff00ff00, 1 << 31}).Draw(t, "netmask")
	s.PersistenceEngine = rapid.SampledFrom([]string{"", "sip"}).Draw(t, "engine")
	return s
})

var servers = rapid.Custom(func(t *rapid.T) ipvs.Destination {
	d := ipvs.Destination{
		Forward: rapid.SampledFrom([]ipvs.ForwardMethod{ipvs.Masquerade, ipvs.DirectRoute, ipvs.Tunnel}).Draw(t, "forward"),
		Weight:  rapid.SampledFrom([]uint32{1, 1, 1, 0, 5, 65536, 1<<31 - 1}).Draw(t, "weight"),
	}
	prefix := rapid.SampledFrom([]string{"10.0.0.", "10.0.0.", "fd00::"}).Draw(t, "network")
	d.Address = netip.MustParseAddr(prefix + fmt.Sprint(rapid.IntRange(1, 9).Draw(t, "host")))
	d.Port = rapid.SampledFrom([]uint16{0, 80, 8080}).Draw(t, "port")
	d.UpperThreshold = rapid.SampledFrom([]uint32{0, 0, 100, 1<<31 - 1}).Draw(t, "upper")
	if d.UpperThreshold > 0 {
		d.LowerThreshold = rapid.SampledFrom([]uint32{0, 50}).Draw(t, "lower")
	}
	if d.Forward != ipvs.Tunnel {
		return d
	}
	d.TunnelType = rapid.SampledFrom([]ipvs.TunnelType{ipvs.TunnelIPIP, ipvs.TunnelGUE, ipvs.TunnelGRE}).Draw(t, "tunnel")
	checksums := []ipvs.TunnelFlags{ipvs.TunnelNoChecksum, ipvs.TunnelChecksum, ipvs.TunnelRemoteChecksum}
	switch d.TunnelType {
	case ipvs.TunnelGUE:
		d.TunnelPort = rapid.Uint16Range(1, 65535).Draw(t, "tunnel port")
	case ipvs.TunnelGRE:
		checksums = checksums[:2]
	case ipvs.TunnelIPIP:
		checksums = checksums[:1]
	}
	d.TunnelFlags = rapid.SampledFrom(checksums).Draw(t, "checksum")
	return d
})
