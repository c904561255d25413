package healthcheck

import "net/netip"

// HTTPS is a check that sends an HTTP request over TLS.
type HTTPS struct {
	Request `json:"http"`
	TLS     *TLS `hcl:"tls,block" json:"tls,omitempty"`
}

// TLS has the TLS parameters of an HTTPS check.
type TLS struct {
	SkipVerify bool   `hcl:"skip_verify,optional" default:"false" json:"skip_verify,omitempty"`                // accept any certificate
	ServerName string `hcl:"server_name,optional" unset:"host, else the address" json:"server_name,omitempty"` // SNI and name to verify
	CAFile     File   `hcl:"ca_file,optional" unset:"the system's authorities" json:"ca_file,omitempty"`       // PEM

	Authorities *Authorities `json:"-"` // the contents of CAFile, since a check does not read files
}

// File is the path of a file, relative to the configuration's directory.
type File string

func newHTTPS() Check { return &HTTPS{Request: defaultRequest(), TLS: new(TLS)} }

// Kind implements Check.
func (*HTTPS) Kind() Kind { return "https" }

// Faults implements Check.
func (c *HTTPS) Faults() []Fault { return append(c.Request.faults(), c.TLS.faults()...) }

// Probe implements Check.
func (c *HTTPS) Probe(s Setup) (Probe, error) {
	check, err := c.compile(s)
	if err != nil {
		return nil, err
	}
	check.port = 443
	check.skipVerify = c.TLS != nil && c.TLS.SkipVerify
	if check.tls, err = tlsConfig(c.TLS, check.host, check.protocol()); err != nil {
		return nil, err
	}
	return check.probe, nil
}

// AppendIdentity implements Check.
func (c *HTTPS) AppendIdentity(b []byte) []byte {
	return c.TLS.appendIdentity(c.Request.appendIdentity(b))
}

// Redacted implements Check.
func (c *HTTPS) Redacted() Check { return &HTTPS{c.Request.redacted(), c.TLS} }

// AuthoritiesFile implements Truster.
func (c *HTTPS) AuthoritiesFile() (name, setting string) { return c.TLS.authoritiesFile() }

// Trust implements Truster.
func (c *HTTPS) Trust(a *Authorities) {
	if c.TLS != nil {
		c.TLS.Authorities = a
	}
}

func (t *TLS) authoritiesFile() (name, setting string) {
	if t == nil || t.SkipVerify {
		return "", ""
	}
	return string(t.CAFile), "tls.ca_file"
}

func (t *TLS) appendIdentity(b []byte) []byte {
	if t == nil {
		return appendInts(b, 0)
	}
	verify := 1
	if t.SkipVerify {
		verify = 2
	}
	return appendText(appendText(appendInts(b, verify), t.ServerName), string(t.CAFile))
}

func (t *TLS) faults() []Fault {
	if t == nil || t.ServerName == "" || isHostName(t.ServerName) {
		return nil
	}
	if _, err := netip.ParseAddr(t.ServerName); err == nil {
		return nil
	}
	return []Fault{fault("tls.server_name", "%s is not a name that a certificate can have. Write a host name or an address, without a port; "+
		"write international names in their ASCII form, as \"xn--bcher-kva.example\".", quote(t.ServerName))}
}
