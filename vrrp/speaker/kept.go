package speaker

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// The memory that the parent keeps also holds the last wanted state, in two slots that are written alternately: if a writer
// is killed, the previous state remains. Unused pages are not allocated.
const (
	slotsOffset = 16 << 20 // limit of the other contents
	slotBytes   = 64 << 20 // 1,000 instances take 1 MB
	slotHeader  = 20       // bytes: sequence, length of the content, checksum
)

// wantedFormat precedes the content. Another version of lvs-ha reads it if the number is the same and it knows all fields that
// are set: the zero value of a new field must mean what a version without the field does. Increase the number if the meaning of
// a field changes.
const wantedFormat = "1\n"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// keptWanted keeps the last wanted state for the next speaker, so that it can continue without a director. Without a file
// it keeps nothing.
type keptWanted struct {
	log      *slog.Logger
	file     *os.File
	sequence uint64 // of the last slot written

	wake   wakeup
	latest atomic.Pointer[vrrp.Wanted]
}

func newKeptWanted(log *slog.Logger, f *os.File) *keptWanted {
	return &keptWanted{log: log, file: f, wake: newWakeup()}
}

// keep schedules the replacement of the kept state; nil clears it. The state must not change afterwards.
func (k *keptWanted) keep(w *vrrp.Wanted) {
	k.latest.Store(w)
	k.wake.notify()
}

// run writes states until ctx ends.
func (k *keptWanted) run(ctx context.Context) {
	for running := true; running; {
		select {
		case <-k.wake:
		case <-ctx.Done():
			select {
			case <-k.wake:
				running = false
			default:
				return
			}
		}
		if err := k.write(k.latest.Load()); err != nil {
			k.log.Warn("cannot save the instances for the next speaker; if this one is killed, the next waits for the director", "error", err)
		}
	}
}

// write replaces the kept state. After an error, no state is kept.
func (k *keptWanted) write(w *vrrp.Wanted) error {
	if k.file == nil {
		return nil
	}
	if w != nil {
		err := k.writeSlot(w)
		if err == nil {
			return nil
		}
		_ = k.write(nil)
		return err
	}
	if err := k.file.Truncate(slotsOffset); err != nil {
		return fmt.Errorf("erase the wanted state: %w", err)
	}
	return nil
}

func (k *keptWanted) writeSlot(w *vrrp.Wanted) error {
	text, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("encode the wanted state: %w", err)
	}
	return k.writeContent(append([]byte(wantedFormat), text...))
}

func (k *keptWanted) writeContent(content []byte) error {
	if most := slotBytes - slotHeader; len(content) > most {
		return fmt.Errorf("the wanted state has %d bytes, the limit is %d", len(content), most)
	}
	k.sequence++
	at := slotOffset(k.sequence)
	if _, err := k.file.WriteAt(content, at+slotHeader); err != nil {
		return fmt.Errorf("write the wanted state: %w", err)
	}
	if _, err := k.file.WriteAt(headerOf(k.sequence, content), at); err != nil {
		return fmt.Errorf("write the wanted state: %w", err)
	}
	return nil
}

func slotOffset(sequence uint64) int64 { return slotsOffset + int64(sequence%2)*slotBytes }

func headerOf(sequence uint64, content []byte) []byte {
	h := binary.LittleEndian.AppendUint64(make([]byte, 0, slotHeader), sequence)
	h = binary.LittleEndian.AppendUint64(h, uint64(len(content)))
	return binary.LittleEndian.AppendUint32(h, crc32.Update(crc32.Checksum(h, castagnoli), castagnoli, content))
}

// read returns the state kept by the previous speaker, or nil if none is complete and known to this version.
func (k *keptWanted) read() *vrrp.Wanted {
	if k.file == nil {
		return nil
	}
	var latest string
	for slot := range uint64(2) {
		if sequence, content := k.readSlot(slotOffset(slot)); sequence > k.sequence {
			k.sequence, latest = sequence, content
		}
	}
	text, known := strings.CutPrefix(latest, wantedFormat)
	if !known {
		return nil
	}
	var w vrrp.Wanted
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&w); err != nil {
		return nil
	}
	return &w
}

// ErrUnknownState means that this version cannot continue as master of the instances of the running one.
var ErrUnknownState = errors.New("it cannot continue the virtual routers of the running version, which is their master: fail over first " +
	"with `lvs-ha failover`, or restart lvs-ha")

// CanSucceed reports whether a speaker of this version can replace the running one without a failover. f is from NewTenures.
func CanSucceed(f *os.File) error {
	t, err := mapTenures(f)
	if err != nil {
		return err
	}
	if len(t.left()) > 0 && newKeptWanted(nil, f).read() == nil {
		return ErrUnknownState
	}
	return nil
}

// readSlot returns the content of a slot. The sequence is 0 if the slot is not complete.
func (k *keptWanted) readSlot(at int64) (sequence uint64, content string) {
	var header [slotHeader]byte
	if _, err := k.file.ReadAt(header[:], at); err != nil {
		return 0, ""
	}
	sequence = binary.LittleEndian.Uint64(header[:])
	length := binary.LittleEndian.Uint64(header[8:])
	if length > slotBytes-slotHeader {
		return 0, ""
	}
	raw := make([]byte, length)
	if _, err := k.file.ReadAt(raw, at+slotHeader); err != nil || string(headerOf(sequence, raw)) != string(header[:]) {
		return 0, ""
	}
	return sequence, string(raw)
}
