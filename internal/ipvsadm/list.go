package ipvsadm

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// list prints the listing requested with -L.
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
	l := layoutOf(c.given)
	t, f := s.table(c)
	if f != nil {
		return f
	}
	if !c.given.has(serviceAddress) {
		fmt.Fprintf(s.out, "IP Virtual Server version %d.%d.%d (size=%d)\n",
			s.info.Version>>16, s.info.Version>>8&0xff, s.info.Version&0xff, s.info.TableSize)
	}
	fmt.Fprintln(s.out, l.header)
	sorted := !c.given.has(nosort)
	var d ipvs.DestinationState // reused
	for _, i := range t.order(sorted) {
		s.printService(p, l, &t.services[i])
		protocol := t.services[i].Protocol
		for _, j := range t.serverOrder(i, sorted) {
			t.servers.at(j).server(&d)
			s.line(l.server(p.column(append(s.buffer[:0], "  -> "...), d.Address, d.Port, protocol), &d))
		}
	}
	return nil
}

// table reads the table, or only the requested service.
func (s *session) table(c *command) (*table, *failure) {
	var services []ipvs.ServiceState
	var err error
	if c.given.has(serviceAddress) {
		services = make([]ipvs.ServiceState, 1)
		services[0], err = s.kernel.Table.Service(s.ctx, c.service.ServiceKey)
		if errors.Is(err, syscall.ESRCH) {
			return nil, &failure{status: statusMissing, text: "No such service", ends: true}
		}
	} else {
		services, err = s.kernel.Table.Services(s.ctx)
	}
	var t *table
	if err == nil {
		t, err = readTable(s.ctx, s.kernel.Table, services)
	}
	if err != nil {
		return nil, refused(commonTexts.explain(err))
	}
	return t, nil
}

func (s *session) printService(p printer, l layout, v *ipvs.ServiceState) {
	b := p.serviceName(s.buffer[:0], v.ServiceKey)
	if l.counters != nil {
		b = l.counters(padTo(b, 0, len("TCP  ")+columnWidth), &v.Stats)
	} else {
		b = append(append(b, ' '), serviceText(v.Service)...)
	}
	s.line(b)
}

// line prints a line and keeps its buffer for the next one.
func (s *session) line(b []byte) {
	b = append(b, '\n')
	_, _ = s.out.Write(b) // the writer keeps the error until Flush
	s.buffer = b
}

// serviceText returns the scheduler and options as they are listed.
func serviceText(s ipvs.Service) string {
	text := s.Scheduler
	if flags, any := serviceFlags(s); any {
		text += " (" + flags + ")"
	}
	if s.Flags&ipvs.FlagPersistent != 0 {
		text += fmt.Sprintf(" persistent %d", s.PersistenceTimeout)
		if mask := s.NetmaskText(); mask != "" {
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
