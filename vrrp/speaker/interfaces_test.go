package speaker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func link(index int, name string, flags uint32) netlink.Link {
	a := netlink.NewLinkAttrs()
	a.Index, a.Name, a.RawFlags, a.HardwareAddr = index, name, flags, net.HardwareAddr{2, 0, 0, 0, 0, byte(index)}
	return &netlink.Device{LinkAttrs: a}
}

// TestInterfaceTableCopiesOnce adds a thousand addresses between two reports.
func TestInterfaceTableCopiesOnce(t *testing.T) {
	tbl := newInterfaceTable()
	tbl.setLink(link(2, "eth0", unix.IFF_UP))
	prefix := func(i int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)
	}
	tbl.setAddress(2, prefix(0), 0)
	before := tbl.byName()["eth0"].Addresses
	copies, last := 0, &before[0]
	for i := 1; i < 1000; i++ {
		tbl.setAddress(2, prefix(i), 0)
		if now := &tbl.addresses[2][0]; now != last {
			copies, last = copies+1, now
		}
	}
	if len(before) != 1 || copies > 20 {
		t.Errorf("%d copies; the list that was handed out has %d addresses", copies, len(before))
	}
}

func TestInterfaceTable(t *testing.T) {
	const running = unix.IFF_UP | unix.IFF_RUNNING
	tbl := newInterfaceTable()
	first, second := netip.MustParsePrefix("10.0.0.1/24"), netip.MustParsePrefix("fe80::1/64")
	tbl.setLink(link(2, "eth0", running))
	tbl.setLink(link(3, "eth1", unix.IFF_UP))
	tbl.setLink(link(4, "tun0", running|unix.IFF_NOARP))
	tbl.setAddress(2, first, 0)
	before := tbl.byName()["eth0"]
	tbl.setAddress(2, second, unix.IFA_F_TENTATIVE)
	after := tbl.byName()["eth0"]
	if len(before.Addresses) != 1 || len(after.Addresses) != 2 || before.equal(after) {
		t.Errorf("addresses before %v, after %v", before.Addresses, after.Addresses)
	}
	if after.Addresses[1].Usable {
		t.Error("a tentative address is usable")
	}
	tbl.setAddress(2, second, unix.IFA_F_TENTATIVE|unix.IFA_F_OPTIMISTIC)
	if !tbl.byName()["eth0"].Addresses[1].Usable || after.Addresses[1].Usable {
		t.Error("an optimistic address is not usable, or the list that was handed out changed")
	}
	tbl.setAddress(2, second, unix.IFA_F_DADFAILED)
	if tbl.byName()["eth0"].Addresses[1].Usable {
		t.Error("an address refused by duplicate address detection is usable")
	}
	tbl.dropAddress(2, first)
	if x := tbl.byName()["eth0"]; x.has(first) || !x.has(second) {
		t.Errorf("addresses %v", x.Addresses)
	}
	if all := tbl.byName(); !all["eth0"].Up || all["eth1"].Up || all["eth0"].NoARP || !all["tun0"].NoARP {
		t.Errorf("table %+v", all)
	}
	tbl.setLink(link(2, "renamed", running))
	if all := tbl.byName(); all["renamed"].Index != 2 || all["eth0"].Index != 0 || !all["renamed"].has(second) {
		t.Errorf("after a rename: %+v", all)
	}
	tbl.dropLink(2)
	tbl.setLink(link(2, "eth0", running))
	if len(tbl.byName()["eth0"].Addresses) != 0 {
		t.Error("a deleted interface's addresses are on the next one")
	}
}

// TestWatcherLosesMessages makes a subscription fail during a change, which the next resync must find.
func TestWatcherLosesMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const running = unix.IFF_UP | unix.IFF_RUNNING
		var mu sync.Mutex
		var told []string
		tbl := newInterfaceTable()
		w := &watcher{log: slog.New(slog.DiscardHandler), known: map[string]netInterface{}, deleted: func() {}}
		w.changed = func(i netInterface, _ bool) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, i.Name)
		}
		w.list = func() (*interfaceTable, error) {
			mu.Lock()
			defer mu.Unlock()
			fresh := newInterfaceTable()
			maps.Copy(fresh.links, tbl.links)
			return fresh, nil
		}
		subs := []*subscription{newSubscription(), nil, newSubscription()}
		next := 0
		w.subscribe = func() (*subscription, error) {
			s := subs[next]
			next++
			if s == nil {
				return nil, errors.New("too many open files")
			}
			return s, nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); w.run(ctx) }()
		expect := func(want string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			slices.Sort(told)
			if got := strings.Join(told, " "); got != want {
				t.Errorf("reported %q, want %q", got, want)
			}
			told = nil
		}
		expect("")
		u := netlink.LinkUpdate{Link: link(2, "eth0", running)}
		u.IfInfomsg.Index = 2
		subs[0].links <- u
		expect("eth0")
		mu.Lock()
		tbl.setLink(link(2, "eth0", unix.IFF_UP))
		tbl.setLink(link(3, "eth1", running))
		mu.Unlock()
		subs[0].fail(unix.ENOBUFS)
		close(subs[0].links)
		close(subs[0].addrs)
		time.Sleep(2 * resubscribeWait)
		expect("eth0 eth1")
		mu.Lock()
		tbl.dropLink(3)
		mu.Unlock()
		time.Sleep(resyncInterval)
		expect("eth1")
		cancel()
		<-done
		close(subs[2].links)
		close(subs[2].addrs)
	})
}

func TestWatcherPublishes(t *testing.T) {
	var told []string
	w := &watcher{known: map[string]netInterface{}, changed: func(i netInterface, grown bool) {
		state := "down"
		switch {
		case i.Index == 0:
			state = "gone"
		case i.Up:
			state = "up"
		}
		if grown {
			state += " grown"
		}
		told = append(told, i.Name+" "+state)
	}}
	deleted := 0
	w.deleted = func() { deleted++ }
	tbl := newInterfaceTable()
	step := func(want ...string) {
		t.Helper()
		told = nil
		w.publish(tbl)
		slices.Sort(told)
		if !slices.Equal(told, want) {
			t.Errorf("reported %v, want %v", told, want)
		}
	}
	update := func(kind uint16, family uint8, l netlink.Link) {
		u := netlink.LinkUpdate{Link: l}
		u.Header.Type, u.IfInfomsg.Family, u.IfInfomsg.Index = kind, family, int32(l.Attrs().Index)
		applyLink(tbl, u)
	}
	up, down := link(2, "eth0", unix.IFF_UP|unix.IFF_RUNNING), link(2, "eth0", unix.IFF_UP)
	update(unix.RTM_NEWLINK, unix.AF_UNSPEC, up)
	step("eth0 up")
	step()
	update(unix.RTM_DELLINK, unix.AF_BRIDGE, up) // it has left a bridge
	step()
	update(unix.RTM_NEWLINK, unix.AF_UNSPEC, down)
	step("eth0 down")
	address := netlink.AddrUpdate{LinkIndex: 2, NewAddr: true, LinkAddress: net.IPNet{IP: net.IPv4(10, 0, 0, 1), Mask: net.CIDRMask(24, 32)}}
	w.applyAddress(tbl, address)
	step("eth0 down grown")
	if got := w.lookup("eth0").Addresses; len(got) != 1 {
		t.Errorf("addresses %v", got)
	}
	six := netlink.AddrUpdate{LinkIndex: 2, NewAddr: true, LinkAddress: net.IPNet{IP: net.ParseIP("fd00::1"), Mask: net.CIDRMask(64, 128)}}
	for _, c := range []struct {
		flags int
		want  string
	}{{unix.IFA_F_TENTATIVE, "eth0 down grown"}, {0, "eth0 down grown"}, {unix.IFA_F_DADFAILED | unix.IFA_F_TENTATIVE, "eth0 down"}, {0, "eth0 down grown"}} {
		six.Flags = c.flags
		w.applyAddress(tbl, six)
		step(c.want)
	}
	address.NewAddr = false
	w.applyAddress(tbl, address)
	step("eth0 down")
	if deleted != 1 {
		t.Errorf("reported %d deletions", deleted)
	}
	update(unix.RTM_NEWLINK, unix.AF_UNSPEC, link(2, "lan0", unix.IFF_UP))
	step("eth0 gone", "lan0 down")
	update(unix.RTM_DELLINK, unix.AF_UNSPEC, link(2, "lan0", 0))
	step("lan0 gone")
	if got := w.lookup("lan0"); got.Index != 0 || got.Name != "lan0" {
		t.Errorf("a missing interface is %+v", got)
	}
}

// A table that is read again has what the kernel has then, also if its addresses are in memory that was used before. What byName
// has returned does not change.
func TestTableIsReadAgain(t *testing.T) {
	tbl := newInterfaceTable()
	fill := func(tbl *interfaceTable, addresses map[int][]string) {
		tbl.empty()
		for index, list := range addresses {
			tbl.links[index] = netInterface{Index: index, Name: fmt.Sprintf("eth%d", index), Up: true}
			for _, a := range list {
				tbl.setAddress(index, netip.MustParsePrefix(a), 0)
			}
		}
	}
	same := func(tbl *interfaceTable, want map[int][]string) {
		t.Helper()
		got := tbl.byName()
		if len(got) != len(want) {
			t.Errorf("%d interfaces, want %d", len(got), len(want))
		}
		for index, list := range want {
			ifc := got[fmt.Sprintf("eth%d", index)]
			if len(ifc.Addresses) != len(list) || slices.ContainsFunc(list, func(a string) bool { return !ifc.has(netip.MustParsePrefix(a)) }) {
				t.Errorf("interface %d has %v, want %v", index, ifc.Addresses, list)
			}
		}
	}
	states := []map[int][]string{
		{1: {"10.0.0.1/24", "10.0.0.2/32"}, 2: {"10.1.0.1/24"}}, {1: {"10.0.0.3/24"}}, {}, {1: {"10.0.0.1/24", "10.0.0.4/32"}, 3: nil},
	}
	published := newInterfaceTable()
	for _, s := range states {
		fill(tbl, s)
		published = published.next()
		fill(published, s)
		same(published, s)
		before := published.byName()
		published = published.next()
		fill(published, map[int][]string{1: {"192.0.2.1/32"}})
		if list := s[1]; len(list) > 0 && !before["eth1"].has(netip.MustParsePrefix(list[0])) {
			t.Errorf("eth1 has %v, which was published as %v", before["eth1"].Addresses, list)
		}
	}
	same(tbl, states[len(states)-1])
}
