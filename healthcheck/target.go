package healthcheck

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"sync"
)

// Target is one check of one endpoint. Equal targets are probed once, even if several real servers have them.
type Target struct {
	Endpoint netip.AddrPort
	Spec     Spec
}

// NewTarget returns the target for a check of a real server. The endpoint is the server's, unless the spec has another
// address or port.
func NewTarget(server netip.Addr, port uint16, spec Spec) Target {
	return Target{Endpoint: netip.AddrPortFrom(server, port), Spec: spec}.canonical()
}

// canonical moves the spec's address and port into the endpoint.
func (t Target) canonical() Target {
	t.Endpoint = t.Spec.Endpoint(t.Endpoint.Addr(), t.Endpoint.Port())
	t.Spec.Address, t.Spec.Port = netip.Addr{}, 0
	return t
}

// Endpoint returns what the check of a real server probes: the server, unless the spec has another address or port.
func (s *Spec) Endpoint(server netip.Addr, port uint16) netip.AddrPort {
	if s.Address.IsValid() {
		server = s.Address
	}
	if s.Port != 0 {
		port = s.Port
	}
	return netip.AddrPortFrom(server.Unmap(), port)
}

// String describes the target for people.
func (t Target) String() string {
	return string(t.Spec.Kind()) + " " + t.canonical().Endpoint.String()
}

// Key identifies the target: two targets have the same key if and only if they are equal. Keys are valid within this
// process and do not reveal the secrets in the spec.
func (t Target) Key() string { return string(t.AppendKey(nil, t.Spec.Identity())) }

// AppendKey appends the key to b. id is the identity of the target's spec, which many targets may have.
func (t Target) AppendKey(b []byte, id Identity) []byte {
	endpoint := t.canonical().Endpoint
	ip := endpoint.Addr().As16()
	b = append(append(b, id[:]...), ip[:]...)
	b = binary.BigEndian.AppendUint16(b, endpoint.Port())
	return append(b, endpoint.Addr().Zone()...)
}

// Identity identifies a spec apart from the endpoint that it sets.
type Identity [16]byte

// Identity returns the spec's identity within this process.
func (s Spec) Identity() Identity {
	s.Address, s.Port = netip.Addr{}, 0
	return s.identity()
}

// Equal reports whether two specs are configured identically.
func (s Spec) Equal(other Spec) bool { return s.identity() == other.identity() }

// identity returns a hash of everything in a spec, keyed with seeds of this process.
func (s Spec) identity() Identity {
	buffer := identities.Get().(*[]byte)
	defer identities.Put(buffer)
	b := s.appendTo((*buffer)[:0])
	*buffer = b
	var id Identity
	for i, seed := range seeds {
		binary.BigEndian.PutUint64(id[8*i:], maphash.Bytes(seed, b))
	}
	return id
}

// identities are buffers for the hash input.
var identities = sync.Pool{New: func() any { return new([]byte) }}

var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func (s Spec) appendTo(b []byte) []byte {
	b = appendText(b, string(s.Kind()))
	b = appendInts(b, int(s.Interval), int(s.Timeout), s.Rise, s.Fall, int(s.Port), int(s.Retry), int(s.Jitter), int(s.Source.Mark))
	b = appendText(appendText(b, s.Address.String()), s.Source.Address.String())
	b = s.Weight.appendIdentity(appendText(b, s.Source.Interface))
	if s.Check != nil {
		b = s.Check.AppendIdentity(b)
	}
	return b
}

// appendText appends a text with its length, so that different sequences of texts encode differently.
func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendInts(b []byte, numbers ...int) []byte {
	for _, n := range numbers {
		b = binary.AppendVarint(b, int64(n))
	}
	return b
}
