package convert

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// real converts a real server, or a range of them: ADDRESS[->ADDRESS][:PORT] gate|masq|ipip [WEIGHT] ["REQUEST", "RECEIVE"] [l:N] [u:N].
func (d *ldirectord) real(l *line, b *block, s *ldService) {
	m := ldReal.FindStringSubmatch(l.arg(0))
	if m == nil {
		l.find(Differs, "ldirectord cannot parse it and refuses the whole file; it was left out.")
		return
	}
	first, err := netip.ParseAddr(strings.Trim(m[1], "[]"))
	last := first
	if m[3] != "" && err == nil {
		last, err = netip.ParseAddr(strings.Trim(m[3], "[]"))
	}
	port, ok := ldPort(firstOf(m[5], "0"), s.protocol)
	switch {
	case err != nil:
		l.find(Missing, "lvs-ha does not look up names: write the addresses in real_server blocks.")
		return
	case !ok:
		l.find(Missing, "There is no port named %s.", m[5])
		return
	case first.Is6() != last.Is6() || last.Less(first) || first.Is6() && first != last:
		l.find(Differs, "It is no range of IPv4 addresses: ldirectord refuses the whole file.")
		return
	}
	l.find(Same, "")
	head := l.notes()
	for a := first; a.IsValid() && !last.Less(a); a = a.Next() {
		if first != last {
			if d.ranged++; d.ranged > maxRanged {
				l.find(Differs, "Ranges have more than %d real servers in all; the others were left out.", maxRanged)
				return
			}
		}
		d.realServer(l, b, s, netip.AddrPortFrom(a, port), m[6], m[7], head)
		head = notes{}
	}
}

// maxRanged limits the real servers that a file lists as ranges.
const maxRanged = 1024

func (d *ldirectord) realServer(l *line, b *block, s *ldService, at netip.AddrPort, method, rest string, head notes) {
	forwarding, written := ldForwardings[method], int(at.Port())
	if forwarding != "nat" || s.at.mark != 0 {
		at = netip.AddrPortFrom(at.Addr(), 0) // ldirectord takes the service's
	}
	name := serverLabel(at, s.at.address.Port())
	switch {
	case s.have[name]:
		l.find(Ignored, "The real server %s is there already.", name)
		return
	case s.at.address.Addr() == at.Addr():
		l.find(Missing, "lvs-ha does not balance to the service's own address, here %s.", name)
		return
	}
	s.have[name] = true
	r := b.add(&block{kind: "real_server", label: name, single: true, notes: head})
	weight := 1
	if words := strings.Fields(rest); len(words) > 0 {
		if n, ok := number(words[0], 0, 65535); ok {
			weight = n
			_, rest, _ = strings.Cut(rest, words[0])
		}
	}
	if s.checktype == "off" {
		weight = 0
	}
	if weight != 1 {
		r.set("weight", fmt.Sprint(weight), notes{})
	}
	if forwarding != s.forwarding {
		r.set("forwarding", quote(forwarding), notes{})
	}
	request, receive, own := s.own["request"], s.own["receive"], false
	switch m := ldChecks.FindStringSubmatch(rest); {
	case m == nil:
	case strings.HasPrefix(m[1], "/"):
		l.find(Ignored, "ldirectord loses a request that begins with / and all that follows it; the request of the service is used.")
		rest = ""
	default:
		request, receive, own, rest = m[1], m[2], true, m[3]
	}
	for _, word := range strings.Fields(rest) {
		limit, n, _ := strings.Cut(strings.Trim(word, `"`), ":")
		threshold := map[string]string{"l": "lower_threshold", "u": "upper_threshold"}[limit]
		if _, ok := number(n, 0, 1<<31-1); ok && threshold != "" {
			r.set(threshold, n, notes{})
		} else {
			l.find(Differs, "ldirectord cannot parse %q and refuses the whole file; it was left out.", word)
		}
	}
	target := firstPositive(int(at.Port()), int(s.at.address.Port()))
	checks := d.checks(s, request, receive)
	for _, h := range checks {
		own = d.checkedPort(l, s, h, written, target) || own
	}
	if own {
		for _, h := range slices.DeleteFunc(checks, func(h *block) bool { return !s.checkable(h) }) {
			r.add(h)
		}
	}
}

// checkedPort changes a check to the port that ldirectord checks, and reports whether it is another than that of the service's check: it
// is the port written for the server, or else the usual one of what is checked, even if the packets go to another.
func (d *ldirectord) checkedPort(l *line, s *ldService, h *block, written, target int) bool {
	port, usual := written, ldUsualPort(s.service)
	switch {
	case h.label == "ping":
		return false
	case h.label == "script":
		if written == target {
			return false
		}
		h.set("command", strings.Replace(h.get("command"), `\"$LVS_HA_PORT\"`, fmt.Sprint(written), 1), notes{})
		h.settle()
		return true
	case s.own["checkport"] != "" || h.get("address") != "":
		return false
	case port == 0:
		port = usual
	}
	if s.at.mark != 0 {
		target = usual
	}
	if port == target && port != 0 {
		return false
	}
	switch {
	case port != 0:
		h.set("port", fmt.Sprint(port), notes{})
		h.settle()
		return true
	case s.at.mark != 0:
		l.find(Differs, "There is no port to check; without a check, the real server is always up.")
	default:
		l.find(Differs, "ldirectord has no port to check and keeps the real server down; here the service's port is checked.")
	}
	return false
}

// checkable reports whether a check has a port if it needs one: with a firewall mark, real servers have none.
func (s *ldService) checkable(h *block) bool {
	return s.at.mark == 0 || h.label == "ping" || h.label == "script" || h.get("port") != ""
}
