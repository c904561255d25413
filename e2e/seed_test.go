package e2e

import (
	"fmt"
	"maps"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// byHand is a network in which an operator follows the project's original notes without a daemon, using lvs-ha's
// commands instead of ipvsadm, and of ifconfig, route and sysctl on the real servers.
type byHand struct {
	t        *testing.T
	lab      *lab.Lab
	binary   string
	director *lab.Node
	client   *lab.Node
}

func newByHand(t *testing.T) *byHand {
	t.Helper()
	lab.Need(t, lab.Kernel)
	binary, err := lab.Binary()
	if err != nil {
		t.Fatal(err)
	}
	return &byHand{t: t, lab: lab.NewT(t, "seed"), binary: binary}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// on runs a command line on a host and returns its output and exit status. "ipvsadm" and "realserver" are lvs-ha's.
func (h *byHand) on(node *lab.Node, line string) (string, int) {
	h.t.Helper()
	words := strings.Fields(line)
	if words[0] == "ipvsadm" || words[0] == "realserver" {
		words = append([]string{h.binary}, words...)
	}
	out, err := node.Command(h.t.Context(), words[0], words[1:]...).CombinedOutput()
	if exit, ok := err.(*exec.ExitError); ok {
		return string(out), exit.ExitCode()
	}
	if err != nil {
		h.t.Fatalf("%s on %s: %v", line, node.Name(), err)
	}
	return string(out), 0
}

// follow runs lines that must succeed.
func (h *byHand) follow(node *lab.Node, lines ...string) {
	h.t.Helper()
	for _, line := range lines {
		if out, status := h.on(node, line); status != 0 {
			h.t.Fatalf("%s on %s: exit status %d: %s", line, node.Name(), status, out)
		}
	}
}

// wantAnswersFrom requests the page until every server has answered.
func (h *byHand) wantAnswersFrom(url string, servers ...string) {
	h.t.Helper()
	counts, err := h.client.Client(nil).Spread(h.t.Context(), 6*len(servers), url)
	if err != nil || !slices.Equal(slices.Sorted(maps.Keys(counts)), servers) {
		h.t.Errorf("answers came from %v (%v), want %v", counts, err, servers)
	}
}

// wantSameListing compares the output of lvs-ha and the original ipvsadm.
func (h *byHand) wantSameListing(args string) {
	h.t.Helper()
	ours, _ := h.on(h.director, strings.TrimSpace("ipvsadm "+args))
	theirs, _ := h.on(h.director, strings.TrimSpace("/sbin/ipvsadm "+args))
	if ours != theirs {
		h.t.Errorf("ipvsadm %s shows\n%s\nwhere ipvsadm itself shows\n%s", args, ours, theirs)
	}
	h.t.Logf("ipvsadm %s:\n%s", args, ours)
}

// TestKernelSeedNAT follows the notes' section on NAT.
func TestKernelSeedNAT(t *testing.T) {
	h := newByHand(t)
	outside, inside := must[*lab.Bridge](t)(h.lab.Bridge("outside")), must[*lab.Bridge](t)(h.lab.Bridge("inside"))
	h.client = must[*lab.Node](t)(h.lab.Host("client", lab.NIC{Name: "eth0", Bridge: outside, Addresses: lab.Prefixes("202.99.59.10/24")}))
	h.director = must[*lab.Node](t)(h.lab.Host("director",
		lab.NIC{Name: "eth0", Bridge: outside, Addresses: lab.Prefixes("202.99.59.110/24")},
		lab.NIC{Name: "eth1", Bridge: inside, Addresses: lab.Prefixes("192.168.10.254/24")}))
	h.follow(h.director, "sysctl -qw net.ipv4.ip_forward=1")
	for i := 1; i <= 2; i++ {
		name := fmt.Sprintf("rip%d", i)
		server := must[*lab.Node](t)(h.lab.Host(name, lab.NIC{Name: "eth0", Bridge: inside, Addresses: lab.Prefixes(fmt.Sprintf("192.168.10.%d/24", i))}))
		if err := server.AddRoute(lab.Default, netip.MustParseAddr("192.168.10.254")); err != nil {
			t.Fatal(err)
		}
		must[*lab.Web](t)(server.Web(lab.WebConfig{Address: ":80"}))
	}
	h.follow(h.director,
		"ipvsadm -C",
		"ipvsadm -A -t 202.99.59.110:80 -s rr",
		"ipvsadm -a -t 202.99.59.110:80 -r 192.168.10.1:80 -m -w 1",
		"ipvsadm -a -t 202.99.59.110:80 -r 192.168.10.2:80 -m -w 1",
	)
	h.wantAnswersFrom("http://202.99.59.110/", "rip1", "rip2")
	h.wantSameListing("")
}

// TestKernelSeedDR follows the notes' section on direct routing. Its addresses are inconsistent: the director has
// 202.99.59.110, while the ipvsadm lines use 192.168.1.110 and name one real server twice. The lines are followed
// literally, and then with the addresses of the rest of the section.
func TestKernelSeedDR(t *testing.T) {
	h := newByHand(t)
	lan := must[*lab.Bridge](t)(h.lab.Bridge("lan"))
	nic := func(address string) lab.NIC {
		return lab.NIC{Name: "eth0", Bridge: lan, Addresses: lab.Prefixes(address + "/24")}
	}
	h.client = must[*lab.Node](t)(h.lab.Host("client", nic("202.99.59.10")))
	h.director = must[*lab.Node](t)(h.lab.Host("director", nic("202.99.59.109")))
	h.follow(h.director,
		"sysctl -qw net.ipv4.ip_forward=0",
		"sysctl -qw net.ipv4.conf.all.send_redirects=1",
		"sysctl -qw net.ipv4.conf.default.send_redirects=1",
		"sysctl -qw net.ipv4.conf.eth0.send_redirects=1",
		"ip address add 202.99.59.110/32 broadcast 202.99.59.110 dev eth0 label eth0:0",
		"ip route add 202.99.59.110 dev eth0",
		"ipvsadm -C",
		"ipvsadm -A -t 192.168.1.110:80 -s rr",
		"ipvsadm -a -t 192.168.1.110:80 -r 192.168.1.12 -g -w 1",
	)
	if out, status := h.on(h.director, "ipvsadm -a -t 192.168.1.110:80 -r 192.168.1.12 -g -w 1"); out != "Destination already exists\n" || status != 255 {
		t.Errorf("adding the server again: exit status %d: %q", status, out)
	}
	h.wantSameListing("-Ln")

	servers := map[string]*lab.Node{}
	for name, address := range map[string]string{"rip1": "202.99.59.108", "rip2": "202.99.59.107"} {
		servers[name] = must[*lab.Node](t)(h.lab.Host(name, nic(address)))
		h.follow(servers[name], "realserver up --vip 202.99.59.110 --mode dr --state-dir "+t.TempDir())
		must[*lab.Web](t)(servers[name].Web(lab.WebConfig{Address: ":80"}))
	}
	h.follow(h.director,
		"ipvsadm -C",
		"ipvsadm -A -t 202.99.59.110:80 -s rr",
		"ipvsadm -a -t 202.99.59.110:80 -r 202.99.59.108 -g -w 1",
		"ipvsadm -a -t 202.99.59.110:80 -r 202.99.59.107 -g -w 1",
	)
	h.wantAnswersFrom("http://202.99.59.110/", "rip1", "rip2")
	h.wantSameListing("-Ln")
	neighbour, _ := h.on(h.client, "ip neighbour show 202.99.59.110")
	card, _ := h.on(h.director, "cat /sys/class/net/eth0/address")
	if !strings.Contains(neighbour, strings.TrimSpace(card)) {
		t.Errorf("the client takes the virtual address for %q, want the director's %q", neighbour, card)
	}
}
