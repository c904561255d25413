package sysctl_test

import (
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/sysctl"
	"github.com/lvs-ha/lvs-ha/internal/sysctl/sysctltest"
)

func TestForNAT(t *testing.T) {
	for _, c := range []struct {
		name       string
		ipv4, ipv6 bool
		oneArmed   []string
		want       []string
	}{
		{"nothing", false, false, nil, nil},
		{"NAT", true, false, nil, []string{"sysctl -w net.ipv4.ip_forward=1"}},
		{"NAT by IPv6", false, true, nil, []string{"sysctl -w net.ipv6.conf.*.accept_ra=2", "sysctl -w net.ipv6.conf.all.forwarding=1"}},
		{"NAT on one network", true, false, []string{"eth0", "eth1.5"}, []string{"sysctl -w net.ipv4.ip_forward=1",
			"sysctl -w net.ipv4.conf.all.send_redirects=0", "sysctl -w net.ipv4.conf.eth0.send_redirects=0", "sysctl -w net.ipv4.conf.eth1/5.send_redirects=0"}},
	} {
		var got []string
		for _, s := range sysctl.ForNAT(c.ipv4, c.ipv6, c.oneArmed) {
			got = append(got, s.Command())
			if s.Why == "" {
				t.Errorf("%s: %s has no reason", c.name, s.Key)
			}
		}
		equal(t, c.name, got, c.want)
	}
}

func TestKeeperTakesPatterns(t *testing.T) {
	before := map[string]string{
		"net.ipv6.conf.eth0.accept_ra": "1", "net.ipv6.conf.eth1.accept_ra": "0", "net.ipv6.conf.lo.accept_ra": "2",
		"net.ipv6.conf.all.forwarding": "0", "net.ipv6.conf.eth0.forwarding": "0",
	}
	kernel := sysctltest.New(before)
	kernel.Couple("net.ipv6.conf.all.forwarding", "net.ipv6.conf.eth0.forwarding", func(v string) string { return v })
	k := keeper(t, kernel)
	wanted := sysctl.ForNAT(false, true, nil)
	for range 2 {
		if _, err := k.Apply(wanted); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "writes", kernel.Writes(), []string{"net.ipv6.conf.eth0.accept_ra=2", "net.ipv6.conf.all.forwarding=1"})
	if _, err := k.Restore(); err != nil {
		t.Fatal(err)
	}
	equal(t, "after restore", kernel.Values(), before)
}
