package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
	"github.com/lvs-ha/lvs-ha/internal/keepalived/effect"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// TestHostImportedVRRP runs keepalived with a generated configuration and lvs-ha with what the import makes of it, each on a host
// of its own, and compares the adverts on the wire and the addresses on the interfaces.
func TestHostImportedVRRP(t *testing.T) {
	lab.Need(t, lab.Host)
	seed, _ := lab.Seed(t, 1)
	text := generateVRRP(rand.New(rand.NewPCG(seed, 1)))
	path := filepath.Join(t.TempDir(), "keepalived.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l := lab.NewT(t, "import")
	theirs, ours := newSide(t, l, "theirs"), newSide(t, l, "ours")
	imported := filepath.Join(filepath.Dir(path), "lvs-ha.hcl")
	lvsha := must[string](t)(lab.Binary())
	out, err := exec.CommandContext(t.Context(), lvsha, "import", "keepalived", path).Output()
	if err != nil {
		t.Fatalf("import: %v\n%s\n%s", err, text, out)
	}
	if err := os.WriteFile(imported, out, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d\n%s\n%s", seed, text, out)
		}
	})
	dir := t.TempDir()
	theirs.start("keepalived", "-n", "-G", "-l", "-P", "-f", path, "-p", dir+"/p", "-r", dir+"/r", "-c", dir+"/c")
	ours.start(lvsha, "run", "--runtime-dir", dir+"/lvs-ha", "-c", imported)
	ids := regexp.MustCompile(`(?m)^vrrp_instance`).FindAllString(text, -1)
	theirs.awaitRouters(len(ids))
	ours.awaitRouters(len(ids))
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	_ = lab.Await(ctx, func() bool { return maps.Equal(theirs.adverts(), ours.adverts()) }) // after the first results of tracks
	for id, want := range theirs.adverts() {
		if got := ours.adverts()[id]; got != want {
			t.Errorf("%s\nkeepalived %s\nlvs-ha     %s", id, want, got)
		}
	}
	if err := lab.Await(ctx, func() bool { return theirs.routes() == ours.routes() }); err != nil {
		t.Errorf("routes and rules: only keepalived's\n%s\nonly lvs-ha's\n%s", without(theirs.routes(), ours.routes()), without(ours.routes(), theirs.routes()))
	}
	if err := lab.Await(ctx, func() bool { return theirs.addresses() == ours.addresses() }); err != nil {
		t.Errorf("keepalived's addresses\n%s\nlvs-ha's\n%s", theirs.addresses(), ours.addresses())
	}
	// What is computed assumes that scripts succeed. For the one that fails, this has the same effect.
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "weight -9\n", "weight 9 reverse\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	theirs.compare(keepalivedEffect(t, path, func(string) []netip.Addr {
		return []netip.Addr{netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("fe80::ff:fe00:1")}
	}))
}

// keepalivedEffect is what `lvs-ha import --check` takes as keepalived's.
func keepalivedEffect(t *testing.T, path string, interfaces effect.Interfaces) *effect.Effect {
	t.Helper()
	c := must[*keepalived.Config](t)(keepalived.Read(path, keepalived.Options{}))
	return effect.Keepalived(c, interfaces)
}

// compare compares what keepalived has done with what was computed.
func (s *side) compare(computed *effect.Effect) {
	s.t.Helper()
	text := strings.Join(computed.Adverts, "\n")
	for id, advert := range s.adverts() {
		if payload := advert[strings.LastIndexByte(advert, ' ')+1:]; !strings.Contains(text, payload) {
			s.t.Errorf("%s: keepalived sent %s; computed\n%s", id, payload, text)
		}
	}
	if len(computed.Adverts) != len(s.adverts()) {
		s.t.Errorf("%d routers advertise, %d were computed", len(s.adverts()), len(computed.Adverts))
	}
	var want, got []string
	for _, a := range computed.Addresses {
		words := strings.Fields(a)
		want = append(want, words[0]+" "+words[2])
	}
	own := []string{"10.9.0.1/16", "fd09::1/64", "10.8.0.1/16", "127.0.0.1/8", "::1/128"}
	for _, line := range strings.Split(s.addresses(), "\n") {
		if words := strings.Fields(line); !slices.Contains(own, words[2]) && !strings.HasPrefix(words[2], "fe80:") {
			got = append(got, words[2]+" "+words[0])
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		s.t.Errorf("only keepalived's:\n%s\nonly computed:\n%s", without(strings.Join(got, "\n"), strings.Join(want, "\n")), without(strings.Join(want, "\n"), strings.Join(got, "\n")))
		s.t.Logf("addresses\n%s", s.addresses())
	}
}

// side is a host on a bridge of its own.
type side struct {
	t       *testing.T
	host    *lab.Node
	capture *lab.Capture
	log     bytes.Buffer
	program *lab.Cmd // the last started
}

func newSide(t *testing.T, l *lab.Lab, name string) *side {
	t.Helper()
	s := &side{t: t}
	bridge := must[*lab.Bridge](t)(l.Bridge(name))
	s.host = must[*lab.Node](t)(l.Host(name,
		lab.NIC{Name: "eth0", Bridge: bridge, MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Addresses: lab.Prefixes("10.9.0.1/16", "fd09::1/64")},
		lab.NIC{Name: "eth1", Bridge: bridge, MAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, Addresses: lab.Prefixes("10.8.0.1/16")}))
	// The unicast peer does not exist.
	if out, err := s.host.Command(t.Context(), "ip", "neighbour", "add", "10.9.0.77", "lladdr", "02:00:00:00:00:77", "dev", "eth0").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.capture = must[*lab.Capture](t)(bridge.Capture(lab.Filter{Protocols: []uint8{lab.ProtocolVRRP}}))
	return s
}

func (s *side) start(name string, args ...string) {
	s.t.Helper()
	cmd := s.host.Command(context.Background(), name, args...)
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	s.program = cmd
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if s.t.Failed() {
			s.t.Logf("%s:\n%s", name, s.log.String())
		}
	})
}

func (s *side) awaitRouters(n int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	if err := lab.Await(ctx, func() bool { return len(s.adverts()) == n }); err != nil {
		s.t.Fatalf("%s: %d of %d routers advertise", s.host.Name(), len(s.adverts()), n)
	}
}

// adverts returns the last advert of each virtual router: source, destination, TTL and payload.
func (s *side) adverts() map[string]string {
	all := map[string]string{}
	for _, f := range s.capture.Frames() {
		const ip = 14
		d := f.Data
		var source, destination netip.Addr
		var ttl byte
		var payload []byte
		if binary.BigEndian.Uint16(d[12:]) == lab.EtherTypeIPv4 {
			source, destination = netip.AddrFrom4([4]byte(d[ip+12:])), netip.AddrFrom4([4]byte(d[ip+16:]))
			ttl, payload = d[ip+8], d[ip+20:ip+int(binary.BigEndian.Uint16(d[ip+2:]))]
		} else {
			source, destination = netip.AddrFrom16([16]byte(d[ip+8:])), netip.AddrFrom16([16]byte(d[ip+24:]))
			ttl, payload = d[ip+7], d[ip+40:ip+40+int(binary.BigEndian.Uint16(d[ip+4:]))]
		}
		id := fmt.Sprintf("virtual router %d, IPv6: %v", payload[1], source.Is6())
		all[id] = fmt.Sprintf("%v → %v TTL %d %x", source, destination, ttl, payload)
	}
	return all
}

// addresses returns what `ip` shows about addresses, without what depends on the host or the time.
func (s *side) addresses() string {
	out, err := s.host.Command(context.Background(), "ip", "-o", "address", "show").Output()
	if err != nil {
		s.t.Fatal(err)
	}
	var lines []string
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		text, _, _ := strings.Cut(line, `\`)
		_, text, _ = strings.Cut(text, ": ")
		words := strings.Fields(text)
		words = slices.DeleteFunc(words, func(w string) bool { return w == "nodad" || w == "secondary" })
		if i := slices.Index(words, "brd"); i >= 0 {
			words = slices.Delete(words, i, i+2)
		}
		lines = append(lines, strings.Join(words, " "))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// routes returns the routes of numbered tables and the rules, without the number of the program that made them.
func (s *side) routes() string {
	var lines []string
	for _, what := range []string{"-4 route show table all", "-4 rule show"} {
		out, err := s.host.Command(context.Background(), "ip", strings.Fields(what)...).Output()
		if err != nil {
			s.t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "table ") && !strings.Contains(line, "table local") || strings.Contains(line, "lookup ") {
				lines = append(lines, strings.Join(strings.Fields(programNumber.ReplaceAllString(line, "")), " "))
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

var programNumber = regexp.MustCompile(` proto \S+`)

// generateVRRP returns a keepalived configuration that is written in many ways, and whose instances all become master on a host
// that is alone.
func generateVRRP(r *rand.Rand) string {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	var b strings.Builder
	fmt.Fprintf(&b, "! generated\nglobal_defs {\n%s%s%s}\n$NET=10.9\n", pick("", "vrrp_version 3\n", "vrrp_version 2\n"),
		pick("", "vrrp_garp_master_repeat 3\n"), pick("", "vrrp_garp_master_delay 1 # soon\n"))
	b.WriteString("vrrp_script good {\n  script /bin/true\n  interval 1\n  weight 7\n  user root\n}\nvrrp_script bad {\n  script /bin/false\n  interval 1\n  weight -9\n  fall 1\n  user root\n}\n" +
		"vrrp_track_process init {\n  process no-such-program\n  quorum_max 0\n  weight 11\n}\n")
	grouped := r.IntN(2) == 0
	if grouped {
		b.WriteString("vrrp_sync_group G {\n  group {\n    V1\n    V2\n  }\n" + pick("", "  sync_group_tracking_weight\n", "  track_script {\n    good\n  }\n", "  track_interface {\n    eth1 weight 4\n  }\n") + "}\n")
	}
	ipv4, ipv6 := 1, 1
	for i := 1; i <= 40; i++ {
		six := r.IntN(4) == 0
		version := pick("", "version 2\n", "version 3\n")
		if six {
			version = pick("", "version 3\n")
		}
		name := pick("V%d", "\"V-%d\"", "lan/%d")
		if i <= 2 && grouped {
			name = "V%d"
		}
		fmt.Fprintf(&b, "vrrp_instance %s%s{\n  interface eth0\n  virtual_router_id %d\n%s", name, pick(" ", "\n"), i, version)
		text := b.String()
		b.Reset()
		b.WriteString(strings.Replace(text, "%d", fmt.Sprint(i), 1))
		b.WriteString(pick("", "  state MASTER\n  priority 150\n", "  state BACKUP\n", "  nopreempt\n"))
		b.WriteString(pick("", "  priority 77 ! low\n", "  priority 254\n"))
		b.WriteString(pick("", "  advert_int 1\n", "  advert_int 0.7 # rounded with version 2\n"))
		switch {
		case six:
		case r.IntN(3) == 0:
			b.WriteString("  authentication { auth_type PASS\n auth_pass " + pick("short", "\"longer than 8\"", "12345678") + " }\n")
		case r.IntN(4) == 0:
			b.WriteString("  unicast_src_ip 10.9.0.1\n  unicast_ttl 255\n  unicast_peer {\n    10.9.0.77" + pick("", " min_ttl 3 max_ttl 255") + "\n  }\n")
		case r.IntN(4) == 0:
			b.WriteString("  mcast_dst_ip 224.0.0.55\n")
		}
		if r.IntN(4) == 0 {
			b.WriteString("  track_interface {\n    eth1" + pick("", " weight 5", " weight -5 reverse") + "\n  }\n")
		}
		if r.IntN(4) == 0 {
			b.WriteString("  track_script {\n    " + pick("good", "bad", "good weight 20", "good weight 6 reverse\n    bad") + "\n  }\n")
		}
		if r.IntN(6) == 0 {
			b.WriteString("  track_process {\n    init" + pick("", " weight 3") + "\n  }\n")
		}
		if r.IntN(4) == 0 && !six {
			fmt.Fprintf(&b, "  virtual_routes {\n    10.66.%d.0/24 via 10.9.0.77 dev eth0 table %d%s\n    %s 10.67.%d.0/24 table %d\n  }\n", i, 100+i,
				pick("", " metric 5", " mtu 1300"), pick("blackhole", "unreachable", "prohibit"), i, 100+i)
			fmt.Fprintf(&b, "  virtual_rules {\n    from 10.65.%d.0/24 %s %d priority %d\n  }\n", i, pick("table", "lookup"), 100+i, 1000+i)
		}
		b.WriteString("  virtual_ipaddress {\n")
		for range 1 + r.IntN(4) {
			if six {
				fmt.Fprintf(&b, "    fd09::1:%x%s # address\n", ipv6, pick("", "/64", "/128 dev eth1", "/64 preferred_lft 0"))
				ipv6++
				continue
			}
			fmt.Fprintf(&b, "    ${NET}.%d.%d%s\n", 1+ipv4/250, 1+ipv4%250, pick("", "/24", "/24 dev eth1", "/32 label eth0:v", "/32 scope link", "/24 dev eth0 brd +", "/24 noprefixroute"))
			ipv4++
		}
		b.WriteString("  }\n")
		if r.IntN(3) == 0 && !six {
			fmt.Fprintf(&b, "  virtual_ipaddress_excluded {\n~SEQ(i, 1, %d) 10.7.%d.$i\n  }\n", 1+r.IntN(3), i)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// TestKernelImportedServices compares keepalived's IPVS table for a generated configuration with that of the imported one.
func TestKernelImportedServices(t *testing.T) {
	lab.Need(t, lab.Kernel)
	seed, _ := lab.Seed(t, 1)
	text := generateServices(rand.New(rand.NewPCG(seed, 2)))
	dir := t.TempDir()
	path := filepath.Join(dir, "keepalived.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	lvsha := must[string](t)(lab.Binary())
	var complaints bytes.Buffer
	importing := exec.CommandContext(t.Context(), lvsha, "import", "keepalived", path)
	importing.Stderr = &complaints
	imported, err := importing.Output()
	if exit, ok := err.(*exec.ExitError); err != nil && (!ok || exit.ExitCode() != 2) { // 2: without alpha
		t.Fatalf("import: %v\n%s\n%s\n%s", err, complaints.String(), text, imported)
	}
	hcl := filepath.Join(dir, "lvs-ha.hcl")
	if err := os.WriteFile(hcl, imported, 0o600); err != nil {
		t.Fatal(err)
	}
	l := lab.NewT(t, "import")
	host := must[*lab.Node](t)(l.Host("theirs", lab.NIC{Name: "eth0", Bridge: must[*lab.Bridge](t)(l.Bridge("lan")), Addresses: lab.Prefixes("10.9.0.1/16")}))
	s := &side{t: t, host: host}
	s.start("keepalived", "-n", "-G", "-l", "-C", "-f", path, "-p", dir+"/p", "-c", dir+"/c")
	want := sortedRules(must[[]byte](t)(exec.CommandContext(t.Context(), lvsha, "export", "ipvsadm", "-c", hcl).Output()))
	read := func() string {
		return sortedRules(must[[]byte](t)(host.Command(t.Context(), lvsha, "export", "ipvsadm").Output()))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := lab.Await(ctx, func() bool { return read() == want }); err != nil {
		t.Errorf("seed %d\nonly keepalived:\n%s\nonly lvs-ha:\n%s\n%s\n%s", seed, without(read(), want), without(want, read()), text, imported)
	}
	if computed := sortedRules([]byte(strings.Join(keepalivedEffect(t, path, effect.ThisHost).Rules, "\n"))); computed != read() {
		t.Errorf("seed %d\nonly keepalived:\n%s\nonly computed:\n%s", seed, without(read(), computed), without(computed, read()))
	}
}

func sortedRules(rules []byte) string {
	lines := strings.Split(strings.TrimSpace(string(rules)), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// without returns the lines of a that b does not have.
func without(a, b string) string {
	other := strings.Split(b, "\n")
	return strings.Join(slices.DeleteFunc(strings.Split(a, "\n"), func(l string) bool { return slices.Contains(other, l) }), "\n")
}

func generateServices(r *rand.Rand) string {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	var b strings.Builder
	b.WriteString("virtual_server_group G1 {\n 10.1.0.1-3 80\n 10.1.1.0/30 81\n}\nvirtual_server_group G2 {\n fwmark 901\n fwmark 902\n}\n")
	for i := 1; i <= 40; i++ {
		port := fmt.Sprint(1000 + i)
		six := false
		switch {
		case i == 1:
			b.WriteString("virtual_server group G1 {\n")
		case i == 2:
			b.WriteString("virtual_server group G2 {\n")
		case r.IntN(6) == 0:
			fmt.Fprintf(&b, "virtual_server fwmark %d {\n", i)
		case r.IntN(4) == 0:
			six = true
			fmt.Fprintf(&b, "virtual_server fd01::%d %s\n{\n", i, port)
		default:
			fmt.Fprintf(&b, "virtual_server 10.2.0.%d %s {\n", i, port)
		}
		b.WriteString("  " + pick("lb_algo", "lvs_sched") + " " + pick("rr", "wrr", "lc", "wlc", "sh", "sh\n sh-port", "mh\n mh-port\n mh-fallback", "nq", "sed", "fo", "ovf", "lblc", "dh", "unknown") + "\n")
		method := pick("", "NAT", "DR", "TUN")
		if method != "" {
			b.WriteString("  " + pick("lb_kind", "lvs_method") + " " + method + "\n")
		}
		protocol := pick("", "TCP", "UDP", "SCTP")
		if protocol != "" {
			b.WriteString("  protocol " + protocol + "\n")
		}
		if protocol == "UDP" {
			b.WriteString(pick("", "  ops\n"))
		}
		b.WriteString(pick("", "  persistence_timeout 50\n", "  persistence_timeout 0\n", "  persistence_timeout\n"))
		if !six && i > 2 { // keepalived 2.2 ignores it for groups
			b.WriteString(pick("", "", "  persistence_granularity 255.255.255.0\n"))
		}
		b.WriteString(pick("", "  delay_loop 30\n", "  quorum 1\n", "  virtualhost www\n", "  weight 3\n", "  inhibit_on_failure\n"))
		for n := 1 + r.IntN(4); n > 0; n-- {
			address := fmt.Sprintf("10.3.%d.%d", i, n)
			if six {
				address = fmt.Sprintf("fd03::%d:%d", i, n)
			}
			to := " " + port
			if method == "" || method == "NAT" {
				to = pick(" "+port, " 8080")
			}
			fmt.Fprintf(&b, "  real_server %s%s {\n%s%s%s  }\n", address, to, pick("", "    weight 5\n", "    weight 0\n"),
				pick("", "    uthreshold 100\n    lthreshold 50\n"), pick("", "    inhibit_on_failure\n"))
		}
		b.WriteString("}\n")
	}
	return b.String()
}
