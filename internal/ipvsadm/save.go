package ipvsadm

import (
	"fmt"
	"strconv"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// save prints the rules of the table.
func (s *session) save(c *command) *failure {
	t, f := s.table(c)
	if f != nil {
		return f
	}
	p := printer{numeric: c.given.has(numeric), names: s.env.Names}
	sorted := !c.given.has(nosort)
	var d ipvs.DestinationState
	for _, i := range t.order(sorted) {
		v := &t.services[i]
		at := p.serviceOption(v.ServiceKey)
		s.line(append(append(s.buffer[:0], "-A "+at...), serviceOptionsText(v.Service)...))
		for _, j := range t.serverOrder(i, sorted) {
			t.servers.at(j).server(&d)
			b := append(append(append(s.buffer[:0], "-a "...), at...), " -r "...)
			s.line(appendServerOptions(p.endpoint(b, d.Address, d.Port, v.Protocol), d.Destination))
		}
	}
	return nil
}

func (p printer) serviceOption(k ipvs.ServiceKey) string {
	if k.Mark != 0 {
		text := fmt.Sprintf("-f %d", int32(k.Mark))
		if k.Family == ipvs.IPv6 {
			text += " -6"
		}
		return text
	}
	option := "--sctp-service"
	switch k.Protocol {
	case ipvs.TCP:
		option = "-t"
	case ipvs.UDP:
		option = "-u"
	}
	return option + " " + string(p.endpoint(nil, k.Address, k.Port, k.Protocol))
}

func serviceOptionsText(s ipvs.Service) string {
	text := " -s " + s.Scheduler
	if s.Flags&ipvs.FlagPersistent != 0 {
		text += fmt.Sprintf(" -p %d", s.PersistenceTimeout)
		if mask := s.NetmaskText(); mask != "" {
			text += " -M " + mask
		}
	}
	if s.PersistenceEngine != "" {
		text += " --pe " + s.PersistenceEngine
	}
	if s.Flags&ipvs.FlagOnePacket != 0 {
		text += " -o"
	}
	if flags, any := serviceFlags(s); any {
		text += " -b " + flags
	}
	return text
}

var forwardLetters = map[ipvs.ForwardMethod]string{ipvs.Masquerade: "-m", ipvs.Tunnel: "-i", ipvs.DirectRoute: "-g"}

func appendServerOptions(b []byte, d ipvs.Destination) []byte {
	letter, ok := forwardLetters[d.Forward]
	if !ok {
		letter = "-g" // the kernel's "local" and "bypass" cannot be configured
	}
	b = append(append(append(b, ' '), letter...), " -w "...)
	b = strconv.AppendInt(b, int64(int32(d.Weight)), 10)
	if d.Forward != ipvs.Tunnel {
		return b
	}
	b = append(append(b, " --tun-type "...), d.TunnelType.String()...)
	if d.TunnelType == ipvs.TunnelGUE {
		b = strconv.AppendUint(append(b, " --tun-port "...), uint64(d.TunnelPort), 10)
	}
	if d.TunnelType != ipvs.TunnelIPIP {
		b = append(append(b, " --tun-"...), d.TunnelFlags.String()...)
	}
	return b
}
