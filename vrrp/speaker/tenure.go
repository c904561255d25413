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

// A speaker that is killed leaves its addresses on the interfaces, and the next one may continue as master of them, but only
// until a peer may have taken over. That time depends on when the last advert was sent. The speaker therefore records it,
// with each advert, in memory that the parent keeps.

// tenureRecord is the entry of a router. Each speaker writes all fields before until.
type tenureRecord struct {
	until  int64 // boot time in nanoseconds before which no peer takes over; 0 if not master
	device [unix.IFNAMSIZ]byte
	family uint8
	id     uint8
	_      [6]byte
}

// tenureRecords is the maximum number of routers that can be adopted, more than any director has. Unused pages are not
// allocated.
const tenureRecords = 1 << 16

// Layout of the memory that speakers share: the records, the series of transitions, and at slotsOffset the wanted state.
const (
	tenureBytes = tenureRecords * int(unsafe.Sizeof(tenureRecord{}))
	sharedBytes = tenureBytes + int(unsafe.Sizeof(series{}))
)

// TenuresName is the memory's name in the kernel, by which the next parent finds it in a process of a parent that was
// killed.
const TenuresName = "lvs-ha-tenures"

// NewTenures creates the memory that speakers share. The parent keeps it as long as it starts speakers.
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

// tenures records until when the next speaker may adopt each router.
type tenures struct {
	records []tenureRecord
	free    []*tenureRecord // below next
	next    int
	now     func() int64 // boot time: it advances while the machine is suspended and cannot be set
	series  *series
}

// mapTenures maps the memory that the parent keeps. Without a file, it allocates private memory.
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

// take returns the tenures of the previous speaker and clears them.
func (t *tenures) take() map[routerKey]int64 {
	left := t.left()
	for i := range t.records {
		r := &t.records[i]
		if r.id == 0 {
			break // records are allocated in order
		}
		*r = tenureRecord{}
	}
	return left
}

// left returns the tenures that have not ended.
func (t *tenures) left() map[routerKey]int64 {
	left := map[routerKey]int64{}
	for i := range t.records {
		r := &t.records[i]
		if r.id == 0 {
			break
		}
		if until := atomic.LoadInt64(&r.until); until > t.now() {
			device, _, _ := bytes.Cut(r.device[:], []byte{0})
			left[routerKey{string(device), vrrp.Family(r.family), r.id}] = until
		}
	}
	return left
}

// begin allocates a router's record. It returns nil if there are too many routers.
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

// end frees a record.
func (t *tenures) end(r *tenureRecord) {
	if r != nil {
		t.over(r)
		t.free = append(t.free, r)
	}
}

// extend records that a master has sent an advert, after which its peers do not take over for the duration keeps.
func (t *tenures) extend(r *tenureRecord, keeps time.Duration) {
	if r != nil {
		atomic.StoreInt64(&r.until, t.now()+int64(keeps))
	}
}

// over records that a router is no longer master, or is leaving.
func (t *tenures) over(r *tenureRecord) {
	if r != nil {
		atomic.StoreInt64(&r.until, 0)
	}
}

// keeps returns the time after an advert during which no peer of an instance takes over.
func keeps(in *vrrp.Instance) time.Duration {
	return vrrp.MasterDownInterval(in.Version, vrrp.PriorityOwner, in.AdvertiseInterval)
}
