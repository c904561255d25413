package director

import (
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
	"github.com/lvs-ha/lvs-ha/internal/sysctl/sysctltest"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// fakeAddresses are the addresses left by a speaker.
type fakeAddresses struct {
	err      error
	removing func()

	mu   sync.Mutex
	left []vrrp.Address
}

func (a *fakeAddresses) Present([]vrrp.Instance) ([]vrrp.Address, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.left), nil
}

func (a *fakeAddresses) Remove(addresses []vrrp.Address) error {
	a.removing()
	if a.err != nil {
		return a.err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.left = slices.DeleteFunc(a.left, func(x vrrp.Address) bool { return slices.Contains(addresses, x) })
	return nil
}

// TestStopLeavesNoAddressWithoutTable stops a director that is configured to remove everything. While an address is left,
// the table and forwarding must stay.
func TestStopLeavesNoAddressWithoutTable(t *testing.T) {
	const interval = 500 * time.Millisecond
	down := vrrp.MasterDownInterval(3, 1, interval)
	for name, tt := range map[string]struct {
		dies   time.Duration // how long before the stop the speaker crashes; 0 means never
		state  vrrp.State    // its last state
		before bool          // the addresses have been removed by then
		err    error         // of the removal
		stays  bool
		took   time.Duration
	}{
		"the speaker died long ago": {dies: time.Minute, state: vrrp.Master},
		"the speaker died just now": {dies: time.Millisecond, state: vrrp.Master, took: down - time.Millisecond},
		"it died while leaving":     {dies: time.Millisecond, state: vrrp.Leaving, took: down - time.Millisecond},
		"a backup died":             {dies: time.Millisecond, state: vrrp.Backup},
		"it left":                   {dies: time.Millisecond, state: vrrp.Initialize, before: true},
		"it stays":                  {state: vrrp.Master, stays: true, took: stopWait},
		"the kernel refuses":        {dies: time.Minute, state: vrrp.Master, err: errors.New("no"), stays: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				parameters := sysctltest.New(map[string]string{forwarding: "0"})
				b.sysctls = &sysctl.Keeper{Kernel: parameters, Identity: "boot/1", File: filepath.Join(b.dir, "sysctl.json")}
				b.cfg.Director.OnStop, b.cfg.Sysctl.Manage = "remove", true
				b.cfg.VRRP = []config.VRRP{{Instance: vrrp.Instance{Name: "web", Version: 3, AdvertiseInterval: interval}}}
				addresses := &fakeAddresses{err: tt.err}
				if !tt.before {
					addresses.left = []vrrp.Address{{Prefix: netip.MustParsePrefix("202.99.59.110/24"), Interface: "eth0"}}
				}
				whole := func() bool {
					table, err := b.kernel.Table(t.Context())
					return err == nil && len(table) == 1 && parameters.Values()[forwarding] == "1"
				}
				addresses.removing = func() {
					if !whole() {
						t.Error("the address outlived the table or forwarding")
					}
				}
				b.addresses = addresses
				b.start(false)
				b.judge(first, healthcheck.Up)
				b.speaker.connected(true)
				b.vrrpState(tt.state)
				if tt.dies > 0 {
					b.speaker.connected(false)
					time.Sleep(tt.dies)
				}
				before := time.Now()
				b.stop()
				if took := time.Since(before); took != tt.took {
					t.Errorf("it stopped after %v, want %v", took, tt.took)
				}
				if got := whole(); got != tt.stays {
					t.Errorf("table and forwarding stay: %t, want %t", got, tt.stays)
				}
				if got := len(addresses.left) > 0; got != tt.stays {
					t.Errorf("the address stays: %t, want %t", got, tt.stays)
				}
			})
		})
	}
}
