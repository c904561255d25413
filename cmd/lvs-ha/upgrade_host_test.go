package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
	"github.com/lvs-ha/lvs-ha/vrrp/speaker"
)

// faultSuffix is appended to the path of a program for a file that makes the copy of the test binary with that inode act as version
// v2, which fails as the file says: "7 director exit" for example. TestMain lets each copy act as lvs-ha.
const faultSuffix = ".fault"

func init() {
	path, _ := os.Readlink("/proc/self/exe") // TestMain changes os.Args[0]
	text, err := os.ReadFile(strings.TrimSuffix(path, " (deleted)") + faultSuffix)
	words := append(strings.Fields(string(text)), "", "", "")
	if err != nil || words[0] != inode("/proc/self/exe") {
		return
	}
	version = "v2"
	if len(os.Args) < 2 || os.Args[1] != words[1] {
		return
	}
	switch words[2] {
	case "exit":
		os.Exit(9)
	case "hang":
		<-time.After(time.Hour)
	}
}

func inode(path string) string {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return ""
	}
	return fmt.Sprint(st.Ino)
}

// install puts a program under a path as dpkg does: the file that runs is kept by the kernel.
func install(t *testing.T, program, path string) {
	t.Helper()
	raw, err := os.ReadFile(program)
	if err == nil {
		err = os.WriteFile(path+".new", raw, 0o755)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// upgradable is a node of a pair whose program is in a place of its own.
type upgradable struct {
	*daemon
	bin  string
	next string // inode of version v2
}

func (p *place) startUpgradable(program string) *upgradable {
	p.t.Helper()
	bin := filepath.Join(p.t.TempDir(), "lvs-ha")
	install(p.t, program, bin)
	return &upgradable{daemon: p.startProgram(bin), bin: bin}
}

// installNext installs version v2, which fails as the fault says. The configuration that the director has stored is as one of a
// version whose configuration has other fields.
func (u *upgradable) installNext(fault string) {
	u.t.Helper()
	if u.next == "" || inode(u.bin) != u.next {
		install(u.t, "/proc/self/exe", u.bin)
		u.next = inode(u.bin)
	}
	if err := os.WriteFile(u.bin+faultSuffix, []byte(u.next+" "+fault), 0o600); err != nil {
		u.t.Fatal(err)
	}
	state := u.path("run/director.json")
	text, err := os.ReadFile(state)
	if err != nil {
		u.t.Fatal(err)
	}
	other := regexp.MustCompile(`"shape":"[^"]+"`).ReplaceAllLiteral(text, []byte(`"shape":"another"`))
	if bytes.Equal(other, text) && !bytes.Contains(text, []byte(`"shape":"another"`)) {
		u.t.Errorf("the stored configuration has no shape: %s", text)
	}
	if err := os.WriteFile(state+".new", other, 0o600); err != nil {
		u.t.Fatal(err)
	}
	if err := os.Rename(state+".new", state); err != nil {
		u.t.Fatal(err)
	}
}

func (u *upgradable) upgrade() answer {
	u.t.Helper()
	return u.runWithin(3*patience, u.bin, "upgrade", "--runtime-dir", u.path("run")) // one that fails takes as long as a worker may hang
}

// TestHostUpgrade upgrades a pair with adverts every 100 ms: first the backup, then the master, to versions that fail in many ways,
// each of which is put back, and to one that works. No failure and no success is visible to a client, on the wire, to the peer, on the
// interface or to those who ask for the status.
func TestHostUpgrade(t *testing.T) {
	lab.Need(t, lab.Host)
	running, err := exec.LookPath("lvs-ha")
	if err != nil {
		t.Fatal(err)
	}
	places := newPlaces(t, 3)
	places[0].configure(gateway)
	places[1].configure(strings.Replace(gateway, "150", "100", 1))
	master := places[0].startUpgradable(running)
	before := master.awaitStatus("master", isMaster)
	peer := places[1].startUpgradable(running)
	isBackup := func(s api.Status) bool {
		return len(s.VRRP) == 1 && s.VRRP[0].State == vrrp.Backup && s.VRRP[0].MasterPriority == 150
	}
	peer.awaitStatus("backup", isBackup)
	longest := peer.watchAdverts("eth0", netip.MustParseAddr("192.0.2.1"))
	absent := master.watchAddress("eth0", netip.MustParseAddr("192.0.2.100"))
	unanswered := places[2].probe(places[:2])
	failures := []func() []answer{master.watchAnswers("status"), peer.watchAnswers("status")}

	peer.installNext("")
	peer.wantAnswer(peer.upgrade(), 0, "version v2 runs")
	backup := peer.awaitStatus("backup in version v2", func(s api.Status) bool { return isBackup(s) && s.Version == "v2" }).VRRP[0]
	master.wantAnswer(master.upgrade(), 0, "is already running")
	master.upgradeToBroken(before.Version)
	master.installNext("")
	master.wantAnswer(master.upgrade(), 0, "version v2 runs")
	after := master.awaitStatus("master in version v2", func(s api.Status) bool { return isMaster(s) && s.Version == "v2" })
	if u := after.Upgrade; u == nil || u.To != "v2" {
		t.Errorf("the status says %+v about the upgrade", u)
	}
	master.wantAnswer(master.asked("status"), 0, "upgrade from version "+before.Version+" to v2: done")
	if got := after.VRRP[0]; got.Reason != string(vrrp.ReasonAdopted) {
		t.Errorf("the node is master because of %q", got.Reason)
	}
	if gap := longest(); gap > 300*time.Millisecond { // what the peer waits for is 361 ms
		t.Errorf("%v without an advert", gap)
	}
	if times := absent(); times != 0 {
		t.Errorf("the address was absent %d times", times)
	}
	if lost, sent := unanswered(); lost > 0 || sent < 500 {
		t.Errorf("%d of %d datagrams were not answered", lost, sent)
	}
	for _, failures := range failures {
		if got := failures(); len(got) > 0 {
			t.Errorf("the status failed %d times: %+v", len(got), got[0])
		}
	}
	now := peer.awaitStatus("backup", isBackup).VRRP[0]
	if now.Transitions != 0 || !now.Since.Equal(backup.Since) {
		t.Errorf("the peer is %s because of %q since %s, and was master %d times", now.State, now.Reason, now.Since, now.Transitions)
	}
	master.upgradeOfUnknownState(running)
}

// upgradeToBroken upgrades to programs that do not work.
func (u *upgradable) upgradeToBroken(version string) {
	u.t.Helper()
	for _, broken := range []struct{ name, text, said string }{
		{"no program", "not executable as a program", "exec format error"},
		{"no lvs-ha", "#!/bin/sh\nexit 0\n", "it is not a version of lvs-ha that can"},
	} {
		if err := os.Remove(u.bin); err != nil {
			u.t.Fatal(err)
		}
		if err := os.WriteFile(u.bin, []byte(broken.text), 0o755); err != nil {
			u.t.Fatal(err)
		}
		got := u.asked("upgrade")
		if got.status != 1 || !strings.Contains(got.stderr, broken.said) {
			u.t.Errorf("%s: %+v", broken.name, got)
		}
	}
	for _, fault := range []struct{ what, said string }{
		{"run exit", "exit status 9"},
		{"speaker exit", "its speaker ended"},
		{"director exit", "its director ended"},
		{"speaker hang", "its speaker ended: hung"},
	} {
		u.installNext(fault.what)
		got := u.upgrade()
		if got.status != 1 || !strings.Contains(got.stderr, fault.said) {
			u.t.Errorf("%s: %+v", fault.what, got)
		}
		if s := u.awaitStatus("master", isMaster); s.Upgrade == nil || s.Upgrade.Error == "" {
			u.t.Errorf("%s: the status says %+v about the upgrade", fault.what, s.Upgrade)
		} else if s.Version != version {
			u.t.Errorf("%s: version %s runs", fault.what, s.Version)
		}
	}
}

// upgradeOfUnknownState upgrades a master whose instances the other version cannot read. That is refused until another router is
// master.
func (u *upgradable) upgradeOfUnknownState(program string) {
	u.t.Helper()
	erase := func() {
		u.t.Helper()
		descriptors := fmt.Sprintf("/proc/%d/fd", u.cmd.Process.Pid)
		all, err := os.ReadDir(descriptors)
		if err != nil {
			u.t.Fatal(err)
		}
		for _, fd := range all {
			path := filepath.Join(descriptors, fd.Name())
			if target, err := os.Readlink(path); err != nil || !strings.Contains(target, speaker.TenuresName) {
				continue
			}
			if err := os.Truncate(path, 16<<20); err != nil { // behind that are the instances
				u.t.Fatal(err)
			}
			return
		}
		u.t.Fatal("the parent does not have the memory of the speakers")
	}
	install(u.t, program, u.bin)
	erase()
	if got := u.upgrade(); got.status != 1 || !strings.Contains(got.stderr, "fail over first") {
		u.t.Errorf("without a state that it knows: %+v", got)
	}
	u.wantAnswer(u.asked("failover"), 0, "handed over")
	erase()
	u.wantAnswer(u.upgrade(), 0, "runs")
}

// probe sends datagrams every few milliseconds through 192.0.2.100 to the nodes that may have it. stop returns how many of how many
// were not answered. It depends on no time: the network keeps their order.
func (p *place) probe(through []*place) (stop func() (lost, sent int)) {
	p.t.Helper()
	const service = "192.0.2.100:7007"
	for _, node := range through {
		if err := node.host.Sysctl("net.ipv4.ip_nonlocal_bind", "1"); err != nil {
			p.t.Fatal(err)
		}
		if _, err := node.host.UDPEcho("echo", service); err != nil {
			p.t.Fatal(err)
		}
	}
	conn, err := p.host.DialContext(p.t.Context(), "udp", service)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close() })
	var answered, latest atomic.Int64
	go func() {
		for buf := make([]byte, 64); ; {
			n, err := conn.Read(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			var number int64
			if _, failed := fmt.Sscanf(string(buf[:max(n, 0)]), "echo %d", &number); err == nil && failed == nil {
				answered.Add(1)
				latest.Store(number)
			}
		}
	}()
	done := make(chan struct{})
	var sending sync.WaitGroup
	sent := 0
	sending.Go(func() {
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			sent++
			_, _ = fmt.Fprint(conn, sent) // a datagram that is refused is not answered either
			select {
			case <-tick.C:
			case <-done:
				tick.Stop()
				return
			}
		}
	})
	return func() (int, int) {
		close(done)
		sending.Wait()
		eventually(p.t, "the last datagram is answered", func() bool { return latest.Load() == int64(sent) })
		return sent - int(answered.Load()), sent
	}
}

// watchAnswers asks the daemon several times a second. stop returns the answers that were none.
func (u *upgradable) watchAnswers(args ...string) (stop func() []answer) {
	done := make(chan struct{})
	var failed []answer
	var watching sync.WaitGroup
	watching.Go(func() {
		for tick := time.NewTicker(100 * time.Millisecond); ; {
			if got := u.asked(args...); got.status != 0 && got.status != statusDegraded {
				failed = append(failed, got)
			}
			select {
			case <-tick.C:
			case <-done:
				tick.Stop()
				return
			}
		}
	})
	return func() []answer {
		close(done)
		watching.Wait()
		return failed
	}
}

// watchAddress looks for an address every few milliseconds. stop returns how often it was absent.
func (p *place) watchAddress(device string, address netip.Addr) (stop func() int) {
	p.t.Helper()
	link, err := p.host.Netlink().LinkByName(device)
	if err != nil {
		p.t.Fatal(err)
	}
	done := make(chan struct{})
	var absent int
	var watching sync.WaitGroup
	watching.Go(func() {
		for tick := time.NewTicker(3 * time.Millisecond); ; {
			all, err := p.host.Netlink().AddrList(link, netlink.FAMILY_V4)
			for errors.Is(err, netlink.ErrDumpInterrupted) { // another address was changed meanwhile
				all, err = p.host.Netlink().AddrList(link, netlink.FAMILY_V4)
			}
			if err != nil || !slices.ContainsFunc(all, func(a netlink.Addr) bool { return a.IP.Equal(address.AsSlice()) }) {
				absent++
			}
			select {
			case <-tick.C:
			case <-done:
				tick.Stop()
				return
			}
		}
	})
	return func() int {
		close(done)
		watching.Wait()
		return absent
	}
}

// watchAdverts receives the adverts of a node. stop returns the longest time between two, by the kernel's clock.
func (p *place) watchAdverts(device string, from netip.Addr) (stop func() time.Duration) {
	p.t.Helper()
	capture, err := p.host.Capture(device, lab.AdvertsOf(from))
	if err != nil {
		p.t.Fatal(err)
	}
	return func() (longest time.Duration) {
		adverts := capture.Frames()
		for i := 1; i < len(adverts); i++ {
			longest = max(longest, adverts[i].Time.Sub(adverts[i-1].Time))
		}
		p.t.Logf("%d adverts, at most %v apart", len(adverts), longest)
		if len(adverts) < 20 {
			p.t.Errorf("only %d adverts were seen", len(adverts))
		}
		return longest
	}
}
