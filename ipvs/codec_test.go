package ipvs

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/mdlayher/netlink"
	"pgregory.net/rapid"
)

var values = cmpopts.EquateComparable(netip.Addr{})

// drawAddress draws one of a few addresses.
func drawAddress(t *rapid.T, f Family, label string) netip.Addr {
	n := rapid.Byte().Draw(t, label)
	if f == IPv4 {
		return netip.AddrFrom4([4]byte{192, 0, 2, n})
	}
	return netip.AddrFrom16([16]byte{0: 0x20, 1: 1, 2: 0xd, 3: 0xb8, 15: n})
}

func drawFamily(t *rapid.T) Family { return rapid.SampledFrom([]Family{IPv4, IPv6}).Draw(t, "family") }

func drawService(t *rapid.T) Service {
	s := Service{
		Scheduler:          rapid.SampledFrom(Schedulers()).Draw(t, "scheduler"),
		Flags:              ServiceFlags(rapid.Uint32().Draw(t, "flags")) &^ FlagHashed,
		PersistenceTimeout: rapid.Uint32().Draw(t, "timeout"),
		Netmask:            rapid.Uint32().Draw(t, "netmask"),
		PersistenceEngine:  rapid.SampledFrom([]string{"", "sip"}).Draw(t, "pe"),
	}
	f := drawFamily(t)
	if rapid.Bool().Draw(t, "by mark") {
		s.ServiceKey = ServiceByMark(f, rapid.Uint32Min(1).Draw(t, "mark"))
	} else {
		p := rapid.SampledFrom([]Protocol{TCP, UDP, SCTP}).Draw(t, "protocol")
		s.ServiceKey = ServiceAt(p, netip.AddrPortFrom(drawAddress(t, f, "address"), rapid.Uint16().Draw(t, "port")))
	}
	return s
}

func drawDestination(t *rapid.T) Destination {
	return Destination{
		DestinationKey: DestinationKey{
			Address: drawAddress(t, drawFamily(t), "address"),
			Port:    rapid.Uint16().Draw(t, "port"),
		},
		Forward:        ForwardMethod(rapid.Uint32().Draw(t, "forward")),
		Weight:         rapid.Uint32().Draw(t, "weight"),
		UpperThreshold: rapid.Uint32().Draw(t, "upper"),
		LowerThreshold: rapid.Uint32().Draw(t, "lower"),
		TunnelType:     TunnelType(rapid.Byte().Draw(t, "tunnel type")),
		TunnelPort:     rapid.Uint16().Draw(t, "tunnel port"),
		TunnelFlags:    TunnelFlags(rapid.Uint16().Draw(t, "tunnel flags")),
	}
}

func TestServiceRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawService(t)
		b, err := encode(want.encode, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeService(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Service, values); diff != "" {
			t.Error(diff)
		}
	})
}

func TestDestinationRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		service, want := drawService(t), drawDestination(t)
		b, err := encode(service.ServiceKey.encode, want.encode)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeDestination(b, service.Family)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Destination, values); diff != "" {
			t.Error(diff)
		}
	})
}

// encodeStats encodes statistics as the kernel does.
func encodeStats(s Stats, wide bool) []byte {
	ae := netlink.NewAttributeEncoder()
	for i, v := range []uint64{
		s.Connections, s.InPackets, s.OutPackets, s.InBytes, s.OutBytes,
		s.ConnectionRate, s.InPacketRate, s.OutPacketRate, s.InByteRate, s.OutByteRate,
	} {
		// The 32-bit form has byte counters of 64 bits (ip_vs_genl_fill_stats).
		if typ := uint16(i + 1); wide || typ == statsInBytes || typ == statsOutBytes {
			ae.Uint64(typ, v)
		} else {
			ae.Uint32(typ, uint32(v))
		}
	}
	ae.Bytes(11, nil) // IPVS_STATS_ATTR_PAD
	b, err := ae.Encode()
	if err != nil {
		panic(err)
	}
	return b
}

func TestStats(t *testing.T) {
	narrow := Stats{1, 2, 3, 1 << 40, 5, 6, 7, 8, 9, 10}
	wide := Stats{1 << 33, 2, 3, 1 << 40, 5, 6, 7, 8, 9, 1 << 36}
	for _, tt := range []struct {
		name string
		wide bool
		want Stats
	}{{"32 bits only", false, narrow}, {"both", true, wide}} {
		s := Service{ServiceKey: ServiceByMark(IPv4, 1), Scheduler: "rr", Netmask: hostMask}
		b, err := encode(func(ae *netlink.AttributeEncoder) {
			s.encode(ae)
			if tt.wide {
				ae.Bytes(serviceStats64, encodeStats(wide, true))
			}
			ae.Bytes(serviceStats, encodeStats(narrow, false))
		}, func(ae *netlink.AttributeEncoder) {
			Destination{DestinationKey: DestinationKey{Address: netip.MustParseAddr("10.0.0.1")}}.encode(ae)
			ae.Uint32(destActive, 11)
			ae.Uint32(destInactive, 12)
			ae.Uint32(destPersistent, 13)
			if tt.wide {
				ae.Bytes(destStats64, encodeStats(wide, true))
			}
			ae.Bytes(destStats, encodeStats(narrow, false))
		})
		if err != nil {
			t.Fatal(err)
		}
		service, err := decodeService(b)
		if err != nil || service.Stats != tt.want {
			t.Errorf("%s: got %+v, %v, want %+v", tt.name, service.Stats, err, tt.want)
		}
		d, err := decodeDestination(b, IPv4)
		if err != nil || d.Stats != tt.want || d.Active != 11 || d.Inactive != 12 || d.Persistent != 13 {
			t.Errorf("%s: got %+v, %d, %d, %d, %v, want %+v, 11, 12, 13", tt.name, d.Stats, d.Active, d.Inactive, d.Persistent, err, tt.want)
		}
	}
}

// Kernels before 3.18 do not send a destination's family.
func TestDestinationWithoutFamily(t *testing.T) {
	b, err := encode(ServiceByMark(IPv6, 1).encode, func(ae *netlink.AttributeEncoder) {
		ae.Bytes(destAddress, netip.MustParseAddr("2001:db8::1").AsSlice())
		ae.Bytes(destPort, binary.BigEndian.AppendUint16(nil, 80))
	})
	if err != nil {
		t.Fatal(err)
	}
	d, err := decodeDestination(b, IPv6)
	if want := "[2001:db8::1]:80"; err != nil || d.DestinationKey.String() != want {
		t.Errorf("got %s, %v, want %s", d.DestinationKey, err, want)
	}
}
