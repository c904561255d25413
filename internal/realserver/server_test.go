package realserver_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/lvs-ha/lvs-ha/internal/realserver"
	"github.com/lvs-ha/lvs-ha/internal/realserver/realservertest"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func dr(vips ...string) realserver.Wanted {
	var w realserver.Wanted
	for _, v := range vips {
		w.VIPs = append(w.VIPs, realserver.VIP{Address: addr(v), Mode: realserver.DR})
	}
	return w
}

func tun(vip string, t realserver.Tunnel) realserver.Wanted {
	return realserver.Wanted{VIPs: []realserver.VIP{{Address: addr(vip), Mode: realserver.TUN, Tunnel: &t}}}
}

func commands(steps []realserver.Step) []string {
	var out []string
	for _, s := range steps {
		out = append(out, s.Command())
	}
	return out
}

func newServer(t *testing.T, m *realservertest.Machine) *realserver.Server {
	return &realserver.Server{System: m, Store: realserver.Store{Dir: t.TempDir(), Identity: "boot/7"}}
}

func observe(t *testing.T, m *realservertest.Machine) realserver.Observed {
	t.Helper()
	o, err := m.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}, netip.AddrPort{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// Direct routing step by step, and undone.
func TestDirectRouting(t *testing.T) {
	m := realservertest.New("202.99.59.1", "202.99.59.108/24")
	m.Set("net.ipv4.conf.all.arp_announce", "1")
	before := observe(t, m)
	s := newServer(t, m)
	report, err := s.Up(t.Context(), dr("202.99.59.110"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "steps up", commands(report.Steps), []string{
		"sysctl -w net.ipv4.conf.all.arp_ignore=1",
		"sysctl -w net.ipv4.conf.all.arp_announce=2",
		"sysctl -w net.ipv4.conf.lo.arp_ignore=1",
		"sysctl -w net.ipv4.conf.lo.arp_announce=2",
		"ip -4 address replace 202.99.59.110/32 dev lo",
		"ip -4 route replace 202.99.59.110/32 dev lo scope link",
	})
	if report, err = s.Up(t.Context(), dr("202.99.59.110")); err != nil || len(report.Steps) != 0 {
		t.Errorf("up again executed %v, %v", report.Steps, err)
	}
	if status, err := s.Status(t.Context(), realserver.Wanted{}); err != nil || !status.OK {
		t.Errorf("status is %+v, %v", status, err)
	}
	if report, err = s.Down(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	equal(t, "steps down", commands(report.Steps), []string{
		"ip -4 route del 202.99.59.110/32 dev lo scope link",
		"ip -4 address del 202.99.59.110/32 dev lo",
		"sysctl -w net.ipv4.conf.lo.arp_announce=0",
		"sysctl -w net.ipv4.conf.lo.arp_ignore=0",
		"sysctl -w net.ipv4.conf.all.arp_announce=1",
		"sysctl -w net.ipv4.conf.all.arp_ignore=0",
	})
	equal(t, "the machine after down", observe(t, m), before)
	if _, err := os.Stat(s.Store.File()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the record is still there: %v", err)
	}
	if report, err := s.Down(t.Context(), nil); err != nil || len(report.Steps) != 0 {
		t.Errorf("down again executed %v, %v", report.Steps, err)
	}
}

func TestTunnels(t *testing.T) {
	for _, c := range []struct {
		name   string
		wanted realserver.Wanted
		steps  []string
	}{
		{"ipip", tun("192.0.2.9", realserver.Tunnel{Type: realserver.IPIP, Outer4: true}), []string{
			"modprobe ipip",
			"ip link set dev tunl0 up",
			"sysctl -w net.ipv4.conf.all.arp_ignore=1",
			"sysctl -w net.ipv4.conf.all.arp_announce=2",
			"sysctl -w net.ipv4.conf.tunl0.arp_ignore=1",
			"sysctl -w net.ipv4.conf.tunl0.arp_announce=2",
			"sysctl -w net.ipv4.conf.tunl0.rp_filter=2",
			"ip -4 address replace 192.0.2.9/32 dev tunl0",
			"ip -4 route replace 192.0.2.9/32 dev tunl0 scope link",
		}},
		{"IPv6 in IPv6", tun("fd00::9", realserver.Tunnel{Type: realserver.IPIP}), []string{
			"modprobe ip6_tunnel",
			"ip link set dev ip6tnl0 up",
			"ip -6 address replace fd00::9/128 dev ip6tnl0 nodad preferred_lft 0",
		}},
		{"IPv6 in IPv4", tun("fd00::9", realserver.Tunnel{Type: realserver.IPIP, Outer4: true}), []string{
			"modprobe sit",
			"ip link set dev sit0 up",
			"ip -6 address replace fd00::9/128 dev sit0 nodad preferred_lft 0",
		}},
		{"IPv4 in IPv6", tun("192.0.2.9", realserver.Tunnel{Type: realserver.IPIP}), []string{
			"modprobe ip6_tunnel",
			"ip -6 tunnel change ip6tnl0 mode any",
			"ip link set dev ip6tnl0 up",
			"sysctl -w net.ipv4.conf.all.arp_ignore=1",
			"sysctl -w net.ipv4.conf.all.arp_announce=2",
			"sysctl -w net.ipv4.conf.ip6tnl0.arp_ignore=1",
			"sysctl -w net.ipv4.conf.ip6tnl0.arp_announce=2",
			"sysctl -w net.ipv4.conf.ip6tnl0.rp_filter=2",
			"ip -4 address replace 192.0.2.9/32 dev ip6tnl0",
			"ip -4 route replace 192.0.2.9/32 dev ip6tnl0 scope link",
		}},
		{"GRE", tun("fd00::9", realserver.Tunnel{Type: realserver.GRE, Outer4: true}), []string{
			"modprobe ip_gre",
			"ip link set dev gre0 up",
			"ip -6 address replace fd00::9/128 dev gre0 nodad preferred_lft 0",
		}},
		{"GUE", tun("fd00::9", realserver.Tunnel{Type: realserver.GUE, Port: 6081}), []string{
			"modprobe ip6_tunnel",
			"modprobe fou",
			"ip -6 fou add port 6081 gue",
			"ip link set dev ip6tnl0 up",
			"ip -6 address replace fd00::9/128 dev ip6tnl0 nodad preferred_lft 0",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := realservertest.New("192.0.2.1", "192.0.2.8/24")
			s := newServer(t, m)
			report, err := s.Up(t.Context(), c.wanted)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "steps", commands(report.Steps), c.steps)
			if status, err := s.Status(t.Context(), c.wanted); err != nil || !status.OK {
				t.Errorf("status is %+v, %v", status, err)
			}
			report, err = s.Down(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(report.Notes) == 0 || !strings.HasSuffix(report.Notes[0], "stays loaded") {
				t.Errorf("notes %q do not mention the module", report.Notes)
			}
			for _, l := range observe(t, m).Links {
				if l.NoARP && (l.Up || l.Any) {
					t.Errorf("after down: %+v", l)
				}
			}
			for key, v := range observe(t, m).Sysctls {
				if v != "0" {
					t.Errorf("after down %s is %s", key, v)
				}
			}
			if ports := observe(t, m).FOU; len(ports) != 0 {
				t.Errorf("after down GUE ports are left: %v", ports)
			}
		})
	}
}

func TestDownKeepsWhatOtherAddressesNeed(t *testing.T) {
	m := realservertest.New("192.0.2.1", "192.0.2.8/24")
	m.AddAddress("lo", "192.0.2.77/32") // added externally
	m.Set("net.ipv4.conf.eth0.arp_ignore", "3")
	before := observe(t, m)
	s := newServer(t, m)
	if _, err := s.Up(t.Context(), dr("192.0.2.9", "192.0.2.77")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Up(t.Context(), dr("192.0.2.10", "fd00::9")); err != nil {
		t.Fatal(err)
	}
	report, err := s.Down(t.Context(), []netip.Addr{addr("192.0.2.9"), addr("192.0.2.99")})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "steps", commands(report.Steps), []string{
		"ip -4 route del 192.0.2.9/32 dev lo scope link",
		"ip -4 address del 192.0.2.9/32 dev lo",
	})
	equal(t, "notes", report.Notes, []string{"192.0.2.99 was not set up by lvs-ha: left as is"})
	if status, err := s.Status(t.Context(), realserver.Wanted{}); err != nil || !status.OK {
		t.Errorf("status of the rest is %+v, %v", status, err)
	}
	if _, err := s.Down(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	equal(t, "the machine after down", observe(t, m), before)
}

func TestDownLeavesForeignValues(t *testing.T) {
	m := realservertest.New("192.0.2.1", "192.0.2.8/24")
	s := newServer(t, m)
	if _, err := s.Up(t.Context(), dr("192.0.2.9")); err != nil {
		t.Fatal(err)
	}
	m.Set("net.ipv4.conf.all.arp_ignore", "8")
	report, err := s.Down(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "notes", report.Notes, []string{"net.ipv4.conf.all.arp_ignore is now 8, which lvs-ha did not set: left as is (it was 0 before)"})
	if v := observe(t, m).Sysctls["net.ipv4.conf.all.arp_ignore"]; v != "8" {
		t.Errorf("an external value became %s", v)
	}
}

func TestUpRollsBack(t *testing.T) {
	broken := errors.New("broken")
	for _, a := range []realserver.Action{realserver.LoadModule, realserver.SetUp, realserver.SetSysctl, realserver.AddAddress, realserver.AddRoute} {
		t.Run(string(a), func(t *testing.T) {
			m := realservertest.New("192.0.2.1", "192.0.2.8/24")
			s := newServer(t, m)
			if _, err := s.Up(t.Context(), dr("192.0.2.7")); err != nil {
				t.Fatal(err)
			}
			if err := m.Do(t.Context(), realserver.Step{Action: realserver.LoadModule, Module: "sit"}); err != nil {
				t.Fatal(err)
			}
			before := observe(t, m)
			record, err := s.Store.Load()
			if err != nil {
				t.Fatal(err)
			}
			m.Fail(a, broken)
			w := tun("192.0.2.9", realserver.Tunnel{Type: realserver.IPIP, Outer4: true})
			if _, err := s.Up(t.Context(), w); !errors.Is(err, broken) {
				t.Fatalf("error %v", err)
			}
			m.Fail(a, nil)
			after := observe(t, m)
			if a != realserver.LoadModule {
				after.Links = after.Links[:len(before.Links)] // tunl0 was created by the module, which stays
				for key := range after.Sysctls {
					if strings.Contains(key, ".tunl0.") {
						if v := after.Sysctls[key]; v != "0" {
							t.Errorf("%s is %s", key, v)
						}
						delete(after.Sysctls, key)
					}
				}
			}
			equal(t, "the machine after the failure", after, before)
			again, err := s.Store.Load()
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "the record after the failure", again, record)
		})
	}
}

func TestFailedRollbackStaysRecorded(t *testing.T) {
	m := realservertest.New("192.0.2.1", "192.0.2.8/24")
	before := observe(t, m)
	s := newServer(t, m)
	noRoute, stuck := errors.New("no route"), errors.New("stuck")
	m.Fail(realserver.AddRoute, noRoute)
	m.Fail(realserver.RemoveAddress, stuck)
	if _, err := s.Up(t.Context(), dr("192.0.2.9")); !errors.Is(err, noRoute) || !errors.Is(err, stuck) {
		t.Fatalf("error %v", err)
	}
	if _, err := s.Down(t.Context(), nil); !errors.Is(err, stuck) {
		t.Fatalf("down: error %v", err)
	}
	m.Fail(realserver.RemoveAddress, nil)
	if _, err := s.Down(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	equal(t, "the machine in the end", observe(t, m), before)
}

func TestRecordOfEarlierBootIsIgnored(t *testing.T) {
	m := realservertest.New("192.0.2.1", "192.0.2.8/24")
	s := newServer(t, m)
	if _, err := s.Up(t.Context(), dr("192.0.2.9")); err != nil {
		t.Fatal(err)
	}
	s.Store.Identity = "later/7"
	if report, err := s.Down(t.Context(), nil); err != nil || len(report.Steps) != 0 {
		t.Errorf("down executed %v, %v", report.Steps, err)
	}
	if _, err := s.Status(t.Context(), realserver.Wanted{}); !errors.Is(err, realserver.ErrNothingSetUp) {
		t.Errorf("status: %v", err)
	}
}

func TestUpRefuses(t *testing.T) {
	nat := realserver.Wanted{VIPs: []realserver.VIP{{Address: addr("192.0.2.9"), Mode: realserver.NAT}}}
	for _, c := range []struct {
		name   string
		change func(*realservertest.Machine)
		wanted realserver.Wanted
		names  []string // objects, and the remedy
	}{
		{"VIP on eth0", func(m *realservertest.Machine) { m.AddAddress("eth0", "192.0.2.9/32") }, dr("192.0.2.9"),
			[]string{"192.0.2.9: eth0", "ip -4 address del 192.0.2.9/32 dev eth0"}},
		{"network on lo", func(m *realservertest.Machine) { m.AddAddress("lo", "192.0.2.9/24") }, dr("192.0.2.9"),
			[]string{"192.0.2.9: lo", "192.0.2.0/24", "ip -4 address del 192.0.2.9/24 dev lo"}},
		{"VIP with NAT", func(m *realservertest.Machine) { m.AddAddress("lo", "192.0.2.9/32") }, nat,
			[]string{"192.0.2.9: lo", "lvs-ha realserver down --vip 192.0.2.9 # ", "ip -4 address del 192.0.2.9/32 dev lo"}},
		{"another mode", func(m *realservertest.Machine) { m.AddAddress("lo", "192.0.2.9/32") }, tun("192.0.2.9", realserver.Tunnel{Type: realserver.IPIP, Outer4: true}),
			[]string{"192.0.2.9: lo", "lvs-ha realserver down --vip 192.0.2.9 # ", "ip -4 address del 192.0.2.9/32 dev lo"}},
		{"on eth0", nil, onDevice("eth0", "192.0.2.9"),
			[]string{"192.0.2.9: eth0", "use lo"}},
		{"no device", nil, onDevice("dummy0", "192.0.2.9"), []string{"192.0.2.9", "ip link add dummy0 type dummy"}},
		{"IPv6 is off", func(m *realservertest.Machine) { m.Set("net.ipv6.conf.lo.disable_ipv6", "1") }, dr("fd00::9"),
			[]string{"fd00::9", "sysctl -w net.ipv6.conf.lo.disable_ipv6=0"}},
		{"nothing", nil, dr(), []string{"--vip ADDRESS", "-c FILE"}},
		{"mode", nil, realserver.Wanted{VIPs: []realserver.VIP{{Address: addr("192.0.2.9"), Mode: "x"}}}, []string{"192.0.2.9", `"x"`, "dr, tun or nat"}},
		{"DR and NAT", nil, realserver.Wanted{VIPs: slices.Concat(dr("192.0.2.9").VIPs, nat.VIPs)},
			[]string{"192.0.2.9", "nat and for dr"}},
		{"tunnel", nil, tun("192.0.2.9", realserver.Tunnel{Type: "vxlan"}), []string{"192.0.2.9", `"vxlan"`, "ipip, gre or gue"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := realservertest.New("192.0.2.1", "192.0.2.8/24")
			if c.change != nil {
				c.change(m)
			}
			_, err := newServer(t, m).Up(t.Context(), c.wanted)
			for _, name := range c.names {
				if !strings.Contains(fmt.Sprint(err), name) {
					t.Errorf("error %v does not name %q", err, name)
				}
			}
			if done := m.Done(); len(done) != 0 {
				t.Errorf("executed %v", done)
			}
		})
	}
}
