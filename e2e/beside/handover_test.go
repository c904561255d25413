package beside

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// event makes the master hand over, and take over again.
type event struct {
	name       string
	away, back func(r *router)
}

// events: keepalived has no command to hand over; instead its priority is lowered by a reload.
var events = []event{
	{"stop", (*router).stop, (*router).start},
	{"failover", (*router).failover, (*router).undo},
	{"track", func(r *router) { r.track("1") }, func(r *router) { r.track("0") }},
}

func (r *router) failover() {
	if r.program.name == "lvs-ha" {
		r.run("failover")
		return
	}
	r.set.priority = backupPriority / 2
	r.configure()
	r.signal(syscall.SIGHUP)
}

func (r *router) undo() {
	if r.program.name == "lvs-ha" {
		r.run("failover", "--undo")
		return
	}
	r.set.priority = masterPriority
	r.configure()
	r.signal(syscall.SIGHUP)
}

// BenchmarkHostHandOver compares what a client notices when a master hands over to its backup and preempts it. The master
// forwards requests between two networks, and the virtual addresses of both move together. Stateless NAT in the kernel stands
// in for IPVS with a complete connection table: it rewrites packets only while the node has the virtual address.
func BenchmarkHostHandOver(b *testing.B) {
	for _, n := range []int{1, 20} {
		for _, interval := range []time.Duration{time.Second, 100 * time.Millisecond, 10 * time.Millisecond} {
			b.Run(fmt.Sprintf("%dx%s", n, interval), func(b *testing.B) {
				ours, theirs := programs(b)
				for b.Loop() {
					reportHandOver(b, measureHandOver(b, ours, n, interval), measureHandOver(b, theirs, n, interval))
				}
			})
		}
	}
}

// outcome holds the losses of each event, away and back.
type outcome map[string][2]losses

const (
	outside = "10.9.%d.%d" // clients' network; virtual addresses are 10.9.1.N
	inside  = "10.8.%d.%d" // servers' network; the server of 10.9.1.N is 10.8.1.N
)

func at(network string, subnet, host int) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf(network, subnet, host))
}

func measureHandOver(b *testing.B, p program, n int, interval time.Duration) outcome {
	l := lab.NewT(b, "handover")
	defer l.Close()
	out, in := bridge(b, l, "outside"), bridge(b, l, "inside")
	clients := node(b, l, "client", lab.NIC{Name: "eth0", Bridge: out, Addresses: prefixes(at(outside, 0, 9))})
	servers := node(b, l, "server", lab.NIC{Name: "eth0", Bridge: in, Addresses: prefixes(at(inside, 0, 9))})
	gateway := at(inside, 2, 1)
	if err := servers.AddRoute(netip.MustParsePrefix("10.9.0.0/16"), gateway); err != nil {
		b.Fatal(err)
	}
	set := settings{interval: interval, tracked: true, group: n > 1}
	var addresses []netip.Addr
	if n == 1 {
		set.instances = []instance{{iface: "eth0", id: 1, address: prefix(at(outside, 1, 1)), inside: "eth1", insideAt: prefix(gateway)}}
		addresses = append(addresses, at(outside, 1, 1))
	} else {
		set.instances = []instance{{iface: "eth1", id: 1, address: prefix(gateway)}}
		for i := 1; i < n; i++ {
			set.instances = append(set.instances, instance{iface: "eth0", id: i, address: prefix(at(outside, 1, i))})
			addresses = append(addresses, at(outside, 1, i))
		}
	}
	for i := range addresses {
		server := at(inside, 1, i+1)
		if err := servers.AddAddress("eth0", prefix(server)); err != nil {
			b.Fatal(err)
		}
	}
	ln, err := servers.Listen("tcp", fmt.Sprintf(":%d", servicePort))
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	go serve(ln)
	var pair [2]*router
	for i, priority := range []int{masterPriority, backupPriority} {
		h := node(b, l, fmt.Sprintf("r%d", i+1), lab.NIC{Name: "eth0", Bridge: out, Addresses: prefixes(at(outside, 0, i+1))},
			lab.NIC{Name: "eth1", Bridge: in, Addresses: prefixes(at(inside, 0, i+1))})
		forward(b, h, len(addresses))
		set.priority = priority
		pair[i] = newRouter(b, p, h, set)
		defer pair[i].kill()
	}
	master, backup := pair[0], pair[1]
	master.start()
	master.awaitAddresses(true)
	backup.start()
	<-time.After(max(2*time.Second, 4*interval))
	c := startClient(b, clients, addresses[0], addresses[len(addresses)-1])
	defer c.stop()
	results := outcome{}
	for range rounds(interval) {
		for _, e := range events {
			settle(interval)
			c.since()
			e.away(master)
			backup.awaitAddresses(true)
			settle(interval)
			away := c.since()
			e.back(master)
			master.awaitAddresses(true)
			settle(interval)
			r := results[e.name]
			results[e.name] = [2]losses{r[0].add(away), r[1].add(c.since())}
		}
	}
	return results
}

func rounds(interval time.Duration) int {
	if interval >= time.Second {
		return 1
	}
	return 2
}

// settle waits until hosts accept another announcement: Linux ignores a second one within a second.
func settle(interval time.Duration) { <-time.After(1500*time.Millisecond + interval/2) }

// forward makes a node a router between the networks that rewrites the destination of requests to its virtual addresses, and
// the source of the replies.
func forward(b *testing.B, h *lab.Node, addresses int) {
	b.Helper()
	for key, value := range map[string]string{
		"net.ipv4.ip_forward": "1", "net.ipv4.conf.all.send_redirects": "0", "net.ipv4.conf.default.send_redirects": "0",
		"net.ipv4.conf.eth0.send_redirects": "0", "net.ipv4.conf.eth1.send_redirects": "0",
	} {
		if err := h.Sysctl(key, value); err != nil {
			b.Fatal(err)
		}
	}
	var there, back []string
	for i := 1; i <= addresses; i++ {
		there = append(there, fmt.Sprintf("%s : %s", at(outside, 1, i), at(inside, 1, i)))
		back = append(back, fmt.Sprintf("%s : %s", at(inside, 1, i), at(outside, 1, i)))
	}
	rules := fmt.Sprintf(`table ip beside {
	chain there {
		type filter hook prerouting priority raw;
		tcp dport %d fib daddr type local ip daddr set ip daddr map { %s }
	}
	chain back {
		type filter hook postrouting priority srcnat;
		tcp sport %d oifname "eth0" ip saddr set ip saddr map { %s }
	}
}`, servicePort, strings.Join(there, ", "), servicePort, strings.Join(back, ", "))
	cmd := h.Command(context.Background(), "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("nft: %v: %s\n%s", err, out, rules)
	}
}

func bridge(b *testing.B, l *lab.Lab, name string) *lab.Bridge {
	b.Helper()
	br, err := l.Bridge(name)
	if err != nil {
		b.Fatal(err)
	}
	return br
}

func node(b *testing.B, l *lab.Lab, name string, nics ...lab.NIC) *lab.Node {
	b.Helper()
	h, err := l.Host(name, nics...)
	if err != nil {
		b.Fatal(err)
	}
	return h
}

func prefix(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, 16) }

func prefixes(a netip.Addr) []netip.Prefix { return []netip.Prefix{prefix(a)} }

func reportHandOver(b *testing.B, ours, theirs outcome) {
	t := newTable(b.Name()+": failed requests of all, reset connections, longest time without an answer in ms", "", "lvs-ha", "keepalived", "gap ratio")
	var all [2]losses
	for _, e := range events {
		for i, name := range []string{e.name, e.name + ", back"} {
			mine, other := ours[e.name][i], theirs[e.name][i]
			t.add(name, mine, other, fmt.Sprintf("%.2f", float64(mine.gap)/float64(other.gap)))
			all = [2]losses{all[0].add(mine), all[1].add(other)}
		}
	}
	t.print()
	for i, name := range []string{"lvs-ha", "keepalived"} {
		b.ReportMetric(float64(all[i].failed), name+"-failed")
		b.ReportMetric(float64(all[i].resets+all[i].broken), name+"-reset")
		b.ReportMetric(float64(all[i].gap)/float64(time.Millisecond), name+"-gap-ms")
	}
	b.ReportMetric(float64(all[0].gap)/float64(all[1].gap), "gap-ratio")
	b.ReportMetric(0, "ns/op")
}
