package director

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/discovery"
	"github.com/lvs-ha/lvs-ha/internal/script"
	"github.com/lvs-ha/lvs-ha/internal/track"
	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/lvs-ha/lvs-ha/ipvs/ipvstest"
	connsync "github.com/lvs-ha/lvs-ha/sync"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// fakeKernel is an in-memory table with sync daemons.
type fakeKernel struct {
	*ipvstest.Kernel
	mu   sync.Mutex
	sync []connsync.Running
}

func (k *fakeKernel) running() []connsync.Running {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.sync)
}

func (k *fakeKernel) Daemons(context.Context) ([]connsync.Running, error) { return k.running(), nil }

func (k *fakeKernel) Start(_ context.Context, role connsync.Role, d connsync.Daemon) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sync = append(k.sync, connsync.Running{Role: role, Daemon: d})
	return nil
}

func (k *fakeKernel) Stop(_ context.Context, role connsync.Role) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sync = slices.DeleteFunc(k.sync, func(r connsync.Running) bool { return r.Role == role })
	return nil
}

// fakeChecker records its targets, and reports results on request.
type fakeChecker struct {
	targets []healthcheck.Target
	report  func(healthcheck.Event)
}

func (c *fakeChecker) Run(ctx context.Context) error { <-ctx.Done(); return nil }

func (c *fakeChecker) Update(targets []healthcheck.Target) error {
	c.targets = targets
	return nil
}

// bench is a director with fakes. It is used within a synctest bubble, where settle waits until all goroutines are idle.
type bench struct {
	t        *testing.T
	dir      string
	cfg      *config.Config
	cfgErr   error
	kernel   *fakeKernel
	noKernel error // changed in the director's goroutine where one runs

	openKernel func() (Kernel, error)                   // nil: kernel
	writeFile  func(path string, contents []byte) error // the state file

	writeFailovers func(path string, contents []byte) error

	sysctls      Sysctls
	addresses    Addresses
	checker      *fakeChecker
	tracker      *fakeTracker
	discoverer   *fakeDiscoverer
	speaker      *fakeSpeaker
	director     *Director
	log          logBook
	running      sync.Mutex // protects scripts while the director runs
	scripts      []string   // arguments of those that were run
	scriptResult script.Result
	scriptTakes  time.Duration
	refused      map[string]error // commands that cannot be run, by program
	version      string
	upgrade      func() *api.Upgrade
	stop         func()
}

func newBench(t *testing.T) *bench {
	return &bench{t: t, dir: t.TempDir(), cfg: twoServers(), kernel: &fakeKernel{Kernel: ipvstest.New()}}
}

func (b *bench) start(restarted bool) {
	b.t.Helper()
	b.director = New(Options{
		ConfigPath: "lvs-ha.hcl",
		Load:       func() (*config.Config, []config.Finding, error) { return b.cfg, nil, b.cfgErr },
		StateFile:  filepath.Join(b.dir, "director.json"),
		Restarted:  restarted,
		OpenKernel: func(context.Context) (Kernel, error) {
			if b.noKernel != nil {
				return nil, b.noKernel
			}
			if b.openKernel != nil {
				return b.openKernel()
			}
			return b.kernel, nil
		},
		Sysctls:   b.sysctls,
		Addresses: b.addresses,
		NewChecker: func(report func(healthcheck.Event)) Checker {
			b.checker = &fakeChecker{report: report}
			return b.checker
		},
		NewDiscoverer: func(report func(string, discovery.Report)) Discoverer {
			b.discoverer = &fakeDiscoverer{report: report}
			return b.discoverer
		},
		NewTracker: func(report func(string, track.Result)) Tracker {
			b.tracker = &fakeTracker{report: report}
			return b.tracker
		},
		NewSpeaker: func(r SpeakerReports) Speaker {
			b.speaker = &fakeSpeaker{report: r.Statuses, count: r.Counters, transitions: r.Transitions, connected: r.Connected}
			return b.speaker
		},
		Version:     b.version,
		Upgrade:     b.upgrade,
		Ready:       func() {},
		CheckScript: func(c script.Command) error { return b.refused[strings.Join(c.Args, " ")] },
		RunScript: func(ctx context.Context, c script.Command) script.Result {
			b.running.Lock() // several receivers may run one at the same time
			b.scripts = append(b.scripts, strings.Join(c.Args[1:], " "))
			b.running.Unlock()
			select {
			case <-time.After(b.scriptTakes):
			case <-ctx.Done():
			}
			return b.scriptResult
		},
		Logger: slog.New(slog.NewTextHandler(&b.log, nil)),
	})
	if b.writeFailovers != nil {
		b.director.failoversFile.write = b.writeFailovers
	}
	if b.writeFile != nil {
		b.director.stateFile.write = b.writeFile
	}
	ctx, cancel := context.WithCancel(b.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.director.Run(ctx) }()
	b.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			b.t.Errorf("the director ended with %v", err)
		}
	}
	synctest.Wait()
}

// judge reports a check result of a server.
func (b *bench) judge(server string, state healthcheck.State) {
	b.t.Helper()
	known := false
	for _, t := range b.checker.targets {
		if t.Endpoint == netip.MustParseAddrPort(server) {
			known = true
			b.checker.report(healthcheck.Event{Status: healthcheck.Status{Key: t.Key(), Target: t, Health: healthcheck.Health{State: state}}})
		}
	}
	if !known {
		b.t.Fatalf("no check of %s is wanted", server)
	}
	synctest.Wait()
}

func (b *bench) vrrpState(s vrrp.State) {
	b.speaker.report([]vrrp.Status{{Name: "web", State: s}})
	synctest.Wait()
}

// pool summarizes the kernel's table: "192.168.10.1:80=1", sorted.
func (b *bench) pool() string {
	b.t.Helper()
	table, err := b.kernel.Table(b.t.Context())
	if err != nil {
		b.t.Fatalf("the table cannot be read: %v", err)
	}
	var list []string
	for _, s := range table {
		for _, d := range s.Destinations {
			list = append(list, netip.AddrPortFrom(d.Address, d.Port).String()+"="+string('0'+rune(d.Weight)))
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func (b *bench) wantPool(want string) {
	b.t.Helper()
	if got := b.pool(); got != want {
		b.t.Errorf("the pool is %q, want %q", got, want)
	}
}

func (b *bench) status() api.Status {
	b.t.Helper()
	s, err := b.director.Status(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// onlyVRRP is a configuration without services.
func onlyVRRP() *config.Config {
	cfg := twoServers()
	cfg.Services, cfg.VRRP = nil, []config.VRRP{{Instance: vrrp.Instance{Name: "gateway"}}}
	return cfg
}

func twoServers() *config.Config {
	check := healthcheck.Spec{Check: &healthcheck.TCP{}, Interval: time.Second, Timeout: time.Second, Rise: 1, Fall: 1}
	vs := config.VirtualService{
		Name: "http",
		Service: ipvs.Service{
			ServiceKey: ipvs.ServiceKey{Protocol: ipvs.TCP, Address: netip.MustParseAddr("202.99.59.110"), Port: 80, Family: ipvs.IPv4},
			Scheduler:  "rr", Netmask: 0xffffffff,
		},
		Checks: []healthcheck.Spec{check}, OnFailure: config.Remove,
	}
	for _, a := range []string{"192.168.10.1", "192.168.10.2"} {
		vs.RealServers = append(vs.RealServers, config.RealServer{Destination: ipvs.Destination{
			DestinationKey: ipvs.DestinationKey{Address: netip.MustParseAddr(a), Port: 80}, Weight: 1,
		}})
	}
	return &config.Config{
		Node:     "lb1",
		Director: config.Director{Grace: 5 * time.Second, OnStop: "leave", Repair: 2 * time.Second},
		Services: []config.VirtualService{vs},
	}
}

const (
	first  = "192.168.10.1:80"
	second = "192.168.10.2:80"
)

func TestServerGetsTrafficAfterFirstPassingCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(false)
		defer b.stop()
		b.wantPool("")
		b.judge(first, healthcheck.Up)
		b.wantPool(first + "=1")
		b.judge(second, healthcheck.Up)
		b.wantPool(first + "=1 " + second + "=1")
		b.judge(first, healthcheck.Down)
		b.wantPool(second + "=1")
	})
}

func TestOnFailureWeightSetsWeightZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg.Services[0].OnFailure = config.Weight
		b.start(false)
		defer b.stop()
		b.judge(first, healthcheck.Up)
		b.judge(second, healthcheck.Down)
		b.wantPool(first + "=1 " + second + "=0")
	})
}

// newRestartedBench returns a director that was restarted with both servers in the table.
func newRestartedBench(t *testing.T) *bench {
	b := newBench(t)
	b.start(false)
	b.judge(first, healthcheck.Up)
	b.judge(second, healthcheck.Up)
	b.stop()
	b.start(true)
	return b
}

func TestRestartKeepsPoolUntilFirstResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newRestartedBench(t)
		defer b.stop()
		b.wantPool(first + "=1 " + second + "=1")
		b.judge(second, healthcheck.Down)
		b.wantPool(first + "=1")
	})
}

func TestAdoptedServersAreDroppedAfterLastFirstResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newRestartedBench(t)
		defer b.stop()
		kept := func() (n int) {
			b.changed(func() { n = len(b.director.adopted) })
			return n
		}
		b.judge(first, healthcheck.Up)
		b.repair()
		if n := kept(); n != 2 {
			t.Errorf("with one result missing %d servers are kept, want 2", n)
		}
		b.wantPool(first + "=1 " + second + "=1")
		b.judge(second, healthcheck.Down)
		b.repair()
		if n := kept(); n != 0 {
			t.Errorf("with all results %d servers are kept", n)
		}
		b.wantPool(first + "=1")
	})
}

func TestReloadWithChangedCheckKeepsPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(false)
		defer b.stop()
		b.judge(first, healthcheck.Up)
		b.cfg = twoServers()
		b.cfg.Services[0].Checks[0].Interval = 5 * time.Second
		if _, err := b.director.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		b.wantPool(first + "=1")
		if got := b.checker.targets[0].Spec.Interval; got != 5*time.Second {
			t.Errorf("the check's interval is %v", got)
		}
	})
}

func TestInvalidReloadChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(false)
		defer b.stop()
		b.judge(first, healthcheck.Up)
		steps := len(b.kernel.Steps())
		b.cfg, b.cfgErr = nil, errors.New("lvs-ha.hcl:3: no such scheduler")
		if _, err := b.director.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "no such scheduler") {
			t.Errorf("reload answered %v", err)
		}
		if len(b.kernel.Steps()) != steps {
			t.Error("the table was touched")
		}
		if s := b.status(); !strings.Contains(s.Config.ReloadError, "no such scheduler") || len(s.Services) != 1 {
			t.Errorf("status: %+v", s.Config)
		}
	})
}

func TestRestartWithInvalidFileUsesLastGoodConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(false)
		b.judge(first, healthcheck.Up)
		b.stop()
		b.cfg, b.cfgErr = nil, errors.New("bad")
		b.start(true)
		defer b.stop()
		b.wantPool(first + "=1")
		if len(b.checker.targets) != 2 {
			t.Errorf("%d checks go on, want 2", len(b.checker.targets))
		}
	})
}

func TestFirstStartWithInvalidConfigurationIsRefused(t *testing.T) {
	b := newBench(t)
	b.cfgErr = errors.New("bad")
	d := New(Options{
		Load: func() (*config.Config, []config.Finding, error) { return nil, nil, b.cfgErr }, StateFile: filepath.Join(b.dir, "director.json"),
		NewChecker:    func(func(healthcheck.Event)) Checker { return nil },
		NewTracker:    func(func(string, track.Result)) Tracker { return nil },
		NewDiscoverer: func(func(string, discovery.Report)) Discoverer { return nil },
		NewSpeaker:    func(SpeakerReports) Speaker { return nil },
		Logger:        slog.New(slog.DiscardHandler),
	})
	if _, ok := errors.AsType[*ConfigError](d.Run(t.Context())); !ok {
		t.Error("the director did not refuse")
	}
}

func TestDriftIsRepairedAndForeignServicesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		foreign := ipvs.Entry{Service: ipvs.Service{ServiceKey: ipvs.ServiceKey{Mark: 7, Family: ipvs.IPv4}, Scheduler: "sh", Netmask: 0xffffffff}}
		b := newBench(t)
		b.kernel.Kernel = ipvstest.New(ipvstest.State(foreign))
		b.start(false)
		defer b.stop()
		b.judge(first, healthcheck.Up)
		b.kernel.Edit(func([]ipvs.ServiceState) []ipvs.ServiceState { return []ipvs.ServiceState{ipvstest.State(foreign)} })
		b.wantPool("")
		time.Sleep(b.cfg.Director.Repair + time.Millisecond)
		synctest.Wait()
		b.wantPool(first + "=1")
		if s := b.status(); len(s.Foreign) != 1 || s.Foreign[0].Mark != 7 {
			t.Errorf("foreign services: %+v", s.Foreign)
		}
	})
}

func TestStatusRequestsDoNotDelayRepair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(false)
		defer b.stop()
		b.judge(first, healthcheck.Up)
		b.kernel.Edit(func([]ipvs.ServiceState) []ipvs.ServiceState { return nil })
		for range 30 {
			time.Sleep(b.cfg.Director.Repair / 10)
			b.status()
		}
		b.wantPool(first + "=1")
	})
}

func TestServiceRemovedFromConfigurationIsDeleted(t *testing.T) {
	for _, story := range []struct {
		name   string
		reload func(b *bench)
	}{
		{"by reload", func(b *bench) {
			if _, err := b.director.Reload(b.t.Context()); err != nil {
				b.t.Fatal(err)
			}
			synctest.Wait()
		}},
		{"by restart", func(b *bench) { b.stop(); b.start(false) }},
	} {
		t.Run(story.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.start(false)
				b.judge(first, healthcheck.Up)
				b.cfg = onlyVRRP()
				story.reload(b)
				defer b.stop()
				if table, _ := b.kernel.Table(t.Context()); len(table) != 0 {
					t.Errorf("left in the kernel: %+v", table)
				}
			})
		})
	}
}

func TestOnStopRemoveDeletesTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg.Director.OnStop = "remove"
		b.start(false)
		b.judge(first, healthcheck.Up)
		b.stop()
		if table, _ := b.kernel.Table(t.Context()); len(table) != 0 {
			t.Errorf("left in the kernel: %+v", table)
		}
	})
}

func TestWithoutIPVSKernelIsRetriedAndVRRPContinues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg.VRRP = []config.VRRP{{Instance: vrrp.Instance{Name: "web"}}}
		b.noKernel = errors.New("this kernel has no IPVS: run `modprobe ip_vs`")
		b.start(false)
		defer b.stop()
		if len(b.speaker.wanted().Instances) != 1 {
			t.Error("the instance was not sent to the speaker")
		}
		if s := b.status(); len(s.Problems) == 0 || s.Problems[0].What != "ipvs" {
			t.Errorf("problems: %+v", s.Problems)
		}
		b.judge(first, healthcheck.Up)
		if err := b.director.do(t.Context(), func() error { b.noKernel = nil; return nil }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(b.cfg.Director.Repair + time.Millisecond)
		synctest.Wait()
		b.wantPool(first + "=1")
	})
}
