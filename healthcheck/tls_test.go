package healthcheck_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"testing"
	"time"

	. "github.com/lvs-ha/lvs-ha/healthcheck"
)

func httpsSpec(trust *TLS) Spec {
	spec := httpSpec(nil)
	spec.Check = &HTTPS{spec.Check.(*HTTP).Request, trust}
	return spec
}

func TestHTTPSCertificates(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	past, future := time.Now().Add(-time.Minute), time.Now().Add(time.Minute)
	good := ca.issue(t, nil)
	expired := ca.issue(t, func(c *x509.Certificate) { c.NotAfter = past })
	early := ca.issue(t, func(c *x509.Certificate) { c.NotBefore = future })
	client := ca.issue(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	named := ca.issue(t, func(c *x509.Certificate) { c.IPAddresses = nil })
	const unknown = "certificate signed by an unknown authority"
	for name, c := range map[string]struct {
		cert   tls.Certificate
		trust  *TLS
		ok     bool
		detail string
	}{
		"good, by address":    {good, &TLS{CAFile: File(ca.file), Authorities: ca.trusted}, true, "status 200"},
		"good, by name":       {named, &TLS{CAFile: File(ca.file), Authorities: ca.trusted, ServerName: "www.example.com"}, true, "status 200"},
		"default trust":       {good, nil, false, unknown},
		"another authority":   {good, &TLS{CAFile: File(stranger.file), Authorities: stranger.trusted}, false, unknown},
		"anything":            {expired, &TLS{SkipVerify: true}, true, "status 200"},
		"wrong name":          {good, &TLS{CAFile: File(ca.file), Authorities: ca.trusted, ServerName: "other.example.com"}, false, "certificate not valid for other.example.com"},
		"no address":          {named, &TLS{CAFile: File(ca.file), Authorities: ca.trusted}, false, "certificate not valid for 127.0.0.1"},
		"expired":             {expired, &TLS{CAFile: File(ca.file), Authorities: ca.trusted}, false, "certificate expired " + past.UTC().Format(time.RFC3339) + ""},
		"not yet valid":       {early, &TLS{CAFile: File(ca.file), Authorities: ca.trusted}, false, "certificate not valid before " + future.UTC().Format(time.RFC3339) + ""},
		"a client's":          {client, &TLS{CAFile: File(ca.file), Authorities: ca.trusted}, false, "certificate not acceptable: not issued for servers"},
		"skip without a file": {good, &TLS{SkipVerify: true, CAFile: "/none"}, true, "status 200"},
	} {
		t.Run(name, func(t *testing.T) {
			config := &tls.Config{Certificates: []tls.Certificate{c.cert}}
			server := serve(t, loopback, overTLS(config, answering(response(200, ""))))
			wantResult(t, check(t, httpsSpec(c.trust), server), c.ok, c.detail)
		})
	}
}

func TestHTTPSServerName(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.issue(t, nil)
	for _, c := range []struct {
		host, name, want string
	}{
		{"", "", ""}, // an address is not sent (RFC 6066 section 3)
		{"www.example.com", "", "www.example.com"},
		{"www.example.com:8443", "", "www.example.com"},
		{"other.example.com", "www.example.com", "www.example.com"},
	} {
		asked := make(chan string, 1)
		config := &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			asked <- h.ServerName
			return &cert, nil
		}}
		spec := httpsSpec(&TLS{CAFile: File(ca.file), Authorities: ca.trusted, ServerName: c.name})
		spec.Check.(*HTTPS).Host = c.host
		wantResult(t, check(t, spec, serve(t, loopback, overTLS(config, answering(response(200, ""))))), true, "status 200")
		if got := <-asked; got != c.want {
			t.Errorf("host %q, server_name %q: asked for %q, want %q", c.host, c.name, got, c.want)
		}
	}
}

func TestHTTPSWithoutTLS(t *testing.T) {
	spec := httpsSpec(&TLS{SkipVerify: true})
	plain := serve(t, loopback, func(c net.Conn) {
		_, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
		hold(c)
	})
	wantResult(t, check(t, spec, plain), false, "server does not speak TLS")
	if r := check(t, spec, serve(t, loopback, func(net.Conn) {})); r.OK || !strings.HasPrefix(r.Detail, "connection ") {
		t.Errorf("a server that hangs up: %+v", r)
	}

	config := &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	old := serve(t, loopback, overTLS(config, hold))
	wantResult(t, check(t, spec, old), false, "TLS alert received: protocol version not supported")

	spec.Timeout = 100 * time.Millisecond
	wantResult(t, check(t, spec, serve(t, loopback, hold)), false, "timeout after 100ms in the TLS handshake")
}

// TestHTTPSClosesProperly checks that a server that keeps the connection open receives a close_notify alert.
func TestHTTPSClosesProperly(t *testing.T) {
	ca := newAuthority(t)
	ended := make(chan error, 1)
	config := &tls.Config{Certificates: []tls.Certificate{ca.issue(t, nil)}}
	server := serve(t, loopback, overTLS(config, func(c net.Conn) {
		answering(response(200, ""))(c)
		_, err := c.Read(make([]byte, 1))
		ended <- err
	}))
	wantResult(t, check(t, httpsSpec(&TLS{CAFile: File(ca.file), Authorities: ca.trusted}), server), true, "status 200")
	if err := <-ended; err == nil || err.Error() != "EOF" {
		t.Errorf("the server sees %v", err)
	}
}

func TestBadAuthorities(t *testing.T) {
	if _, err := NewProbe(httpsSpec(&TLS{CAFile: "/etc/ca.pem"})); err == nil || !strings.Contains(err.Error(), "/etc/ca.pem") {
		t.Errorf("a file that was not read: %v", err)
	}
	if _, err := ParseAuthorities("no certificate\n"); err == nil {
		t.Error("a file without a certificate was accepted")
	}
}
