package main

import (
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

func TestStatusSaysWhyAHigherPriorityIsNotMaster(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	held := vrrp.Status{
		Name: "web", Interface: "eth0", State: vrrp.Backup, Reason: "startup", Priority: 150, EffectivePriority: 150,
		MasterAddress: "192.0.2.2", Since: now, PreemptHeld: "connection sync is still learning the connections",
	}
	var out strings.Builder
	if err := writeStatus(&out, api.Status{Started: now, Config: api.Config{Loaded: now}, VRRP: []vrrp.Status{held}}, now); err != nil {
		t.Fatal(err)
	}
	if want := "startup; does not preempt: connection sync is still learning the connections\n"; !strings.Contains(out.String(), want) {
		t.Errorf("%q is missing in\n%s", want, out.String())
	}
}

func TestStatusSaysWhichAddressIsRefused(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	refused := vrrp.Status{Name: "web", AddressesRefused: []string{"2001:db8::1/64 on eth1: permission denied"}}
	var out strings.Builder
	if err := writeStatus(&out, api.Status{VRRP: []vrrp.Status{refused}}, now); err != nil {
		t.Fatal(err)
	}
	if want := "\nvirtual address of web refused, trying again: 2001:db8::1/64 on eth1: permission denied\n"; !strings.Contains(out.String(), want) {
		t.Errorf("%q is missing in\n%s", want, out.String())
	}
}
