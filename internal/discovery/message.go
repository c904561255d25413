package discovery

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// payload is the size of UDP answers that is announced (EDNS(0), RFC 6891): it needs no fragmentation.
const payload = 1232

// query encodes a query with two bytes for its length before it (RFC 1035 section 4.2.2).
func query(id uint16, q dnsmessage.Question, extended bool) ([]byte, error) {
	b := dnsmessage.NewBuilder(make([]byte, 2, 300), dnsmessage.Header{ID: id, RecursionDesired: true})
	err := errors.Join(b.StartQuestions(), b.Question(q))
	if extended {
		var h dnsmessage.ResourceHeader
		err = errors.Join(err, h.SetEDNS0(payload, dnsmessage.RCodeSuccess, false), b.StartAdditionals(), b.OPTResource(h, dnsmessage.OPTResource{}))
	}
	if err != nil {
		return nil, err
	}
	message, err := b.Finish()
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint16(message, uint16(len(message)-2))
	return message, nil
}

// records are the records of an answer to one question.
type records struct {
	code      dnsmessage.RCode
	truncated bool
	ttl       time.Duration // the least of the records'; without records that of the negative answer (RFC 2308), or 0
	addresses []netip.Addr
	services  []dnsmessage.SRVResource
	targets   map[string][]netip.Addr // additional addresses, by their names in lower case
}

// maxRecords limits the records of a message that are read. Messages have at most 64 KiB, with at least 11 bytes for a record.
const maxRecords = 6000

// maxAliases limits the CNAME records between a name and its addresses.
const maxAliases = 16

var (
	errOther     = errors.New("not an answer to this query")
	errMalformed = errors.New("malformed answer")
)

// parse reads an answer. The error is errOther if it belongs to another query.
func parse(message []byte, id uint16, q dnsmessage.Question) (records, error) {
	var p dnsmessage.Parser
	header, err := p.Start(message)
	if err != nil {
		return records{}, errMalformed
	}
	asked, err := p.AllQuestions()
	same := len(asked) == 0 && header.RCode != dnsmessage.RCodeSuccess || len(asked) == 1 && asked[0].Type == q.Type && asked[0].Class == q.Class &&
		strings.EqualFold(asked[0].Name.String(), q.Name.String())
	if header.ID != id || !header.Response || err == nil && !same {
		return records{}, errOther
	}
	if err != nil {
		return records{}, errMalformed
	}
	r := records{code: header.RCode, truncated: header.Truncated, targets: map[string][]netip.Addr{}}
	if r.truncated || r.code != dnsmessage.RCodeSuccess && r.code != dnsmessage.RCodeNameError {
		return r, nil
	}
	if err := r.read(&p, q); err != nil {
		return r, errMalformed
	}
	return r, nil
}

// read reads the sections after the question.
func (r *records) read(p *dnsmessage.Parser, q dnsmessage.Question) error {
	answers, err := section(p.Answer)
	if err != nil {
		return err
	}
	authorities, err := section(p.Authority)
	if err != nil {
		return err
	}
	additionals, err := section(p.Additional)
	if err != nil {
		return err
	}
	ttls := r.take(answers, q)
	if len(r.addresses)+len(r.services) == 0 {
		ttls = nil
		for _, a := range authorities {
			if soa, is := a.Body.(*dnsmessage.SOAResource); is {
				ttls = append(ttls, min(a.Header.TTL, soa.MinTTL))
			}
		}
	}
	for _, a := range additionals {
		if address, is := addressOf(a.Body); is {
			name := lower(a.Header.Name)
			r.targets[name] = append(r.targets[name], address)
			ttls = append(ttls, a.Header.TTL)
		}
	}
	if len(ttls) > 0 {
		r.ttl = time.Duration(slices.Min(ttls)) * time.Second
	}
	return nil
}

// section reads the records of a section that are of interest, and skips the others.
func section(next func() (dnsmessage.Resource, error)) ([]dnsmessage.Resource, error) {
	var list []dnsmessage.Resource
	for range maxRecords {
		one, err := next()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return nil, errMalformed
}

// take keeps the records of the question's name, or of its aliases, and returns their times to live.
func (r *records) take(answers []dnsmessage.Resource, q dnsmessage.Question) (ttls []uint32) {
	name := lower(q.Name)
	for range maxAliases {
		next := ""
		for _, a := range answers {
			if lower(a.Header.Name) != name || a.Header.Class != dnsmessage.ClassINET {
				continue
			}
			address, isAddress := addressOf(a.Body)
			switch body := a.Body.(type) {
			case *dnsmessage.CNAMEResource:
				next = lower(body.CNAME)
			case *dnsmessage.SRVResource:
				if a.Header.Type != q.Type {
					continue
				}
				r.services = append(r.services, *body)
			default:
				if !isAddress || a.Header.Type != q.Type {
					continue
				}
				r.addresses = append(r.addresses, address)
			}
			ttls = append(ttls, a.Header.TTL)
		}
		if next == "" || next == name {
			break
		}
		name = next
	}
	return ttls
}

func addressOf(body dnsmessage.ResourceBody) (netip.Addr, bool) {
	switch body := body.(type) {
	case *dnsmessage.AResource:
		return netip.AddrFrom4(body.A), true
	case *dnsmessage.AAAAResource:
		return netip.AddrFrom16(body.AAAA), true
	}
	return netip.Addr{}, false
}

func lower(n dnsmessage.Name) string { return strings.ToLower(n.String()) }

// codeText names an answer's code.
func codeText(c dnsmessage.RCode) string {
	switch c {
	case dnsmessage.RCodeServerFailure:
		return "SERVFAIL"
	case dnsmessage.RCodeRefused:
		return "REFUSED"
	case dnsmessage.RCodeNameError:
		return "NXDOMAIN"
	case dnsmessage.RCodeFormatError:
		return "FORMERR"
	case dnsmessage.RCodeNotImplemented:
		return "NOTIMP"
	}
	return fmt.Sprintf("code %d", c)
}
