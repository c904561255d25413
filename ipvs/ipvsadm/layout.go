package ipvsadm

import "github.com/lvs-ha/lvs-ha/ipvs"

// layout is one of the forms of the table.
type layout struct {
	header   string
	counters func(b []byte, s *ipvs.Stats) []byte            // of a service too; nil: the service has its options
	server   func(b []byte, d *ipvs.DestinationState) []byte // what follows a server's address
}

const arrow = "\n  -> RemoteAddress:Port"

// layoutOf chooses the form. Of several, one counts.
func layoutOf(given set) layout {
	switch {
	case given.has(stats):
		return counterLayout("Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes", given.has(exact), appendCounters)
	case given.has(rate):
		return counterLayout("Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS", given.has(exact), appendRates)
	case given.has(thresholds):
		return layout{
			header: "Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn " + arrow,
			server: func(b []byte, d *ipvs.DestinationState) []byte {
				return appendConnections(left(left(b, d.UpperThreshold, 10), d.LowerThreshold, 10), d)
			},
		}
	case given.has(persistentConn):
		return layout{
			header: "Prot LocalAddress:Port            Weight    PersistConn ActiveConn InActConn " + arrow,
			server: func(b []byte, d *ipvs.DestinationState) []byte {
				return appendConnections(left(left(b, d.Weight, 9), d.Persistent, 11), d)
			},
		}
	case given.has(tunInfo):
		return layout{
			header: "Prot LocalAddress:Port Scheduler Flags" + arrow + "           Forward TunnelInfo    Weight ActiveConn InActConn",
			server: func(b []byte, d *ipvs.DestinationState) []byte {
				b = leftText(leftText(b, forwardName(d.Forward), 7), tunnelText(d.Destination), 13)
				return appendConnections(left(b, int32(d.Weight), 6), d)
			},
		}
	}
	return layout{
		header: "Prot LocalAddress:Port Scheduler Flags" + arrow + "           Forward Weight ActiveConn InActConn",
		server: func(b []byte, d *ipvs.DestinationState) []byte {
			return appendConnections(left(leftText(b, forwardName(d.Forward), 7), int32(d.Weight), 6), d)
		},
	}
}

func appendConnections(b []byte, d *ipvs.DestinationState) []byte {
	return left(left(b, d.Active, 10), d.Inactive, 10)
}

type counterForm func(b []byte, s *ipvs.Stats, number func([]byte, uint64) []byte) []byte

func counterLayout(header string, exact bool, form counterForm) layout {
	number := scaled
	if exact {
		number = exactly
	}
	return layout{
		header:   header + arrow,
		counters: func(b []byte, s *ipvs.Stats) []byte { return form(b, s, number) },
		server:   func(b []byte, d *ipvs.DestinationState) []byte { return form(b, &d.Stats, number) },
	}
}

func appendCounters(b []byte, s *ipvs.Stats, number func([]byte, uint64) []byte) []byte {
	for _, n := range [...]uint64{s.Connections, s.InPackets, s.OutPackets, s.InBytes, s.OutBytes} {
		b = number(b, n)
	}
	return b
}

// appendRates scales bytes only.
func appendRates(b []byte, s *ipvs.Stats, number func([]byte, uint64) []byte) []byte {
	b = exactly(exactly(exactly(b, s.ConnectionRate), s.InPacketRate), s.OutPacketRate)
	return number(number(b, s.InByteRate), s.OutByteRate)
}
