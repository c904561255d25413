package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/explain"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// troubled is a pair that has troubles, and whose transitions are explained: a with priority 150 and tracks, b with 100.
type troubled struct {
	*testing.T
	a, b *daemon
}

func (p *troubled) configA() string {
	return fmt.Sprintf(`
track_script "answer" {
  command  = ["/usr/bin/test", "-e", %q]
  interval = "200ms"
  rise     = 1
  fall     = 1
}
track_file "lower" { path = %q }
`, p.a.path("answer"), p.a.path("lower")) + strings.Replace(gateway, "  virtual_router_id", "  track_interface \"uplink\" {}\n  track \"answer\" {}\n  track \"lower\" { weight = -1 }\n  virtual_router_id", 1)
}

func (p *troubled) configB() string { return strings.Replace(gateway, "150", "100", 1) }

// reload loads a configuration.
func (p *troubled) reload(d *daemon, text string) {
	p.Helper()
	d.configure(text)
	if got := d.asked("reload"); got.status != 0 {
		p.Errorf("reload: %+v", got)
	}
}

// command runs a command on a node, which must succeed.
func (p *troubled) command(d *daemon, argv ...string) {
	p.Helper()
	if got := d.run(argv...); got.status != 0 {
		p.Fatalf("%q: %+v", argv, got)
	}
}

func (p *troubled) write(d *daemon, name, text string) {
	p.Helper()
	if err := os.WriteFile(d.path(name), []byte(text), 0o644); err != nil {
		p.Fatal(err)
	}
}

func (p *troubled) signal(d *daemon, worker string, s syscall.Signal) {
	p.Helper()
	if err := syscall.Kill(d.worker(worker), s); err != nil {
		p.Fatal(err)
	}
}

// settled waits until a is master and b is backup.
func (p *troubled) settled() {
	p.Helper()
	p.a.awaitStatus("master", isMaster)
	p.b.awaitStatus("backup", func(s api.Status) bool {
		return inState(vrrp.Backup)(s) && s.VRRP[0].MasterPriority > 100
	})
}

// await waits until the last transition of a node after a time is explained by a cause and, with the recording of another node, by
// that of the peer.
func (p *troubled) await(d *daemon, after time.Time, want explain.Code, other *daemon, peer explain.Code) {
	p.Helper()
	if want == "" {
		return
	}
	args := []string{"explain", "--runtime-dir", d.path("run"), "-o", "json", "gateway"}
	var got explained
	deadline := time.Now().Add(patience)
	for tries := 0; ; tries++ {
		try := args
		if peer != "" {
			saved := filepath.Join(p.TempDir(), "saved")
			if said := other.lvsha("explain", "--runtime-dir", other.path("run"), "--save", saved); said.status != 0 {
				p.Fatalf("saving the recording: %+v", said)
			}
			try = append(args, "--peer", saved)
		}
		got = explained{}
		said := d.lvsha(try...)
		if err := json.Unmarshal([]byte(said.stdout), &got); said.status == 0 && err == nil && got.Time.After(after) && got.Cause == want && (peer == "" || got.Peer.Cause == peer) {
			if strings.Contains(got.Text, "higher priority 0") {
				p.Errorf("node %s explains %+v", filepath.Base(d.dir), got.Story)
			}
			return
		}
		if time.Now().After(deadline) {
			p.Errorf("node %s explains %+v, peer %+v; want %s, %s", filepath.Base(d.dir), got.Story, got.Peer, want, peer)
			return
		}
		<-time.After(50 * time.Millisecond)
	}
}

// trouble is something that happens to a pair, and its end, with the causes of the transitions that they lead to.
type trouble struct {
	name  string
	begin func(p *troubled)
	a, b  explain.Code // empty: no transition
	peer  explain.Code // of b's transition, with a's recording
	end   func(p *troubled)
	backA explain.Code
	backB explain.Code
}

// troubles are in this order, since some depend on what b heard of a before.
func troubles() []trouble {
	refuse := func(p *troubled, change string) {
		p.reload(p.b, strings.Replace(p.configB(), "  virtual_router_id", change+"\n  virtual_router_id", 1))
	}
	restoreB := func(p *troubled) { p.reload(p.b, p.configB()) }
	filter := func(d *daemon, p *troubled, hook string) {
		p.command(d, "nft", "add table inet f; add chain inet f c { type filter hook "+hook+" priority 0; }; add rule inet f c meta l4proto 112 drop")
	}
	return []trouble{
		{name: "script fails", begin: func(p *troubled) { os.Remove(p.a.path("answer")) }, a: "track-script", b: explain.MasterLeft, peer: explain.PeerChanged,
			end: func(p *troubled) { p.write(p.a, "answer", "") }, backA: explain.LesserMaster, backB: explain.BetterMaster},
		{name: "interface fails", begin: func(p *troubled) { p.command(p.a, "ip", "link", "set", "far", "down") }, a: "track-interface", b: explain.MasterLeft,
			end: func(p *troubled) { p.command(p.a, "ip", "link", "set", "far", "up") }, backA: explain.LesserMaster, backB: explain.BetterMaster},
		{name: "cable is pulled", begin: func(p *troubled) { p.cable(p.a.lab.Unplug) }, b: explain.MasterSilent, peer: explain.PeerSending,
			end: func(p *troubled) { p.cable(p.a.lab.Plug) }, backB: explain.BetterMaster},
		{name: "card fails", begin: func(p *troubled) { p.command(p.a, "ip", "link", "set", "eth0", "down") }, a: explain.Code(vrrp.ReasonInterfaceDown), b: explain.MasterSilent, peer: explain.PeerChanged,
			end: func(p *troubled) { p.command(p.a, "ip", "link", "set", "eth0", "up") }, backA: explain.LesserMaster, backB: explain.BetterMaster},
		{name: "packet filter on b", begin: func(p *troubled) { filter(p.b, p, "input") }, b: explain.AdvertsFiltered, peer: explain.PeerSending,
			end: func(p *troubled) { p.command(p.b, "nft", "delete table inet f") }, backB: explain.BetterMaster},
		{name: "packet filter on a for what it sends", begin: func(p *troubled) { filter(p.a, p, "output") }, b: explain.MasterSilent, peer: explain.PeerNoSend,
			end: func(p *troubled) { p.command(p.a, "nft", "delete table inet f") }, backB: explain.BetterMaster},
		{name: "key missing on a", begin: func(p *troubled) {
			refuse(p, "  auth_hmac {\n    active_key = 1\n    key \"1\" { secret = \"text-of-a-key-with-thirty-two-bytes\" }\n  }")
		}, b: explain.AdvertsRefused, end: restoreB},
		{name: "peer is not listed", begin: func(p *troubled) { refuse(p, `  unicast_peers = ["192.0.2.77"]`) }, b: explain.AdvertsRefused, end: restoreB},
		{name: "speaker stops", begin: func(p *troubled) { p.signal(p.a, "speaker", syscall.SIGSTOP) }, b: explain.MasterSilent,
			end: func(p *troubled) { p.signal(p.a, "speaker", syscall.SIGCONT) }, backB: explain.BetterMaster},
		{name: "speaker is killed", begin: func(p *troubled) { p.signal(p.a, "speaker", syscall.SIGKILL) }, a: explain.Replaced, end: func(*troubled) {}},
		{name: "operator hands over", begin: func(p *troubled) { p.command(p.a, "lvs-ha", "failover", "--runtime-dir", p.a.path("run")) }, a: explain.Failover, b: explain.MasterLeft, peer: explain.PeerChanged,
			end: func(p *troubled) { p.command(p.a, "lvs-ha", "failover", "--undo", "--runtime-dir", p.a.path("run")) }, backA: explain.FailoverEnded, backB: explain.BetterMaster},
		{name: "number in a file", begin: func(p *troubled) { p.write(p.a, "lower", "100") }, a: "track-file", b: explain.PeerLowered, peer: explain.PeerChanged,
			end: func(p *troubled) { p.write(p.a, "lower", "0") }, backA: "track-file", backB: explain.PeerRaised},
		{name: "reload", begin: func(p *troubled) { p.reload(p.a, strings.Replace(p.configA(), "150", "90", 1)) }, a: explain.Reload, b: explain.PeerLowered,
			end: func(p *troubled) { p.reload(p.a, p.configA()) }, backA: explain.Reload, backB: explain.PeerRaised},
		{name: "removed by a reload", begin: func(p *troubled) {
			p.reload(p.a, strings.NewReplacer(`"gateway"`, `"other"`, "= 10", "= 77").Replace(p.configA()))
		}, a: explain.Removed, b: explain.MasterLeft,
			end: func(p *troubled) { p.reload(p.a, p.configA()) }, backB: explain.BetterMaster},
	}
}

func (p *troubled) cable(move func(host, iface string) error) {
	p.Helper()
	if err := move("director1", "eth0"); err != nil {
		p.Fatal(err)
	}
}

// TestHostExplainedCauses causes troubles on a pair. Each transition that follows from them is explained rightly, on both nodes.
func TestHostExplainedCauses(t *testing.T) {
	lab.Need(t, lab.Host)
	places := newPlaces(t, 2)
	p := &troubled{T: t, a: &daemon{place: places[0]}, b: &daemon{place: places[1]}}
	p.command(p.a, "ip", "link", "add", "uplink", "type", "veth", "peer", "name", "far")
	for _, name := range []string{"uplink", "far"} {
		p.command(p.a, "ip", "link", "set", name, "up")
	}
	if err := os.Chmod(p.a.dir, 0o755); err != nil { // the script runs as nobody
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(p.a.dir), 0o755); err != nil {
		t.Fatal(err)
	}
	p.write(p.a, "answer", "")
	p.write(p.a, "lower", "0")
	places[0].configure(p.configA())
	places[1].configure(p.configB())
	p.a, p.b = places[0].start(), places[1].start()
	p.settled()
	for _, one := range troubles() {
		ok := t.Run(one.name, func(t *testing.T) {
			now := troubled{T: t, a: p.a, b: p.b}
			began := time.Now()
			one.begin(&now)
			now.await(now.b, began, one.b, now.a, one.peer)
			now.await(now.a, began, one.a, nil, "")
			ended := time.Now()
			one.end(&now)
			now.settled()
			now.await(now.a, ended, one.backA, nil, "")
			now.await(now.b, ended, one.backB, nil, "")
		})
		if !ok {
			return
		}
	}
	if got := p.a.lvsha("explain", "--runtime-dir", p.a.path("run"), "--replay"); got.status != 0 {
		t.Errorf("the replay: %+v", got)
	}
}
