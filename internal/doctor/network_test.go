package doctor_test

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/doctor"
	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

func TestInterfaces(t *testing.T) {
	examine(t, []examination{
		{"missing", natConfig, func(_ *config.Config, o *doctor.Observed) { o.Links = o.Links[:2] }, []string{
			"error interface-missing eth1",
			"warning interface-missing eth2",
		}},
		{"down", drConfig, func(_ *config.Config, o *doctor.Observed) { o.Links[1].Up = false }, []string{
			"error interface-down eth0"}},
		{"no carrier", natConfig, func(_ *config.Config, o *doctor.Observed) {
			o.Links[1].NoCarrier, o.Links[3].Up = true, false
		}, []string{
			"error interface-down eth0",
			"warning interface-down eth2"}},
		{"down, and so without a link-local address", strings.ReplaceAll(drConfig[:strings.Index(drConfig, "virtual_service")], "202.99.59.110/24", "fd00::9/64"),
			func(_ *config.Config, o *doctor.Observed) { o.Adverts, o.Links[1].Up = nil, false }, []string{
				"error interface-down eth0"}},
		{"no address", drConfig, func(_ *config.Config, o *doctor.Observed) { o.Addresses = o.Addresses[1:] }, []string{
			"error no-source eth0"}},
		{"only the virtual address", drConfig, func(_ *config.Config, o *doctor.Observed) { o.Addresses[0].Prefix = prefix("202.99.59.110/24") }, []string{
			"error no-source eth0"}},
		{"source address missing", drConfig, func(c *config.Config, o *doctor.Observed) { c.VRRP[0].SourceAddress = addr("202.99.59.7") }, []string{
			"error no-source eth0"}},
		{"IPv6 without a link-local address", strings.ReplaceAll(drConfig[:strings.Index(drConfig, "virtual_service")], "202.99.59.110/24", "fd00::9/64"),
			func(_ *config.Config, o *doctor.Observed) { o.Adverts = nil }, []string{
				"error no-source eth0",
				"info peer-silent web"}},
		{"link-local virtual address", strings.ReplaceAll(drConfig[:strings.Index(drConfig, "virtual_service")], `"202.99.59.110/24"`, `"fe80::9/64", "fd00::9/64"`),
			func(_ *config.Config, o *doctor.Observed) {
				o.Adverts = nil
				o.Addresses = append(o.Addresses, host.Address{Interface: "eth0", Prefix: prefix("fe80::1/64")}, host.Address{Interface: "eth0", Prefix: prefix("fd00::1/64")})
			}, []string{"info peer-silent web"}},
		{"virtual on another interface", strings.ReplaceAll(drConfig[:strings.Index(drConfig, "virtual_service")], `"202.99.59.110/24"`, `"fd00::9/64"`) +
			"vrrp \"other\" {\ninterface = \"eth9\"\nvirtual_router_id = 9\naddresses = [\"fe80::1/64\"]\n}\n",
			func(_ *config.Config, o *doctor.Observed) {
				o.Adverts = nil
				o.Links = append(o.Links, host.Link{Name: "eth9", Up: true})
				o.Addresses = append(o.Addresses, host.Address{Interface: "eth0", Prefix: prefix("fe80::1/64")}, host.Address{Interface: "eth0", Prefix: prefix("fd00::1/64")},
					host.Address{Interface: "eth9", Prefix: prefix("fe80::99/64")})
			}, []string{"info peer-silent web"}},
		{"virtual address outside", strings.ReplaceAll(drConfig, "202.99.59.110", "10.1.1.1"), func(_ *config.Config, o *doctor.Observed) {
			o.Adverts[0].Advert.Addresses[0] = addr("10.1.1.1")
		}, []string{"warning address-outside 10.1.1.1/24"}},
		{"virtual address outside, and there", strings.ReplaceAll(drConfig, "202.99.59.110", "10.1.1.1"), func(_ *config.Config, o *doctor.Observed) {
			o.Adverts[0].Advert.Addresses[0] = addr("10.1.1.1")
			o.Addresses = append(o.Addresses, host.Address{Interface: "eth0", Prefix: prefix("10.1.1.1/24")})
		}, []string{"warning address-outside 10.1.1.1/24"}},
		{"host address inside", strings.ReplaceAll(drConfig, "202.99.59.110/24", "202.99.59.110/32"), nil, nil},
		{"routes", strings.Replace(drConfig, "addresses ", `
			route "10.1.0.0/16" { via = "202.99.59.9" }
			route "10.2.0.0/16" { via = "10.77.0.1" }
			route "10.3.0.0/16" {
				via       = "10.77.0.1"
				interface = "eth9"
				onlink    = true
			}
			addresses `, 1), nil, []string{"error interface-missing eth9", "error gateway-outside 10.77.0.1"}},
		{"keepalived", drConfig, func(_ *config.Config, o *doctor.Observed) { o.Daemons = []doctor.Process{{7, "keepalived"}} }, []string{
			"warning other-daemon keepalived"}},
	})
}

func TestSecondaryAddresses(t *testing.T) {
	demoting := func(_ *config.Config, o *doctor.Observed) { o.Sysctls["net.ipv4.conf.all.promote_secondaries"] = "0" }
	second := strings.NewReplacer(`"web"`, `"other"`, "= 51", "= 52", "59.110/24", "59.120/24").Replace(drConfig[:strings.Index(drConfig, "virtual_service")])
	examine(t, []examination{
		{"of the machine's own on both devices", natConfig, demoting, []string{"warning secondary-address eth0!", "warning secondary-address eth1!"}},
		{"promoted on one device", natConfig, func(c *config.Config, o *doctor.Observed) {
			demoting(c, o)
			o.Sysctls["net.ipv4.conf.eth0.promote_secondaries"] = "1"
		}, []string{"warning secondary-address eth1!"}},
		{"of another instance only", drConfig + second, func(c *config.Config, o *doctor.Observed) {
			demoting(c, o)
			o.Addresses[0].Prefix = prefix("202.99.59.111/32")
		}, []string{"warning secondary-address eth0!", "info peer-silent other"}},
		{"host addresses have no company", strings.ReplaceAll(drConfig, "202.99.59.110/24", "202.99.59.110/32"), demoting, nil},
		{"of the same instance only", strings.Replace(drConfig, `110/24"]`, `110/24", "202.99.59.120/24"]`, 1), func(c *config.Config, o *doctor.Observed) {
			demoting(c, o)
			o.Addresses[0].Prefix = prefix("202.99.59.111/32")
			o.Adverts[0].Advert.Addresses = append(o.Adverts[0].Advert.Addresses, addr("202.99.59.120"))
		}, nil},
	})
}

// TestAddressesAreNotRightOnMissingDevices checks that no address is reported as ok on a missing device.
func TestAddressesAreNotRightOnMissingDevices(t *testing.T) {
	o := healthy()
	o.Links = nil
	for _, f := range doctor.Examine(load(t, natConfig), o) {
		if f.Code == "address" {
			t.Errorf("found %+v", f)
		}
	}
}

func TestARP(t *testing.T) {
	two := func(_ *config.Config, o *doctor.Observed) {
		o.Addresses = append(o.Addresses, host.Address{Interface: "eth2", Prefix: prefix("202.99.59.211/24")})
	}
	examine(t, []examination{
		{"two cards in one network", drConfig, two, []string{
			"warning arp-flux 202.99.59.0/24!"}},
		{"two cards, silenced", drConfig, func(c *config.Config, o *doctor.Observed) {
			two(c, o)
			o.Sysctls["net.ipv4.conf.all.arp_ignore"], o.Sysctls["net.ipv4.conf.all.arp_announce"] = "1", "2"
		}, nil},
		{"virtual address on lo", drConfig, func(_ *config.Config, o *doctor.Observed) {
			o.Addresses = append(o.Addresses, host.Address{Interface: "lo", Prefix: prefix("202.99.59.110/32")})
		}, []string{"warning backup-only 202.99.59.110"}},
		{"virtual address on lo, with sync", natConfig, func(_ *config.Config, o *doctor.Observed) {
			o.Addresses = append(o.Addresses, host.Address{Interface: "lo", Prefix: prefix("202.99.59.110/32")})
		}, []string{"warning backup-only 202.99.59.110!"}},
		{"real server here", drConfig, func(_ *config.Config, o *doctor.Observed) {
			o.Routes[addr("202.99.59.108")] = host.Route{Interface: "lo", Local: true}
		}, []string{"info server-is-local 202.99.59.108"}},
	})
}

func TestAdverts(t *testing.T) {
	listen := func(adverts ...doctor.Advert) func(*config.Config, *doctor.Observed) {
		return func(_ *config.Config, o *doctor.Observed) { o.Adverts = adverts }
	}
	running := func(s vrrp.State, adverts ...doctor.Advert) func(*config.Config, *doctor.Observed) {
		return func(_ *config.Config, o *doctor.Observed) {
			o.Adverts, o.Running = adverts, &doctor.Running{States: map[string]vrrp.State{"web": s}}
		}
	}
	examine(t, []examination{
		{"silence", drConfig, listen(), []string{"info peer-silent web"}},
		{"silence as master", drConfig, running(vrrp.Master), nil},
		{"silence without a link", drConfig, func(_ *config.Config, o *doctor.Observed) { o.Adverts, o.Links[1].Up = nil, false }, []string{
			"error interface-down eth0"}},
		{"a conflict that the daemon has found", drConfig, func(_ *config.Config, o *doctor.Observed) {
			o.Running = &doctor.Running{States: map[string]vrrp.State{"web": vrrp.Master}, Conflicts: map[string][]api.Conflict{
				"web": {{Kind: vrrp.ConflictAddress, Address: netip.MustParseAddr("202.99.59.110"), Hardware: "02:00:00:00:00:02", Count: 3, Since: time.Unix(0, 0)}}, "removed since": {{}},
			}}
			o.Adverts = nil
		}, []string{"error conflict web"}},
		{"a virtual MAC address that cannot be used", vmacConfig, func(_ *config.Config, o *doctor.Observed) {
			o.Running = &doctor.Running{States: map[string]vrrp.State{"web": vrrp.Initialize}, VMACs: map[string]*api.VMAC{
				"web": {Interface: "vrrp.51", Problem: "device or resource busy"},
			}}
		}, []string{"error vmac vrrp.51"}},
		{"another program's interface with the name", vmacConfig, func(_ *config.Config, o *doctor.Observed) {
			o.Links = append(o.Links, host.Link{Index: 99, Name: "vrrp.51", Up: true})
		}, []string{"error vmac vrrp.51"}},
		{"the interface of a former daemon", vmacConfig, func(_ *config.Config, o *doctor.Observed) {
			o.Links = append(o.Links, host.Link{Index: 99, Name: "vrrp.51", Up: true, Alias: vrrp.VMACAlias + "eth0"})
		}, nil},
		{"silence as backup", drConfig, running(vrrp.Backup), []string{
			"warning peer-silent web"}},
		{"not listened", drConfig, func(_ *config.Config, o *doctor.Observed) { o.Listened, o.Adverts = nil, nil }, nil},
		{"another instance", drConfig, listen(hear("202.99.59.112", 150, func(a *doctor.Advert) { a.Advert.VirtualRouterID = 52 })), []string{
			"info peer-silent web"}},
		{"two masters", drConfig, listen(hear("202.99.59.113", 90), hear("202.99.59.112", 150), hear("202.99.59.112", 150)), []string{
			"error two-masters web"}},
		{"contested", drConfig, running(vrrp.Master, hear("202.99.59.112", 150)), []string{
			"error two-masters web"}},
		{"two masters by unicast", strings.Replace(drConfig, "addresses  ", "unicast_peers = [\"202.99.59.112\"]\n  addresses  ", 1),
			running(vrrp.Master, hear("202.99.59.112", 150, func(a *doctor.Advert) { a.Envelope.Destination = addr("202.99.59.111") })), []string{
				"error two-masters web"}},
		{"one that leaves", drConfig, listen(hear("202.99.59.112", 150), hear("202.99.59.113", 100), hear("202.99.59.112", 0)), nil},
		{"other addresses", drConfig, listen(hear("202.99.59.112", 150, func(a *doctor.Advert) { a.Advert.Addresses = []netip.Addr{addr("10.0.0.1")} })), []string{
			"warning addresses-differ web"}},
		{"other version", drConfig, listen(hear("202.99.59.112", 150, func(a *doctor.Advert) { a.Advert.Version = 2 })), []string{
			"error advert-refused web",
			"info peer-silent web"}},
		{"damaged", drConfig, listen(hear("202.99.59.112", 150, func(a *doctor.Advert) { a.Dropped = vrrp.DropLength })), []string{
			"error advert-refused web",
			"info peer-silent web"}},
		{"through a router", drConfig, listen(hear("202.99.59.112", 150, func(a *doctor.Advert) { a.Envelope.HopLimit = 254 })), []string{
			"error advert-refused web",
			"info peer-silent web"}},
		{"long silence", drConfig, func(_ *config.Config, o *doctor.Observed) {
			o.Adverts, o.Listened["eth0"] = nil, 3200*time.Millisecond
		}, []string{"info peer-silent web"}},
	})
}

// TestPeerHeard checks that a peer is reported as heard only if its adverts were received.
func TestPeerHeard(t *testing.T) {
	for code, adverts := range map[string][]doctor.Advert{"master": nil, "peer-heard": {hear("202.99.59.112", 150)}} {
		o := healthy()
		o.Adverts = adverts
		if adverts == nil {
			o.Running = &doctor.Running{States: map[string]vrrp.State{"web": vrrp.Master}}
		}
		var codes []string
		for _, f := range doctor.Examine(load(t, drConfig), o) {
			codes = append(codes, f.Code)
		}
		if !slices.Contains(codes, code) || slices.Contains(codes, "master") == slices.Contains(codes, "peer-heard") {
			t.Errorf("with %d adverts: %v", len(adverts), codes)
		}
	}
}

func TestServers(t *testing.T) {
	const nat, direct = "192.168.10.1", "202.99.59.108"
	route := func(server string, r host.Route) func(*config.Config, *doctor.Observed) {
		return func(_ *config.Config, o *doctor.Observed) { o.Routes[addr(server)] = r }
	}
	probed := func(p doctor.Probe) func(*config.Config, *doctor.Observed) {
		return func(_ *config.Config, o *doctor.Observed) {
			p.Endpoint, p.Kind = netip.MustParseAddrPort("202.99.59.108:80"), "tcp"
			o.Probes = []doctor.Probe{p}
		}
	}
	examine(t, []examination{
		{"no route", drConfig, func(_ *config.Config, o *doctor.Observed) {
			delete(o.Routes, addr(direct))
			o.Unreachable = map[netip.Addr]string{addr(direct): "network is unreachable"}
		}, []string{
			"error server-no-route 202.99.59.108"}},
		{"sources", drConfig, func(_ *config.Config, o *doctor.Observed) {
			o.Sources = []doctor.Source{{Name: "dns web.example.com", Err: errors.New("SERVFAIL")}, {Name: "file /a", Ignored: []string{"10.0.0.1:81: its port"}}}
		}, []string{
			"warning discovery-failed dns web.example.com", "warning discovery-ignored file /a"}},
		{"silent", drConfig, func(_ *config.Config, o *doctor.Observed) { o.Neighbors = map[netip.Addr]bool{addr(direct): true} }, []string{
			"warning server-silent 202.99.59.108"}},
		{"DR through a router", drConfig, route(direct, host.Route{Interface: "eth0", Gateway: addr("202.99.59.1"), MTU: 1500}), []string{
			"error dr-not-on-link 202.99.59.108"}},
		{"NAT through a router", natConfig, route(nat, host.Route{Interface: "eth1", Gateway: addr("192.168.10.9"), MTU: 1500}), []string{
			"info nat-behind-router 192.168.10.1"}},
		{"NAT without a moving gateway", strings.Replace(natConfig, `address "192.168.10.254/24" { interface = "eth1" }`, "", 1), func(_ *config.Config, o *doctor.Observed) {
			o.Adverts[0].Advert.Addresses = o.Adverts[0].Advert.Addresses[:1]
		}, []string{"warning nat-gateway 192.168.10.0/24"}},
		{"NAT by a single director", natConfig, func(c *config.Config, _ *doctor.Observed) { c.VRRP = nil }, []string{
			"info nat-gateway 192.168.10.0/24"}},
		{"NAT on one network", strings.Replace(drConfig, `"dr"`, `"nat"`, 1), func(_ *config.Config, o *doctor.Observed) {
			o.Sysctls["net.ipv4.conf.eth0.send_redirects"] = "0"
		}, []string{"info nat-one-network 202.99.59.0/24"}},
		{"refused", drConfig, probed(doctor.Probe{Detail: "connection refused"}), []string{
			"warning check-failed 202.99.59.108:80"}},
		{"refused, no check", drConfig, probed(doctor.Probe{Detail: "connection refused", Assumed: true}), []string{
			"warning check-failed 202.99.59.108:80"}},
		{"no sockets", drConfig, probed(doctor.Probe{Detail: "not checked: out of memory", Local: true}), []string{
			"warning check-impossible 202.99.59.108:80"}},
	})
}

func TestTunnels(t *testing.T) {
	const server = "198.51.100.8"
	narrow := func(kind ipvs.TunnelType, flags ipvs.TunnelFlags) func(*config.Config, *doctor.Observed) {
		return func(c *config.Config, o *doctor.Observed) {
			r := &c.Services[0].RealServers[0]
			r.TunnelType, r.TunnelFlags = kind, flags
			o.Routes[addr(server)] = host.Route{Interface: "eth1", MTU: 1500}
		}
	}
	mtu := []string{"info tunnel-mtu " + server}
	examine(t, []examination{
		{"ipip", tunConfig, narrow(ipvs.TunnelIPIP, 0), mtu},
		{"gre", tunConfig, narrow(ipvs.TunnelGRE, 0), mtu},
		{"gre with a checksum", tunConfig, narrow(ipvs.TunnelGRE, ipvs.TunnelChecksum), mtu},
		{"gue", tunConfig, narrow(ipvs.TunnelGUE, 0), mtu},
		{"from the virtual address", tunConfig, func(_ *config.Config, o *doctor.Observed) {
			o.Routes[addr(server)] = host.Route{Interface: "eth1", Source: addr("202.99.59.110"), MTU: 9000}
		}, []string{"error tunnel-source 198.51.100.8"}},
	})
}
