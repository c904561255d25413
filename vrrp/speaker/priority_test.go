package speaker

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

func TestClassFor(t *testing.T) {
	for cpus, want := range map[int]schedClass{0: classNice, 1: classNice, 2: classRealTime, 64: classRealTime} {
		if got := classFor(cpus); got != want {
			t.Errorf("%d CPUs: %s, want %s", cpus, got, want)
		}
	}
}

// threadClasses counts the threads of a process by policy, SCHED_FIFO priority and nice value.
func threadClasses(t *testing.T, pid int) map[[3]string]int {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(files) < 3 {
		t.Fatalf("threads: %v, %v", files, err)
	}
	out := map[[3]string]int{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended
		}
		// proc(5): fields 19, 40 and 41 are nice value, priority and policy; field 2, in parentheses, may contain spaces.
		_, rest, _ := strings.Cut(string(b), ") ")
		fields := strings.Fields(rest)
		out[[3]string{fields[38], fields[37], fields[16]}]++
	}
	return out
}

// TestHostRealtime checks the threads of a running speaker whose CPU affinity changes to one CPU and back to two.
func TestHostRealtime(t *testing.T) {
	lab.Need(t, lab.Host)
	if runtime.NumCPU() < 2 {
		t.Skip("two CPUs are needed")
	}
	a := newStation(t, newLAN(t).a)
	a.want(instance(3, vrrp.IPv4, 100, 10*time.Millisecond))
	a.awaitState("v", vrrp.Master)
	pid := a.cmd.Process.Pid
	realTime := func() bool {
		loops, others := 0, 0
		for class, n := range threadClasses(t, pid) {
			switch [2]string(class[:2]) {
			case [2]string{"1", strconv.Itoa(loopPriority)}:
				loops += n
			case [2]string{"1", strconv.Itoa(processPriority)}:
				others += n
			default:
				return false
			}
		}
		return loops == 1 && others > 1
	}
	eventually(t, "one thread is the loop's, and all are SCHED_FIFO", realTime)
	pin(t, pid, 0)
	nice, others := [3]string{"0", "0", strconv.Itoa(niceBest)}, [3]string{"0", "0", strconv.Itoa(niceOthers)}
	eventually(t, "all threads are SCHED_OTHER", func() bool {
		got := threadClasses(t, pid)
		return len(got) == 2 && got[nice] == 1 && got[others] > 1
	})
	pin(t, pid, 0, 1)
	eventually(t, "all threads are SCHED_FIFO again", realTime)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(status), "VmLck:\t       0 kB") {
		t.Error("no memory is locked")
	}
}

// TestHostCollectionAside checks that no thread has real-time priority while memory is tidied, and that all have it again. With
// SCHED_FIFO, tidying at once on a host with four busy loops lost one of four speakers in 7 of 8 runs.
func TestHostCollectionAside(t *testing.T) {
	lab.Need(t, lab.Host)
	if runtime.NumCPU() < 2 {
		t.Skip("two CPUs are needed")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=aside")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func asideChild() error {
	p := &priority{log: slog.New(slog.DiscardHandler)}
	p.apply()
	if err := wantPolicy(unix.SCHED_FIFO); err != nil {
		return fmt.Errorf("before: %w", err)
	}
	var during error
	p.aside(func() {
		during = wantPolicy(unix.SCHED_NORMAL)
		tidyMemory()
	})
	if during != nil {
		return fmt.Errorf("meanwhile: %w", during)
	}
	for range setAgain { // for threads that were created meanwhile
		p.apply()
	}
	if err := wantPolicy(unix.SCHED_FIFO); err != nil {
		return fmt.Errorf("afterwards: %w", err)
	}
	return nil
}

// wantPolicy checks the scheduling policy of all threads of this process.
func wantPolicy(want uint32) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			return err
		}
		attr, err := unix.SchedGetAttr(tid, 0)
		if err != nil && err != unix.ESRCH {
			return err
		}
		if err == nil && attr.Policy != want {
			return fmt.Errorf("thread %d has policy %d, want %d", tid, attr.Policy, want)
		}
	}
	return nil
}

// pin makes all threads of a process run on the given CPUs.
func pin(t *testing.T, pid int, cpus ...int) {
	t.Helper()
	var set unix.CPUSet
	for _, c := range cpus {
		set.Set(c)
	}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(filepath.Base(task))
		if err == nil {
			err = unix.SchedSetaffinity(tid, &set)
		}
		if err != nil && err != unix.ESRCH {
			t.Fatal(err)
		}
	}
}

// TestSpareIsNotRaised checks that a waiting spare does not raise its priority.
func TestSpareIsNotRaised(t *testing.T) {
	before, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	prepareProcess(slog.New(slog.DiscardHandler))
	after, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if before.Policy != after.Policy || before.Nice != after.Nice {
		t.Errorf("scheduling was %+v and is %+v", before, after)
	}
}

// TestHostTimedOneCPUEach runs a pair with one CPU each, in the worst case of 50 routers at 10 ms.
func TestHostTimedOneCPUEach(t *testing.T) {
	lab.Need(t, lab.Host)
	if runtime.NumCPU() < 2 {
		t.Skip("two CPUs are needed; the kernel test covers one")
	}
	oneCPU(t, 50, 10*time.Millisecond, []string{"taskset", "-c", "0"}, []string{"taskset", "-c", "1"})
}

// TestKernelOneCPU runs a pair on a machine with a single CPU.
func TestKernelOneCPU(t *testing.T) {
	lab.Need(t, lab.Kernel)
	oneCPU(t, 100, 100*time.Millisecond, nil, nil)
}

// undisturbed is the time during which no failure may occur.
const undisturbed = 15 * time.Second

// oneCPU runs a pair, each with a CPU hog, and checks that no speaker dies and no backup takes over. Two takeovers are
// tolerated, since the hypervisor may take a CPU away for longer than three intervals; a death is not.
func oneCPU(t *testing.T, routers int, interval time.Duration, wrapA, wrapB []string) {
	for attempt := 1; ; attempt++ {
		n := buildLAN(t)
		takeovers, worst := undisturbedPair(t, n, routers, interval, wrapA, wrapB)
		t.Logf("%d routers at %s: %d takeovers, longest gap %s", routers, interval, takeovers, worst)
		if takeovers == 0 {
			return
		}
		if attempt == 3 {
			t.Fatalf("%d takeovers in the third attempt too", takeovers)
		}
		if err := n.lab.Close(); err != nil {
			t.Log(err)
		}
	}
}

func undisturbedPair(t *testing.T, n *lan, routers int, interval time.Duration, wrapA, wrapB []string) (takeovers int, worst time.Duration) {
	t.Helper()
	a, b := newStationBy(t, n.a, wrapA...), newStationBy(t, n.b, wrapB...)
	instances := func(priority uint8) (out []vrrp.Instance) {
		return fullHouse(priority, interval)[:routers]
	}
	a.want(instances(200)...)
	for _, in := range instances(200) {
		a.awaitState(in.Name, vrrp.Master)
	}
	b.want(instances(100)...)
	for _, in := range instances(100) {
		b.awaitState(in.Name, vrrp.Backup)
	}
	hog(t, n.a, wrapA)
	hog(t, n.b, wrapB)
	before := transitionsOf(b)
	mark := n.capture.mark()
	ctx, cancel := context.WithTimeout(t.Context(), undisturbed)
	defer cancel()
	<-ctx.Done()
	takeovers = transitionsOf(b) - before
	last := map[uint8]time.Time{}
	macA := macOf(t, n.a, "eth0")
	for _, s := range n.capture.all()[mark:] {
		if s.advert == nil || s.mac != macA {
			continue
		}
		id := s.advert.VirtualRouterID
		if !last[id].IsZero() {
			worst = max(worst, s.at.Sub(last[id]))
		}
		last[id] = s.at
	}
	if len(last) != routers {
		t.Errorf("adverts of %d routers were seen, want %d", len(last), routers)
	}
	for _, s := range []*station{a, b} {
		s.stop() // fails the test if the process returned an error or was killed
	}
	return takeovers, worst
}

// transitionsOf returns how often the station's routers became master.
func transitionsOf(s *station) int {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.client.Report(ctx, true); err != nil {
		s.t.Fatalf("the speaker on %s does not answer: %v", s.host.Name(), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := 0
	for _, st := range s.statuses {
		sum += int(st.Transitions)
	}
	return sum
}

// hog keeps a CPU busy until the test ends.
func hog(t testing.TB, h *lab.Node, wrap []string) {
	t.Helper()
	argv := append(append([]string{}, wrap...), "sh", "-c", "while :; do :; done")
	cmd := h.Command(context.Background(), argv[0], argv[1:]...)
	cmd.SysProcAttr.Setpgid, cmd.SysProcAttr.Setsid = false, true
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Kill()
		_ = cmd.Wait()
	})
}
