package discovery

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// dnsSource are the records of a domain name.
type dnsSource struct {
	config.DNSSource
	resolvConf string
}

// rounds is how often all resolvers are asked before a query fails.
const rounds = 2

// maxTargets limits the targets of SRV records that are looked up at the same time.
const maxTargets = 16

func (s *dnsSource) ask(ctx context.Context) (answer, error) {
	resolvers := s.Resolvers
	if len(resolvers) == 0 {
		var err error
		if resolvers, err = configuredResolvers(s.resolvConf); err != nil {
			return answer{}, err
		}
	}
	kind := map[string]dnsmessage.Type{"A": dnsmessage.TypeA, "AAAA": dnsmessage.TypeAAAA, "SRV": dnsmessage.TypeSRV}[s.Type]
	r, err := s.look(ctx, resolvers, s.Name, kind)
	if err != nil {
		return answer{}, err
	}
	a := answer{}
	for _, address := range r.addresses {
		a.servers = append(a.servers, config.ListedServer{Address: address})
	}
	if kind == dnsmessage.TypeSRV {
		if a.servers, err = s.targets(ctx, resolvers, &r); err != nil {
			return answer{}, err
		}
	}
	a.servers = distinct(a.servers)
	a.valid = min(max(r.ttl, s.MinTTL), s.MaxTTL)
	return a, nil
}

// targets returns the servers of the SRV records with the lowest priority (RFC 2782: a client must use those first). Their weights
// are those of the records; 0, which there means a very small share, counts as 1.
func (s *dnsSource) targets(ctx context.Context, resolvers []netip.AddrPort, r *records) ([]config.ListedServer, error) {
	var first []dnsmessage.SRVResource
	for _, srv := range r.services {
		switch {
		case lower(srv.Target) == ".": // the service is not available
		case len(first) > 0 && srv.Priority > first[0].Priority:
		case len(first) > 0 && srv.Priority == first[0].Priority:
			first = append(first, srv)
		default:
			first = []dnsmessage.SRVResource{srv}
		}
	}
	if len(first) > config.MaxListed {
		return nil, fmt.Errorf("%d SRV records, at most %d are allowed", len(first), config.MaxListed)
	}
	if err := s.resolveTargets(ctx, resolvers, first, r); err != nil {
		return nil, err
	}
	var servers []config.ListedServer
	for _, srv := range first {
		for _, address := range r.targets[lower(srv.Target)] {
			if address.Is6() == (s.Family == ipvs.IPv6) {
				servers = append(servers, config.ListedServer{Address: address, Port: srv.Port, Weight: max(uint32(srv.Weight), 1), Weighted: true})
			}
		}
	}
	return servers, nil
}

// resolveTargets adds the addresses of the targets for which the answer has none of the wanted family. A target without an address
// is not an error: it is about to appear or to disappear.
func (s *dnsSource) resolveTargets(ctx context.Context, resolvers []netip.AddrPort, list []dnsmessage.SRVResource, r *records) error {
	kind := dnsmessage.TypeA
	if s.Family == ipvs.IPv6 {
		kind = dnsmessage.TypeAAAA
	}
	missing := map[string]bool{}
	for _, srv := range list {
		name := lower(srv.Target)
		if !slices.ContainsFunc(r.targets[name], func(a netip.Addr) bool { return a.Is6() == (s.Family == ipvs.IPv6) }) {
			missing[name] = true
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	var running sync.WaitGroup
	var failed error
	room := make(chan struct{}, maxTargets)
	for name := range missing {
		room <- struct{}{}
		running.Go(func() {
			defer func() { <-room }()
			found, err := s.look(ctx, resolvers, name, kind)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				if failed == nil {
					failed = err
				}
				cancel()
				return
			}
			r.targets[name] = append(r.targets[name], found.addresses...)
			r.ttl = min(r.ttl, found.ttl)
		})
	}
	running.Wait()
	return failed
}

// look asks the resolvers in turn until one answers.
func (s *dnsSource) look(ctx context.Context, resolvers []netip.AddrPort, name string, kind dnsmessage.Type) (records, error) {
	full, err := dnsmessage.NewName(strings.TrimSuffix(name, ".") + ".")
	if err != nil {
		return records{}, fmt.Errorf("%q is not a domain name", name)
	}
	q := dnsmessage.Question{Name: full, Type: kind, Class: dnsmessage.ClassINET}
	var faults []string
	for range rounds {
		faults = nil
		for _, resolver := range resolvers {
			r, err := s.exchange(ctx, resolver, q)
			if err == nil && r.code != dnsmessage.RCodeSuccess && r.code != dnsmessage.RCodeNameError {
				err = errors.New(codeText(r.code))
			}
			if err == nil {
				return r, nil
			}
			faults = append(faults, fmt.Sprintf("resolver %s: %v", resolver, err))
			if ctx.Err() != nil {
				return records{}, errors.New(strings.Join(faults, "; "))
			}
		}
	}
	return records{}, fmt.Errorf("no answer for %s: %s", q.Name, strings.Join(faults, "; "))
}

// exchange asks one resolver: over UDP, and over TCP if the answer was truncated.
func (s *dnsSource) exchange(ctx context.Context, resolver netip.AddrPort, q dnsmessage.Question) (records, error) {
	r, err := s.exchangeOver(ctx, "udp", resolver, q, true)
	if err == nil && (r.code == dnsmessage.RCodeFormatError || r.code == dnsmessage.RCodeNotImplemented) {
		r, err = s.exchangeOver(ctx, "udp", resolver, q, false) // it does not know EDNS (RFC 6891 section 6.2.2)
	}
	if err == nil && r.truncated {
		r, err = s.exchangeOver(ctx, "tcp", resolver, q, true)
	}
	return r, err
}

// exchangeOver sends a query and waits for the answer.
func (s *dnsSource) exchangeOver(ctx context.Context, network string, resolver netip.AddrPort, q dnsmessage.Question, extended bool) (records, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	id := uint16(rand.Uint32())
	message, err := query(id, q, extended)
	if err != nil {
		return records{}, err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, resolver.String())
	if err != nil {
		return records{}, s.plain(err)
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if network == "udp" {
		message = message[2:]
	}
	if _, err := conn.Write(message); err != nil {
		return records{}, s.plain(err)
	}
	buffer := make([]byte, 64<<10)
	for {
		n, err := receive(conn, network, buffer)
		if err != nil {
			return records{}, s.plain(err)
		}
		r, err := parse(buffer[:n], id, q)
		if network == "udp" && errors.Is(err, errOther) {
			continue // late, or forged
		}
		if err == nil && network == "tcp" && r.truncated {
			err = errors.New("truncated answer over TCP")
		}
		return r, err
	}
}

// receive reads one message.
func receive(conn net.Conn, network string, buffer []byte) (int, error) {
	if network == "udp" {
		return conn.Read(buffer)
	}
	if _, err := io.ReadFull(conn, buffer[:2]); err != nil {
		return 0, err
	}
	return io.ReadFull(conn, buffer[:binary.BigEndian.Uint16(buffer)])
}

// plain shortens errors of package net, which repeat the addresses.
func (s *dnsSource) plain(err error) error {
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() {
		return fmt.Errorf("no answer within %s", s.Timeout)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}
