package flight

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// Kind is what a record is about.
type Kind uint8

// The kinds. Received, Timeout and Dropped stand for any number of equal events in a row.
const (
	Start      Kind = iota + 1 // a new machine; Text is its vrrp.Instance
	Snapshot                   // the machine as it is: Text is a snapshot. A replay can begin here, and must with Code SnapshotAfterLoss
	Configure                  // Text is the new vrrp.Instance
	Tracks                     // Text is a list of vrrp.Track
	Up                         // Code has the flags of vrrp.Up
	Down                       // Text is the reason
	Received                   // adverts of one router
	Timeout                    // the machine's timer: as master, it sends an advert
	Resign                     // Text is the reason
	Promote                    // Code 1: HandOver
	StepDown                   // Code 1: GiveUp
	Defer                      // Interval is the time until which it waits, from At
	Found                      // its addresses were found on the interface
	Prepare                    // Interval is the time of the group's takeover, from At; Code 1: there is one
	Changed                    // a transition: From, To; Text is the reason
	Addresses                  // a task of the kernel is complete: Code has the steps, Interval is how long it took
	Dropped                    // packets that were refused: Code is the vrrp.DropReason
	Conflicts                  // Text is a vrrp.Conflict
	SendFailed                 // Text is the error
	kinds
)

var kindNames = [kinds]string{"", "start", "snapshot", "configure", "tracks", "up", "down", "received", "timeout", "resign", "promote", "step-down",
	"defer", "found", "prepare", "changed", "addresses", "dropped", "conflict", "send-failed"}

func (k Kind) String() string {
	if k < kinds {
		return kindNames[k]
	}
	return "unknown"
}

// MarshalText makes JSON show the name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// SnapshotAfterLoss is the code of a snapshot that follows records that are missing.
const SnapshotAfterLoss = 1

// Flags of Up and of Addresses.
const (
	UpHaveAddresses = 1 << iota
	UpAdopt

	StepAdd      = 1
	StepRemove   = 2
	StepAnnounce = 4
)

// Record is an entry of the recording.
type Record struct {
	Sequence uint64        `json:"sequence"`
	Kind     Kind          `json:"kind"`
	Time     time.Time     `json:"time"`                 // wall clock; of several events, the last
	At       time.Duration `json:"at_ns"`                // the same since boot
	First    time.Duration `json:"first_ns,omitempty"`   // of several events, the first
	Count    uint32        `json:"count,omitempty"`      // of events; of addresses
	Late     time.Duration `json:"late_ns,omitempty"`    // how late the process handled it; of several events, the worst
	Delay    time.Duration `json:"delay_ns,omitempty"`   // how late the last one was
	Delayed  time.Duration `json:"delayed_ns,omitempty"` // how late the first one was
	Order    [2]uint32     `json:"order"`                // the first and the last among all events of the router
	Source   netip.Addr    `json:"source,omitzero"`      // of adverts; with Up, our own address
	Interval time.Duration `json:"interval_ns,omitempty"`
	Priority uint8         `json:"priority"` // in adverts
	Own      uint8         `json:"own"`      // our effective priority then
	From     vrrp.State    `json:"from,omitempty"`
	To       vrrp.State    `json:"to,omitempty"`
	Code     uint8         `json:"code,omitempty"`
	Text     string        `json:"text,omitempty"`
}

// Layout of a record in a ring: a header and the text, padded to a multiple of 8 bytes. The checksum covers all that
// follows it, so that a record that a killed process has not finished, or that was overwritten in part, is recognized.
const (
	magic      = 0x1f5a7e8d
	headerSize = 112
	maxText    = 4096
	align      = 8
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	states     = [...]vrrp.State{"", vrrp.Initialize, vrrp.Backup, vrrp.Master, vrrp.Leaving}
)

func stateNumber(s vrrp.State) uint8 {
	switch s {
	case vrrp.Initialize:
		return 1
	case vrrp.Backup:
		return 2
	case vrrp.Master:
		return 3
	case vrrp.Leaving:
		return 4
	}
	return 0
}

func stateOf(n uint8) vrrp.State {
	if int(n) < len(states) {
		return states[n]
	}
	return ""
}

func sizeOf(text int) int { return (headerSize + text + align - 1) / align * align }

// put encodes a record into b, which is large enough, and returns its length.
func (r *Record) put(b []byte, wall int64) int {
	n := sizeOf(len(r.Text))
	clear(b[n-align : n])
	le := binary.LittleEndian
	le.PutUint32(b, magic)
	le.PutUint64(b[8:], r.Sequence)
	le.PutUint64(b[16:], uint64(r.At))
	le.PutUint64(b[24:], uint64(r.First))
	le.PutUint64(b[32:], uint64(wall))
	le.PutUint64(b[40:], uint64(r.Interval))
	le.PutUint64(b[48:], uint64(r.Late))
	source := packed(r.Source)
	copy(b[56:72], source[:])
	le.PutUint32(b[72:], r.Count)
	le.PutUint16(b[76:], uint16(len(r.Text)))
	b[78], b[79], b[80], b[81], b[82], b[83] = uint8(r.Kind), stateNumber(r.From), stateNumber(r.To), r.Priority, r.Own, r.Code
	clear(b[84:88])
	le.PutUint64(b[88:], uint64(r.Delay))
	le.PutUint64(b[96:], uint64(r.Delayed))
	le.PutUint32(b[104:], r.Order[0])
	le.PutUint32(b[108:], r.Order[1])
	copy(b[headerSize:], r.Text)
	le.PutUint32(b[4:], crc32.Checksum(b[8:n], castagnoli))
	return n
}

// get decodes the record at the beginning of b. It returns false if there is no complete one.
func get(b []byte) (r Record, ok bool) {
	le := binary.LittleEndian
	if len(b) < headerSize || le.Uint32(b) != magic {
		return r, false
	}
	text := int(le.Uint16(b[76:]))
	n := sizeOf(text)
	if text > maxText || n > len(b) || crc32.Checksum(b[8:n], castagnoli) != le.Uint32(b[4:]) {
		return r, false
	}
	return Record{
		Sequence: le.Uint64(b[8:]), At: time.Duration(le.Uint64(b[16:])), First: time.Duration(le.Uint64(b[24:])),
		Time: time.Unix(0, int64(le.Uint64(b[32:]))), Interval: time.Duration(le.Uint64(b[40:])), Late: time.Duration(le.Uint64(b[48:])),
		Delay: time.Duration(le.Uint64(b[88:])), Delayed: time.Duration(le.Uint64(b[96:])), Order: [2]uint32{le.Uint32(b[104:]), le.Uint32(b[108:])}, Source: unpacked([16]byte(b[56:72])), Count: le.Uint32(b[72:]),
		Kind: Kind(b[78]), From: stateOf(b[79]), To: stateOf(b[80]), Priority: b[81], Own: b[82], Code: b[83], Text: string(b[headerSize : headerSize+text]),
	}, Kind(b[78]) > 0 && Kind(b[78]) < kinds
}

// packed returns an address in 16 bytes, all zero for none.
func packed(a netip.Addr) (b [16]byte) {
	if a.IsValid() {
		b = a.As16()
	}
	return b
}

func unpacked(b [16]byte) netip.Addr {
	if b == [16]byte{} {
		return netip.Addr{}
	}
	return netip.AddrFrom16(b).Unmap()
}
