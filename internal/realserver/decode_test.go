package realserver

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const procTCP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12 1 0 100 0 0 10 0
   1: 6E3B63CA:0050 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 13 1 0 100 0 0 10 0
   2: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A 0 0 0 0
   3: 000000FD000000000000000009000000:0050 00000000000000000000000000000000:0000 0A 0 0 0 0
`

func TestReadSockets(t *testing.T) {
	got, err := readSockets(strings.NewReader(procTCP), "tcp", tcpListen)
	if err != nil {
		t.Fatal(err)
	}
	want := []Listener{
		{"tcp", netip.MustParseAddrPort("127.0.0.1:22")}, {"tcp", netip.MustParseAddrPort("[::]:443")}, {"tcp", netip.MustParseAddrPort("[fd00::9]:80")},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzReadSockets(f *testing.F) {
	f.Add(procTCP)
	f.Add("x\n 0: 00:0 0:0 0A")
	f.Fuzz(func(t *testing.T, table string) {
		got, err := readSockets(strings.NewReader(table), "tcp", tcpListen)
		for _, l := range got {
			if err == nil && !l.Address.Addr().IsValid() {
				t.Errorf("%q gave %v", table, l)
			}
		}
	})
}

func FuzzDecodeFOU(f *testing.F) {
	f.Add([]byte{6, 0, 1, 0, 0x17, 0xc0, 0, 0, 5, 0, 2, 0, 10, 0, 0, 0, 5, 0, 4, 0, 2, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _, _ = decodeFOU(data)
	})
}

func TestDecodeFOU(t *testing.T) {
	port, kind, err := decodeFOU([]byte{6, 0, 1, 0, 0x17, 0xc0, 0, 0, 5, 0, 2, 0, 10, 0, 0, 0, 5, 0, 4, 0, 2, 0, 0, 0})
	if err != nil || port != (FOU{IPv6: true, Port: 6080}) || kind != encapGUE {
		t.Errorf("%+v, %d, %v", port, kind, err)
	}
}
