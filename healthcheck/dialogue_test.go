package healthcheck_test

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	. "github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/secret"
)

// repeat sends a text again and again until the client closes the connection.
func repeat(text string) func(net.Conn) {
	return func(c net.Conn) {
		for {
			if _, err := c.Write([]byte(text)); err != nil {
				return
			}
		}
	}
}

// trickling sends a byte each millisecond until the client closes the connection.
func trickling(b byte) func(net.Conn) {
	return func(c net.Conn) {
		for {
			_, err := c.Write([]byte{b})
			_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, closed := c.Read(make([]byte, 1)); err != nil || !errors.Is(closed, os.ErrDeadlineExceeded) {
				return
			}
		}
	}
}

// sayingAndHolding sends a text and keeps the connection open.
func sayingAndHolding(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = c.Write([]byte(text))
		hold(c)
	}
}

// inReply sends an answer after it has received a text.
func inReply(text, answer string) func(net.Conn) {
	return func(c net.Conn) {
		b := make([]byte, len(text))
		for n := 0; n < len(b); {
			more, err := c.Read(b[n:])
			if err != nil {
				return
			}
			n += more
		}
		if string(b) == text {
			_, _ = c.Write([]byte(answer))
		}
		hold(c)
	}
}

func TestTCPDialogue(t *testing.T) {
	for name, c := range map[string]struct {
		talk   Dialogue
		server func(net.Conn)
		ok     bool
		detail string
	}{
		"greeting":           {Dialogue{Expect: "^220 "}, sayingAndHolding("220 hello\r\n"), true, "the answer matches"},
		"ping":               {Dialogue{Send: "PING\r\n", Expect: "PONG"}, inReply("PING\r\n", "+PONG\r\n"), true, "the answer matches"},
		"bytes":              {Dialogue{SendHex: "00 ff", ExpectHex: "C0 xx x1"}, inReply("\x00\xff", "\xc0\x17\x71and more"), true, "the answer matches"},
		"byte by byte":       {Dialogue{Expect: "ready"}, func(c net.Conn) { trickle(c, strings.Repeat("-", 100)+"ready"); hold(c) }, true, "the answer matches"},
		"only sent":          {Dialogue{Send: "x"}, hold, true, "connected"},
		"another answer":     {Dialogue{ExpectHex: "c0"}, saying("\xc1"), false, "the answer does not match"},
		"too short":          {Dialogue{ExpectHex: "c0c0"}, saying("\xc0"), false, "the answer does not match"},
		"closed at once":     {Dialogue{Expect: "x"}, func(net.Conn) {}, false, "connection closed while waiting for the answer"},
		"gigabytes":          {Dialogue{Expect: "ready"}, repeat(strings.Repeat("x", 8192)), false, "the answer does not match"},
		"silent":             {Dialogue{Expect: "ready"}, hold, false, "timeout after 300ms while waiting for the answer"},
		"trickles for ever":  {Dialogue{Expect: "(a|b|c)+x"}, trickling('a'), false, "timeout after 300ms while waiting for the answer"},
		"no TLS for a hello": {Dialogue{Expect: "ready"}, inReply("\x16", "ready"), false, "timeout after 300ms while waiting for the answer"},
	} {
		spec := Spec{Check: &TCP{Dialogue: c.talk}, Timeout: 10 * time.Second}
		if strings.HasPrefix(c.detail, "timeout") {
			spec.Timeout = 300 * time.Millisecond
		}
		t.Run(name, func(t *testing.T) { wantResult(t, check(t, spec, serve(t, loopback, c.server)), c.ok, c.detail) })
	}
}

// trickle sends single bytes.
func trickle(c net.Conn, text string) {
	for i := range text {
		if _, err := c.Write([]byte{text[i]}); err != nil {
			return
		}
	}
}

func TestTCPOverTLS(t *testing.T) {
	ca := newAuthority(t)
	good := overTLS(&tls.Config{Certificates: []tls.Certificate{ca.issue(t, nil)}}, inReply("PING\r\n", "+PONG\r\n"))
	trust := &TLS{CAFile: File(ca.file), Authorities: ca.trusted}
	spec := Spec{Timeout: 10 * time.Second, Check: &TCP{Dialogue{Send: "PING\r\n", Expect: "PONG"}, trust}}
	wantResult(t, check(t, spec, serve(t, loopback, good)), true, "the answer matches")
	wantResult(t, check(t, spec, serve(t, loopback, saying("+PONG\r\n"))), false, "server does not speak TLS")
	spec.Check = &TCP{TLS: trust}
	wantResult(t, check(t, spec, serve(t, loopback, good)), true, "connected")
	spec.Check = &TCP{TLS: &TLS{}}
	wantResult(t, check(t, spec, serve(t, loopback, good)), false, "certificate signed by an unknown authority")
}

// datagrams answers each datagram; nil means no answer.
func datagrams(t *testing.T, answer func(request []byte) [][]byte) netip.AddrPort {
	t.Helper()
	c, err := net.ListenPacket("udp4", loopback)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b := make([]byte, 2048)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			for _, a := range answer(b[:n]) {
				_, _ = c.WriteTo(a, from)
			}
		}
	}()
	t.Cleanup(func() {
		_ = c.Close()
		<-ended
	})
	return netip.MustParseAddrPort(c.LocalAddr().String())
}

func TestUDP(t *testing.T) {
	echo := func(request []byte) [][]byte { return [][]byte{request} }
	silence := func([]byte) [][]byte { return nil }
	empty := func([]byte) [][]byte { return [][]byte{nil} }
	for name, c := range map[string]struct {
		talk   Dialogue
		answer func([]byte) [][]byte
		ok     bool
		detail string
	}{
		"any answer":       {Dialogue{Send: "x"}, echo, true, "answered"},
		"an empty answer":  {Dialogue{}, empty, true, "answered"},
		"expected":         {Dialogue{SendHex: "0d 00 ff", ExpectHex: "0d 0x"}, echo, true, "answered"},
		"not expected":     {Dialogue{Send: "x", Expect: "y"}, echo, false, "the answer does not match"},
		"empty, expected":  {Dialogue{Send: "x", Expect: "y"}, empty, false, "the answer does not match"},
		"silent":           {Dialogue{Send: "x"}, silence, true, "no answer, and no ICMP error"},
		"silent, expected": {Dialogue{Send: "x", Expect: "y"}, silence, false, "timeout after 100ms while waiting for the answer"},
	} {
		spec := Spec{Check: &UDP{c.talk}, Timeout: 10 * time.Second}
		if strings.HasPrefix(name, "silent") {
			spec.Timeout = 100 * time.Millisecond
		}
		t.Run(name, func(t *testing.T) { wantResult(t, check(t, spec, datagrams(t, c.answer)), c.ok, c.detail) })
	}
	closed := netip.MustParseAddrPort("127.0.0.1:9")
	if r := check(t, Spec{Check: &UDP{}, Timeout: 10 * time.Second}, closed); r.OK || r.Reason != Refused {
		t.Errorf("a closed port: %+v", r)
	}
}

// TestPing pings this host, if its kernel permits that; otherwise, the result says how to permit it and nothing about the server.
func TestPing(t *testing.T) {
	spec := Spec{Check: &Ping{}, Timeout: 10 * time.Second}
	for _, address := range []string{"127.0.0.1", "::1"} {
		r := check(t, spec, netip.AddrPortFrom(netip.MustParseAddr(address), 0))
		if r.Local && (strings.Contains(r.Detail, "ping_group_range") || address == "::1") {
			t.Logf("%s: %s", address, r.Detail)
			continue
		}
		if _, err := os.Stat("/proc/net/if_inet6"); err != nil && address == "::1" {
			continue
		}
		wantResult(t, r, true, "answered")
	}
}

func TestDialogueFaults(t *testing.T) {
	for setting, d := range map[string]Dialogue{
		"":           {SendHex: "0d0A ff", ExpectHex: "x1 XX"},
		"send":       {Send: secret.Text(strings.Repeat("x", 1025))},
		"send_hex":   {SendHex: "0"},
		"expect":     {Expect: "("},
		"expect_hex": {ExpectHex: "0y"},
	} {
		for _, c := range []Check{&TCP{Dialogue: d}, &UDP{d}} {
			faults := c.Faults()
			if setting == "" && len(faults) > 0 || setting != "" && (len(faults) != 1 || faults[0].Setting != setting) {
				t.Errorf("%+v: %v", d, faults)
			}
		}
	}
	if faults := (&TCP{Dialogue: Dialogue{Send: "x", SendHex: "00", Expect: "x", ExpectHex: "00"}}).Faults(); len(faults) != 2 {
		t.Errorf("both forms: %v", faults)
	}
}
