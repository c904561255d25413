// Package discoverytest has a name server for tests.
package discoverytest

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// Nameserver answers queries over UDP and TCP. Its records can be changed at any time. The zero value knows no name.
type Nameserver struct {
	mu      sync.Mutex
	records map[string][]dnsmessage.Resource // by name in lower case
	code    dnsmessage.RCode
	silent  bool
	queries map[string]int
}

// SetAddresses replaces the A and AAAA records of a name.
func (s *Nameserver) SetAddresses(name string, ttl uint32, addresses ...string) {
	var list []dnsmessage.Resource
	for _, text := range addresses {
		h := dnsmessage.ResourceHeader{Name: fullName(name), Class: dnsmessage.ClassINET, TTL: ttl}
		if a := netip.MustParseAddr(text); a.Is4() {
			list = append(list, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}})
		} else {
			list = append(list, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	s.set(name, list)
}

// SRV is a record of a service.
type SRV struct {
	Priority, Weight, Port uint16
	Target                 string
}

// SetServices replaces the records of a name by SRV records.
func (s *Nameserver) SetServices(name string, ttl uint32, services ...SRV) {
	var list []dnsmessage.Resource
	for _, one := range services {
		list = append(list, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: fullName(name), Class: dnsmessage.ClassINET, TTL: ttl},
			Body:   &dnsmessage.SRVResource{Priority: one.Priority, Weight: one.Weight, Port: one.Port, Target: fullName(one.Target)},
		})
	}
	s.set(name, list)
}

// SetAlias replaces the records of a name by a CNAME record.
func (s *Nameserver) SetAlias(name string, ttl uint32, target string) {
	s.set(name, []dnsmessage.Resource{{
		Header: dnsmessage.ResourceHeader{Name: fullName(name), Class: dnsmessage.ClassINET, TTL: ttl}, Body: &dnsmessage.CNAMEResource{CNAME: fullName(target)},
	}})
}

func (s *Nameserver) set(name string, list []dnsmessage.Resource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records == nil {
		s.records = map[string][]dnsmessage.Resource{}
	}
	s.records[strings.ToLower(fullName(name).String())] = list
}

// Fail makes the server answer each query with this code, until it is dnsmessage.RCodeSuccess.
func (s *Nameserver) Fail(code dnsmessage.RCode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.code = code
}

// Silence stops or resumes answering.
func (s *Nameserver) Silence(silent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = silent
}

// Queries returns how many queries came over "udp" or "tcp".
func (s *Nameserver) Queries(network string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queries[network]
}

// Serve answers at both sockets until they are closed.
func (s *Nameserver) Serve(udp net.PacketConn, tcp net.Listener) {
	var running sync.WaitGroup
	running.Go(func() {
		buffer := make([]byte, 64<<10)
		for {
			n, from, err := udp.ReadFrom(buffer)
			if err != nil {
				return
			}
			if reply := s.reply("udp", buffer[:n]); reply != nil {
				_, _ = udp.WriteTo(reply, from)
			}
		}
	})
	for {
		conn, err := tcp.Accept()
		if err != nil {
			break
		}
		running.Go(func() {
			defer conn.Close()
			length := make([]byte, 2)
			if _, err := io.ReadFull(conn, length); err != nil {
				return
			}
			message := make([]byte, binary.BigEndian.Uint16(length))
			if _, err := io.ReadFull(conn, message); err != nil {
				return
			}
			if reply := s.reply("tcp", message); reply != nil {
				_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
			}
		})
	}
	running.Wait()
}

// reply returns the answer to a query; nil if there is none.
func (s *Nameserver) reply(network string, message []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var query dnsmessage.Message
	if query.Unpack(message) != nil || len(query.Questions) != 1 {
		return nil
	}
	if s.queries == nil {
		s.queries = map[string]int{}
	}
	s.queries[network]++
	if s.silent {
		return nil
	}
	q := query.Questions[0]
	reply := dnsmessage.Message{Header: dnsmessage.Header{ID: query.ID, Response: true, RecursionDesired: true, RecursionAvailable: true, RCode: s.code}, Questions: query.Questions}
	if s.code == dnsmessage.RCodeSuccess {
		s.answer(&reply, q)
	}
	limit := 512
	for _, extra := range query.Additionals {
		if extra.Header.Type == dnsmessage.TypeOPT {
			limit = int(extra.Header.Class)
		}
	}
	packed, err := reply.Pack()
	if err == nil && network == "udp" && len(packed) > limit {
		reply.Answers, reply.Truncated = nil, true
		packed, err = reply.Pack()
	}
	if err != nil {
		return nil
	}
	return packed
}

func (s *Nameserver) answer(reply *dnsmessage.Message, q dnsmessage.Question) {
	name := strings.ToLower(q.Name.String())
	for {
		list, known := s.records[name]
		if !known {
			reply.RCode = dnsmessage.RCodeNameError
			return
		}
		next := ""
		for _, one := range list {
			if alias, is := one.Body.(*dnsmessage.CNAMEResource); is {
				reply.Answers = append(reply.Answers, one)
				next = strings.ToLower(alias.CNAME.String())
			} else if typeOf(one.Body) == q.Type {
				reply.Answers = append(reply.Answers, one)
			}
		}
		if next == "" {
			return
		}
		name = next
	}
}

func typeOf(body dnsmessage.ResourceBody) dnsmessage.Type {
	switch body.(type) {
	case *dnsmessage.AResource:
		return dnsmessage.TypeA
	case *dnsmessage.AAAAResource:
		return dnsmessage.TypeAAAA
	case *dnsmessage.SRVResource:
		return dnsmessage.TypeSRV
	}
	return 0
}

func fullName(name string) dnsmessage.Name {
	return dnsmessage.MustNewName(strings.TrimSuffix(name, ".") + ".")
}

// Listen opens a UDP and a TCP socket with the same port of an address, for Serve.
func Listen(host string) (net.PacketConn, net.Listener, error) {
	for range 10 {
		udp, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
		if err != nil {
			return nil, nil, err
		}
		tcp, err := net.Listen("tcp", udp.LocalAddr().String())
		if err == nil {
			return udp, tcp, nil
		}
		udp.Close()
	}
	return nil, nil, errors.New("no port is free for UDP and TCP")
}
