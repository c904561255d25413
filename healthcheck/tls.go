package healthcheck

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// tlsConfig returns the TLS client configuration. Its ServerName is empty if it is the server's address.
func tlsConfig(spec *TLS, host string, protocols ...string) (*tls.Config, error) {
	if spec == nil {
		spec = new(TLS)
	}
	c := &tls.Config{
		ServerName:         spec.ServerName,
		InsecureSkipVerify: true, // verify does this, unless the spec disables it
		NextProtos:         protocols,
		MinVersion:         tls.VersionTLS12,
	}
	if c.ServerName == "" {
		c.ServerName = withoutPort(host)
	}
	var err error
	if c.Certificates, err = spec.certificates(); err != nil {
		return nil, err
	}
	if spec.CAFile == "" || spec.SkipVerify {
		return c, nil
	}
	if spec.Authorities == nil {
		return nil, fmt.Errorf("%s has not been read", spec.CAFile)
	}
	c.RootCAs = spec.Authorities.pool
	return c, nil
}

// Limits of a server's certificates. The verification of a chain cannot be interrupted: a chain of 150 certificates with
// P-521 signatures takes 280 ms, one of 16 takes 50 ms.
const (
	maxHandshake = 64 << 10 // bytes read during the handshake
	maxChain     = 16       // certificates
	shortChain   = 4        // certificates; verified without waiting for a turn
)

var errLongHandshake = errors.New("TLS handshake too long")

// handshake is a connection that limits the bytes read before the handshake is complete.
type handshake struct {
	*conn
	left int
	over bool
}

// Read implements net.Conn.
func (h *handshake) Read(b []byte) (int, error) {
	if h.over {
		return h.conn.Read(b)
	}
	if h.left <= 0 {
		return 0, errLongHandshake
	}
	n, err := h.conn.Read(b[:min(len(b), h.left)])
	h.left -= n
	return n, err
}

// secure performs the handshake, and verifies the server's certificate unless skipVerify.
func secure(ctx context.Context, raw *conn, config *tls.Config, skipVerify bool) (*tls.Conn, error) {
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName = raw.remote.Addr().Unmap().WithZone("").String()
	}
	h := &handshake{conn: raw, left: maxHandshake}
	secured := tls.Client(h, config)
	// No context is needed: raw is closed when ctx ends.
	if err := secured.HandshakeContext(context.Background()); err != nil {
		return nil, err
	}
	h.over = true
	if skipVerify {
		return secured, nil
	}
	return secured, verify(ctx, secured.ConnectionState().PeerCertificates, config)
}

// verify verifies a server's certificates as package tls does. It verifies one long chain at a time.
func verify(ctx context.Context, chain []*x509.Certificate, config *tls.Config) error {
	if len(chain) > maxChain {
		return &tls.CertificateVerificationError{UnverifiedCertificates: chain, Err: errors.New("too many certificates")}
	}
	options := x509.VerifyOptions{Roots: config.RootCAs, DNSName: config.ServerName, Intermediates: x509.NewCertPool()}
	for _, c := range chain[1:] {
		options.Intermediates.AddCert(c)
	}
	if len(chain) > shortChain {
		if err := longWork.take(ctx); err != nil {
			return errLongWork
		}
		defer longWork.pass()
		defer func(began time.Time) { longWork.rest(time.Since(began)) }(time.Now())
	}
	if _, err := chain[0].Verify(options); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: chain, Err: err}
	}
	return nil
}

// Authorities are certificate authorities trusted by checks.
type Authorities struct {
	pem  string
	pool *x509.CertPool
}

// ParseAuthorities parses PEM certificates.
func ParseAuthorities(pem string) (*Authorities, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(pem)) {
		return nil, errors.New("the file contains no PEM certificate")
	}
	return &Authorities{pem, pool}, nil
}

// Equal reports whether both have the same certificates.
func (a *Authorities) Equal(b *Authorities) bool {
	return a == b || a != nil && b != nil && a.pem == b.pem
}

func withoutPort(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

// describeTLS describes why a TLS handshake failed, or returns "" for other errors.
func describeTLS(err error) string {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return describeInvalid(invalid)
	}
	if host, ok := errors.AsType[x509.HostnameError](err); ok {
		return "certificate not valid for " + host.Host
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "certificate signed by an unknown authority"
	}
	if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		if n := len(bad.UnverifiedCertificates); n > maxChain {
			return fmt.Sprintf("certificate not acceptable: %d certificates, at most %d", n, maxChain)
		}
		return "certificate not acceptable"
	}
	if errors.Is(err, errLongHandshake) {
		return fmt.Sprintf("TLS handshake over %d KiB", maxHandshake>>10)
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "server does not speak TLS"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return "TLS alert received: " + strings.TrimPrefix(op.Err.Error(), "tls: ")
	}
	return ""
}

func describeInvalid(e x509.CertificateInvalidError) string {
	switch e.Reason {
	case x509.Expired: // or not valid yet
		if time.Now().Before(e.Cert.NotBefore) {
			return "certificate not valid before " + e.Cert.NotBefore.UTC().Format(time.RFC3339)
		}
		return "certificate expired " + e.Cert.NotAfter.UTC().Format(time.RFC3339)
	case x509.NotAuthorizedToSign:
		return "certificate not acceptable: an issuer is not a certificate authority"
	case x509.IncompatibleUsage:
		return "certificate not acceptable: not issued for servers"
	case x509.CANotAuthorizedForThisName, x509.NameConstraintsWithoutSANs:
		return "certificate not acceptable: its name is outside the authority's constraints"
	}
	return "certificate not acceptable"
}
