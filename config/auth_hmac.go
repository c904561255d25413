package config

import (
	"encoding/hex"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/lvs-ha/lvs-ha/internal/secret"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// authHMACBlock is an `auth_hmac` block within a `vrrp` block.
type authHMACBlock struct {
	At         hcl.Range           `hcl:",def_range"`
	ActiveKey  attr[int64]         `hcl:"active_key,attr" range:"1..255"`
	AntiReplay attr[string]        `hcl:"anti_replay,optional" default:"time" oneof:"time|monotonic"`
	TimeWindow attr[time.Duration] `hcl:"time_window,optional" unset:"three intervals, at least 5s" range:"1s..300s"`
	Mode       attr[string]        `hcl:"mode,optional" default:"enforce" oneof:"enforce|permissive|receive-only"`
	Keys       []*authKeyBlock     `hcl:"key,block"`
}

// authKeyBlock is a `key` block within an `auth_hmac` block.
type authKeyBlock struct {
	At     hcl.Range         `hcl:",def_range"`
	ID     attr[int64]       `hcl:"id,label" range:"1..255"`
	Secret attr[secret.Text] `hcl:"secret,optional" unset:"none: file is required" holds:"32 to 64 bytes, or hex: and 64 to 128 digits"`
	File   attr[string]      `hcl:"file,optional" unset:"none: secret is required"`

	key secret.Text
	ok  bool
}

// settings makes the plain values; nil without a block.
func (b *authHMACBlock) settings(interval time.Duration) *vrrp.AuthHMAC {
	if b == nil {
		return nil
	}
	a := &vrrp.AuthHMAC{
		ActiveKey:  uint8(b.ActiveKey.value),
		AntiReplay: vrrp.AntiReplay(b.AntiReplay.value),
		TimeWindow: b.TimeWindow.value,
		Mode:       vrrp.AuthMode(b.Mode.value),
	}
	if !b.TimeWindow.isSet() {
		a.TimeWindow = min(max(3*interval, minTimeWindow), vrrp.MaxTimeWindow).Truncate(time.Second)
	}
	for _, k := range b.Keys {
		a.Keys = append(a.Keys, vrrp.AuthKey{ID: uint8(k.ID.value), Secret: k.key})
	}
	return a
}

// minTimeWindow is the least default of time_window, as keepalived's.
const minTimeWindow = 5 * time.Second

// placeOf finds what a message of package vrrp is about; false if that is broken.
func (b *authHMACBlock) placeOf(e vrrp.FieldError) (hcl.Range, bool) {
	keys := true
	for _, k := range b.Keys {
		keys = keys && k.ok
	}
	switch {
	case e.Index >= 0:
		k := b.Keys[e.Index]
		return k.At, k.ok
	case e.Field == "auth_hmac.active_key":
		return b.ActiveKey.at(), b.ActiveKey.isOK() && keys
	case e.Field == "auth_hmac.time_window":
		return b.TimeWindow.at(), b.TimeWindow.isOK()
	}
	return b.At, true
}

// maxAuthKeyFile bounds a file with a key: "hex:", two digits a byte and some white space.
const maxAuthKeyFile = 256

// readAuthKeys takes the keys of auth_hmac blocks from their attributes or files.
func readAuthKeys(f *file, s *source) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, v := range f.VRRP {
		if v.AuthHMAC == nil {
			continue
		}
		for _, k := range v.AuthHMAC.Keys {
			diags = append(diags, k.read(s)...)
		}
	}
	return diags
}

func (k *authKeyBlock) read(s *source) hcl.Diagnostics {
	if !k.ID.isOK() || !k.Secret.isOK() || !k.File.isOK() {
		return nil
	}
	at, text := k.Secret.at(), k.Secret.value.Reveal()
	switch {
	case k.Secret.isSet() == k.File.isSet():
		return hcl.Diagnostics{problem(k.At, "Invalid key", "Write either secret or file. openssl rand -hex 32 makes a key: secret = \"hex:…\".")}
	case k.File.isSet():
		at = k.File.at()
		name := k.File.value
		if !filepath.IsAbs(name) {
			name = filepath.Join(s.directory, name)
		}
		content, err := s.disk.read(name, maxAuthKeyFile)
		switch {
		case err != nil:
			return hcl.Diagnostics{problem(at, "Cannot read the key", "%s.", err)}
		case len(content) > maxAuthKeyFile:
			return hcl.Diagnostics{problem(at, "Cannot read the key", "%s is larger than %d bytes.", name, maxAuthKeyFile)}
		}
		text = strings.TrimRight(string(content), "\r\n")
	}
	digits, isHex := strings.CutPrefix(text, "hex:")
	if !isHex {
		digits = hex.EncodeToString([]byte(text))
	}
	if _, err := hex.DecodeString(digits); err != nil {
		return hcl.Diagnostics{problem(at, "Invalid key", "hex: must be followed by an even number of hexadecimal digits.")}
	}
	k.key, k.ok = secret.Text(digits), true
	return nil
}
