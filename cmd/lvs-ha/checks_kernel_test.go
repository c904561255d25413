package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// TestKernelChecksOfAllKinds runs examples/checks.hcl: it brings servers of different protocols into the kernel's table, and takes
// each out when it stops.
func TestKernelChecksOfAllKinds(t *testing.T) {
	lab.Need(t, lab.Kernel)
	text, err := os.ReadFile("../../examples/checks.hcl")
	if err != nil {
		t.Fatal(err)
	}
	hosts := newPlaces(t, 2)
	p, s := hosts[0], hosts[1]
	if err := p.host.Do(func() error { return os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte("0 0"), 0) }); err != nil {
		t.Fatal(err)
	}
	if err := s.host.AddAddress("eth0", netip.MustParsePrefix("192.0.2.31/24")); err != nil {
		t.Fatal(err)
	}
	cert, err := lab.NewCertificate("www.example.com", "orders.example.com", "ldap.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.path("authorities.pem"), cert.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	p.configure(string(text))
	servers := s.ofAllProtocols(cert.Server())
	running := map[string]io.Closer{}
	for name, start := range servers {
		running[name] = start()
	}
	d := p.start("env", "LVS_HA_VAR_interval=500ms", "SSL_CERT_FILE="+p.path("authorities.pem"))
	await := func(what string, want healthcheck.State) {
		t.Helper()
		d.awaitStatus(what, func(s api.Status) bool {
			for _, service := range s.Services {
				wanted := want
				if servers[service.Name] == nil { // it is pinged
					wanted = healthcheck.Up
				}
				if server := service.Servers[0]; server.State != wanted || server.Present != (wanted == healthcheck.Up) {
					return false
				}
			}
			return len(s.Services) == len(servers)+1
		})
	}
	await("all up", healthcheck.Up)
	for _, server := range running {
		_ = server.Close()
	}
	await("all but the one that is pinged down", healthcheck.Down)
	for _, start := range servers {
		defer start().Close() //nolint:errcheck // the end of the test
	}
	await("all up again", healthcheck.Up)
}

// ofAllProtocols returns the servers of examples/checks.hcl by the names of its services.
func (p *place) ofAllProtocols(secured *tls.Config) map[string]func() io.Closer {
	const at = "192.0.2.31:"
	return map[string]func() io.Closer{
		"web": p.web(at+"80", nil, func(w http.ResponseWriter, r *http.Request) {
			user, password, _ := r.BasicAuth()
			switch {
			case r.Host == "www.example.com" && r.URL.Path == "/healthz" && r.Header.Get("X-Checked-By") == "lvs-ha":
				_, _ = io.WriteString(w, "database: ok\n")
			case r.URL.Path == "/status":
				_, _ = io.WriteString(w, "all is well\n")
			case r.URL.Path == "/release.txt" && user == "monitor" && password == "replace-this":
				_, _ = io.WriteString(w, "release 42\n")
			default:
				w.WriteHeader(http.StatusForbidden)
			}
		}),
		"https": p.web(at+"443", secured, func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor != 2 || r.Method != http.MethodHead {
				w.WriteHeader(http.StatusForbidden)
			}
		}),
		"orders": p.web(at+"50051", secured, func(w http.ResponseWriter, r *http.Request) {
			if body, _ := io.ReadAll(r.Body); !strings.HasSuffix(string(body), "example.v1.Orders") {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			w.Header().Set("Trailer", "Grpc-Status")
			_, _ = w.Write([]byte{0, 0, 0, 0, 2, 8, 1}) // SERVING
			w.Header().Set("Grpc-Status", "0")
		}),
		"search": p.web(at+"9200", nil, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"status":"green"}`) }),
		"redis":  p.conversation(at+"6379", nil, "", map[string]string{"INFO": "$26\r\n# Replication\r\nrole:master\r\n", "QUIT": "+OK\r\n"}),
		"ldaps":  p.conversation(at+"636", secured, "", nil),
		"mail":   p.mail(at+"25", secured),
		"dns":    p.datagrams(at+"53", resolved),
		"ntp": p.datagrams(at+"123", func(b []byte) []byte {
			if len(b) == 48 && b[0] == 0x23 {
				b[0] = 0x24
			}
			return b
		}),
		"sip": p.datagrams(at+"5060", func(b []byte) []byte {
			return []byte(strings.Replace(string(b), "OPTIONS sip:lb@example.com SIP/2.0", "SIP/2.0 200 OK", 1))
		}),
	}
}

// datagrams returns a UDP server.
func (p *place) datagrams(at string, answer func([]byte) []byte) func() io.Closer {
	return func() io.Closer {
		var c net.PacketConn
		err := p.host.Do(func() (err error) {
			c, err = net.ListenPacket("udp4", at)
			return err
		})
		if err != nil {
			p.t.Fatal(err)
		}
		go func() {
			b := make([]byte, 2048)
			for {
				n, from, err := c.ReadFrom(b)
				if err != nil {
					return
				}
				_, _ = c.WriteTo(answer(b[:n]), from)
			}
		}()
		return c
	}
}

// resolved answers a query with one record.
func resolved(query []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil {
		return nil
	}
	m.Response = true
	m.Answers = []dnsmessage.Resource{{
		Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET},
		Body:   &dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}},
	}}
	packed, _ := m.Pack()
	return packed
}

func (p *place) listen(at string) net.Listener {
	ln, err := p.host.Listen("tcp", at)
	if err != nil {
		p.t.Fatal(err)
	}
	return ln
}

// conversation returns a TCP server that greets and replies to each line by its first word. After its reply to STARTTLS, or from the
// start if there is none, it uses TLS.
func (p *place) conversation(at string, secured *tls.Config, greeting string, replies map[string]string) func() io.Closer {
	return func() io.Closer {
		ln := p.listen(at)
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				if secured != nil && replies["STARTTLS"] == "" {
					c = tls.Server(c, secured)
				}
				go converse(c, secured, greeting, replies)
			}
		}()
		return ln
	}
}

func converse(c net.Conn, secured *tls.Config, greeting string, replies map[string]string) {
	defer c.Close() //nolint:errcheck // the end of the conversation
	_, _ = io.WriteString(c, greeting)
	for lines := bufio.NewScanner(c); lines.Scan(); {
		word, _, _ := strings.Cut(lines.Text(), " ")
		if _, err := fmt.Fprint(c, replies[word]); err != nil {
			return
		}
		if word == "STARTTLS" {
			converse(tls.Server(c, secured), secured, "", replies)
			return
		}
	}
}

func (p *place) mail(at string, secured *tls.Config) func() io.Closer {
	return p.conversation(at, secured, "220 mail.example.com\r\n", map[string]string{
		"EHLO": "250-mail.example.com\r\n250 STARTTLS\r\n", "STARTTLS": "220 go ahead\r\n", "QUIT": "221 bye\r\n",
	})
}

// web returns an HTTP server, with TLS if there is a configuration for it.
func (p *place) web(at string, secured *tls.Config, handle http.HandlerFunc) func() io.Closer {
	return func() io.Closer {
		ln := p.listen(at)
		if secured != nil {
			ln = tls.NewListener(ln, secured)
		}
		s := &http.Server{Handler: handle}
		go s.Serve(ln) //nolint:errcheck // ends with the listener
		return s
	}
}
