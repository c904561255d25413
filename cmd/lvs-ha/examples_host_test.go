package main

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// attach adds an interface to each place, all on one bridge. The places have different addresses.
func attach(t *testing.T, places []*place, iface string, addresses ...string) {
	t.Helper()
	bridge, err := places[0].lab.Bridge(iface)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range places {
		nic := lab.NIC{Name: iface, Bridge: bridge}
		if len(addresses) > 0 {
			nic.Addresses = lab.Prefixes(addresses[i])
		}
		if err := p.host.Attach(nic); err != nil {
			t.Fatal(err)
		}
	}
}

// startExample starts an example on two nodes, lb1 and lb2.
func startExample(t *testing.T, places []*place, name string) (lb1, lb2 *daemon) {
	t.Helper()
	places[0].configure(example(t, name, "lb1"))
	places[1].configure(example(t, name, "lb2"))
	return places[0].start(), places[1].start()
}

// awaitIP waits until the output of ip(8) has each text.
func (p *place) awaitIP(args string, texts ...string) {
	p.t.Helper()
	var out string
	defer func() {
		if p.t.Failed() {
			p.t.Logf("ip %s:\n%s\nwant %q", args, out, texts)
		}
	}()
	eventually(p.t, "ip "+args, func() bool {
		out = strings.Join(strings.Fields(p.run(append([]string{"ip"}, strings.Fields(args)...)...).stdout), " ")
		for _, text := range texts {
			if !strings.Contains(out, text) {
				return false
			}
		}
		return true
	})
}

func allInState(want vrrp.State) func(api.Status) bool {
	return func(s api.Status) bool {
		for _, v := range s.VRRP {
			if v.State != want || len(v.AddressesRefused)+len(v.RoutesRefused) > 0 {
				return false
			}
		}
		return len(s.VRRP) > 0 && len(s.Problems) == 0
	}
}

// TestHostVRRPExample runs the example without load balancing, over IPv4 and IPv6, multicast and unicast.
func TestHostVRRPExample(t *testing.T) {
	lab.Need(t, lab.Host)
	places := newPlaces(t, 2)
	attach(t, places, "eth1", "198.51.100.11/24", "198.51.100.12/24")
	lb1, lb2 := startExample(t, places, "vrrp.hcl")
	lb1.awaitStatus("lb1 is master", allInState(vrrp.Master))
	lb2.awaitStatus("lb2 is backup", allInState(vrrp.Backup))
	lb1.stop()
	lb2.awaitStatus("lb2 is master", allInState(vrrp.Master))
}

func TestHostIPv6Example(t *testing.T) {
	lab.Need(t, lab.Host)
	places := newPlaces(t, 2)
	places[0].configure(example(t, "ipv6.hcl", "lb1"))
	places[1].configure(example(t, "ipv6.hcl", "lb2"))
	lb1 := places[0].start()
	lb1.awaitStatus("lb1 is master", allInState(vrrp.Master)) // before lb2, from which it would take over after preempt_delay only
	lb2 := places[1].start()
	lb2.awaitStatus("lb2 is backup", allInState(vrrp.Backup))
	set := func(p *place) {
		t.Helper()
		p.awaitIP("-6 -o address show dev eth0", "fe80::10/64 scope link", "2001:db8::10/64 scope global", "2001:db8:1::10/64 scope global nodad noprefixroute",
			"2001:db8::53/128 scope global nodad \\ valid_lft forever preferred_lft forever")
		p.awaitIP("-6 route show proto 112", "2001:db8:1::/64 via fe80::99 dev eth0")
		p.awaitIP("-6 maddress show dev eth0", "ff12::112")
	}
	set(lb1.place)
	lb1.stop()
	lb2.awaitStatus("lb2 is master", allInState(vrrp.Master))
	set(lb2.place)
}

// TestHostRoutingExample checks that static settings are on both nodes, and that routes and rules move with the address when
// the link to the providers fails.
func TestHostRoutingExample(t *testing.T) {
	lab.Need(t, lab.Host)
	places := newPlaces(t, 2)
	attach(t, places, "eth1", "198.51.100.1/24", "198.51.100.2/24")
	attach(t, places, "eth2")
	lb1, lb2 := startExample(t, places, "routing.hcl")
	lb1.awaitStatus("lb1 is master", allInState(vrrp.Master))
	lb2.awaitStatus("lb2 is backup", allInState(vrrp.Backup))
	for i, cable := range []string{"10.0.0.1 peer 10.0.0.2/32 scope link", "10.0.0.2 peer 10.0.0.1/32 scope link"} {
		p := places[i]
		p.awaitIP("address show dev eth2", cable)
		p.awaitIP("route show proto 112", "unreachable 10.0.0.0/8", "10.1.0.0/16 via 198.51.100.253 dev eth1 metric 10 mtu 1400 advmss 1360 initcwnd 20")
		p.awaitIP("route show table 102", "default via 192.0.2.254 dev eth0")
		p.awaitIP("rule", "900: from all fwmark 0x10/0xff lookup 102")
	}
	moved := func(p *place) {
		t.Helper()
		p.awaitIP("route show table 101", "default proto 112 src 203.0.113.10 nexthop via 192.0.2.253 dev eth0 weight 2 nexthop via 192.0.2.254 dev eth0 weight 1")
		p.awaitIP("rule", "950: from all to 192.0.2.128/26 iif eth1 prohibit", "1000: from 198.51.100.0/24 iif eth1 lookup 101")
		p.awaitIP("address show dev eth0", "203.0.113.10/32")
	}
	moved(lb1.place)
	if err := lb1.host.Down("eth0"); err != nil {
		t.Fatal(err)
	}
	lb2.awaitStatus("lb2 is master", allInState(vrrp.Master))
	moved(lb2.place)
}

// TestHostKeepalivedExample runs the example of a migration: keepalived on lb2 with the configuration in the example's comment,
// then lvs-ha with the example itself.
func TestHostKeepalivedExample(t *testing.T) {
	lab.Need(t, lab.Host)
	places := newPlaces(t, 2)
	text := example(t, "keepalived.hcl", "lb1")
	var conf strings.Builder
	for line := range strings.Lines(text) {
		if quoted, ok := strings.CutPrefix(line, "#   "); ok {
			conf.WriteString(quoted)
		}
	}
	theirs := places[1]
	if err := os.WriteFile(theirs.path("keepalived.conf"), []byte(conf.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	var log output
	k := theirs.host.Command(context.Background(), "keepalived", "-n", "-l", "-P", "-f", theirs.path("keepalived.conf"), "-p", theirs.path("p"), "-r", theirs.path("r"))
	k.Stdout, k.Stderr = &log, &log
	if err := k.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop := func() {
		if !stopped {
			stopped = true
			_ = k.Process.Signal(syscall.SIGTERM)
			_ = k.Wait()
		}
	}
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("keepalived said:\n%s", log.text())
		}
	})
	set := func(p *place) {
		t.Helper()
		p.awaitIP("address show dev eth0", "inet 192.0.2.10/24 brd 192.0.2.255 scope global secondary eth0:1", "inet 192.0.2.11/32 scope global eth0")
	}
	places[0].configure(text)
	lb1 := places[0].start()
	lb1.awaitStatus("lb1 is master", isMaster)
	set(lb1.place)
	lb1.stop()
	set(theirs)
	lb1 = places[0].start()
	lb1.awaitStatus("lb1 is master again", isMaster)
	stop()
	theirs.configure(example(t, "keepalived.hcl", "lb2"))
	lb2 := theirs.start()
	lb2.awaitStatus("lb2 is backup", inState(vrrp.Backup))
	if s := lb1.awaitStatus("lb1 is master", isMaster); s.VRRP[0].AddressMismatches > 0 {
		t.Errorf("the lists of addresses differ: %+v", s.VRRP[0])
	}
	lb1.stop()
	lb2.awaitStatus("lb2 is master", isMaster)
	set(theirs)
}
