package flight

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Layout of the file: a page with the header, and slots of equal size, one for each virtual router, so that one with many
// events does not displace the history of another. A slot is a header and a ring of records. The first parts of all slots are
// next to each other, and then the other parts: most routers have few events and need only the first. Unused pages are not
// allocated.
const (
	fileMagic = "lvs-ha recording\n"
	version   = 2

	pageSize  = 4096
	slotSize  = 16 << 10
	firstPart = 2 << 10
	otherPart = slotSize - firstPart
	slots     = 4096 // more than any director has
	fileSize  = pageSize + slots*slotSize
	slotHead  = 512 // the rest of a slot is its ring
	ringSize  = slotSize - slotHead
	ringFirst = firstPart - slotHead // in the first part
	openRuns  = 4
	nameBytes = 16
)

// parts returns the parts of a slot, in memory for a number of slots.
func parts(all []byte, number, slot int) (first, other []byte) {
	first, other = all[slot*firstPart:], all[number*firstPart+slot*otherPart:]
	return first[:firstPart:firstPart], other[:otherPart:otherPart]
}

// fileHead is the first page.
type fileHead struct {
	magic   [len(fileMagic)]byte
	version uint32
	slot    uint32 // size
	used    uint32 // slots that were ever used
	number  uint32 // of slots; in what Read returns, only those
	offset  int64  // wall clock minus boot time, of the last record
	saved   int64  // in what Read returns, when it was read from the recording itself: nanoseconds since 1970
}

// slotHeader begins a slot.
type slotHeader struct {
	device   [nameBytes]byte
	family   uint8
	id       uint8
	_        [2]byte
	next     uint32 // offset in the ring
	sequence uint64 // of the last record
	runs     [openRuns]run
}

var (
	_ [slotHead - int(unsafe.Sizeof(slotHeader{}))]byte
	_ [pageSize - int(unsafe.Sizeof(fileHead{}))]byte
)

// FileName is the name of the recording in the runtime directory.
const FileName = "recording"

// MemoryName is the kernel's name of a recording in memory.
const MemoryName = "lvs-ha-recording"

// Create opens the recording in a directory, or creates it. If the directory is on a disk, where a write to mapped memory may
// have to wait, the recording is in memory that lasts as long as a process has it open; inherited returns that of a former
// process, or nil.
func Create(dir string, inherited func(name string) *os.File) (*os.File, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return nil, fmt.Errorf("create the recording: %w", err)
	}
	if fs.Type != unix.TMPFS_MAGIC && fs.Type != unix.RAMFS_MAGIC {
		return inMemory(inherited)
	}
	path := filepath.Join(dir, FileName)
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create the recording: %w", &os.PathError{Op: "open", Path: path, Err: err})
	}
	f := os.NewFile(uintptr(fd), path)
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, errors.Join(err, fmt.Errorf("create the recording: %s is not a regular file; remove it", path))
	}
	return f, nil
}

func inMemory(inherited func(name string) *os.File) (*os.File, error) {
	if f := inherited(MemoryName); f != nil {
		return f, nil
	}
	fd, err := unix.MemfdCreate(MemoryName, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create memory for the recording: %w", err)
	}
	return os.NewFile(uintptr(fd), MemoryName), nil
}

// Read returns the contents of a recording that is being written, without the slots that were never used.
func Read(f io.ReaderAt) ([]byte, error) {
	head := make([]byte, pageSize)
	if _, err := f.ReadAt(head, 0); err != nil {
		return nil, fmt.Errorf("read the recording: %w", err)
	}
	h := (*fileHead)(unsafe.Pointer(&head[0]))
	if !h.valid() {
		return nil, errInvalid
	}
	used := int(min(h.used, h.number))
	all := append(head, make([]byte, used*slotSize)...)
	begin := pageSize + used*firstPart // of the other parts
	_, err := f.ReadAt(all[pageSize:begin], pageSize)
	_, failed := f.ReadAt(all[begin:], pageSize+int64(h.number)*firstPart)
	if err := errors.Join(err, failed); err != nil {
		return nil, fmt.Errorf("read the recording: %w", err)
	}
	h = (*fileHead)(unsafe.Pointer(&all[0]))
	h.number = uint32(used)
	if h.saved == 0 {
		h.saved = time.Now().UnixNano()
	}
	return all, nil
}

// SavedAt returns until when the contents of a file can have records: when Read returned it first. It is zero for a file of an
// earlier version.
func SavedAt(all []byte) time.Time {
	if len(all) < pageSize {
		return time.Time{}
	}
	head := bytes.Clone(all[:pageSize]) // aligned
	h := (*fileHead)(unsafe.Pointer(&head[0]))
	if !h.valid() || h.saved == 0 {
		return time.Time{}
	}
	return time.Unix(0, h.saved)
}

var errInvalid = errors.New("this is not a recording of this version of lvs-ha")

func (h *fileHead) valid() bool {
	return string(h.magic[:]) == fileMagic && h.version == version && h.slot == slotSize && h.number <= slots
}
