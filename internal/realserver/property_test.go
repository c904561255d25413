package realserver_test

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/lvs-ha/lvs-ha/internal/realserver"
	"github.com/lvs-ha/lvs-ha/internal/realserver/realservertest"
	"pgregory.net/rapid"
)

// After any sequence of up and down on any initial state, the final down restores that state. In between, status reports
// no problem for what is set up.
func TestUpAndDownRestoreAnyMachine(t *testing.T) {
	vips := []string{"192.0.2.9", "192.0.2.10", "fd00::9", "fd00::10"}
	rapid.Check(t, func(t *rapid.T) {
		m := realservertest.New("192.0.2.1", "192.0.2.8/24")
		for _, module := range []string{"ipip", "sit", "ip6_tunnel", "ip_gre", "ip6_gre", "fou"} {
			if err := m.Do(t.Context(), realserver.Step{Action: realserver.LoadModule, Module: module}); err != nil {
				t.Fatal(err)
			}
		}
		m.AddLink(host.Link{Name: "dummy0", NoARP: true})
		o, _ := m.Observe(t.Context())
		values := rapid.SampledFrom([]string{"0", "1", "2", "3"})
		for _, l := range append(o.Links, host.Link{Name: "all"}) {
			for _, name := range []string{"arp_ignore", "arp_announce", "rp_filter"} {
				m.Set("net.ipv4.conf."+l.Name+"."+name, values.Draw(t, l.Name+" "+name))
			}
			if rapid.Bool().Draw(t, l.Name+" is up") {
				m.Change(func(o *realserver.Observed) {
					for i := range o.Links {
						o.Links[i].Up = o.Links[i].Up || o.Links[i].Name == l.Name
					}
				})
			}
		}
		before, _ := m.Observe(t.Context())
		dir, err := os.MkdirTemp("", "realserver")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		s := &realserver.Server{System: m, Store: realserver.Store{Dir: dir, Identity: "boot/7"}}
		for range rapid.IntRange(1, 6).Draw(t, "calls") {
			vip := addr(rapid.SampledFrom(vips).Draw(t, "vip"))
			w := realserver.Wanted{VIPs: []realserver.VIP{{Address: vip, Mode: realserver.DR}}}
			if rapid.Bool().Draw(t, "tunnel") {
				w.VIPs[0].Mode = realserver.TUN
				w.VIPs[0].Tunnel = &realserver.Tunnel{
					Type:   rapid.SampledFrom([]realserver.TunnelType{realserver.IPIP, realserver.GRE, realserver.GUE}).Draw(t, "type"),
					Outer4: rapid.Bool().Draw(t, "outer IPv4"),
				}
			} else if rapid.Bool().Draw(t, "on a separate device") {
				w.VIPs[0].Interface = "dummy0"
			}
			if rapid.IntRange(0, 3).Draw(t, "way") == 0 {
				_, err = s.Down(t.Context(), w.Addresses())
			} else if _, err = s.Up(t.Context(), w); err != nil {
				// Refused: the address is on another device by an earlier call.
				if len(m.Done()) == 0 {
					t.Fatal(err)
				}
				continue
			} else if status, err := s.Status(t.Context(), w); err != nil || !status.OK {
				t.Fatalf("after up: %+v, %v", status, err)
			}
			if err != nil {
				t.Fatal(err)
			}
			state, err := s.Store.Load()
			if err != nil {
				t.Fatal(err)
			}
			if len(state.Wanted.VIPs) > 0 {
				if status, err := s.Status(t.Context(), realserver.Wanted{}); err != nil || !status.OK {
					t.Fatalf("all that was brought up: %+v, %v", status, err)
				}
			}
		}
		if _, err := s.Down(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		after, _ := m.Observe(t.Context())
		if diff := cmp.Diff(before, after, cmpopts.EquateComparable(addr("::"), before.Addresses[0].Prefix), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("the machine is not as it was (-before +after):\n%s", diff)
		}
	})
}
