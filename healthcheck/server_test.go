package healthcheck_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	. "github.com/lvs-ha/lvs-ha/healthcheck"
)

// listen listens on a loopback address. It skips the test if the address is IPv6 and this host has no IPv6.
func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.EAFNOSUPPORT) {
		t.Skipf("this machine has no IPv6: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// serve accepts connections on a new listener and passes each to handle, which need not close it.
func serve(t *testing.T, address string, handle func(net.Conn)) netip.AddrPort {
	t.Helper()
	ln := listen(t, address)
	var handlers sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	handlers.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			handlers.Go(func() {
				defer func() {
					_ = c.Close()
					mu.Lock()
					delete(open, c)
					mu.Unlock()
				}()
				handle(c)
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		mu.Lock()
		for c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		handlers.Wait()
	})
	return netip.MustParseAddrPort(ln.Addr().String())
}

const loopback = "127.0.0.1:0"

// request reads a request, or returns nil if there is none.
func request(c net.Conn) *http.Request {
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return nil
	}
	return r
}

// answering reads a request and sends a response, after which the connection is closed.
func answering(response string) func(net.Conn) {
	return func(c net.Conn) {
		if request(c) != nil {
			_, _ = c.Write([]byte(response))
		}
	}
}

// hold keeps the connection open until the other side closes it or the test ends.
func hold(c net.Conn) {
	var b [512]byte
	for {
		if _, err := c.Read(b[:]); err != nil {
			return
		}
	}
}

// check runs one check with a scheduler, again if this host has stalled.
func check(t *testing.T, spec Spec, server netip.AddrPort) Result {
	t.Helper()
	if spec.Timeout == 0 {
		spec.Timeout = 5 * time.Second
	}
	if _, err := NewProbe(spec); err != nil {
		t.Fatal(err)
	}
	spec.Interval = time.Hour
	for {
		events := make(chan Event, 1)
		s := NewScheduler(Options{Report: func(e Event) { events <- e }})
		if err := s.Update([]Target{NewTarget(server.Addr(), server.Port(), spec)}); err != nil {
			t.Fatal(err)
		}
		stop := start(t, s)
		e := <-events
		stop()
		if !e.Stalled {
			return e.Result
		}
	}
}

func wantResult(t *testing.T, got Result, ok bool, detail string) {
	t.Helper()
	if got.OK != ok || got.Detail != detail || got.Local {
		t.Errorf("got %+v, want OK %v with detail %q", got, ok, detail)
	}
	if (got.Reason == "") != ok {
		t.Errorf("got %+v: what fails has a reason, and only that", got)
	}
}

// authority is a certificate authority for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string

	trusted *Authorities // its certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	cert := signed(t, template, template, key, key)
	trusted, err := ParseAuthorities(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})))
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key, "/etc/ca.pem", trusted}
}

// issue issues a server certificate; change may be nil.
func (a *authority) issue(t *testing.T, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "test server"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"www.example.com"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(template)
	}
	key := newKey(t)
	cert := signed(t, template, a.cert, key, a.key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func signed(t *testing.T, template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// overTLS handles a connection as a TLS server.
func overTLS(config *tls.Config, handle func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		secured := tls.Server(c, config)
		if secured.Handshake() == nil {
			handle(secured)
			_ = secured.Close()
		}
	}
}
