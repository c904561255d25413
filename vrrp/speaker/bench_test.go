package speaker

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// cause is the reason why a backup takes over.
type cause struct {
	name string
	last uint8 // priority of the master's last advert
	then uint8 // priority of another router's adverts after it; zero if there are none
	wait func(version, priority uint8, interval time.Duration) time.Duration
}

// takeoverCauses: the master stops sending, resigns, or is replaced by one of lower priority.
var takeoverCauses = []cause{
	{"crash", 200, 0, vrrp.MasterDownInterval},
	{"stop", vrrp.PriorityResign, 0, vrrp.SkewTime},
	{"preempt", 200, 50, vrrp.MasterDownInterval},
}

// BenchmarkHostTakeover measures the delay between the expiry of the RFC's timer and a backup's first advert and first
// gratuitous ARP on the wire, for our router and keepalived in the same run. The test sends the master's adverts. All times
// are those at which the observer's kernel received the frames. The table also has the longest delay of the takeovers during
// which no CPU was stalled.
func BenchmarkHostTakeover(b *testing.B) {
	second, short, shortest := time.Second, 100*time.Millisecond, 10*time.Millisecond
	for _, c := range []struct {
		version       uint8
		interval      time.Duration
		lanes, rounds int // virtual routers of each implementation, and takeovers of each virtual router
		busy          bool
	}{{2, second, 8, 4, false}, {3, second, 8, 4, false}, {3, short, 4, 10, false}, {3, shortest, 4, 12, false}, {3, short, 4, 10, true}, {3, shortest, 4, 12, true}} {
		name := fmt.Sprintf("v%d-%s", c.version, c.interval)
		if c.busy {
			name = "busy-" + name
		}
		for _, why := range takeoverCauses {
			b.Run(name+"/"+why.name, func(b *testing.B) {
				for b.Loop() {
					r := takeoverRun{why: why, lanes: c.lanes, rounds: c.rounds, busy: c.busy}
					r.measure(b, c.version, c.interval)
					r.report(b)
				}
			})
		}
	}
}

// lateness holds the delays of frames relative to the RFC's timer.
type lateness struct{ advert, arp []delay }

// delay is the time between the expiry of the timer and a frame.
type delay struct{ due, at time.Time }

// stalled reports whether a stall falls within the delay, or within the preparation before it.
func (d delay) stalled(s stall) bool {
	return s.from.Before(d.at) && d.due.Add(-5*time.Millisecond).Before(s.to)
}

// stall is a time in which a CPU did not run anything.
type stall struct{ from, to time.Time }

// leastStall is the shortest stall of a CPU that counts.
const leastStall = 500 * time.Microsecond

type takeoverRun struct {
	why           cause
	lanes, rounds int
	busy          bool

	lan          *lan
	mu           sync.Mutex
	ours, theirs lateness
	stalls       []stall
}

// measure makes both implementations take over from the test, each with several independent virtual routers.
func (r *takeoverRun) measure(b *testing.B, version uint8, interval time.Duration) {
	r.lan = newLAN(b)
	defer r.lan.lab.Close()
	const theirLanes = 100 // keepalived's first virtual router ID
	router := func(id int) vrrp.Instance {
		in := instance(version, vrrp.IPv4, 100, interval)
		in.Name, in.VirtualRouterID = fmt.Sprintf("v%d", id), uint8(id)
		in.Addresses = []vrrp.Address{{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, 1, byte(id)}), 32)}}
		return in
	}
	var ours, theirs []vrrp.Instance
	for lane := range r.lanes {
		ours = append(ours, router(1+lane))
		theirs = append(theirs, router(theirLanes+lane))
	}
	newStation(b, r.lan.a).want(ours...)
	startKeepalived(b, r.lan.b, false, theirs...)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	for cpu := range runtime.NumCPU() {
		if err := r.lan.lab.Fabric().WatchStalls(ctx, cpu, leastStall, r.stalled); err != nil {
			b.Fatal(err)
		}
	}
	if r.busy {
		keepBusy(b, r.lan)
	}
	var wg sync.WaitGroup
	step := max(interval/time.Duration(2*r.lanes), 20*time.Millisecond) // so that takeovers do not coincide
	for lane := range r.lanes {
		at := time.Duration(2*lane) * step
		wg.Go(func() { r.lane(b, ours[lane], at, macOf(b, r.lan.a, "eth0"), &r.ours) })
		wg.Go(func() { r.lane(b, theirs[lane], at+step, macOf(b, r.lan.b, "eth0"), &r.theirs) })
	}
	wg.Wait()
}

// lane makes one virtual router take over repeatedly, each time with the same delay after one of its adverts.
func (r *takeoverRun) lane(b *testing.B, in vrrp.Instance, after time.Duration, mac string, all *lateness) {
	n, vip := r.lan, in.Addresses[0].Prefix.Addr()
	advert := func(from uint8) {
		master := in
		master.Priority = from
		sendAdvert(b, n.observer, master, 255, nil)
	}
	isAdvert := func(s seen) bool { return s.advert != nil && s.advert.VirtualRouterID == in.VirtualRouterID }
	isARP := func(s seen) bool { return s.mac == mac && s.arpOp != 0 && s.announc == vip }
	for done, voids := 0, 0; done < r.rounds; {
		n.capture.await(b, n.capture.mark(), "the router's advert", func(s seen) bool { return s.mac == mac && isAdvert(s) })
		<-time.After(after)
		// It yields to the first, and the last finds it a backup. The master lives for longer than a router that has just yielded
		// takes over in another way: holdMost and calm of package vrrp.
		for range 1 + int(2*time.Second/in.AdvertiseInterval) {
			advert(200)
			<-time.After(in.AdvertiseInterval)
		}
		if r.why.last != 200 {
			advert(200)
			<-time.After(in.AdvertiseInterval / 2)
		}
		mark := n.capture.mark()
		advert(r.why.last)
		last := n.capture.await(b, mark, "the master's last advert", func(s seen) bool { return s.mac != mac && isAdvert(s) })
		stop := make(chan struct{})
		var other sync.WaitGroup
		if r.why.then != 0 {
			other.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(in.AdvertiseInterval):
						advert(r.why.then)
					}
				}
			})
		}
		first := n.capture.await(b, mark, "the router's first advert", func(s seen) bool { return s.mac == mac && isAdvert(s) })
		arp := n.capture.await(b, mark, "the router's first ARP", isARP)
		close(stop)
		other.Wait()
		formula := r.why.wait(in.Version, in.Priority, in.AdvertiseInterval)
		due := last.at.Add(formula)
		if first.at.Before(due.Add(-time.Millisecond)) {
			// The test's own adverts were late, and the router was master before.
			if voids++; voids > r.rounds {
				b.Errorf("%s is master too early", in.Name)
				return
			}
			continue
		}
		done++
		r.mu.Lock()
		all.advert = append(all.advert, delay{due, first.at})
		all.arp = append(all.arp, delay{due, arp.at})
		r.mu.Unlock()
	}
}

func (r *takeoverRun) stalled(s lab.Sight) {
	if s.Kind == "stall" {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.stalls = append(r.stalls, stall{s.At.Add(-s.Length(0)), s.At})
	}
}

func (r *takeoverRun) report(b *testing.B) {
	fmt.Printf("\n%s: ms after the timer, lvs-ha / keepalived\n", b.Name())
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\tp50\tp99\tlongest\tlongest without stalls\ttakeovers without stalls")
	for _, what := range []struct {
		name         string
		ours, theirs []delay
	}{{"advert", r.ours.advert, r.theirs.advert}, {"ARP", r.ours.arp, r.theirs.arp}} {
		ours, theirs := lateBy(what.ours), lateBy(what.theirs)
		fmt.Fprint(w, what.name)
		for _, percent := range []int{50, 99, 100} {
			fmt.Fprintf(w, "\t%s / %s", millis(percentile(ours, percent)), millis(percentile(theirs, percent)))
		}
		calm, theirCalm := lateBy(r.undisturbed(what.ours)), lateBy(r.undisturbed(what.theirs))
		fmt.Fprintf(w, "\t%s / %s\t%d of %d / %d of %d\n", millis(percentile(calm, 100)), millis(percentile(theirCalm, 100)),
			len(calm), len(ours), len(theirCalm), len(theirs))
		name := strings.ToLower(what.name)
		b.ReportMetric(micros(percentile(ours, 50)), "ours-"+name+"-p50-µs")
		b.ReportMetric(float64(percentile(ours, 50))/float64(percentile(theirs, 50)), name+"-ours/keepalived")
	}
	w.Flush()
	b.ReportMetric(0, "ns/op")
}

func lateBy(all []delay) (late []time.Duration) {
	for _, d := range all {
		late = append(late, d.at.Sub(d.due))
	}
	return late
}

// undisturbed returns the delays of takeovers during which no CPU stalled.
func (r *takeoverRun) undisturbed(all []delay) []delay {
	return slices.DeleteFunc(slices.Clone(all), func(d delay) bool { return slices.ContainsFunc(r.stalls, d.stalled) })
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

func millis(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d)/float64(time.Millisecond)) }

// percentile returns the smallest value that the given percentage of values does not exceed, or zero if there are none.
func percentile(d []time.Duration, percent int) time.Duration {
	if len(d) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(d))
	return s[max((len(s)*percent+99)/100, 1)-1]
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

// adverts measures master and backup over several seconds in which only the master sends.
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

// settle waits until the other host has sent nothing for a while.
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

// cpuTime returns the CPU time of all threads of a process, from the scheduler's statistics.
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
