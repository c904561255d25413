package main

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/explain"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

func alone(priority int, more string) func(*troubled) string {
	return func(*troubled) string { return router(priority, more) }
}

func hmac(key int, secret string) string {
	return fmt.Sprintf("  auth_hmac {\n    active_key = %d\n    key \"%d\" { secret = %q }\n  }", key, key, secret)
}

// weights has tracks of a that change its priority, and more ways to fail.
func weights() stage {
	lowered := func(kind string, begin, end func(*troubled)) trouble {
		cause := explain.Code("track-" + kind)
		return trouble{begin: begin, a: cause, b: explain.PeerLowered, peer: explain.PeerChanged, end: end, backA: cause, backB: explain.PeerRaised}
	}
	failed := func(kind string, begin, end func(*troubled)) trouble {
		return trouble{begin: begin, a: explain.Code("track-" + kind), b: explain.MasterLeft, peer: explain.PeerChanged, end: end, backA: explain.LesserMaster, backB: explain.BetterMaster}
	}
	named := func(name string, t trouble) trouble {
		t.name = name
		return t
	}
	serve := func(name string) func(*troubled) {
		return func(p *troubled) {
			cmd := exec.Command(p.a.path(name), "3600")
			if err := cmd.Start(); err != nil {
				p.Fatal(err)
			}
			p.served[name] = cmd
			p.a.t.Cleanup(func() { _ = cmd.Process.Kill() })
		}
	}
	kill := func(name string) func(*troubled) {
		return func(p *troubled) {
			_ = p.served[name].Process.Kill()
			_ = p.served[name].Wait()
		}
	}
	return stage{
		name: "weights",
		prepare: func(p *troubled) {
			sleep, err := exec.LookPath("sleep")
			if err != nil {
				p.Fatal(err)
			}
			for _, name := range []string{"proxy", "cache"} {
				install(p.T, sleep, p.a.path(name))
				serve(name)(p)
			}
			p.write(p.a, "answer", "")
			p.write(p.a, "number", "0")
		},
		a: func(p *troubled) string {
			script := func(name, text, more string) string {
				return fmt.Sprintf("track_script %q {\n  command = [%q]\n  shell = true\n  interval = \"200ms\"\n  %s\n}\n", name, strings.ReplaceAll(text, "DIR", p.a.dir), more)
			}
			return script("answer", "test -e DIR/answer", "weight = -100") +
				script("slow", "test ! -e DIR/slow || sleep 5", `timeout = "100ms"`) +
				script("crashing", "test ! -e DIR/crashing || kill -SEGV $$", "") +
				script("maintenance", "test -e DIR/maintenance", "reverse = true") +
				fmt.Sprintf("track_process \"proxy\" { command = [%q] }\ntrack_process \"cache\" {\n  command = [%q]\n  weight = -100\n}\ntrack_file \"number\" { path = %q }\n", p.a.path("proxy"), p.a.path("cache"), p.a.path("number")) +
				router(150, "  track_interface \"uplink\" { weight = -100 }\n  track \"answer\" {}\n  track \"slow\" {}\n  track \"crashing\" {}\n  track \"maintenance\" {}\n  track \"proxy\" {}\n  track \"cache\" {}\n  track \"number\" {}")
		},
		b: alone(100, ""),
		troubles: []trouble{
			named("script lowers the priority", lowered("script", remove("answer"), write("answer", ""))),
			named("interface lowers the priority", lowered("interface", setFar("down"), setFar("up"))),
			named("process ends and lowers the priority", lowered("process", kill("cache"), serve("cache"))),
			named("number in a file lowers the priority", lowered("file", write("number", "-60"), write("number", "0"))),
			named("process ends", failed("process", kill("proxy"), serve("proxy"))),
			named("number in a file is a fault", failed("file", write("number", "-254"), write("number", "0"))),
			named("script takes too long", failed("script", write("slow", ""), remove("slow"))),
			named("script is killed by a signal", failed("script", write("crashing", ""), remove("crashing"))),
			named("script of a track that is reversed", failed("script", write("maintenance", ""), remove("maintenance"))),
		},
	}
}

// version2 has settings of version 2 that differ.
func version2() stage {
	with := func(word, other string) func(*troubled) {
		return func(p *troubled) { p.reload(p.b, strings.Replace(p.textB, word, other, 1)) }
	}
	refused := func(name string, begin func(*troubled)) trouble {
		return trouble{name: name, begin: begin, b: explain.AdvertsRefused, peer: explain.PeerSending, end: restoreB, backB: explain.BetterMaster}
	}
	text := func(priority int) func(*troubled) string {
		return func(*troubled) string {
			return strings.Replace(router(priority, "  version = 2\n  auth_pass = \"geheim\""), `"100ms"`, `"1s"`, 1)
		}
	}
	return stage{
		name: "version 2",
		a:    text(150),
		b:    text(100),
		troubles: []trouble{
			refused("wrong password", with("geheim", "other")),
			refused("password missing", with("  auth_pass = \"geheim\"", "")),
			refused("other interval", with(`"1s"`, `"2s"`)),
		},
	}
}

// signed has keys that differ.
func signed() stage {
	const key, other = "text-of-a-key-with-thirty-two-bytes", "text-of-another-key-of-thirty-bytes"
	refused := func(name, word, now string) trouble {
		return trouble{
			name: name, begin: func(p *troubled) { p.reload(p.b, strings.Replace(p.textB, word, now, 1)) },
			b: explain.AdvertsRefused, peer: explain.PeerSending, end: restoreB, backB: explain.BetterMaster,
		}
	}
	return stage{
		name: "signed",
		a:    alone(150, hmac(1, key)),
		b:    alone(100, hmac(1, key)),
		troubles: []trouble{
			refused("wrong key", key, other),
			refused("unknown key", hmac(1, key), hmac(2, other)),
			refused("key missing on b", hmac(1, key), ""),
		},
	}
}

// mismatched has other settings that differ, and packets that change on the way.
func mismatched() stage {
	refused := func(name string, begin, end func(*troubled)) trouble {
		return trouble{name: name, begin: begin, b: explain.AdvertsRefused, peer: explain.PeerSending, end: end, backB: explain.BetterMaster}
	}
	mangle := func(rule string) func(*troubled) {
		return func(p *troubled) { p.filter(p.a, "output", rule) }
	}
	return stage{
		name: "mismatched",
		a:    alone(150, ""),
		b:    alone(100, ""),
		troubles: []trouble{
			refused("checksum without pseudo-header", changeB(`  checksum = "without-pseudo"`), restoreB),
			refused("TTL too low", mangle("ip ttl set 64"), unfilter(nodeA)),
			refused("broken checksum", mangle("@th,48,16 set 0xbeef"), unfilter(nodeA)),
			refused("version 2 on b", func(p *troubled) {
				p.reload(p.b, strings.Replace(strings.Replace(p.textB, "  virtual_router_id", "  version = 2\n  virtual_router_id", 1), `"100ms"`, `"1s"`, 1))
			}, restoreB),
			{name: "other multicast address", begin: changeB(`  multicast_address = "224.0.0.77"`), b: explain.MasterSilent, peer: explain.PeerSending, end: restoreB, backB: explain.BetterMaster},
			{name: "other virtual router ID", begin: func(p *troubled) { p.reload(p.b, strings.Replace(p.textB, "= 10", "= 77", 1)) }, b: explain.NoMaster,
				end: restoreB, backB: explain.Started, passing: true}, // there are two instances of this name for a moment
		},
	}
}

// killAll kills all processes of a node.
func (p *troubled) killAll(d *daemon) {
	p.Helper()
	parent := d.cmd.Process.Pid
	if err := syscall.Kill(parent, syscall.SIGSTOP); err != nil { // it starts no others
		p.Fatal(err)
	}
	p.command(d, "pkill", "-KILL", "-P", fmt.Sprint(parent))
	if err := syscall.Kill(parent, syscall.SIGKILL); err != nil {
		p.Fatal(err)
	}
	d.awaitEnd()
}

// processes has processes that end, hang or start, and operators that do.
func processes() stage {
	startA := func(p *troubled) { p.a = p.a.place.start() }
	startB := func(p *troubled) { p.b = p.b.place.start() }
	stopB := func(p *troubled) {
		p.b.stop()
		p.a.awaitStatus("alone", isMaster)
	}
	return stage{
		name: "processes",
		a:    alone(150, ""),
		b:    alone(100, ""),
		troubles: []trouble{
			{name: "lvs-ha is stopped", begin: func(p *troubled) { p.a.stop() }, b: explain.MasterLeft, end: startA, backA: explain.LesserMaster, backB: explain.BetterMaster},
			{name: "all processes are killed", begin: func(p *troubled) { p.killAll(p.a) }, b: explain.MasterSilent, end: startA, backA: explain.LesserMaster, backB: explain.BetterMaster},
			{name: "backup restarts", begin: stopB, end: startB, backB: explain.Started},
			{name: "director hangs", begin: func(p *troubled) {
				p.reload(p.a, "director { grace = \"100ms\" }\n"+p.textA)
				p.signal(p.a, "director", syscall.SIGSTOP)
			}, a: explain.DirectorLost, b: explain.MasterLeft, end: func(p *troubled) {
				p.signal(p.a, "director", syscall.SIGCONT)
				restoreA(p)
			}, backA: explain.DirectorBack, backB: explain.BetterMaster},
			{name: "operator hands over for a second", begin: func(p *troubled) {
				p.command(p.a, "lvs-ha", "failover", "--for", "1s", "--runtime-dir", p.a.path("run"))
			}, a: explain.Failover, b: explain.MasterLeft, backA: explain.FailoverEnded, backB: explain.BetterMaster, passing: true},
			{name: "operator hands over, but nobody takes over", begin: func(p *troubled) {
				stopB(p)
				p.a.asked("failover")
			}, a: explain.NobodyTookOver, end: func(p *troubled) {
				p.a.asked("failover", "--undo")
				startB(p)
			}, backB: explain.Started},
			{name: "no master is there", begin: func(p *troubled) {
				p.b.stop()
				p.a.stop()
				startB(p)
			}, b: explain.NoMaster, end: startA, backA: explain.LesserMaster, backB: explain.BetterMaster},
			{name: "the first router waits", begin: func(p *troubled) {
				p.b.stop()
				p.a.stop()
				p.a.configure(strings.Replace(p.textA, "  virtual_router_id", "  startup_delay = \"1s\"\n  virtual_router_id", 1))
				startA(p)
			}, a: explain.StartupDelay, end: func(p *troubled) {
				restoreA(p)
				startB(p)
			}, backB: explain.Started},
			{name: "no IPVS for a service", begin: func(p *troubled) {
				p.reload(p.a, p.textA+strings.TrimPrefix(withService, gateway))
			}, a: explain.Unfit, b: explain.MasterLeft, end: restoreA, backA: explain.Fit, backB: explain.BetterMaster},
		},
	}
}

// preemption has reloads that decide who is master, and what keeps a router from it.
func preemption() stage {
	changeA := func(more string) func(*troubled) {
		return func(p *troubled) {
			p.reload(p.a, strings.Replace(p.textA, "  virtual_router_id", more+"\n  virtual_router_id", 1))
		}
	}
	isUp := func(p *troubled) { p.command(p.a, "ip", "link", "set", "eth0", "up") }
	isDown := func(p *troubled) { p.command(p.a, "ip", "link", "set", "eth0", "down") }
	return stage{
		name: "preemption",
		a:    alone(150, ""),
		b:    alone(100, ""),
		// What a has heard of b before makes a difference.
		troubles: []trouble{
			{name: "two masters of the same priority", begin: func(p *troubled) {
				p.reload(p.b, strings.Replace(p.textB, "= 100", "= 150", 1))
				p.cable(p.a.lab.Unplug)
				p.b.awaitStatus("master", isMaster)
				p.cable(p.a.lab.Plug)
			}, a: explain.EqualMaster, b: explain.MasterSilent, end: restoreB, backA: explain.PeerLowered, backB: explain.Reload},
			{name: "reload raises the priority of the backup", begin: func(p *troubled) { p.reload(p.b, strings.Replace(p.textB, "= 100", "= 200", 1)) },
				a: explain.PeerRaised, b: explain.Reload, end: restoreB, backA: explain.PeerLowered, backB: explain.Reload},
			{name: "instance is removed from the backup", begin: func(p *troubled) {
				p.reload(p.b, strings.NewReplacer(`"gateway"`, `"other"`, "= 10\n", "= 77\n", ".100/24", ".101/24").Replace(p.textB))
			}, b: explain.Removed, end: restoreB, backB: explain.Started},
			{name: "the better router waits before it preempts", begin: func(p *troubled) {
				changeA("  preempt_delay = \"1s\"")(p)
				isDown(p)
			}, a: explain.Code(vrrp.ReasonInterfaceDown), b: explain.MasterSilent, end: isUp, backA: explain.PreemptDelay, backB: explain.BetterMaster},
			{name: "the speaker stops and may not preempt", begin: func(p *troubled) {
				changeA("  preempt = false")(p)
				p.signal(p.a, "speaker", syscall.SIGSTOP)
				p.b.awaitStatus("master", isMaster)
				p.signal(p.a, "speaker", syscall.SIGCONT)
			}, a: explain.OwnStall, b: explain.MasterSilent, end: restoreA, backA: explain.Reload, backB: explain.BetterMaster},
			{name: "the owner starts", begin: func(p *troubled) {
				p.b.stop()
				p.b.configure(strings.Replace(p.textB, "= 100", "= 255", 1))
				p.b = p.b.place.start()
			}, a: explain.PeerRaised, b: explain.Owner, end: restoreB, backA: explain.PeerLowered, backB: explain.Reload},
		},
	}
}

// interfaces has faults of a's interfaces and addresses.
func interfaces() stage {
	fault := func(reason vrrp.Reason) explain.Code { return explain.Code(reason) }
	return stage{
		name: "interfaces",
		a:    alone(150, ""),
		b:    alone(100, ""),
		troubles: []trouble{
			{name: "address is deleted", begin: func(p *troubled) { p.command(p.a, "ip", "-4", "address", "flush", "dev", "eth0") }, a: fault(vrrp.ReasonNoAddress), b: explain.MasterSilent, peer: explain.PeerChanged,
				end: func(p *troubled) { p.command(p.a, "ip", "address", "add", "192.0.2.1/24", "dev", "eth0") }, backA: explain.LesserMaster, backB: explain.BetterMaster},
			{name: "interface is renamed", begin: func(p *troubled) { p.command(p.a, "ip", "link", "set", "eth0", "name", "lan0") }, a: fault(vrrp.ReasonInterfaceMissing), b: explain.MasterSilent, peer: explain.PeerChanged,
				end: func(p *troubled) { p.command(p.a, "ip", "link", "set", "lan0", "name", "eth0") }, backA: explain.LesserMaster, backB: explain.BetterMaster},
			{name: "virtual MAC address cannot be used", begin: func(p *troubled) {
				p.command(p.a, "ip", "link", "add", "busy", "type", "veth", "peer", "name", "idle")
				p.reload(p.a, strings.Replace(p.textA, "  virtual_router_id", "  vmac { interface = \"busy\" }\n  virtual_router_id", 1))
			}, a: fault(vrrp.ReasonVMAC), b: explain.MasterLeft, end: restoreA, backA: explain.LesserMaster, backB: explain.BetterMaster},
			{name: "packet filter on b at the device", begin: func(p *troubled) {
				p.command(p.b, "nft", "add table netdev f; add chain netdev f c { type filter hook ingress device eth0 priority 0; }; add rule netdev f c meta l4proto 112 drop")
			}, b: explain.MasterSilent, // the filter is below the packet socket
				peer: explain.PeerSending, end: func(p *troubled) { p.command(p.b, "nft", "delete table netdev f") }, backB: explain.BetterMaster},
		},
	}
}

// ipv6 has faults of IPv6 addresses.
func ipv6() stage {
	text := func(priority int, more string) func(*troubled) string {
		return func(*troubled) string {
			return strings.Replace(router(priority, more), "192.0.2.100/24", "fd09::100/64", 1)
		}
	}
	disable := func(value string) func(*troubled) {
		return func(p *troubled) { p.command(p.a, "sysctl", "-q", "-w", "net.ipv6.conf.uplink.disable_ipv6="+value) }
	}
	return stage{
		name: "IPv6",
		a:    text(150, "  address \"fd0a::100/64\" {\n    interface = \"uplink\"\n    excluded = true\n  }"),
		b:    text(100, ""),
		troubles: []trouble{
			{name: "kernel refuses an address", begin: disable("1"), a: explain.AddressesRefused, b: explain.MasterLeft, peer: explain.PeerChanged,
				end: disable("0"), backA: explain.AddressesBack, backB: explain.BetterMaster},
			{name: "link-local address is deleted", begin: func(p *troubled) { p.command(p.a, "ip", "-6", "address", "flush", "dev", "eth0") },
				a: explain.Code(vrrp.ReasonNoAddress), b: explain.MasterSilent, peer: explain.PeerChanged, end: func(p *troubled) {
					p.command(p.a, "ip", "link", "set", "eth0", "down")
					p.command(p.a, "ip", "link", "set", "eth0", "up")
				}, backA: explain.LesserMaster, backB: explain.BetterMaster},
			{name: "packet filter for IPv6 on b", begin: func(p *troubled) { p.filter(p.b, "input", "drop") }, b: explain.AdvertsFiltered, peer: explain.PeerSending,
				end: unfilter(nodeB), backB: explain.BetterMaster},
		},
	}
}

// grouped has a sync group of two instances, of which one has a track.
func grouped() stage {
	text := func(priority int, more string) func(*troubled) string {
		return func(*troubled) string {
			inside := strings.NewReplacer(`"gateway"`, `"inside"`, "= 10\n", "= 11\n", ".100/24", ".101/24").Replace(router(priority, more))
			return "sync_group \"router\" { instances = [\"gateway\", \"inside\"] }\n" + router(priority, "") + inside
		}
	}
	return stage{
		name: "group",
		a:    text(150, "  track_interface \"uplink\" {}"),
		b:    text(100, ""),
		// Which member goes first is left to chance.
		troubles: []trouble{
			{name: "another member has a fault", begin: setFar("down"), a: explain.SyncGroup, end: setFar("up")},
			{name: "operator hands over the group", begin: func(p *troubled) { p.command(p.a, "lvs-ha", "failover", "--runtime-dir", p.a.path("run"), "router") }, a: explain.Failover, b: explain.MasterLeft,
				end: func(p *troubled) {
					p.command(p.a, "lvs-ha", "failover", "--undo", "--runtime-dir", p.a.path("run"), "router")
				}, backA: explain.FailoverEnded, backB: explain.BetterMaster},
		},
	}
}

// strangers has a third router that nobody expects.
func strangers() stage {
	var flood *lab.Flood
	send := func(priority uint8, perSecond int) func(*troubled) {
		return func(p *troubled) {
			advert := lab.Forged{
				Source: netip.MustParseAddr("192.0.2.3"), VirtualRouterID: 10, Priority: priority, Interval: 100 * time.Millisecond, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.100")},
			}
			var err error
			if flood, err = p.third.host.Flood(p.a.t.Context(), "eth0", perSecond, [][]byte{advert.Packet()}); err != nil {
				p.Fatal(err)
			}
		}
	}
	stop := func(p *troubled) {
		if _, err := flood.Stop(); err != nil {
			p.Fatal(err)
		}
	}
	return stage{
		name: "strangers", third: true,
		a: alone(150, ""),
		b: alone(100, ""),
		troubles: []trouble{
			{name: "a router with a higher priority", begin: send(200, 20), a: explain.BetterMaster, end: stop, backA: explain.MasterSilent},
			{name: "a router with the same priority and a higher address", begin: send(150, 20), a: explain.EqualMaster, end: stop, backA: explain.MasterSilent},
		},
	}
}
