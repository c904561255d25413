package healthcheck

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// DNS is a check that sends a query.
type DNS struct {
	Name      string `hcl:"name,optional" default:"." json:"name"`
	Type      string `hcl:"type,optional" default:"SOA" oneof:"A|AAAA|CNAME|MX|NS|PTR|SOA|SRV|TXT" json:"type"`
	Transport string `hcl:"transport,optional" default:"udp" oneof:"udp|tcp" json:"transport"`
	Answers   int    `hcl:"answers,optional" default:"0" range:"0..1000" json:"answers,omitempty"` // at least so many records
}

func newDNS() Check { return &DNS{Name: ".", Type: "SOA", Transport: "udp"} }

// WrongAnswer is the reason of a DNS answer with an error code or with too few records.
const WrongAnswer Reason = "answer"

var queryTypes = map[string]dnsmessage.Type{
	"A": dnsmessage.TypeA, "AAAA": dnsmessage.TypeAAAA, "CNAME": dnsmessage.TypeCNAME, "MX": dnsmessage.TypeMX, "NS": dnsmessage.TypeNS,
	"PTR": dnsmessage.TypePTR, "SOA": dnsmessage.TypeSOA, "SRV": dnsmessage.TypeSRV, "TXT": dnsmessage.TypeTXT,
}

// Kind implements Check.
func (*DNS) Kind() Kind { return "dns" }

// Faults implements Check.
func (c *DNS) Faults() []Fault {
	var faults []Fault
	if _, err := c.question(); err != nil {
		faults = append(faults, fault("name", "%s is not a domain name: it has at most 253 bytes, in labels of 1 to 63 bytes separated by dots.", quote(c.Name)))
	}
	if queryTypes[c.Type] == 0 {
		faults = append(faults, fault("type", "%s is not a type of queries.", quote(c.Type)))
	}
	if c.Transport != "udp" && c.Transport != "tcp" {
		faults = append(faults, fault("transport", "%s is not a transport. Write \"udp\" or \"tcp\".", quote(c.Transport)))
	}
	return faults
}

// AppendIdentity implements Check.
func (c *DNS) AppendIdentity(b []byte) []byte {
	return appendInts(appendText(appendText(appendText(b, c.Name), c.Type), c.Transport), c.Answers)
}

// Redacted implements Check.
func (c *DNS) Redacted() Check { return c }

func (c *DNS) question() (dnsmessage.Question, error) {
	text := c.Name
	if text != "" && !strings.HasSuffix(text, ".") {
		text += "."
	}
	name, err := dnsmessage.NewName(text)
	if text == "" {
		err = errors.New("no name")
	}
	q := dnsmessage.Question{Name: name, Type: queryTypes[c.Type], Class: dnsmessage.ClassINET}
	if err == nil {
		_, err = query(0, q)
	}
	return q, err
}

// query encodes a query with two bytes for its length before it (RFC 1035 section 4.2.2).
func query(id uint16, q dnsmessage.Question) ([]byte, error) {
	b := dnsmessage.NewBuilder(make([]byte, 2, 300), dnsmessage.Header{ID: id, RecursionDesired: true})
	if err := errors.Join(b.StartQuestions(), b.Question(q)); err != nil {
		return nil, err
	}
	message, err := b.Finish()
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint16(message, uint16(len(message)-2))
	return message, nil
}

// Probe implements Check.
func (c *DNS) Probe(s Setup) (Probe, error) {
	q, err := c.question()
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, server netip.AddrPort) Result {
		network := overUDP
		if c.Transport == "tcp" {
			network = overTCP
		}
		conn, err := dial(ctx, server, dialOptions{network: network, lateACK: network == overTCP, source: s.Source})
		if err != nil {
			return failed(ctx, s.Timeout, "", err)
		}
		defer func() {
			if network == overTCP {
				_ = conn.abort()
			} else {
				_ = conn.Close()
			}
		}()
		id := uint16(rand.Uint32())
		message, err := query(id, q)
		if err == nil {
			if network == overUDP {
				message = message[2:]
			}
			_, err = conn.Write(message)
		}
		if err != nil {
			return failed(ctx, s.Timeout, "while sending the query", err)
		}
		return c.await(ctx, s, conn, network, id, q)
	}, nil
}

// maxDatagrams limits the datagrams that are not the answer, before the check fails.
const maxDatagrams = 10

func (c *DNS) await(ctx context.Context, s Setup, conn *conn, network network, id uint16, q dnsmessage.Question) Result {
	buffer := make([]byte, maxAnswer)
	for range maxDatagrams {
		n, err := readMessage(conn, network, buffer)
		if err != nil {
			return failed(ctx, s.Timeout, "while waiting for the answer", err)
		}
		header, records, err := parseAnswer(buffer[:n], q)
		switch {
		case err != nil:
			return Result{Reason: Protocol, Detail: "malformed answer"}
		case header.ID != id:
			continue // to another query
		case header.RCode != dnsmessage.RCodeSuccess:
			return Result{Reason: WrongAnswer, Detail: fmt.Sprintf("the answer's code is %d (%s)", header.RCode, strings.TrimPrefix(header.RCode.String(), "RCode"))}
		case records < c.Answers:
			return Result{Reason: WrongAnswer, Detail: fmt.Sprintf("%d records, want %d or more", records, c.Answers)}
		}
		return Result{OK: true, Detail: fmt.Sprintf("answered with %d records", records)}
	}
	return Result{Reason: Protocol, Detail: fmt.Sprintf("%d datagrams are not the answer", maxDatagrams)}
}

// readMessage reads a message; of a long one over TCP, only the beginning.
func readMessage(conn *conn, network network, buffer []byte) (int, error) {
	if network == overUDP {
		return conn.readDatagram(buffer)
	}
	if _, err := io.ReadFull(conn, buffer[:2]); err != nil {
		return 0, err
	}
	return io.ReadFull(conn, buffer[:min(len(buffer), int(binary.BigEndian.Uint16(buffer)))])
}

var errNoAnswer = errors.New("not an answer to the question")

// parseAnswer returns the header of an answer and the number of its records. The records of a truncated answer are counted as
// far as they go.
func parseAnswer(message []byte, q dnsmessage.Question) (dnsmessage.Header, int, error) {
	var p dnsmessage.Parser
	header, err := p.Start(message)
	if err != nil {
		return header, 0, err
	}
	asked, err := p.AllQuestions()
	if err != nil {
		return header, 0, err
	}
	same := len(asked) == 0 && header.RCode != dnsmessage.RCodeSuccess || len(asked) == 1 && asked[0].Type == q.Type && asked[0].Class == q.Class &&
		strings.EqualFold(asked[0].Name.String(), q.Name.String())
	if !header.Response || !same {
		return header, 0, errNoAnswer
	}
	records := 0
	for {
		if err := p.SkipAnswer(); err != nil {
			if err == dnsmessage.ErrSectionDone || header.Truncated || len(message) == maxAnswer {
				return header, records, nil
			}
			return header, records, err
		}
		records++
	}
}
