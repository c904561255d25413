package director

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// repair waits for a full repair pass.
func (b *bench) repair() {
	time.Sleep(b.cfg.Director.Repair + time.Millisecond)
	synctest.Wait()
}

func (b *bench) reload() {
	b.t.Helper()
	if _, err := b.director.Reload(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	synctest.Wait()
}

// fickleKernel rejects timeouts while err is set.
type fickleKernel struct {
	*fakeKernel
	err error
}

func (k *fickleKernel) SetTimeouts(ctx context.Context, t ipvs.Timeouts) error {
	if k.err != nil {
		return k.err
	}
	return k.fakeKernel.SetTimeouts(ctx, t)
}

func TestTimeoutsAreRetriedAndRepaired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(false)
		defer b.stop()
		kernel := &fickleKernel{b.kernel, errors.New("busy")}
		if err := b.director.do(t.Context(), func() error { b.director.kernel = kernel; return nil }); err != nil {
			t.Fatal(err)
		}
		b.cfg = twoServers()
		b.cfg.Timeouts = &ipvs.Timeouts{TCP: 60}
		b.reload()
		if s := b.status(); len(s.Problems) != 1 || s.Problems[0].What != "timeouts" {
			t.Errorf("problems: %+v", s.Problems)
		}
		wantTCP := func() {
			t.Helper()
			b.repair()
			if got, _ := b.kernel.Timeouts(t.Context()); got.TCP != 60 || got.UDP != 300 {
				t.Errorf("timeouts %+v, want 60 s for TCP and UDP's untouched", got)
			}
		}
		if err := b.director.do(t.Context(), func() error { kernel.err = nil; return nil }); err != nil {
			t.Fatal(err)
		}
		wantTCP()
		if s := b.status(); len(s.Problems) != 0 {
			t.Errorf("problems: %+v", s.Problems)
		}
		if err := b.kernel.SetTimeouts(t.Context(), ipvs.Timeouts{TCP: 900}); err != nil {
			t.Fatal(err)
		}
		wantTCP()
	})
}

func TestProblemOfServiceIsNotClearedByAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		other := b.cfg.Services[0]
		other.Name, other.Port, other.RealServers = "other", 81, nil
		b.cfg.Services = append(b.cfg.Services, other)
		b.kernel.Fail = func(s ipvs.Step) syscall.Errno {
			if s.Service.Port == 81 {
				return syscall.ENOENT
			}
			return 0
		}
		b.start(false)
		defer b.stop()
		b.judge(first, healthcheck.Up)
		b.wantPool(first + "=1")
		if s := b.status(); len(s.Problems) != 1 || s.Problems[0].What != "ipvs" {
			t.Errorf("problems: %+v", s.Problems)
		}
		b.changed(func() { b.kernel.Fail = nil })
		b.repair()
		if s := b.status(); len(s.Problems) != 0 {
			t.Errorf("problems: %+v", s.Problems)
		}
	})
}

func TestProblemEndsWithItsObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.noKernel = errors.New("this kernel has no IPVS: run `modprobe ip_vs`")
		b.start(false)
		defer b.stop()
		if s := b.status(); len(s.Problems) != 1 {
			t.Fatalf("problems: %+v", s.Problems)
		}
		b.cfg = onlyVRRP()
		b.reload()
		if s := b.status(); slices.ContainsFunc(s.Problems, func(p api.Problem) bool { return p.What == "ipvs" }) {
			t.Errorf("without any service these are left: %+v", s.Problems)
		}
	})
}

func TestStateFileWriteIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.dir = filepath.Join(b.dir, "run")
		b.start(false)
		defer b.stop()
		if s := b.status(); len(s.Problems) != 1 || s.Problems[0].What != "state file" {
			t.Fatalf("problems: %+v", s.Problems)
		}
		if err := os.Mkdir(b.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		b.repair()
		if s := b.status(); len(s.Problems) != 0 {
			t.Errorf("problems: %+v", s.Problems)
		}
		if m, err := recall(filepath.Join(b.dir, "director.json")); err != nil || len(m.Owned) != 1 || m.Config == nil {
			t.Errorf("it holds %+v, %v", m, err)
		}
	})
}

func TestConfigurationIsSavedWithoutIPVS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.noKernel = errors.New("this kernel has no IPVS: run `modprobe ip_vs`")
		b.start(false)
		m, err := recall(filepath.Join(b.dir, "director.json"))
		if err != nil || m.Config == nil || len(m.Owned) != 0 {
			t.Errorf("it holds %+v, %v, want the configuration and nothing owned", m, err)
		}
		b.stop()
		b.cfg, b.cfgErr = nil, errors.New("bad")
		b.start(true)
		b.stop()
	})
}

func TestDeletedStateFileIsRewritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		file := filepath.Join(b.dir, "director.json")
		b.start(false)
		defer b.stop()
		before, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		b.repair()
		if after, err := os.ReadFile(file); err != nil || string(after) != string(before) {
			t.Errorf("it holds %s, %v", after, err)
		}
	})
}

func TestServicesRemovedAtStopAreNoLongerOwned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg.Director.OnStop = "remove"
		b.start(false)
		b.judge(first, healthcheck.Up)
		b.stop()
		byHand := ipvs.Entry{Service: b.cfg.Services[0].Service}
		if err := ipvs.Apply(t.Context(), b.kernel, ipvs.Diff([]ipvs.Entry{byHand}, nil, func(ipvs.ServiceKey) bool { return true })); err != nil {
			t.Fatal(err)
		}
		b.cfg = onlyVRRP()
		b.start(false)
		defer b.stop()
		if table, _ := b.kernel.Table(t.Context()); len(table) != 1 {
			t.Error("a service that another program created while lvs-ha was stopped has been removed")
		}
	})
}

func TestConcurrentReloadsUseLatestFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(false)
		defer b.stop()
		older, newer := twoServers(), twoServers()
		older.Node, newer.Node = "older", "newer"
		read, slow := make(chan *config.Config, 2), make(chan struct{})
		read <- older
		read <- newer
		b.director.Load = func() (*config.Config, []config.Finding, error) {
			cfg := <-read
			if cfg == older {
				<-slow
			}
			return cfg, nil, nil
		}
		ended := make(chan error, 2)
		for range 2 {
			go func() { _, err := b.director.Reload(t.Context()); ended <- err }()
			synctest.Wait()
		}
		close(slow)
		if err := errors.Join(<-ended, <-ended); err != nil {
			t.Fatal(err)
		}
		if got := b.status().Node; got != "newer" {
			t.Errorf("the %s configuration is in force", got)
		}
	})
}

func TestTruncatedFileRemovesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(false)
		b.judge(first, healthcheck.Up)
		b.cfg = &config.Config{Node: "lb1", Director: b.cfg.Director}
		if _, err := b.director.Reload(t.Context()); !errors.Is(err, errEmptied) {
			t.Errorf("reload answered %v", err)
		}
		b.wantPool(first + "=1")
		b.stop()
		b.start(true) // after a crash
		b.wantPool(first + "=1")
		if s := b.status(); s.Config.StartError == "" || s.Config.ReloadError != "" {
			t.Errorf("the status does not say that the file was refused at the restart: %+v", s.Config)
		}
		b.stop()
		b.start(false)
		defer b.stop()
		b.wantPool("")
	})
}

func TestLateStatusOfRemovedInstanceIsIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = withSync()
		b.start(false)
		defer b.stop()
		b.cfg = twoServers()
		b.reload()
		b.vrrpState(vrrp.Master)
		b.cfg = withSync()
		b.reload()
		if s := b.status(); s.VRRP[0].State != vrrp.Initialize {
			t.Errorf("an instance that has only just come back is %s", s.VRRP[0].State)
		}
	})
}

func TestRestartWithoutAuthoritiesFileUsesSavedContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pem, err := os.ReadFile("../../config/testdata/valid/ca.pem")
		if err != nil {
			t.Fatal(err)
		}
		b := newBench(t)
		b.cfg.Services[0].Checks[0].Check = &healthcheck.HTTPS{TLS: &healthcheck.TLS{CAFile: "/etc/ca.pem"}}
		b.cfg.CAFiles = map[string]string{"/etc/ca.pem": string(pem)}
		b.start(false)
		b.stop()
		b.cfg, b.cfgErr = nil, errors.New("/etc/ca.pem: no such file")
		b.start(true)
		defer b.stop()
		for _, target := range b.checker.targets {
			if target.Spec.Check.(*healthcheck.HTTPS).TLS.Authorities == nil {
				t.Errorf("%s does not trust them", target)
			}
		}
	})
}

// TestUnresponsiveFileSystemBlocksNothing has writes of the state file that hang instead of failing.
func TestUnresponsiveFileSystemBlocksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var writes atomic.Int32
		answer := make(chan struct{})
		b.writeFile = func(path string, contents []byte) error {
			writes.Add(1)
			<-answer
			return replaceBy(stateFormat)(path, contents)
		}
		b.start(false)
		defer b.stop()
		time.Sleep(2 * saveTimeout)
		began := time.Now()
		b.judge(first, healthcheck.Up)
		b.wantPool(first + "=1")
		b.cfg = twoServers()
		b.cfg.Services[0].Checks[0].Interval = 5 * time.Second
		b.reload()
		if took := time.Since(began); took > 0 {
			t.Errorf("a check's result and a reload waited %v", took)
		}
		if s := b.status(); len(s.Problems) != 1 || s.Problems[0].What != "state file" {
			t.Errorf("problems: %+v", s.Problems)
		}
		if n := writes.Load(); n != 1 {
			t.Errorf("%d writes hang", n)
		}
		close(answer)
		b.repair()
		if s := b.status(); len(s.Problems) != 0 {
			t.Errorf("problems: %+v", s.Problems)
		}
		m, err := recall(filepath.Join(b.dir, "director.json"))
		if err != nil || m.Config == nil || m.Config.Services[0].Checks[0].Interval != 5*time.Second {
			t.Errorf("the file holds %+v, %v", m, err)
		}
	})
}

func TestUnsavableConfigurationIsAProblem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var full atomic.Bool
		b.writeFile = func(path string, contents []byte) error {
			if full.Load() {
				return syscall.ENOSPC
			}
			return replaceBy(stateFormat)(path, contents)
		}
		b.start(false)
		defer b.stop()
		full.Store(true)
		b.cfg = twoServers()
		b.reload()
		b.repair()
		if s := b.status(); len(s.Problems) != 1 || s.Problems[0].What != "state file" {
			t.Errorf("problems: %+v", s.Problems)
		}
		full.Store(false)
		b.repair()
		b.repair()
		if s := b.status(); len(s.Problems) != 0 {
			t.Errorf("problems: %+v", s.Problems)
		}
	})
}

// TestEachUnsavedFileIsAProblem has no space for a file beside the state file: a failover that a crash would forget.
func TestEachUnsavedFileIsAProblem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var full atomic.Bool
		b.writeFailovers = func(path string, contents []byte) error {
			if full.Load() {
				return syscall.ENOSPC
			}
			return replaceBy(failoversFormat)(path, contents)
		}
		b.start(false)
		defer b.stop()
		full.Store(true)
		if err := b.director.do(t.Context(), func() error { b.director.saveFailovers(); return nil }); err != nil {
			t.Fatal(err)
		}
		b.repair()
		if s := b.status(); len(s.Problems) != 1 || s.Problems[0].What != "state file" {
			t.Errorf("problems: %+v", s.Problems)
		}
		full.Store(false)
		b.repair()
		b.repair()
		if s := b.status(); len(s.Problems) != 0 {
			t.Errorf("problems: %+v", s.Problems)
		}
	})
}

func TestUnservedAPIAddressIsAProblem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(false)
		defer b.stop()
		b.director.ServesAPI("192.0.2.1:9180", errors.New("reading the token of the API: no such file"))
		synctest.Wait()
		if s := b.status(); len(s.Problems) != 1 || s.Problems[0].What != "api 192.0.2.1:9180" {
			t.Fatalf("problems: %+v", s.Problems)
		}
		b.director.ServesAPI("192.0.2.1:9180", nil)
		synctest.Wait()
		if s := b.status(); len(s.Problems) != 0 {
			t.Errorf("problems: %+v", s.Problems)
		}
	})
}
