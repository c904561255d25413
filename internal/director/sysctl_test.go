package director

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
	"github.com/lvs-ha/lvs-ha/internal/sysctl/sysctltest"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

const forwarding = "net.ipv4.ip_forward"

func reload(t *testing.T, b *bench, cfg *config.Config) {
	t.Helper()
	b.cfg = cfg
	if _, err := b.director.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestSysctlsAreManaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		kernel := sysctltest.New(map[string]string{forwarding: "0"})
		b.sysctls = &sysctl.Keeper{Kernel: kernel, Identity: "boot/1", File: filepath.Join(b.dir, "sysctl.json")}
		b.cfg.VRRP = []config.VRRP{{Instance: vrrp.Instance{Name: "web"}}}
		want := func(value string) {
			t.Helper()
			synctest.Wait()
			if got := kernel.Values()[forwarding]; got != value {
				t.Errorf("%s is %s, want %s", forwarding, got, value)
			}
		}
		b.start(false)
		want("0")
		managed := *b.cfg
		managed.Sysctl.Manage = true
		reload(t, b, &managed)
		want("1")

		// External changes, and a kernel that refuses temporarily.
		if err := kernel.Write(forwarding, "0"); err != nil {
			t.Fatal(err)
		}
		kernel.Fail(forwarding, errors.New("no"))
		time.Sleep(managed.Director.Repair)
		want("0")
		problems := b.status().Problems
		if !slices.ContainsFunc(problems, func(p api.Problem) bool { return p.What == "sysctl" }) {
			t.Errorf("problems are %v, want that of the parameter", problems)
		}
		kernel.Fail(forwarding, nil)
		time.Sleep(managed.Director.Repair)
		want("1")

		b.stop()
		want("0")
		b.start(true)
		want("1")
		unmanaged := *b.cfg
		unmanaged.Sysctl.Manage = false
		reload(t, b, &unmanaged)
		want("0")
		b.stop()
	})
}

func TestSysctlsStayWhileTrafficContinues(t *testing.T) {
	for _, c := range []struct {
		onStop string
		vrrp   []config.VRRP
		want   string
	}{
		{"leave", nil, "1"},
		{"remove", nil, "0"},
		{"leave", []config.VRRP{{Instance: vrrp.Instance{Name: "web"}}}, "0"},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			kernel := sysctltest.New(map[string]string{forwarding: "0"})
			b.sysctls = &sysctl.Keeper{Kernel: kernel, Identity: "boot/1", File: filepath.Join(b.dir, "sysctl.json")}
			b.cfg.Director.OnStop, b.cfg.VRRP, b.cfg.Sysctl.Manage = c.onStop, c.vrrp, true
			b.start(false)
			b.stop()
			if got := kernel.Values()[forwarding]; got != c.want {
				t.Errorf("on_stop %s with %d vrrp blocks: %s is %s after stop, want %s", c.onStop, len(c.vrrp), forwarding, got, c.want)
			}
		})
	}
}

// hungSysctls never return.
type hungSysctls struct{ answer chan struct{} }

func (h hungSysctls) Apply([]sysctl.Setting) ([]sysctl.Change, error) {
	<-h.answer
	return nil, nil
}

func TestHangingSysctlsBlockNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		hung := hungSysctls{make(chan struct{})}
		b.sysctls = hung
		b.start(false)
		defer b.stop()
		time.Sleep(2 * saveTimeout)
		began := time.Now()
		b.judge(first, healthcheck.Up)
		b.wantPool(first + "=1")
		b.cfg = twoServers()
		b.reload()
		if took := time.Since(began); took > 0 {
			t.Errorf("a check's result and a reload waited %v", took)
		}
		if problems := b.status().Problems; len(problems) != 1 || problems[0].What != "sysctl" {
			t.Errorf("problems are %v", problems)
		}
		close(hung.answer)
		b.repair()
		if problems := b.status().Problems; len(problems) != 0 {
			t.Errorf("problems are %v", problems)
		}
	})
}
