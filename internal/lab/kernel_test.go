package lab

import (
	"io"
	"net"
	"strings"
	"testing"
)

// TestKernelNAT balances one connection with the real ipvsadm, from a client through a director to a real server.
func TestKernelNAT(t *testing.T) {
	Need(t, Kernel)
	l := NewT(t, "labtest")
	outside := must[*Bridge](t)(l.Bridge("outside"))
	inside := must[*Bridge](t)(l.Bridge("inside"))
	client := must[*Node](t)(l.Host("client", NIC{Name: "eth0", Bridge: outside, Addresses: Prefixes("10.0.0.9/24")}))
	server := must[*Node](t)(l.Host("server", NIC{Name: "eth0", Bridge: inside, Addresses: Prefixes("10.1.0.2/24")}))
	director := must[Director](t)(l.NewDirector(DirectorConfig{
		Name: "lb",
		NICs: []NIC{
			{Name: "eth0", Bridge: outside, Addresses: Prefixes("10.0.0.1/24")},
			{Name: "eth1", Bridge: inside, Addresses: Prefixes("10.1.0.1/24")},
		},
		Sysctls: map[string]string{"net.ipv4.ip_forward": "1"},
	}))
	if err := director.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := server.AddRoute(Default, mustAddr("10.1.0.1")); err != nil {
		t.Fatal(err)
	}
	ln := must[net.Listener](t)(server.Listen("tcp", "10.1.0.2:80"))
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, conn.RemoteAddr().String())
			_ = conn.Close()
		}
	}()
	defer ln.Close()
	for _, args := range []string{"-A -t 10.0.0.1:80 -s rr", "-a -t 10.0.0.1:80 -r 10.1.0.2:80 -m"} {
		must[string](t)(Output(t.Context(), director, append([]string{"ipvsadm"}, strings.Fields(args)...)...))
	}
	conn := must[net.Conn](t)(client.DialContext(t.Context(), "tcp", "10.0.0.1:80"))
	defer conn.Close()
	seen := must[[]byte](t)(io.ReadAll(conn))
	if string(seen) != conn.LocalAddr().String() {
		t.Errorf("the server saw %q, want the client %v", seen, conn.LocalAddr())
	}
	table := must[string](t)(Output(t.Context(), director, "ipvsadm", "-Ln"))
	if !strings.Contains(table, "10.1.0.2:80") {
		t.Errorf("the table has no server:\n%s", table)
	}
	if err := director.Kill(); err != nil {
		t.Error(err)
	}
}
