package healthcheck_test

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	. "github.com/lvs-ha/lvs-ha/healthcheck"
)

// resolve returns an answer to a query with some records, after a change.
func resolve(query []byte, records int, change func(*dnsmessage.Message)) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil {
		return nil
	}
	m.Response = true
	for range records {
		m.Answers = append(m.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET, TTL: 5},
			Body:   &dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}},
		})
	}
	if change != nil {
		change(&m)
	}
	packed, _ := m.Pack()
	return packed
}

func TestDNS(t *testing.T) {
	answer := func(records int, change func(*dnsmessage.Message)) func([]byte) [][]byte {
		return func(query []byte) [][]byte { return [][]byte{resolve(query, records, change)} }
	}
	other := func(m *dnsmessage.Message) { m.ID++ }
	plain := DNS{Name: "www.example.com", Type: "A", Transport: "udp"}
	two := plain
	two.Answers = 2
	for name, c := range map[string]struct {
		check  DNS
		answer func([]byte) [][]byte
		ok     bool
		detail string
	}{
		"good":           {plain, answer(2, nil), true, "answered with 2 records"},
		"no record":      {plain, answer(0, nil), true, "answered with 0 records"},
		"too few":        {two, answer(1, nil), false, "1 records, want 2 or more"},
		"SERVFAIL":       {plain, answer(0, func(m *dnsmessage.Message) { m.RCode = dnsmessage.RCodeServerFailure }), false, "the answer's code is 2 (ServerFailure)"},
		"REFUSED, bare":  {plain, answer(0, func(m *dnsmessage.Message) { m.RCode, m.Questions = dnsmessage.RCodeRefused, nil }), false, "the answer's code is 5 (Refused)"},
		"another id":     {plain, func(q []byte) [][]byte { return [][]byte{resolve(q, 0, other), resolve(q, 1, nil)} }, true, "answered with 1 records"},
		"only other ids": {plain, func(q []byte) [][]byte { return make11(resolve(q, 0, other)) }, false, "10 datagrams are not the answer"},
		"echo":           {plain, func(q []byte) [][]byte { return [][]byte{q} }, false, "malformed answer"},
		"empty":          {plain, func([]byte) [][]byte { return [][]byte{nil} }, false, "malformed answer"},
		"garbage":        {plain, func(q []byte) [][]byte { return [][]byte{append(q[:2:2], strings.Repeat("\xff", 500)...)} }, false, "malformed answer"},
		"another name": {plain, answer(0, func(m *dnsmessage.Message) { m.Questions[0].Name = dnsmessage.MustNewName("evil.example.") }), false,
			"malformed answer"},
		"a pointer to itself": {plain, func(q []byte) [][]byte {
			loop := append(resolve(q, 0, nil), 0xc0, 33, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0)
			binary.BigEndian.PutUint16(loop[6:], 1)
			return [][]byte{loop}
		}, true, "answered with 1 records"},
		"silent": {plain, func([]byte) [][]byte { return nil }, false, "timeout after 200ms while waiting for the answer"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := Spec{Check: &c.check, Timeout: 10 * time.Second}
			if name == "silent" {
				spec.Timeout = 200 * time.Millisecond
			}
			wantResult(t, check(t, spec, datagrams(t, c.answer)), c.ok, c.detail)
		})
	}
}

func make11(b []byte) (all [][]byte) {
	for range 11 {
		all = append(all, b)
	}
	return all
}

// TestDNSOverTCP also has an answer that is longer than what is read.
func TestDNSOverTCP(t *testing.T) {
	for records, detail := range map[int]string{1: "answered with 1 records", 2000: "answered with 254 records"} {
		server := serve(t, loopback, func(c net.Conn) {
			var length [2]byte
			if _, err := io.ReadFull(c, length[:]); err != nil {
				return
			}
			query := make([]byte, binary.BigEndian.Uint16(length[:]))
			if _, err := io.ReadFull(c, query); err != nil {
				return
			}
			message := resolve(query, records, nil)
			_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...))
		})
		wantResult(t, check(t, Spec{Check: &DNS{Name: "a.example.", Type: "A", Transport: "tcp"}, Timeout: 10 * time.Second}, server), true, detail)
	}
	short := serve(t, loopback, saying("\x00\x05\x01"))
	if r := check(t, Spec{Check: &DNS{Name: ".", Type: "SOA", Transport: "tcp"}, Timeout: 10 * time.Second}, short); r.OK || r.Local || r.Reason != Closed {
		t.Errorf("%+v", r)
	}
}

func TestDNSFaults(t *testing.T) {
	for _, name := range []string{".", "a", "a.b.", "xn--bcher-kva.example"} {
		if faults := (&DNS{Name: name, Type: "A", Transport: "udp"}).Faults(); len(faults) > 0 {
			t.Errorf("%q: %v", name, faults)
		}
	}
	for _, name := range []string{"", "a..b", strings.Repeat("a", 64) + ".b", strings.Repeat("a.", 127) + "b", ".."} {
		if faults := (&DNS{Name: name, Type: "A", Transport: "udp"}).Faults(); len(faults) != 1 || faults[0].Setting != "name" {
			t.Errorf("%q: %v", name, faults)
		}
	}
}
