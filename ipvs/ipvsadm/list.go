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
	for i := range table {
		s.printService(p, l, &table[i])
	}
	return nil
}

// table reads the table, or the one service that was asked for, and sorts it.
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
	if !c.given.has(nosort) {
		mergeSort(table, compareServices)
		for i := range table {
			mergeSort(table[i].Destinations, compareServers)
		}
	}
	return table, nil
}

func (s *session) printService(p printer, l layout, v *ipvs.ServiceState) {
	name := p.serviceName(v.ServiceKey)
	if l.counters != nil {
		fmt.Fprintf(s.out, "%-33s%s\n", name, l.counters(&v.Stats))
	} else {
		fmt.Fprintf(s.out, "%s %s\n", name, serviceText(v.Service))
	}
	for i := range v.Destinations {
		d := &v.Destinations[i]
		fmt.Fprintf(s.out, "  -> %s%s\n", p.column(d.Address, d.Port, v.Protocol), l.server(d))
	}
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
			r.Role, d.Interface, d.SyncID, d.MaxLen, addressText(d.Group), d.Port, d.TTL)
	}
	return nil
}
