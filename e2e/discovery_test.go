package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/lvs-ha/lvs-ha/e2e/scene"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/discovery/discoverytest"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// nameserver starts a DNS server on the host of a real server.
func (s *story) nameserver(on *lab.Web) *discoverytest.Nameserver {
	s.t.Helper()
	packets, err := on.Host().ListenPacket("udp", ":53")
	if err != nil {
		s.t.Fatal(err)
	}
	listener, err := on.Host().Listen("tcp", ":53")
	if err != nil {
		s.t.Fatal(err)
	}
	names, done := &discoverytest.Nameserver{}, make(chan struct{})
	go func() { defer close(done); names.Serve(packets, listener) }()
	s.t.Cleanup(func() { packets.Close(); listener.Close(); <-done })
	return names
}

// awaitServers waits until these servers of a service have a weight in the kernel, such as "1 2", by the last byte of their addresses.
func (s *story) awaitServers(service, want string) api.Status {
	s.t.Helper()
	return s.await(s.active(), service+" with servers "+want, func(st api.Status) bool {
		var got []string
		for _, v := range st.Services {
			for _, r := range v.Servers {
				if v.Name == service && r.Present && r.KernelWeight > 0 {
					got = append(got, fmt.Sprint(r.Address.As4()[3]))
				}
			}
		}
		return scene.IsMaster(st) && strings.Join(got, " ") == want
	})
}

// awaitSource waits until the source of a service is in a state.
func (s *story) awaitSource(service, what string, wanted func(api.Source) bool) {
	s.t.Helper()
	s.await(s.active(), what, func(st api.Status) bool {
		i := slices.IndexFunc(st.Services, func(v api.Service) bool { return v.Name == service })
		return i >= 0 && len(st.Services[i].Sources) == 1 && wanted(st.Services[i].Sources[0])
	})
}

// TestKernelDiscovery runs the example while DNS records and the file change. A client connects every 10 ms and others download: nothing
// may be lost.
func TestKernelDiscovery(t *testing.T) {
	lab.Need(t, lab.Kernel)
	text, err := os.ReadFile("../examples/discovery.hcl")
	if err != nil {
		t.Fatal(err)
	}
	s := beginPool(t, string(text))
	names := s.nameserver(s.Servers[2])
	names.SetAddresses("web.example.com", 0, "192.168.10.1", "192.168.10.2")
	names.SetServices("_api._tcp.example.com", 0,
		discoverytest.SRV{Priority: 1, Weight: 10, Port: 80, Target: "web1.example.com"}, discoverytest.SRV{Priority: 2, Weight: 10, Port: 80, Target: "web2.example.com"})
	names.SetAddresses("web1.example.com", 0, "192.168.10.1")
	names.SetAddresses("web2.example.com", 0, "192.168.10.2")
	s.awaitServers("http", "1 2")
	s.awaitServers("api", "1")
	s.awaitServers("admin", "3")
	s.answers("web1", "web2")
	probe := s.probe()
	download := s.Client.Download(t.Context(), 4, "http://"+scene.VIP, downloadSize, downloadRate)
	<-download.Started()

	names.SetAddresses("web.example.com", 0, "192.168.10.2", "192.168.10.3")
	s.awaitServers("http", "2 3")
	s.answers("web2", "web3")
	names.SetAddresses("web.example.com", 0, "192.168.10.1")
	s.awaitServers("http", "1")
	s.answers("web1")
	names.SetAddresses("web.example.com", 0)
	s.awaitSource("http", "refusing an empty answer", func(one api.Source) bool { return one.Error != "" && one.Listed == 1 })
	names.Fail(dnsmessage.RCodeServerFailure)
	s.awaitSource("http", "without an answer", func(one api.Source) bool { return strings.Contains(one.Error, "SERVFAIL") })
	s.awaitServers("http", "1")
	s.answers("web1")
	if out, err := s.active().Command(t.Context(), "reload"); err != nil {
		t.Errorf("reload: %q, %v", out, err)
	}
	s.awaitServers("http", "1")
	started := s.status(s.active()).Started
	s.signal(s.active(), "KILL", "director")
	s.await(s.active(), "using the last good list in another director", func(st api.Status) bool {
		i := slices.IndexFunc(st.Services, func(v api.Service) bool { return v.Name == "http" })
		return st.Started.After(started) && i >= 0 && st.Services[i].Sources[0].Error != "" && st.Services[i].Sources[0].Listed == 1
	})
	s.awaitServers("http", "1")
	names.SetAddresses("web.example.com", 0, "192.168.10.1", "192.168.10.2", "192.168.10.3")
	names.Fail(dnsmessage.RCodeSuccess)
	s.awaitServers("http", "1 2 3")
	s.command("drain", "http/192.168.10.2")
	s.awaitServers("http", "1 3")
	s.answers("web1", "web3")

	s.file("/run/registry/admin.json", `["192.168.10.1", {"address": "192.168.10.2", "weight": 3}]`)
	s.awaitServers("admin", "3 1 2")
	s.file("/run/registry/admin.json", `["192.168.10.1"`)
	s.awaitSource("admin", "with an unfinished file", func(one api.Source) bool { return one.Error != "" && one.Listed == 2 })
	s.file("/run/registry/admin.json", `real_server "192.168.10.2" {}`)
	s.awaitServers("admin", "3 2")
	s.file("/run/registry/admin.json", `[]`)
	s.awaitServers("admin", "3")
	for i, one := range download.State() {
		if one.Err != nil {
			t.Errorf("download %d from %s has %d bytes, %v", i, one.Server, one.Bytes, one.Err)
		}
	}
	if r := probe.Stop(); r.Lost > 0 || r.Sent == 0 {
		t.Errorf("%d of %d connections were lost (%v)", r.Lost, r.Sent, r.LastError)
	}
	if page := s.pageOf("http"); !strings.Contains(page, "dns web.example.com") {
		t.Errorf("the status page does not show the source:\n%s", page)
	}
}

// file replaces a file on the director.
func (s *story) file(path, text string) {
	s.t.Helper()
	s.shell(s.active(), fmt.Sprintf("mkdir -p %s && cat >%s.new <<'END' && mv %s.new %s\n%s\nEND", filepath.Dir(path), path, path, path, text))
}

// pageOf returns the status page of a service.
func (s *story) pageOf(service string) string {
	s.t.Helper()
	out, _ := s.active().Command(s.t.Context(), "status", service) // the exit status reports problems
	return out
}
