package doctor_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/doctor"
	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

func TestInterfaces(t *testing.T) {
	examine(t, []examination{
		{"missing", natConfig, func(_ *config.Config, o *doctor.Observed) { o.Links = o.Links[:2] }, []string{
			`error interface-missing: there is no device eth1 (vrrp "web") -> ip link show # and correct the name in the configuration`,
			`warning interface-missing: there is no device eth2 (vrrp "web", track_interface) -> ip link show # and correct the name in the configuration`,
		}},
		{"down", drConfig, func(_ *config.Config, o *doctor.Observed) { o.Links[1].Up = false }, []string{
			`error interface-down: eth0 is down (vrrp "web") -> ip link set dev eth0 up`}},
		{"no carrier", natConfig, func(_ *config.Config, o *doctor.Observed) {
			o.Links[1].NoCarrier, o.Links[3].Up = true, false
		}, []string{
			`error interface-down: eth0 has no carrier (vrrp "web") -> ethtool eth0 # and look at the cable and the switch port`,
			`warning interface-down: eth2 is down (vrrp "web", track_interface) -> ip link set dev eth2 up`}},
		{"down, and so without a link-local address", strings.ReplaceAll(drConfig[:strings.Index(drConfig, "virtual_service")], "202.99.59.110/24", "fd00::9/64"),
			func(_ *config.Config, o *doctor.Observed) { o.Adverts, o.Links[1].Up = nil, false }, []string{
				`error interface-down: eth0 is down (vrrp "web") -> ip link set dev eth0 up`}},
		{"no address", drConfig, func(_ *config.Config, o *doctor.Observed) { o.Addresses = o.Addresses[1:] }, []string{
			"error no-source: eth0 has no ipv4 address of its own -> ip address add ADDRESS/LENGTH dev eth0"}},
		{"only the virtual address", drConfig, func(_ *config.Config, o *doctor.Observed) { o.Addresses[0].Prefix = prefix("202.99.59.110/24") }, []string{
			"error no-source: eth0 has no ipv4 address of its own -> ip address add ADDRESS/LENGTH dev eth0"}},
		{"source address missing", drConfig, func(c *config.Config, o *doctor.Observed) { c.VRRP[0].SourceAddress = addr("202.99.59.7") }, []string{
			"error no-source: eth0 has no ipv4 address of its own -> give this machine 202.99.59.7, or correct source_address"}},
		{"IPv6 without a link-local address", strings.ReplaceAll(drConfig[:strings.Index(drConfig, "virtual_service")], "202.99.59.110/24", "fd00::9/64"),
			func(_ *config.Config, o *doctor.Observed) { o.Adverts = nil }, []string{
				"error no-source: eth0 has no ipv6 address of its own -> sysctl -w net.ipv6.conf.eth0.disable_ipv6=0 net.ipv6.conf.eth0.addr_gen_mode=1 net.ipv6.conf.eth0.addr_gen_mode=0",
				"info peer-silent: web: no master was heard within 3s"}},
		{"link-local virtual address", strings.ReplaceAll(drConfig[:strings.Index(drConfig, "virtual_service")], `"202.99.59.110/24"`, `"fe80::9/64", "fd00::9/64"`),
			func(_ *config.Config, o *doctor.Observed) {
				o.Adverts = nil
				o.Addresses = append(o.Addresses, host.Address{Interface: "eth0", Prefix: prefix("fe80::1/64")}, host.Address{Interface: "eth0", Prefix: prefix("fd00::1/64")})
			}, []string{"info peer-silent: web: no master was heard within 3s"}},
		{"virtual address outside", strings.ReplaceAll(drConfig, "202.99.59.110", "10.1.1.1"), func(_ *config.Config, o *doctor.Observed) {
			o.Adverts[0].Advert.Addresses[0] = addr("10.1.1.1")
		}, []string{"warning address-outside: 10.1.1.1 is in no network of eth0 (202.99.59.0/24) -> correct the address or the interface in the configuration, or add the route on the router"}},
		{"virtual address outside, and there", strings.ReplaceAll(drConfig, "202.99.59.110", "10.1.1.1"), func(_ *config.Config, o *doctor.Observed) {
			o.Adverts[0].Advert.Addresses[0] = addr("10.1.1.1")
			o.Addresses = append(o.Addresses, host.Address{Interface: "eth0", Prefix: prefix("10.1.1.1/24")})
		}, []string{"warning address-outside: 10.1.1.1 is in no network of eth0 (202.99.59.0/24) -> correct the address or the interface in the configuration, or add the route on the router"}},
		{"host address inside", strings.ReplaceAll(drConfig, "202.99.59.110/24", "202.99.59.110/32"), nil, nil},
		{"keepalived", drConfig, func(_ *config.Config, o *doctor.Observed) { o.Daemons = []doctor.Process{{7, "keepalived"}} }, []string{
			"warning other-daemon: keepalived runs here (pid 7) -> systemctl disable --now keepalived # or kill 7"}},
	})
}

func TestSecondaryAddresses(t *testing.T) {
	demoting := func(_ *config.Config, o *doctor.Observed) { o.Sysctls["net.ipv4.conf.all.promote_secondaries"] = "0" }
	second := strings.NewReplacer(`"web"`, `"other"`, "= 51", "= 52", "59.110/24", "59.120/24").Replace(drConfig[:strings.Index(drConfig, "virtual_service")])
	finding := func(iface, vip string) string {
		return "warning secondary-address: net.ipv4.conf." + iface + ".promote_secondaries is 0, and " + iface + " has other addresses in the network of " + vip +
			" -> sysctl -w net.ipv4.conf." + iface + ".promote_secondaries=1!"
	}
	examine(t, []examination{
		{"of the machine's own on both devices", natConfig, demoting, []string{finding("eth0", "202.99.59.110/24"), finding("eth1", "192.168.10.254/24")}},
		{"promoted on one device", natConfig, func(c *config.Config, o *doctor.Observed) {
			demoting(c, o)
			o.Sysctls["net.ipv4.conf.eth0.promote_secondaries"] = "1"
		}, []string{finding("eth1", "192.168.10.254/24")}},
		{"of another instance only", drConfig + second, func(c *config.Config, o *doctor.Observed) {
			demoting(c, o)
			o.Addresses[0].Prefix = prefix("202.99.59.111/32")
		}, []string{finding("eth0", "202.99.59.110/24"), "info peer-silent: other: no master was heard within 3s"}},
		{"host addresses have no company", strings.ReplaceAll(drConfig, "202.99.59.110/24", "202.99.59.110/32"), demoting, nil},
		{"of the same instance only", strings.Replace(drConfig, `110/24"]`, `110/24", "202.99.59.120/24"]`, 1), func(c *config.Config, o *doctor.Observed) {
			demoting(c, o)
			o.Addresses[0].Prefix = prefix("202.99.59.111/32")
			o.Adverts[0].Advert.Addresses = append(o.Adverts[0].Advert.Addresses, addr("202.99.59.120"))
		}, nil},
	})
}

// What is on no device fits none.
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
			"warning arp-flux: [eth0 eth2] are all in 202.99.59.0/24, and each answers ARP for the addresses of the others -> " +
				"sysctl -w net.ipv4.conf.eth0.arp_ignore=1; sysctl -w net.ipv4.conf.eth0.arp_announce=2; sysctl -w net.ipv4.conf.eth2.arp_ignore=1; sysctl -w net.ipv4.conf.eth2.arp_announce=2!"}},
		{"two cards, silenced", drConfig, func(c *config.Config, o *doctor.Observed) {
			two(c, o)
			o.Sysctls["net.ipv4.conf.all.arp_ignore"], o.Sysctls["net.ipv4.conf.all.arp_announce"] = "1", "2"
		}, nil},
		{"virtual address on lo", drConfig, func(_ *config.Config, o *doctor.Observed) {
			o.Addresses = append(o.Addresses, host.Address{Interface: "lo", Prefix: prefix("202.99.59.110/32")})
		}, []string{"warning backup-only: 202.99.59.110 is on lo here: this director is prepared as a real server, and balances while it is the standby -> " +
			"lvs-ha realserver down --vip 202.99.59.110 # or a connection_sync block and net.ipv4.vs.backup_only=1"}},
		{"virtual address on lo, with sync", natConfig, func(_ *config.Config, o *doctor.Observed) {
			o.Addresses = append(o.Addresses, host.Address{Interface: "lo", Prefix: prefix("202.99.59.110/32")})
		}, []string{"warning backup-only: 202.99.59.110 is on lo here: this director is prepared as a real server, and balances while it is the standby -> " +
			"sysctl -w net.ipv4.vs.backup_only=1!"}},
		{"real server here", drConfig, func(_ *config.Config, o *doctor.Observed) {
			o.Routes[addr("202.99.59.108")] = host.Route{Interface: "lo", Local: true}
		}, []string{"info server-is-local: the real server 202.99.59.108 is this machine itself"}},
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
	const two = "tcpdump -vni eth0 proto 112 # and let protocol 112 to 224.0.0.18 through packet filters and switches"
	examine(t, []examination{
		{"silence", drConfig, listen(), []string{"info peer-silent: web: no master was heard within 3s"}},
		{"silence as master", drConfig, running(vrrp.Master), nil},
		{"silence without a link", drConfig, func(_ *config.Config, o *doctor.Observed) { o.Adverts, o.Links[1].Up = nil, false }, []string{
			`error interface-down: eth0 is down (vrrp "web") -> ip link set dev eth0 up`}},
		{"silence as backup", drConfig, running(vrrp.Backup), []string{
			"warning peer-silent: web: this node is backup, but no master was heard within 3s -> lvs-ha status"}},
		{"not listened", drConfig, func(_ *config.Config, o *doctor.Observed) { o.Listened, o.Adverts = nil, nil }, nil},
		{"another instance", drConfig, listen(hear("202.99.59.112", 150, func(a *doctor.Advert) { a.Advert.VirtualRouterID = 52 })), []string{
			"info peer-silent: web: no master was heard within 3s"}},
		{"two masters", drConfig, listen(hear("202.99.59.113", 90), hear("202.99.59.112", 150), hear("202.99.59.112", 150)), []string{
			"error two-masters: web: more than one is master: [202.99.59.112 (priority 150) 202.99.59.113 (priority 90)] -> " + two}},
		{"contested", drConfig, running(vrrp.Master, hear("202.99.59.112", 150)), []string{
			"error two-masters: web: more than one is master: [202.99.59.112 (priority 150) this node] -> " + two}},
		{"two masters by unicast", strings.Replace(drConfig, "addresses  ", "unicast_peers = [\"202.99.59.112\"]\n  addresses  ", 1),
			running(vrrp.Master, hear("202.99.59.112", 150, func(a *doctor.Advert) { a.Envelope.Destination = addr("202.99.59.111") })), []string{
				"error two-masters: web: more than one is master: [202.99.59.112 (priority 150) this node] -> " +
					"tcpdump -vni eth0 proto 112 # and let protocol 112 to this node and to [202.99.59.112] through packet filters and switches"}},
		{"one that leaves", drConfig, listen(hear("202.99.59.112", 150), hear("202.99.59.113", 100), hear("202.99.59.112", 0)), nil},
		{"other addresses", drConfig, listen(hear("202.99.59.112", 150, func(a *doctor.Advert) { a.Advert.Addresses = []netip.Addr{addr("10.0.0.1")} })), []string{
			"warning addresses-differ: web: 202.99.59.112 advertises [10.0.0.1] under virtual_router_id 51, which are not this instance's addresses -> " +
				"use the same file on both directors, or another virtual_router_id"}},
		{"other version", drConfig, listen(hear("202.99.59.112", 150, func(a *doctor.Advert) { a.Advert.Version = 2 })), []string{
			"error advert-refused: web: adverts of 202.99.59.112 do not count: version-mismatch -> set version alike on both directors",
			"info peer-silent: web: no master was heard within 3s"}},
		{"damaged", drConfig, listen(hear("202.99.59.112", 150, func(a *doctor.Advert) { a.Dropped = vrrp.DropLength })), []string{
			"error advert-refused: web: adverts of 202.99.59.112 do not count: length -> tcpdump -vni eth0 proto 112 # look at what 202.99.59.112 sends",
			"info peer-silent: web: no master was heard within 3s"}},
		{"through a router", drConfig, listen(hear("202.99.59.112", 150, func(a *doctor.Advert) { a.Envelope.HopLimit = 254 })), []string{
			"error advert-refused: web: adverts of 202.99.59.112 do not count: ttl -> it came through a router, where multicast VRRP does not go; for unicast_peers that are further away set unicast_min_ttl",
			"info peer-silent: web: no master was heard within 3s"}},
		{"long silence", drConfig, func(_ *config.Config, o *doctor.Observed) {
			o.Adverts, o.Listened["eth0"] = nil, 3200*time.Millisecond
		}, []string{"info peer-silent: web: no master was heard within 3.2s"}},
	})
}

// A peer is heard only if one was heard.
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
			"error server-no-route: there is no way to the real server 202.99.59.108: network is unreachable -> ip route add 202.99.59.108 via GATEWAY # or give this machine an address in its network"}},
		{"silent", drConfig, func(_ *config.Config, o *doctor.Observed) { o.Neighbors = map[netip.Addr]bool{addr(direct): true} }, []string{
			"warning server-silent: the real server 202.99.59.108 does not answer on eth0 -> arping -c 3 -I eth0 202.99.59.108"}},
		{"DR through a router", drConfig, route(direct, host.Route{Interface: "eth0", Gateway: addr("202.99.59.1"), MTU: 1500}), []string{
			`error dr-not-on-link: the real server 202.99.59.108 is behind the router 202.99.59.1 -> put director and real server on one network, or write forwarding = "tun"`}},
		{"NAT through a router", natConfig, route(nat, host.Route{Interface: "eth1", Gateway: addr("192.168.10.9"), MTU: 1500}), []string{
			"info nat-behind-router: the real server 192.168.10.1 is behind the router 192.168.10.9"}},
		{"NAT without a moving gateway", strings.Replace(natConfig, `address "192.168.10.254/24" { interface = "eth1" }`, "", 1), func(_ *config.Config, o *doctor.Observed) {
			o.Adverts[0].Advert.Addresses = o.Adverts[0].Advert.Addresses[:1]
		}, []string{"warning nat-gateway: no virtual address in 192.168.10.0/24, where real servers are -> " +
			"add an address of 192.168.10.0/24 on eth1 to the vrrp block, and make it the real servers' gateway"}},
		{"NAT by a single director", natConfig, func(c *config.Config, _ *doctor.Observed) { c.VRRP = nil }, []string{
			"info nat-gateway: real servers in 192.168.10.0/24 need their default route through this director: [192.168.10.252]"}},
		{"NAT on one network", strings.Replace(drConfig, `"dr"`, `"nat"`, 1), func(_ *config.Config, o *doctor.Observed) {
			o.Sysctls["net.ipv4.conf.eth0.send_redirects"] = "0"
		}, []string{"info nat-one-network: virtual address and real servers are both in 202.99.59.0/24"}},
		{"refused", drConfig, probed(doctor.Probe{Detail: "connection refused"}), []string{
			"warning check-failed: tcp check of 202.99.59.108:80: connection refused"}},
		{"refused, no check", drConfig, probed(doctor.Probe{Detail: "connection refused", Assumed: true}), []string{
			"warning check-failed: 202.99.59.108:80 cannot be connected to: connection refused -> add a health_check block to its service"}},
		{"no sockets", drConfig, probed(doctor.Probe{Detail: "not checked: out of memory", Local: true}), []string{
			"warning check-impossible: tcp check of 202.99.59.108:80: not checked: out of memory"}},
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
	mtu := func(room, device, advmss string) []string {
		return []string{"info tunnel-mtu: the tunnel to 198.51.100.8 carries packets of " + room + " bytes, clients may send 1500 -> " +
			"ip link set dev eth1 mtu " + device + " # and on the way to the real server; or on it: ip route change default via GATEWAY advmss " + advmss}
	}
	examine(t, []examination{
		{"ipip", tunConfig, narrow(ipvs.TunnelIPIP, 0), mtu("1480", "1520", "1440")},
		{"gre", tunConfig, narrow(ipvs.TunnelGRE, 0), mtu("1476", "1524", "1436")},
		{"gre with a checksum", tunConfig, narrow(ipvs.TunnelGRE, ipvs.TunnelChecksum), mtu("1472", "1528", "1432")},
		{"gue", tunConfig, narrow(ipvs.TunnelGUE, 0), mtu("1468", "1532", "1428")},
		{"from the virtual address", tunConfig, func(_ *config.Config, o *doctor.Observed) {
			o.Routes[addr(server)] = host.Route{Interface: "eth1", Source: addr("202.99.59.110"), MTU: 9000}
		}, []string{"error tunnel-source: the tunnel to 198.51.100.8 starts from the virtual address 202.99.59.110 -> " +
			"write the virtual address as 202.99.59.110/32, and give eth1 an address of its own"}},
	})
}
