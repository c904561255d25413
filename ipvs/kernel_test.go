package ipvs_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	moby "github.com/moby/ipvs"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// kernel is a network namespace with its own table.
type kernel struct {
	*ipvs.Client
	host *lab.Node
}

func newKernel(t testing.TB) kernel {
	t.Helper()
	lab.Need(t, lab.Kernel)
	host, err := lab.NewT(t, "ipvs").Host("director")
	if err != nil {
		t.Fatal(err)
	}
	var client *ipvs.Client
	err = host.Do(func() (err error) {
		client, err = ipvs.Open(t.Context())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return kernel{Client: client, host: host}
}

// ipvsadm runs the original ipvsadm and returns its lines of output.
func (k kernel) ipvsadm(t testing.TB, args ...string) []string {
	t.Helper()
	out, err := k.host.Command(t.Context(), "ipvsadm", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ipvsadm %q: %v: %s", args, err, out)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// moby reads the table with moby/ipvs.
func (k kernel) moby(t testing.TB, service *moby.Service) ([]*moby.Service, []*moby.Destination) {
	t.Helper()
	var services []*moby.Service
	var destinations []*moby.Destination
	err := k.host.Do(func() error {
		h, err := moby.New("")
		if err != nil {
			return err
		}
		defer h.Close()
		if services, err = h.GetServices(); err != nil || service == nil {
			return err
		}
		destinations, err = h.GetDestinations(service)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return services, destinations
}

// oracleCase is a service with its servers, and the output of ipvsadm -S for them.
type oracleCase struct {
	service ipvs.Service
	line    string
	servers []oracleServer
}

type oracleServer struct {
	server ipvs.Destination
	line   string
}

func oracleCases() []oracleCase {
	sip := service(at(ipvs.UDP, "192.0.2.1:5060"), "sh")
	sip.Flags = ipvs.FlagPersistent | ipvs.FlagOnePacket | ipvs.FlagSched1 | ipvs.FlagSched2
	sip.PersistenceTimeout, sip.Netmask, sip.PersistenceEngine = 77, 0xffffff00, "sip"
	sctp := service(at(ipvs.SCTP, "[2001:db8::1]:80"), "wlc")
	sctp.Flags, sctp.PersistenceTimeout, sctp.Netmask = ipvs.FlagPersistent, 360, 64
	mh := service(at(ipvs.TCP, "192.0.2.2:0"), "mh")
	mh.Flags = ipvs.FlagPersistent | ipvs.FlagSched2
	mh.PersistenceTimeout = 1
	limited := weighted("10.0.0.1:5060", 1<<31-1)
	limited.UpperThreshold, limited.LowerThreshold = 70001, 70000
	return []oracleCase{
		{sip, "-A -u 192.0.2.1:5060 -s sh -p 77 -M 255.255.255.0 --pe sip -o -b sh-fallback,sh-port", []oracleServer{
			{limited, "-r 10.0.0.1:5060 -m -w 2147483647"},
			{weighted("10.0.0.2:99", 0), "-r 10.0.0.2:99 -m -w 0"},
		}},
		{service(at(ipvs.TCP, "192.0.2.1:80"), "wrr"), "-A -t 192.0.2.1:80 -s wrr", []oracleServer{
			{ipvs.Destination{DestinationKey: server("10.0.0.1:80"), Weight: 65536, Forward: ipvs.DirectRoute}, "-r 10.0.0.1:80 -g -w 65536"},
			{tunnel("10.0.0.2:80", ipvs.TunnelIPIP, 0, 0), "-r 10.0.0.2:80 -i -w 1 --tun-type ipip"},
			{tunnel("10.0.0.3:80", ipvs.TunnelGUE, 6080, ipvs.TunnelNoChecksum), "-r 10.0.0.3:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum"},
			{tunnel("10.0.0.4:80", ipvs.TunnelGUE, 1, ipvs.TunnelChecksum), "-r 10.0.0.4:80 -i -w 1 --tun-type gue --tun-port 1 --tun-csum"},
			{tunnel("10.0.0.5:80", ipvs.TunnelGUE, 65535, ipvs.TunnelRemoteChecksum), "-r 10.0.0.5:80 -i -w 1 --tun-type gue --tun-port 65535 --tun-remcsum"},
			{tunnel("10.0.0.6:80", ipvs.TunnelGRE, 0, ipvs.TunnelChecksum), "-r 10.0.0.6:80 -i -w 1 --tun-type gre --tun-csum"},
			{tunnel("[2001:db8::7]:80", ipvs.TunnelIPIP, 0, 0), "-r [2001:db8::7]:80 -i -w 1 --tun-type ipip"},
		}},
		{sctp, "-A --sctp-service [2001:db8::1]:80 -s wlc -p 360 -M 64", []oracleServer{
			{ipvs.Destination{DestinationKey: server("[2001:db8::2]:80"), Weight: 1, Forward: ipvs.DirectRoute}, "-r [2001:db8::2]:80 -g -w 1"},
			{weighted("[2001:db8::3]:8080", 3), "-r [2001:db8::3]:8080 -m -w 3"},
			{tunnel("10.0.0.6:80", ipvs.TunnelIPIP, 0, 0), "-r 10.0.0.6:80 -i -w 1 --tun-type ipip"},
		}},
		{mh, "-A -t 192.0.2.2:0 -s mh -p 1 -b mh-port", nil},
		{service(ipvs.ServiceByMark(ipvs.IPv4, 7), "rr"), "-A -f 7 -s rr", []oracleServer{{weighted("10.0.0.1:0", 1), "-r 10.0.0.1:0 -m -w 1"}}},
		{service(ipvs.ServiceByMark(ipvs.IPv6, 7), "nq"), "-A -f 7 -6 -s nq", nil},
		{service(ipvs.ServiceByMark(ipvs.IPv4, 1<<31-1), "dh"), "-A -f 2147483647 -s dh", nil}, // ipvsadm prints greater ones as negative
	}
}

func tunnel(s string, typ ipvs.TunnelType, port uint16, flags ipvs.TunnelFlags) ipvs.Destination {
	return ipvs.Destination{
		DestinationKey: server(s), Weight: 1, Forward: ipvs.Tunnel, TunnelType: typ, TunnelPort: port, TunnelFlags: flags,
	}
}

// TestKernelTableAgainstOracles writes every kind of service and server and reads them back with our client, with
// ipvsadm and with moby/ipvs.
func TestKernelTableAgainstOracles(t *testing.T) {
	k := newKernel(t)
	var want []ipvs.Entry
	var wantLines []string
	for _, c := range oracleCases() {
		e := ipvs.Entry{Service: c.service}
		wantLines = append(wantLines, c.line)
		what := strings.TrimPrefix(c.line[:strings.Index(c.line, " -s ")], "-A ")
		if err := k.NewService(t.Context(), c.service); err != nil {
			t.Fatal(err)
		}
		for _, s := range c.servers {
			e.Destinations = append(e.Destinations, s.server)
			wantLines = append(wantLines, "-a "+what+" "+s.line)
			if err := k.NewDestination(t.Context(), c.service.ServiceKey, s.server); err != nil {
				t.Fatal(err)
			}
		}
		want = append(want, e)
	}
	table, err := k.Table(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(sorted(want), entries(table), values); diff != "" {
		t.Error(diff)
	}
	// ipvsadm prints the same for all attributes that it supports, in its own order.
	if diff := gocmp.Diff(lines(wantLines), lines(k.ipvsadm(t, "-Sn"))); diff != "" {
		t.Error(diff)
	}
	compareWithMoby(t, k, table)
}

func lines(list []string) map[string]int {
	m := map[string]int{}
	for _, l := range list {
		m[strings.TrimSpace(l)]++
	}
	return m
}

// compareWithMoby compares the fields that moby/ipvs reads correctly: not the persistence engine, the upper half of a
// weight, tunnels, and destinations of the other family.
func compareWithMoby(t *testing.T, k kernel, table []ipvs.ServiceState) {
	t.Helper()
	services, _ := k.moby(t, nil)
	if len(services) != len(table) {
		t.Fatalf("moby reads %d services, want %d", len(services), len(table))
	}
	for i, m := range services {
		s := table[i]
		if m.FWMark != s.Mark || Family(m) != s.Family || m.Port != s.Port || m.Protocol != uint16(s.Protocol) ||
			m.SchedName != s.Scheduler || ipvs.ServiceFlags(m.Flags)&^ipvs.FlagHashed != s.Flags || m.Timeout != s.PersistenceTimeout ||
			(s.Mark == 0 && m.Address.String() != s.Address.String()) {
			t.Errorf("moby reads %+v, we read %+v", m, s.Service)
		}
		_, destinations := k.moby(t, m)
		for j, d := range destinations {
			ours := s.Destinations[j]
			if ipvs.Family(d.AddressFamily) == s.Family && d.Address.String() != ours.Address.String() {
				t.Errorf("moby reads server %s, we read %s", d.Address, ours.Address)
			}
			if d.Port != ours.Port || uint16(d.Weight) != uint16(ours.Weight) || ipvs.ForwardMethod(d.ConnectionFlags) != ours.Forward ||
				d.UpperThreshold != ours.UpperThreshold || d.LowerThreshold != ours.LowerThreshold {
				t.Errorf("moby reads %+v, we read %+v", d, ours)
			}
		}
	}
}

// Family is the address family of a service read by moby/ipvs.
func Family(m *moby.Service) ipvs.Family { return ipvs.Family(m.AddressFamily) }

// Every scheduler of the kernel can be set, and changed to every other one while the service has servers.
func TestKernelSchedulers(t *testing.T) {
	k := newKernel(t)
	var there []string
	s := service(web, "rr")
	if err := k.NewService(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		d := weighted("10.0.0.1:80", uint32(i))
		d.Port += uint16(i)
		if err := k.NewDestination(t.Context(), web, d); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range ipvs.Schedulers() {
		s.Scheduler = name
		err := k.SetService(t.Context(), s)
		if errors.Is(err, syscall.ENOENT) {
			if !strings.Contains(err.Error(), "modprobe ip_vs_"+name) {
				t.Errorf("%v does not name the module", err)
			}
			t.Logf("this kernel has no scheduler %s", name)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		there = append(there, name)
	}
	if len(there) < 13 {
		t.Errorf("this kernel has the schedulers %v only", there)
	}
	for _, from := range there {
		for _, to := range there {
			for _, name := range []string{from, to} {
				s.Scheduler = name
				s.Flags = ipvs.FlagSched1
				if err := k.SetService(t.Context(), s); err != nil {
					t.Fatal(err)
				}
			}
			got, err := k.Lookup(t.Context(), []ipvs.ServiceKey{web})
			if err != nil || len(got) != 1 || got[0].Service != s || len(got[0].Destinations) != 3 {
				t.Fatalf("from %s to %s: got %+v, %v", from, to, got, err)
			}
		}
	}
}

func TestKernelGlobals(t *testing.T) {
	k := newKernel(t)
	ctx := t.Context()
	info, err := k.Info(ctx)
	if err != nil || info.Version != 0x010201 || info.TableSize == 0 {
		t.Errorf("got %+v, %v", info, err)
	}
	if err := k.SetTimeouts(ctx, ipvs.Timeouts{TCP: 1000, UDP: 77}); err != nil {
		t.Fatal(err)
	}
	want := ipvs.Timeouts{TCP: 1000, TCPFin: 120, UDP: 77}
	if got, err := k.Timeouts(ctx); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if got := k.ipvsadm(t, "-L", "--timeout")[0]; got != "Timeout (tcp tcpfin udp): 1000 120 77" {
		t.Errorf("ipvsadm says %s", got)
	}
	if err := k.SetTimeouts(ctx, ipvs.Timeouts{TCP: 1 << 31}); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("got error %v, want EINVAL", err)
	}
	for _, s := range []ipvs.Service{service(web, "rr"), service(dns, "rr")} {
		if err := k.NewService(ctx, s); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if got, err := k.Table(ctx); err != nil || len(got) != 0 {
		t.Errorf("after a flush: got %v, %v", got, err)
	}
	if err := k.Flush(ctx); err != nil {
		t.Error(err)
	}
}
