package ipvsadm

import (
	"encoding/binary"
	"net/netip"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// A record encodes a server's state compactly: the length of the address, the address, the port in two bytes, and the
// numbers as varints, since most are small.
type record []byte

// numbers is the number of numbers in a record.
const numbers = 20

func appendServer(b record, d *ipvs.DestinationState) record {
	if d.Address.Is4() {
		a := d.Address.As4()
		b = append(append(b, 4), a[:]...)
	} else {
		a := d.Address.As16()
		b = append(append(b, 16), a[:]...)
	}
	b = binary.BigEndian.AppendUint16(b, d.Port)
	s := &d.Stats
	for _, n := range [numbers]uint64{
		uint64(d.Forward), uint64(d.Weight), uint64(d.UpperThreshold), uint64(d.LowerThreshold),
		uint64(d.TunnelType), uint64(d.TunnelPort), uint64(d.TunnelFlags),
		uint64(d.Active), uint64(d.Inactive), uint64(d.Persistent),
		s.Connections, s.InPackets, s.OutPackets, s.InBytes, s.OutBytes,
		s.ConnectionRate, s.InPacketRate, s.OutPacketRate, s.InByteRate, s.OutByteRate,
	} {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

// key returns address and port.
func (r record) key() (address []byte, port uint16) {
	address = r[1 : 1+r[0]]
	return address, binary.BigEndian.Uint16(r[1+r[0]:])
}

// server decodes the record into d.
func (r record) server(d *ipvs.DestinationState) {
	address, port := r.key()
	ip, _ := netip.AddrFromSlice(address)
	rest := r[1+len(address)+2:]
	var n [numbers]uint64
	for i := range n {
		var size int
		n[i], size = binary.Uvarint(rest)
		rest = rest[size:]
	}
	*d = ipvs.DestinationState{
		Destination: ipvs.Destination{
			DestinationKey: ipvs.DestinationKey{Address: ip, Port: port},
			Forward:        ipvs.ForwardMethod(n[0]), Weight: uint32(n[1]), UpperThreshold: uint32(n[2]), LowerThreshold: uint32(n[3]),
			TunnelType: ipvs.TunnelType(n[4]), TunnelPort: uint16(n[5]), TunnelFlags: ipvs.TunnelFlags(n[6]),
		},
		Active: uint32(n[7]), Inactive: uint32(n[8]), Persistent: uint32(n[9]),
		Stats: ipvs.Stats{
			Connections: n[10], InPackets: n[11], OutPackets: n[12], InBytes: n[13], OutBytes: n[14],
			ConnectionRate: n[15], InPacketRate: n[16], OutPacketRate: n[17], InByteRate: n[18], OutByteRate: n[19],
		},
	}
}

// records is a list of records, each preceded by a byte with its length. It grows without copying.
type records struct{ pieces [][]byte }

// place is the position of a record: the upper half is the number of its piece.
type place uint32

// pieceSize is one less than the range of half a place, so that the end of a piece has a place.
const pieceSize = 1<<16 - 1

func (r *records) add(one record) {
	last := len(r.pieces) - 1
	if last < 0 || len(r.pieces[last])+1+len(one) > pieceSize {
		r.pieces = append(r.pieces, make([]byte, 0, pieceSize))
		last++
	}
	r.pieces[last] = append(append(r.pieces[last], byte(len(one))), one...)
}

// end returns the place of the next record, or the end of the current piece if that record begins a new piece.
func (r *records) end() place {
	last := len(r.pieces) - 1
	if last < 0 {
		return 0
	}
	return place(last<<16 | len(r.pieces[last]))
}

// cut removes the records from a place onward.
func (r *records) cut(from place) {
	if piece := int(from >> 16); piece < len(r.pieces) {
		r.pieces = r.pieces[:piece+1]
		r.pieces[piece] = r.pieces[piece][:from&pieceSize]
	}
}

// settle returns the place of a record, given a place that may be the end of the piece before it.
func (r *records) settle(at place) place {
	if int(at&pieceSize) == len(r.pieces[at>>16]) {
		return (at>>16 + 1) << 16
	}
	return at
}

// after returns the place that follows a record, for settle.
func (r *records) after(at place) place { return at + 1 + place(len(r.at(at))) }

func (r *records) at(at place) record {
	b := r.pieces[at>>16][at&pieceSize:]
	return b[1 : 1+b[0]]
}
