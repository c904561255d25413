package realservertest

import (
	"errors"
	"net/netip"
	"reflect"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/realserver"
)

var _ realserver.System = (*Machine)(nil)

// Every step changes what is observed, is refused a second time, and is undone by its opposite.
func TestSteps(t *testing.T) {
	vip := netip.MustParseAddr("192.0.2.9")
	m := New("192.0.2.1", "192.0.2.8/24")
	for _, module := range []string{"ip6_tunnel", "fou"} {
		if err := m.Do(t.Context(), realserver.Step{Action: realserver.LoadModule, Module: module}); err != nil {
			t.Fatal(err)
		}
	}
	observe := func() realserver.Observed {
		o, err := m.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	for _, s := range []realserver.Step{
		{Action: realserver.SetUp, Interface: "ip6tnl0"},
		{Action: realserver.TakeAny, Interface: "ip6tnl0"},
		{Action: realserver.AddFOU, Port: 6080, IPv6: true},
		{Action: realserver.SetSysctl, Key: "net.ipv4.conf.all.arp_ignore", Before: "0", Value: "1"},
		{Action: realserver.AddAddress, Interface: "lo", Address: vip},
		{Action: realserver.AddRoute, Interface: "lo", Address: vip},
	} {
		before := observe()
		broken := errors.New("broken")
		m.Fail(s.Action, broken)
		if err := m.Do(t.Context(), s); !errors.Is(err, broken) {
			t.Errorf("%s: error %v, want the injected one", s, err)
		}
		m.Fail(s.Action, nil)
		if err := m.Do(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if reflect.DeepEqual(before, observe()) {
			t.Errorf("%s changed nothing", s)
		}
		set := s.Action == realserver.SetUp || s.Action == realserver.TakeAny
		if err := m.Do(t.Context(), s); err == nil && !set {
			t.Errorf("%s was executed twice", s)
		}
		back, _ := s.Undo()
		if err := m.Do(t.Context(), back); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []realserver.Step{
		{Action: realserver.LoadModule, Module: "dummy"}, {Action: realserver.SetUp, Interface: "eth9"},
		{Action: realserver.RemoveRoute, Interface: "lo", Address: vip}, {Action: "dance"},
	} {
		if err := m.Do(t.Context(), s); err == nil {
			t.Errorf("%+v was executed", s)
		}
	}
	m.AddAddress("lo", "192.0.2.7/32")
	m.Set("net.ipv4.conf.lo.arp_ignore", "8")
	m.Change(func(o *realserver.Observed) { o.Routes = nil })
	o := observe()
	if len(o.Addresses) != 3 || o.Sysctls["net.ipv4.conf.lo.arp_ignore"] != "8" || len(o.Routes) != 0 {
		t.Errorf("external changes are not observed: %+v", o)
	}
	if done := m.Done(); len(done) < 14 {
		t.Errorf("only %d steps are recorded", len(done))
	}
}
