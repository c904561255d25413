package ipvsadm

import (
	"net/netip"
	"strings"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

func (c *command) takeServer(s string, names Names) *failure {
	if f := c.once(realServer); f != nil {
		return f
	}
	e, ok := parseEndpoint(s, c.protocol, names)
	if !ok {
		return fail("illegal real server address[:port] specified")
	}
	c.server.Address, c.server.Port = e.address, e.port
	if c.server.Port == 0 {
		// Only a service given earlier on the command line has a port.
		c.server.Port = c.service.Port
	}
	return nil
}

// taker stores the value of an option in the command.
type taker func(c *command, s string) *failure

// number returns a taker for a number within limits.
func number(o option, low, high int64, illegal string, put func(*command, int64)) taker {
	return func(c *command, s string) *failure {
		if f := c.once(o); f != nil {
			return f
		}
		n, ok := parseNumber(s, low, high)
		if !ok {
			return fail("illegal %s specified", illegal)
		}
		put(c, n)
		return nil
	}
}

const maxInt32 = 1<<31 - 1

var serverTakers = map[string]taker{
	"w": number(weight, 0, maxInt32, "weight", func(c *command, n int64) { c.server.Weight = uint32(n) }),
	"x": number(upperThreshold, 0, maxInt32, "u_threshold", func(c *command, n int64) { c.server.UpperThreshold = uint32(n) }),
	"y": number(lowerThreshold, 0, maxInt32, "l_threshold", func(c *command, n int64) { c.server.LowerThreshold = uint32(n) }),
	"tun-type": func(c *command, s string) *failure {
		if f := c.once(tunType); f != nil {
			return f
		}
		typ, ok := tunnelTypes[s]
		if !ok {
			return fail("illegal tunnel type specified")
		}
		c.server.TunnelType = typ
		return nil
	},
	"tun-port":    number(tunPort, 1, 65535, "tunnel port", func(c *command, n int64) { c.server.TunnelPort = uint16(n) }),
	"tun-nocsum":  func(c *command, _ string) *failure { return c.takeChecksum(tunNocsum, ipvs.TunnelNoChecksum) },
	"tun-csum":    func(c *command, _ string) *failure { return c.takeChecksum(tunCsum, ipvs.TunnelChecksum) },
	"tun-remcsum": func(c *command, _ string) *failure { return c.takeChecksum(tunRemcsum, ipvs.TunnelRemoteChecksum) },
}

var tunnelTypes = map[string]ipvs.TunnelType{"ipip": ipvs.TunnelIPIP, "gue": ipvs.TunnelGUE, "gre": ipvs.TunnelGRE}

func (c *command) takeChecksum(o option, flags ipvs.TunnelFlags) *failure {
	c.server.TunnelFlags = flags
	return c.once(o)
}

var daemonTakers = map[string]taker{
	"mcast-interface": func(c *command, s string) *failure {
		c.daemon.Interface = truncate(s)
		return c.once(mcastInterface)
	},
	"mcast-group": (*command).takeGroup,
	"mcast-port":  number(mcastPort, 1, 65535, "mcast-port", func(c *command, n int64) { c.daemon.Port = uint16(n) }),
	"mcast-ttl":   number(mcastTTL, 1, 255, "mcast-ttl", func(c *command, n int64) { c.daemon.TTL = uint8(n) }),
	"syncid":      number(syncID, 0, 255, "syncid", func(c *command, n int64) { c.daemon.SyncID = uint32(n) }),
	// The maximum payload of UDP over IPv4: 65535 - 20 - 8.
	"sync-maxlen": number(syncMaxLen, 1, 65507, "sync-maxlen", func(c *command, n int64) { c.daemon.MaxLen = uint16(n) }),
}

func (c *command) takeGroup(s string) *failure {
	if f := c.once(mcastGroup); f != nil {
		return f
	}
	kind := "IPv4"
	if strings.Contains(s, ":") {
		kind = "IPv6"
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" || !a.IsMulticast() {
		return fail("invalid %s mcast-group `%s'", kind, s)
	}
	c.daemon.Group = a
	return nil
}

func (c *command) checkServer() *failure {
	d := &c.server
	if c.service.Mark == 0 && d.Forward != ipvs.Masquerade {
		d.Port = c.service.Port // only NAT can change it
	}
	if d.Address.Is6() != (c.service.Family == ipvs.IPv6) && d.Forward != ipvs.Tunnel {
		return fail("Different address family is allowed only for tunneling servers")
	}
	if d.Forward == ipvs.Tunnel {
		return tunnelRules[d.TunnelType].check(c.given&(setOf(tunPort)|checksums), "tunnel type")
	}
	if c.given&tunnelOptions != 0 {
		return fail("Tunnel options conflict with forward method")
	}
	return nil
}
