package e2e

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

const (
	failureRounds = 3
	requestEvery  = 10 * time.Millisecond
)

// incident is something that happens to a pool under load, and when the kernel's table has followed.
type incident struct {
	name     string
	do       func(s *balanced)
	followed func(table map[string]int) bool
}

// The first server crashes, hangs and so on, and returns.
var (
	firstIsOut  = func(table map[string]int) bool { return table[tableKey(1)] == 0 }
	firstIsIn   = func(table map[string]int) bool { return table[tableKey(1)] == balancedWeight }
	firstReturn = func(change func(*balanced)) incident { return incident{"return", change, firstIsIn} }
)

// incidents are in pairs: each is followed by its end.
var incidents = append([][2]incident{
	{
		{"crash", func(s *balanced) { _ = s.servers[0].Stop() }, firstIsOut},
		firstReturn(func(s *balanced) { _ = s.servers[0].Start() }),
	},
	{
		{"hang", func(s *balanced) { s.servers[0].SetSilent(true) }, firstIsOut},
		firstReturn(func(s *balanced) { s.servers[0].SetSilent(false) }),
	},
	{
		{"power failure", func(s *balanced) { s.filter("-I") }, firstIsOut},
		firstReturn(func(s *balanced) { s.filter("-D") }),
	},
	{
		{"drain", func(s *balanced) { s.weigh(1, 0) }, firstIsOut},
		{"end of drain", func(s *balanced) { s.weigh(1, balancedWeight) }, firstIsIn},
	},
	{
		{"weight", func(s *balanced) { s.weigh(1, 30) }, func(table map[string]int) bool { return table[tableKey(1)] == 30 }},
		{"weight", func(s *balanced) { s.weigh(1, balancedWeight) }, firstIsIn},
	},
	{
		{"reload", func(s *balanced) { s.reload() }, firstIsIn},
		{"reload", func(s *balanced) { s.reload() }, firstIsIn},
	},
	removal,
}, failingChecks...)

// removal removes a server that works, and adds it again: by a reload, or by what lvs-ha discovers.
var removal = [2]incident{
	{"server removed", func(s *balanced) { s.spare = false; s.reload() }, func(table map[string]int) bool { return table[tableKey(3)] == 0 }},
	{"server added", func(s *balanced) { s.spare = true; s.reload() }, func(table map[string]int) bool { return table[tableKey(3)] == balancedWeight }},
}

// failingChecks are incidents in which the servers work.
var failingChecks = [][2]incident{
	{
		{"failing check", func(s *balanced) { s.servers[0].SetHealthy(false) }, firstIsOut},
		firstReturn(func(s *balanced) { s.servers[0].SetHealthy(true) }),
	},
	{
		{"sorry server", func(s *balanced) { s.setHealthy(false) }, func(table map[string]int) bool {
			return table[tableKey(1)]+table[tableKey(2)]+table[tableKey(3)] == 0 && table[tableKey(4)] > 0
		}},
		{"end of sorry", func(s *balanced) { s.setHealthy(true) }, func(table map[string]int) bool {
			return table[tableKey(1)]*table[tableKey(2)]*table[tableKey(3)] == balancedWeight*balancedWeight*balancedWeight && table[tableKey(4)] == 0
		}},
	},
}

func (s *balanced) setHealthy(healthy bool) {
	for _, web := range s.servers[:balancedServers] {
		web.SetHealthy(healthy)
	}
}

// filter drops the first server's packets, or no longer.
func (s *balanced) filter(command string) {
	s.b.Helper()
	if out, err := s.hosts[0].Command(s.b.Context(), "iptables-legacy", command, "INPUT", "-j", "DROP").CombinedOutput(); err != nil {
		s.b.Fatalf("iptables: %v: %s", err, out)
	}
}

// mode is what is compared: incidents with servers that are removed when their check fails, kept with weight 0, or discovered.
type mode struct {
	name        string
	kept, found bool
	which       [][2]incident
}

// toll is what an incident cost, over several rounds.
type toll struct {
	asked, lost, rounds int
	took                time.Duration // until the kernel's table had followed
}

// BenchmarkKernelFailedRequests counts the failed requests of a client at a steady rate while things happen to the real servers, with
// lvs-ha and keepalived in the same run: check interval and timeout 1 s, no retries.
func BenchmarkKernelFailedRequests(b *testing.B) {
	lab.Need(b, lab.Kernel)
	if _, err := exec.LookPath("keepalived"); err != nil {
		b.Skip("keepalived is not installed")
	}
	for _, m := range []mode{
		{"", false, false, incidents}, {"kept", true, false, failingChecks}, {"found", false, true, [][2]incident{removal}},
	} {
		ours, theirs := newBalanced(b, true, m).suffer(m.which), newBalanced(b, false, m).suffer(m.which)
		done := map[string]bool{}
		for _, pair := range m.which {
			for _, i := range pair {
				if done[i.name] {
					continue
				}
				done[i.name] = true
				b.Run(strings.TrimSuffix(i.name+", "+m.name, ", "), func(b *testing.B) { report(b, ours[i.name], theirs[i.name]) })
			}
		}
	}
}

func report(b *testing.B, ours, theirs toll) {
	for b.Loop() { //nolint:revive // everything has been measured
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(ours.asked), "requests")
	b.ReportMetric(float64(ours.lost), "lost")
	b.ReportMetric(float64(theirs.lost), "keepalived-lost")
	b.ReportMetric(float64(ours.took.Milliseconds())/float64(ours.rounds), "ms")
	b.ReportMetric(float64(theirs.took.Milliseconds())/float64(theirs.rounds), "keepalived-ms")
}

// suffer lets everything happen several times and returns what it cost by the name of the incident.
func (s *balanced) suffer(which [][2]incident) map[string]toll {
	s.b.Helper()
	defer s.stop()
	tolls := map[string]toll{}
	for round := range failureRounds {
		for _, pair := range which {
			for _, i := range pair {
				// Other phases of the check's interval, the same for both programs.
				<-time.After(300*time.Millisecond + time.Duration(round)*330*time.Millisecond)
				l := s.load(requestEvery)
				began := time.Now()
				i.do(s)
				s.await(i.name, i.followed)
				took := time.Since(began)
				<-time.After(400 * time.Millisecond)
				l.stop()
				t := tolls[i.name]
				tolls[i.name] = toll{t.asked + l.asked, t.lost + l.lost, t.rounds + 1, t.took + took}
				if l.lost > 0 {
					s.b.Logf("%s: %s: %d of %d requests lost, table after %v; first %s", s.name(), i.name, l.lost, l.asked, took, l.lastFailures[0])
				}
			}
		}
	}
	return tolls
}
