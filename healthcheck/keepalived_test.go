package healthcheck_test

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

const (
	benchRounds = 3
	benchWarmUp = 4 * time.Second
	benchWindow = 6 * time.Second
	clockTick   = time.Second / 100 // of /proc/PID/stat: USER_HZ
)

// BenchmarkHostBesideKeepalived runs the checks of 10,000 real servers, each every second, alternately with a Scheduler
// and with keepalived, and reports the CPU time of each per check. It reports the best of several rounds, since other load
// on the host can only add to it.
func BenchmarkHostBesideKeepalived(b *testing.B) {
	lab.Need(b, lab.Host)
	for _, program := range []string{"keepalived", "gcc"} {
		if _, err := exec.LookPath(program); err != nil {
			b.Skipf("%s is not installed", program)
		}
	}
	dir := b.TempDir()
	shim := filepath.Join(dir, "shim.so")
	if out, err := exec.Command("gcc", "-shared", "-fPIC", "-O2", "-Wall", "-o", shim, "testdata/ipvs_shim.c").CombinedOutput(); err != nil {
		b.Fatalf("compile the shim: %v\n%s", err, out)
	}
	host, err := lab.NewT(b, "hcbench").Host("checks")
	if err != nil {
		b.Fatal(err)
	}
	for _, kind := range []healthcheck.Kind{"tcp", "http"} {
		b.Run(string(kind), func(b *testing.B) {
			for b.Loop() {
				var ours, theirs usage
				for range benchRounds {
					ours = ours.better(measureScheduler(b, host, kind))
					theirs = theirs.better(measureKeepalived(b, host, kind, shim))
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(ours.perCheck(), "µs/check")
				b.ReportMetric(theirs.perCheck(), "keepalived-µs/check")
				b.ReportMetric(ours.perCheck()/theirs.perCheck(), "ratio")
				b.ReportMetric(1e6/ours.perCheck(), "checks/cpu-s")
				b.ReportMetric(float64(ours.RSS)/1e6, "MB-rss")
				b.ReportMetric(float64(theirs.RSS)/1e6, "keepalived-MB-rss")
				b.ReportMetric(float64(ours.Bad), "bad") // nonzero on a busy host
				b.ReportMetric(ours.First.Seconds(), "s-first-round")
				for name, u := range map[string]usage{"": ours, "keepalived-": theirs} {
					b.ReportMetric(u.detected(50), name+"ms-down-p50")
					b.ReportMetric(u.detected(100), name+"ms-down-max")
				}
			}
		})
	}
}

// better returns the cheaper of two rounds. It ignores a round in which the host was stalled for half of the time.
func (u usage) better(v usage) usage {
	const enough = benchServers * uint64(benchWindow/benchInterval) / 2
	if v.Checks < enough || u.Checks > 0 && u.perCheck() < v.perCheck() {
		return u
	}
	return v
}

// perCheck returns the CPU time of a check in microseconds.
func (u usage) perCheck() float64 {
	return float64(u.CPU.Nanoseconds()) / 1e3 / float64(max(u.Checks, 1))
}

// between measures over a window after a warm-up.
func between(read func() usage) usage {
	<-time.After(benchWarmUp)
	before := read()
	<-time.After(benchWindow)
	after := read()
	return usage{Checks: after.Checks - before.Checks, Bad: after.Bad - before.Bad, CPU: after.CPU - before.CPU, RSS: after.RSS, First: after.First}
}

// detected returns how long after their failure that percentage of all servers were found to be down, in milliseconds. All
// have failed at the same time.
func (u usage) detected(percent int) float64 {
	if len(u.Downs) < benchServers {
		return math.NaN()
	}
	return float64(u.Downs[max(1, percent*benchServers/100)-1]) / 1e6
}

// fail stops all servers, waits, and passes the times at which they were found to be down to u, since then.
func fail(b *testing.B, servers *part, u *usage, downs func() []int64) {
	began := time.Now().UnixNano()
	servers.stop()
	<-time.After(2*benchInterval + time.Second)
	for _, at := range downs() {
		u.Downs = append(u.Downs, at-began)
	}
	slices.Sort(u.Downs)
}

func measureScheduler(b *testing.B, host *lab.Node, kind healthcheck.Kind) usage {
	servers := play(b, host, "servers")
	servers.ask(b)
	checker := play(b, host, "checker", "LVS_HA_BENCH_KIND="+string(kind))
	defer checker.stop()
	u := between(func() usage { return checker.ask(b) })
	fail(b, servers, &u, func() []int64 { return checker.ask(b).Downs })
	return u
}

func measureKeepalived(b *testing.B, host *lab.Node, kind healthcheck.Kind, shim string) usage {
	servers := play(b, host, "servers")
	servers.ask(b)
	dir := b.TempDir()
	conf, pids, log := filepath.Join(dir, "keepalived.conf"), filepath.Join(dir, "checkers.pid"), filepath.Join(dir, "deleted")
	if err := os.WriteFile(conf, []byte(keepalivedConf(kind)), 0o600); err != nil {
		b.Fatal(err)
	}
	// Without -G, every log line goes to the console, at a millisecond each.
	cmd := host.Command(b.Context(), "keepalived", "-n", "-G", "-C", "-f", conf, "-p", filepath.Join(dir, "parent.pid"), "-c", pids)
	cmd.Env = append(os.Environ(), "LD_PRELOAD="+shim, "IPVS_SHIM_LOG="+log)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = cmd.Kill()
		_ = cmd.Wait()
	}()
	u := between(func() usage {
		text, err := os.ReadFile(pids)
		if err != nil {
			b.Fatalf("keepalived's checkers did not start: %v", err)
		}
		pid := strings.TrimSpace(string(text))
		return usage{Checks: servers.ask(b).Checks, CPU: processCPU(b, pid), RSS: residentBytes(pid)}
	})
	fail(b, servers, &u, func() (times []int64) {
		text, err := os.ReadFile(log)
		if err != nil {
			b.Log(err)
		}
		for ; len(text) >= 8; text = text[8:] {
			times = append(times, int64(binary.NativeEndian.Uint64(text)))
		}
		return times
	})
	return u
}

func keepalivedConf(kind healthcheck.Kind) string {
	check := "TCP_CHECK {\n connect_timeout 1\n retry 0\n }"
	if kind == "http" {
		check = "HTTP_GET {\n url {\n path /\n status_code 200\n }\n connect_timeout 1\n retry 0\n }"
	}
	var c strings.Builder
	fmt.Fprintf(&c, "virtual_server 10.99.0.1 80 {\n delay_loop %d\n lvs_sched rr\n lvs_method NAT\n protocol TCP\n", benchInterval/time.Second)
	for i := range benchServers {
		fmt.Fprintf(&c, " real_server %s %d {\n weight 1\n %s\n }\n", benchServer(i), benchPort, check)
	}
	return c.String() + "}\n"
}

// processCPU returns the user and system time of a process.
func processCPU(b *testing.B, pid string) time.Duration {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest) // from field 3; utime is field 14, stime 15
	var ticks int
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick
}

// part is a process that has a role in the benchmark.
type part struct {
	cmd *lab.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func play(b testing.TB, host *lab.Node, role string, env ...string) *part {
	b.Helper()
	cmd := host.Command(b.Context(), os.Args[0])
	cmd.Env = append(append(os.Environ(), envRole+"="+role), env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	p := &part{cmd, in, bufio.NewReader(out)}
	b.Cleanup(p.stop)
	return p
}

func (p *part) ask(b testing.TB) usage {
	b.Helper()
	if _, err := io.WriteString(p.in, "\n"); err != nil {
		b.Fatal(err)
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		b.Fatal(err)
	}
	var u usage
	if err := json.Unmarshal(line, &u); err != nil {
		b.Fatal(err)
	}
	return u
}

// stop ends the process. It may be called more than once.
func (p *part) stop() {
	if p.cmd.ProcessState == nil {
		_ = p.in.Close()
		_ = p.cmd.Wait()
	}
}
