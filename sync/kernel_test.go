package connsync_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/ipvs"
	connsync "github.com/lvs-ha/lvs-ha/sync"
)

// director is a network namespace with its own sync daemons and table, and an interface on the sync network.
type director struct {
	*connsync.Client
	table *ipvs.Client
	host  *lab.Node
}

// newDirectors creates directors on one network; the first has the address 10.9.0.1.
func newDirectors(t *testing.T, n int) []director {
	t.Helper()
	lab.Need(t, lab.Kernel)
	l := lab.NewT(t, "sync")
	bridge, err := l.Bridge("sync")
	if err != nil {
		t.Fatal(err)
	}
	directors := make([]director, n)
	for i := range directors {
		d := &directors[i]
		prefixes := lab.Prefixes(fmt.Sprintf("10.9.0.%d/24", i+1), fmt.Sprintf("fd09::%d/64", i+1))
		d.host, err = l.Host(fmt.Sprintf("director%d", i+1), lab.NIC{Name: "eth1", Bridge: bridge, Addresses: prefixes})
		if err != nil {
			t.Fatal(err)
		}
		err = d.host.Do(func() (err error) {
			if d.Client, err = connsync.Open(t.Context()); err == nil {
				d.table, err = ipvs.Open(t.Context())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_, err := connsync.Follow(context.Background(), d, nil)
			if err := errors.Join(err, d.Close(), d.table.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	return directors
}

var values = cmp.Options{cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()}

func TestKernelDaemons(t *testing.T) {
	d := newDirectors(t, 1)[0]
	ctx := t.Context()
	for _, tt := range []struct {
		name string
		give connsync.Daemon
		want connsync.Daemon
	}{
		{
			"defaults", connsync.Daemon{Interface: "eth1"},
			connsync.Daemon{Interface: "eth1", MaxLen: 1472, Group: netip.MustParseAddr("224.0.0.81"), Port: 8848, TTL: 1},
		},
		{
			"all", connsync.Daemon{Interface: "eth1", SyncID: 255, MaxLen: 1400, Group: netip.MustParseAddr("239.1.2.3"), Port: 9000, TTL: 255},
			connsync.Daemon{Interface: "eth1", SyncID: 255, MaxLen: 1400, Group: netip.MustParseAddr("239.1.2.3"), Port: 9000, TTL: 255},
		},
		{
			"IPv6", connsync.Daemon{Interface: "eth1", SyncID: 1, Group: netip.MustParseAddr("ff02::81")},
			connsync.Daemon{Interface: "eth1", SyncID: 1, MaxLen: 1452, Group: netip.MustParseAddr("ff02::81"), Port: 8848, TTL: 1},
		},
	} {
		for _, role := range []connsync.Role{connsync.Master, connsync.Backup} {
			if err := d.Start(ctx, role, tt.give); err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			got, err := d.Daemons(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]connsync.Running{{Role: role, Daemon: tt.want}}, got, values); diff != "" {
				t.Errorf("%s: %s", tt.name, diff)
			}
			if steps := connsync.Decide([]connsync.Running{{Role: role, Daemon: tt.give}}, got); len(steps) > 0 {
				t.Errorf("%s: started another daemon than wanted: %v", tt.name, steps)
			}
			if err := d.Start(ctx, role, tt.give); !errors.Is(err, syscall.EEXIST) {
				t.Errorf("%s: started twice: got error %v, want EEXIST", tt.name, err)
			}
			if err := d.Stop(ctx, role); err != nil {
				t.Fatal(err)
			}
			if err := d.Stop(ctx, role); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("%s: stopped twice: got error %v, want ESRCH", tt.name, err)
			}
		}
	}
}

func TestKernelRefusals(t *testing.T) {
	d := newDirectors(t, 1)[0]
	for _, tt := range []struct {
		give  connsync.Daemon
		errno syscall.Errno
		names string
	}{
		{connsync.Daemon{Interface: "eth9", SyncID: 5}, syscall.ENODEV, "eth9"},
		{connsync.Daemon{Interface: "eth1", Group: netip.MustParseAddr("10.0.0.1")}, syscall.EINVAL, "10.0.0.1"},
	} {
		err := d.Start(t.Context(), connsync.Backup, tt.give)
		if !errors.Is(err, tt.errno) || !strings.Contains(err.Error(), tt.names) {
			t.Errorf("got error %v, want %v, naming %s", err, tt.errno, tt.names)
		}
	}
}

// Tunnels to another address family and sync daemons exclude each other; both errors explain that.
func TestKernelMixedFamiliesExcludeSync(t *testing.T) {
	d := newDirectors(t, 1)[0]
	ctx := t.Context()
	key := ipvs.ServiceByMark(ipvs.IPv4, 1)
	mixed := ipvs.Destination{DestinationKey: ipvs.DestinationKey{Address: netip.MustParseAddr("fd00::1")}, Forward: ipvs.Tunnel, Weight: 1}
	if err := d.table.NewService(ctx, ipvs.Service{ServiceKey: key, Scheduler: "rr"}); err != nil {
		t.Fatal(err)
	}
	if err := d.table.NewDestination(ctx, key, mixed); err != nil {
		t.Fatal(err)
	}
	err := d.Start(ctx, connsync.Master, daemon)
	if !errors.Is(err, syscall.EINVAL) || !strings.Contains(err.Error(), "tunnel to another address family") {
		t.Errorf("starting with a mixed tunnel: %v", err)
	}
	if err := d.table.DeleteDestination(ctx, key, mixed.DestinationKey); err != nil {
		t.Fatal(err)
	}
	if err := d.Start(ctx, connsync.Master, daemon); err != nil {
		t.Fatal(err)
	}
	err = d.table.NewDestination(ctx, key, mixed)
	if !errors.Is(err, syscall.EINVAL) || !strings.Contains(err.Error(), "sync daemons") {
		t.Errorf("adding a mixed tunnel: %v", err)
	}
}

func TestKernelFollow(t *testing.T) {
	d := newDirectors(t, 1)[0]
	leftover := connsync.Daemon{Interface: "lo", SyncID: 3}
	for _, role := range []connsync.Role{connsync.Master, connsync.Backup} {
		if err := d.Start(t.Context(), role, leftover); err != nil {
			t.Fatal(err)
		}
	}
	for _, roles := range [][]connsync.Role{
		{connsync.Backup}, {connsync.Master}, {connsync.Master, connsync.Backup}, {connsync.Backup}, nil, {connsync.Master},
	} {
		wanted := connsync.Wanted(daemon, roles...)
		if _, err := connsync.Follow(t.Context(), d, wanted); err != nil {
			t.Fatal(err)
		}
		got, err := d.Daemons(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(wanted) || len(connsync.Decide(wanted, got)) > 0 {
			t.Errorf("got %v, want %v", got, wanted)
		}
		if steps, err := connsync.Follow(t.Context(), d, wanted); err != nil || len(steps) > 0 {
			t.Errorf("a second call does %v, %v", steps, err)
		}
	}
}

// The master director's connections appear in the backup director's table.
func TestKernelConnectionsAreSynced(t *testing.T) {
	for _, group := range []netip.Addr{{}, netip.MustParseAddr("ff02::81")} {
		name := "default group"
		if group.IsValid() {
			name = group.String()
		}
		t.Run(name, func(t *testing.T) {
			d := newDirectors(t, 2)
			config := daemon
			config.Group = group
			for i, role := range []connsync.Role{connsync.Master, connsync.Backup} {
				prepare(t, d[i])
				if _, err := connsync.Follow(t.Context(), d[i], connsync.Wanted(config, role)); err != nil {
					t.Fatal(err)
				}
			}
			const connections = 20
			holdConnections(t, d[0], connections)
			deadline := time.After(20 * time.Second)
			for {
				n := establishedConnections(t, d[1])
				if n == connections {
					return
				}
				select {
				case <-time.After(50 * time.Millisecond):
				case <-deadline:
					t.Fatalf("%d connections of %d are in the backup director's table", n, connections)
				}
			}
		})
	}
}

var (
	vip    = netip.MustParseAddrPort("192.0.2.1:80")
	server = netip.MustParseAddrPort("127.0.0.1:8080")
)

// prepare adds the VIP and a service with a local server to a director.
func prepare(t *testing.T, d director) {
	t.Helper()
	ctx := t.Context()
	key := ipvs.ServiceAt(ipvs.TCP, vip)
	if err := errors.Join(
		d.host.AddAddress("lo", netip.PrefixFrom(vip.Addr(), 32)),
		d.host.Sysctl("net.ipv4.vs.sync_threshold", "0 1"),
		d.table.NewService(ctx, ipvs.Service{ServiceKey: key, Scheduler: "rr"}),
		d.table.NewDestination(ctx, key, ipvs.Destination{
			DestinationKey: ipvs.DestinationKey{Address: server.Addr(), Port: server.Port()}, Weight: 1,
		}),
	); err != nil {
		t.Fatal(err)
	}
}

// holdConnections opens connections through the VIP, exchanges a line on each, and keeps them open.
func holdConnections(t *testing.T, d director, n int) {
	t.Helper()
	echo, err := d.host.Listen("tcp", server.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { echo.Close() })
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func(c net.Conn) {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}(c)
		}
	}()
	for range n {
		c, err := d.host.DialContext(t.Context(), "tcp", vip.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := fmt.Fprintln(c, "hello"); err != nil {
				t.Fatal(err)
			}
			if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// establishedConnections counts the established connections in a director's table.
func establishedConnections(t *testing.T, d director) int {
	t.Helper()
	var b []byte
	err := d.host.Do(func() (err error) {
		b, err = os.ReadFile("/proc/thread-self/net/ip_vs_conn")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(b), " ESTABLISHED ")
}
