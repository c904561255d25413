package healthcheck_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	. "github.com/lvs-ha/lvs-ha/healthcheck"
)

// encoded returns a certificate and its key as PEM.
func encoded(t *testing.T, c tls.Certificate) (cert, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// TestClientCertificate checks that a server that requires one gets it, and that the key is not shown.
func TestClientCertificate(t *testing.T) {
	ca := newAuthority(t)
	clients := x509.NewCertPool()
	clients.AddCert(ca.cert)
	server := serve(t, loopback, overTLS(&tls.Config{
		Certificates: []tls.Certificate{ca.issue(t, nil)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
	}, answering(response(200, "hello"))))
	spec := func(cert tls.Certificate) Spec {
		trust := &TLS{CAFile: File(ca.file), Authorities: ca.trusted, CertFile: "/etc/client.pem"}
		if err := trust.Identify(encoded(t, cert)); err != nil {
			t.Fatal(err)
		}
		s := httpsSpec(trust)
		s.Timeout = 10 * time.Second
		return s
	}
	ours := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }
	good := spec(ca.issue(t, ours))
	wantResult(t, check(t, good, server), true, "status 200")
	if r := check(t, spec(newAuthority(t).issue(t, ours)), server); r.OK || r.Local {
		t.Errorf("with a stranger's certificate: %+v", r)
	}
	if r := check(t, httpsSpec(&TLS{CAFile: File(ca.file), Authorities: ca.trusted}), server); r.OK || r.Local {
		t.Errorf("without a certificate: %+v", r)
	}
	if _, err := NewProbe(httpsSpec(&TLS{CertFile: "/etc/client.pem"})); err == nil || !strings.Contains(err.Error(), "/etc/client.pem") {
		t.Errorf("a file that was not read: %v", err)
	}
	if err := new(TLS).Identify("no", "PEM"); err == nil {
		t.Error("something that is not PEM was taken")
	}
	shown, err := json.Marshal(good.Redacted())
	if said := fmt.Sprintf("%s %+v %v", shown, good, good.Check); err != nil || strings.Contains(said, "PRIVATE") {
		t.Errorf("%v; the key is shown: %s", err, said)
	}
	other := spec(ca.issue(t, ours))
	if other.Equal(good) {
		t.Error("another certificate, and the same check")
	}
	faults := (&TCP{TLS: &TLS{KeyFile: "/etc/key.pem"}}).Faults()
	if len(faults) != 1 || faults[0].Setting != "tls.key_file" {
		t.Errorf("a key without a certificate: %v", faults)
	}
}
