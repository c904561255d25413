package effect

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/lvs-ha/lvs-ha/internal/ipvsadm"
	"github.com/lvs-ha/lvs-ha/internal/keepalived"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// rulesOf returns the rules of services, one element for each.
func rulesOf(entries []ipvs.Entry) []string {
	var b strings.Builder
	_ = ipvsadm.WriteRules(&b, entries) // writing to memory does not fail
	return strings.FieldsFunc(b.String(), func(r rune) bool { return r == '\n' })
}

// persistent is IPVS_SVC_PERSISTENT_TIMEOUT, in seconds.
const persistent = 360

// services computes the table of the virtual_servers, with real servers that pass their checks and without sorry servers.
func (k *theirs) services() {
	var all []ipvs.Entry
	for _, n := range k.config.Nodes {
		if n.Keyword == "virtual_server" {
			all = append(all, k.service(n)...)
		}
	}
	k.effect.Rules = rulesOf(all)
}

func (k *theirs) service(n *keepalived.Node) (entries []ipvs.Entry) {
	keys := k.keys(n)
	everyPort := slices.ContainsFunc(keys, func(key ipvs.ServiceKey) bool { return key.Mark == 0 && key.Port == 0 })
	for _, key := range keys {
		e := ipvs.Entry{Service: settings(n, key, everyPort)}
		have, inKernel := map[netip.AddrPort]bool{}, map[ipvs.DestinationKey]bool{}
		for _, r := range n.All("real_server") {
			at, ok := endpoint(r.Args)
			if !ok || have[at] {
				continue
			}
			have[at] = true
			d := destination(n, r, at, key)
			if inKernel[d.DestinationKey] {
				continue // without NAT the port is the service's, and the kernel refuses the second one
			}
			inKernel[d.DestinationKey] = true
			e.Destinations = append(e.Destinations, d)
		}
		if len(have) == 0 {
			return nil // keepalived ignores it
		}
		entries = append(entries, e)
	}
	return entries
}

func endpoint(args []string) (netip.AddrPort, bool) {
	if len(args) == 0 {
		return netip.AddrPort{}, false
	}
	a, ok := host(args[0])
	port, valid := 0, true
	if len(args) > 1 && strings.Trim(args[1], "0") != "" {
		port, _, valid = keepalived.Int(args[1], 1, 65535)
	}
	return netip.AddrPortFrom(a, uint16(port)), ok && valid
}

var protocols = map[string]ipvs.Protocol{"tcp": ipvs.TCP, "udp": ipvs.UDP, "sctp": ipvs.SCTP}

// keys returns the addresses or marks of a virtual_server.
func (k *theirs) keys(n *keepalived.Node) (keys []ipvs.ServiceKey) {
	protocol := ipvs.UDP // keepalived's default, which it takes from the kernel
	for _, l := range n.All("protocol") {
		if len(l.Args) > 0 && protocols[strings.ToLower(l.Args[0])] != 0 {
			protocol = protocols[strings.ToLower(l.Args[0])]
		}
	}
	entries := []keepalived.Value{{Words: n.Args}}
	group := len(n.Args) > 1 && n.Args[0] == "group"
	if group {
		entries = nil
		for _, g := range k.config.Nodes {
			if g.Keyword == "virtual_server_group" && len(g.Args) > 0 && g.Args[0] == n.Args[1] {
				entries = append(entries, g.Values...)
			}
		}
	}
	for _, v := range entries {
		if len(v.Words) > 1 && v.Words[0] == "fwmark" {
			mark, _, ok := keepalived.Int(v.Words[1], 1, 1<<32-1)
			family := ipvs.IPv4
			own := ""
			if n.Args[0] == "group" && len(v.Words) > 2 {
				own = v.Words[2]
			}
			for _, l := range n.All("ip_family") {
				if own == "" && len(l.Args) > 0 && (l.Args[0] == "inet" || l.Args[0] == "inet6") {
					own = l.Args[0]
				}
			}
			if own == "inet6" || own == "" && ipv6Servers(n) {
				family = ipvs.IPv6
			}
			if ok {
				keys = append(keys, ipvs.ServiceKey{Mark: uint32(mark), Family: family})
			}
			continue
		}
		for _, at := range addressesOf(v.Words, group) {
			family := ipvs.IPv4
			if at.Addr().Is6() {
				family = ipvs.IPv6
			}
			keys = append(keys, ipvs.ServiceKey{Protocol: protocol, Address: at.Addr(), Port: at.Port(), Family: family})
		}
	}
	return keys
}

func ipv6Servers(n *keepalived.Node) bool {
	for _, r := range n.All("real_server") {
		if at, ok := endpoint(r.Args); ok {
			return at.Addr().Is6()
		}
	}
	return false
}

// addressesOf returns the addresses of "ADDRESS[-LAST|/LENGTH] [PORT]" in a group. Elsewhere, keepalived reads only the first one.
func addressesOf(words []string, group bool) (all []netip.AddrPort) {
	if len(words) == 0 {
		return nil
	}
	if at, ok := endpoint(words); ok && !group {
		return []netip.AddrPort{at}
	} else if !group {
		return nil
	}
	const most = 4096
	text, end, isRange := strings.Cut(words[0], "-")
	network, err := netip.ParsePrefix(words[0])
	switch {
	case err == nil:
		text = network.Addr().String()
	case strings.Contains(words[0], "/"):
		return nil
	}
	at, ok := endpoint(append([]string{text}, words[1:min(len(words), 2)]...))
	if !ok {
		return nil
	}
	base := 10
	if at.Addr().Is6() {
		base = 16
	}
	bytes := at.Addr().AsSlice()
	for n := range most {
		a := at.Addr()
		for range n {
			a = a.Next()
		}
		b := a.AsSlice()
		switch {
		case n == 0:
		case isRange:
			// The end is the last part of the address.
			highest, err := strconv.ParseUint(end, base, 16)
			part, first := uint64(b[len(b)-1]), uint64(bytes[len(b)-1])
			if base == 16 {
				part, first = uint64(binary.BigEndian.Uint16(b[14:])), uint64(binary.BigEndian.Uint16(bytes[14:]))
			}
			if err != nil || part > highest || part < first {
				return all
			}
		case network.IsValid():
			if !network.Contains(a) {
				return all
			}
		default:
			return all
		}
		all = append(all, netip.AddrPortFrom(a, at.Port()))
	}
	return all
}

var schedulers = strings.Fields("rr wrr lc wlc lblc sh mh dh fo ovf lblcr sed nq twos")

// settings computes a service.
func settings(n *keepalived.Node, key ipvs.ServiceKey, everyPort bool) ipvs.Service {
	s := ipvs.Service{ServiceKey: key, Scheduler: "wlc", Netmask: 0xffffffff}
	if key.Family == ipvs.IPv6 {
		s.Netmask = 128
	}
	masked := false
	for _, l := range n.Children {
		value := ""
		if len(l.Args) > 0 {
			value = l.Args[0]
		}
		switch l.Keyword {
		case "lb_algo", "lvs_sched":
			if slices.Contains(schedulers, value) {
				s.Scheduler = value
			}
		case "ops":
			if key.Mark != 0 || key.Protocol == ipvs.UDP {
				s.Flags |= ipvs.FlagOnePacket
			}
		case "persistence_timeout":
			if value == "" {
				s.PersistenceTimeout = persistent
			} else if t, err := strconv.Atoi(value); err == nil && t > 0 && t <= 31*86400 {
				s.PersistenceTimeout = uint32(t)
			}
		case "persistence_engine":
			if value == "sip" {
				s.PersistenceEngine = value
			}
		case "persistence_granularity":
			masked = granularity(&s, value) || masked
		}
	}
	if s.PersistenceTimeout == 0 && (everyPort || masked) {
		s.PersistenceTimeout = persistent
	}
	if s.PersistenceTimeout != 0 {
		s.Flags |= ipvs.FlagPersistent
	} else {
		s.PersistenceEngine = ""
	}
	for word, flag := range map[string]ipvs.ServiceFlags{"fallback": ipvs.FlagSched1, "port": ipvs.FlagSched2} {
		if n.Last(s.Scheduler+"-"+word) != nil && (s.Scheduler == "sh" || s.Scheduler == "mh") {
			s.Flags |= flag
		}
	}
	for i, flag := range []ipvs.ServiceFlags{ipvs.FlagSched1, ipvs.FlagSched2, ipvs.FlagSched3} {
		if n.Last("flag-"+strconv.Itoa(i+1)) != nil {
			s.Flags |= flag
		}
	}
	return s
}

// granularity sets the netmask: of IPv6 a length, of IPv4 an address, which may have only one number.
func granularity(s *ipvs.Service, value string) bool {
	length, err := strconv.Atoi(value)
	a, isAddress := netip.ParseAddr(value)
	switch {
	case s.Family == ipvs.IPv4 && isAddress == nil && a.Is4():
		b := a.As4()
		s.Netmask = binary.BigEndian.Uint32(b[:])
	case err == nil && length >= 0 && length < 1<<32 && (s.Family == ipvs.IPv4 || length >= 1 && length <= 128):
		s.Netmask = uint32(length)
	default:
		return false
	}
	return true
}

var methods = map[string]ipvs.ForwardMethod{"NAT": ipvs.Masquerade, "DR": ipvs.DirectRoute, "TUN": ipvs.Tunnel}

// destination computes a real server.
func destination(n, r *keepalived.Node, at netip.AddrPort, key ipvs.ServiceKey) ipvs.Destination {
	d := ipvs.Destination{Forward: ipvs.Masquerade}
	d.Address, d.Port = at.Addr(), at.Port()
	d.Weight = uint32(loose(r, "weight", 0, 65535, loose(n, "weight", 1, 65535, 1)))
	for i, l := range slices.Concat(n.Children, r.Children) {
		if !slices.Contains([]string{"lb_kind", "lvs_method"}, l.Keyword) || len(l.Args) == 0 {
			continue
		}
		if forward, known := methods[l.Args[0]]; known {
			if d.Forward = forward; i >= len(n.Children) {
				d.TunnelType, d.TunnelPort, d.TunnelFlags = 0, 0, 0
			}
			tunnel(&d, l.Args[1:])
		}
	}
	if d.Forward != ipvs.Tunnel {
		d.TunnelType, d.TunnelPort, d.TunnelFlags = 0, 0, 0
	}
	if d.Forward != ipvs.Masquerade || d.Port == 0 {
		d.Port = key.Port // the kernel keeps the port of packets to a real server without one
	}
	d.UpperThreshold = uint32(loose(r, "uthreshold", 0, 1<<31-1, 0))
	if d.UpperThreshold > 0 { // the kernel ignores it otherwise
		d.LowerThreshold = uint32(loose(r, "lthreshold", 0, 1<<31-1, 0))
	}
	return d
}

// tunnel reads the words after the method TUN. Words that contradict each other leave the tunnel as it was.
func tunnel(d *ipvs.Destination, words []string) {
	kind, port, flags := ipvs.TunnelIPIP, uint64(0), ipvs.TunnelNoChecksum
	for i := 0; i < len(words); i++ {
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		known := true
		switch words[i] {
		case "type":
			kind, known = map[string]ipvs.TunnelType{"ipip": ipvs.TunnelIPIP, "gue": ipvs.TunnelGUE, "gre": ipvs.TunnelGRE}[next]
			i++
		case "port":
			var err error
			port, err = strconv.ParseUint(next, 10, 16)
			known = err == nil && port > 0
			i++
		case "nocsum":
			flags = ipvs.TunnelNoChecksum
		case "csum":
			flags = ipvs.TunnelChecksum
		case "remcsum":
			flags = ipvs.TunnelRemoteChecksum
		default:
			known = false
		}
		if !known {
			return
		}
	}
	contradict := (kind == ipvs.TunnelGUE) != (port != 0) || kind == ipvs.TunnelIPIP && flags != ipvs.TunnelNoChecksum ||
		kind == ipvs.TunnelGRE && flags == ipvs.TunnelRemoteChecksum
	if !contradict {
		d.TunnelType, d.TunnelPort, d.TunnelFlags = kind, uint16(port), flags
	}
}
