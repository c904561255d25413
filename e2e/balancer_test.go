package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// balanced is a host with IPVS between a client and four real servers, of which the last is the sorry server. lvs-ha or keepalived
// runs on it, with the same timers.
type balanced struct {
	b       testing.TB
	host    *lab.Node
	client  *lab.Client
	servers []*lab.Web
	hosts   []*lab.Node

	dir     string
	text    string // lvs-ha's configuration instead of the one for the comparison
	ours    bool
	kept    bool  // a server whose check fails keeps its connections
	weights []int // of the real servers; 0 is drained
	spare   bool  // whether the third real server is configured
	found   bool  // lvs-ha discovers the real servers in a file
	cmd     *exec.Cmd
	log     strings.Builder
}

const (
	balancedVIP     = "198.51.100.100"
	balancedServers = 3
	balancedWeight  = 100
)

// newBalanced starts lvs-ha, or keepalived.
func newBalanced(b testing.TB, ours bool, m mode) *balanced {
	b.Helper()
	s := newNetwork(b, map[bool]string{true: "ours", false: "theirs"}[ours]+m.name)
	s.ours, s.kept, s.found = ours, m.kept, m.found
	s.start()
	return s
}

// newNetwork creates the hosts.
func newNetwork(b testing.TB, name string) *balanced {
	b.Helper()
	l := lab.NewT(b, name)
	s := &balanced{b: b, dir: b.TempDir(), spare: true}
	bridge := func(name string) *lab.Bridge { return must[*lab.Bridge](b)(l.Bridge(name)) }
	outside, inside := bridge("outside"), bridge("inside")
	s.host = must[*lab.Node](b)(l.Host("director", lab.NIC{Name: "eth0", Bridge: outside, Addresses: lab.Prefixes("198.51.100.1/24", balancedVIP+"/32")},
		lab.NIC{Name: "eth1", Bridge: inside, Addresses: lab.Prefixes("10.1.0.254/24")}))
	if err := s.host.Sysctl("net.ipv4.ip_forward", "1"); err != nil {
		b.Fatal(err)
	}
	client := must[*lab.Node](b)(l.Host("client", lab.NIC{Name: "eth0", Bridge: outside, Addresses: lab.Prefixes("198.51.100.9/24")}))
	s.client = client.Client(nil)
	for i := range balancedServers + 1 {
		host := must[*lab.Node](b)(l.Host(fmt.Sprintf("web%d", i+1), lab.NIC{Name: "eth0", Bridge: inside, Addresses: lab.Prefixes(fmt.Sprintf("10.1.0.%d/24", i+1))}))
		if err := host.AddRoute(lab.Default, netip.MustParseAddr("10.1.0.254")); err != nil {
			b.Fatal(err)
		}
		s.hosts, s.servers = append(s.hosts, host), append(s.servers, must[*lab.Web](b)(host.Web(lab.WebConfig{Address: ":80"})))
		s.weights = append(s.weights, balancedWeight)
	}
	b.Cleanup(s.stop)
	return s
}

func (s *balanced) start() {
	s.b.Helper()
	s.configure()
	binary, err := lab.Binary()
	if err != nil {
		s.b.Fatal(err)
	}
	argv := []string{binary, "run", "-c", s.path("lvs-ha.hcl"), "--runtime-dir", s.path("run")}
	if !s.ours {
		argv = []string{"keepalived", "-n", "-G", "-C", "-f", s.path("keepalived.conf"), "-p", s.path("pid"), "-c", s.path("checkers.pid")}
	}
	cmd := s.host.Command(context.Background(), argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	if err := cmd.Start(); err != nil {
		s.b.Fatal(err)
	}
	s.cmd = cmd.Cmd
	s.await("all servers", func(w map[string]int) bool { return len(w) >= balancedServers && !slices.Contains(s.inUse(w), 0) })
}

func (s *balanced) stop() {
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		_ = s.cmd.Wait()
		s.cmd = nil
	}
	if s.b.Failed() {
		s.b.Logf("%s\n%s", s.name(), s.log.String())
	}
}

func (s *balanced) name() string {
	if s.ours {
		return "lvs-ha"
	}
	return "keepalived"
}

func (s *balanced) path(name string) string { return filepath.Join(s.dir, name) }

// configure writes the configuration of the program.
func (s *balanced) configure() {
	s.b.Helper()
	name, text := "keepalived.conf", s.keepalived()
	if s.ours {
		name, text = "lvs-ha.hcl", s.hcl()
	}
	if s.ours && s.found {
		s.write("servers.hcl", s.realServers())
	}
	s.write(name, text)
}

// write replaces a file.
func (s *balanced) write(name, text string) {
	s.b.Helper()
	if err := os.WriteFile(s.path(name+".new"), []byte(text), 0o600); err != nil {
		s.b.Fatal(err)
	}
	if err := os.Rename(s.path(name+".new"), s.path(name)); err != nil {
		s.b.Fatal(err)
	}
}

// configured returns the numbers of the real servers in the configuration.
func (s *balanced) configured() []int {
	all := []int{1, 2, 3}
	if !s.spare {
		all = all[:2]
	}
	return all
}

func (s *balanced) hcl() string {
	if s.text != "" {
		return s.text
	}
	var c strings.Builder
	fmt.Fprintf(&c, `virtual_service "web" {
  address    = "%s:80"
  scheduler  = "wrr"
  forwarding = "nat"
  slow_start = "1s"
  on_failure = "%s"
  health_check "http" {
    path     = "/healthz"
    interval = "1s"
    timeout  = "1s"
    fall     = 1
    rise     = 1
  }
`, balancedVIP, map[bool]string{true: "weight", false: "remove"}[s.kept])
	if s.found {
		fmt.Fprintf(&c, "  discover \"file\" { path = %q }\n", s.path("servers.hcl"))
	} else {
		c.WriteString(s.realServers())
	}
	return c.String() + "  sorry_server \"10.1.0.4\" {}\n}\n"
}

// realServers are the blocks of the real servers.
func (s *balanced) realServers() string {
	var c strings.Builder
	for _, n := range s.configured() {
		fmt.Fprintf(&c, "  real_server \"10.1.0.%d\" { weight = %d }\n", n, s.weights[n-1])
	}
	return c.String()
}

func (s *balanced) keepalived() string {
	var c strings.Builder
	fmt.Fprintf(&c, "virtual_server %s 80 {\n delay_loop 1\n lvs_sched wrr\n lvs_method NAT\n protocol TCP\n alpha\n sorry_server 10.1.0.4 80\n%s", balancedVIP,
		map[bool]string{true: " inhibit_on_failure\n sorry_server_inhibit\n"}[s.kept])
	for _, n := range s.configured() {
		fmt.Fprintf(&c, " real_server 10.1.0.%d 80 {\n weight %d\n HTTP_GET {\n url {\n path /healthz\n status_code 200\n }\n", n, s.weights[n-1])
		c.WriteString(" connect_timeout 1\n retry 0\n delay_before_retry 1\n warmup 0\n }\n }\n")
	}
	return c.String() + "}\n"
}

// reload applies the configuration.
func (s *balanced) reload() {
	s.b.Helper()
	s.configure()
	if s.ours && !s.found {
		s.command("reload")
	} else if !s.ours {
		s.hangUp()
	}
}

// hangUp lets keepalived reload its configuration.

func (s *balanced) hangUp() {
	s.b.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		s.b.Fatal(err)
	}
}

// command runs a command of lvs-ha.
func (s *balanced) command(args ...string) {
	s.b.Helper()
	binary, err := lab.Binary()
	if err != nil {
		s.b.Fatal(err)
	}
	out, err := s.host.Command(context.Background(), binary, append(args, "--runtime-dir", s.path("run"))...).CombinedOutput()
	if err != nil {
		s.b.Fatalf("%v: %v\n%s", args, err, out)
	}
}

// weigh sets the weight of a server: ours by an order, keepalived's by a reload.
func (s *balanced) weigh(n, weight int) {
	s.b.Helper()
	server := fmt.Sprintf("web/10.1.0.%d", n)
	switch {
	case !s.ours:
		s.weights[n-1] = weight
		s.reload()
	case weight == balancedWeight:
		s.command("enable", server)
	case weight == 0:
		s.command("drain", server)
	default:
		s.command("weight", server, fmt.Sprint(weight))
	}
}

// table returns the weights in the kernel's table by server.
func (s *balanced) table() map[string]int {
	s.b.Helper()
	var text []byte
	err := s.host.Do(func() (err error) {
		text, err = os.ReadFile("/proc/thread-self/net/ip_vs")
		return err
	})
	if err != nil {
		s.b.Fatal(err)
	}
	weights := map[string]int{}
	for line := range strings.Lines(string(text)) {
		var at, forward string
		var weight int
		if n, _ := fmt.Sscanf(line, " -> %s %s %d", &at, &forward, &weight); n == 3 {
			weights[at] = weight
		}
	}
	return weights
}

// inUse returns the weights of the configured real servers.
func (s *balanced) inUse(table map[string]int) []int {
	var list []int
	for _, n := range s.configured() {
		list = append(list, table[tableKey(n)])
	}
	return list
}

// tableKey is a server's address and port in /proc/net/ip_vs.
func tableKey(n int) string { return fmt.Sprintf("0A0100%02X:0050", n) }

// await waits for a state of the kernel's table.
func (s *balanced) await(what string, so func(map[string]int) bool) {
	s.b.Helper()
	ctx, cancel := context.WithTimeout(s.b.Context(), 20*time.Second)
	defer cancel()
	if lab.Await(ctx, func() bool { return so(s.table()) }) != nil {
		s.b.Fatalf("%s: no %s: %v", s.name(), what, s.table())
	}
}

// load is a client that sends requests at a steady rate, each over a new connection.
type load struct {
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu           sync.Mutex
	asked, lost  int
	answers      map[string]int // by server
	lastFailures []string
}

// load starts a client. A request without an answer within a second is lost.
func (s *balanced) load(every time.Duration) *load {
	ctx, cancel := context.WithCancel(s.b.Context())
	l := &load{cancel: cancel, answers: map[string]int{}}
	l.done.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				l.done.Go(func() { l.ask(s.client) })
			case <-ctx.Done():
				return
			}
		}
	})
	return l
}

func (l *load) ask(c *lab.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	reply, err := c.Get(ctx, "http://"+balancedVIP+"/")
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	if err != nil || reply.Status != 200 {
		l.lost++
		l.lastFailures = append(l.lastFailures, fmt.Sprint(time.Now().Format("15:04:05.000 "), err))
		return
	}
	l.answers[reply.Server]++
}

// stop ends the client after its last request.
func (l *load) stop() {
	l.cancel()
	l.done.Wait()
}
