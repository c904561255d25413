package ipvsadm_test

import (
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// TestKernelConnections compares the connection table and the counters after traffic.
func TestKernelConnections(t *testing.T) {
	r := newRivals(t)
	d := r.real
	prepareTraffic(t, d)
	for _, address := range []string{"192.0.2.1:80", "192.0.2.1:80", "192.0.2.1:81", "[fd00::80]:80"} {
		c, err := d.host.DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "hello"); err != nil {
			t.Fatal(err)
		}
	}
	sip, err := d.host.DialContext(t.Context(), "udp", "192.0.2.1:5060")
	if err != nil {
		t.Fatal(err)
	}
	defer sip.Close()
	const invite = "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1\r\nCall-ID: 12345@host\r\nCSeq: 1 INVITE\r\n\r\n"
	if _, err := io.WriteString(sip, invite); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{
		"-L -c", "-L -n -c", "-L -n -c --persistent-conn", "-L -c --persistent-conn", "-L -n -c --nosort --exact",
		"-L -n", "-L -n --stats", "-L -n --stats --exact", "-L -n --rate", "-L -n --rate --exact", "-L -n --persistent-conn",
		"-L -n -t 192.0.2.1:80 --stats",
	} {
		r.compareMoving(t, strings.Fields(args)...)
	}
	t.Logf("%d listings compared", r.compared)
}

// TestKernelProcess runs the program as a process on the kernel of its network namespace.
func TestKernelProcess(t *testing.T) {
	r := newRivals(t)
	prepareTraffic(t, r.real)
	self, err := lab.Binary()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "ipvsadm")
	if err := os.Symlink(self, link); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"-L -n", "-L -c -n", "-S", "-L -t 192.0.2.9:80", "-Q", "-L -Q", ""} {
		for _, command := range [][]string{{link}, {self, "ipvsadm"}} {
			theirs := r.real.host.Command(t.Context(), "ipvsadm", strings.Fields(args)...)
			theirs.Args[0] = strings.Join(command, " ") // messages contain argv[0]
			ours := r.real.host.Command(t.Context(), command[0], append(command[1:], strings.Fields(args)...)...)
			if diff := cmp.Diff(outcomeOf(t, theirs), outcomeOf(t, ours)); diff != "" {
				t.Errorf("%s %s:\n%s", command, args, diff)
			}
		}
	}
}

// compareMoving compares a listing that changes over time: ours must equal the real one if the real one was the same before
// and after.
func (r *rivals) compareMoving(t *testing.T, args ...string) {
	t.Helper()
	r.compared++
	for range 100 { // remaining times change each second, and a busy host takes long for three programs
		before := r.real.real(t, "", args...)
		got := r.real.ours(t, "", args...)
		if before == r.real.real(t, "", args...) {
			if diff := cmp.Diff(before, got); diff != "" {
				t.Errorf("ipvsadm %q:\n%s", args, diff)
			}
			return
		}
	}
	t.Errorf("ipvsadm %q says something else each time", args)
}

// prepareTraffic creates services whose servers are on the director itself.
func prepareTraffic(t *testing.T, d director) {
	t.Helper()
	for _, p := range []string{"192.0.2.1/32", "fd00::80/128", "fd00::1/128"} {
		if err := d.host.AddAddress("lo", netip.MustParsePrefix(p)); err != nil {
			t.Fatal(err)
		}
	}
	const rules = "-A -t 192.0.2.1:80 -s rr\n-a -t 192.0.2.1:80 -r 127.0.0.1:8080 -m\n" +
		"-A -t 192.0.2.1:81 -s rr -p 300 -M 255.255.255.0\n-a -t 192.0.2.1:81 -r 127.0.0.1:8080 -m\n" +
		"-A -t [fd00::80]:80 -s rr -p 50 -M 64\n-a -t [fd00::80]:80 -r [fd00::1]:8080 -m\n" +
		"-A -u 192.0.2.1:5060 -s rr -p 60 --pe sip\n-a -u 192.0.2.1:5060 -r 127.0.0.1:5061 -m\n"
	if got := d.ours(t, rules, "-R"); got != (outcome{}) {
		t.Fatalf("restoring the rules: %+v", got)
	}
	for _, address := range []string{"127.0.0.1:8080", "[fd00::1]:8080"} {
		ln, err := d.host.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
		go hold(ln)
	}
	sink, err := d.host.ListenPacket("udp", "127.0.0.1:5061")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sink.Close() })
}

// hold accepts connections and keeps them open until their clients close them.
func hold(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_, _ = io.Copy(io.Discard, c)
		}()
	}
}
