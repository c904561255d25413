package ipvsadm

import "github.com/lvs-ha/lvs-ha/ipvs"

// layout is a format of the table.
type layout struct {
	header   string
	counters func(b []byte, s *ipvs.Stats) []byte            // of a service; nil: print its options instead
	server   func(b []byte, d *ipvs.DestinationState) []byte // what follows a server's address
}

const arrow = "\n  -> RemoteAddress:Port"

// layoutOf returns the layout for a set of options. If several apply, one takes precedence.
func layoutOf(given set) layout {
	all, bytes := 0, 3
	if given.has(exact) {
		all, bytes = len(counters{}), len(counters{})
	}
	switch {
	case given.has(stats):
		return counterLayout("Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes", pickCounters, all)
	case given.has(rate):
		return counterLayout("Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS", pickRates, bytes)
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

// counters are connections, packets in and out, and bytes in and out, or their rates.
type counters [5]uint64

func pickCounters(s *ipvs.Stats) counters {
	return counters{s.Connections, s.InPackets, s.OutPackets, s.InBytes, s.OutBytes}
}

func pickRates(s *ipvs.Stats) counters {
	return counters{s.ConnectionRate, s.InPacketRate, s.OutPacketRate, s.InByteRate, s.OutByteRate}
}

// counterLayout prints counters in columns; large values in columns from scaledFrom on get a unit.
func counterLayout(header string, pick func(s *ipvs.Stats) counters, scaledFrom int) layout {
	columns := func(b []byte, s *ipvs.Stats) []byte {
		for i, n := range pick(s) {
			if i < scaledFrom {
				b = exactly(b, n)
			} else {
				b = scaled(b, n)
			}
		}
		return b
	}
	return layout{
		header:   header + arrow,
		counters: columns,
		server:   func(b []byte, d *ipvs.DestinationState) []byte { return columns(b, &d.Stats) },
	}
}
