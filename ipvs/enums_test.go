package ipvs

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	moby "github.com/moby/ipvs"
	"pgregory.net/rapid"
)

func TestParseEnums(t *testing.T) {
	for _, tt := range []struct {
		text string
		got  func(string) (any, error)
		want any
	}{
		{"tcp", func(s string) (any, error) { return ParseProtocol(s) }, TCP},
		{"SCTP", func(s string) (any, error) { return ParseProtocol(s) }, SCTP},
		{"nat", func(s string) (any, error) { return ParseForward(s) }, Masquerade},
		{"masquerading", func(s string) (any, error) { return ParseForward(s) }, Masquerade},
		{"dr", func(s string) (any, error) { return ParseForward(s) }, DirectRoute},
		{"gatewaying", func(s string) (any, error) { return ParseForward(s) }, DirectRoute},
		{"tun", func(s string) (any, error) { return ParseForward(s) }, Tunnel},
		{"gue", func(s string) (any, error) { return ParseTunnelType(s) }, TunnelGUE},
		{"remcsum", func(s string) (any, error) { return ParseTunnelFlags(s) }, TunnelRemoteChecksum},
	} {
		if got, err := tt.got(tt.text); err != nil || got != tt.want {
			t.Errorf("%s: got %v, %v, want %v", tt.text, got, err, tt.want)
		}
	}
	for _, tt := range []struct {
		err   func() error
		names []string // the word, and what is allowed
	}{
		{func() error { _, err := ParseProtocol("icmp"); return err }, []string{`"icmp"`, "tcp, udp, sctp"}},
		{func() error { _, err := ParseForward("fullnat"); return err }, []string{`"fullnat"`, "nat, dr, tun, local"}},
		{func() error { _, err := ParseFlags("sh", "mh-port"); return err }, []string{`"mh-port"`, "scheduler sh", "sh-fallback, sh-port, ops"}},
	} {
		err := tt.err()
		for _, name := range tt.names {
			if !strings.Contains(fmt.Sprint(err), name) {
				t.Errorf("got error %v, which does not name %s", err, name)
			}
		}
	}
}

// moby/ipvs is an independent implementation of the kernel's headers.
func TestConstantsAgreeWithMoby(t *testing.T) {
	for got, want := range map[ForwardMethod]ForwardMethod{
		Masquerade: moby.ConnectionFlagMasq, Local: moby.ConnectionFlagLocalNode,
		Tunnel: moby.ConnectionFlagTunnel, DirectRoute: moby.ConnectionFlagDirectRoute,
	} {
		if got != want {
			t.Errorf("%s is %d, want %d", got, got, want)
		}
	}
}

func TestFlags(t *testing.T) {
	for _, tt := range []struct {
		scheduler, text string
		flags           ServiceFlags
	}{
		{"sh", "sh-fallback,sh-port", FlagSched1 | FlagSched2},
		{"mh", "mh-port", FlagSched2},
		{"mh", "mh-fallback,flag-3", FlagSched1 | FlagSched3},
		{"rr", "flag-1,ops", FlagSched1 | FlagOnePacket},
	} {
		got, err := ParseFlags(tt.scheduler, tt.text)
		if err != nil || got != tt.flags {
			t.Errorf("parsing %s of %s: got %v, %v, want %v", tt.text, tt.scheduler, got, err, tt.flags)
		}
		if got := FormatFlags(tt.scheduler, tt.flags); got != tt.text {
			t.Errorf("formatting %v of %s: got %s, want %s", tt.flags, tt.scheduler, got, tt.text)
		}
	}
}

func TestFlagsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scheduler := rapid.SampledFrom(Schedulers()).Draw(t, "scheduler")
		flags := ServiceFlags(rapid.Uint32().Draw(t, "flags"))
		known := flags & (FlagOnePacket | FlagSched1 | FlagSched2 | FlagSched3)
		if known != 0 {
			if got, err := ParseFlags(scheduler, FormatFlags(scheduler, known)); err != nil || got != known {
				t.Errorf("got %v, %v, want %v", got, err, known)
			}
		}
		roundTripJSON(t, flags)
	})
}

func TestEnumsRoundTripJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint32().Draw(t, "n")
		roundTripJSON(t, Protocol(n))
		roundTripJSON(t, Family(n%16))
		roundTripJSON(t, ForwardMethod(n%8))
		roundTripJSON(t, TunnelType(n%4))
		roundTripJSON(t, TunnelFlags(n%4))
	})
}

func roundTripJSON[T comparable](t *rapid.T, v T) {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var got T
	if err := json.Unmarshal(b, &got); err != nil || got != v {
		t.Errorf("%s: got %v, %v, want %v", b, got, err, v)
	}
}

func TestSchedulers(t *testing.T) {
	list := Schedulers()
	if want := strings.Fields("rr wrr lc wlc lblc lblcr dh sh sed nq fo ovf mh twos"); !slices.Equal(list, want) {
		t.Errorf("got %v, want %v", list, want)
	}
	list[0] = ""
	if Schedulers()[0] != "rr" {
		t.Error("a caller can change the list")
	}
}
