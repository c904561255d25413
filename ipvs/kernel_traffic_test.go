package ipvs_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// TestKernelCounters sends datagrams through a service to a server on the director itself, and reads the counters.
func TestKernelCounters(t *testing.T) {
	k := newKernel(t)
	ctx := t.Context()
	if err := k.host.AddAddress("lo", netip.MustParsePrefix("192.0.2.1/32")); err != nil {
		t.Fatal(err)
	}
	key := at(ipvs.UDP, "192.0.2.1:9")
	if err := k.NewService(ctx, service(key, "rr")); err != nil {
		t.Fatal(err)
	}
	if err := k.NewDestination(ctx, key, weighted("127.0.0.1:9999", 1)); err != nil {
		t.Fatal(err)
	}
	const datagrams, size = 7, 100
	exchange(t, k, datagrams, size)
	const bytes = datagrams * (size + 28) // IPv4 and UDP headers
	want := ipvs.Stats{Connections: 1, InPackets: datagrams, OutPackets: datagrams, InBytes: bytes, OutBytes: bytes}
	checkCounters(t, k, want)
	if got := k.ipvsadm(t, "-Ln", "--stats", "--exact"); !strings.Contains(got[3], fmt.Sprintf("%d", bytes)) {
		t.Errorf("ipvsadm says %q, want %d bytes", got, bytes)
	}
	if err := k.Zero(ctx, key); err != nil {
		t.Fatal(err)
	}
	checkCounters(t, k, ipvs.Stats{})
	exchange(t, k, 1, size)
	if err := k.ZeroAll(ctx); err != nil {
		t.Fatal(err)
	}
	checkCounters(t, k, ipvs.Stats{})
}

// exchange sends datagrams and waits for each echo.
func exchange(t *testing.T, k kernel, n, size int) {
	t.Helper()
	echo, err := k.host.ListenPacket("udp", "127.0.0.1:9999")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		b := make([]byte, 2000)
		for {
			n, from, err := echo.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = echo.WriteTo(b[:n], from)
		}
	}()
	c, err := k.host.DialContext(t.Context(), "udp", "192.0.2.1:9")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, size)
	for range n {
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(b); err != nil {
			t.Fatal(err)
		}
	}
}

// checkCounters waits until the only service and its only server have the wanted counters, which the kernel adds up
// every two seconds. Rates are not compared, because they change continuously.
func checkCounters(t *testing.T, k kernel, want ipvs.Stats) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		table, err := k.Table(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		d := table[0].Destinations[0]
		if counters(table[0].Stats) == want && counters(d.Stats) == want {
			if want.Connections > 0 && d.Active+d.Inactive == 0 {
				t.Errorf("the server has no connections")
			}
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-deadline:
			t.Fatalf("got %+v, server %+v, want %+v", table[0].Stats, d.Stats, want)
		}
	}
}

func counters(s ipvs.Stats) ipvs.Stats {
	return ipvs.Stats{
		Connections: s.Connections, InPackets: s.InPackets, OutPackets: s.OutPackets, InBytes: s.InBytes, OutBytes: s.OutBytes,
	}
}
