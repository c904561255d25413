package director

import (
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// checkedOnMaster has an instance with the address of the service, and a second service, which is always checked.
func checkedOnMaster() *config.Config {
	cfg := twoServers()
	cfg.VRRP = []config.VRRP{{Instance: vrrp.Instance{Name: "web", Interface: "eth0", VirtualRouterID: 1, Priority: 100,
		Addresses: []vrrp.Address{{Prefix: netip.MustParsePrefix("202.99.59.110/24")}}}}}
	cfg.Services[0].CheckOn = config.OnMaster
	return cfg
}

// TestChecksOnMasterOnly checks that the checks of a service run only while this director is master of its address, and that its servers
// stay as they are in the table until the first results.
func TestChecksOnMasterOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = checkedOnMaster()
		b.start(false)
		defer func() { b.stop() }()
		wantChecks := func(when string, want int) {
			t.Helper()
			if got := len(b.checker.targets); got != want {
				t.Errorf("%s: %d checks, want %d", when, got, want)
			}
		}
		wantChecks("at the start", 0)
		b.vrrpState(vrrp.Backup)
		wantChecks("backup", 0)
		if r := b.status().Services[0].Servers[0]; r.Reason != "suspended" || r.State != healthcheck.Unknown {
			t.Errorf("on a backup, a server is %s, %s", r.State, r.Reason)
		}
		b.vrrpState(vrrp.Master)
		wantChecks("master", 2)
		b.wantPool("")
		b.judge(first, healthcheck.Up)
		b.judge(second, healthcheck.Up)
		b.wantPool(first + "=1 " + second + "=1")

		b.vrrpState(vrrp.Leaving)
		wantChecks("leaving", 2)
		b.vrrpState(vrrp.Backup)
		wantChecks("backup again", 0)
		b.repair()
		b.repair() // everything that is checked has results: what was found stays
		b.wantPool(first + "=1 " + second + "=1")
		b.reload()
		b.repair()
		b.wantPool(first + "=1 " + second + "=1")

		b.vrrpState(vrrp.Master)
		wantChecks("master again", 2)
		b.wantPool(first + "=1 " + second + "=1")
		b.judge(first, healthcheck.Down)
		b.judge(second, healthcheck.Up)
		b.wantPool(second + "=1")
		b.vrrpState(vrrp.Backup)
		b.repair()
		b.wantPool(second + "=1")
	})
}

// TestSuspendedServiceSharesChecks checks that a service on a backup uses the results of checks that another service needs.
func TestSuspendedServiceSharesChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = checkedOnMaster()
		always := b.cfg.Services[0]
		always.Name, always.CheckOn, always.Address = "always", "", netip.MustParseAddr("202.99.59.111")
		b.cfg.Services = append(b.cfg.Services, always)
		b.start(false)
		defer func() { b.stop() }()
		b.vrrpState(vrrp.Backup)
		if n := len(b.checker.targets); n != 2 {
			t.Errorf("%d checks", n)
		}
		b.judge(first, healthcheck.Up)
		b.wantPool(first + "=1 " + first + "=1")
	})
}
