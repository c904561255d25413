package effect

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// router is what the adverts of a virtual router have, whichever program sends them.
type router struct {
	iface     string
	id        int
	version   int
	ipv6      bool
	priority  int
	interval  time.Duration
	addresses []netip.Addr
	to        []netip.Addr
	source    netip.Addr // unset: the interface's
	ttl       int
	password  string
	key       int // of a trailer; 0: none
}

// words describes the adverts.
func (r *router) words() string {
	var b strings.Builder
	family := "IPv4"
	if r.ipv6 {
		family = "IPv6"
	}
	fmt.Fprintf(&b, "%s %s router %d: version %d, priority %d, every %v, ", r.iface, family, r.id, r.version, r.priority, r.interval)
	if r.source.IsValid() {
		fmt.Fprintf(&b, "from %v, ", r.source)
	}
	fmt.Fprintf(&b, "TTL %d", r.ttl)
	if r.password != "" {
		b.WriteString(", with a password")
	}
	if r.key != 0 {
		fmt.Fprintf(&b, ", signed with key %d", r.key)
	}
	if len(r.addresses) > 0 {
		fmt.Fprintf(&b, ", for %s", join(r.addresses))
	}
	return b.String()
}

// text describes the adverts in words and in hexadecimal, without the trailer of a signature.
func (r *router) text(of Interfaces, encode func(source, destination netip.Addr) []byte) string {
	source, known := r.source, true
	if !source.IsValid() {
		source, known = of.source(r.iface, r.ipv6)
	}
	lines := []string{r.words()}
	for _, to := range r.to {
		line := fmt.Sprintf("to %v: %x", to, encode(source, to))
		if !known {
			line += fmt.Sprintf(" (checksum as if from %v)", source)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n    ")
}

func join(addresses []netip.Addr) string {
	var texts []string
	for _, a := range addresses {
		texts = append(texts, a.String())
	}
	return strings.Join(texts, " ")
}

// encode returns the packet that keepalived sends, without its IP header. With own, the checksum of version 3 over IPv4 covers
// nothing else.
func (r *router) encode(source, destination netip.Addr, own bool) []byte {
	p := []byte{byte(r.version<<4 | 1), byte(r.id), byte(r.priority), byte(len(r.addresses)), 0, 0, 0, 0}
	if r.version == 2 {
		p[5] = byte(r.interval / time.Second)
		if r.password != "" {
			p[4] = 1
		}
	} else {
		units := int(r.interval / (10 * time.Millisecond))
		p[4], p[5] = byte(units>>8&15), byte(units)
	}
	for _, a := range r.addresses {
		p = append(p, a.AsSlice()...)
	}
	if r.version == 2 {
		p = append(p, append([]byte(r.password), make([]byte, 8)...)[:8]...)
	}
	covered := slices.Clone(p)
	if r.ipv6 || r.version == 3 && !own {
		covered = append(covered, source.AsSlice()...)
		covered = append(covered, destination.AsSlice()...)
		covered = append(covered, byte(len(p)>>8), byte(len(p)), 0, 112)
	}
	sum := 0
	for i := 0; i+1 < len(covered); i += 2 {
		sum += int(covered[i])<<8 | int(covered[i+1])
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	p[6], p[7] = byte(^sum>>8), byte(^sum)
	return p
}
