package ipvsadm

import (
	"fmt"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// list prints what -L was asked for.
func (s *session) list(c *command) *failure {
	p := printer{numeric: c.given.has(numeric), names: s.env.Names}
	switch {
	case c.given.has(connection):
		return s.listConnections(p, c.given.has(persistentConn))
	case c.given.has(timeout):
		t, err := s.kernel.Settings.Timeouts(s.ctx)
		if err == nil {
			fmt.Fprintf(s.out, "Timeout (tcp tcpfin udp): %d %d %d\n", t.TCP, t.TCPFin, t.UDP)
		}
		return s.simply(nil, err)
	case c.given.has(daemon):
		return s.listDaemons()
	}
	table, f := s.table(c)
	if f != nil {
		return f
	}
	if !c.given.has(serviceAddress) {
		fmt.Fprintf(s.out, "IP Virtual Server version %d.%d.%d (size=%d)\n",
			s.info.Version>>16, s.info.Version>>8&0xff, s.info.Version&0xff, s.info.TableSize)
	}
	l := layoutOf(c.given)
	fmt.Fprintln(s.out, l.header)
	for _, i := range c.order(table) {
		s.printService(p, l, &table[i], c.serverOrder(&table[i]))
	}
	return nil
}

// order returns the order of services.
func (c *command) order(table []ipvs.ServiceState) []int {
	if c.given.has(nosort) {
		return unsortedOrder(len(table))
	}
	return sortedOrder(len(table), func(i, j int) int { return compareServices(&table[i], &table[j]) })
}

// serverOrder returns the order of a service's servers.
func (c *command) serverOrder(v *ipvs.ServiceState) []int {
	if c.given.has(nosort) {
		return unsortedOrder(len(v.Destinations))
	}
	return sortedOrder(len(v.Destinations), func(i, j int) int { return compareServers(&v.Destinations[i], &v.Destinations[j]) })
}

// table reads the table, or the one service that was asked for.
func (s *session) table(c *command) ([]ipvs.ServiceState, *failure) {
	var table []ipvs.ServiceState
	var err error
	if c.given.has(serviceAddress) {
		table, err = s.kernel.Table.Lookup(s.ctx, []ipvs.ServiceKey{c.service.ServiceKey})
		if err == nil && len(table) == 0 {
			return nil, &failure{status: statusMissing, text: "No such service", ends: true}
		}
	} else {
		table, err = s.kernel.Table.Table(s.ctx)
	}
	if err != nil {
		return nil, refused(commonTexts.explain(err))
	}
	return table, nil
}

func (s *session) printService(p printer, l layout, v *ipvs.ServiceState, order []int) {
	b := p.serviceName(s.buffer[:0], v.ServiceKey)
	if l.counters != nil {
		b = l.counters(padTo(b, 0, len("TCP  ")+columnWidth), &v.Stats)
	} else {
		b = append(append(b, ' '), serviceText(v.Service)...)
	}
	s.line(b)
	for _, i := range order {
		d := &v.Destinations[i]
		b = append(s.buffer[:0], "  -> "...)
		s.line(l.server(p.column(b, d.Address, d.Port, v.Protocol), d))
	}
}

// line prints a line and keeps its memory for the next one.
func (s *session) line(b []byte) {
	b = append(b, '\n')
	_, _ = s.out.Write(b) // an error stays in the writer until it is flushed
	s.buffer = b
}

// serviceText returns scheduler and options as the listing has them.
func serviceText(s ipvs.Service) string {
	text := s.Scheduler
	if flags, any := serviceFlags(s); any {
		text += " (" + flags + ")"
	}
	if s.Flags&ipvs.FlagPersistent != 0 {
		text += fmt.Sprintf(" persistent %d", s.PersistenceTimeout)
		if mask := serviceMask(s); mask != "" {
			text += " mask " + mask
		}
		if s.PersistenceEngine != "" {
			text += " pe " + s.PersistenceEngine
		}
	}
	if s.Flags&ipvs.FlagOnePacket != 0 {
		text += " ops"
	}
	return text
}

func (s *session) listDaemons() *failure {
	daemons, err := s.kernel.Daemons.Daemons(s.ctx)
	if err != nil {
		return refused(commonTexts.explain(err))
	}
	for _, r := range daemons {
		d := r.Daemon
		fmt.Fprintf(s.out, "%s sync daemon (mcast=%s, syncid=%d, maxlen=%d, group=%s, port=%d, ttl=%d)\n",
			r.Role, d.Interface, d.SyncID, d.MaxLen, appendAddress(nil, d.Group), d.Port, d.TTL)
	}
	return nil
}
