package ipvs

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

// field is one attribute as text; it is empty if unset.
type field struct{ name, text string }

func (s Service) fields() []field {
	mask := s.NetmaskText()
	if mask != "" && s.Family == IPv6 {
		mask = "/" + mask
	}
	return []field{
		{"scheduler", s.Scheduler},
		{"flags", FormatFlags(s.Scheduler, s.Flags&^FlagPersistent)},
		{"persistence", s.persistence()},
		{"netmask", mask},
		{"pe", s.PersistenceEngine},
	}
}

func (s Service) persistence() string {
	if s.Flags&FlagPersistent == 0 {
		return ""
	}
	return fmt.Sprintf("%ds", s.PersistenceTimeout)
}

// NetmaskText returns the granularity of persistence, such as "255.255.255.0", or "64" for IPv6. It is empty if each
// client is separate.
func (s Service) NetmaskText() string {
	switch {
	case s.Family == IPv6 && s.Netmask != hostPrefix:
		return fmt.Sprint(s.Netmask)
	case s.Family == IPv4 && s.Netmask != hostMask:
		return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, s.Netmask))).String()
	}
	return ""
}

func (d Destination) fields() []field {
	fields := []field{
		{"forward", d.Forward.String()},
		{"weight", fmt.Sprint(d.Weight)},
		{"upper_threshold", number(d.UpperThreshold)},
		{"lower_threshold", number(d.LowerThreshold)},
	}
	if d.Forward != Tunnel {
		return fields
	}
	fields = append(fields, field{"tunnel_type", d.TunnelType.String()})
	if d.TunnelType == TunnelIPIP {
		return fields
	}
	return append(fields, field{"tunnel_port", number(uint32(d.TunnelPort))}, field{"tunnel_checksum", d.TunnelFlags.String()})
}

// number returns the decimal number, or "" for 0.
func number(n uint32) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// Options returns a service's settings without its key, such as "scheduler rr persistence 300s".
func (s Service) Options() string { return options(s.fields()) }

// Options returns a real server's settings without its key, such as "forward nat weight 1".
func (d Destination) Options() string { return options(d.fields()) }

// options returns the fields that are set.
func options(fields []field) string {
	var list []string
	for _, f := range fields {
		if f.text != "" {
			list = append(list, f.name+" "+f.text)
		}
	}
	return strings.Join(list, " ")
}

// changes returns the fields that differ.
func changes(from, to []field) []Change {
	var list []Change
	seen := map[string]bool{}
	for _, f := range append(to[:len(to):len(to)], from...) {
		if seen[f.name] {
			continue
		}
		seen[f.name] = true
		if a, b := find(from, f.name), find(to, f.name); a != b {
			list = append(list, Change{Field: f.name, From: cmp.Or(a, "none"), To: cmp.Or(b, "none")})
		}
	}
	return list
}

func find(fields []field, name string) string {
	for _, f := range fields {
		if f.name == name {
			return f.text
		}
	}
	return ""
}
