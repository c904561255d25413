package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

const advised = `
virtual_service "app" {
  address    = "192.0.2.100:80"
  scheduler  = "wlc"
  forwarding = "nat"
  real_server "192.0.2.1:8081" {
    weight = 100
    health_check "agent" {
      port     = 9999
      interval = "50ms"
      timeout  = "5s"
    }
    health_check "tcp" {
      source {
        address = "192.0.2.1"
        mark    = 7
      }
    }
  }
  real_server "192.0.2.1:8082" {
    weight = 100
    health_check "http" {
      interval = "50ms"
      timeout  = "5s"
      weight {
        header  = "X-Capacity"
        unit    = "percent"
        minimum = 20
      }
    }
  }
  real_server "192.0.2.1:8083" {
    weight = 100
    health_check "file" {
      path     = "%[1]s/{port}"
      interval = "50ms"
      timeout  = "5s"
    }
    health_check "script" {
      command  = ["read n < %[1]s/status; exit $n"]
      shell    = true
      user     = "root"
      interval = "50ms"
      timeout  = "5s"
      fall     = 1
      rise     = 1
      weight {}
    }
  }
}
`

// TestKernelWeightsFollowTheServers takes weights from an agent, a response, a file and a script to the kernel's table.
func TestKernelWeightsFollowTheServers(t *testing.T) {
	lab.Need(t, lab.Kernel)
	p := newPlace(t)
	var agent, capacity atomic.Value
	agent.Store("up")
	capacity.Store("")
	listen := func(at string) net.Listener {
		ln, err := p.host.Listen("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ln.Close() })
		return ln
	}
	listen("192.0.2.1:8081") // only connected to
	go func(ln net.Listener) {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = fmt.Fprintln(c, agent.Load())
			_ = c.Close()
		}
	}(listen("192.0.2.1:9999"))
	web := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Capacity", capacity.Load().(string)) })}
	go web.Serve(listen("192.0.2.1:8082")) //nolint:errcheck // ends with the listener
	file := func(name, text string) {
		if err := os.WriteFile(p.path(name), []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file("status", "0")
	p.configure(fmt.Sprintf(advised, p.dir))
	d := p.start()
	for _, step := range []struct {
		what            string
		agent, capacity string
		file, status    string
		want            []int // weights in the kernel; -1: not in the table
		threshold       uint32
	}{
		{what: "nothing is advised", agent: "up", status: "0", want: []int{100, 100, 100}},
		{what: "numbers", agent: "75% maxconn:30", capacity: "40", file: "30", status: "62", want: []int{75, 40, 30}, threshold: 30},
		{what: "bounds, and the smallest", agent: "1% maxconn:31", capacity: "5", file: "150%", status: "62", want: []int{1, 20, 60}, threshold: 31},
		{what: "drain", agent: "drain", capacity: "100", file: "drain", status: "2", want: []int{0, 100, 0}, threshold: 31},
		{what: "out of service", agent: "ready maint", capacity: "100", file: "down", status: "0", want: []int{-1, 100, -1}},
		{what: "a failed script", agent: "down", capacity: "100", file: "", status: "1", want: []int{-1, 100, -1}},
		{what: "as before", agent: "up ready 100%", capacity: "100", file: "", status: "0", want: []int{100, 100, 100}, threshold: 31},
	} {
		agent.Store(step.agent)
		capacity.Store(step.capacity)
		file("8083", step.file)
		file("status", step.status)
		d.awaitStatus(step.what, func(s api.Status) bool {
			if len(s.Services) != 1 {
				return false
			}
			var got []int
			for _, server := range s.Services[0].Servers {
				if !server.Present {
					got = append(got, -1)
					continue
				}
				got = append(got, int(server.KernelWeight))
			}
			return slices.Equal(got, step.want)
		})
		if step.threshold > 0 {
			listed := p.run("ipvsadm", "-Ln", "--thresholds")
			p.wantAnswer(listed, 0, fmt.Sprintf(" %d ", step.threshold))
		}
	}
}
