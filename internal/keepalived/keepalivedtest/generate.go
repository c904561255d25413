// Package keepalivedtest generates configurations of keepalived that have every word of its grammar.
package keepalivedtest

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

// Config returns a random configuration. Most words have values that keepalived accepts; some have others, stand twice or lack
// their value. The same source gives the same text.
func Config(r *rand.Rand) string {
	g := &generator{r: r, words: keepalived.Keywords()}
	g.line("%s generated", g.pick("!", "#"))
	for _, part := range []struct {
		block string
		most  int
	}{
		{"global_defs", 1}, {"vrrp_script", 2}, {"track_file", 1}, {"vrrp_track_file", 1}, {"vrrp_track_process", 1},
		{"vrrp_instance", 4}, {"vrrp_sync_group", 1}, {"static_ipaddress", 1}, {"static_routes", 1}, {"static_rules", 1},
		{"SSL", 1}, {"virtual_server_group", 2}, {"virtual_server", 3},
		{"track_group", 1}, {"garp_group", 1}, {"bfd_instance", 1}, {"linkbeat_interfaces", 1}, {"interface_up_down_delays", 1},
	} {
		for i := range g.r.IntN(part.most + 1) {
			g.top(part.block, i)
		}
	}
	for _, word := range g.words[""] {
		if g.words[word] == nil && blockLines[word] == "" && g.r.IntN(20) == 0 {
			g.line("%s", word+g.arguments("", word))
		}
	}
	return g.b.String()
}

type generator struct {
	r       *rand.Rand
	words   map[string][]string
	b       strings.Builder
	depth   int
	ipv6    bool // the instance's or the service's family
	number  int  // of the block among those of its kind
	servers int
	notes   int
}

func (g *generator) pick(of ...string) string { return of[g.r.IntN(len(of))] }

func (g *generator) line(format string, args ...any) {
	g.b.WriteString(strings.Repeat("    ", g.depth))
	fmt.Fprintf(&g.b, format, args...)
	if mark := g.pick("", "", "", "", "", "", "", " ! ", " # "); mark != "" {
		g.b.WriteString(mark + g.note())
	}
	g.b.WriteByte('\n')
	switch g.r.IntN(60) {
	case 0:
		g.b.WriteString("\n")
	case 1:
		g.b.WriteString("\n\n")
	case 2:
		g.b.WriteString("# " + g.note() + "\n")
	}
}

// note returns the text of a comment, which no other comment has.
func (g *generator) note() string {
	g.notes++
	return fmt.Sprintf("note %d.", g.notes)
}

// names are what follows the keyword of a top-level block.
var names = map[string]string{
	"vrrp_script": "s%d", "track_file": "f%d", "vrrp_track_file": "F%d", "vrrp_track_process": "p%d", "vrrp_instance": "V%d",
	"vrrp_sync_group": "G", "virtual_server_group": "g%d", "track_group": "t", "garp_group": "a", "bfd_instance": "b",
}

func (g *generator) top(block string, number int) {
	g.number, g.ipv6 = number, g.r.IntN(4) == 0
	head := block
	if name := names[block]; name != "" {
		head += " " + strings.ReplaceAll(name, "%d", fmt.Sprint(number))
	}
	if block == "virtual_server" {
		g.servers = 1 + g.r.IntN(3)
		head += " " + g.choose("{VIP} {PORT}|{VIP}/24 {PORT}|{VIP}|fwmark {NUMBER}|group g0|group g1")
	}
	g.block(head, block)
}

func (g *generator) block(head, kind string) {
	if g.r.IntN(6) == 0 {
		g.line("%s", head)
		g.line("{")
	} else {
		g.line("%s {", head)
	}
	g.depth++
	if lines, is := blockLines[kind]; is && (g.depth > 1 || g.words[kind] == nil) {
		for range g.r.IntN(5) {
			g.line("%s", g.choose(lines))
		}
	} else {
		g.keywords(kind)
	}
	g.depth--
	g.line("}")
}

// keywords writes lines of a block: those that it needs, and some of the others.
func (g *generator) keywords(kind string) {
	for _, word := range strings.Fields(needed[kind]) {
		if g.r.IntN(40) > 0 {
			g.word(kind, word)
		}
	}
	if kind == "global_defs" && g.r.IntN(2) == 0 {
		for _, word := range strings.Fields("smtp_alert smtp_server notification_email notification_email_from") {
			g.word(kind, word)
		}
	}
	likely := max(1, min(5, len(g.words[kind])/2))
	for _, word := range g.words[kind] {
		if word != "real_server" && g.r.IntN(len(g.words[kind])) < likely {
			g.word(kind, word)
		}
	}
	if kind == "virtual_server" {
		for range g.servers {
			g.block("real_server "+g.choose("{REAL} {PORT}|{REAL}|{REAL}/24 {PORT}"), "real_server")
			g.number++
		}
	}
}

func (g *generator) word(kind, word string) {
	if kind != word && kind != "FILE_CHECK" && (g.words[word] != nil || blockLines[word] != "") {
		g.block(word, word)
		return
	}
	g.line("%s", word+g.arguments(kind, word))
}

// needed are the words without which keepalived ignores a block.
var needed = map[string]string{
	"vrrp_script": "script", "track_file": "file", "vrrp_track_file": "file", "vrrp_track_process": "process",
	"vrrp_instance": "interface virtual_router_id virtual_ipaddress", "vrrp_sync_group": "group", "authentication": "auth_type auth_pass",
	"virtual_server": "lb_algo", "auth_hmac": "key active_key", "MISC_CHECK": "misc_path", "HTTP_GET": "url", "SSL_GET": "url", "FILE_CHECK": "track_file",
}

// arguments returns what follows a keyword, with a blank before it.
func (g *generator) arguments(kind, word string) string {
	switch {
	case g.r.IntN(15) == 0:
		return ""
	case g.r.IntN(15) == 0:
		return " " + g.choose(junk)
	}
	choices, is := arguments[kind+"."+word]
	if !is {
		choices, is = arguments[word]
	}
	if !is {
		choices = "|" + junk
	}
	if text := g.choose(choices); text != "" {
		return " " + text
	}
	return ""
}

// placeholders stand for values that depend on the block.
var placeholders = regexp.MustCompile(`\{[A-Z]+\}`)

// choose returns one of the choices, with its placeholders filled in.
func (g *generator) choose(choices string) string {
	return placeholders.ReplaceAllStringFunc(g.pick(strings.Split(choices, "|")...), func(name string) string { return g.placeholder(name[1 : len(name)-1]) })
}

func (g *generator) placeholder(name string) string {
	n := g.r.IntN(200)
	switch name {
	case "NUMBER":
		return fmt.Sprint(1 + n)
	case "PORT":
		return g.pick("80", "443", "8080", "53", "0")
	case "ID":
		return fmt.Sprint(10*g.number + 1 + n%10)
	case "VIP":
		return g.address(fmt.Sprintf("10.%d.0.%d", g.number, n), fmt.Sprintf("fd0%d::%x", g.number, n))
	case "LINKLOCAL":
		return g.address(fmt.Sprintf("169.254.%d.%d", g.number, n), "fe80::1")
	case "REAL":
		return g.address(fmt.Sprintf("10.8.%d.%d", g.number, n), fmt.Sprintf("fd08:%d::%x", g.number, n))
	case "ADDRESS":
		return g.address(fmt.Sprintf("192.0.2.%d", n), fmt.Sprintf("fd00::%x", n))
	case "LENGTH":
		return g.address(g.pick("", "/24", "/32"), g.pick("", "/64", "/128"))
	case "GROUP":
		return g.address(fmt.Sprintf("224.0.1.%d", n), fmt.Sprintf("ff02::%x", n+1))
	case "OTHER":
		g.ipv6 = !g.ipv6
		defer func() { g.ipv6 = !g.ipv6 }()
		return g.placeholder("ADDRESS")
	}
	panic("no such placeholder: " + name)
}

func (g *generator) address(v4, v6 string) string {
	if g.ipv6 {
		return v6
	}
	return v4
}
