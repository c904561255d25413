package ipvsadm

import (
	"encoding/binary"
	"strings"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// flagOptions are options without a value.
var flagOptions = map[string]option{
	"n": numeric, "c": connection, "timeout": timeout, "daemon": daemon, "stats": stats, "rate": rate, "exact": exact,
	"thresholds": thresholds, "persistent-conn": persistentConn, "nosort": nosort, "tun-info": tunInfo,
}

var protocolOptions = map[string]ipvs.Protocol{"t": ipvs.TCP, "u": ipvs.UDP, "sctp": ipvs.SCTP}

var forwardOptions = map[string]ipvs.ForwardMethod{"g": ipvs.DirectRoute, "i": ipvs.Tunnel, "m": ipvs.Masquerade}

// take stores one option in the command; word is the last argument that it was parsed from.
func (c *command) take(o scanned, word string, names Names) *failure {
	if flag, ok := flagOptions[o.id]; ok {
		return c.once(flag)
	}
	if method, ok := forwardOptions[o.id]; ok {
		c.server.Forward = method
		return c.once(forwardingMethod)
	}
	switch o.id {
	case "sort":
		return nil
	case "force":
		c.force = true
		return nil
	case "t", "u", "sctp":
		return c.takeService(protocolOptions[o.id], o.value, names)
	case "f":
		return c.takeMark(o.value)
	case "6":
		return c.takeIPv6()
	case "s":
		if o.value != "" {
			c.service.Scheduler = truncate(o.value)
		}
		return c.once(scheduler)
	case "p":
		return c.takePersistent(o)
	case "M":
		return c.takeNetmask(o.value)
	case "o":
		c.service.Flags |= ipvs.FlagOnePacket
		return c.once(onePacket)
	case "pe":
		c.service.PersistenceEngine = truncate(o.value)
		return c.once(persistenceEngine)
	case "b":
		c.flags = o.value
		return c.once(schedFlags)
	case "r":
		return c.takeServer(o.value, names)
	}
	if take, ok := serverTakers[o.id]; ok {
		return take(c, o.value)
	}
	if take, ok := daemonTakers[o.id]; ok {
		return take(c, o.value)
	}
	return fail("invalid option `%s'", word) // a second command
}

// once records an option, and rejects a repeated one.
func (c *command) once(o option) *failure {
	if c.given.has(o) {
		return fail("multiple '%s' options specified", o)
	}
	c.given |= setOf(o)
	return nil
}

// truncate shortens a name to the kernel's limit (IP_VS_SCHEDNAME_MAXLEN, IP_VS_IFNAME_MAXLEN: 16 with the NUL).
func truncate(s string) string { return s[:min(len(s), 15)] }

func (c *command) takeService(p ipvs.Protocol, s string, names Names) *failure {
	if f := c.once(serviceAddress); f != nil {
		return f
	}
	e, ok := parseEndpoint(s, p, names)
	if !ok {
		return fail("illegal virtual server address[:port] specified")
	}
	c.service.Protocol, c.service.Address, c.service.Port = p, e.address, e.port
	c.protocol = p
	if e.address.Is6() {
		c.service.Family = ipvs.IPv6
		c.service.Netmask = hostPrefix
	}
	return nil
}

func (c *command) takeMark(s string) *failure {
	if f := c.once(serviceAddress); f != nil {
		return f
	}
	n, ok := parseNumber(s, 1, 0xffffffff)
	if !ok {
		return fail("invalid fwmark value `%s' specified", s)
	}
	c.service.Mark = uint32(n)
	c.protocol = ipvs.TCP
	return nil
}

func (c *command) takeIPv6() *failure {
	if c.service.Mark == 0 {
		return fail("-6 used before -f\n")
	}
	c.service.Family = ipvs.IPv6
	c.service.Netmask = hostPrefix
	return nil
}

func (c *command) takePersistent(o scanned) *failure {
	if f := c.once(persistent); f != nil {
		return f
	}
	c.service.Flags |= ipvs.FlagPersistent
	c.service.PersistenceTimeout = defaultPersistenceTimeout
	if !o.given {
		return nil
	}
	n, ok := parseNumber(o.value, 1, maxTimeout)
	if !ok {
		return fail("invalid timeout value `%s' specified", o.value)
	}
	c.service.PersistenceTimeout = uint32(n)
	return nil
}

// takeNetmask parses a mask, or a prefix length if the service is IPv6.
func (c *command) takeNetmask(s string) *failure {
	if f := c.once(netmask); f != nil {
		return f
	}
	if c.service.Family == ipvs.IPv6 {
		n := parseLeadingNumber(s)
		if n < 1 || n > hostPrefix {
			return fail("illegal ipv6 netmask specified")
		}
		c.service.Netmask = uint32(n)
		return nil
	}
	a, ok := parseIPv4(s)
	if !ok {
		return fail("illegal virtual server persistent mask specified")
	}
	c.service.Netmask = binary.BigEndian.Uint32(a.AsSlice())
	return nil
}

// knownFlags are the scheduler flags and the schedulers that support them.
var knownFlags = map[string]struct {
	scheduler string
	flag      ipvs.ServiceFlags
}{
	"flag-1": {"", ipvs.FlagSched1}, "flag-2": {"", ipvs.FlagSched2}, "flag-3": {"", ipvs.FlagSched3},
	"sh-fallback": {"sh", ipvs.FlagSched1}, "sh-port": {"sh", ipvs.FlagSched2},
	"mh-fallback": {"mh", ipvs.FlagSched1}, "mh-port": {"mh", ipvs.FlagSched2},
}

// parseFlags parses the scheduler flags once the scheduler has been parsed. Empty flags are skipped.
func (c *command) parseFlags() *failure {
	for name := range strings.SplitSeq(c.flags, ",") {
		if name == "" {
			continue
		}
		known, ok := knownFlags[name]
		if !ok {
			return fail("invalid scheduler flag `%s'", name)
		}
		if known.scheduler != "" && known.scheduler != c.service.Scheduler {
			return fail("incompatible scheduler flag `%s'", name)
		}
		c.service.Flags |= known.flag
	}
	return nil
}
