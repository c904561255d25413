package ipvsadm

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

func drawServer(t *rapid.T) (d ipvs.DestinationState) {
	d.Address = netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "IPv4")))
	if rapid.Bool().Draw(t, "six") {
		d.Address = netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "IPv6")))
	}
	d.Port, d.Forward = rapid.Uint16().Draw(t, "port"), ipvs.ForwardMethod(rapid.Uint32().Draw(t, "forward"))
	d.TunnelType, d.TunnelPort = ipvs.TunnelType(rapid.Uint8().Draw(t, "type")), rapid.Uint16().Draw(t, "tunnel port")
	d.TunnelFlags = ipvs.TunnelFlags(rapid.Uint16().Draw(t, "flags"))
	for _, n := range []*uint32{&d.Weight, &d.UpperThreshold, &d.LowerThreshold, &d.Active, &d.Inactive, &d.Persistent} {
		*n = rapid.Uint32().Draw(t, "number")
	}
	s := &d.Stats
	for _, n := range []*uint64{
		&s.Connections, &s.InPackets, &s.OutPackets, &s.InBytes, &s.OutBytes,
		&s.ConnectionRate, &s.InPacketRate, &s.OutPacketRate, &s.InByteRate, &s.OutByteRate,
	} {
		*n = rapid.Uint64().Draw(t, "counter")
	}
	return d
}

// TestRecords checks that records preserve all values and their order, across the boundaries of pieces and after a list has
// been truncated.
func TestRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kinds := rapid.SliceOfN(rapid.Custom(drawServer), 1, 5).Draw(t, "servers")
		before, cut, n := rapid.IntRange(0, 700).Draw(t, "before"), rapid.IntRange(0, 700).Draw(t, "cut"), rapid.IntRange(0, 1500).Draw(t, "count")
		var table table
		add := func(n int) {
			for i := range n {
				table.servers.add(appendServer(nil, &kinds[i%len(kinds)]))
			}
		}
		add(before)
		first := table.servers.end()
		add(cut)
		table.servers.cut(first)
		add(n)
		table.lists = []serverList{{first, n}}
		for i, at := range table.serverOrder(0, false) {
			var got ipvs.DestinationState
			if table.servers.at(at).server(&got); got != kinds[i%len(kinds)] {
				t.Fatalf("server %d: got %+v, want %+v", i, got, kinds[i%len(kinds)])
			}
		}
	})
}
