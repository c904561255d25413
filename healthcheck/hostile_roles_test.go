package healthcheck_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	cryptorand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// cutOff counts the truncated answers, each of which is truncated at a different position.
var cutOff atomic.Int64

// answers are what the servers of a hostile farm send. Each function responds to a request that was read, until an error.
var answers = []struct {
	name  string
	tls   bool
	write func(w io.Writer) error
}{
	{"good", false, func(w io.Writer) error { return send(w, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhealthy\n") }},
	{"good by TLS", true, func(w io.Writer) error { return send(w, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhealthy\n") }},
	{"nothing", false, func(io.Writer) error { return errHold }},
	{"byte by byte", false, func(w io.Writer) error {
		pace := time.Tick(20 * time.Millisecond)
		for _, b := range []byte("HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 1000)) {
			if _, err := w.Write([]byte{b}); err != nil {
				return err
			}
			<-pace
		}
		return nil
	}},
	{"headers without end", false, forever("HTTP/1.1 200 OK\r\n", strings.Repeat("X-A: bbbbbbbbbbbbbbbbbbbb\r\n", 1000))},
	{"a header without end", false, forever("HTTP/1.1 200 OK\r\nX: ", strings.Repeat("a", 64<<10))},
	{"different headers, and then nothing", false, func(w io.Writer) error {
		return holdAfter(send(w, "HTTP/1.1 200 OK\r\n"+manyHeaders(60<<10)))
	}},
	{"different headers, and then a body that does not come", false, func(w io.Writer) error {
		return holdAfter(send(w, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n"+manyHeaders(60<<10)+"\r\n"))
	}},
	{"a body without end", false, forever("HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("a", 64<<10))},
	{"nearly 1 MiB, and then nothing", false, func(w io.Writer) error {
		return holdAfter(send(w, "HTTP/1.1 200 OK\r\n\r\n"+strings.Repeat("a", 1<<20-100)))
	}},
	{"chunks of a byte", false, forever("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", strings.Repeat("1;x="+strings.Repeat("y", 200)+"\r\na\r\n", 300))},
	{"interim responses without end", false, forever("", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 100))},
	{"garbage", false, func(w io.Writer) error {
		b := make([]byte, 4096)
		_, _ = cryptorand.Read(b)
		return forever("", string(b))(w)
	}},
	{"parts of a response", false, func(w io.Writer) error {
		all := "HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n" + strings.Repeat("x", 300)
		return send(w, all[:int(cutOff.Add(37))%len(all)])
	}},
	{"a long chain", true, func(w io.Writer) error { return send(w, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhealthy\n") }},
	{"half of a long chain", true, nil},
	{"a body without end by TLS", true, forever("HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("a", 64<<10))},
}

var errHold = errors.New("say no more")

// holdAfter keeps the connection open after a response was sent.
func holdAfter(err error) error {
	if err != nil {
		return err
	}
	return errHold
}

func send(w io.Writer, text string) error {
	_, err := io.WriteString(w, text)
	return err
}

func forever(beginning, filler string) func(io.Writer) error {
	return func(w io.Writer) error {
		err := send(w, beginning)
		for err == nil {
			err = send(w, filler)
		}
		return err
	}
}

func manyHeaders(size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "%x:\r\n", i)
	}
	return b.String()
}

// hostileServer returns an address of the i-th server that gives an answer.
func hostileServer(answer, i int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 77, byte(answer), byte(i + 1)})
}

// playHostile runs a farm of servers whose address selects the answer.
func playHostile() {
	ln, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	short, long := makeChain(0), makeChain(longChain)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			a := answers[netip.MustParseAddrPort(c.LocalAddr().String()).Addr().As4()[2]]
			chain := short
			if strings.Contains(a.name, "chain") {
				chain = long
			}
			go serveHostile(c, a.tls, chain, a.write)
		}
	}()
	answer(func() usage {
		return usage{RSS: residentBytes("self"), Port: netip.MustParseAddrPort(ln.Addr().String()).Port()}
	})
}

const longChain = 200 // authorities

// serveHostile responds on a connection, or stops in the middle of the certificates if it has no answer.
func serveHostile(conn net.Conn, secured bool, chain tls.Certificate, write func(io.Writer) error) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if write == nil {
		conn = &cutConn{Conn: conn, left: len(bytes.Join(chain.Certificate, nil)) / 2}
	}
	if secured {
		conn = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{chain}})
	}
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		if line == "\r\n" {
			break
		}
	}
	if errors.Is(write(conn), errHold) {
		_, _ = in.ReadByte()
	}
}

// cutConn sends a limited number of bytes, then keeps the connection open.
type cutConn struct {
	net.Conn
	left int
}

func (c *cutConn) Write(b []byte) (int, error) {
	if c.left -= len(b); c.left < 0 {
		_, _ = c.Conn.Read(make([]byte, 1))
		return 0, errHold
	}
	return c.Conn.Write(b)
}

// makeChain creates a certificate with n authorities above it.
func makeChain(n int) tls.Certificate {
	var chain tls.Certificate
	var parent *x509.Certificate
	for i := range n + 1 {
		key, err := ecdsa.GenerateKey(elliptic.P256(), cryptorand.Reader)
		if err != nil {
			panic(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: fmt.Sprint(i)},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: i < n, BasicConstraintsValid: true,
			KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
		by := key
		if parent == nil {
			parent = template
		} else {
			by = chain.PrivateKey.(*ecdsa.PrivateKey)
		}
		der, err := x509.CreateCertificate(cryptorand.Reader, template, parent, &key.PublicKey, by)
		if err != nil {
			panic(err)
		}
		if parent, err = x509.ParseCertificate(der); err != nil {
			panic(err)
		}
		chain.PrivateKey = key
		chain.Certificate = append([][]byte{der}, chain.Certificate...)
	}
	return chain
}
