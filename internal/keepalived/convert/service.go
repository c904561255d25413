package convert

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

// service is what keepalived makes of a virtual_server.
type service struct {
	node       *keepalived.Node
	endpoints  []endpoint
	forwarding string           // of the service
	method     *keepalived.Node // the line that sets it; nil: none
	protocol   string
	scheduler  string
	persistent bool
	port       uint16 // of all endpoints; 0: they differ, or it is every port
	everyPort  bool   // an endpoint has no port: keepalived makes the service persistent
	servers    int    // real servers that keepalived accepts
	timers     timers // that real servers inherit
	weight     int    // of real servers without one
	inhibits   bool
	startUp    int             // real servers that are used before their first check
	have       map[string]bool // labels of the real servers that were written
}

// virtualServer converts a virtual_server.
func (c *converter) virtualServer(l *line) {
	s, fault := c.readService(l.Node)
	if fault != "" {
		l.doubt(Ignored, "%s", fault)
		for _, n := range l.All("real_server") {
			if _, ok := parseServer(n.Args); !ok {
				(&line{Node: n, parent: "virtual_server", c: c}).doubt(Ignored, "It has no valid address and port.")
			}
		}
		return
	}
	if l.arg(0) != "group" {
		_, _ = l.lenient(l.arg(1), 0, 1<<32-1) // the port or the mark
	}
	if at := s.endpoints[0]; at.mark == 0 && l.arg(0) != "group" {
		l.cut(l.arg(0), at.address.Addr())
	}
	if !l.told {
		l.find(Same, "")
	}
	switch {
	case s.alpha():
	case !c.unchecked && s.startUp > 0:
		c.unchecked = true
		c.find(l.Position, "", "virtual_server", Equivalent, "Without alpha, keepalived uses real servers before their first check: init = \"up\" says so.")
	}
	if own := s.dropOwn(); own != "" {
		l.find(Missing, "%s is also a real server. lvs-ha does not balance to the service's own address; without it:", own)
	}
	head := l.notes()
	if !c.lvs {
		c.lvs = true
		head = c.removeOnStop(head)
	}
	kinds := s.byKind()
	for i, endpoints := range kinds {
		one := *s
		one.endpoints = endpoints
		with := c
		if i > 0 {
			with = c.again()
		}
		with.service(l.Children, &one, head)
		head = notes{from: head.from}
	}
}

// removeOnStop writes what happens to the services when the program ends. At the beginning of a file, the comments before an empty line
// are about the file, not about the first service, whose other ones are returned.
func (c *converter) removeOnStop(head notes) notes {
	b := &block{kind: "director", single: true}
	if blank := slices.Index(reversed(head.above), ""); blank >= 0 && len(c.root.items) == 0 {
		at := len(head.above) - blank
		b.notes.above, head.above = head.above[:at], head.above[at:]
	}
	b.set("on_stop", quote("remove"), notes{})
	c.root.add(b)
	return head
}

// again returns a converter that converts lines a second time: their fates are known.
func (c *converter) again() *converter {
	return &converter{source: c.source, at: c.at, comments: c.comments, options: c.options, globals: c.globals, root: c.root, names: c.names, groups: c.groups}
}

// service writes a virtual_service, or a dynamic block for several endpoints.
func (c *converter) service(lines []*keepalived.Node, s *service, head notes) {
	s.have = map[string]bool{}
	b := &block{kind: "virtual_service", notes: head}
	content := b
	marks := s.endpoints[0].mark != 0
	attribute := "address"
	if marks {
		attribute = "mark"
	}
	if len(s.endpoints) > 1 {
		b.kind, b.label = "dynamic", "virtual_service"
		var rows []endpointRow
		for _, e := range s.endpoints {
			rows = append(rows, endpointRow{label: uniqueIn(c.names, s.name(e)), value: e.value()})
		}
		forEach(b, rows)
		content = b.add(&block{kind: "content"})
		content.set(attribute, "virtual_service.value", notes{})
	} else {
		b.label = uniqueIn(c.names, s.name(s.endpoints[0]))
		content.set(attribute, s.endpoints[0].value(), notes{from: head.from})
	}
	if marks && s.endpoints[0].ipv6 {
		content.set("family", quote("ipv6"), notes{})
	}
	c.each("virtual_server", lines, content, func(l *line) { c.serviceLine(l, content, s) })
	c.impliedService(content, s)
	c.hoistChecks(content)
	content.settle()
	c.root.add(b)
}

func (s *service) alpha() bool { return s.node.Last("alpha") != nil }

// startsDown reports whether a real server waits for its first check: a check has the alpha of its real server unless it has its own,
// and a real server that of the virtual server.
func (s *service) startsDown(server *keepalived.Node) bool {
	waits := alpha(server, s.alpha())
	checks := false
	for _, n := range server.Children {
		if checkKinds[n.Keyword] == "" && n.Keyword != "BFD_CHECK" {
			continue
		}
		if checks = true; alpha(n, waits) {
			return true
		}
	}
	return waits && !checks
}

// alpha returns what the last valid line "alpha" of a block says.
func alpha(n *keepalived.Node, inherited bool) bool {
	for _, line := range n.All("alpha") {
		word := ""
		if len(line.Args) > 0 {
			word = line.Args[0]
		}
		if value, known := truths[word]; known {
			inherited = value
		}
	}
	return inherited
}

// truths are the words for true and false; a keyword alone means true.
var truths = map[string]bool{"": true, "true": true, "on": true, "yes": true, "false": false, "off": false, "no": false}

// readService reads what other lines depend on. The fault says why keepalived ignores the virtual server.
func (c *converter) readService(n *keepalived.Node) (s *service, fault string) {
	s = &service{node: n, forwarding: "nat", protocol: "udp", scheduler: "wlc"}
	s.timers = timers{interval: time.Minute, timeout: 5 * time.Second, retryInterval: -1, retry: -1}.read(n.Children, true)
	s.weight, s.inhibits = weightOf(n, 1, 1), n.Last("inhibit_on_failure") != nil
	family, granularity := "", ""
	for _, child := range n.Children {
		arg := ""
		if len(child.Args) > 0 {
			arg = child.Args[0]
		}
		switch child.Keyword {
		case "lb_kind", "lvs_method":
			if f := forwardings[arg]; f != "" {
				s.forwarding, s.method = f, child
			}
		case "protocol":
			if p := strings.ToLower(arg); slices.Contains([]string{"tcp", "udp", "sctp"}, p) {
				s.protocol = p
			}
		case "lb_algo", "lvs_sched":
			if slices.Contains(schedulers, arg) {
				s.scheduler = arg
			}
		case "persistence_timeout":
			_, ok := number(arg, 1, 31*86400)
			s.persistent = s.persistent || ok || arg == ""
		case "persistence_granularity":
			granularity = arg
		case "ip_family":
			if arg == "inet" || arg == "inet6" {
				family = arg
			}
		case "real_server":
			if _, ok := parseServer(child.Args); ok {
				s.servers++
				if !s.startsDown(child) {
					s.startUp++
				}
			}
		}
	}
	args := append(slices.Clone(n.Args), "", "")
	switch {
	case args[0] == "fwmark":
		mark, ok := loose(args[1], 1, 1<<32-1)
		if !ok {
			return nil, fmt.Sprintf("keepalived ignores it: %q is not a firewall mark.", args[1])
		}
		ipv6 := family == "inet6" || family == "" && c.firstServerIPv6(n)
		s.endpoints = []endpoint{{mark: uint32(mark), ipv6: ipv6}}
	case args[0] == "group":
		ipv6 := family == "inet6" || family == "" && c.firstServerIPv6(n)
		for _, e := range c.groups[args[1]] {
			e.ipv6 = e.ipv6 || e.anyFamily && ipv6
			s.endpoints = append(s.endpoints, e)
		}
		if len(s.endpoints) == 0 {
			return nil, fmt.Sprintf("keepalived ignores it: there is no virtual_server_group %s with entries.", args[1])
		}
	default:
		at, ok := parseEndpoint(args[0], args[1])
		if !ok {
			return nil, "keepalived ignores it: it has no valid address and port."
		}
		s.endpoints = []endpoint{{address: at}}
	}
	switch {
	case s.servers > 0:
	case len(n.All("real_server")) > 0:
		return nil, "keepalived ignores it: none of its real servers has a valid address and port."
	default:
		return nil, "keepalived ignores it: it has no real servers."
	}
	s.port = s.endpoints[0].address.Port()
	for _, e := range s.endpoints {
		s.everyPort = s.everyPort || e.mark == 0 && e.address.Port() == 0
		if e.address.Port() != s.port {
			s.port = 0
		}
	}
	s.persistent = s.persistent || !s.mixed() && s.granularity(granularity) != ""
	return s, ""
}

// granularity returns what keepalived makes of persistence_granularity: with IPv6 the length of a prefix, with IPv4 a netmask, which
// may be written as one number; "" if it is invalid.
func (s *service) granularity(text string) string {
	n, err := strconv.ParseUint(text, 10, 32)
	mask, isAddress := netip.ParseAddr(text)
	switch {
	case s.ipv6() && err == nil && n >= 1 && n <= 128:
		return strconv.FormatUint(n, 10)
	case !s.ipv6() && err == nil:
		return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}).String()
	case !s.ipv6() && isAddress == nil && mask.Is4():
		return mask.String()
	}
	return ""
}

// mixed reports whether there are endpoints of both families.
func (s *service) mixed() bool {
	return slices.ContainsFunc(s.endpoints, func(e endpoint) bool {
		return (e.ipv6 || e.address.Addr().Is6()) != s.ipv6()
	})
}

// ipv6 reports whether the first endpoint is one of IPv6.
func (s *service) ipv6() bool { return s.endpoints[0].ipv6 || s.endpoints[0].address.Addr().Is6() }

func (c *converter) firstServerIPv6(n *keepalived.Node) bool {
	for _, r := range n.All("real_server") {
		if at, ok := parseServer(r.Args); ok {
			return at.Addr().Is6()
		}
	}
	return false
}

var forwardings = map[string]string{"NAT": "nat", "DR": "dr", "TUN": "tun"}

var schedulers = []string{"rr", "wrr", "lc", "wlc", "lblc", "sh", "mh", "dh", "fo", "ovf", "lblcr", "sed", "nq", "twos"}

func (c *converter) serviceLine(l *line, b *block, s *service) {
	nodes := s.node.Children
	switch l.Keyword {
	case "real_server":
		c.realServer(l, b, s)
		return
	case "sorry_server":
		c.sorryServer(l, b, s)
		return
	case "weight":
		_, _ = l.serverWeight(s.node, 1)
		return
	}
	if l.superseded(nodes, l.Keyword) {
		return
	}
	switch l.Keyword {
	case "lb_algo", "lvs_sched":
		if !slices.Contains(schedulers, l.arg(0)) {
			l.doubt(Ignored, "keepalived does not know the scheduler %q.", l.arg(0))
		} else {
			l.find(Same, "")
		}
		l.set(b, "scheduler", quote(s.scheduler))
	case "lb_kind", "lvs_method":
		if forwardings[l.arg(0)] == "" {
			l.doubt(Ignored, "keepalived does not know the method %q.", l.arg(0))
		} else {
			l.find(Same, "")
		}
		l.set(b, "forwarding", quote(s.forwarding))
	case "protocol":
		switch {
		case s.endpoints[0].mark != 0:
			l.find(Ignored, "A firewall mark has no protocol.")
		case strings.ToLower(l.arg(0)) != s.protocol:
			l.doubt(Ignored, "keepalived does not know the protocol %q.", l.arg(0))
		default:
			l.find(Same, "")
			if s.protocol != "tcp" {
				l.set(b, "protocol", quote(s.protocol))
			}
		}
	case "sh-port", "sh-fallback", "mh-port", "mh-fallback", "flag-1", "flag-2", "flag-3":
		c.schedulerFlag(l, b, s)
	case "ops":
		if s.endpoints[0].mark == 0 && s.protocol != "udp" {
			l.find(Ignored, "keepalived clears it: it requires UDP.")
			return
		}
		l.find(Same, "")
		l.set(b, "one_packet", "true")
	case "persistence_timeout", "persistence_granularity", "persistence_engine":
		c.persistence(l, b, s)
	case "smtp_alert":
		l.alertOff("services")
	case "inhibit_on_failure":
		l.find(Same, "")
		l.set(b, "on_failure", quote("weight"))
	case "quorum", "hysteresis":
		c.quorum(l, b, s)
	case "quorum_up", "quorum_down":
		c.notify(l, b, nodes, len(s.endpoints))
		if n := b.find("notify"); n != nil && s.node.Last("omega") != nil && n.get("at_stop") == "" {
			n.set("at_stop", "true", notes{})
		}
	case "omega":
		l.find(Same, "")
	case "ha_suspend":
		if s.endpoints[0].mark != 0 {
			l.find(Ignored, "keepalived clears it: a service by mark has no address.")
			return
		}
		l.find(Same, "")
		l.set(b, "check_on", quote("master"))
	}
}

// quorum writes the quorum as keepalived uses it: at most the sum of the weights, and more than the hysteresis. A quorum that is out of
// reach once it was lost is an error in lvs-ha.
func (c *converter) quorum(l *line, b *block, s *service) {
	if s.weights() == 0 {
		l.find(Ignored, "No real server has a weight.")
		return
	}
	q := b.find("quorum")
	if q == nil {
		q = b.add(&block{kind: "quorum", notes: l.notes()})
		q.set("weight", "1", notes{})
	}
	n, ok := l.lenient(l.arg(0), 0, 1<<32-1)
	if !ok || len(l.Args) == 0 {
		l.doubt(Ignored, "%q is not a number.", l.arg(0))
		return
	}
	sum, needed := s.weights(), 1
	if node := s.node.Last("quorum"); node != nil && len(node.Args) > 0 {
		if needed, ok = loose(node.Args[0], 1, 1<<32-1); !ok {
			needed = 1
		}
		needed = max(min(needed, sum), 1)
	}
	if l.Keyword == "quorum" {
		switch {
		case n == 0:
			l.find(Ignored, "keepalived makes 1 of 0.")
		case n > sum:
			l.find(Equivalent, "keepalived reduces it to the sum of the weights.")
		case !l.told:
			l.find(Same, "")
		}
		q.items[0].value = fmt.Sprint(needed)
		return
	}
	most := max(min(needed-1, sum-needed), 0)
	switch {
	case n >= needed:
		l.find(Equivalent, "keepalived reduces it to less than the quorum.")
	case n > most:
		l.find(Differs, "In keepalived, this quorum cannot be regained; it is reduced to %d.", most)
	case n == 0 && l.told:
	case n == 0:
		l.find(Same, "")
	default:
		l.find(Differs, "At the start, keepalived waits for the quorum plus the hysteresis, or if real servers are used before their first check for less than the quorum without it; lvs-ha begins with the quorum itself.")
	}
	if n = min(n, most); n > 0 {
		q.set("hysteresis", fmt.Sprint(n), notes{})
	}
}

// weights returns the sum of the real servers' weights.
func (s *service) weights() int {
	sum := 0
	for _, server := range s.node.All("real_server") {
		sum += weightOf(server, 0, s.weight)
	}
	return sum
}

func (c *converter) schedulerFlag(l *line, b *block, s *service) {
	if scheduler, _, _ := strings.Cut(l.Keyword, "-"); scheduler != "flag" && scheduler != s.scheduler {
		l.find(Ignored, "It only applies to the scheduler %s.", scheduler)
		return
	}
	l.find(Same, "")
	for i := range b.items {
		if b.items[i].name == "scheduler_flags" {
			b.items[i].value = strings.TrimSuffix(b.items[i].value, "]") + ", " + quote(l.Keyword) + "]"
			return
		}
	}
	l.set(b, "scheduler_flags", quoteAll([]string{l.Keyword}))
}

func (c *converter) persistence(l *line, b *block, s *service) {
	n := 0
	if l.Keyword == "persistence_timeout" && l.arg(0) != "" {
		var ok bool
		if n, ok = number(l.arg(0), 1, 31*86400); !ok {
			l.find(Ignored, "keepalived ignores %q, which is not a number of seconds from 1.", l.arg(0))
			return
		}
	}
	switch {
	case l.Keyword == "persistence_granularity" && s.mixed():
		l.find(Missing, "The group has entries of both families, which need different masks: give each family a virtual_service of its own.")
		return
	case l.Keyword == "persistence_engine" && !s.persistent && !s.everyPort:
		l.find(Ignored, "keepalived ignores it without persistence.")
		return
	case l.Keyword == "persistence_engine" && l.arg(0) != "sip", l.Keyword == "persistence_granularity" && s.granularity(l.arg(0)) == "":
		l.doubt(Ignored, "keepalived does not know %q.", l.arg(0))
		return
	case l.Keyword == "persistence_granularity" && !s.ipv6() && !strings.Contains(l.arg(0), "."):
		l.find(Equivalent, "keepalived reads it as the netmask %s.", s.granularity(l.arg(0)))
	}
	p, head := b.find("persistence"), notes{}
	if p == nil {
		p = b.add(&block{kind: "persistence", notes: l.notes()})
	} else {
		head = l.notes()
	}
	if !l.told {
		l.find(Same, "")
	}
	switch {
	case l.Keyword == "persistence_engine":
		p.set("engine", quote(l.arg(0)), head)
	case l.Keyword == "persistence_granularity" && s.ipv6():
		p.set("prefix", s.granularity(l.arg(0)), head)
	case l.Keyword == "persistence_granularity":
		p.set("netmask", quote(s.granularity(l.arg(0))), head)
	case n > 0:
		p.set("timeout", duration(time.Duration(n)*time.Second), head)
	default:
		p.set("timeout", quote("6m"), head)
	}
}

// impliedService adds keepalived's defaults.
func (c *converter) impliedService(b *block, s *service) {
	at := 1
	if b.get("family") != "" {
		at = 2
	}
	if b.get("forwarding") == "" {
		b.items = slices.Insert(b.items, at, item{name: "forwarding", value: quote(s.forwarding)})
	}
	if !s.alpha() {
		b.set("init", quote("up"), notes{})
	}
	if s.endpoints[0].mark == 0 && s.protocol == "udp" && b.get("protocol") == "" {
		b.items = slices.Insert(b.items, at, item{name: "protocol", value: quote("udp"), notes: notes{trailing: "keepalived's default"}})
	}
	p := b.find("persistence")
	if p == nil && s.everyPort {
		p = b.add(&block{kind: "persistence"})
	}
	if p != nil && p.get("timeout") == "" {
		p.set("timeout", quote("6m"), notes{})
	}
}
