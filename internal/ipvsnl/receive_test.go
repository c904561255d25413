package ipvsnl

import (
	"encoding/binary"
	"errors"
	"syscall"
	"testing"

	"github.com/mdlayher/netlink"
)

// datagram builds messages of a list as the kernel does.
func datagram(t testing.TB, messages ...netlink.Message) []byte {
	t.Helper()
	var b []byte
	for _, m := range messages {
		m.Header.Length = uint32((headerLength + len(m.Data) + 3) &^ 3)
		encoded, err := m.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, encoded...)
	}
	return b
}

func entry(data ...byte) netlink.Message {
	return netlink.Message{Header: netlink.Header{Type: 0x20, Flags: netlink.Multi, Sequence: 7}, Data: data}
}

func end(flags netlink.HeaderFlags, errno int32) netlink.Message {
	return netlink.Message{
		Header: netlink.Header{Type: netlink.Done, Flags: netlink.Multi | flags, Sequence: 7},
		Data:   binary.NativeEndian.AppendUint32(nil, uint32(-errno)),
	}
}

func TestEachMessage(t *testing.T) {
	for _, tt := range []struct {
		name     string
		datagram []byte
		entries  int
		done     bool
		err      error
	}{
		{"nothing", nil, 0, false, nil},
		{"entries", datagram(t, entry(1, 2, 3, 4), entry()), 2, false, nil},
		{"end in the same datagram", datagram(t, entry(1, 2, 3, 4), end(0, 0)), 1, true, nil},
		{"refused", datagram(t, end(0, 1)), 0, true, syscall.EPERM},
		{"interrupted at the end", datagram(t, end(netlink.DumpInterrupted, 0)), 0, true, ErrDumpInterrupted},
		{"cut off", datagram(t, entry(1, 2, 3, 4))[:18], 0, false, errMessage},
		{"rest", append(datagram(t, entry()), 1, 2), 1, false, errMessage},
		{"length of nothing", make([]byte, 16), 0, false, errMessage},
	} {
		entries := 0
		done, err := eachMessage(tt.datagram, answersTo(7, netlink.Dump, func(h netlink.Header, _ []byte) error {
			entries++
			if h.Sequence != 7 || h.Type != 0x20 {
				t.Errorf("%s: got header %+v", tt.name, h)
			}
			return nil
		}))
		if entries != tt.entries || done != tt.done || !errors.Is(err, tt.err) {
			t.Errorf("%s: got %d entries, %v, %v, want %d, %v, %v", tt.name, entries, done, err, tt.entries, tt.done, tt.err)
		}
	}
	if _, err := eachMessage(datagram(t, end(0, 1)), answersTo(7, netlink.Dump, nil)); !answered(err) {
		t.Errorf("%v is not the kernel's answer", err)
	}
	stop := errors.New("stop")
	if _, err := eachMessage(datagram(t, entry(), entry()), func(netlink.Header, []byte) (bool, error) { return false, stop }); !errors.Is(err, stop) {
		t.Errorf("got error %v, want %v", err, stop)
	}
}

func FuzzEachMessage(f *testing.F) {
	f.Add(datagram(f, entry(1, 2, 3, 4), entry(), end(0, 2)))
	f.Add(datagram(f, entry(1))[:17])
	f.Fuzz(func(t *testing.T, b []byte) {
		total := 0
		_, _ = eachMessage(b, func(h netlink.Header, data []byte) (bool, error) {
			total += headerLength + len(data)
			_ = status(h, data) // must not panic
			return false, nil
		})
		if total > len(b) {
			t.Errorf("%d bytes of messages in %d", total, len(b))
		}
	})
}
