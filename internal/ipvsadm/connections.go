package ipvsadm

import (
	"fmt"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

const (
	connectionsHeader = "IPVS connection entries\npro expire state       source             virtual            destination"
	enginesHeader     = "        pe name          pe_data"
)

// listConnections prints the connection table, with the persistence engines' data if engines is set.
func (s *session) listConnections(p printer, engines bool) *failure {
	f, err := s.env.Connections()
	if err != nil {
		return fail("cannot open file %s", connectionsFile)
	}
	defer f.Close()
	fmt.Fprint(s.out, connectionsHeader)
	if engines {
		fmt.Fprint(s.out, enginesHeader)
	}
	fmt.Fprintln(s.out)
	err = ipvs.ReadConnections(f, func(c ipvs.Connection) error {
		s.line(p.connection(s.buffer[:0], c, engines))
		return nil
	})
	if err != nil {
		return refused(err.Error())
	}
	return nil
}

var connectionProtocols = map[string]ipvs.Protocol{"TCP": ipvs.TCP, "UDP": ipvs.UDP, "SCTP": ipvs.SCTP}

// connection appends an entry.
func (p printer) connection(b []byte, c ipvs.Connection, engines bool) []byte {
	protocol := connectionProtocols[c.Protocol]
	seconds := int(c.Expires.Seconds())
	expires := fmt.Sprintf("%02d:%02d", seconds/60, seconds%60)
	b = fmt.Appendf(b, "%-3s %-6s %-11s ", c.Protocol, expires, c.State)
	start := len(b)
	b = padTo(p.endpoint(b, c.Client.Addr(), c.Client.Port(), protocol), start, 18)
	b = append(b, ' ')
	start = len(b)
	b = padTo(p.endpoint(b, c.Virtual.Addr(), c.Virtual.Port(), protocol), start, 18)
	b = append(b, ' ')
	start = len(b)
	b = p.endpoint(b, c.Destination.Addr(), c.Destination.Port(), protocol)
	if engines && c.Engine != "" {
		b = fmt.Appendf(padTo(b, start, 16), " %-18s %s", c.Engine, c.EngineData)
	}
	return b
}
