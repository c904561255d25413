package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// TestKernelUpgradeKeepsConnections upgrades to a copy of the running program. The data path must stay complete, a connection
// through IPVS must continue, and the kernel's thread that sends connections to the peer must stay.
func TestKernelUpgradeKeepsConnections(t *testing.T) {
	lab.Need(t, lab.Kernel)
	places := newPlaces(t, 2)
	p, server := places[0], places[1]
	// At an advert interval of 100 ms, a peer could take over before a process has started in the test kernel.
	synced := strings.Replace(withService, "  priority ", "  connection_sync { interface = \"eth0\" }\n  priority ", 1)
	p.configure(strings.Replace(strings.Replace(synced, "100ms", "300ms", 1), "192.0.2.7", "192.0.2.2", 1) + `
director { on_stop = "remove" }
sysctl { manage = true }
`)
	running, err := exec.LookPath("lvs-ha")
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(t.TempDir(), "lvs-ha")
	install(t, running, bin)
	d := p.startProgram(bin)
	before := d.awaitStatus("master", isMaster)
	whole := dataPath{services: 1, servers: 1, address: true, forwarding: "1"}
	eventually(t, "the data path is complete", func() bool {
		seen := p.watchDataPath()()
		return seen[len(seen)-1] == whole
	})
	conn := server.echoTo(p)
	say := func(text string) {
		t.Helper()
		if _, err := fmt.Fprint(conn, text); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, len(text))); err != nil {
			t.Fatalf("the connection does not answer: %v", err)
		}
	}
	say("before")
	sender := func() (pids []string) {
		all, _ := filepath.Glob("/proc/[0-9]*/comm")
		for _, path := range all {
			if text, _ := os.ReadFile(path); strings.HasPrefix(string(text), "ipvs-m:") { // net/netfilter/ipvs/ip_vs_sync.c
				pids = append(pids, filepath.Base(filepath.Dir(path)))
			}
		}
		return pids
	}
	eventually(t, "the kernel sends connections to the peer", func() bool { return len(sender()) == 1 })
	sends := sender()
	stop := p.watchDataPath()
	install(t, running, bin)
	p.wantAnswer(p.run(bin, "upgrade", "--runtime-dir", p.path("run")), 0, "runs")
	if seen := stop(); !slices.Equal(seen, []dataPath{whole}) {
		t.Errorf("the data path was %s, want %+v throughout", fmt.Sprintf("%+v", seen), whole)
	}
	d.awaitStatus("master by the next workers", func(s api.Status) bool { return s.Started.After(before.Started) && isMaster(s) })
	say("after")
	if now := sender(); !slices.Equal(now, sends) {
		t.Errorf("threads %v send connections to the peer, before the upgrade %v", now, sends)
	}
}

// echoTo starts an echo server at port 80 of this place, and connects to it from a director through the virtual service.
func (p *place) echoTo(director *place) net.Conn {
	p.t.Helper()
	if err := p.host.Do(func() error {
		l, err := net.Listen("tcp", "192.0.2.2:80")
		if err != nil {
			return err
		}
		p.t.Cleanup(func() { l.Close() })
		go func() {
			if conn, err := l.Accept(); err == nil {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}
		}()
		return nil
	}); err != nil {
		p.t.Fatal(err)
	}
	var conn net.Conn
	if err := director.host.Do(func() (err error) {
		dialer := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}}
		conn, err = dialer.Dial("tcp", "192.0.2.100:80")
		return err
	}); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(3 * patience))
	return conn
}
