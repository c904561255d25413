package config

import (
	"net/netip"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// API is the `api` block: who may use the API besides root on this host.
type API struct {
	Group  string      `json:"group,omitempty"` // members may read through the Unix socket; empty means lvs-ha if it exists
	Listen []APIListen `json:"listen,omitempty"`
}

// APIListen is a `listen` block: a TCP address where the API is available.
type APIListen struct {
	Address     netip.AddrPort `json:"address"`
	Certificate string         `json:"certificate,omitempty"` // path of a PEM file; empty means without TLS
	Key         string         `json:"key,omitempty"`         // path of a PEM file
	ClientCA    string         `json:"client_ca,omitempty"`   // path of a PEM file; clients without a certificate of it need the token
	Token       string         `json:"token,omitempty"`       // path
	Write       bool           `json:"write,omitempty"`       // clients may also change something
}

// apiBlock is the `api` block.
type apiBlock struct {
	At     hcl.Range         `hcl:",def_range"`
	Group  attr[string]      `hcl:"group,optional" unset:"lvs-ha, if it exists"`
	Listen []*apiListenBlock `hcl:"listen,block"`
}

// apiListenBlock is a `listen` block.
type apiListenBlock struct {
	At          hcl.Range      `hcl:",def_range"`
	Address     attr[endpoint] `hcl:"address,label"`
	Certificate attr[string]   `hcl:"certificate_file,optional" unset:"no TLS"`
	Key         attr[string]   `hcl:"key_file,optional" unset:"certificate_file"`
	ClientCA    attr[string]   `hcl:"client_ca_file,optional" unset:"no client certificates"`
	Token       attr[string]   `hcl:"token_file,optional" unset:"no token"`
	Write       attr[bool]     `hcl:"write,optional" default:"false"`
}

func (b *apiBlock) config() API {
	api := API{Group: b.Group.value}
	for _, l := range b.Listen {
		listen := APIListen{
			Address: netip.AddrPortFrom(l.Address.value.address, l.Address.value.port), Certificate: l.Certificate.value, Key: l.Key.value,
			ClientCA: l.ClientCA.value, Token: l.Token.value, Write: l.Write.value,
		}
		if listen.Key == "" {
			listen.Key = listen.Certificate
		}
		api.Listen = append(api.Listen, listen)
	}
	return api
}

// minAPIPort is the first port for which a process needs no privileges.
const minAPIPort = 1024

// apiAccess refuses listeners that would give strangers access.
func apiAccess(f *file) hcl.Diagnostics {
	if f.API == nil {
		return nil
	}
	var diags hcl.Diagnostics
	if g := &f.API.Group; g.isSet() && (g.value == "" || strings.ContainsFunc(g.value, isNoNameRune)) {
		diags = append(diags, problem(g.at(), "Invalid group", "%q is not the name of a group. Write one such as \"adm\".", g.value))
	}
	seen := map[netip.AddrPort]hcl.Range{}
	for _, l := range f.API.Listen {
		diags = append(diags, l.problems()...)
		address := netip.AddrPortFrom(l.Address.value.address, l.Address.value.port)
		if first, duplicate := seen[address]; duplicate && l.Address.isOK() {
			diags = append(diags, problem(l.Address.at(), "Duplicate address", "The API already listens on %s, at %s. Remove one of them.", address, where(first)))
		}
		seen[address] = l.Address.at()
	}
	return diags
}

func (b *apiListenBlock) problems() hcl.Diagnostics {
	var diags hcl.Diagnostics
	refuse := func(at hcl.Range, summary, detail string, args ...any) {
		diags = append(diags, problem(at, summary, detail, args...))
	}
	for name, a := range map[string]*attr[string]{
		"certificate_file": &b.Certificate, "key_file": &b.Key, "client_ca_file": &b.ClientCA, "token_file": &b.Token,
	} {
		if a.isSet() && !filepath.IsAbs(a.value) {
			refuse(a.at(), "Invalid "+name, "%q is not an absolute path. Write one such as \"/etc/lvs-ha/api.pem\".", a.value)
		}
	}
	tls, authenticated := b.Certificate.isSet(), b.ClientCA.isSet() || b.Token.isSet()
	loopback := b.Address.value.address.IsLoopback()
	switch {
	case !b.Address.isOK():
	case !b.Address.value.hasPort || b.Address.value.port < minAPIPort:
		refuse(b.Address.at(), "Invalid address", "The API needs a port from %d, since lvs-ha gives up the privilege to use a lower one. Write an address such as \"%s\".",
			minAPIPort, netip.AddrPortFrom(b.Address.value.address, 9180))
	case !loopback && !tls:
		refuse(b.Address.at(), "API without TLS", "Only on a loopback address may the API be used without TLS. Set certificate_file, or write \"127.0.0.1:%d\".", b.Address.value.port)
	case !loopback && !authenticated:
		refuse(b.Address.at(), "API for everybody", "Only on a loopback address may the API be used without a client certificate or a token. Set client_ca_file or token_file.")
	}
	if b.Key.isSet() && !tls {
		refuse(b.Key.at(), "Key without a certificate", "A key_file is of no use without a certificate_file. Set that too, or remove this.")
	}
	if b.ClientCA.isSet() && !tls {
		refuse(b.ClientCA.at(), "Client certificates without TLS", "Clients have certificates with TLS only. Set certificate_file, or remove client_ca_file.")
	}
	if b.Write.value && !authenticated {
		refuse(b.Write.at(), "Write access for everybody", "Clients that may change something need a certificate or a token. Set client_ca_file or token_file, or remove write.")
	}
	return diags
}
