package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
)

// serviceGenerator writes a keepalived configuration of virtual servers whose real servers fail by class.
type serviceGenerator struct {
	r       *rand.Rand
	dir     string // has the script of checks
	b       strings.Builder
	servers []server // those that are checked

	dynamic  bool     // checks may set weights: keepalived cannot use a quorum of weights that are all 0
	weighted []string // servers whose check sets the weight
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

func (g *serviceGenerator) config() {
	g.b.WriteString("global_defs {\n  script_user root\n  lvs_notify_fifo @DIR@/fifo\n}\n" +
		"virtual_server_group G1 {\n 10.1.0.1-3 80\n 10.1.1.0/30 81\n}\nvirtual_server_group G2 {\n fwmark 901\n fwmark 902\n}\n")
	for i := 1; i <= generatedServices; i++ {
		g.service(i)
	}
}

func (g *serviceGenerator) service(i int) {
	port := g.pick("80", "8080")
	six, mark, group := false, false, i <= 2
	switch {
	case i == 1:
		g.b.WriteString("virtual_server group G1 {\n")
		port = "80"
	case i == 2:
		g.b.WriteString("virtual_server group G2 {\n")
		mark = true
	case g.r.IntN(6) == 0:
		fmt.Fprintf(&g.b, "virtual_server fwmark %d {\n", i)
		mark = true
	case g.r.IntN(4) == 0:
		six = true
		fmt.Fprintf(&g.b, "virtual_server fd01::%d %s\n{\n", i, port)
	default:
		fmt.Fprintf(&g.b, "virtual_server 10.2.0.%d %s {\n", i, port)
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
	g.b.WriteString("  delay_loop " + g.pick("1", "2") + "\n" + g.maybe(3, "  retry 1\n  delay_before_retry 1\n"))
	address := func(class, n int) string {
		if six {
			return fmt.Sprintf("fd03:%d::%d:%d", class, i, n)
		}
		return fmt.Sprintf("10.%d.%d.%d", 100+class, i, n)
	}
	mixed := g.quorum(sum)
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
		to := " " + port
		if method == "" || method == "NAT" {
			to = g.pick(" "+port, " 8080")
		}
		if mark {
			to = " 80"
		}
		fmt.Fprintf(&g.b, "  real_server %s%s {\n%s%s%s", s.address, to, weight,
			g.maybe(3, "    uthreshold 100\n    lthreshold 50\n"), g.pick("", "", "    inhibit_on_failure\n", "    inhibit_on_failure no\n"))
		if mixed && g.r.IntN(4) == 0 {
			s.waits = !alpha
			g.b.WriteString("    alpha " + map[bool]string{true: "on", false: "off"}[s.waits] + "\n")
		}
		g.check(s, g.dynamic && weight != "    weight 0\n")
		g.b.WriteString("  }\n")
	}
	g.b.WriteString("}\n")
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

// check writes the checks of a real server, or none.
func (g *serviceGenerator) check(s server, weighs bool) {
	if g.r.IntN(10) == 0 {
		return
	}
	g.servers = append(g.servers, s)
	has := map[string]bool{} // only one check may set the weight, which is not 0
	for range 1 + g.r.IntN(5)/4 {
		switch g.r.IntN(8) {
		case 0:
			g.b.WriteString("    HTTP_GET {\n      url {\n        path /\n" + g.pick("", "        status_code 200\n") + "      }\n      connect_timeout 5\n    }\n")
		case 1:
			g.b.WriteString("    PING_CHECK {\n      connect_timeout 5\n    }\n")
		case 2:
			g.b.WriteString("    UDP_CHECK {\n      payload 00\n      connect_timeout 1\n      connect_port 80\n    }\n")
		case 3:
			status, dynamic := "", ""
			if !has["MISC_CHECK"] && weighs {
				status, dynamic = g.pick("", " 9"), "      misc_dynamic\n"
				g.weighted = append(g.weighted, strings.TrimSuffix(netip.AddrPortFrom(s.address, 0).String(), "0"))
			}
			has["MISC_CHECK"] = true
			fmt.Fprintf(&g.b, "    MISC_CHECK {\n      misc_path \"%s/check %d%s\"\n      misc_timeout 20\n      delay_loop 2\n%s    }\n", g.dir, s.class, status, dynamic)
		default:
			g.b.WriteString("    TCP_CHECK {\n      connect_timeout 5\n" + g.maybe(4, "      connect_port 8080\n") + "    }\n")
		}
	}
}
