package speaker

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/ndp"
)

// fakeFramer records when each address was announced.
type fakeFramer struct {
	mu   sync.Mutex
	sent []fakePacket
	zero time.Time
	fail error
}

type fakePacket struct {
	at      time.Duration
	address netip.Addr
	reply   bool
}

func (f *fakeFramer) Announce(_ netInterface, a netip.Addr, reply bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return f.fail
	}
	f.sent = append(f.sent, fakePacket{time.Since(f.zero), a, reply})
	return nil
}

// times returns the times of the first packet for each address in each round.
func (f *fakeFramer) times() []time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []time.Duration
	for _, p := range f.sent {
		if !p.reply {
			out = append(out, p.at)
		}
	}
	return out
}

func withAnnouncer(t *testing.T, f func(t *testing.T, a *announcer, framer *fakeFramer, log *bytes.Buffer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		framer, log := &fakeFramer{zero: time.Now()}, &bytes.Buffer{}
		a := newAnnouncer(slog.New(slog.NewTextHandler(log, nil)), framer, func(name string) netInterface {
			return map[string]netInterface{"eth0": {Index: 2, Name: name}, "tun0": {Index: 3, Name: name, NoARP: true},
				"eth1": {Index: 4, Name: name}, "vrrp.51": {Index: 5, Name: name}}[name]
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); a.run(ctx) }()
		synctest.Wait()
		f(t, a, framer, log)
		cancel()
		<-done
	})
}

var holderA = &holder{key: keyA}

func someBurst(rounds, addresses int) burst {
	b := burst{holder: holderA, name: "v", rounds: rounds}
	for range addresses {
		b.targets = append(b.targets, placed{"eth0", vip1.Prefix}, placed{"tun0", vip1.Prefix}, placed{"gone", vip1.Prefix})
	}
	return b
}

// begins is what the keeper does for one router.
// begins starts bursts before any goes on.
func (a *announcer) begins(bursts ...burst) {
	for _, b := range bursts {
		a.Announce(b)
	}
	a.Continue()
}

// TestAnnouncerRequestsFirst checks that no address is announced again, by a reply, before each is announced.
func TestAnnouncerRequestsFirst(t *testing.T) {
	withAnnouncer(t, func(t *testing.T, a *announcer, framer *fakeFramer, _ *bytes.Buffer) {
		a.Announce(burstOf(&holder{key: keyA}, 1, "eth0 10.0.0.1", "eth0 10.0.0.2"))
		a.Announce(burstOf(&holder{key: keyB}, 1, "eth0 10.0.0.3"))
		a.Continue()
		synctest.Wait()
		if got, want := framer.told(), "0s 10.0.0.1, 0s 10.0.0.2, 0s 10.0.0.3, 0s 10.0.0.1', 0s 10.0.0.2', 0s 10.0.0.3'"; got != want {
			t.Errorf("sent %s\nwant %s", got, want)
		}
	})
}

func TestAnnouncerRounds(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name string
		do   func(a *announcer)
		want []time.Duration
	}{
		{"one", func(a *announcer) { a.begins(someBurst(1, 1)) }, []time.Duration{0}},
		{"five", func(a *announcer) { a.begins(someBurst(5, 1)) }, []time.Duration{0, 100 * ms, 1200 * ms, 2300 * ms, 3400 * ms}},
		{"stopped", func(a *announcer) {
			a.begins(someBurst(5, 1))
			time.Sleep(50 * ms)
			a.stop(holderA)
		}, []time.Duration{0}},
		{"two bursts in a row", func(a *announcer) {
			a.begins(someBurst(2, 1))
			time.Sleep(50 * ms)
			a.begins(someBurst(2, 1))
		}, []time.Duration{0, 100 * ms, 200 * ms}},
		{"a burst after a while", func(a *announcer) {
			a.begins(someBurst(2, 1))
			time.Sleep(500 * ms)
			a.begins(someBurst(1, 1))
		}, []time.Duration{0, 100 * ms, 500 * ms}},
		{"repeated after its end", func(a *announcer) {
			a.begins(someBurst(1, 1))
			time.Sleep(time.Second)
			a.repeat(holderA)
		}, []time.Duration{0, 1100 * ms, 2200 * ms}},
		{"repeated during it", func(a *announcer) {
			a.begins(someBurst(2, 1))
			time.Sleep(150 * ms)
			a.repeat(holderA)
		}, []time.Duration{0, 100 * ms, 250 * ms, 1350 * ms}},
		{"repeated though nothing was announced", func(a *announcer) { a.repeat(&holder{key: keyB}) }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			withAnnouncer(t, func(t *testing.T, a *announcer, framer *fakeFramer, _ *bytes.Buffer) {
				c.do(a)
				time.Sleep(10 * time.Second)
				if got := framer.times(); !slices.Equal(got, c.want) {
					t.Errorf("rounds at %v, want %v", got, c.want)
				}
			})
		})
	}
}

func TestAnnouncerPaces(t *testing.T) {
	withAnnouncer(t, func(t *testing.T, a *announcer, framer *fakeFramer, _ *bytes.Buffer) {
		b := someBurst(1, 10*paceFrames)
		b.holder = &holder{key: keyA}
		a.begins(b)
		if took := framer.times()[10*paceFrames-1]; took < 9*paceTime {
			t.Errorf("%d announcements within %s", len(b.targets), took)
		}
		time.Sleep(time.Second)
		if got := b.holder.announced.Load(); got != uint64(20*paceFrames) {
			t.Errorf("counted %d packets", got)
		}
	})
}

// TestAnnouncerPacesEachInterface sends as many packets as allowed at once on each of two interfaces, and more later.
func TestAnnouncerPacesEachInterface(t *testing.T) {
	withAnnouncer(t, func(t *testing.T, a *announcer, framer *fakeFramer, _ *bytes.Buffer) {
		const packets = paceFrames - 2 // two for each address
		for range 3 {
			for _, name := range []string{"eth0", "eth1"} {
				b := burst{holder: &holder{key: keyA}, rounds: 1}
				for range packets / 2 {
					b.targets = append(b.targets, placed{name, vip1.Prefix})
				}
				began := time.Now()
				a.begins(b)
				if took := time.Since(began); took > 0 {
					t.Errorf("%d packets on %s took %s", packets, name, took)
				}
			}
			time.Sleep(paceTime)
		}
	})
}

func TestAnnouncerFailure(t *testing.T) {
	withAnnouncer(t, func(t *testing.T, a *announcer, framer *fakeFramer, log *bytes.Buffer) {
		framer.fail = errors.New("network is down")
		a.begins(someBurst(1, 3))
		if got := bytes.Count(log.Bytes(), []byte("announcement not sent")); got != 1 {
			t.Errorf("logged %d times:\n%s", got, log)
		}
	})
}

func TestARPFrames(t *testing.T) {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	a := netip.MustParseAddr("10.9.0.100")
	for op, wantTarget := range map[arp.Operation]net.HardwareAddr{
		arp.OperationRequest: make(net.HardwareAddr, 6), // unknown
		arp.OperationReply:   mac,                       // required by Linux in a gratuitous reply
	} {
		b, err := arpFrame(op, mac, a)
		if err != nil {
			t.Fatal(err)
		}
		var f ethernet.Frame
		var p arp.Packet
		if err := errors.Join(f.UnmarshalBinary(b), p.UnmarshalBinary(f.Payload)); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(f.Destination, ethernet.Broadcast) || !slices.Equal(f.Source, mac) || f.EtherType != ethernet.EtherTypeARP {
			t.Errorf("frame %+v", f)
		}
		if p.Operation != op || p.SenderIP != a || p.TargetIP != a ||
			!slices.Equal(p.SenderHardwareAddr, mac) || !slices.Equal(p.TargetHardwareAddr, wantTarget) {
			t.Errorf("packet %+v", p)
		}
	}
}

func TestAdvertisement(t *testing.T) {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	a := netip.MustParseAddr("fd09::100")
	for _, router := range []bool{false, true} {
		b, err := ndp.MarshalMessage(advertisement(mac, a, router))
		if err != nil {
			t.Fatal(err)
		}
		m, err := ndp.ParseMessage(b)
		na, ok := m.(*ndp.NeighborAdvertisement)
		if err != nil || !ok {
			t.Fatal(m, err)
		}
		if na.Router != router || !na.Override || na.Solicited || na.TargetAddress != a {
			t.Errorf("advertisement %+v", na)
		}
		if o, ok := na.Options[0].(*ndp.LinkLayerAddress); !ok || o.Direction != ndp.Target || !slices.Equal(o.Addr, mac) {
			t.Errorf("option %+v", na.Options[0])
		}
	}
}
