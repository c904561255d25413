package ipvsadm

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

func TestScanner(t *testing.T) {
	type option struct{ id, value string }
	for _, tt := range []struct {
		args    []string
		want    []option
		rest    []string
		problem string
	}{
		{[]string{"-A", "-t", "a:1"}, []option{{"A", ""}, {"t", "a:1"}}, nil, ""},
		{[]string{"-Ata:1", "-sx=y", "-s=z"}, []option{{"A", ""}, {"t", "a:1"}, {"s", "x=y"}, {"s", "z"}}, nil, ""},
		{[]string{"--scheduler=rr", "--scheduler", "=rr"}, []option{{"s", "rr"}, {"s", "=rr"}}, nil, ""},
		{[]string{"-p", "5", "-p", "-n", "-p"}, []option{{"p", "5"}, {"p", ""}, {"n", ""}, {"p", ""}}, nil, ""},
		{[]string{"-w", "-1", "-t", "--"}, []option{{"w", "-1"}, {"t", "--"}}, nil, ""},
		{[]string{"x", "-n", "-", "--", "-L", "y"}, []option{{"n", ""}}, []string{"x", "-", "-L", "y"}, ""},
		{[]string{"-nQ"}, []option{{"n", ""}}, nil, "-nQ: unknown option"},
		{[]string{"--num"}, nil, nil, "--num: unknown option"},
		{[]string{"---n"}, nil, nil, "---n: unknown option"},
		{[]string{"-n="}, nil, nil, "-n=: option does not take an argument"},
		{[]string{"--numeric=1"}, nil, nil, "--numeric=1: option does not take an argument"},
		{[]string{"-ns"}, []option{{"n", ""}}, nil, "-ns: missing argument"},
		{[]string{"--scheduler"}, nil, nil, "--scheduler: missing argument"},
	} {
		s := &scanner{args: tt.args}
		var got []option
		problem := ""
		for {
			o, p, ok := s.next()
			if p != "" {
				problem = s.word + ": " + p
			}
			if !ok {
				break
			}
			got = append(got, option{o.id, o.value})
		}
		if !slices.Equal(got, tt.want) || !slices.Equal(s.rest, tt.rest) || problem != tt.problem {
			t.Errorf("%q: got %v, rest %q, problem %q", tt.args, got, s.rest, problem)
		}
	}
}

func TestParseEndpoint(t *testing.T) {
	for text, want := range map[string]string{
		"1.2.3.4:80": "1.2.3.4:80", "1.2.3.4": "1.2.3.4:0", "10.1:80": "10.0.0.1:80", "0x0a000001:80": "10.0.0.1:80",
		"010.0.0.1:080": "8.0.0.1:80", "1.2.3.4 x: +80": "1.2.3.4:80", "1.2.3.4 x:80:90": "1.2.3.4:90", "1.2.65535:1": "1.2.255.255:1", "5:1": "0.0.0.5:1",
		"vip:http": "192.0.2.1:80", "vip": "192.0.2.1:0", "[fd00::1]:80": "[fd00::1]:80", "fd00::1": "[fd00::1]:0",
		"::1:80": "[::1:80]:0", "[1.2.3.4]:80": "1.2.3.4:0", "[vip]:nosuch": "192.0.2.1:0", "[::ffff:1.2.3.4]:80": "[::ffff:1.2.3.4]:80",
	} {
		e, ok := parseEndpoint(text, ipvs.TCP, fakeNames{})
		if got := netip.AddrPortFrom(e.address, e.port).String(); !ok || got != want {
			t.Errorf("%q: got %s, %v, want %s", text, got, ok, want)
		}
	}
	for _, text := range []string{
		"", ":80", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:-1", "1.2.3.4:tftp", "1.2.3.4:80:80", "1.2.3.256", "1.2.65536:1", "09.1.1.1:80",
		"1.2.3.4.5:80", "0x:80", " 1.2.3.4:80", "100", "nosuch:80", "[fd00::1]", "[fd00::1]:", "[fd00::1]x", "[fd00::1%lo]:80", "[]:80", "[fd00::1",
	} {
		if e, ok := parseEndpoint(text, ipvs.TCP, fakeNames{}); ok {
			t.Errorf("%q: got %v, want nothing", text, e)
		}
	}
}

func TestNumbers(t *testing.T) {
	for text, want := range map[string]int64{"64": 64, " 64x": 64, "-1": -1, "+5": 5, "x": 0, "": 0, "6.4": 6} {
		if got := parseLeadingNumber(text); got != want {
			t.Errorf("leading number of %q: got %d, want %d", text, got, want)
		}
	}
	for _, text := range []string{"", " ", "x", "5x", "5 ", "0x5", "256", "-1", "99999999999999999999"} {
		if n, ok := parseNumber(text, 0, 255); ok {
			t.Errorf("%q: got %d, want nothing", text, n)
		}
	}
	for text, want := range map[string]int64{"0": 0, " 5": 5, "+6": 6, "07": 7, "255": 255} {
		if n, ok := parseNumber(text, 0, 255); !ok || n != want {
			t.Errorf("%q: got %d, %v, want %d", text, n, ok, want)
		}
	}
}

// TestMergeSort checks that the order is the usual one if the comparison is transitive.
func TestMergeSort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOf(rapid.Int32Range(0, 50)).Draw(t, "list")
		got := slices.Clone(list)
		sortLikeC(got, func(a, b int32) int { return int(a) - int(b) })
		slices.Sort(list)
		if !slices.Equal(got, list) {
			t.Errorf("got %v, want %v", got, list)
		}
	})
}

func TestScaled(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "        0", 99999999: " 99999999", 100000000: "  100000K", 999999999: "  999999K", 1000000000: "    1000M",
		99999999999: "   99999M", 100000000000: "     100G", 99999999999999: "   99999G", 100000000000000: "     100T",
		18446744073709551615: "18446744T",
	} {
		if got := string(scaled(nil, n)); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
	if got := string(exactly(nil, 1234567890)); got != " 1234567890" {
		t.Errorf("got %q", got)
	}
}

func TestAppendAddress(t *testing.T) {
	for _, text := range []string{"10.0.0.1", "::", "::1", "::ffff", "::0.1.0.0", "::1.2.3.4", "::ffff:1.2.3.4", "fd00::1", "1:0:0:2::"} {
		if got := string(appendAddress(nil, netip.MustParseAddr(text))); got != text {
			t.Errorf("got %s, want %s", got, text)
		}
	}
}

func TestCounters(t *testing.T) {
	f := newFake(ipvs.ServiceState{
		Service: ipvs.Service{ServiceKey: ipvs.ServiceByMark(ipvs.IPv4, 5), Scheduler: "rr"},
		Stats: ipvs.Stats{
			Connections: 1, InPackets: 2, OutPackets: 3, InBytes: 400000000, OutBytes: 5,
			ConnectionRate: 6, InPacketRate: 700000000, OutPacketRate: 8, InByteRate: 900000000, OutByteRate: 10,
		},
	})
	for args, want := range map[string]string{
		"-L --stats":         "FWM  5                                   1        2        3  400000K        5\n",
		"-L --stats --exact": "FWM  5                                   1        2        3 400000000        5\n",
		"-L --rate":          "FWM  5                                   6 700000000        8  900000K       10\n",
	} {
		if got := f.run(t, "", strings.Fields(args)...); !strings.HasSuffix(got.Stdout, want) {
			t.Errorf("ipvsadm %s: got\n%s\nwant last\n%s", args, got.Stdout, want)
		}
	}
}

func TestConnections(t *testing.T) {
	f := newFake()
	f.connections = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n" +
		"TCP 0A000009 9C41 C0000201 0050 0A000001 1F90 ESTABLISHED     899\n" +
		"IP  01020304 0000 00000007 0000 7F000001 0000 NONE             69\n" +
		"UDP 01020304 0000 01020304 0045 7F000001 13C5 NONE           6059 sip 12345abc@host\n" +
		"TCP fd00:0000:0000:0000:0000:0000:0000:0001 9C43 fd00:0000:0000:0000:0000:0000:0000:0100 0050 fd00:0000:0000:0000:0000:0000:0000:0003 1F90 SYN_RECV          9\n"
	want := "IPVS connection entries\npro expire state       source             virtual            destination        pe name          pe_data\n" +
		"TCP 14:59  ESTABLISHED 10.0.0.9:40001     vip:http           web1:8080\n" +
		"IP  01:09  NONE        1.2.3.4:0          0.0.0.7:0          127.0.0.1:0\n" +
		"UDP 100:59 NONE        1.2.3.4:0          1.2.3.4:tftp       127.0.0.1:5061   sip                12345abc@host\n" +
		"TCP 00:09  SYN_RECV    [six1]:40003       [fd00::100]:http   [fd00::3]:8080\n"
	if got := f.run(t, "", "-L", "-c", "--persistent-conn"); got.Stdout != want || got.Status != 0 {
		t.Errorf("got:\n%s%s\nwant:\n%s", got.Stdout, got.Stderr, want)
	}
	f.connections += "garbage\n"
	if got := f.run(t, "", "-L", "-c"); got.Status != 255 || !strings.Contains(got.Stderr, `line "garbage"`) {
		t.Errorf("garbage: got %+v", got)
	}
}

func TestSystemNames(t *testing.T) {
	s := &systemNames{ports: map[string]uint16{}, services: map[string]string{}}
	s.read(strings.NewReader("# comment\nhttp\t\t80/tcp\t\twww # WorldWideWeb\nhttp 80/udp\nkerberos 88/tcp krb5\nother 80/tcp\nbad\nbad x/tcp\nbig 70000/tcp\nwww 81/tcp\n"))
	for _, tt := range []struct {
		name string
		p    ipvs.Protocol
		want uint16
		ok   bool
	}{{"http", ipvs.TCP, 80, true}, {"www", ipvs.TCP, 80, true}, {"www", ipvs.UDP, 0, false}, {"HTTP", ipvs.TCP, 0, false}, {"big", ipvs.TCP, 0, false}, {"http", 0, 0, false}} {
		if got, ok := s.Port(tt.name, tt.p); got != tt.want || ok != tt.ok {
			t.Errorf("%s of %s: got %d, %v, want %d, %v", tt.name, tt.p, got, ok, tt.want, tt.ok)
		}
	}
	for port, want := range map[uint16]string{80: "http", 88: "kerberos", 81: "www", 82: ""} {
		if got := s.Service(port, ipvs.TCP); got != want {
			t.Errorf("%d: got %q, want %q", port, got, want)
		}
	}
	names := SystemNames(t.Context())
	if a, ok := names.Address("localhost"); !ok || !a.IsLoopback() {
		t.Errorf("localhost: got %s, %v", a, ok)
	}
	if _, ok := names.Address(""); ok {
		t.Error("no name has an address")
	}
}
