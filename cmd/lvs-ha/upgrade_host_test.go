package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// faulty is a file added to a build of lvs-ha. It makes one command of the program fail as the file says whose name the linker
// sets: "director exit" for example.
const faulty = `package main

import ("os"; "strings"; "time")

var faultFile string

func init() {
	text, _ := os.ReadFile(faultFile)
	what, how, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	if len(os.Args) < 2 || os.Args[1] != what { return }
	switch how {
	case "exit": os.Exit(9)
	case "hang": time.Sleep(time.Hour)
	}
}
`

// buildNext builds lvs-ha as version v2 with faults, which the returned function sets.
func buildNext(t *testing.T) (path string, setFault func(string)) {
	t.Helper()
	dir := t.TempDir()
	fault := filepath.Join(dir, "fault")
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(here, "zz_faulty.go"): write("faulty.go", faulty)}})
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "next")
	build := exec.Command("nice", "-n", "19", "go", "build", "-overlay", write("overlay.json", string(overlay)),
		"-ldflags", fmt.Sprintf("-s -w -X main.version=v2 -X main.faultFile=%s", fault), "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the next version: %v\n%s", err, text)
	}
	return path, func(what string) { write("fault", what) }
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

// TestHostUpgrade upgrades the master of a pair with adverts every 100 ms: to versions that fail in many ways, each of which is
// put back, then to one that works. No failure and no success is visible on the wire, to the peer or on the interface.
func TestHostUpgrade(t *testing.T) {
	lab.Need(t, lab.Host)
	next, setFault := buildNext(t)
	places := newPlaces(t, 2)
	master, peer := places[0], places[1]
	master.configure(gateway)
	peer.configure(strings.Replace(gateway, "150", "100", 1))
	running, err := exec.LookPath("lvs-ha")
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(t.TempDir(), "lvs-ha")
	install(t, running, bin)
	d := master.startProgram(bin)
	before := d.awaitStatus("master", isMaster)
	second := peer.start()
	backup := second.awaitStatus("backup", func(s api.Status) bool {
		return len(s.VRRP) == 1 && s.VRRP[0].State == vrrp.Backup && s.VRRP[0].MasterPriority == 150
	}).VRRP[0]
	upgrade := func() answer { return master.run(bin, "upgrade", "--runtime-dir", master.path("run")) }
	longest := peer.watchAdverts("eth0", netip.MustParseAddr("192.0.2.1"))
	absent := master.watchAddress("eth0", netip.MustParseAddr("192.0.2.100"))

	master.wantAnswer(upgrade(), 0, "is already running")
	for _, broken := range []struct{ name, text, said string }{
		{"no program", "not executable as a program", "exec format error"},
		{"no lvs-ha", "#!/bin/sh\nexit 0\n", "it is no version of lvs-ha that can"},
	} {
		if err := os.Remove(bin); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(bin, []byte(broken.text), 0o755); err != nil {
			t.Fatal(err)
		}
		got := master.asked("upgrade")
		if got.status != 1 || !strings.Contains(got.stderr, broken.said) {
			t.Errorf("%s: %+v", broken.name, got)
		}
	}
	install(t, next, bin)
	for _, fault := range []struct{ what, said string }{
		{"run exit", "exit status 9"},
		{"speaker exit", "its speaker ended"},
		{"director exit", "its director ended"},
		{"speaker hang", "its speaker ended: hung"},
	} {
		setFault(fault.what)
		got := upgrade()
		if got.status != 1 || !strings.Contains(got.stderr, fault.said) {
			t.Errorf("%s: %+v", fault.what, got)
		}
		if s := d.awaitStatus("master", isMaster); s.Upgrade == nil || s.Upgrade.Error == "" {
			t.Errorf("%s: the status says %+v about the upgrade", fault.what, s.Upgrade)
		} else if s.Version != before.Version {
			t.Errorf("%s: version %s runs", fault.what, s.Version)
		}
	}
	setFault("")
	master.wantAnswer(upgrade(), 0, "version v2 runs")
	after := d.awaitStatus("master in version v2", func(s api.Status) bool { return isMaster(s) && s.Version == "v2" })
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
	now := second.awaitStatus("backup", func(s api.Status) bool { return len(s.VRRP) == 1 && s.VRRP[0].State == vrrp.Backup }).VRRP[0]
	if now.Transitions != backup.Transitions || !now.Since.Equal(backup.Since) {
		t.Errorf("the peer is %s because of %q since %s", now.State, now.Reason, now.Since)
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
