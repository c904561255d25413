package ipvsadm

import (
	"fmt"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// layout is one of the forms of the table.
type layout struct {
	header   string
	counters func(*ipvs.Stats) string            // of a service too; nil: the service has its options
	server   func(*ipvs.DestinationState) string // what follows a server's address
}

const arrow = "\n  -> RemoteAddress:Port"

// layoutOf chooses the form. Of several, one counts.
func layoutOf(given set) layout {
	switch {
	case given.has(stats):
		return counterLayout("Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes", given.has(exact), counterText)
	case given.has(rate):
		return counterLayout("Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS", given.has(exact), rateText)
	case given.has(thresholds):
		return layout{
			header: "Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn " + arrow,
			server: func(d *ipvs.DestinationState) string {
				return fmt.Sprintf(" %-10d %-10d %-10d %-10d", d.UpperThreshold, d.LowerThreshold, d.Active, d.Inactive)
			},
		}
	case given.has(persistentConn):
		return layout{
			header: "Prot LocalAddress:Port            Weight    PersistConn ActiveConn InActConn " + arrow,
			server: func(d *ipvs.DestinationState) string {
				return fmt.Sprintf(" %-9d %-11d %-10d %-10d", d.Weight, d.Persistent, d.Active, d.Inactive)
			},
		}
	case given.has(tunInfo):
		return layout{
			header: "Prot LocalAddress:Port Scheduler Flags" + arrow + "           Forward TunnelInfo    Weight ActiveConn InActConn",
			server: func(d *ipvs.DestinationState) string {
				return fmt.Sprintf(" %-7s %-13s %-6d %-10d %-10d",
					forwardName(d.Forward), tunnelText(d.Destination), int32(d.Weight), d.Active, d.Inactive)
			},
		}
	}
	return layout{
		header: "Prot LocalAddress:Port Scheduler Flags" + arrow + "           Forward Weight ActiveConn InActConn",
		server: func(d *ipvs.DestinationState) string {
			return fmt.Sprintf(" %-7s %-6d %-10d %-10d", forwardName(d.Forward), int32(d.Weight), d.Active, d.Inactive)
		},
	}
}

func counterLayout(header string, exact bool, text func(*ipvs.Stats, func(uint64) string) string) layout {
	number := scaled
	if exact {
		number = exactly
	}
	return layout{
		header:   header + arrow,
		counters: func(s *ipvs.Stats) string { return text(s, number) },
		server:   func(d *ipvs.DestinationState) string { return text(&d.Stats, number) },
	}
}

func counterText(s *ipvs.Stats, number func(uint64) string) string {
	return number(s.Connections) + number(s.InPackets) + number(s.OutPackets) + number(s.InBytes) + number(s.OutBytes)
}

// rateText scales bytes only.
func rateText(s *ipvs.Stats, number func(uint64) string) string {
	return exactly(s.ConnectionRate) + exactly(s.InPacketRate) + exactly(s.OutPacketRate) + number(s.InByteRate) + number(s.OutByteRate)
}
