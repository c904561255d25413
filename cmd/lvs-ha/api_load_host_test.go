package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// idleConnections is how many connections the test opens and leaves idle, if the limit of open files allows that.
const idleConnections = 10_000

// TestHostManyConnections opens 10,000 connections to each endpoint of a master's API, then connections whose requests do not end
// and answers that nobody reads. The director needs little more memory for them, others still get answers, and the peer does not
// take over.
func TestHostManyConnections(t *testing.T) {
	lab.Need(t, lab.Host)
	places := newPlaces(t, 2)
	p := places[0]
	p.configure(gateway + `
api {
  listen "127.0.0.1:9180" {}
}
`)
	places[1].configure(strings.Replace(gateway, "150", "100", 1))
	d := p.start()
	d.awaitStatus("master", isMaster)
	peer := places[1].start()
	peer.awaitStatus("backup", func(s api.Status) bool {
		return len(s.VRRP) == 1 && s.VRRP[0].State == vrrp.Backup && s.VRRP[0].MasterPriority == 150
	})
	eventually(t, "the API listens", func() bool {
		c, err := p.host.DialContext(t.Context(), "tcp", "127.0.0.1:9180")
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	pid := d.processes()["director"]
	before := memoryOf(t, pid)
	endpoints := []struct{ network, address string }{{"tcp", "127.0.0.1:9180"}, {"unix", p.path("run/api.sock")}}
	for _, at := range endpoints {
		open := connections{place: p, network: at.network, address: at.address}
		open.send("", idleConnections)
		p.wantAnswer(p.asked("status"), 0, "gateway")
		idle := memoryOf(t, pid)
		open.close()
		open.send("GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\nX-", 200) // a header without end
		open.send("POST /v1/override HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000000\r\n\r\n{\"reason\": \"", 40)
		open.send(strings.Repeat("GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 1000), 20) // answers are not read
		p.wantAnswer(p.asked("status"), 0, "gateway")
		busy := memoryOf(t, pid)
		t.Logf("%s: the director has %d MB, %d MB with idle connections, %d MB with busy ones", at.network, before>>20, idle>>20, busy>>20)
		if most := before + 32<<20; idle > most || busy > most {
			t.Errorf("%s: the director has more than 32 MB more", at.network)
		}
		open.close()
		p.wantAnswer(p.asked("status"), 0, "gateway")
	}
	if s := d.awaitStatus("master", isMaster); d.processes()["director"] != pid {
		t.Errorf("the director was restarted: %+v", s.Problems)
	}
	if s := peer.awaitStatus("known", func(s api.Status) bool { return len(s.VRRP) == 1 }).VRRP[0]; s.Transitions != 0 {
		t.Errorf("the peer was master %d times", s.Transitions)
	}
}

// connections are open connections to an endpoint.
type connections struct {
	*place
	network, address string
	all              []net.Conn
}

// send opens connections, and begins with a text on each.
func (c *connections) send(text string, count int) {
	c.t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		c.t.Fatal(err)
	}
	for range min(count, int(limit.Cur)*3/4-len(c.all)) {
		conn, err := c.host.DialContext(c.t.Context(), c.network, c.address)
		for errors.Is(err, syscall.EAGAIN) { // a Unix socket's queue is full
			<-time.After(time.Millisecond)
			conn, err = c.host.DialContext(c.t.Context(), c.network, c.address)
		}
		if err != nil {
			c.t.Fatal(err)
		}
		c.all = append(c.all, conn)
		if text != "" {
			_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
			_, _ = io.WriteString(conn, text) // the director may have closed it
		}
	}
}

func (c *connections) close() {
	for _, conn := range c.all {
		conn.Close()
	}
	c.all = nil
}

// memoryOf returns a process's resident memory in bytes.
func memoryOf(t *testing.T, pid int) (bytes int) {
	t.Helper()
	for line := range strings.Lines(readProc(t, pid, "status")) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			if _, err := fmt.Sscanf(value, "%d kB", &bytes); err != nil {
				t.Fatal(err)
			}
		}
	}
	return bytes << 10
}
