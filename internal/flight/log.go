package flight

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// Recorder writes a recording. It belongs to one goroutine. A nil Recorder records nothing.
type Recorder struct {
	file  *os.File // nil: the recording is not in a file
	head  *fileHead
	slots []byte // the parts of number slots

	number int
	base   time.Time // when boot was read
	boot   int64
	taken  [slots]bool

	// Report is called when nothing can be recorded, with the reason, and with nil when it can again.
	Report     func(error)
	all        []byte
	until      time.Time // nothing is recorded before
	lost       bool      // something was not recorded, and since then nothing was
	generation int       // incremented when the header is lost, with the owners of the slots

	scratch [headerSize + maxText + align]byte // of Log.write
}

// Open maps a recording, and continues it if it is valid. boot returns CLOCK_BOOTTIME in nanoseconds.
func Open(f *os.File, boot func() int64) (r *Recorder, err error) {
	if f == nil {
		return nil, nil
	}
	info, err := f.Stat()
	if err == nil && info.Size() != fileSize {
		err = f.Truncate(fileSize)
	}
	if err != nil {
		return nil, fmt.Errorf("size the recording: %w", err)
	}
	b, err := unix.Mmap(int(f.Fd()), 0, fileSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the recording: %w", err)
	}
	before := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(before)
		v := recover()
		if v == nil {
			return
		}
		opened := &Recorder{file: f, all: b}
		if at, ok := v.(fault); !ok || !opened.holds(at.Addr()) {
			panic(v)
		}
		r, err = nil, errors.Join(opened.cause(), unix.Munmap(b))
	}()
	if !(*fileHead)(unsafe.Pointer(&b[0])).valid() { // of another version, or empty
		_ = punch(f, 0, fileSize) // otherwise what is in a slot is erased when it is used
	}
	r = over(b, boot)
	r.file = f
	return r, nil
}

// over returns a recorder that writes to memory of the size of a file.
func over(b []byte, boot func() int64) *Recorder {
	r := &Recorder{head: (*fileHead)(unsafe.Pointer(&b[0])), slots: b[pageSize:], all: b, base: time.Now(), boot: boot()}
	r.number = min(slots, len(r.slots)/slotSize)
	r.initialize()
	return r
}

// initialize writes the header if it is not valid, and reports whether it was not.
func (r *Recorder) initialize() bool {
	if r.head.valid() && int(r.head.number) == r.number && int(r.head.used) <= r.number {
		return false
	}
	clear(r.all[:pageSize])
	*r.head = fileHead{version: version, slot: slotSize, number: uint32(r.number)}
	copy(r.head.magic[:], fileMagic)
	return true
}

// Log is the recording of one virtual router. A nil Log records nothing.
type Log struct {
	recorder *Recorder
	slot     int
	head     *slotHeader
	ring     [2][]byte // its parts
	machine  *vrrp.Machine
	interval time.Duration // between adverts
	order    uint32        // of the last event
	since    int           // bytes since the last snapshot

	device     [nameBytes]byte
	family, id uint8
	generation int  // of the recorder, when the slot was found
	incomplete bool // events were not recorded
}

// Begin returns the log of a virtual router. It continues that of an earlier process.
func (r *Recorder) Begin(device string, family vrrp.Family, id uint8, m *vrrp.Machine, now time.Time) (l *Log) {
	if r == nil {
		return nil
	}
	l = &Log{recorder: r, machine: m, family: uint8(family), id: id, incomplete: true}
	copy(l.device[:], device)
	defer l.guard(debug.SetPanicOnFault(true), now)
	if now.Before(r.until) {
		return l
	}
	if !l.attach() {
		return nil
	}
	l.incomplete = false
	return l
}

// attach finds the slot of a log.
func (l *Log) attach() bool {
	r := l.recorder
	if l.head != nil && l.generation == r.generation {
		r.taken[l.slot] = false
	}
	l.head = nil
	slot, known := r.find(l.device, l.family, l.id)
	if slot < 0 {
		return false
	}
	first, other := parts(r.slots, r.number, slot)
	head := r.header(slot)
	if !known {
		r.erase(slot)
		head.device, head.family, head.id = l.device, l.family, l.id
	}
	if head.next > ringSize || head.next%align != 0 {
		head.next = 0
	}
	r.taken[slot] = true
	l.slot, l.head, l.ring, l.generation = slot, head, [2][]byte{first[slotHead:], other}, r.generation
	return true
}

// header returns the header of a slot.
func (r *Recorder) header(slot int) *slotHeader {
	return (*slotHeader)(unsafe.Pointer(&r.slots[slot*firstPart]))
}

// erase clears a slot. It does not allocate the other part.
func (r *Recorder) erase(slot int) {
	first, other := parts(r.slots, r.number, slot)
	clear(first)
	if r.file == nil || punch(r.file, int64(pageSize+r.number*firstPart+slot*otherPart), otherPart) != nil {
		clear(other)
	}
}

// punch erases a part of a file and frees its pages.
func punch(f *os.File, at, size int64) error {
	return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, at, size)
}

// find returns the slot of a virtual router, or a free one, or -1.
func (r *Recorder) find(name [nameBytes]byte, family, id uint8) (slot int, known bool) {
	free := -1
	for i := range int(r.head.used) {
		h := r.header(i)
		switch {
		case r.taken[i]:
		case h.device == name && h.family == family && h.id == id:
			return i, true
		case free < 0:
			free = i
		}
	}
	if int(r.head.used) < r.number {
		r.head.used++
		return int(r.head.used) - 1, false
	}
	return free, false
}

// End ends a log: its slot may be used for another virtual router, if there is no other.
func (l *Log) End(now time.Time) {
	if l == nil {
		return
	}
	defer l.guard(debug.SetPanicOnFault(true), now)
	if l.head != nil && l.generation == l.recorder.generation {
		l.recorder.taken[l.slot] = false
	}
	if l.complete(now) {
		l.flush(now)
	}
}

func (l *Log) at(now time.Time) time.Duration {
	return time.Duration(l.recorder.boot + int64(now.Sub(l.recorder.base)))
}

// add appends a record.
func (l *Log) add(rec Record, now time.Time) {
	if rec.At == 0 {
		rec.At = l.at(now)
	}
	rec.Own = l.machine.Priority()
	l.recorder.head.offset = now.UnixNano() - int64(l.at(now))
	l.write(&rec, int64(rec.At)+l.recorder.head.offset)
}

func (l *Log) write(rec *Record, wall int64) {
	if len(rec.Text) > maxText {
		rec.Text = rec.Text[:maxText]
	}
	rec.Sequence = l.head.sequence + 1
	n := rec.put(l.recorder.scratch[:], wall)
	next := int(l.head.next)
	if next+n > ringSize {
		next = 0
	}
	if next < ringFirst && next+n > ringFirst {
		next = ringFirst
	}
	if next < ringFirst {
		copy(l.ring[0][next:], l.recorder.scratch[:n])
	} else {
		copy(l.ring[1][next-ringFirst:], l.recorder.scratch[:n])
	}
	l.since += n
	atomic.StoreUint32(&l.head.next, uint32(next+n))
	atomic.StoreUint64(&l.head.sequence, rec.Sequence)
}

// settle ends the open runs, so that the next record follows them.
func (l *Log) settle(now time.Time) {
	l.flush(now)
	if l.since > ringSize/2 {
		l.snapshot(now, 0)
	}
}

// snapshot records the machine as it is. Half of the ring follows before the next one, so that there is always one to begin a
// replay with.
func (l *Log) snapshot(now time.Time, code uint8) {
	l.since = 0
	s := l.machine.Snapshot(func(t time.Time) int64 { return int64(l.at(t)) })
	l.interval = s.Instance.AdvertiseInterval
	s.Instance, s.Tracks = settings(s.Instance), brief(s.Tracks)
	l.add(Record{Kind: Snapshot, Code: code, Text: encode(s)}, now)
}

// settings returns an instance without secrets and lists, which do not affect transitions.
func settings(in vrrp.Instance) vrrp.Instance {
	in.AuthPass, in.AuthHMAC, in.Addresses, in.Routing = "", nil, nil, vrrp.Routing{}
	in.TrackInterfaces, in.VMAC = nil, nil
	if len(in.UnicastPeers) > 0 {
		in.UnicastPeers = in.UnicastPeers[:1]
	}
	return in
}

const (
	briefReason = 120
	briefText   = maxText / 2
)

// brief returns tracks with short reasons; of many, those that have an effect.
func brief(tracks []vrrp.Track) []vrrp.Track {
	var out []vrrp.Track
	size := 0
	for _, t := range tracks {
		if len(t.Reason) > briefReason {
			t.Reason = strings.ToValidUTF8(t.Reason[:briefReason-len("…")], "") + "…"
		}
		if size += 120 + len(t.Name) + len(t.Reason); size > briefText && t.Effect == vrrp.EffectNone {
			continue
		}
		out = append(out, t)
	}
	return out
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}
