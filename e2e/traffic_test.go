package e2e

import (
	"context"
	"fmt"
	"math"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/internal/pool"
)

// inTraffic has a service of three servers with agents, and one of UDP. The first %s is slow_start, the second agentCheck or nothing.
const inTraffic = `
virtual_service "web" {
  address    = "198.51.100.100:80"
  scheduler  = "wrr"
  forwarding = "nat"
  on_failure = "weight"
  min_up     = 2
  slow_start = "%s"

  health_check "http" {
    path     = "/healthz"
    interval = "100ms"
    timeout  = "3s"
    fall     = 1
    rise     = 1
  }
  %s

  real_server "10.1.0.1" { weight = 100 }
  real_server "10.1.0.2" { weight = 100 }
  real_server "10.1.0.3" { weight = 100 }
}

virtual_service "flows" {
  address    = "198.51.100.100:53"
  protocol   = "udp"
  scheduler  = "rr"
  forwarding = "nat"

  health_check "udp" {
    send     = "?"
    expect   = "\\?"
    interval = "100ms"
    timeout  = "3s"
    fall     = 1
    rise     = 1
  }

  real_server "10.1.0.1" {}
  real_server "10.1.0.2" {}
}
`

// leaving has a service of the real servers %s, which are removed when their check fails, and a sorry server.
const leaving = `
virtual_service "web" {
  address    = "198.51.100.100:80"
  scheduler  = "wrr"
  forwarding = "nat"
  linger     = "4s"

  health_check "http" {
    path     = "/healthz"
    interval = "100ms"
    timeout  = "3s"
    fall     = 1
    rise     = 1
  }

  dynamic "real_server" {
    for_each = [%s]
    labels   = ["10.1.0.${real_server.value}"]
    content { weight = 100 }
  }
  sorry_server "10.1.0.4" {}
}
`

const agentCheck = `health_check "agent" {
    port     = 9999
    interval = "100ms"
    timeout  = "3s"
  }`

// traffic is the test of a pool under load.
type traffic struct {
	*balanced
	t      *testing.T
	agents []atomic.Value // the words of the servers' agents
}

// TestKernelPoolInTraffic changes a pool under load in many ways. No request may be lost.
func TestKernelPoolInTraffic(t *testing.T) {
	lab.Need(t, lab.Kernel)
	s := &traffic{balanced: newNetwork(t, "traffic"), t: t, agents: make([]atomic.Value, balancedServers)}
	for i := range s.agents {
		s.agents[i].Store("up 100%")
		s.runAgent(i)
	}
	for _, host := range s.hosts[:2] {
		if _, err := host.UDPEcho(host.Name(), ":53"); err != nil {
			t.Fatal(err)
		}
	}
	s.ours, s.text = true, fmt.Sprintf(inTraffic, "1s", agentCheck)
	s.start()
	for _, step := range []struct {
		name string
		run  func(*traffic)
	}{
		{"shares follow the agents", (*traffic).followAgents},
		{"min_up", (*traffic).keepMinimum},
		{"drain with a deadline", (*traffic).drainWithDeadline},
		{"the director stands still", (*traffic).standStill},
		{"the director restarts", (*traffic).restart},
		{"UDP flows move on", (*traffic).moveFlows},
		{"servers leave", (*traffic).leave},
	} {
		l := s.load(requestEvery)
		step.run(s)
		l.stop()
		if l.lost > 0 || l.asked < 10 {
			t.Errorf("%s: %d of %d requests were lost: %v", step.name, l.lost, l.asked, l.lastFailures)
		}
		if t.Failed() {
			t.Fatalf("failed in %q", step.name)
		}
	}
}

// runAgent runs the agent of a server.
func (s *traffic) runAgent(i int) {
	ln, err := s.hosts[i].Listen("tcp", ":9999")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = fmt.Fprintln(c, s.agents[i].Load())
			_ = c.(*net.TCPConn).Close()
		}
	}()
}

// weighsIn waits until the real servers have these weights in the kernel's table; -1 is a server that is not there.
func (s *traffic) weighsIn(want ...int) {
	s.t.Helper()
	s.await(fmt.Sprint("weights ", want), func(table map[string]int) bool {
		for n, w := range want {
			if weight, there := table[tableKey(n+1)]; there != (w >= 0) || there && weight != w {
				return false
			}
		}
		return true
	})
}

// awaitReason waits until status shows this reason for a server.
func (s *traffic) awaitReason(n int, want pool.Reason) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	client := api.NewClient(s.path("run/api.sock"))
	err := lab.Await(ctx, func() bool {
		st, err := client.Status(ctx)
		return err == nil && len(st.Services) > 0 && fmt.Sprint(st.Services[0].Servers[n-1].Reason) == want.String()
	})
	if err != nil {
		s.t.Fatalf("server %d is not %s", n, want)
	}
}

// awaitLeaving waits until status shows so many removed servers that are still in the kernel's table.
func (s *traffic) awaitLeaving(n int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	client := api.NewClient(s.path("run/api.sock"))
	err := lab.Await(ctx, func() bool {
		st, err := client.Status(ctx)
		return err == nil && len(st.Services) > 0 && len(st.Services[0].Leaving) == n
	})
	if err != nil {
		s.t.Fatalf("not %d removed servers in the status", n)
	}
}

// shares returns each server's part of the next requests, as the servers count them.
func (s *traffic) shares(requests int) (shares []float64) {
	s.t.Helper()
	before := s.requests()
	if _, err := s.client.Spread(s.t.Context(), requests, "http://"+balancedVIP+"/"); err != nil {
		s.t.Fatal(err)
	}
	total := 0
	var counts []int
	for i, after := range s.requests() {
		counts = append(counts, after-before[i])
		total += after - before[i]
	}
	for _, n := range counts {
		shares = append(shares, float64(n)/float64(total))
	}
	return shares
}

// requests returns how many requests each real server has answered.
func (s *traffic) requests() (counts []int) {
	for _, web := range s.servers[:balancedServers] {
		counts = append(counts, web.Requests()["/"])
	}
	return counts
}

func (s *traffic) followAgents() {
	for _, c := range []struct {
		words   string
		weights []int
	}{{"50%", []int{50, 100, 100}}, {"20%", []int{20, 100, 100}}, {"100%", []int{100, 100, 100}}} {
		s.agents[0].Store(c.words)
		s.weighsIn(c.weights...)
		total := c.weights[0] + c.weights[1] + c.weights[2]
		for i, got := range s.shares(300) {
			if want := float64(c.weights[i]) / float64(total); math.Abs(got-want) > want/10 {
				s.t.Errorf("%s: server %d got %.3f of the requests, want %.3f", c.words, i+1, got, want)
			}
		}
	}
}

func (s *traffic) keepMinimum() {
	s.servers[0].SetHealthy(false)
	s.weighsIn(0, 100, 100)
	s.servers[1].SetHealthy(false)
	s.awaitReason(2, pool.Kept)
	s.servers[2].SetHealthy(false)
	s.awaitReason(3, pool.Kept)
	s.weighsIn(0, 100, 100)
	for _, web := range s.servers {
		web.SetHealthy(true)
	}
	s.slowlyStarts(100)
}

// slowlyStarts checks that the weight of the first server only rises, in small steps, until it is whole, and that the third one gets
// more requests meanwhile.
func (s *traffic) slowlyStarts(whole int) {
	s.t.Helper()
	before := s.requests()
	var seen []int
	s.await("whole weight", func(table map[string]int) bool {
		if w := table[tableKey(1)]; len(seen) == 0 || w != seen[len(seen)-1] {
			seen = append(seen, w)
		}
		return seen[len(seen)-1] == whole
	})
	after := s.requests()
	if first, third := after[0]-before[0], after[2]-before[2]; first == 0 || first*10 > third*9 {
		s.t.Errorf("while its weight rose, the first server got %d requests, the third %d", first, third)
	}
	if !slices.IsSorted(seen) || len(seen) < 5 {
		s.t.Errorf("the weights were %v", seen)
	}
}

func (s *traffic) drainWithDeadline() {
	s.command("drain", "--deadline", "500ms", "web/10.1.0.1")
	s.weighsIn(0, 100, 100)
	s.weighsIn(-1, 100, 100)
	s.command("enable", "web/10.1.0.1")
	s.slowlyStarts(100)
}

// standStill takes the CPU from the director for longer than checks may take.
func (s *traffic) standStill() {
	pid := s.director()
	for _, signal := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
		if err := syscall.Kill(pid, signal); err != nil {
			s.t.Fatal(err)
		}
		still := time.Now().Add(2 * time.Second)
		s.await("unchanged for 2 s", func(table map[string]int) bool {
			if got := s.inUse(table); !slices.Equal(got, []int{100, 100, 100}) {
				s.t.Fatalf("after %v, the weights are %v", signal, got)
			}
			return time.Now().After(still)
		})
	}
}

// director returns the director's process.
func (s *traffic) director() (pid int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	err := lab.Await(ctx, func() bool {
		out, _ := exec.Command("pgrep", "-P", fmt.Sprint(s.cmd.Process.Pid), "-f", "lvs-ha director").Output()
		n, _ := fmt.Sscan(strings.TrimSpace(string(out)), &pid)
		return n == 1
	})
	if err != nil {
		s.t.Fatal("there is no director")
	}
	return pid
}

// restart kills the director, and then restarts all of lvs-ha, while a server starts slowly and another one has an operator's weight.
func (s *traffic) restart() {
	s.text = fmt.Sprintf(inTraffic, "6s", "")
	s.reload()
	s.command("weight", "--keep", "web/10.1.0.2", "40")
	s.command("disable", "web/10.1.0.1")
	s.weighsIn(-1, 40, 100)
	enabled := time.Now()
	s.command("enable", "web/10.1.0.1")
	s.await("a third of the weight", func(table map[string]int) bool { return table[tableKey(1)] >= 30 })
	if err := syscall.Kill(s.director(), syscall.SIGKILL); err != nil {
		s.t.Fatal(err)
	}
	s.await("half of the weight", func(table map[string]int) bool {
		w, most := table[tableKey(1)], 5+int(100*time.Since(enabled)/(6*time.Second)) // a twentieth at once
		if w < 30 || w > most || table[tableKey(2)] != 40 {
			s.t.Fatalf("after the director was killed, the weights are %v, want 30 to %d and 40", s.inUse(table), most)
		}
		return w >= 50
	})
	s.stop()
	s.start()
	s.slowlyStarts(100)
	s.weighsIn(100, 40, 100)
	s.command("enable", "web/*")
	s.weighsIn(100, 100, 100)
}

// moveFlows removes the server of a UDP flow: another one must get the flow's next packets.
func (s *traffic) moveFlows() {
	if err := s.host.Sysctl("net.ipv4.vs.expire_nodest_conn", "1"); err != nil {
		s.t.Fatal(err)
	}
	p, err := s.client.Probe(s.t.Context(), lab.ProbeConfig{Network: "udp", Address: balancedVIP + ":53", Deadline: time.Second})
	if err != nil {
		s.t.Fatal(err)
	}
	answered := func(server string, more int) {
		s.t.Helper()
		had := p.Report().Servers[server]
		ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
		defer cancel()
		if lab.Await(ctx, func() bool { return p.Report().Servers[server] >= had+more }) != nil {
			s.t.Fatalf("no answers from %s: %+v", server, p.Report())
		}
	}
	answeredBy := func() string {
		for name := range p.Report().Servers {
			return name
		}
		return ""
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	_ = lab.Await(ctx, func() bool { return answeredBy() != "" })
	first, other := answeredBy(), "web1"
	if first == other {
		other = "web2"
	}
	answered(first, 20)
	s.command("disable", "flows/10.1.0."+first[len("web"):])
	answered(other, 150) // 1.5 s: the deadlines of those lost before have passed
	if r := p.Stop(); r.Lost > 2 {
		s.t.Errorf("%d of %d packets had no answer", r.Lost, r.Sent)
	}
}

// leave removes servers in the middle of downloads: by a reload, and because their checks fail. All downloads must come to their end, and
// the servers must leave the table.
func (s *traffic) leave() {
	s.text = fmt.Sprintf(leaving, "1, 2, 3")
	s.reload()
	s.weighsIn(100, 100, 100)
	during := func(what string, event func()) {
		s.t.Helper()
		ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
		defer cancel()
		d := s.client.Download(ctx, 6, "http://"+balancedVIP, downloadRate, downloadRate)
		<-d.Started()
		event()
		for i, one := range d.Wait() {
			if one.Err != nil {
				s.t.Errorf("%s: download %d from %s has %d bytes: %v", what, i, one.Server, one.Bytes, one.Err)
			}
		}
	}
	during("reload", func() {
		s.text = fmt.Sprintf(leaving, "2, 3")
		s.reload()
		s.weighsIn(0, 100, 100)
		s.awaitLeaving(1)
	})
	s.weighsIn(-1, 100, 100)
	s.awaitLeaving(0)
	during("sorry server", func() {
		s.setHealthy(false)
		s.await("use of the sorry server", func(table map[string]int) bool {
			return table[tableKey(2)]+table[tableKey(3)] == 0 && table[tableKey(4)] > 0
		})
	})
	s.weighsIn(-1, -1, -1)
	during("the end of it", func() {
		s.setHealthy(true)
		s.weighsIn(-1, 100, 100)
	})
}
