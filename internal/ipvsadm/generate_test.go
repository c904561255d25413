package ipvsadm_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// generator generates valid and invalid command lines.
type generator struct{ *rand.Rand }

func (g generator) one(list ...string) string { return list[g.IntN(len(list))] }

// rarely returns true with a probability of 1/n.
func (g generator) rarely(n int) bool { return g.IntN(n) == 0 }

func (g generator) port() string {
	if g.rarely(8) {
		return g.one("0", "65535", "65536", "http", "https", "domain", "nosuch", "-1", "+80", "080", "", "80x", "4294967376")
	}
	return g.one("80", "81", "443", "256", "8080")
}

func (g generator) host4() string {
	if g.rarely(12) {
		return g.one("10.1", "0x0a000002", "012.0.0.1", "10.0.0.256", "localhost", "nosuch.invalid", "", "10.0.0", "1.2.3.4.5", "08.1.1.1", "4294967295", "10.0.0.1 x")
	}
	return g.one("10.0.0.1", "10.0.0.2", "192.168.0.1", "172.16.255.9", "127.0.0.1", "223.255.255.254")
}

func (g generator) host6() string {
	if g.rarely(12) {
		return g.one("fd00::g", "::ffff:1.2.3.4", "fe80::1%lo", "", "localhost", "1::2::3", "00001::", "::1.2.3.4")
	}
	return g.one("fd00::1", "fd00::2", "2001:db8::80", "::1", "9000:1:2:3:4:5:6:7")
}

func (g generator) endpoint() string {
	switch g.IntN(10) {
	case 0:
		return g.host4()
	case 1:
		return g.host6()
	case 2, 3, 4:
		return fmt.Sprintf("[%s]:%s", g.host6(), g.port())
	}
	return g.host4() + ":" + g.port()
}

// service returns the options that name a service.
func (g generator) service() []string {
	switch g.IntN(12) {
	case 0:
		return nil
	case 1, 2:
		mark := g.one("1", "2", "2147483648", "4294967295", "0", "x", "-1")
		return []string{g.one("-f", "-f", "--fwmark-service"), mark}
	case 3, 4:
		return []string{"-f", g.one("1", "2", "77"), g.one("-6", "--ipv6")}
	}
	option := g.one("-t", "-t", "-t", "-u", "--tcp-service", "--udp-service", "--sctp-service")
	if strings.HasPrefix(option, "--") && g.rarely(2) {
		return []string{option + "=" + g.endpoint()}
	}
	if !strings.HasPrefix(option, "--") && g.rarely(3) {
		return []string{option + g.endpoint()}
	}
	return []string{option, g.endpoint()}
}

func (g generator) number() string {
	if g.rarely(5) {
		return g.one("-1", "x", "", "2147483648", "99999999999999999999", "5x", " 5", "010", "+3")
	}
	return g.one("0", "1", "5", "100", "65535", "65536", "2147483647")
}

// serviceOption returns one option of -A and -E.
func (g generator) serviceOption() []string {
	switch g.IntN(8) {
	case 0, 1:
		return []string{g.one("-s", "--scheduler"), g.one("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "none", "bad", "")}
	case 2:
		return []string{g.one("-p", "--persistent")}
	case 3:
		return []string{"-p", g.one("1", "300", "2678400", "2678401", "0", "x")}
	case 4:
		return []string{g.one("-M", "--netmask"), g.one("255.255.255.0", "255.0.0.0", "24", "64", "128", "129", "0", "x", "64x", "0.0.0.0")}
	case 5:
		return []string{g.one("-o", "--ops")}
	case 6:
		return []string{"--pe", g.one("sip", "sip", "bad", "")}
	}
	return []string{g.one("-b", "--sched-flags"), g.one("sh-port", "sh-fallback,sh-port", "mh-port", "mh-fallback", "flag-1", "flag-2,flag-3", "flag-3", "bad", "", "sh-port,")}
}

// serverOption returns one option of -a and -e.
func (g generator) serverOption() []string {
	switch g.IntN(10) {
	case 0, 1:
		return []string{g.one("-m", "-g", "-i", "--masquerading", "--gatewaying", "--ipip")}
	case 2, 3:
		return []string{g.one("-w", "--weight"), g.number()}
	case 4:
		return []string{g.one("-x", "--u-threshold"), g.number()}
	case 5:
		return []string{g.one("-y", "--l-threshold"), g.number()}
	case 6:
		return []string{"-i", "--tun-type", g.one("ipip", "gue", "gre", "bad")}
	case 7:
		return []string{"-i", "--tun-type", "gue", "--tun-port", g.one("6080", "1", "65535", "0", "x")}
	case 8:
		return []string{g.one("--tun-nocsum", "--tun-csum", "--tun-remcsum")}
	}
	return []string{g.one("--tun-type", "--tun-port", "-w"), g.one("gue", "6080", "gre", "5")}
}

func (g generator) listOption() []string {
	return []string{g.one("-n", "-c", "--timeout", "--daemon", "--stats", "--rate", "--exact", "--thresholds", "--persistent-conn",
		"-X", "--tun-info", "--sort", "--nosort", "--numeric", "--connection", "-nc", "--syncid=5")}
}

func (g generator) daemonOption() []string {
	switch g.IntN(6) {
	case 0:
		return []string{"--mcast-interface", g.one("lo", "lo", "nosuch", "")}
	case 1:
		return []string{"--syncid", g.one("0", "5", "255", "256", "x")}
	case 2:
		return []string{"--mcast-group", g.one("224.0.0.82", "ff02::82", "10.0.0.1", "fd00::1", "x", "239.1")}
	case 3:
		return []string{"--mcast-port", g.one("8849", "0", "65535", "65536", "x")}
	case 4:
		return []string{"--mcast-ttl", g.one("1", "255", "256", "0")}
	}
	return []string{"--sync-maxlen", g.one("1", "1400", "65507", "65508", "x")}
}

// line returns a command line.
func (g generator) line() []string {
	if g.rarely(40) {
		return []string{g.one("-h", "-v", "-n", "--nosuch", "-X", "-", "--", "foo", "", "-AL", "--list=1", "--add-serv")}
	}
	var args []string
	add := func(times int, option func() []string) {
		for range g.IntN(times + 1) {
			args = append(args, option()...)
		}
	}
	switch g.IntN(20) {
	case 0, 1, 2, 3, 4:
		args = append([]string{g.one("-A", "-A", "-A", "-E", "--add-service", "--edit-service")}, g.service()...)
		add(3, g.serviceOption)
	case 5, 6, 7, 8, 9, 10:
		args = append([]string{g.one("-a", "-a", "-a", "-e", "--add-server", "--edit-server")}, g.service()...)
		if !g.rarely(12) {
			args = append(args, g.one("-r", "--real-server"), g.endpoint())
		}
		add(3, g.serverOption)
	case 11, 12:
		args = append([]string{g.one("-d", "--delete-server")}, g.service()...)
		args = append(args, "-r", g.endpoint())
	case 13:
		args = append([]string{g.one("-D", "-Z", "--delete-service", "--zero")}, g.service()...)
	case 14, 15, 16:
		args = []string{g.one("-L", "-l", "-Ln", "--list")}
		if g.rarely(4) {
			args = append(args, g.service()...)
		}
		add(3, g.listOption)
	case 17:
		args = []string{g.one("--start-daemon", "--stop-daemon"), g.one("master", "backup", "both")}
		add(3, g.daemonOption)
	case 18:
		args = []string{"--set", g.number(), g.one("0", "100"), g.number()}
	default:
		args = []string{g.one("-S", "-S", "-Sn", "-C", "-Z")}
	}
	if g.rarely(12) {
		stray := [][]string{g.serviceOption(), g.serverOption(), g.listOption(), g.daemonOption(), {"stray"}, {"-6"}, {"-A"}, {"-Q"}}
		args = append(args, stray[g.IntN(len(stray))]...)
	}
	if g.rarely(6) {
		// Keep the command first.
		rest := args[1:]
		g.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	}
	return args
}

// rule returns a line of a rule file that does not list the table: the kernel's order differs between namespaces.
func (g generator) rule() string {
	if g.rarely(10) {
		return g.one("", "   ", "ipvsadm", "# comment", "-L --timeout", "-Z", "-L -c", "stray", "-A", "--set 1 2 3")
	}
	line := g.line()
	for lists(line) {
		line = g.line()
	}
	return g.one("", "", "", "ipvsadm ", "  ", "\t") + strings.Join(line, g.one(" ", " ", " ", "  ", "\t"))
}

// lists reports whether a command line prints the table in an order that may depend on the kernel's.
func lists(args []string) bool {
	return len(args) > 0 && slices.ContainsFunc([]string{"-L", "-l", "--list", "-S", "--save"}, func(p string) bool {
		return strings.HasPrefix(args[0], p)
	})
}
