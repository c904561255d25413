package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

const ofAllKinds = `
virtual_service "kinds" {
  address         = "192.0.2.100:80"
  scheduler       = "rr"
  forwarding      = "nat"

  real_server "192.0.2.1:53" {
    health_check "dns" {
      interval = "50ms"
      fall     = 1
      timeout  = "5s"
      answers  = 1
    }
  }
  real_server "192.0.2.1:54" {
    health_check "udp" {
      interval = "50ms"
      fall     = 1
      timeout  = "5s"
      send     = "hello"
      expect   = "^hello$"
    }
  }
  real_server "192.0.2.1:25" {
    health_check "smtp" {
      interval = "50ms"
      fall     = 1
      timeout  = "5s"
    }
  }
  real_server "192.0.2.1:50051" {
    health_check "grpc" {
      interval = "50ms"
      fall     = 1
      timeout  = "5s"
    }
  }
  real_server "192.0.2.1:6379" {
    health_check "tcp" {
      interval = "50ms"
      fall     = 1
      timeout  = "5s"
      send     = "PING\r\n"
      expect   = "PONG"
    }
  }
  real_server "192.0.2.1:7" {
    health_check "ping" {
      interval = "50ms"
      fall     = 1
      timeout  = "5s"
    }
  }
}
`

// TestKernelChecksOfAllKinds brings servers of different protocols into the kernel's table, and takes each out when it stops.
func TestKernelChecksOfAllKinds(t *testing.T) {
	lab.Need(t, lab.Kernel)
	p := newPlace(t)
	if err := p.host.Do(func() error { return os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte("0 0"), 0) }); err != nil {
		t.Fatal(err)
	}
	servers := []func() io.Closer{
		p.datagrams("192.0.2.1:53", resolved), p.datagrams("192.0.2.1:54", func(b []byte) []byte { return b }),
		p.conversation("192.0.2.1:25", "220 hello\r\n", "250 hello\r\n"), p.grpc("192.0.2.1:50051"), p.conversation("192.0.2.1:6379", "", "+PONG\r\n"),
	}
	running := make([]io.Closer, len(servers))
	for i, start := range servers {
		running[i] = start()
	}
	p.configure(ofAllKinds)
	d := p.start()
	want := make([]healthcheck.State, len(servers)+1)
	await := func(what string) {
		t.Helper()
		d.awaitStatus(what, func(s api.Status) bool {
			var got []healthcheck.State
			for _, service := range s.Services {
				for _, server := range service.Servers {
					if got = append(got, server.State); server.Present != (server.State == healthcheck.Up) {
						return false
					}
				}
			}
			return slices.Equal(got, want)
		})
	}
	for i := range want {
		want[i] = healthcheck.Up
	}
	await("all up")
	for i := range running {
		_ = running[i].Close()
		want[i] = healthcheck.Down
	}
	await("all but the one that is pinged down")
	for i, start := range servers {
		running[i] = start()
		defer running[i].Close() //nolint:errcheck // the end of the test
		want[i] = healthcheck.Up
	}
	await("all up again")
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

// conversation returns a TCP server that greets, and answers whatever it receives.
func (p *place) conversation(at, greeting, answer string) func() io.Closer {
	return func() io.Closer {
		ln, err := p.host.Listen("tcp", at)
		if err != nil {
			p.t.Fatal(err)
		}
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close() //nolint:errcheck // the end of the conversation
					_, err := io.WriteString(c, greeting)
					for b := make([]byte, 512); err == nil; {
						if _, err = c.Read(b); err == nil {
							_, err = io.WriteString(c, answer)
						}
					}
				}()
			}
		}()
		return ln
	}
}

// grpc returns a server of grpc.health.v1 that serves.
func (p *place) grpc(at string) func() io.Closer {
	return func() io.Closer {
		ln, err := p.host.Listen("tcp", at)
		if err != nil {
			p.t.Fatal(err)
		}
		s := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "Grpc-Status")
			_, _ = w.Write([]byte{0, 0, 0, 0, 2, 8, 1})
			w.Header().Set("Grpc-Status", "0")
		})}
		s.Protocols.SetUnencryptedHTTP2(true)
		go s.Serve(ln) //nolint:errcheck // ends with the listener
		return s
	}
}
