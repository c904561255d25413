package healthcheck

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// tlsConfig makes the client's side of TLS. Its ServerName is empty if it is the server's address.
func tlsConfig(spec *TLSSpec, host string) (*tls.Config, error) {
	if spec == nil {
		spec = new(TLSSpec)
	}
	c := &tls.Config{
		ServerName:         spec.ServerName,
		InsecureSkipVerify: spec.SkipVerify,
		NextProtos:         []string{"http/1.1"},
		MinVersion:         tls.VersionTLS12,
	}
	if c.ServerName == "" {
		c.ServerName = withoutPort(host)
	}
	if spec.CAFile == "" || spec.SkipVerify {
		return c, nil
	}
	pem, err := os.ReadFile(spec.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read the certificate authorities: %w", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read the certificate authorities: %s holds no PEM certificate", spec.CAFile)
	}
	return c, nil
}

func withoutPort(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

// describeTLS names what a TLS handshake fails with, or returns "".
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
	if _, ok := errors.AsType[x509.SystemRootsError](err); ok {
		return "no system certificate authorities: install ca-certificates or set ca_file"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "certificate not acceptable"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "no TLS spoken there"
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
		return "certificate not acceptable: an issuer is no certificate authority"
	case x509.IncompatibleUsage:
		return "certificate not acceptable: not meant for servers"
	case x509.CANotAuthorizedForThisName, x509.NameConstraintsWithoutSANs:
		return "certificate not acceptable: its name is outside the authority's constraints"
	}
	return "certificate not acceptable"
}
