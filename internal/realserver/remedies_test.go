package realserver_test

import (
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/internal/realserver"
)

// The remedies that status prints work: run in a shell, in order, on an unconfigured host and on one where all settings
// were reverted.
func testRemedies(t *testing.T, w realserver.Wanted, device string) {
	l := newLAN(t)
	s := hostServer(t, l.real)
	repair := func() {
		t.Helper()
		status, err := s.Status(t.Context(), w)
		if err != nil || status.OK {
			t.Fatalf("status reports no problem: %+v, %v", status, err)
		}
		for _, c := range wrong(status) {
			run(t, l.real, "sh", "-ec", c.Remedy)
		}
		if status, err := s.Status(t.Context(), w); err != nil || !status.OK {
			t.Errorf("after the remedies: %+v, %v", wrong(status), err)
		}
	}
	repair()
	run(t, l.real, "sh", "-ec", "ip address flush dev "+device+" scope global; ip link set dev "+device+" down;"+
		" sysctl -w net.ipv4.conf.all.arp_ignore=0 net.ipv4.conf.eth0.arp_ignore=3 net.ipv4.conf.all.arp_announce=0"+
		" net.ipv4.conf.all.rp_filter=1 net.ipv4.conf."+device+".rp_filter=0")
	repair()
	if report, err := s.Up(t.Context(), w); err != nil {
		t.Errorf("up after the remedies: %v, %v", report, err)
	}
}

func TestHostRemedies(t *testing.T) {
	lab.Need(t, lab.Host)
	testRemedies(t, dr("202.99.59.110", "fd00::110"), "lo")
}

func TestKernelRemedies(t *testing.T) {
	lab.Need(t, lab.Kernel)
	for _, c := range []struct {
		device string
		tunnel realserver.Tunnel
	}{
		{"tunl0", realserver.Tunnel{Type: realserver.IPIP, Outer4: true}},
		{"gre0", realserver.Tunnel{Type: realserver.GRE, Outer4: true}},
		{"ip6tnl0", realserver.Tunnel{Type: realserver.GUE}},
	} {
		t.Run(string(c.tunnel.Type), func(t *testing.T) { testRemedies(t, tun("202.99.59.110", c.tunnel), c.device) })
	}
}
