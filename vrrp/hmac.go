package vrrp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"net/netip"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/secret"
)

// AuthHMAC configures authentication of adverts by a trailer with an HMAC-SHA256 and a sequence number derived from the
// clock (draft-cassen-vrrp-auth-hmac, keepalived's auth_hmac from 2.4).
type AuthHMAC struct {
	Keys       []AuthKey     `json:"keys"`
	ActiveKey  uint8         `json:"active_key"`  // ID of the signing key
	AntiReplay AntiReplay    `json:"anti_replay"` // how replayed adverts are detected
	TimeWindow time.Duration `json:"time_window"` // whole seconds, 1 to 300; ReplayByTime only
	Mode       AuthMode      `json:"mode"`
}

// AuthKey is a key shared by all nodes of a virtual router.
type AuthKey struct {
	ID     uint8       `json:"id"`     // 1..255
	Secret secret.Text `json:"secret"` // MinAuthKey to MaxAuthKey bytes in hexadecimal digits
}

// AntiReplay is a method of detecting replayed adverts.
type AntiReplay string

// The methods of detecting replayed adverts. Both require that a sender's sequence numbers increase.
const (
	ReplayByTime     AntiReplay = "time"      // and that its clock differs from ours by at most TimeWindow
	ReplayBySequence AntiReplay = "monotonic" // without synchronized clocks
)

// AuthMode is a stage in the rollout of authentication on running routers.
type AuthMode string

// The modes, in the order in which they are rolled out. In all of them, a trailer that is present is verified.
const (
	AuthReceiveOnly AuthMode = "receive-only" // sends no trailer, accepts adverts without one
	AuthPermissive  AuthMode = "permissive"   // sends trailers, accepts adverts without one
	AuthEnforce     AuthMode = "enforce"      // sends trailers, drops adverts without one
)

// Limits of the authentication.
const (
	MinAuthKey    = 32 // bytes
	MaxAuthKey    = 64 // bytes, SHA-256's block
	MaxTimeWindow = 300 * time.Second
)

// TrailerLen is the length in bytes of the trailer that follows the advert: type, key, two zero bytes, the sequence
// number and the first half of an HMAC-SHA256.
const TrailerLen = 12 + hmacLen

const (
	hmacLen         = 16
	trailerSHA256   = 1 // the only trailer type
	trailerKeyAt    = 1
	trailerSequence = 4
	trailerHMACAt   = 12
)

// Signs reports whether the instance's adverts have a trailer.
func (in *Instance) Signs() bool { return in.AuthHMAC != nil && in.AuthHMAC.Mode != AuthReceiveOnly }

// maxSenders limits the number of senders whose sequence numbers are stored. An attacker needs the key to add one.
const maxSenders = 32

// Authenticator signs an instance's adverts and verifies those of other routers. It belongs to one goroutine.
type Authenticator struct {
	settings AuthHMAC
	keys     [256]hash.Hash
	sum      []byte
	sent     uint64 // sequence number of the last advert
	senders  map[netip.Addr]uint64
}

// NewAuthenticator returns an Authenticator with the settings.
func NewAuthenticator(a AuthHMAC) *Authenticator {
	n := &Authenticator{senders: map[netip.Addr]uint64{}}
	n.Configure(a)
	return n
}

// Configure replaces the settings. Sequence numbers continue.
func (n *Authenticator) Configure(a AuthHMAC) {
	n.settings, n.keys = a, [256]hash.Hash{}
	for _, k := range a.Keys {
		key, _ := hex.DecodeString(k.Secret.Reveal()) // valid: see Validate
		n.keys[k.ID] = hmac.New(sha256.New, key)
	}
}

// Next returns the sequence number of the next advert: the clock in units of 2^-32 s, whose last 16 bits count
// adverts within 2^-16 s. All copies of an advert to several peers have the same number.
func (n *Authenticator) Next(now time.Time) uint64 {
	clock := sequenceAt(now)
	ahead := int64(n.sent - clock)
	// If the clock was set back, the last number is in the future. Within the window, increment it. Beyond the window
	// receivers would drop the advert, so follow the clock; receivers forget numbers outside their window.
	if ahead < 0 || n.sent == 0 || n.settings.AntiReplay == ReplayByTime && ahead > sequenceSpan(n.settings.TimeWindow) {
		n.sent = clock
	} else {
		n.sent++
	}
	return n.sent
}

func sequenceAt(now time.Time) uint64 {
	fraction := uint64(now.Nanosecond()) << 16 / uint64(time.Second)
	return uint64(uint32(now.Unix()))<<32 | fraction<<16
}

func sequenceSpan(d time.Duration) int64 { return int64(d/time.Second) << 32 }

// Sign fills in the trailer at the end of a packet that Advert.Append built for the same addresses. For IPv6 it also
// sets the checksum, which covers the trailer.
func (n *Authenticator) Sign(packet []byte, sequence uint64, source, destination netip.Addr) {
	trailer := packet[len(packet)-TrailerLen:]
	clear(trailer)
	trailer[0], trailer[trailerKeyAt] = trailerSHA256, n.settings.ActiveKey
	binary.BigEndian.PutUint64(trailer[trailerSequence:], sequence)
	copy(trailer[trailerHMACAt:], n.compute(n.keys[n.settings.ActiveKey], packet, source))
	if !source.Is4() {
		binary.BigEndian.PutUint16(packet[checksumAt:], 0)
		var sum checksum
		sum.addPseudoHeader(source, destination, len(packet))
		sum.add(packet)
		binary.BigEndian.PutUint16(packet[checksumAt:], sum.value())
	}
}

// compute returns the HMAC of a packet with a trailer. It covers the family, version, virtual router ID, source address,
// and the packet with its checksum and HMAC set to zero.
func (n *Authenticator) compute(key hash.Hash, packet []byte, source netip.Addr) []byte {
	var zero [hmacLen]byte
	head := [20]byte{0: byte(IPv6), 1: packet[0] >> 4, 2: packet[1]}
	if source.Is4() {
		head[0] = byte(IPv4)
		address := source.As4()
		copy(head[4:], address[:])
	} else {
		address := source.As16()
		copy(head[4:], address[:])
	}
	key.Reset()
	for _, part := range [...][]byte{head[:], packet[:checksumAt], zero[:2], packet[checksumAt+2 : len(packet)-hmacLen], zero[:]} {
		key.Write(part)
	}
	n.sum = key.Sum(n.sum[:0])
	return n.sum[:hmacLen]
}

// Verify checks the trailer of a packet that Parse has decoded into a and that has passed Instance.Check. The cheap checks
// come first. A sequence number is stored only if the HMAC is valid.
func (n *Authenticator) Verify(packet []byte, a *Advert, source netip.Addr, now time.Time) DropReason {
	if !a.Signed {
		if n.settings.Mode == AuthEnforce {
			return DropAuthMissing
		}
		return NotDropped
	}
	source = source.WithZone("")
	trailer := packet[len(packet)-TrailerLen:]
	if trailer[0] != trailerSHA256 || trailer[2]|trailer[3] != 0 {
		return DropAuthMalformed
	}
	sequence := binary.BigEndian.Uint64(trailer[trailerSequence:])
	if n.settings.AntiReplay == ReplayByTime && !n.inWindow(sequence, now) {
		return DropAuthStale
	}
	key := n.keys[trailer[trailerKeyAt]]
	if key == nil {
		return DropAuthKeyUnknown
	}
	if !hmac.Equal(trailer[trailerHMACAt:], n.compute(key, packet, source)) {
		return DropAuthFailed
	}
	last, known := n.senders[source]
	// A number outside the window cannot be replayed. Ignoring it accepts a sender whose clock was set back.
	if known && n.settings.AntiReplay == ReplayByTime && !n.inWindow(last, now) {
		known = false
	}
	if known && int64(sequence-last) <= 0 {
		return DropAuthReplayed
	}
	n.remember(source, sequence)
	return NotDropped
}

// inWindow compares whole seconds, as keepalived does.
func (n *Authenticator) inWindow(sequence uint64, now time.Time) bool {
	difference := time.Duration(int32(uint32(now.Unix())-uint32(sequence>>32))) * time.Second
	return difference.Abs() <= n.settings.TimeWindow
}

// remember stores a sender's sequence number. If there are too many senders, it drops the one that was silent longest.
func (n *Authenticator) remember(source netip.Addr, sequence uint64) {
	if _, known := n.senders[source]; !known && len(n.senders) == maxSenders {
		var oldest netip.Addr
		for sender, last := range n.senders {
			if !oldest.IsValid() || int64(last-n.senders[oldest]) < 0 {
				oldest = sender
			}
		}
		delete(n.senders, oldest)
	}
	n.senders[source] = sequence
}

// authentication validates the auth_hmac settings.
func (v *validation) authentication(in *Instance) {
	a := in.AuthHMAC
	if a == nil {
		return
	}
	if in.AuthPass != "" {
		v.field("auth_hmac", "cannot be combined with auth_pass: remove auth_pass")
	}
	if len(a.Keys) == 0 {
		v.field("auth_hmac.key", "needs at least one key")
	}
	seen := map[uint8]bool{}
	for i, k := range a.Keys {
		key, err := hex.DecodeString(k.Secret.Reveal())
		switch {
		case k.ID == 0:
			v.element("auth_hmac.key", i, "the id must be 1 to 255")
		case seen[k.ID]:
			v.element("auth_hmac.key", i, "key %d is defined twice", k.ID)
		case err != nil:
			v.element("auth_hmac.key", i, "key %d needs an even number of hexadecimal digits", k.ID)
		case len(key) < MinAuthKey || len(key) > MaxAuthKey:
			v.element("auth_hmac.key", i, "key %d has %d bytes; it must have %d to %d: openssl rand -hex %d makes one",
				k.ID, len(key), MinAuthKey, MaxAuthKey, MinAuthKey)
		}
		seen[k.ID] = true
	}
	if len(a.Keys) > 0 && !seen[a.ActiveKey] {
		v.field("auth_hmac.active_key", "there is no key %d: define it, or write the id of a key that exists", a.ActiveKey)
	}
	switch a.AntiReplay {
	case ReplayByTime:
		if a.TimeWindow < time.Second || a.TimeWindow > MaxTimeWindow || a.TimeWindow%time.Second != 0 {
			v.field("auth_hmac.time_window", "must be 1s to %s in whole seconds", fmt.Sprint(int(MaxTimeWindow.Seconds()), "s"))
		}
	case ReplayBySequence:
	default:
		v.field("auth_hmac.anti_replay", "%q is unknown: write %q or %q", a.AntiReplay, ReplayByTime, ReplayBySequence)
	}
	switch a.Mode {
	case AuthReceiveOnly, AuthPermissive, AuthEnforce:
	default:
		v.field("auth_hmac.mode", "%q is unknown: write %q, %q or %q", a.Mode, AuthReceiveOnly, AuthPermissive, AuthEnforce)
	}
}
