package speaker

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// BenchmarkHostTakeover measures how much later than the RFC's timer a backup's first advert comes, ours beside
// keepalived's. The master's adverts are the test's own; their kernel's time is where the timer starts.
func BenchmarkHostTakeover(b *testing.B) {
	for _, c := range []struct {
		version  uint8
		interval time.Duration
		rounds   int
	}{{2, time.Second, 3}, {3, 100 * time.Millisecond, 20}, {3, 10 * time.Millisecond, 50}} {
		b.Run(fmt.Sprintf("v%d-%s", c.version, c.interval), func(b *testing.B) {
			for b.Loop() {
				ours := takeovers(b, c.version, c.interval, c.rounds, func(n *lan, in vrrp.Instance) {
					s := newStation(b, n.a)
					s.want(in)
				})
				theirs := takeovers(b, c.version, c.interval, c.rounds, func(n *lan, in vrrp.Instance) {
					startKeepalived(b, n.a, false, in)
				})
				b.ReportMetric(micros(median(ours)), "ours-µs-p50")
				b.ReportMetric(micros(slices.Max(ours)), "ours-µs-max")
				b.ReportMetric(micros(median(theirs)), "keepalived-µs-p50")
				b.ReportMetric(micros(slices.Max(theirs)), "keepalived-µs-max")
				b.ReportMetric(float64(median(ours))/float64(median(theirs)), "ours/keepalived")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

func median(d []time.Duration) time.Duration {
	s := slices.Sorted(slices.Values(d))
	return s[len(s)/2]
}

// takeovers lets a router on host a take over from the test, again and again, and returns by how much it was late.
func takeovers(b *testing.B, version uint8, interval time.Duration, rounds int, start func(*lan, vrrp.Instance)) []time.Duration {
	n := newLAN(b)
	defer n.lab.Close()
	in := instance(version, vrrp.IPv4, 100, interval)
	master := in
	master.Priority = 200
	macRouter, macTest := macOf(b, n.a, "eth0"), macOf(b, n.observer, "eth0")
	start(n, in)
	formula := vrrp.MasterDownInterval(version, 100, interval)
	var late []time.Duration
	for range rounds + 1 {
		n.capture.await(b, n.capture.mark(), "the router's advert", func(s seen) bool {
			return s.advert != nil && s.mac == macRouter
		})
		// It yields to the first, and the second finds it a backup.
		sendAdvert(b, n.observer, master, 255, nil)
		<-time.After(interval)
		mark := n.capture.mark()
		sendAdvert(b, n.observer, master, 255, nil)
		last := n.capture.await(b, mark, "the master's advert", func(s seen) bool { return s.advert != nil && s.mac == macTest })
		first := n.capture.await(b, mark, "the router's first advert", func(s seen) bool { return s.advert != nil && s.mac == macRouter })
		late = append(late, first.at.Sub(last.at)-formula)
	}
	return late[1:]
}

// BenchmarkHostAdverts measures how many adverts a CPU second sends and receives, with 255 instances on a network card.
func BenchmarkHostAdverts(b *testing.B) {
	const interval = 100 * time.Millisecond
	for b.Loop() {
		ours := adverts(b, func(n *lan) (int, int) {
			master, backup := newStation(b, n.a), newStation(b, n.b)
			master.want(fullHouse(200, interval)...)
			master.awaitState("v255", vrrp.Master)
			backup.want(fullHouse(100, interval)...)
			return master.cmd.Process.Pid, backup.cmd.Process.Pid
		})
		theirs := adverts(b, func(n *lan) (int, int) {
			master := startKeepalived(b, n.a, false, fullHouse(200, interval)...)
			n.capture.await(b, 0, "an advert", func(s seen) bool { return s.advert != nil && s.advert.VirtualRouterID == 255 })
			backup := startKeepalived(b, n.b, false, fullHouse(100, interval)...)
			eventually(b, "keepalived has its children", func() bool { return len(master.pids()) > 1 && len(backup.pids()) > 1 })
			return master.pids()[1], backup.pids()[1]
		})
		for _, m := range []struct {
			name         string
			ours, theirs float64
		}{
			{"sent/cpu-s", ours.sent, theirs.sent}, {"received/cpu-s", ours.received, theirs.received},
			{"master-%cpu", ours.masterCPU, theirs.masterCPU}, {"backup-%cpu", ours.backupCPU, theirs.backupCPU},
			{"master-rss-MB", ours.rss, theirs.rss},
		} {
			b.ReportMetric(m.ours, "ours-"+m.name)
			b.ReportMetric(m.theirs, "keepalived-"+m.name)
		}
		b.ReportMetric(ours.sent/theirs.sent, "sent-ours/keepalived")
		b.ReportMetric(ours.received/theirs.received, "received-ours/keepalived")
		b.ReportMetric(0, "ns/op")
	}
}

type load struct{ sent, received, masterCPU, backupCPU, rss float64 }

// adverts measures master and backup over some seconds in which the master alone speaks.
func adverts(b *testing.B, start func(*lan) (master, backup int)) load {
	n := newLAN(b)
	defer n.lab.Close()
	master, backup := start(n)
	macMaster := macOf(b, n.a, "eth0")
	settle(b, n, macMaster)
	mark, began := n.capture.mark(), time.Now()
	m0, b0 := cpuTime(b, master), cpuTime(b, backup)
	<-time.After(5 * time.Second)
	m1, b1, took := cpuTime(b, master), cpuTime(b, backup), time.Since(began)
	count := 0
	for _, s := range n.capture.all()[mark:] {
		if s.advert != nil && s.mac == macMaster {
			count++
		}
	}
	return load{
		sent:      float64(count) / (m1 - m0).Seconds(),
		received:  float64(count) / (b1 - b0).Seconds(),
		masterCPU: 100 * (m1 - m0).Seconds() / took.Seconds(),
		backupCPU: 100 * (b1 - b0).Seconds() / took.Seconds(),
		rss:       residentMB(b, master),
	}
}

// settle waits until the other host has been silent for a while.
func settle(b *testing.B, n *lan, macMaster string) {
	b.Helper()
	eventually(b, "only the master speaks", func() bool {
		frames := n.capture.all()
		since, masters := time.Now().Add(-time.Second), map[uint8]bool{}
		for _, s := range slices.Backward(frames) {
			if s.at.Before(since) {
				break
			}
			if s.mac != macMaster {
				return false
			}
			if s.advert != nil {
				masters[s.advert.VirtualRouterID] = true
			}
		}
		return len(masters) == 255
	})
}

// cpuTime is what all threads of a process have used, by the scheduler's own account.
func cpuTime(t testing.TB, pid int) time.Duration {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		t.Fatal(err)
	}
	var sum time.Duration
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		ns, err := strconv.ParseInt(strings.Fields(string(b))[0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += time.Duration(ns)
	}
	return sum
}

func residentMB(t testing.TB, pid int) float64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	if err != nil {
		t.Fatal(err)
	}
	return float64(pages*os.Getpagesize()) / (1 << 20)
}
