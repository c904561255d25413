package lab

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/bpf"
)

// pair is a client and a server on one bridge.
func pair(t *testing.T) (client, server *Node) {
	t.Helper()
	l := NewT(t, "labtest")
	lan := must[*Bridge](t)(l.Bridge("lan"))
	client = must[*Node](t)(l.Host("client", NIC{Name: "eth0", Bridge: lan, Addresses: Prefixes("10.0.0.9/24")}))
	server = must[*Node](t)(l.Host("server", NIC{Name: "eth0", Bridge: lan, Addresses: Prefixes("10.0.0.1/24")}))
	return client, server
}

func TestHostWeb(t *testing.T) {
	Need(t, Host)
	host, server := pair(t)
	client := host.Client(nil)
	web := must[*Web](t)(server.Web(WebConfig{Name: "rs1", Address: "10.0.0.1:80"}))

	r := must[Reply](t)(client.Get(t.Context(), "http://10.0.0.1/"))
	if r.Status != http.StatusOK || r.Body != "rs1" || r.Server != "rs1" {
		t.Errorf("got %+v, want rs1", r)
	}
	web.SetHealthy(false)
	if r := must[Reply](t)(client.Get(t.Context(), "http://10.0.0.1/healthz")); r.Status != http.StatusServiceUnavailable {
		t.Errorf("a sick server answers %+v", r)
	}
	web.SetHealthy(true)
	if r := must[Reply](t)(client.Get(t.Context(), "http://10.0.0.1/healthz")); r.Status != http.StatusOK {
		t.Errorf("a healthy server answers %+v", r)
	}
	if got := web.Requests(); got["/"] != 1 || got["/healthz"] != 2 {
		t.Errorf("it counted %v", got)
	}
	if err := web.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Get(t.Context(), "http://10.0.0.1/"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("a stopped server gives %v, want a refusal", err)
	}
	if err := web.Start(); err != nil {
		t.Fatal(err)
	}
	spread := must[map[string]int](t)(client.Spread(t.Context(), 3, "http://10.0.0.1/"))
	if spread["rs1"] != 3 {
		t.Errorf("spread is %v, want rs1 3", spread)
	}
}

func TestHostWebTLS(t *testing.T) {
	Need(t, Host)
	host, server := pair(t)
	certificate := must[*Certificate](t)(NewCertificate("10.0.0.1"))
	must[*Web](t)(server.Web(WebConfig{Name: "rs1", Address: "10.0.0.1:443", TLS: certificate}))
	if r := must[Reply](t)(host.Client(certificate.Pool()).Get(t.Context(), "https://10.0.0.1/")); r.Body != "rs1" {
		t.Errorf("got %+v, want rs1", r)
	}
	if _, err := host.Client(nil).Get(t.Context(), "https://10.0.0.1/"); err == nil {
		t.Error("a client that does not know the certificate trusts it")
	}
}

func TestHostTimedDownload(t *testing.T) {
	Need(t, Host)
	host, server := pair(t)
	web := must[*Web](t)(server.Web(WebConfig{Name: "rs1", Address: "10.0.0.1:80"}))
	client := host.Client(nil)

	const size, rate = 100_000, 200_000
	start := time.Now()
	all := client.Download(t.Context(), 5, "http://10.0.0.1", size, rate).Wait()
	for _, d := range all {
		if d.Err != nil || !d.Done || d.Bytes != size || d.Server != "rs1" || !d.Local.IsValid() {
			t.Errorf("download went %+v", d)
		}
		if d.Gap == 0 || d.Gap > 300*time.Millisecond {
			t.Errorf("the longest gap is %v", d.Gap)
		}
	}
	if took := time.Since(start); took < 400*time.Millisecond {
		t.Errorf("downloads of half a second took %v", took)
	}

	const large = 10_000_000
	slow := client.Download(t.Context(), 2, "http://10.0.0.1", large, large/600)
	<-slow.Started()
	web.Hurry()
	for _, d := range slow.Wait() {
		if d.Err != nil || d.Bytes != large {
			t.Errorf("a download of ten minutes went %+v", d)
		}
	}

	broken := client.Download(t.Context(), 2, "http://10.0.0.1", 1_000_000, rate)
	<-broken.Started()
	if err := web.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, d := range broken.Wait() {
		if d.Err == nil || d.Bytes == 0 || d.Bytes == 1_000_000 {
			t.Errorf("a broken download went %+v", d)
		}
	}
}

func TestBodyChecker(t *testing.T) {
	part := func(offset int64, n int) []byte {
		p := make([]byte, n)
		fillBody(p, offset)
		return p
	}
	check := &bodyChecker{}
	for _, p := range [][]byte{part(0, 13), part(13, 1), part(14, 5000)} {
		if _, err := check.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := check.Write(part(5022, 8)); err == nil {
		t.Error("8 missing bytes were not seen")
	}
}

func TestHostProbe(t *testing.T) {
	Need(t, Host)
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			host, server := pair(t)
			echo := must[*UDPEcho](t)(server.UDPEcho("rs1", "10.0.0.1:53"))
			web := must[*Web](t)(server.Web(WebConfig{Address: "10.0.0.1:53"}))
			p := must[*Prober](t)(host.Client(nil).Probe(t.Context(), ProbeConfig{
				Network: network, Address: "10.0.0.1:53", Every: 5 * time.Millisecond, Deadline: time.Second, // not what a busy host exceeds
			}))
			await(t, func() bool { return p.Report().Sent > 20 })
			if r := p.Report(); r.Lost != 0 || r.Longest != 0 {
				t.Errorf("before the outage the report is %+v", r)
			}
			for _, err := range []error{echo.Stop(), web.Stop()} {
				if err != nil {
					t.Fatal(err)
				}
			}
			await(t, func() bool { return p.Report().Lost > 20 })
			for _, err := range []error{echo.Start(), web.Start()} {
				if err != nil {
					t.Fatal(err)
				}
			}
			lost := p.Report().Lost
			await(t, func() bool { return p.Report().Sent > 120 })
			r := p.Stop()
			if len(r.Outages) != 1 || r.Outages[0].Lost != r.Lost || r.Lost < lost || r.LastError == nil {
				t.Errorf("the report is %+v, want one outage with refusals", r)
			}
			if least := time.Duration(r.Lost) * 4 * time.Millisecond; r.Longest < least {
				t.Errorf("%d lost questions took only %v", r.Lost, r.Longest)
			}
			t.Logf("%d asked, %d lost in %v", r.Sent, r.Lost, r.Longest)
		})
	}
}

// await waits until a condition is true, and fails the test after ten seconds.
func await(t *testing.T, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := Await(ctx, so); err != nil {
		t.Fatal(err)
	}
}

func TestHostCapture(t *testing.T) {
	Need(t, Host)
	host, server := pair(t)
	arp := must[*Capture](t)(server.Capture("eth0", Filter{EtherTypes: []uint16{EtherTypeARP}}))
	icmp := must[*Capture](t)(host.lab.Fabric().Capture("lan", Filter{Protocols: []uint8{1}}))
	all := must[*Capture](t)(host.Capture("eth0", Filter{}))
	must[[]byte](t)(host.Command(t.Context(), "ping", "-c1", "10.0.0.1").Output())

	request := must[Frame](t)(arp.Next(t.Context()))
	reply := must[Frame](t)(arp.Next(t.Context()))
	if request.Outgoing || !reply.Outgoing || request.Data[21] != 1 || reply.Data[21] != 2 {
		t.Errorf("ARP was %+v, %+v, want a request that came and a reply that went", request, reply)
	}
	if gap := reply.Time.Sub(request.Time); gap < 0 || gap > time.Second || time.Since(reply.Time) > time.Minute {
		t.Errorf("ARP was at %v and %v", request.Time, reply.Time)
	}
	for range 2 {
		if f := must[Frame](t)(icmp.Next(t.Context())); f.Data[23] != 1 {
			t.Errorf("the bridge carried protocol %d, want ICMP", f.Data[23])
		}
	}
	await(t, func() bool { return len(all.Frames()) >= 4 })
	if err := arp.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := arp.Next(t.Context()); err == nil {
		t.Error("a stopped capture goes on")
	}
}

func TestHostUnplug(t *testing.T) {
	Need(t, Host)
	host, server := pair(t)
	must[*UDPEcho](t)(server.UDPEcho("rs1", "10.0.0.1:53"))
	p := must[*Prober](t)(host.Client(nil).Probe(t.Context(), ProbeConfig{Network: "udp", Address: "10.0.0.1:53"}))
	answers := func() int { r := p.Report(); return r.Sent - r.Lost }
	await(t, func() bool { return answers() > 0 })
	if err := host.lab.Unplug("server", "eth0"); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return p.Report().Lost > 5 })
	if link := must[netlink.Link](t)(server.Link("eth0")); link.Attrs().OperState != netlink.OperUp {
		t.Errorf("the card noticed: it is %v", link.Attrs().OperState)
	}
	if err := host.lab.Plug("server", "eth0"); err != nil {
		t.Fatal(err)
	}
	before := answers()
	await(t, func() bool { return answers() > before })
	if err := host.lab.Unplug("server", "eth1"); err == nil {
		t.Error("a card that is not there was unplugged")
	}
}

func TestFilter(t *testing.T) {
	frame := func(etherType uint16, protocol4, protocol6 byte) []byte {
		f := make([]byte, 60)
		f[12], f[13] = byte(etherType>>8), byte(etherType)
		f[offIPv4Protocol], f[offIPv6Next] = protocol4, protocol6
		return f
	}
	for _, tt := range []struct {
		name   string
		filter Filter
		frame  []byte
		want   bool
	}{
		{"all", Filter{}, frame(0x88cc, 0, 0), true},
		{"ARP", Announcements(), frame(EtherTypeARP, 0, 0), true},
		{"VRRP over IPv4", Announcements(), frame(EtherTypeIPv4, ProtocolVRRP, 0), true},
		{"VRRP over IPv6", Announcements(), frame(EtherTypeIPv6, 0, ProtocolVRRP), true},
		{"neighbour advertisement", Announcements(), frame(EtherTypeIPv6, 0, ProtocolICMPv6), true},
		{"TCP over IPv4", Announcements(), frame(EtherTypeIPv4, ProtocolTCP, ProtocolVRRP), false},
		{"TCP over IPv6", Announcements(), frame(EtherTypeIPv6, ProtocolVRRP, ProtocolTCP), false},
		{"LLDP", Announcements(), frame(0x88cc, ProtocolVRRP, ProtocolVRRP), false},
		{"only UDP", Filter{Protocols: []uint8{ProtocolUDP}}, frame(EtherTypeARP, 0, 0), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := accepts(t, tt.filter, tt.frame); got != tt.want {
				t.Errorf("accepts = %v, want %v", got, tt.want)
			}
		})
	}
}

func accepts(t *testing.T, f Filter, frame []byte) bool {
	t.Helper()
	vm := must[*bpf.VM](t)(bpf.NewVM(f.program()))
	return must[int](t)(vm.Run(frame)) > 0
}
