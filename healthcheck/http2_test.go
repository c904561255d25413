package healthcheck_test

import (
	"bytes"
	"crypto/md5"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	. "github.com/lvs-ha/lvs-ha/healthcheck"
)

// serveTwo runs package net/http's server, with HTTP/2 only; over TLS if there is a certificate.
func serveTwo(t *testing.T, cert *tls.Certificate, handler http.HandlerFunc) netip.AddrPort {
	t.Helper()
	ln := listen(t, loopback)
	server := &http.Server{Handler: handler, Protocols: new(http.Protocols), ErrorLog: log.New(io.Discard, "", 0)}
	ended := make(chan struct{})
	if cert == nil {
		server.Protocols.SetUnencryptedHTTP2(true)
		go func() { defer close(ended); _ = server.Serve(ln) }()
	} else {
		server.Protocols.SetHTTP2(true)
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*cert}}
		go func() { defer close(ended); _ = server.ServeTLS(ln, "", "") }()
	}
	t.Cleanup(func() {
		_ = server.Close()
		<-ended
	})
	return netip.MustParseAddrPort(ln.Addr().String())
}

// describing answers with what it received, in the form of the test below.
func describing(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	w.Header().Set("X-Weight", "40")
	_, _ = fmt.Fprintf(w, "%s %s %s %s %s %s %s", r.Proto, r.Method, r.Host, r.RequestURI, user, password, r.Header.Get("X-Name"))
}

func TestHTTP2(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.issue(t, nil)
	request := Request{
		Version: "2", Path: "/a?b=c", Host: "www.example.com", User: "probe", Password: "hunter22", Header: []Header{{Name: "X-Name", Value: "v"}},
		Body: "^HTTP/2.0 GET www.example.com /a.b=c probe hunter22 v$",
	}
	trust := &TLS{CAFile: File(ca.file), Authorities: ca.trusted}
	for name, c := range map[string]struct {
		check  Check
		server netip.AddrPort
	}{
		"h2c": {&HTTP{request}, serveTwo(t, nil, describing)},
		"h2":  {&HTTPS{request, trust}, serveTwo(t, &cert, describing)},
	} {
		spec := Spec{Check: c.check, Timeout: 10 * time.Second, Weight: &Weight{Header: "X-Weight"}}
		got := check(t, spec, c.server)
		wantResult(t, got, true, "status 200")
		if got.Advice != (Advice{Unit: Weights, Number: 40}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	two := Request{Version: "2", Path: "/"}
	for name, c := range map[string]struct {
		server netip.AddrPort
		detail string
	}{
		"status":   {serveTwo(t, nil, http.NotFound), "status 404, want 200-299"},
		"HTTP/1":   {serve(t, loopback, saying("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")), "server does not speak HTTP/2"},
		"pings":    {serve(t, loopback, framed(func(f *http2.Framer) error { return f.WritePing(false, [8]byte{}) })), "the server does not get to the response"},
		"settings": {serve(t, loopback, framed(func(f *http2.Framer) error { return f.WriteSettings() })), "the server does not get to the response"},
		"interims": {serve(t, loopback, framed(func(f *http2.Framer) error { return header(f, false, ":status", "100") })), "the server does not get to the response"},
		"reset":    {serve(t, loopback, framed(func(f *http2.Framer) error { return f.WriteRSTStream(1, http2.ErrCodeRefusedStream) })), "the server refused the request"},
		"going":    {serve(t, loopback, framed(func(f *http2.Framer) error { return f.WriteGoAway(0, http2.ErrCodeNo, nil) })), "the server refused the request"},
		"early":    {serve(t, loopback, framed(func(f *http2.Framer) error { return f.WriteData(1, false, nil) })), "unexpected frame"},
		"half":     {serve(t, loopback, halfway), "connection closed while reading the response body"},
	} {
		t.Run(name, func(t *testing.T) {
			wantResult(t, check(t, Spec{Check: &HTTP{two}, Timeout: 10 * time.Second}, c.server), false, c.detail)
		})
	}
	if r := check(t, Spec{Check: &HTTP{two}, Timeout: 10 * time.Second}, serve(t, loopback, func(net.Conn) {})); r.OK || r.Reason != Closed {
		t.Errorf("a server that closes: %+v", r)
	}
	only1 := overTLS(&tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}}, hold)
	if r := check(t, Spec{Check: &HTTPS{two, trust}, Timeout: 10 * time.Second}, serve(t, loopback, only1)); r.OK || r.Local {
		t.Errorf("a server with HTTP/1.1 only: %+v", r)
	}
}

// framed sends the frames of write again and again.
func framed(write func(*http2.Framer) error) func(net.Conn) {
	return func(c net.Conn) {
		go func() { _, _ = io.Copy(io.Discard, c) }()
		for f := http2.NewFramer(c, nil); write(f) == nil; {
		}
	}
}

// header writes a header of names and values.
func header(f *http2.Framer, end bool, fields ...string) error {
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		_ = e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: end})
}

// halfway sends a header, a part of the body, and closes the connection when the request has been read.
func halfway(c net.Conn) {
	f := http2.NewFramer(c, c)
	_, _ = io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		if _, ok := frame.(*http2.HeadersFrame); ok {
			break
		}
	}
	_ = header(f, false, ":status", "200")
	_ = f.WriteData(1, false, []byte("half"))
}

// health answers as a server of grpc.health.v1 whose services have a status; others are unknown.
func health(services map[string]byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/grpc")
		if r.URL.Path != "/grpc.health.v1.Health/Check" || r.Header.Get("Te") != "trailers" || len(body) < 5 || int(binary.BigEndian.Uint32(body[1:])) != len(body)-5 {
			w.Header().Set("Grpc-Status", "12")
			return
		}
		name := ""
		if len(body) > 7 {
			name = string(body[7:])
		}
		status, known := services[name]
		if !known {
			w.Header().Set("Grpc-Status", "5")
			return
		}
		w.Header().Set("Trailer", "Grpc-Status")
		_, _ = w.Write([]byte{0, 0, 0, 0, 2, 8, status})
		w.Header().Set("Grpc-Status", "0")
	}
}

func TestGRPC(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.issue(t, nil)
	services := health(map[string]byte{"": 1, "example.v1.Orders": 1, "example.v1.Old": 2})
	plain, secured := serveTwo(t, nil, services), serveTwo(t, &cert, services)
	long := serveTwo(t, nil, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) })
	bare := serveTwo(t, nil, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte{0, 0, 0, 0, 2, 8, 1}) })
	for name, c := range map[string]struct {
		check  *GRPC
		server netip.AddrPort
		ok     bool
		detail string
	}{
		"the server":      {&GRPC{}, plain, true, "serving"},
		"a service":       {&GRPC{Service: "example.v1.Orders"}, plain, true, "serving"},
		"not serving":     {&GRPC{Service: "example.v1.Old"}, plain, false, "not serving (2)"},
		"unknown":         {&GRPC{Service: "example.v1.New"}, plain, false, "the service is unknown to the server (gRPC status 5)"},
		"TLS":             {&GRPC{TLS: &TLS{CAFile: File(ca.file), Authorities: ca.trusted}}, secured, true, "serving"},
		"not trusted":     {&GRPC{TLS: &TLS{}}, secured, false, "certificate signed by an unknown authority"},
		"no gRPC":         {&GRPC{}, serveTwo(t, nil, http.NotFound), false, "status 404, want 200"},
		"a long response": {&GRPC{}, long, false, "response too long"},
		"no trailer":      {&GRPC{}, bare, false, "response without a status"},
		"HTTP/1":          {&GRPC{}, serve(t, loopback, saying("HTTP/1.1 400 Bad Request\r\n\r\n")), false, "server does not speak HTTP/2"},
		"garbage":         {&GRPC{}, serve(t, loopback, repeat("\x00\xff")), false, "server does not speak HTTP/2"},
		"silent":          {&GRPC{}, serve(t, loopback, hold), false, "timeout after 300ms while waiting for the response header"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := Spec{Check: c.check, Timeout: 10 * time.Second}
			if name == "silent" {
				spec.Timeout = 300 * time.Millisecond
			}
			wantResult(t, check(t, spec, c.server), c.ok, c.detail)
		})
	}
}

func TestDigest(t *testing.T) {
	sum := md5.Sum([]byte("hello"))
	spec := httpSpec(func(r *Request) { r.Digest = hex.EncodeToString(sum[:]) })
	wantResult(t, check(t, spec, serve(t, loopback, answering(response(200, "hello")))), true, "status 200")
	wantResult(t, check(t, spec, serve(t, loopback, answering(response(200, "hullo")))), false, "digest does not match")
	wantResult(t, check(t, spec, serve(t, loopback, answering(response(200, strings.Repeat("x", 1<<20+1))))), false, "body over 1 MiB, which is too long for a digest")
	spec = httpSpec(func(r *Request) { r.Digest = "2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B9824" })
	wantResult(t, check(t, spec, serve(t, loopback, answering(response(200, "hello")))), true, "status 200")
}

func TestRequestOptionFaults(t *testing.T) {
	for setting, change := range map[string]func(*Request){
		"":            func(r *Request) { r.User, r.Password, r.Version = "a", "b:c", "2" },
		"digest":      func(r *Request) { r.Digest = "abc" },
		"body_absent": func(r *Request) { r.Absent = true },
		"password":    func(r *Request) { r.Password = "x" },
		"user":        func(r *Request) { r.User, r.Header = "a", []Header{{Name: "authorization", Value: "x"}} },
		"version":     func(r *Request) { r.Version = "3" },
	} {
		faults := httpSpec(change).Faults()
		if setting == "" && len(faults) > 0 || setting != "" && (len(faults) != 1 || faults[0].Setting != setting) {
			t.Errorf("%s: %v", setting, faults)
		}
	}
	if faults := httpSpec(func(r *Request) { r.User = "a:b" }).Faults(); len(faults) != 1 || faults[0].Setting != "user" {
		t.Errorf("a colon: %v", faults)
	}
}
