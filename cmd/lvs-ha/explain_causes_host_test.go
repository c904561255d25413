package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
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

// troubled is a pair that has troubles, and whose transitions are explained: a is to be master.
type troubled struct {
	*testing.T
	a, b         *daemon
	textA, textB string               // the configurations
	third        *place               // another host on the LAN; nil unless the stage wants one
	served       map[string]*exec.Cmd // the processes of a's services
}

// router returns gateway with a priority and further attributes.
func router(priority int, more string) string {
	return strings.NewReplacer("= 150", fmt.Sprintf("= %d", priority), "  virtual_router_id", more+"\n  virtual_router_id").Replace(gateway)
}

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

// settled waits until a is master and b is backup, with all instances.
func (p *troubled) settled() {
	p.Helper()
	all := func(state vrrp.State, least uint8) func(api.Status) bool {
		return func(s api.Status) bool {
			for _, v := range s.VRRP {
				if v.State != state || v.MasterPriority < least {
					return false
				}
			}
			return len(s.VRRP) > 0
		}
	}
	p.a.awaitStatus("master", all(vrrp.Master, 0))
	p.b.awaitStatus("backup", all(vrrp.Backup, 101))
}

// await waits until the last transition of a node after a time is explained by a cause and, with the recording of another node, by
// that of the peer. With passing, further transitions may follow that one.
func (p *troubled) await(d *daemon, after time.Time, passing bool, want explain.Code, other *daemon, peer explain.Code) {
	p.Helper()
	if want == "" {
		return
	}
	var seen []string
	deadline := time.Now().Add(patience)
	for {
		seen = nil
		for at := time.Now().Add(time.Hour); ; {
			got, ok := p.explanation(d, at, other, peer)
			if !ok || !got.Time.After(after) {
				break
			}
			if got.Cause == want && (peer == "" || got.Peer.Cause == peer) {
				if strings.Contains(got.Text, "higher priority 0") {
					p.Errorf("node %s explains %+v", filepath.Base(d.dir), got.Story)
				}
				return
			}
			seen = append(seen, fmt.Sprintf("%+v, peer %+v", got.Story, got.Peer))
			if !passing {
				break
			}
			at = got.Time.Add(-time.Millisecond)
		}
		if time.Now().After(deadline) {
			p.Errorf("node %s explains %q; want %s, %s", filepath.Base(d.dir), seen, want, peer)
			return
		}
		<-time.After(50 * time.Millisecond)
	}
}

// explanation returns how a node explains its last transition until a time, also with another node's recording if the peer's view is
// of interest.
func (p *troubled) explanation(d *daemon, at time.Time, other *daemon, peer explain.Code) (got explained, ok bool) {
	p.Helper()
	args := []string{"explain", "--runtime-dir", d.path("run"), "-o", "json", "--at", at.Format(time.RFC3339Nano), "gateway"}
	if peer != "" {
		saved := filepath.Join(p.TempDir(), "saved")
		if said := other.lvsha("explain", "--runtime-dir", other.path("run"), "--save", saved); said.status != 0 {
			p.Fatalf("saving the recording: %+v", said)
		}
		args = append(args, "--peer", saved)
	}
	said := d.lvsha(args...)
	return got, said.status == 0 && json.Unmarshal([]byte(said.stdout), &got) == nil
}

// trouble is something that happens to a pair, and its end, with the causes of the transitions that they lead to.
type trouble struct {
	name    string
	begin   func(p *troubled)
	a, b    explain.Code // empty: no transition
	peer    explain.Code // of b's transition, with a's recording
	end     func(p *troubled)
	backA   explain.Code
	backB   explain.Code
	passing bool // each transition may be followed by others
}

// stage is a pair with the troubles that it has, in this order, since some depend on what b heard of a before.
type stage struct {
	name     string
	third    bool                     // another host is on the LAN
	a, b     func(p *troubled) string // the configurations
	prepare  func(p *troubled)        // before the start; nil: nothing
	troubles []trouble
}

func restoreA(p *troubled) { p.reload(p.a, p.textA) }
func restoreB(p *troubled) { p.reload(p.b, p.textB) }

// changeB returns a trouble's begin: b has further attributes in its instance.
func changeB(more string) func(p *troubled) {
	return func(p *troubled) {
		p.reload(p.b, strings.Replace(p.textB, "  virtual_router_id", more+"\n  virtual_router_id", 1))
	}
}

func (p *troubled) filter(d *daemon, hook, does string) {
	p.command(d, "nft", "add table inet f; add chain inet f c { type filter hook "+hook+" priority 0; }; add rule inet f c meta l4proto 112 "+does)
}

func unfilter(d func(p *troubled) *daemon) func(p *troubled) {
	return func(p *troubled) { p.command(d(p), "nft", "delete table inet f") }
}

func nodeA(p *troubled) *daemon { return p.a }
func nodeB(p *troubled) *daemon { return p.b }

func setFar(state string) func(p *troubled) {
	return func(p *troubled) { p.command(p.a, "ip", "link", "set", "far", state) }
}

func write(name, text string) func(p *troubled) {
	return func(p *troubled) { p.write(p.a, name, text) }
}

func remove(name string) func(p *troubled) {
	return func(p *troubled) {
		if err := os.Remove(p.a.path(name)); err != nil {
			p.Fatal(err)
		}
	}
}

// everyday has what operators see most.
func everyday() stage {
	return stage{
		name: "everyday",
		a: func(p *troubled) string {
			return fmt.Sprintf(`
track_script "answer" {
  command  = ["/usr/bin/test", "-e", %q]
  interval = "200ms"
  rise     = 1
  fall     = 1
}
track_file "lower" { path = %q }
`, p.a.path("answer"), p.a.path("lower")) + router(150, "  track_interface \"uplink\" {}\n  track \"answer\" {}\n  track \"lower\" { weight = -1 }")
		},
		b: func(*troubled) string { return router(100, "") },
		prepare: func(p *troubled) {
			p.write(p.a, "answer", "")
			p.write(p.a, "lower", "0")
		},
		troubles: everydayTroubles(),
	}
}

func everydayTroubles() []trouble {
	return []trouble{
		{name: "script fails", begin: remove("answer"), a: "track-script", b: explain.MasterLeft, peer: explain.PeerChanged,
			end: write("answer", ""), backA: explain.LesserMaster, backB: explain.BetterMaster},
		{name: "interface fails", begin: setFar("down"), a: "track-interface", b: explain.MasterLeft,
			end: setFar("up"), backA: explain.LesserMaster, backB: explain.BetterMaster},
		{name: "cable is pulled", begin: func(p *troubled) { p.cable(p.a.lab.Unplug) }, b: explain.MasterSilent, peer: explain.PeerSending,
			end: func(p *troubled) { p.cable(p.a.lab.Plug) }, backB: explain.BetterMaster},
		{name: "card fails", begin: func(p *troubled) { p.command(p.a, "ip", "link", "set", "eth0", "down") }, a: explain.Code(vrrp.ReasonInterfaceDown), b: explain.MasterSilent, peer: explain.PeerChanged,
			end: func(p *troubled) { p.command(p.a, "ip", "link", "set", "eth0", "up") }, backA: explain.LesserMaster, backB: explain.BetterMaster},
		{name: "packet filter on b", begin: func(p *troubled) { p.filter(p.b, "input", "drop") }, b: explain.AdvertsFiltered, peer: explain.PeerSending,
			end: unfilter(nodeB), backB: explain.BetterMaster},
		{name: "packet filter on a for what it sends", begin: func(p *troubled) { p.filter(p.a, "output", "drop") }, b: explain.MasterSilent, peer: explain.PeerNoSend,
			end: unfilter(nodeA), backB: explain.BetterMaster},
		{name: "key missing on a", begin: changeB(hmac(1, "text-of-a-key-with-thirty-two-bytes")), b: explain.AdvertsRefused, end: restoreB},
		{name: "peer is not listed", begin: changeB(`  unicast_peers = ["192.0.2.77"]`), b: explain.AdvertsRefused, end: restoreB},
		{name: "speaker stops", begin: func(p *troubled) { p.signal(p.a, "speaker", syscall.SIGSTOP) }, b: explain.MasterSilent,
			end: func(p *troubled) { p.signal(p.a, "speaker", syscall.SIGCONT) }, backB: explain.BetterMaster},
		{name: "speaker is killed", begin: func(p *troubled) { p.signal(p.a, "speaker", syscall.SIGKILL) }, a: explain.Replaced, end: func(*troubled) {}},
		{name: "operator hands over", begin: func(p *troubled) { p.command(p.a, "lvs-ha", "failover", "--runtime-dir", p.a.path("run")) }, a: explain.Failover, b: explain.MasterLeft, peer: explain.PeerChanged,
			end: func(p *troubled) { p.command(p.a, "lvs-ha", "failover", "--undo", "--runtime-dir", p.a.path("run")) }, backA: explain.FailoverEnded, backB: explain.BetterMaster},
		{name: "number in a file", begin: write("lower", "100"), a: "track-file", b: explain.PeerLowered, peer: explain.PeerChanged,
			end: write("lower", "0"), backA: "track-file", backB: explain.PeerRaised},
		{name: "reload", begin: func(p *troubled) { p.reload(p.a, strings.Replace(p.textA, "= 150", "= 90", 1)) }, a: explain.Reload, b: explain.PeerLowered,
			end: restoreA, backA: explain.Reload, backB: explain.PeerRaised},
		{name: "removed by a reload", begin: func(p *troubled) {
			p.reload(p.a, strings.NewReplacer(`"gateway"`, `"other"`, "= 10", "= 77").Replace(p.textA))
		}, a: explain.Removed, b: explain.MasterLeft,
			end: restoreA, backB: explain.BetterMaster},
	}
}

func (p *troubled) cable(move func(host, iface string) error) {
	p.Helper()
	if err := move("director1", "eth0"); err != nil {
		p.Fatal(err)
	}
}

// TestHostExplainedCauses causes troubles on pairs. Each transition that follows from them is explained rightly, on both nodes.
func TestHostExplainedCauses(t *testing.T) {
	lab.Need(t, lab.Host)
	stages := []stage{everyday(), weights(), version2(), signed(), mismatched(), processes(), preemption(), interfaces(), ipv6(), grouped(), strangers()}
	count := 0
	for _, s := range stages {
		count += len(s.troubles)
	}
	if count < 50 {
		t.Errorf("%d troubles, want 50 at least", count)
	}
	for _, s := range stages {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.run(t)
		})
	}
}

func (s *stage) run(t *testing.T) {
	hosts := 2
	if s.third {
		hosts++
	}
	places := newPlaces(t, hosts)
	p := &troubled{T: t, a: &daemon{place: places[0]}, b: &daemon{place: places[1]}, served: map[string]*exec.Cmd{}}
	if s.third {
		p.third = places[2]
	}
	p.command(p.a, "ip", "link", "add", "uplink", "type", "veth", "peer", "name", "far")
	for _, name := range []string{"uplink", "far"} {
		p.command(p.a, "ip", "link", "set", name, "up")
	}
	for _, dir := range []string{p.a.dir, filepath.Dir(p.a.dir)} { // scripts run as nobody
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if s.prepare != nil {
		s.prepare(p)
	}
	p.textA, p.textB = s.a(p), s.b(p)
	places[0].configure(p.textA)
	places[1].configure(p.textB)
	p.a = places[0].start()
	p.a.awaitStatus("alone", func(s api.Status) bool { return len(s.VRRP) > 0 && s.VRRP[0].State == vrrp.Master })
	p.b = places[1].start()
	p.settled()
	for _, one := range s.troubles {
		ok := t.Run(one.name, func(t *testing.T) {
			now := *p
			now.T = t
			defer func() { p.a, p.b = now.a, now.b }()
			began := time.Now()
			one.begin(&now)
			now.await(now.b, began, one.passing, one.b, now.a, one.peer)
			now.await(now.a, began, one.passing, one.a, nil, "")
			ended := time.Now()
			if one.passing {
				ended = began
			}
			if one.end != nil {
				one.end(&now)
			}
			now.settled()
			now.await(now.a, ended, one.passing, one.backA, nil, "")
			now.await(now.b, ended, one.passing, one.backB, nil, "")
		})
		if !ok {
			return
		}
	}
	if got := p.a.lvsha("explain", "--runtime-dir", p.a.path("run"), "--replay"); got.status != 0 {
		t.Errorf("the replay: %+v", got)
	}
}
