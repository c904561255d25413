package ipvs

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-ha/lvs-ha/internal/ipvsnl"
)

func seeds(f *testing.F) {
	service := Service{ServiceKey: ServiceByMark(IPv6, 1), Scheduler: "mh", Netmask: hostPrefix, PersistenceEngine: "sip"}
	destination := Destination{DestinationKey: DestinationKey{Address: netip.MustParseAddr("2001:db8::1")}, Forward: Tunnel, TunnelType: TunnelGUE, TunnelPort: 6080}
	b, err := encode(service.encode, destination.encode)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	for _, n := range []int{0, 3, 4, 8, 20, len(b) - 1} {
		f.Add(b[:n])
	}
}

func FuzzDecodeService(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeService(b)
		if err != nil {
			return
		}
		encoded, err := encode(s.Service.encode, nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeService(encoded)
		if err != nil {
			t.Fatal(err)
		}
		want := s.Service
		if want.Mark != 0 {
			want.ServiceKey = want.ServiceKey.normal() // the kernel sends the mark without address
		}
		if diff := cmp.Diff(want, again.Service, values); diff != "" {
			t.Error(diff)
		}
	})
}

func FuzzDecodeDestination(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := decodeDestination(b, IPv4)
		if err != nil {
			return
		}
		encoded, err := encode(ServiceByMark(IPv4, 1).encode, d.Destination.encode)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeDestination(encoded, IPv4)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(d.Destination, again.Destination, values); diff != "" {
			t.Error(diff)
		}
	})
}

func FuzzDecodeNumbers(f *testing.F) {
	f.Add([]byte{8, 0, 4, 0, 1, 2, 3, 4, 8, 0, 5, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var v Timeouts
		_ = decodeNumbers(b, map[uint16]*uint32{ipvsnl.AttrTimeoutTCP: &v.TCP})
	})
}
