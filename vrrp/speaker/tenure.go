package speaker

import (
	"bytes"
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// A speaker that is killed leaves its addresses on the interfaces, and the next one may go on as master of them: but only
// until a peer has waited long enough to take over. That time counts from the last advert that was sent, which the dead
// process knew. So it notes it, with each advert, in memory that the parent keeps.

// tenureRecord is the entry of a router. Each speaker writes all fields before until.
type tenureRecord struct {
	until  int64 // boot time in nanoseconds until which no peer has taken over; 0: not master
	device [unix.IFNAMSIZ]byte
	family uint8
	id     uint8
	_      [6]byte
}

// tenureRecords is more than any director has routers; those beyond are not adopted. Only memory that is used exists.
const tenureRecords = 1 << 16

// The memory that speakers share: the records, then the series of transitions, and at slotsOffset the wanted state.
const (
	tenureBytes = tenureRecords * int(unsafe.Sizeof(tenureRecord{}))
	sharedBytes = tenureBytes + int(unsafe.Sizeof(series{}))
)

// TenuresName is what the kernel calls it: the next parent finds it by that in a process of a parent that died.
const TenuresName = "lvs-ha-tenures"

// NewTenures makes the memory that speakers share. The parent keeps it for as long as it starts speakers.
func NewTenures() (*os.File, error) {
	fd, err := unix.MemfdCreate(TenuresName, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create memory for speakers: %w", err)
	}
	f := os.NewFile(uintptr(fd), "tenures")
	if err := f.Truncate(int64(sharedBytes)); err != nil {
		f.Close()
		return nil, fmt.Errorf("size memory for speakers: %w", err)
	}
	return f, nil
}

// tenures are how long each router may be adopted by the next speaker.
type tenures struct {
	records []tenureRecord
	free    []*tenureRecord // below next
	next    int
	now     func() int64 // boot time: it goes on while the machine sleeps, and nobody sets it
	series  *series
}

// mapTenures opens the memory that the parent keeps. Without a file the process has some of its own.
func mapTenures(f *os.File) (*tenures, error) {
	t := &tenures{now: bootTime, series: &series{}}
	if f == nil {
		return t, nil
	}
	info, err := f.Stat()
	if err == nil && info.Size() < int64(sharedBytes) {
		err = f.Truncate(int64(sharedBytes)) // an older version's parent created it
	}
	if err != nil {
		return nil, fmt.Errorf("size memory for speakers: %w", err)
	}
	b, err := unix.Mmap(int(f.Fd()), 0, sharedBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the memory shared by speakers: %w", err)
	}
	t.records = unsafe.Slice((*tenureRecord)(unsafe.Pointer(&b[0])), tenureRecords)
	t.series = (*series)(unsafe.Pointer(&b[tenureBytes]))
	return t, nil
}

// take returns what the former speaker left and clears it.
func (t *tenures) take() map[routerKey]int64 {
	left := map[routerKey]int64{}
	for i := range t.records {
		r := &t.records[i]
		if r.id == 0 {
			break // records are used from the first on
		}
		if until := atomic.LoadInt64(&r.until); until > t.now() {
			device, _, _ := bytes.Cut(r.device[:], []byte{0})
			left[routerKey{string(device), vrrp.Family(r.family), r.id}] = until
		}
		*r = tenureRecord{}
	}
	return left
}

// begin gives a router a record, or none if there are too many routers.
func (t *tenures) begin(key routerKey) *tenureRecord {
	var r *tenureRecord
	switch {
	case len(t.free) > 0:
		r = t.free[len(t.free)-1]
		t.free = t.free[:len(t.free)-1]
	case t.next == len(t.records):
		return nil
	default:
		r = &t.records[t.next]
		t.next++
	}
	r.family, r.id, r.device = uint8(key.Family), key.VirtualRouterID, [unix.IFNAMSIZ]byte{}
	copy(r.device[:], key.Interface)
	return r
}

// end takes a record back.
func (t *tenures) end(r *tenureRecord) {
	if r != nil {
		t.over(r)
		t.free = append(t.free, r)
	}
}

// extend notes that a master has sent an advert, which keeps its peers from taking over for a while.
func (t *tenures) extend(r *tenureRecord, keeps time.Duration) {
	if r != nil {
		atomic.StoreInt64(&r.until, t.now()+int64(keeps))
	}
}

// over notes that a router is no longer master, or leaves.
func (t *tenures) over(r *tenureRecord) {
	if r != nil {
		atomic.StoreInt64(&r.until, 0)
	}
}

// keeps is for how long an advert keeps the impatient of an instance's peers from taking over.
func keeps(in *vrrp.Instance) time.Duration {
	return vrrp.MasterDownInterval(in.Version, vrrp.PriorityOwner, in.AdvertiseInterval)
}
