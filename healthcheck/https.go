package healthcheck

// HTTPS is a check that sends an HTTP request over TLS.
type HTTPS struct {
	Request `json:"http"`
	TLS     *TLS `hcl:"tls,block" json:"tls,omitempty"`
}

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
func (c *HTTPS) Redacted() Check { return &HTTPS{c.Request.redacted(), c.TLS.redacted()} }

// Security implements Secured.
func (c *HTTPS) Security() *TLS { return c.TLS }
