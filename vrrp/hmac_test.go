package vrrp

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lvs-ha/lvs-ha/internal/secret"
)

// draftKey is the key of the wire images in the appendix of draft-cassen-vrrp-auth-hmac: the bytes 0 to 31.
func draftKey() secret.Text {
	key := make([]byte, MinAuthKey)
	for i := range key {
		key[i] = byte(i)
	}
	return hexKey(key)
}

func hexKey(key []byte) secret.Text { return secret.Text(hex.EncodeToString(key)) }

func draftSettings() AuthHMAC {
	return AuthHMAC{
		Keys: []AuthKey{{ID: 1, Secret: draftKey()}}, ActiveKey: 1,
		AntiReplay: ReplayByTime, TimeWindow: 5 * time.Second, Mode: AuthEnforce,
	}
}

// draftTime is the time in the sequence numbers of those images: 0x68000000 and a half seconds.
var draftTime = time.Unix(0x68000000, int64(500*time.Millisecond))

type signedImage struct {
	instance Instance
	env      Envelope
	wire     string
}

func draftImages() map[string]signedImage {
	settings := draftSettings()
	base := Instance{VirtualRouterID: 51, Version: 3, Priority: 200, AdvertiseInterval: time.Second, AuthHMAC: &settings}
	four, six := base, base
	four.Family, four.Addresses, four.Checksum = IPv4, prefixes("192.0.2.100/24"), ChecksumPacketOnly
	six.Family, six.Addresses = IPv6, prefixes("fe80::100/64")
	six.UnicastPeers = []netip.Addr{netip.MustParseAddr("fe80::10")}
	return map[string]signedImage{
		"IPv4": {four, Envelope{IPv4, netip.MustParseAddr("198.51.100.10"), MulticastAddress(IPv4), HopLimit},
			"3133c80100644402c0000264" + "010100006800000080000000" + "1b84bc4e8e43892dc6d98448f8ee2265"},
		"IPv6": {six, Envelope{IPv6, netip.MustParseAddr("fe80::10"), netip.MustParseAddr("fe80::20"), HopLimit},
			"3133c8010064a2e9" + "fe800000000000000000000000000100" + "010100006800000080000000" + "c8c56146ebfd66ee10ec4d8186461b78"},
	}
}

// image returns the bytes on the wire and the advert that Parse decodes from them.
func (i signedImage) image(t *testing.T) ([]byte, Advert) {
	t.Helper()
	wire, err := hex.DecodeString(i.wire)
	if err != nil {
		t.Fatal(err)
	}
	var a Advert
	if reason := Parse(wire, i.env, &a); reason != NotDropped || !a.Signed {
		t.Fatalf("dropped as %q, signed %v", reason, a.Signed)
	}
	return wire, a
}

func TestSignDraftImages(t *testing.T) {
	for name, image := range draftImages() {
		t.Run(name, func(t *testing.T) {
			want, _ := image.image(t)
			advert := image.instance.Advert(200)
			got, err := advert.Append(nil, image.env.Source, image.env.Destination)
			if err != nil {
				t.Fatal(err)
			}
			n := NewAuthenticator(*image.instance.AuthHMAC)
			n.Sign(got, n.Next(draftTime), image.env.Source, image.env.Destination)
			if !bytes.Equal(got, want) {
				t.Errorf("signed\n%x, want the draft's\n%x", got, want)
			}
		})
	}
}

func TestVerifyDraftImages(t *testing.T) {
	const headerV6 = headerLen + 16
	for _, tc := range []struct {
		name   string
		at     int // of the byte that is changed, in the image for IPv6; -1: none
		change func(*AuthHMAC, *Envelope, *time.Time)
		want   DropReason
	}{
		{"as sent", -1, nil, NotDropped},
		{"another priority", 2, nil, DropAuthFailed},
		{"another interval", 5, nil, DropAuthFailed},
		{"another address", headerLen + 15, nil, DropAuthFailed},
		{"another checksum, which the HMAC does not cover", checksumAt, nil, NotDropped},
		{"unknown trailer type", headerV6, nil, DropAuthMalformed},
		{"unknown key", headerV6 + trailerKeyAt, nil, DropAuthKeyUnknown},
		{"reserved bits", headerV6 + 3, nil, DropAuthMalformed},
		{"another second", headerV6 + trailerSequence + 3, nil, DropAuthFailed},
		{"another counter", headerV6 + trailerHMACAt - 1, nil, DropAuthFailed},
		{"another HMAC", headerV6 + trailerHMACAt, nil, DropAuthFailed},
		{"another sender", -1, func(_ *AuthHMAC, e *Envelope, _ *time.Time) { e.Source = netip.MustParseAddr("fe80::20") }, DropAuthFailed},
		{"another router", 1, nil, DropAuthFailed},
		{"another key", -1, func(a *AuthHMAC, _ *Envelope, _ *time.Time) { a.Keys[0].Secret = draftKey()[2:] + "20" }, DropAuthFailed},
		{"5 s late", -1, func(_ *AuthHMAC, _ *Envelope, now *time.Time) { *now = now.Add(5 * time.Second) }, NotDropped},
		{"6 s late", -1, func(_ *AuthHMAC, _ *Envelope, now *time.Time) { *now = now.Add(6 * time.Second) }, DropAuthStale},
		{"6 s early", -1, func(_ *AuthHMAC, _ *Envelope, now *time.Time) { *now = now.Add(-6 * time.Second) }, DropAuthStale},
		{"an hour late, by sequence", -1, func(a *AuthHMAC, _ *Envelope, now *time.Time) {
			a.AntiReplay, *now = ReplayBySequence, now.Add(time.Hour)
		}, NotDropped},
	} {
		t.Run(tc.name, func(t *testing.T) {
			image := draftImages()["IPv6"]
			wire, a := image.image(t)
			settings, env, now := draftSettings(), image.env, draftTime
			if tc.at >= 0 {
				wire[tc.at] ^= 1
			}
			if tc.change != nil {
				tc.change(&settings, &env, &now)
			}
			if got := NewAuthenticator(settings).Verify(wire, &a, env.Source, now); got != tc.want {
				t.Errorf("dropped as %q, want %q", got, tc.want)
			}
		})
	}
}

// byHand returns the HMAC-SHA256 as defined in RFC 2104 over the parts named in the draft, without package crypto/hmac.
func byHand(key, packet []byte, source netip.Addr) []byte {
	message := make([]byte, 20)
	message[0], message[1], message[2] = 6, packet[0]>>4, packet[1]
	if source.Is4() {
		message[0] = 4
	}
	copy(message[4:], source.AsSlice())
	message = append(message, packet[:len(packet)-hmacLen]...)
	message[20+checksumAt], message[20+checksumAt+1] = 0, 0
	message = append(message, make([]byte, hmacLen)...)
	inner, outer := bytes.Repeat([]byte{0x36}, sha256.BlockSize), bytes.Repeat([]byte{0x5c}, sha256.BlockSize)
	for i, b := range key {
		inner[i] ^= b
		outer[i] ^= b
	}
	first := sha256.Sum256(append(inner, message...))
	second := sha256.Sum256(append(outer, first[:]...))
	return second[:hmacLen]
}

func TestSignedAdvertsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawAdvert(t)
		want.Signed = true
		key := rapid.SliceOfN(rapid.Byte(), MinAuthKey, MaxAuthKey).Draw(t, "key")
		id := uint8(rapid.IntRange(1, 255).Draw(t, "key id"))
		settings := draftSettings()
		settings.Keys, settings.ActiveKey = []AuthKey{{ID: id, Secret: hexKey(key)}}, id
		env := Envelope{want.Family, drawAddr(t, want.Family, "source"), MulticastAddress(want.Family), HopLimit}
		wire, err := want.Append(nil, env.Source, env.Destination)
		if err != nil {
			t.Fatal(err)
		}
		if len(wire) > MaxPacketLen {
			t.Fatalf("%d bytes, more than MaxPacketLen", len(wire))
		}
		n := NewAuthenticator(settings)
		n.Sign(wire, n.Next(draftTime), env.Source, env.Destination)
		if got, want := wire[len(wire)-hmacLen:], byHand(key, wire, env.Source); !bytes.Equal(got, want) {
			t.Fatalf("HMAC %x, want %x", got, want)
		}
		var got Advert
		if reason := Parse(wire, env, &got); reason != NotDropped || !got.Signed {
			t.Fatalf("dropped as %q, signed %v", reason, got.Signed)
		}
		receiver := NewAuthenticator(settings)
		if reason := receiver.Verify(wire, &got, env.Source, draftTime.Add(time.Second)); reason != NotDropped {
			t.Fatalf("dropped as %q", reason)
		}
		if reason := receiver.Verify(wire, &got, env.Source, draftTime.Add(time.Second)); reason != DropAuthReplayed {
			t.Fatalf("sent again: dropped as %q", reason)
		}
	})
}

func TestAuthModesDuringRollout(t *testing.T) {
	var unsigned, signed Advert
	image := draftImages()["IPv4"]
	wire, signed := image.image(t)
	for _, mode := range []AuthMode{AuthReceiveOnly, AuthPermissive, AuthEnforce} {
		settings := draftSettings()
		settings.Mode = mode
		in := image.instance
		in.AuthHMAC = &settings
		if got, want := in.Advert(100).Signed, mode != AuthReceiveOnly; got != want {
			t.Errorf("%s: signs %v", mode, got)
		}
		want := NotDropped
		if mode == AuthEnforce {
			want = DropAuthMissing
		}
		n := NewAuthenticator(settings)
		if got := n.Verify(wire[:len(wire)-TrailerLen], &unsigned, image.env.Source, draftTime); got != want {
			t.Errorf("%s: without a trailer dropped as %q, want %q", mode, got, want)
		}
		if got := n.Verify(wire, &signed, image.env.Source, draftTime); got != NotDropped {
			t.Errorf("%s: with a trailer dropped as %q", mode, got)
		}
		wire[len(wire)-1] ^= 1
		if got := n.Verify(wire, &signed, image.env.Source, draftTime); got != DropAuthFailed {
			t.Errorf("%s: with a wrong trailer dropped as %q", mode, got)
		}
		wire[len(wire)-1] ^= 1
	}
	plain := image.instance
	plain.AuthHMAC = nil
	if got := plain.Check(&signed, image.env, netip.Addr{}); got != DropAuthType {
		t.Errorf("a router without keys drops as %q", got)
	}
}

func TestSequenceAfterClockChange(t *testing.T) {
	settings := draftSettings()
	n := NewAuthenticator(settings)
	first := n.Next(draftTime)
	if again := n.Next(draftTime); again != first+1 {
		t.Errorf("the next number at the same time is %x, want %x", again, first+1)
	}
	if back := n.Next(draftTime.Add(-4 * time.Second)); back != first+2 {
		t.Errorf("4 s back: %x, want %x", back, first+2)
	}
	if reset := n.Next(draftTime.Add(-time.Hour)); reset != sequenceAt(draftTime.Add(-time.Hour)) {
		t.Errorf("an hour back: %x is not the clock's, receivers would drop it", reset)
	}
	settings.AntiReplay = ReplayBySequence
	n = NewAuthenticator(settings)
	first = n.Next(draftTime)
	if back := n.Next(draftTime.Add(-time.Hour)); back != first+1 {
		t.Errorf("an hour back, by sequence: %x, want %x", back, first+1)
	}
}

// TestReceiverIgnoresSequencesOutsideWindow checks that a router whose clock was ahead is accepted again with the correct
// time.
func TestReceiverIgnoresSequencesOutsideWindow(t *testing.T) {
	image := draftImages()["IPv4"]
	wire, a := image.image(t)
	n := NewAuthenticator(draftSettings())
	n.senders[image.env.Source] = sequenceAt(draftTime.Add(time.Hour))
	if got := n.Verify(wire, &a, image.env.Source, draftTime); got != NotDropped {
		t.Errorf("dropped as %q", got)
	}
	if got := n.Verify(wire, &a, image.env.Source, draftTime); got != DropAuthReplayed {
		t.Errorf("sent again: dropped as %q", got)
	}
}

func TestSendersAreBounded(t *testing.T) {
	n := NewAuthenticator(draftSettings())
	for i := range 3 * maxSenders {
		n.remember(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), sequenceAt(draftTime.Add(time.Duration(i)*time.Second)))
	}
	if len(n.senders) != maxSenders {
		t.Errorf("%d senders, want %d", len(n.senders), maxSenders)
	}
	if _, ok := n.senders[netip.AddrFrom4([4]byte{192, 0, 2, 3*maxSenders - 1})]; !ok {
		t.Error("the last sender is forgotten")
	}
}
