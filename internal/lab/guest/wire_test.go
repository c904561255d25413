package guest

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestFrames(t *testing.T) {
	var wire bytes.Buffer
	w := NewWriter(&wire)
	big := bytes.Repeat([]byte("x"), 150_000)
	if err := w.WriteJSON(FrameCommand, Command{Argv: []string{"true"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Stream(FrameStdout).Write(big); err != nil {
		t.Fatal(err)
	}
	if err := w.Write(FrameStdin, nil); err != nil {
		t.Fatal(err)
	}
	var types []FrameType
	var streamed []byte
	for {
		f, err := ReadFrame(&wire)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		types = append(types, f.Type)
		if f.Type == FrameStdout {
			streamed = append(streamed, f.Payload...)
		}
	}
	want := []FrameType{FrameCommand, FrameStdout, FrameStdout, FrameStdout, FrameStdin}
	if diff := cmp.Diff(want, types); diff != "" {
		t.Errorf("types of frames (-want +got):\n%s", diff)
	}
	if !bytes.Equal(streamed, big) {
		t.Errorf("streamed %d other bytes, want %d", len(streamed), len(big))
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte{byte(FrameStdin), 0, 0, 0, 0})
	f.Add([]byte{byte(FrameSignal), 0, 0, 0, 1, 15})
	f.Add([]byte{byte(FrameStdout), 0, 0, 0, 9, 'c', 'u', 't'})
	f.Add([]byte{byte(FrameStdout), 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := ReadFrame(bytes.NewReader(data))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := NewWriter(&again).Write(frame.Type, frame.Payload); err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(data, again.Bytes()) {
			t.Errorf("%x was read as %x", data, again.Bytes())
		}
	})
}

func TestSpecFile(t *testing.T) {
	want := &Spec{
		Hostname: "lb1",
		Modules:  []string{"ip_vs"},
		Sysctls:  map[string]string{"net.ipv4.ip_forward": "1"},
		NICs:     []NIC{{Device: "vec0", Name: "eth0", Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}}},
		Routes:   []Route{{Via: netip.MustParseAddr("10.0.0.254")}},
		Management: Management{
			Device: "vec1", Address: netip.MustParsePrefix("169.254.1.2/30"),
			Listen: netip.MustParseAddrPort("169.254.1.2:1"), Ready: netip.MustParseAddrPort("169.254.1.1:40000"),
		},
	}
	path := filepath.Join(t.TempDir(), "spec.json")
	if err := want.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	got, err := ReadSpec(path)
	if err != nil {
		t.Fatal(err)
	}
	opts := cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}, netip.AddrPort{})
	if diff := cmp.Diff(want, got, opts); diff != "" {
		t.Errorf("specification (-want +got):\n%s", diff)
	}
	if _, err := ReadSpec(path + ".missing"); err == nil {
		t.Error("a missing file gives no error")
	}
}
