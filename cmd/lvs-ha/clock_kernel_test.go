package main

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// setClock changes the test kernel's clock.
func setClock(t *testing.T, by time.Duration) {
	t.Helper()
	to := unix.NsecToTimespec(time.Now().Add(by).UnixNano())
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &to); err != nil {
		t.Fatal(err)
	}
}

// since returns all times in a status.
func since(s api.Status) map[string]time.Time {
	times := map[string]time.Time{"started": s.Started, "configuration": s.Config.Loaded}
	for _, p := range s.Problems {
		times["problem "+p.What] = p.Since
	}
	for _, v := range s.VRRP {
		times["vrrp "+v.Name] = v.Since
	}
	for _, v := range s.Services {
		for _, r := range v.Servers {
			times["server "+r.ServerKey.String()] = r.Since
			for _, c := range r.Checks {
				times["check "+c.Endpoint.String()] = c.Since
			}
		}
	}
	return times
}

// TestKernelClockChangeDoesNotAffectAges matters at boot: the clock may be set after lvs-ha has started, perhaps by years.
func TestKernelClockChangeDoesNotAffectAges(t *testing.T) {
	lab.Need(t, lab.Kernel)
	const month = 30 * 24 * time.Hour
	p := newPlace(t)
	p.configure(gateway + strings.TrimPrefix(checked, checked[:strings.Index(checked, "virtual_service")]) + `
virtual_service "broken" {
  address     = "192.0.2.100:81"
  forwarding  = "nat"
  scheduler   = "twos"
  real_server "192.0.2.1:8083" {}
}
`)
	d := p.start()
	ready := func(s api.Status) bool {
		return isMaster(s) && len(s.Services) == 2 && s.Services[0].Servers[0].State == healthcheck.Down && len(s.Problems) == 1
	}
	before := since(d.awaitStatus("ready", ready))
	moved := time.Duration(0)
	t.Cleanup(func() { setClock(t, -moved) })
	for _, by := range []time.Duration{month, -2 * month} {
		setClock(t, by)
		moved += by
		now := time.Now()
		after := since(d.awaitStatus("ready", ready))
		for what, then := range before {
			if then.IsZero() {
				continue
			}
			if got := after[what]; got.Sub(then.Add(moved)).Abs() > time.Second || got.After(now.Add(time.Second)) {
				t.Errorf("the clock moved by %v: %s %v, before %v", moved, what, got, then)
			}
		}
		if text := p.asked("status").stdout; strings.Contains(text, "30d") {
			t.Errorf("status:\n%s", text)
		}
	}
}
