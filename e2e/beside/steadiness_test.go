package beside

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

const (
	steadyRouters  = 5
	steadyInterval = 10 * time.Millisecond
	steadyServers  = 40_000
	steadyScripts  = 200
	steadyReload   = 5 * time.Second
	steadyMinutes  = 0.7 // if LVS_HA_MINUTES is not set
)

// BenchmarkHostSteadiness measures the gaps between a master's adverts while each CPU has a busy loop, and the master reloads
// a configuration of 40,000 real servers every 5 s and runs 200 track scripts a second. LVS_HA_MINUTES is the duration for
// each program. Without IPVS in this kernel, both nodes of lvs-ha have priority 1; keepalived's backup has it too.
func BenchmarkHostSteadiness(b *testing.B) {
	ours, theirs := programs(b)
	shim := filepath.Join(b.TempDir(), "shim.so")
	if out, err := exec.Command("gcc", "-shared", "-fPIC", "-O2", "-o", shim, "../../healthcheck/testdata/ipvs_shim.c").CombinedOutput(); err != nil {
		b.Fatalf("compile the shim: %v\n%s", err, out)
	}
	theirs.env = []string{"LD_PRELOAD=" + shim}
	realtime := theirs
	realtime.name = "keepalived, vrrp_rt_priority 50"
	// Otherwise it is killed while it reads the configuration.
	realtime.config = func(s settings) string {
		return "global_defs {\n  vrrp_rt_priority 50\n  vrrp_rlimit_rttime 10000000\n}\n" + keepalivedConf(s)
	}
	during := time.Duration(steadyMinutes * float64(time.Minute))
	if text := os.Getenv("LVS_HA_MINUTES"); text != "" {
		minutes, err := strconv.ParseFloat(text, 64)
		if err != nil {
			b.Fatalf("LVS_HA_MINUTES: %v", err)
		}
		during = time.Duration(minutes * float64(time.Minute))
	}
	for b.Loop() {
		t := newTable(fmt.Sprintf("%s: %d × %s, %s for each", b.Name(), steadyRouters, steadyInterval, during),
			"", "adverts", "p99.9 gap ms", "longest gap ms", "longest stall ms", "takeovers", "reloads")
		var longest []float64
		for _, p := range []program{ours, theirs, realtime} {
			s := measureSteadiness(b, p, during)
			t.add(p.name, s.adverts, milliseconds(s.most), milliseconds(s.longest), milliseconds(s.stall), s.takeovers, s.reloads)
			longest = append(longest, float64(s.longest))
			if p.name == ours.name {
				b.ReportMetric(float64(s.longest)/float64(time.Millisecond), "gap-ms")
				b.ReportMetric(float64(s.takeovers), "takeovers")
			}
		}
		t.print()
		b.ReportMetric(longest[0]/longest[1], "gap-ratio")
		b.ReportMetric(0, "ns/op")
	}
}

// steadiness is the result of one program.
type steadiness struct {
	adverts, takeovers, reloads int
	most, longest               time.Duration // gaps: the 99.9th percentile and the maximum
	stall                       time.Duration // the longest stall of a CPU by the hypervisor
}

func measureSteadiness(b *testing.B, p program, during time.Duration) steadiness {
	l := lab.NewT(b, "steady")
	defer l.Close()
	lan := bridge(b, l, "lan")
	set := settings{interval: steadyInterval, servers: steadyServers}
	for id := 1; id <= steadyRouters; id++ {
		set.instances = append(set.instances, instance{iface: "eth0", id: id, address: prefix(at(outside, 1, id))})
	}
	var pair [2]*router
	for i, priority := range []int{masterPriority, 1} {
		set.priority, set.scripts = priority, 0
		if i == 0 {
			set.scripts = steadyScripts
		}
		h := node(b, l, fmt.Sprintf("r%d", i+1), lab.NIC{Name: "eth0", Bridge: lan, Addresses: prefixes(at(outside, 0, i+1))})
		pair[i] = newRouter(b, p, h, set)
		defer pair[i].kill()
	}
	master, backup := pair[0], pair[1]
	master.start()
	master.awaitAddresses(true)
	backup.start()
	<-time.After(8 * time.Second)

	g := &gaps{last: map[uint8]sent{}}
	c, err := lan.Follow(lab.AdvertsOf(at(outside, 0, 1), at(outside, 0, 2)), g.take)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), during)
	defer cancel()
	for cpu := range runtime.NumCPU() {
		if err := l.Fabric().WatchStalls(ctx, cpu, lab.LeastStall, g.stalled); err != nil {
			b.Fatal(err)
		}
		hog := master.node.Command(ctx, "sh", "-c", "while :; do :; done")
		hog.SysProcAttr.Setpgid, hog.SysProcAttr.Setsid = false, true // a scheduling group of its own, as a service has
		if err := hog.Start(); err != nil {
			b.Fatal(err)
		}
		defer func() { _ = hog.Kill(); _ = hog.Wait() }()
	}
	reloads := 0
	tick := time.NewTicker(steadyReload)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
			reloads++
			master.set.servers = steadyServers - serversPerService*(reloads%2)
			master.configure()
			master.signal(syscall.SIGHUP)
		case <-ctx.Done():
		}
	}
	s := g.result()
	s.reloads = reloads
	return s
}

// gaps records the times between adverts of each virtual router.
type gaps struct {
	mu        sync.Mutex
	last      map[uint8]sent
	all       []time.Duration
	takeovers int
	stall     time.Duration
}

type sent struct {
	at   time.Time
	from netip.Addr
}

func (g *gaps) take(f lab.Frame) {
	const source, id = 14 + 12, 14 + 20 + 1
	if len(f.Data) <= id {
		return
	}
	now := sent{f.Time, netip.AddrFrom4([4]byte(f.Data[source:]))}
	g.mu.Lock()
	defer g.mu.Unlock()
	if last, ok := g.last[f.Data[id]]; ok {
		g.all = append(g.all, now.at.Sub(last.at))
		if last.from != now.from {
			g.takeovers++
		}
	}
	g.last[f.Data[id]] = now
}

func (g *gaps) stalled(s lab.Sight) {
	if s.Kind != "stall" {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stall = max(g.stall, s.Length(0))
}

func (g *gaps) result() steadiness {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := steadiness{adverts: len(g.all), takeovers: g.takeovers, stall: g.stall}
	if len(g.all) > 0 {
		slices.Sort(g.all)
		s.longest = g.all[len(g.all)-1]
		s.most = g.all[(len(g.all)-1)*999/1000]
	}
	return s
}
