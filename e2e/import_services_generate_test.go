package e2e

import (
	"crypto/md5"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
)

// serviceGenerator writes a keepalived configuration of virtual servers whose real servers fail by class.
type serviceGenerator struct {
	*imported // that it adds to
	r         *rand.Rand
	dir       string // has the script of checks and the tracked files
	interval  int    // of checks, in seconds; some have a second more
	number    int    // of the configuration in its file, from 0: no address is used twice
	b         strings.Builder
	dynamic   bool // checks may set weights: keepalived cannot use a quorum of weights that are all 0
}

func (g *serviceGenerator) pick(of ...string) string { return of[g.r.IntN(len(of))] }

// maybe returns the text once in n times.
func (g *serviceGenerator) maybe(n int, text string) string {
	if g.r.IntN(n) > 0 {
		return ""
	}
	return text
}

const generatedServices = 10

// generatedHead is what all generated configurations of a file have in common.
func generatedHead(dir string) string {
	var b strings.Builder
	b.WriteString("global_defs {\n  script_user root\n  lvs_notify_fifo @DIR@/fifo\n}\n")
	for class := range 3 {
		fmt.Fprintf(&b, "track_file failed%d {\n  file %s/failed-%d\n  weight -1\n}\ntrack_file works%d {\n  file %s/works-%d\n}\n", class, dir, class, class, dir, class)
	}
	return b.String()
}

func (g *serviceGenerator) config() {
	fmt.Fprintf(&g.b, "virtual_server_group A%d {\n 10.1.%d.1-3 80\n 10.1.%d.8/30 81\n}\nvirtual_server_group B%d {\n fwmark 9%03d1\n fwmark 9%03d2\n}\n",
		g.number, g.number, g.number, g.number, g.number, g.number)
	for i := 1; i <= generatedServices; i++ {
		g.service(i)
	}
}

// service writes a virtual server.
func (g *serviceGenerator) service(i int) {
	port := g.pick("80", "8080")
	six, mark, group := false, false, i <= 2
	name := "" // in a FIFO
	switch {
	case i == 1:
		fmt.Fprintf(&g.b, "virtual_server group A%d {\n", g.number)
		port = "80"
	case i == 2:
		fmt.Fprintf(&g.b, "virtual_server group B%d {\n", g.number)
		mark = true
	case g.r.IntN(6) == 0:
		mark, name = true, fmt.Sprintf("FWM %d", 100*g.number+i)
		fmt.Fprintf(&g.b, "virtual_server %s {\n", strings.Replace(name, "FWM", "fwmark", 1))
	case g.r.IntN(4) == 0:
		six, name = true, fmt.Sprintf("[fd01::%d:%d]", g.number+1, i)
		fmt.Fprintf(&g.b, "virtual_server %s %s\n{\n", strings.Trim(name, "[]"), port)
	default:
		name = fmt.Sprintf("[10.2.%d.%d]", g.number, i)
		fmt.Fprintf(&g.b, "virtual_server %s %s {\n", strings.Trim(name, "[]"), port)
	}
	g.b.WriteString("  " + g.pick("lb_algo", "lvs_sched") + " " + g.pick("rr", "wrr", "lc", "wlc", "sh", "sh\n sh-port", "mh\n mh-port\n mh-fallback",
		"nq", "sed", "fo", "ovf", "lblc", "dh", "unknown") + "\n")
	method := g.pick("", "NAT", "DR", "TUN")
	if method != "" {
		g.b.WriteString("  " + g.pick("lb_kind", "lvs_method") + " " + method + "\n")
	}
	protocol := g.pick("", "TCP", "UDP", "SCTP")
	if protocol != "" {
		g.b.WriteString("  protocol " + protocol + "\n")
	}
	if protocol == "UDP" {
		g.b.WriteString(g.pick("", "  ops\n"))
	}
	g.b.WriteString(g.pick("", "  persistence_timeout 50\n", "  persistence_timeout 0\n", "  persistence_timeout\n"))
	if !six && !group { // keepalived 2.2 ignores it for groups
		g.b.WriteString(g.maybe(3, "  persistence_granularity 255.255.255.0\n"))
	}
	g.b.WriteString(g.maybe(4, "  virtualhost www\n") + g.maybe(4, "  inhibit_on_failure\n"))
	weights, sum := g.weights()
	g.dynamic = sum > 0
	alpha := g.r.IntN(3) == 0
	if alpha {
		g.b.WriteString("  alpha\n")
	}
	g.b.WriteString(fmt.Sprintf("  delay_loop %d\n", g.interval+g.r.IntN(2)) + g.maybe(3, "  retry 1\n  delay_before_retry 1\n"))
	address := func(class, n int) string {
		if six {
			return fmt.Sprintf("fd03:%d::%d:%d:%d", class, g.number+1, i, n)
		}
		return fmt.Sprintf("10.%d.%d.%d", 100+class, g.number, 10*i+n)
	}
	mixed := g.quorum(sum)
	g.notify("quorum", "VS "+name, group)
	if g.r.IntN(2) == 0 {
		fmt.Fprintf(&g.b, "  sorry_server %s %s\n%s%s", address(3, 9), port, g.maybe(6, "  sorry_server_inhibit\n"), g.maybe(6, "  sorry_server_lvs_method NAT\n"))
	}
	for i, weight := range weights {
		n := i + 1
		s := server{class: g.r.IntN(3), waits: alpha}
		if !mixed {
			s.class = min(s.class, 1)
		}
		s.address = netip.MustParseAddr(address(s.class, n))
		to := port
		if method == "" || method == "NAT" {
			to = g.pick(port, "8080")
		}
		if mark {
			to = "80"
		}
		fmt.Fprintf(&g.b, "  real_server %s %s {\n%s", s.address, to, weight)
		g.realServer(s, mixed, group, weight != "    weight 0\n")
	}
	g.b.WriteString("}\n")
}

// realServer writes the rest of a real server. If mixed, it may have its own alpha.
func (g *serviceGenerator) realServer(s server, mixed, group, weighs bool) {
	g.b.WriteString(g.maybe(3, "    uthreshold 100\n    lthreshold 50\n") + g.pick("", "", "    inhibit_on_failure\n", "    inhibit_on_failure no\n"))
	if mixed && g.r.IntN(4) == 0 {
		s.waits = !s.waits
		g.b.WriteString("    alpha " + map[bool]string{true: "on", false: "off"}[s.waits] + "\n")
	}
	g.notify("notify", fmt.Sprintf("RS [%s]", s.address), group)
	g.check(s, g.dynamic && weighs)
	g.b.WriteString("  }\n")
}

// weights writes the weight of servers, and returns the lines of each server and the sum of the weights.
func (g *serviceGenerator) weights() (lines []string, sum int) {
	usual := 1
	if g.r.IntN(3) == 0 {
		usual = 3
		g.b.WriteString("  weight 3\n")
	}
	for range 1 + g.r.IntN(4) {
		own := []int{-1, -1, 0, 2, 5}[g.r.IntN(5)]
		if own < 0 {
			lines, sum = append(lines, ""), sum+usual
			continue
		}
		lines, sum = append(lines, fmt.Sprintf("    weight %d\n", own)), sum+own
	}
	return lines, sum
}

// quorum reports whether some of the real servers may be used from the start and others not, and some may fail at the start: with a
// hysteresis, the quorum would depend on the order in which they change, and lvs-ha begins without it. It can be regained.
func (g *serviceGenerator) quorum(sum int) (mixed bool) {
	needed := 1
	if g.r.IntN(2) == 0 {
		needed = 1 + g.r.IntN(sum+2)
		fmt.Fprintf(&g.b, "  quorum %d\n", needed)
	}
	if needed > 1 && needed < sum && g.r.IntN(2) == 0 {
		g.b.WriteString("  hysteresis 1\n")
		return false
	}
	return true
}

// notify writes the lines by which a service or server calls the script that notes its arguments. For a group, lvs-ha calls it for each
// address.
func (g *serviceGenerator) notify(word, subject string, group bool) {
	if group || g.r.IntN(4) > 0 {
		return
	}
	for _, state := range []string{"UP", "DOWN"} {
		if g.r.IntN(4) > 0 {
			g.notified[subject+" "+state] = true
			fmt.Fprintf(&g.b, "    %s_%s \"@DIR@/note %s %s\"\n", word, strings.ToLower(state), subject, g.pick(state, "'"+state+"'"))
		}
	}
}

// check writes the checks of a real server, or none.
func (g *serviceGenerator) check(s server, weighs bool) {
	if g.r.IntN(10) == 0 {
		return
	}
	files := true
	for range 1 + g.r.IntN(5)/4 {
		kind := g.r.IntN(16)
		switch kind {
		case 0, 1:
			if weighs { // only one check may set the weight
				weighs = false
				g.setsWeight(s, kind == 0)
				s.fails, s.file, files = s.fails || kind == 0, s.file || kind == 1, files && kind == 1
				continue
			}
			fallthrough
		default:
			g.b.WriteString("    TCP_CHECK {\n      connect_timeout 5\n" + g.maybe(4, "      connect_port 8080\n") + "    }\n")
		case 2:
			fmt.Fprintf(&g.b, "    MISC_CHECK {\n      misc_path \"%s/check %d\"\n      misc_timeout 20\n      delay_loop %d\n%s    }\n", g.dir, s.class, 2*g.interval, g.maybe(3, "      user root\n"))
		case 3:
			s.file = true
			fmt.Fprintf(&g.b, "    FILE_CHECK {\n      track_file failed%d\n      weight 0\n    }\n", s.class)
		case 4, 5:
			g.web("HTTP_GET", g.pick("", "      connect_port 80\n", "      connect_port 8080\n"))
		case 6:
			g.web("SSL_GET", "      connect_port 443\n")
		case 7:
			g.b.WriteString("    PING_CHECK {\n      connect_timeout 5\n    }\n")
		case 8:
			g.b.WriteString("    UDP_CHECK {\n      payload 00\n      connect_timeout 1\n      connect_port 80\n    }\n")
		case 9:
			host := fmt.Sprintf("      host {\n        connect_ip %s\n        connect_port 25\n        connect_timeout 5\n      }\n", s.address)
			g.b.WriteString("    SMTP_CHECK {\n" + g.pick("      connect_timeout 5\n      connect_port 25\n", "      connect_port 25\n      helo_name lb.example\n"+host, host+host) + "    }\n")
		case 10:
			g.b.WriteString("    DNS_CHECK {\n      connect_timeout 5\n      connect_port 53\n      retry 1\n      delay_before_retry 1\n" + g.pick("", "      type A\n", "      type txt\n") +
				g.pick("", "      name www.example\n") + "    }\n")
		}
		s.fails, files = true, files && kind == 3
	}
	s.waits = s.waits && !files // keepalived has read the files
	g.servers[s.address] = s
}

// setsWeight writes a check that sets the weight of a server: it is not more while the class of the server fails.
func (g *serviceGenerator) setsWeight(s server, script bool) {
	g.weighted = append(g.weighted, strings.TrimSuffix(netip.AddrPortFrom(s.address, 0).String(), "0"))
	if script {
		fmt.Fprintf(&g.b, "    MISC_CHECK {\n      misc_path \"%s/check %d%s\"\n      misc_timeout 20\n      delay_loop %d\n      misc_dynamic\n    }\n", g.dir, s.class, g.pick("", " 9"), 2*g.interval)
		return
	}
	fmt.Fprintf(&g.b, "    FILE_CHECK {\n      track_file %s\n    }\n", fmt.Sprintf(g.pick("failed%d", "failed%d\n      weight 1 reverse", "works%d", "works%d\n      weight 2"), s.class))
}

// web writes a check that requests pages.
func (g *serviceGenerator) web(kind, port string) {
	url := func(lines ...string) string { return "      url {\n        path /\n" + g.pick(lines...) + "      }\n" }
	fmt.Fprintf(&g.b, "    %s {\n%s%s%s      connect_timeout 5\n    }\n", kind, url("", "        status_code 200\n", "        status_code 200-299 404\n"),
		g.maybe(3, url(fmt.Sprintf("        digest %x\n", md5.Sum([]byte(samplePage))), "        virtualhost www.example\n")), port)
}
