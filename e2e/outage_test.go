package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// outageConfig has a service of 1,000 real servers, which are all web1, and of web2.
const outageConfig = `
vrrp "web" {
  interface          = "eth0"
  virtual_router_id  = 51
  advertise_interval = "100ms"
  addresses          = ["202.99.59.110/24"]
  address "192.168.10.254/24" { interface = "eth1" }
}

virtual_service "http" {
  address    = "202.99.59.110:80"
  scheduler  = "rr"
  forwarding = "nat"

  health_check "tcp" {
    interval = "1s"
    timeout  = "500ms"
    fall     = 1
    rise     = 1
  }

  real_server "192.168.10.2" {}
  dynamic "real_server" {
    for_each = range(1000)
    labels   = ["10.7.${floor(real_server.value / 250)}.${real_server.value % 250 + 1}:8080"]
    content {}
  }
}
`

// TestKernelOutage lets 1,000 servers of a service fail at once: all leave the table, the log stays short, and the adverts go on. It prints
// the times.
func TestKernelOutage(t *testing.T) {
	lab.Need(t, lab.Kernel)
	s := beginPool(t, outageConfig)
	web1 := s.Servers[0].Host()
	if out, err := web1.Command(t.Context(), "ip", "route", "add", "local", "10.7.0.0/16", "dev", "lo").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	ln, err := web1.Listen("tcp", ":8080")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	s.shell(s.active(), "ip route add 10.7.0.0/16 via 192.168.10.1")
	// awaitTable looks seldom: the test kernel has one CPU, which a look at 1,001 servers takes from the director.
	awaitTable := func(what string, destinations, used int) time.Time {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for tick := time.NewTicker(50 * time.Millisecond); ; {
			all, weighted := 0, 0
			for line := range strings.Lines(s.shell(s.active(), "cat /proc/net/ip_vs")) {
				if fields := strings.Fields(line); len(fields) == 6 && fields[0] == "->" && fields[2] == "Masq" {
					all++
					if fields[3] != "0" {
						weighted++
					}
				}
			}
			if (destinations < 0 || all == destinations) && weighted == used {
				tick.Stop()
				return time.Now()
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				t.Fatalf("not %s: %d servers, of which %d in use", what, all, weighted)
			}
		}
	}
	awaitTable("all in use", 1001, 1001)

	stalled := watchStalls(t)
	lines := strings.Count(s.active().Log(), "\n")
	adverts, err := s.ClientHost.Capture("eth0", lab.Announcements())
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_ = ln.Close()
	took := awaitTable("one in use", -1, 1).Sub(began)
	gone := awaitTable("one left", 1, 1)
	adverts.Stop()
	lines = strings.Count(s.active().Log(), "\n") - lines

	before, longest := began, time.Duration(0)
	for _, f := range adverts.Frames() {
		longest = max(longest, f.Time.Sub(before))
		before = f.Time
	}
	longest = max(longest, gone.Sub(before))
	stall := stalled.within(began, gone)
	var found []time.Duration // when the servers' checks failed
	for _, r := range s.status(s.active()).Services[0].Servers {
		if r.State == healthcheck.Down {
			found = append(found, r.Since.Sub(began))
		}
	}
	slices.Sort(found)
	if len(found) != 1000 {
		t.Fatalf("%d servers are down", len(found))
	}
	t.Logf("half of the checks failed within %v, all within %v; the table was right after %v, all were gone after %v; %d log lines; at most %v between adverts; stalls %v",
		found[500], found[999], took, gone.Sub(began), lines, longest, stall)
	if longest > 360*time.Millisecond+stall { // a backup would take over
		t.Errorf("no advert for %v", longest)
	}
	if lines < 100 || lines > 800 {
		t.Errorf("%d log lines", lines)
	}
}
