package flight

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"time"
	"unsafe"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// Router is the recording of one virtual router.
type Router struct {
	Name            string      `json:"name"`
	Interface       string      `json:"interface"`
	Family          vrrp.Family `json:"family"`
	VirtualRouterID uint8       `json:"virtual_router_id"`
	Records         []Record    `json:"records"` // oldest first, without gaps
}

// Decode returns the recordings of all virtual routers in a file's contents. It accepts any contents: what is not complete is
// left out.
func Decode(all []byte) ([]Router, error) {
	if len(all) < pageSize {
		return nil, errInvalid
	}
	all = bytes.Clone(all) // aligned
	head := (*fileHead)(unsafe.Pointer(&all[0]))
	if !head.valid() {
		return nil, errInvalid
	}
	var out []Router
	number := min(int(head.number), (len(all)-pageSize)/slotSize)
	for i := range min(int(head.used), number) {
		first, other := parts(all[pageSize:], number, i)
		if r := decodeSlot(slices.Concat(first, other), head.offset); len(r.Records) > 0 {
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b Router) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

func decodeSlot(b []byte, offset int64) Router {
	h := (*slotHeader)(unsafe.Pointer(&b[0]))
	device, _, _ := bytes.Cut(h.device[:], []byte{0})
	r := Router{Interface: string(device), Family: vrrp.Family(h.family), VirtualRouterID: h.id}
	r.Name = r.Interface + "/" + r.Family.String() + "/" + strconv.Itoa(int(h.id))
	ring := b[slotHead:]
	for i := 0; i+headerSize <= len(ring); i += align {
		if rec, ok := get(ring[i:]); ok {
			r.Records = append(r.Records, rec)
		}
	}
	slices.SortFunc(r.Records, func(a, b Record) int { return cmp.Compare(a.Sequence, b.Sequence) })
	for i := len(r.Records) - 1; i > 0; i-- {
		if r.Records[i-1].Sequence+1 != r.Records[i].Sequence {
			r.Records = r.Records[i:] // records before it were overwritten
			break
		}
	}
	r.Records = append(r.Records, openRecords(h, r.Records, offset)...)
	for _, rec := range r.Records {
		if in, ok := rec.Instance(); ok {
			r.Name = in.Name
		}
	}
	return r
}

// openRecords returns the runs that have not ended.
func openRecords(h *slotHeader, before []Record, offset int64) []Record {
	last := h.sequence
	if len(before) > 0 {
		last = before[len(before)-1].Sequence
	}
	var out []Record
	for i := range h.runs {
		if r := &h.runs[i]; r.count > 0 && Kind(r.kind) < kinds {
			rec := r.record()
			rec.Time = time.Unix(0, r.last+offset)
			out = append(out, rec)
		}
	}
	slices.SortFunc(out, func(a, b Record) int { return cmp.Compare(a.At, b.At) })
	for i := range out {
		last++
		out[i].Sequence = last
	}
	return out
}

// Instance returns the configuration in a record.
func (r *Record) Instance() (in vrrp.Instance, ok bool) {
	switch r.Kind {
	case Start, Configure:
		ok = json.Unmarshal([]byte(r.Text), &in) == nil
	case Snapshot:
		var s vrrp.Snapshot
		ok = json.Unmarshal([]byte(r.Text), &s) == nil
		in = s.Instance
	}
	return in, ok
}

// Tracks returns the tracks in a record.
func (r *Record) Tracks() (list []vrrp.Track, ok bool) {
	switch r.Kind {
	case Tracks:
		ok = json.Unmarshal([]byte(r.Text), &list) == nil
	case Snapshot:
		var s vrrp.Snapshot
		ok = json.Unmarshal([]byte(r.Text), &s) == nil
		list = s.Tracks
	}
	return list, ok
}
