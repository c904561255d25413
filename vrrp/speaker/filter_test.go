package speaker

import (
	"net/netip"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

func TestFilter(t *testing.T) {
	for _, c := range []struct {
		protocol byte
		to       string
		pass     bool
	}{
		{vrrp.Protocol, "224.0.0.18", true},
		{vrrp.Protocol, "10.0.0.7", true},
		{vrrp.Protocol, "223.255.255.255", true},
		{vrrp.Protocol, "224.0.0.5", false},
		{vrrp.Protocol, "239.1.2.3", false},
		{vrrp.Protocol, "255.255.255.255", false},
		{17, "224.0.0.18", false},
	} {
		vm, err := bpf.NewVM(filterFor(socketKey{Family: vrrp.IPv4}))
		if err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 40)
		p[0], p[9] = 0x45, c.protocol
		to := netip.MustParseAddr(c.to).As4()
		copy(p[16:], to[:])
		n, err := vm.Run(p)
		if err != nil {
			t.Fatal(err)
		}
		if (n > 0) != c.pass {
			t.Errorf("protocol %d to %s: %d bytes pass, want pass %v", c.protocol, c.to, n, c.pass)
		}
	}
	for _, filter := range [][]bpf.Instruction{refuseAll, filterFor(socketKey{Family: vrrp.IPv6}), filterFor(vmacKey)} {
		if _, err := bpf.Assemble(filter); err != nil {
			t.Error(err)
		}
	}
}
