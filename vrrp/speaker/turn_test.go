package speaker

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/internal/secret"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// countedLoop is a loop over an engine with fakes that counts its readings of the clock.
func countedLoop(t *testing.T, g *rig) (l *loop, readings *int) {
	t.Helper()
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	readings = new(int)
	now := func() time.Time { *readings++; return g.now }
	return &loop{poller: p, receiver: newReceiver(), now: now, engine: g.engine, publish: func([]vrrp.Status) {}}, readings
}

// TestTurnOfMasters checks that a turn sends once on each wire and reads the clock once, for any number of due routers. In
// user-mode Linux both are system calls of 13 µs.
func TestTurnOfMasters(t *testing.T) {
	const routers = 50
	g := newRig(t)
	g.up("eth0", 2, "10.9.0.1/24")
	var instances []vrrp.Instance
	for id := range routers {
		in := v3(100)
		in.Name, in.VirtualRouterID, in.AdvertiseInterval = fmt.Sprintf("v%d", id), uint8(id+1), 10*time.Millisecond
		in.Addresses = []vrrp.Address{{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, 1, byte(id)}), 32)}}
		instances = append(instances, in)
	}
	g.want(instances...)
	g.advance(time.Second)
	l, readings := countedLoop(t, g)
	for range 3 {
		g.did()
		g.sends, *readings = 0, 0
		g.now = g.engine.timers.next()
		if err := l.turn(); err != nil {
			t.Fatal(err)
		}
		if len(g.trace) != routers || g.sends != 1 || *readings != 1 {
			t.Errorf("%d adverts took %d calls and %d readings of the clock, want %d with 1 and 1", len(g.trace), g.sends, *readings, routers)
		}
	}
}

// TestTurnOfABackup checks that, if packets arrive close together, a turn after a rest reads the only socket directly: it
// neither calls epoll_wait nor sets the timer, and it reads the clock once for a batch.
func TestTurnOfABackup(t *testing.T) {
	l, w, send := floodedLoop(t, batchLen/2)
	if err := l.poller.add(w.socket); err != nil {
		t.Fatal(err)
	}
	l.engine.timers.set(&timer{}, time.Now().Add(time.Hour))
	now, readings := time.Now(), 0
	l.now = func() time.Time { readings++; return now }
	turn := func() {
		t.Helper()
		send()
		if err := l.turn(); err != nil {
			t.Fatal(err)
		}
		if l.read != batchLen/2 {
			t.Fatalf("%d packets were read, want %d", l.read, batchLen/2)
		}
	}
	turn()
	if l.pause > 0 {
		t.Error("rested after the first packets")
	}
	now = now.Add(denseGap / 2)
	turn()
	now = now.Add(restTime)
	epoll, timer := l.poller.epoll, l.poller.timer
	l.poller.epoll, l.poller.timer = -1, -1 // calls would fail
	readings = 0
	turn()
	l.poller.epoll, l.poller.timer = epoll, timer
	if readings != 1 {
		t.Errorf("%d readings of the clock", readings)
	}
	now = now.Add(denseGap + l.pause)
	if turn(); l.pause > 0 {
		t.Error("rested where packets are far apart")
	}
}

// TestAdvertRefused makes the kernel refuse one of several due adverts.
func TestAdvertRefused(t *testing.T) {
	g := newRig(t)
	g.up("eth0", 2, "10.9.0.1/24")
	var instances []vrrp.Instance
	for id := range 3 {
		in := v3(uint8(100 + id))
		in.Name, in.VirtualRouterID = fmt.Sprintf("v%d", id), uint8(id+1)
		in.Addresses = []vrrp.Address{{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, 1, byte(id)}), 32)}}
		instances = append(instances, in)
	}
	g.want(instances...)
	g.advance(time.Second)
	before := g.engine.statuses(g.now)
	g.did()
	g.unsendable = func(o *outgoing) bool { return o.data[2] == 101 }
	g.now = g.now.Add(instances[0].AdvertiseInterval)
	g.engine.timers.fire(g.now)
	g.settle()
	slices.Sort(g.trace)
	g.expectDid("advert 100, advert 102")
	for _, was := range before {
		refused := was.Name == "v1"
		st := g.status(was.Name)
		if sent, failed := st.AdvertsSent-was.AdvertsSent, st.SendErrors-was.SendErrors; (sent == 0) != refused || (failed == 1) != refused {
			t.Errorf("%s: %d sent, %d failed", was.Name, sent, failed)
		}
	}
}

// TestAdvertsBeforeClosing checks that a router's last adverts are sent before its socket is closed.
func TestAdvertsBeforeClosing(t *testing.T) {
	g := newRig(t)
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(v3(100))
	g.advance(time.Second)
	g.did()
	w := g.engine.wires[socketKey{Interface: "eth0", Family: vrrp.IPv4}]
	g.engine.advertise(w.routers[v3(100).VirtualRouterID], vrrp.PriorityResign, g.now)
	g.engine.closeWire(w, g.now)
	g.expectDid("advert 0")
	g.engine.flush(g.now)
	g.expectDid("")
}

// TestSignedTwice checks that a second advert in one turn does not change the first, although the trailer is written in
// place.
func TestSignedTwice(t *testing.T) {
	g := newRig(t)
	in := v3(100)
	key := vrrp.AuthKey{ID: 7, Secret: secret.Text(strings.Repeat("5a", vrrp.MinAuthKey))}
	in.AuthHMAC = &vrrp.AuthHMAC{Keys: []vrrp.AuthKey{key}, ActiveKey: 7, AntiReplay: vrrp.ReplayByTime, TimeWindow: time.Second, Mode: vrrp.AuthEnforce}
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(in)
	g.advance(time.Second)
	r := g.engine.routers[keyOf(&in)]
	var sent [][]byte
	g.unsendable = func(o *outgoing) bool { sent = append(sent, slices.Clone(o.data)); return false }
	for range 2 {
		g.engine.advertise(r, 100, g.now)
	}
	g.engine.flush(g.now)
	if len(sent) != 2 || slices.Equal(sent[0], sent[1]) {
		t.Errorf("%d adverts were sent: %x", len(sent), sent)
	}
}

func TestSender(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	local := netip.MustParseAddr("127.0.0.1")
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: local.As4()}); err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port := at.(*unix.SockaddrInet4).Port
	var all []*outgoing
	for i := range sendBatch + 3 {
		o := newOutgoing([]byte{byte(i)}, local, local, 0)
		(*unix.RawSockaddrInet4)(unsafe.Pointer(&o.name)).Port = htons(uint16(port))
		all = append(all, o)
	}
	(*unix.RawSockaddrInet4)(unsafe.Pointer(&all[5].name)).Port = 0 // refused
	var s sender
	var counts []int
	for rest := all; len(rest) > 0; {
		n, err := s.send(fd, rest)
		counts = append(counts, n)
		rest = rest[n:]
		if err != nil {
			if !errors.Is(err, unix.EINVAL) {
				t.Fatal(err)
			}
			rest = rest[1:]
		}
	}
	if want := []int{5, 0, len(all) - 6}; !slices.Equal(counts, want) {
		t.Errorf("sent %v at a time, want %v", counts, want)
	}
	buf := make([]byte, 10)
	for i := range all {
		if i == 5 {
			continue
		}
		if n, _, err := unix.Recvfrom(fd, buf, 0); err != nil || n != 1 || buf[0] != byte(i) {
			t.Fatalf("packet %d: %d bytes %v: %v", i, n, buf[:1], err)
		}
	}
}

func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		boot := c.bootTime()
		<-time.After(clockRefresh / 2)
		if now := c.now(); !now.Equal(time.Now()) || c.bootTime() != boot+int64(clockRefresh/2) {
			t.Errorf("it is %v, read as %v; boot time %v after %v", time.Now(), now, c.bootTime(), boot)
		}
		<-time.After(clockRefresh)
		if now := c.now(); now != time.Now() || c.base.at != now {
			t.Errorf("not refreshed: %v at %v", c.base, now)
		}
	})
	deadline := time.Now().Add(time.Hour)
	if off := newOrigin().monotonic(deadline) - readClock(unix.CLOCK_MONOTONIC) - int64(time.Hour); off > int64(time.Second) || off < -int64(time.Minute) {
		t.Errorf("converted with an error of %v", time.Duration(off))
	}
}

// TestOwnWorkIsNoStall checks that timers that became due while the loop worked for others are not postponed, unless its work may
// have kept the kernel from receiving.
func TestOwnWorkIsNoStall(t *testing.T) {
	due := time.Now()
	after := func(d time.Duration) time.Time { return due.Add(d) }
	for _, tt := range []struct {
		worked, now time.Duration
		receive     func() bool
		want        bool
	}{
		{0, lateEnough / 2, nil, true},
		{0, 3 * lateEnough, realTime, false},
		{3 * lateEnough, 3*lateEnough + lateEnough/2, realTime, true},
		{3 * lateEnough, 3*lateEnough + lateEnough/2, func() bool { return false }, false},
		{3 * lateEnough, 3*lateEnough + lateEnough/2, nil, false},
		{3 * lateEnough, 5 * lateEnough, realTime, false},
	} {
		l := listening{worked: after(tt.worked), receive: tt.receive}
		if got := l.over(due, after(tt.now)); got != tt.want {
			t.Errorf("work until %v, now %v: may fire %v, want %v", tt.worked, tt.now, got, tt.want)
		}
	}
}

func realTime() bool { return true }

// TestShortStallDoesNotListen checks that a takeover after a stall of less than an interval is not postponed: the master was silent
// before. With one CPU, the kernel may have received nothing before either.
func TestShortStallDoesNotListen(t *testing.T) {
	due := time.Now()
	after := func(d time.Duration) time.Time { return due.Add(d) }
	for _, tt := range []struct {
		looked, now time.Duration
		receive     func() bool
		want        bool
	}{
		{-vrrp.PrepareTime, 5 * time.Millisecond, realTime, true},
		{-vrrp.PrepareTime, 5 * time.Millisecond, nil, false},
		{-vrrp.PrepareTime, 60 * time.Millisecond, realTime, false},
		{-60 * time.Millisecond, 5 * time.Millisecond, realTime, false},
	} {
		l := listening{looked: after(tt.looked), interval: func() time.Duration { return 50 * time.Millisecond }, receive: tt.receive}
		if got := l.over(due, after(tt.now)); got != tt.want {
			t.Errorf("the loop last read packets at %v, now %v: may fire %v, want %v", tt.looked, tt.now, got, tt.want)
		}
	}
}

// TestShortestInterval: a backup adopts its master's interval.
func TestShortestInterval(t *testing.T) {
	g := newRig(t)
	if d := g.engine.shortestInterval(); d != 0 {
		t.Errorf("without routers it is %v", d)
	}
	g.up("eth0", 2, "10.9.0.1/24")
	in := v3(100)
	g.want(in)
	g.advance(time.Millisecond)
	fast := in
	fast.AdvertiseInterval = in.AdvertiseInterval / 10
	g.hear(fast, 200, "10.9.0.2")
	if d := g.engine.shortestInterval(); d != fast.AdvertiseInterval {
		t.Errorf("it is %v, want the master's, %v", d, fast.AdvertiseInterval)
	}
}
