package ipvs

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

const connectionTable = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n" +
	"TCP 0A000009 9C41 C0000201 0050 0A000001 1F90 ESTABLISHED     899\n" +
	"IP  01020304 0000 00000007 0000 7F000001 0000 NONE             69\n" +
	"UDP 01020304 0000 01020304 13C4 7F000001 13C5 NONE             59 sip 12345abc@host\n" +
	"TCP fd00:0000:0000:0000:0000:0000:0000:0001 9C43 fd00:0000:0000:0000:0000:0000:0000:0100 0050 fd00:0000:0000:0000:0000:0000:0000:0003 1F90 SYN_RECV          9\n"

func TestReadConnections(t *testing.T) {
	end := netip.MustParseAddrPort
	want := []Connection{
		{Protocol: "TCP", Client: end("10.0.0.9:40001"), Virtual: end("192.0.2.1:80"), Destination: end("10.0.0.1:8080"), State: "ESTABLISHED", Expires: 899 * time.Second},
		{Protocol: "IP", Client: end("1.2.3.4:0"), Virtual: end("0.0.0.7:0"), Destination: end("127.0.0.1:0"), State: "NONE", Expires: 69 * time.Second},
		{Protocol: "UDP", Client: end("1.2.3.4:0"), Virtual: end("1.2.3.4:5060"), Destination: end("127.0.0.1:5061"), State: "NONE", Expires: 59 * time.Second, Engine: "sip", EngineData: "12345abc@host"},
		{Protocol: "TCP", Client: end("[fd00::1]:40003"), Virtual: end("[fd00::100]:80"), Destination: end("[fd00::3]:8080"), State: "SYN_RECV", Expires: 9 * time.Second},
	}
	i := 0
	err := ReadConnections(strings.NewReader(connectionTable), func(c Connection) error {
		if i >= len(want) || c != want[i] {
			t.Errorf("entry %d: got %+v", i, c)
		}
		i++
		return nil
	})
	if err != nil || i != len(want) {
		t.Errorf("got %d entries, %v, want %d", i, err, len(want))
	}
	stop := errors.New("stop")
	if err := ReadConnections(strings.NewReader(connectionTable), func(Connection) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got error %v, want %v", err, stop)
	}
	for _, line := range []string{
		"TCP 0A000009 9C41 C0000201 0050 0A000001 1F90 ESTABLISHED",
		"TCP 0A0000 9C41 C0000201 0050 0A000001 1F90 ESTABLISHED 1",
		"TCP 0A000009 X C0000201 0050 0A000001 1F90 ESTABLISHED 1",
		"TCP 0A000009 9C41 fd00::g 0050 0A000001 1F90 ESTABLISHED 1",
		"TCP 0A000009 9C41 C0000201 0050 0A000001 1F90 ESTABLISHED soon",
	} {
		if err := ReadConnections(strings.NewReader("header\n"+line), func(Connection) error { return nil }); err == nil {
			t.Errorf("%q is read", line)
		}
	}
}

func FuzzReadConnections(f *testing.F) {
	f.Add(connectionTable)
	f.Fuzz(func(t *testing.T, table string) {
		_ = ReadConnections(strings.NewReader(table), func(c Connection) error {
			if c.Expires < 0 || !c.Client.Addr().IsValid() || !c.Virtual.Addr().IsValid() || !c.Destination.Addr().IsValid() {
				t.Errorf("%+v", c)
			}
			return nil
		})
	})
}
