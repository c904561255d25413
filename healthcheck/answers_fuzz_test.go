package healthcheck

import (
	"bufio"
	"bytes"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// FuzzDNSAnswer checks that any answer ends, with no more records than fit.
func FuzzDNSAnswer(f *testing.F) {
	check := &DNS{Name: "www.example.com", Type: "A", Transport: "udp"}
	q, err := check.question()
	if err != nil {
		f.Fatal(err)
	}
	message, err := query(7, q)
	if err != nil {
		f.Fatal(err)
	}
	answer := bytes.Clone(message[2:])
	answer[2] |= 0x80
	f.Add(answer)
	f.Add(append(bytes.Clone(answer), 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, message []byte) {
		header, records, err := parseAnswer(message, q)
		if records < 0 || records > len(message)/11 || err == nil && (!header.Response || header.RCode > dnsmessage.RCode(0xf)) {
			t.Errorf("%+v, %d records, %v", header, records, err)
		}
	})
}

// FuzzSMTPReply checks that a reply has a code of three digits.
func FuzzSMTPReply(f *testing.F) {
	for _, seed := range []string{"220 hello\r\n", "250-a\r\n250-b\n250 c\r\n", "250\r\n", "25", "+50 x\r\n", "250-", "999 x\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		code, err := readReply(bufio.NewReaderSize(bytes.NewReader(text), 512))
		if err == nil && (code < 200 || code > 599) || err != nil && code != 0 {
			t.Errorf("%q: %d, %v", text, code, err)
		}
	})
}

// FuzzGRPCResponse checks that any message ends, and that what encoding gives is read.
func FuzzGRPCResponse(f *testing.F) {
	for _, seed := range []string{"\x00\x00\x00\x00\x02\x08\x01", "\x00\x00\x00\x00\x00", "\x01\x00\x00\x00\x00", "\x00\x00\x00\x00\x04\x08\x01\x08\x02", "\x00\x00\x00\x00\x06\x12\x02hi\x08\x01", "\x00\x00\x00\x00\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		status, err := parseServing(body)
		if err != nil && status != 0 {
			t.Errorf("%x: %d, %v", body, status, err)
		}
		if err == nil && len(body) < 5 {
			t.Errorf("%x was read", body)
		}
	})
}
