package realserver_test

import (
	"context"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/internal/realserver"
)

// cluster is a director, a real server and a client on one LAN. The director has the virtual addresses.
type cluster struct {
	director, real, client *lab.Node
}

const (
	vip4, vip6 = "10.0.0.100", "fd00::100"
	rip4, rip6 = "10.0.0.2", "fd00::2"
)

func newCluster(t *testing.T) cluster {
	t.Helper()
	host := newHosts(t)
	c := cluster{
		director: host("director", "10.0.0.1/24", "fd00::1/64", vip4+"/24"),
		real:     host("real", rip4+"/24", rip6+"/64"),
		client:   host("client", "10.0.0.9/24", "fd00::9/64"),
	}
	// Deprecated, so that the director's tunnels do not start from it: a real server that has the address drops such
	// packets.
	run(t, c.director, "ip", "-6", "address", "add", vip6+"/128", "dev", "eth0", "nodad", "preferred_lft", "0")
	// The strictest setting that a distribution uses by default.
	for _, iface := range []string{"all", "default"} {
		if err := c.real.Sysctl("net.ipv4.conf."+iface+".rp_filter", "1"); err != nil {
			t.Fatal(err)
		}
	}
	ln, err := c.real.Listen("tcp", "[::]:80")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, conn.LocalAddr().String())
			_ = conn.Close()
		}
	}()
	return c
}

// fetch connects to the virtual address and returns the local address that the real server saw.
func (c cluster) fetch(t *testing.T, to string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	conn, err := c.client.DialContext(ctx, "tcp", to)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return "", err
	}
	got, err := io.ReadAll(conn)
	return string(got), err
}

func TestKernelTraffic(t *testing.T) {
	lab.Need(t, lab.Kernel)
	c := newCluster(t)
	run(t, c.real, "modprobe", "-a", "ipip", "sit", "ip6_tunnel", "ip_gre", "ip6_gre", "fou")
	before := c.observe(t)
	at4, at6 := vip4+":80", "["+vip6+"]:80"
	gue, gue6 := realserver.Tunnel{Type: realserver.GUE, Outer4: true, Port: 6081}, realserver.Tunnel{Type: realserver.GUE}
	for _, story := range []struct {
		name   string
		wanted realserver.Wanted
		at     string
		server string // ipvsadm arguments
	}{
		{"DR IPv4", dr(vip4), at4, rip4 + ":80 -g"},
		{"DR IPv6", dr(vip6), at6, "[" + rip6 + "]:80 -g"},
		{"IPv4 in IPv4", tun(vip4, realserver.Tunnel{Type: realserver.IPIP, Outer4: true}), at4, rip4 + ":80 -i"},
		{"IPv6 in IPv6", tun(vip6, realserver.Tunnel{Type: realserver.IPIP}), at6, "[" + rip6 + "]:80 -i"},
		{"IPv6 in IPv4", tun(vip6, realserver.Tunnel{Type: realserver.IPIP, Outer4: true}), at6, rip4 + ":80 -i"},
		{"IPv4 in IPv6", tun(vip4, realserver.Tunnel{Type: realserver.IPIP}), at4, "[" + rip6 + "]:80 -i"},
		{"GRE IPv4 in IPv4", tun(vip4, realserver.Tunnel{Type: realserver.GRE, Outer4: true}), at4, rip4 + ":80 -i --tun-type gre"},
		{"GRE IPv6 in IPv6", tun(vip6, realserver.Tunnel{Type: realserver.GRE}), at6, "[" + rip6 + "]:80 -i --tun-type gre"},
		{"GRE IPv6 in IPv4", tun(vip6, realserver.Tunnel{Type: realserver.GRE, Outer4: true}), at6, rip4 + ":80 -i --tun-type gre"},
		{"GRE IPv4 in IPv6", tun(vip4, realserver.Tunnel{Type: realserver.GRE}), at4, "[" + rip6 + "]:80 -i --tun-type gre"},
		{"GUE IPv4 in IPv4", tun(vip4, gue), at4, rip4 + ":80 -i --tun-type gue --tun-port 6081"},
		{"GUE IPv6 in IPv6", tun(vip6, gue6), at6, "[" + rip6 + "]:80 -i --tun-type gue --tun-port 6080"},
		{"GUE IPv6 in IPv4", tun(vip6, gue), at6, rip4 + ":80 -i --tun-type gue --tun-port 6081 --tun-csum"},
		{"GUE IPv4 in IPv6", tun(vip4, gue6), at4, "[" + rip6 + "]:80 -i --tun-type gue --tun-port 6080 --tun-remcsum"},
	} {
		t.Run(story.name, func(t *testing.T) {
			run(t, c.director, "ipvsadm", "-C")
			run(t, c.director, "ipvsadm", "-A", "-t", story.at, "-s", "rr")
			run(t, c.director, "ipvsadm", append([]string{"-a", "-t", story.at, "-r"}, strings.Fields(story.server)...)...)
			s := hostServer(t, c.real)
			if _, err := s.Up(t.Context(), story.wanted); err != nil {
				t.Fatal(err)
			}
			if got, err := c.fetch(t, story.at); err != nil || got != story.at {
				t.Errorf("the client read %q, %v, want %q", got, err, story.at)
			}
			if status, err := s.Status(t.Context(), realserver.Wanted{}); err != nil || !status.OK {
				t.Errorf("status is %+v, %v", wrong(status), err)
			}
			if report, err := s.Up(t.Context(), story.wanted); err != nil || len(report.Steps) != 0 {
				t.Errorf("up again executed %v, %v", report.Steps, err)
			}
			if _, err := s.Down(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			equal(t, "the machine after down", c.observe(t), before)
		})
	}
}

func (c cluster) observe(t *testing.T) realserver.Observed {
	t.Helper()
	o, err := inHost{c.real}.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return comparable(o)
}

// The printed script has the same effect in a shell, including modules.
func TestKernelScript(t *testing.T) {
	lab.Need(t, lab.Kernel)
	c := newCluster(t)
	w := tun(vip4, realserver.Tunnel{Type: realserver.GUE})
	w.VIPs = slices.Concat(w.VIPs, tun(vip6, realserver.Tunnel{Type: realserver.GRE, Outer4: true}).VIPs)
	script, err := realserver.ShellScript(w)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		run(t, c.real, "sh", "-c", script)
	}
	if status, err := hostServer(t, c.real).Status(t.Context(), w); err != nil || !status.OK {
		t.Errorf("status is %+v, %v", wrong(status), err)
	}
}

// With NAT, up does not change the default route: status reports it.
func TestKernelNAT(t *testing.T) {
	lab.Need(t, lab.Kernel)
	c := newCluster(t)
	w := realserver.Wanted{VIPs: []realserver.VIP{{Address: netip.MustParseAddr("192.0.2.1"), Mode: realserver.NAT}}, Directors: []netip.Addr{addr("10.0.0.1")}}
	s := hostServer(t, c.real)
	if report, err := s.Up(t.Context(), w); err != nil || len(report.Steps) != 0 {
		t.Errorf("up executed %v, %v", report.Steps, err)
	}
	status, err := s.Status(t.Context(), w)
	if err != nil || status.OK {
		t.Fatalf("status without a default route: %+v, %v", status, err)
	}
	run(t, c.real, "sh", "-c", status.Checks[0].Remedy)
	if status, err = s.Status(t.Context(), w); err != nil || !status.OK {
		t.Errorf("status after the remedy: %+v, %v", status, err)
	}
}
