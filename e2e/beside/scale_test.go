package beside

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

const (
	masterPriority = 200
	backupPriority = 100
	scaleWindow    = 6 * time.Second  // of CPU time
	scaleQuiet     = 11 * time.Second // after the last announcement: they are repeated after 5 s
)

// size is a number of virtual routers: each interface has as many as the others.
type size struct{ interfaces, routers int }

func (s size) total() int { return s.interfaces * s.routers }

// BenchmarkHostScale measures CPU time and memory of all processes of a master and of a backup with many virtual routers,
// and then the takeover of all of them, from the frames on the bridges.
func BenchmarkHostScale(b *testing.B) {
	for _, s := range []size{{1, 1}, {1, 255}, {4, 250}} {
		for _, interval := range []time.Duration{time.Second, 100 * time.Millisecond} {
			b.Run(fmt.Sprintf("%dx%s", s.total(), interval), func(b *testing.B) {
				ours, theirs := programs(b)
				for b.Loop() {
					reportScale(b, measureScale(b, ours, s, interval), measureScale(b, theirs, s, interval))
				}
			})
		}
	}
}

// scale is the result of one program.
type scale struct {
	masterCPU, backupCPU       float64 // percent
	masterMemory, backupMemory memory
	takeover                   takeover
}

func measureScale(b *testing.B, p program, s size, interval time.Duration) (out scale) {
	l := lab.NewT(b, "scale")
	defer l.Close()
	var bridges []*lab.Bridge
	nics := func(host int) (list []lab.NIC) {
		for i, br := range bridges {
			list = append(list, lab.NIC{Name: fmt.Sprintf("eth%d", i), Bridge: br, Addresses: lab.Prefixes(fmt.Sprintf("10.%d.0.%d/24", 20+i, host))})
		}
		return list
	}
	set := settings{interval: interval}
	for i := range s.interfaces {
		br, err := l.Bridge(fmt.Sprintf("br%d", i))
		if err != nil {
			b.Fatal(err)
		}
		bridges = append(bridges, br)
		for id := 1; id <= s.routers; id++ {
			set.instances = append(set.instances, instance{
				iface: fmt.Sprintf("eth%d", i), id: id,
				address: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(20 + i), 1, byte(id)}), 32),
			})
		}
	}
	routers := map[int]*router{}
	for host, priority := range map[int]int{1: masterPriority, 2: backupPriority} {
		node, err := l.Host(fmt.Sprintf("r%d", host), nics(host)...)
		if err != nil {
			b.Fatal(err)
		}
		set.priority = priority
		routers[host] = newRouter(b, p, node, set)
	}
	master, backup := routers[1], routers[2]
	defer master.kill()
	defer backup.kill()
	master.start()
	master.awaitAddresses(true)
	backup.start()
	<-time.After(scaleQuiet + 4*interval)
	backup.awaitAddresses(false)

	began, m0, b0 := time.Now(), master.cpuTime(), backup.cpuTime()
	<-time.After(scaleWindow)
	took, m1, b1 := time.Since(began), master.cpuTime(), backup.cpuTime()
	out.masterCPU, out.backupCPU = 100*(m1-m0).Seconds()/took.Seconds(), 100*(b1-b0).Seconds()/took.Seconds()
	out.masterMemory, out.backupMemory = master.memory(), backup.memory()
	out.takeover = takeAll(b, l, bridges, master, backup, s)
	return out
}

// takeover describes the takeover of all virtual routers by the backup.
type takeover struct {
	adverts, announcements time.Duration // from the first router's first one to the last router's first one
	late                   time.Duration // of the latest first advert, after its router's master-down interval
}

// takeAll cuts off the master.
func takeAll(b *testing.B, l *lab.Lab, bridges []*lab.Bridge, master, backup *router, s size) takeover {
	w := &wire{last: map[[2]int]time.Time{}, first: map[[2]int]time.Time{}, announced: map[[2]int]time.Time{}}
	for i, br := range bridges {
		link, err := backup.node.Link(fmt.Sprintf("eth%d", i))
		if err != nil {
			b.Fatal(err)
		}
		mac := string(link.Attrs().HardwareAddr)
		c, err := br.Follow(lab.Announcements(), func(f lab.Frame) { w.take(i, mac, f) })
		if err != nil {
			b.Fatal(err)
		}
		defer c.Stop()
	}
	<-time.After(2 * master.set.interval)
	frozen := master.freeze()
	for i := range bridges {
		if err := l.Unplug(master.node.Name(), fmt.Sprintf("eth%d", i)); err != nil {
			b.Fatal(err)
		}
	}
	for _, pid := range slices.Backward(frozen) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	eventually(b, "all routers are taken over", func() bool { return w.complete(s.total()) })
	return w.takeover(vrrp.MasterDownInterval(3, backupPriority, master.set.interval))
}

// wire records the backup's first frames, by interface and virtual router.
type wire struct {
	mu               sync.Mutex
	last             map[[2]int]time.Time // adverts of the master
	first, announced map[[2]int]time.Time
}

func (w *wire) take(iface int, mac string, f lab.Frame) {
	const etherType, ip, arpSender = 12, 14, 14 + 14
	if len(f.Data) < 42 {
		return
	}
	own := string(f.Data[6:12]) == mac
	w.mu.Lock()
	defer w.mu.Unlock()
	isARP := f.Data[etherType+1] == lab.EtherTypeARP&0xff
	switch {
	case !isARP && f.Data[ip+9] == lab.ProtocolVRRP:
		key := [2]int{iface, int(f.Data[ip+21])}
		if !own {
			w.last[key] = f.Time
		} else if w.first[key].IsZero() {
			w.first[key] = f.Time
		}
	case isARP && own && f.Data[arpSender+2] == 1:
		// Virtual addresses are 10.x.1.ID.
		key := [2]int{iface, int(f.Data[arpSender+3])}
		if w.announced[key].IsZero() {
			w.announced[key] = f.Time
		}
	}
}

func (w *wire) complete(n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.first) == n && len(w.announced) == n
}

func (w *wire) takeover(down time.Duration) (t takeover) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t.adverts, t.announcements = spread(w.first), spread(w.announced)
	for key, at := range w.first {
		t.late = max(t.late, at.Sub(w.last[key])-down)
	}
	return t
}

// spread returns the time from the earliest to the latest.
func spread(times map[[2]int]time.Time) time.Duration {
	var first, last time.Time
	for _, at := range times {
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if at.After(last) {
			last = at
		}
	}
	return last.Sub(first)
}

func reportScale(b *testing.B, ours, theirs scale) {
	t := newTable(b.Name()+": lvs-ha / keepalived = ratio", "", "master", "backup")
	t.add("CPU %", ratio("%.2f", ours.masterCPU, theirs.masterCPU), ratio("%.2f", ours.backupCPU, theirs.backupCPU))
	t.add("PSS MB", ratio("%.1f", ours.masterMemory.pss, theirs.masterMemory.pss), ratio("%.1f", ours.backupMemory.pss, theirs.backupMemory.pss))
	t.add("RSS MB", ratio("%.1f", ours.masterMemory.rss, theirs.masterMemory.rss), ratio("%.1f", ours.backupMemory.rss, theirs.backupMemory.rss))
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	if theirs.takeover.announcements > 0 { // there are several routers
		t.add("takeover, adverts ms", "", ratio("%.1f", ms(ours.takeover.adverts), ms(theirs.takeover.adverts)))
		t.add("takeover, announcements ms", "", ratio("%.1f", ms(ours.takeover.announcements), ms(theirs.takeover.announcements)))
		b.ReportMetric(ms(ours.takeover.announcements), "takeover-ms")
		b.ReportMetric(ms(ours.takeover.announcements)/ms(theirs.takeover.announcements), "takeover-ratio")
	}
	t.add("latest advert over the formula ms", "", ratio("%.1f", ms(ours.takeover.late), ms(theirs.takeover.late)))
	t.print()
	b.ReportMetric(ours.masterCPU/theirs.masterCPU, "master-cpu-ratio")
	b.ReportMetric(ours.backupCPU/theirs.backupCPU, "backup-cpu-ratio")
	b.ReportMetric(ours.masterMemory.pss, "master-pss-MB")
	b.ReportMetric(0, "ns/op")
}
