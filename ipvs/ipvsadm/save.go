package ipvsadm

import (
	"fmt"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// save prints the rules of the table.
func (s *session) save(c *command) *failure {
	table, f := s.table(c)
	if f != nil {
		return f
	}
	p := printer{numeric: c.given.has(numeric), names: s.env.Names}
	for i := range table {
		v := &table[i]
		at := p.serviceOption(v.ServiceKey)
		fmt.Fprintf(s.out, "-A %s%s\n", at, serviceOptionsText(v.Service))
		for _, d := range v.Destinations {
			fmt.Fprintf(s.out, "-a %s -r %s%s\n", at, p.endpoint(d.Address, d.Port, v.Protocol), serverOptionsText(d.Destination))
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
	return option + " " + p.endpoint(k.Address, k.Port, k.Protocol)
}

func serviceOptionsText(s ipvs.Service) string {
	text := " -s " + s.Scheduler
	if s.Flags&ipvs.FlagPersistent != 0 {
		text += fmt.Sprintf(" -p %d", s.PersistenceTimeout)
		if mask := serviceMask(s); mask != "" {
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

func serverOptionsText(d ipvs.Destination) string {
	letter, ok := forwardLetters[d.Forward]
	if !ok {
		letter = "-g" // the kernel's own "local" and "bypass" cannot be given
	}
	text := fmt.Sprintf(" %s -w %d", letter, int32(d.Weight))
	if d.Forward != ipvs.Tunnel {
		return text
	}
	text += " --tun-type " + d.TunnelType.String()
	if d.TunnelType == ipvs.TunnelGUE {
		text += fmt.Sprintf(" --tun-port %d", d.TunnelPort)
	}
	if d.TunnelType != ipvs.TunnelIPIP {
		text += " --tun-" + d.TunnelFlags.String()
	}
	return text
}
