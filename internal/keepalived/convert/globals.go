package convert

import (
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

// globals are the values of global_defs that other blocks depend on.
type globals struct {
	version      int
	strict       bool
	checksumV2   bool
	user, group  string // of scripts
	userSet      bool
	startup      time.Duration // vrrp_startup_delay
	garp         garp
	groups       [2]netip.Addr // multicast groups of IPv4 and IPv6
	sync         *syncDaemon
	alertAll     bool  // smtp_alert
	alertServers *bool // smtp_alert_checker, or else smtp_alert; nil: unset
	alertVRRP    bool
	recipients   []string
	server, from string
}

// garp are the settings of announcements; −1 is unset.
type garp struct {
	repeat, delay, refresh int
}

// syncDaemon is the connection synchronization.
type syncDaemon struct {
	line     *keepalived.Node
	iface    string
	instance string
	options  [][2]string // of connection_sync
}

// readGlobals reads what other blocks need; globalDefs converts the lines.
func (c *converter) readGlobals() {
	g := &c.globals
	*g = globals{version: 2, garp: garp{-1, -1, -1}}
	for _, block := range c.source.Nodes {
		if block.Keyword != "global_defs" {
			continue
		}
		for _, n := range block.Children {
			arg := ""
			if len(n.Args) > 0 {
				arg = n.Args[0]
			}
			switch n.Keyword {
			case "vrrp_version":
				if v, ok := loose(arg, 2, 3); ok {
					g.version = v
				}
			case "vrrp_strict":
				if v, ok := truth(n.Args); ok {
					g.strict = v
				}
			case "v3_checksum_as_v2":
				if v, ok := truth(n.Args); ok {
					g.checksumV2 = v
				}
			case "script_user":
				if arg != "" {
					g.user, g.group, g.userSet = arg, "", true
					if len(n.Args) > 1 {
						g.group = strings.TrimPrefix(n.Args[1], ":")
					}
				}
			case "vrrp_startup_delay":
				g.startup, _ = seconds(arg)
			case "vrrp_garp_master_repeat":
				g.garp.repeat = parseOr(arg, g.garp.repeat)
			case "vrrp_garp_master_delay":
				g.garp.delay = parseOr(arg, g.garp.delay)
			case "vrrp_garp_master_refresh":
				g.garp.refresh = parseOr(arg, g.garp.refresh)
			case "vrrp_mcast_group4", "vrrp_mcast_group6":
				if a, ok := multicastGroup(n); ok {
					i := 0
					if a.Is6() {
						i = 1
					}
					g.groups[i] = a
				}
			case "smtp_alert":
				on, _ := truth(n.Args)
				if g.alertAll = on; block.Last("smtp_alert_checker") == nil {
					g.alertServers = &on
				}
			case "smtp_alert_checker":
				on, _ := truth(n.Args)
				g.alertServers = &on
			case "smtp_alert_vrrp":
				g.alertVRRP, _ = truth(n.Args)
			case "notification_email":
				for _, v := range n.Values {
					g.recipients = append(g.recipients, v.Words...)
				}
			case "notification_email_from":
				g.from = arg
			case "smtp_server":
				if !mailHost.MatchString(arg) {
					continue // keepalived cannot look it up
				}
				g.server = net.JoinHostPort(arg, "25")
				if len(n.Args) > 1 {
					g.server = net.JoinHostPort(arg, n.Args[1])
				}
			case "lvs_sync_daemon":
				if g.sync == nil && arg != "" {
					g.sync = parseSyncDaemon(n)
				}
			}
		}
	}
}

// multicastGroup parses vrrp_mcast_group4 and vrrp_mcast_group6.
func multicastGroup(n *keepalived.Node) (netip.Addr, bool) {
	if len(n.Args) == 0 {
		return netip.Addr{}, false
	}
	a, ok := address(n.Args[0])
	return a, ok && a.IsMulticast() && a.Is6() == (n.Keyword == "vrrp_mcast_group6")
}

func parseOr(s string, otherwise int) int {
	if v, ok := loose(s, 0, 1<<31-1); ok && s != "" {
		return v
	}
	return otherwise
}

// parseSyncDaemon parses lvs_sync_daemon INTERFACE [inst NAME] [id N] [maxlen N] [port N] [ttl N] [group ADDRESS], and the old
// form INTERFACE NAME [ID].
func parseSyncDaemon(n *keepalived.Node) *syncDaemon {
	d := &syncDaemon{line: n, iface: n.Args[0]}
	names := map[string]string{"id": "sync_id", "maxlen": "maxlen", "port": "port", "ttl": "ttl", "group": "group"}
	for i := 1; i < len(n.Args); i++ {
		word := n.Args[i]
		next := ""
		if i+1 < len(n.Args) {
			next = n.Args[i+1]
		}
		switch name := names[word]; {
		case word == "inst":
			d.instance = next
			i++
		case name == "group":
			if a, ok := address(next); ok && a.IsMulticast() { // keepalived ignores others
				d.options = append(d.options, [2]string{name, quote(a.String())})
			}
			i++
		case name != "":
			if v, ok := number(next, 0, 65535); ok {
				d.options = append(d.options, [2]string{name, fmt.Sprint(v)})
			}
			i++
		case i == 1:
			d.instance = word
		case i == 2:
			if v, ok := number(word, 0, 255); ok {
				d.options = append(d.options, [2]string{"sync_id", fmt.Sprint(v)})
			}
		}
	}
	return d
}

func (c *converter) globalDefs(top *line) {
	top.find(Same, "")
	top.pass()
	if d := c.globals.sync; d != nil && c.instances[d.instance] != nil && c.instances[d.instance].removed == "" {
		c.reserve(top.Children, "lvs_sync_daemon")
	}
	if c.mails() {
		c.reserve(top.Children, "notification_email", "notification_email_from", "smtp_server")
	}
	c.each("global_defs", top.Children, c.root, func(l *line) {
		switch l.Keyword {
		case "notification_email", "notification_email_from", "smtp_server":
			c.email(l)
		case "smtp_helo_name":
			l.find(Equivalent, "lvs-ha says the host's name.")
		case "notify_fifo", "vrrp_notify_fifo", "lvs_notify_fifo":
			c.fifo(l)
		case "lvs_timeouts":
			c.timeouts(l)
		case "lvs_sync_daemon":
			c.syncDaemonLine(l)
		case "vrrp_version", "v3_checksum_as_v2", "script_user", "vrrp_startup_delay", "vrrp_garp_master_repeat", "vrrp_garp_master_delay",
			"vrrp_garp_master_refresh":
			l.find(Equivalent, "%s", table["global_defs"][l.Keyword].text)
		case "enable_script_security":
			if !c.globals.userSet && c.options.ScriptUser == "root" && c.runsAsDefault(c.source.Nodes) {
				l.find(Differs, "keepalived uses the user keepalived_script for commands without a user, and without that user, as on this host, removes them. lvs-ha runs them as root: write another user.")
			}
		case "vrrp_mcast_group4", "vrrp_mcast_group6":
			if a, ok := multicastGroup(l.Node); !ok {
				l.doubt(Ignored, "%q is not a multicast address of this family.", l.arg(0))
			} else {
				l.cut(l.arg(0), a)
			}
		case "vrrp_strict":
			l.strict()
		case "vrrp_garp_interval", "vrrp_gna_interval":
			l.announceLimit(top.Children)
		case "vrrp_down_timer_adverts":
			downTimer(l, false)
		}
	})
}

// runsAsDefault reports whether a command has no user of its own.
func (c *converter) runsAsDefault(nodes []*keepalived.Node) bool {
	return slices.ContainsFunc(nodes, func(n *keepalived.Node) bool {
		switch {
		case n.Keyword == "vrrp_script" || n.Keyword == "MISC_CHECK":
			return n.Last("user") == nil
		case notifyNames[n.Keyword] != "":
			s, ok := keepalived.ParseScript(n.Text)
			return ok && len(s.Rest) == 0
		}
		return c.runsAsDefault(n.Children)
	})
}

func downTimer(l *line, strict bool) {
	switch {
	case l.arg(0) == "3":
		l.find(Same, "")
		return
	case strict:
		l.find(Ignored, "keepalived uses 3 in strict mode.")
		return
	}
	l.find(Differs, "A backup takes over after 3 intervals and its skew time, as RFC 9568 says, not after %s.", l.arg(0))
}

// email writes one notify_email block for the three lines.
func (c *converter) email(l *line) {
	g := &c.globals
	if l.Keyword == "smtp_server" && !mailHost.MatchString(l.arg(0)) {
		l.doubt(Ignored, "%q is not the name or the address of a host.", l.arg(0))
		return
	}
	events := c.alertEvents()
	if len(events) == 0 {
		l.find(Ignored, "keepalived sends mail only with smtp_alert, which is not set.")
		return
	}
	if len(g.recipients) == 0 || g.server == "" {
		l.find(Ignored, "keepalived sends no mail without notification_email and smtp_server.")
		return
	}
	switch l.Keyword {
	case "notification_email":
		for _, r := range g.recipients {
			if !isMailbox(r) {
				l.find(Missing, "%q is not a mail address.", r)
			}
		}
	case "notification_email_from":
		if len(l.Args) == 0 {
			l.doubt(Ignored, noValue)
		} else if !isMailbox(g.from) {
			l.find(Differs, "%q is not a mail address; %s is used.", g.from, c.sender())
		}
	}
	switch {
	case l.told:
	case !c.mails():
		l.find(Missing, "No recipient is a mail address.")
	default:
		l.find(Same, "")
	}
	if c.emailed || !c.mails() {
		return
	}
	c.emailed = true
	b := c.root.add(&block{kind: "notify_email", label: "operators", notes: notes{above: c.carried, from: l.origin()}})
	c.carried = nil
	comments := func(keyword string) (all notes) {
		for _, n := range c.source.Nodes {
			if n.Keyword == "global_defs" {
				all = joinNotes(all, c.reservedNotes(n.Children, keyword))
			}
		}
		return all
	}
	b.set("smtp", quote(g.server), comments("smtp_server"))
	b.set("from", quote(c.sender()), comments("notification_email_from"))
	b.set("to", quoteAll(c.addressees()), comments("notification_email"))
	b.set("tls", quote("none"), notes{})
	if len(events) < 3 {
		b.set("events", quoteAll(events), notes{})
	}
}

// mailHost matches a host's name or address.
var mailHost = regexp.MustCompile(`^[0-9A-Za-z_.:-]+(/[0-9]+)?$`)

// mails reports whether keepalived sends mail.
func (c *converter) mails() bool {
	return len(c.alertEvents()) > 0 && len(c.addressees()) > 0 && c.globals.server != ""
}

// addressees returns the recipients that have a mail address.
func (c *converter) addressees() (all []string) {
	for _, r := range c.globals.recipients {
		if isMailbox(r) {
			all = append(all, mailbox(r))
		}
	}
	return all
}

// sender returns the address that mail comes from.
func (c *converter) sender() string {
	if c.globals.from != "" && isMailbox(c.globals.from) {
		return mailbox(c.globals.from)
	}
	return mailbox("keepalived")
}

func isMailbox(s string) bool {
	_, err := mail.ParseAddress(mailbox(s))
	return err == nil
}

// mailbox returns the address of a recipient: a name without a domain is one of the mail server.
func mailbox(s string) string {
	if a, err := mail.ParseAddress(s); err == nil {
		return a.Address
	}
	if !strings.Contains(s, "@") {
		return s + "@localhost"
	}
	return s
}

// alertEvents returns what keepalived sends mail about: by default about real servers only.
func (c *converter) alertEvents() (events []string) {
	g := &c.globals
	all := g.alertServers != nil && *g.alertServers
	vrrp, service, server := g.alertAll || g.alertVRRP, all, all
	for _, n := range c.source.Nodes {
		own := all
		if last := n.Last("smtp_alert"); last != nil {
			own, _ = truth(last.Args)
			vrrp = vrrp || own && (n.Keyword == "vrrp_instance" || n.Keyword == "vrrp_sync_group")
		}
		if n.Keyword == "virtual_server" {
			service = service || own
			server = server || len(n.All("real_server")) > 0 && (g.alertServers == nil || *g.alertServers)
		}
	}
	for _, e := range []struct {
		name string
		on   bool
	}{{"vrrp", vrrp}, {"service", service}, {"server", server}} {
		if e.on {
			events = append(events, e.name)
		}
	}
	return events
}

func (c *converter) fifo(l *line) {
	path := l.arg(0)
	if path == "" {
		l.doubt(Ignored, "It has no path.")
		return
	}
	if !strings.HasPrefix(path, "/") {
		l.find(Missing, "The path is not absolute.")
		return
	}
	l.find(Same, "")
	b := c.root.add(&block{kind: "notify_fifo", label: path, notes: l.notes()})
	switch l.Keyword {
	case "vrrp_notify_fifo":
		b.set("events", quoteAll([]string{"vrrp"}), notes{})
	case "lvs_notify_fifo":
		b.set("events", quoteAll([]string{"service", "server"}), notes{})
	}
}

func (c *converter) timeouts(l *line) {
	b := &block{kind: "timeouts"}
	names := map[string]string{"tcp": "tcp", "tcpfin": "tcp_fin", "udp": "udp"}
	for i := 0; i+1 < len(l.Args); i += 2 {
		name := names[l.Args[i]]
		d, ok := seconds(l.Args[i+1])
		if name == "" || !ok || d < time.Second || d > 744*time.Hour {
			l.find(Differs, "%s %s cannot be set.", l.Args[i], l.Args[i+1])
			continue
		}
		b.set(name, duration(d), notes{})
	}
	if len(b.items) > 0 {
		if !l.told {
			l.find(Same, "")
		}
		b.notes = l.notes()
		c.root.add(b)
	}
}

// syncDaemonLine records the fate; the block is written in its instance.
func (c *converter) syncDaemonLine(l *line) {
	d := c.globals.sync
	switch {
	case d == nil || d.line != l.Node:
		l.find(Ignored, "It is incomplete, or not the first one.")
	case d.instance == "":
		l.find(Differs, "Without a vrrp_instance, keepalived runs both daemons always. lvs-ha's follow an instance: name one in its connection_sync block.")
	case c.instances[d.instance] == nil:
		l.find(Missing, "There is no vrrp_instance %s.", d.instance)
	default:
		l.find(Equivalent, "It is a connection_sync block of the instance.")
	}
}
