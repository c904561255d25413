package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// TestHostVMACExample runs the example of a gateway with a virtual MAC address.
func TestHostVMACExample(t *testing.T) {
	lab.Need(t, lab.Host)
	places := newPlaces(t, 2)
	lb1, lb2 := startExample(t, places, "vmac.hcl")
	states := func(gateways, services vrrp.State) func(api.Status) bool {
		return func(s api.Status) bool {
			return len(s.VRRP) == 3 && s.VRRP[0].State == gateways && s.VRRP[1].State == gateways && s.VRRP[2].State == services
		}
	}
	s := lb1.awaitStatus("lb1 is master of the gateways", states(vrrp.Master, vrrp.Backup))
	lb2.awaitStatus("lb2 is master of the services", states(vrrp.Backup, vrrp.Master))
	for i, want := range []api.VMAC{
		{Interface: "vrrp.10", Hardware: "00:00:5e:00:01:0a"}, {Interface: "vrrp6.10", Hardware: "00:00:5e:00:02:0a"},
		{Interface: "services", Hardware: "00:00:5e:00:01:0b"},
	} {
		if got := s.VRRP[i].VMAC; got == nil || *got != want {
			t.Errorf("%s: %+v, want %+v", s.VRRP[i].Name, got, want)
		}
	}
	lb1.wantAnswer(lb1.asked("status", "gateway"), 0, "00:00:5e:00:01:0a on vrrp.10")
	tables := func(p *place) string {
		out, err := p.host.Command(t.Context(), "nft", "list", "ruleset").CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	for _, want := range []string{"table ip lvs-ha {", "table ip6 lvs-ha {", "elements = { 192.0.2.10 }", "ip daddr @addresses drop",
		"icmpv6 type 135-136 accept ip6 daddr @addresses drop"} {
		eventually(t, fmt.Sprintf("%q is in the rules", want), func() bool {
			return strings.Contains(strings.Join(strings.Fields(tables(places[0])), " "), want)
		})
	}
	lb1.stop()
	lb2.awaitStatus("lb2 is master of all", states(vrrp.Master, vrrp.Master))
	if got := tables(places[0]); strings.Contains(got, "lvs-ha") {
		t.Errorf("after the stop:\n%s", got)
	}
	if out, err := places[0].host.Command(t.Context(), "ip", "link", "show", "vrrp.10").CombinedOutput(); err == nil {
		t.Errorf("after the stop: %s", out)
	}
}
