package ipvsadm_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// address returns a random address, often close to earlier ones.
func (g generator) address() netip.Addr {
	if g.rarely(2) {
		list := []string{"10.0.0.1", "10.0.0.2", "192.168.1.1", "2001:db8::1", "2001:db8::2", "2001:db8:1::2", "fd00::1", "::7"}
		return netip.MustParseAddr(list[g.IntN(len(list))])
	}
	if g.rarely(2) {
		return netip.AddrFrom4([4]byte{byte(1 + g.IntN(223)), byte(g.IntN(256)), byte(g.IntN(256)), byte(1 + g.IntN(254))})
	}
	first := []byte{0x20, 0x3f, 0xfd, 0x70, 0x90}[g.IntN(5)]
	return netip.AddrFrom16([16]byte{0: first, 1: byte(g.IntN(3)), 5: byte(g.IntN(3)), 10: byte(g.IntN(2)), 15: byte(1 + g.IntN(200))})
}

func (g generator) portNumber() uint16 {
	return []uint16{1, 22, 80, 81, 255, 256, 257, 443, 8080, 65535}[g.IntN(10)]
}

// table returns services and servers in all forms that the kernel accepts.
func (g generator) table(services, servers int) []ipvs.Entry {
	table := make([]ipvs.Entry, services)
	for i := range table {
		s := &table[i].Service
		if g.rarely(4) {
			marks := []uint32{1, 2, 3, 1000, 1<<31 - 1, 1 << 31, 1<<31 + 5, 1<<32 - 1, 1<<32 - 7}
			s.ServiceKey = ipvs.ServiceByMark([]ipvs.Family{ipvs.IPv4, ipvs.IPv6}[g.IntN(2)], marks[g.IntN(len(marks))])
		} else {
			p := []ipvs.Protocol{ipvs.TCP, ipvs.UDP, ipvs.SCTP}[g.IntN(3)]
			s.ServiceKey = ipvs.ServiceAt(p, netip.AddrPortFrom(g.address(), g.portNumber()))
		}
		s.Scheduler = g.one("rr", "wlc", "sh", "mh", "nq")
		s.Flags = ipvs.ServiceFlags(g.IntN(64)) &^ ipvs.FlagHashed
		if s.Mark == 0 && s.Protocol != ipvs.UDP {
			s.Flags &^= ipvs.FlagOnePacket
		}
		s.PersistenceTimeout = uint32(1 + g.IntN(1000))
		s.Netmask = uint32(1 + g.IntN(128))
		if g.rarely(2) {
			s.Netmask = 0 // the default
		}
		s.PersistenceEngine = g.one("", "", "sip")
		for range g.IntN(servers + 1) {
			table[i].Destinations = append(table[i].Destinations, g.server(s.Family))
		}
	}
	return table
}

func (g generator) server(of ipvs.Family) ipvs.Destination {
	d := ipvs.Destination{
		DestinationKey: ipvs.DestinationKey{Address: g.address(), Port: g.portNumber()},
		Forward:        []ipvs.ForwardMethod{ipvs.Masquerade, ipvs.DirectRoute, ipvs.Tunnel}[g.IntN(3)],
		Weight:         []uint32{0, 1, 100, 65536, 1<<31 - 1}[g.IntN(5)],
		UpperThreshold: []uint32{0, 10, 70000}[g.IntN(3)],
	}
	d.LowerThreshold = d.UpperThreshold / 2
	if d.Address.Is6() != (of == ipvs.IPv6) {
		d.Forward = ipvs.Tunnel
	}
	if d.Forward == ipvs.Tunnel {
		d.TunnelType = ipvs.TunnelType(g.IntN(3))
		d.TunnelPort = uint16(1 + g.IntN(65535))
		d.TunnelFlags = ipvs.TunnelFlags(g.IntN(2 + int(d.TunnelType)%2))
	}
	return d
}

// TestKernelGeneratedTables compares listings, save and restore of whole tables.
func TestKernelGeneratedTables(t *testing.T) {
	r := newRivals(t)
	random, n := lab.Generate(t, 3)
	g := generator{random}
	for range n {
		ctx := t.Context()
		if err := r.real.table.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		if err := ipvs.Apply(ctx, r.real.table, ipvs.Diff(g.table(25, 12), nil, nil)); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			// Differences in order are most likely in a long list.
			d := g.server(ipvs.IPv4)
			_ = r.real.table.NewDestination(ctx, ipvs.ServiceByMark(ipvs.IPv4, 1), d) // it may exist already
		}
		r.list(t, false)
		r.compareHere(t, "-L", "-n", "--nosort")
		r.saveAndRestore(t)
	}
	t.Logf("%d listings compared", r.compared)
}

// saveAndRestore restores in both what the real ipvsadm saved, and compares the results.
func (r *rivals) saveAndRestore(t *testing.T) {
	t.Helper()
	saved := r.real.real(t, "", "-Sn").Stdout
	var rules []string
	for line := range strings.Lines(saved) {
		// ipvsadm cannot parse its own marks over 2147483647 and flags without a name.
		if !strings.Contains(line, "-f -") && !strings.HasSuffix(line, "-b \n") {
			rules = append(rules, line)
		}
	}
	r.run(t, "-C\n"+strings.Join(rules, ""), "-R")
	if len(rules) < 20 {
		t.Errorf("only %d rules were restored", len(rules))
	}
}
