package scene

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// VIP is the virtual address of all layouts; the service is HTTP on port 80.
const VIP = "202.99.59.110"

// Layout is the network of directors and real servers. Its addresses are those of the example of the same name.
type Layout string

// The layouts.
const (
	NAT Layout = "nat" // two networks; the real servers' default gateway is on the directors
	DR  Layout = "dr"  // one network; the real servers have the virtual address on lo
	TUN Layout = "tun" // two networks and a router; the real servers have the virtual address on tunl0
)

// plan is a layout's hosts.
type plan struct {
	directors []lab.DirectorConfig
	servers   []server
	client    []lab.NIC
	router    []lab.NIC // none in most layouts
}

type server struct {
	name    string
	nic     lab.NIC
	gateway string
	listen  string
	prepare func(*lab.Node) error
}

func (l Layout) plan(on *lab.Lab) (plan, error) {
	outside, err := on.Bridge("outside")
	if err != nil {
		return plan{}, err
	}
	p := plan{client: []lab.NIC{{Name: "eth0", Bridge: outside, Addresses: lab.Prefixes("202.99.59.10/24")}}}
	if l == DR {
		p.directors = []lab.DirectorConfig{
			director("lb1", lab.NIC{Name: "eth0", Bridge: outside, Addresses: lab.Prefixes("202.99.59.109/24")}),
			director("lb2", lab.NIC{Name: "eth0", Bridge: outside, Addresses: lab.Prefixes("202.99.59.106/24")}),
		}
		for i, address := range []string{"202.99.59.108", "202.99.59.107"} {
			p.servers = append(p.servers, server{
				name:    fmt.Sprintf("web%d", i+1),
				nic:     lab.NIC{Name: "eth0", Bridge: outside, Addresses: lab.Prefixes(address + "/24")},
				listen:  ":80",
				prepare: holdVIP("lo"),
			})
		}
		return p, nil
	}
	inside, err := on.Bridge("inside")
	if err != nil {
		return plan{}, err
	}
	for i, own := range []string{"252", "253"} {
		p.directors = append(p.directors, director(fmt.Sprintf("lb%d", i+1),
			lab.NIC{Name: "eth0", Bridge: outside, Addresses: lab.Prefixes(fmt.Sprintf("202.99.59.%d/24", 111+i))},
			lab.NIC{Name: "eth1", Bridge: inside, Addresses: lab.Prefixes("192.168.10." + own + "/24")},
		))
	}
	for i := 1; i <= 3; i++ {
		s := server{
			name:    fmt.Sprintf("web%d", i),
			nic:     lab.NIC{Name: "eth0", Bridge: inside, Addresses: lab.Prefixes(fmt.Sprintf("192.168.10.%d/24", i))},
			gateway: "192.168.10.254",
			listen:  ":80",
		}
		if l == TUN {
			s.prepare, s.gateway = holdVIP("tunl0"), "192.168.10.251"
		}
		p.servers = append(p.servers, s)
	}
	if l == TUN {
		p.router = []lab.NIC{
			{Name: "eth0", Bridge: outside, Addresses: lab.Prefixes("202.99.59.1/24")},
			{Name: "eth1", Bridge: inside, Addresses: lab.Prefixes("192.168.10.251/24")},
		}
	}
	return p, nil
}

// director is a machine that forwards, with the default synchronization of a connection at its third packet.
func director(name string, nics ...lab.NIC) lab.DirectorConfig {
	return lab.DirectorConfig{
		Name: name, NICs: nics, CPU: -1,
		Sysctls: map[string]string{
			"net.ipv4.ip_forward":              "1",
			"net.ipv4.conf.all.send_redirects": "0",
			"net.ipv4.conf.all.rp_filter":      "0",
			"net.ipv4.conf.default.rp_filter":  "0",
		},
	}
}

// holdVIP makes a real server accept packets for the virtual address without answering ARP for it.
func holdVIP(iface string) func(*lab.Node) error {
	return func(h *lab.Node) error {
		var errs []error
		for _, s := range [][2]string{
			{"net.ipv4.conf.all.arp_ignore", "1"}, {"net.ipv4.conf.all.arp_announce", "2"},
			{"net.ipv4.conf." + iface + ".arp_ignore", "1"}, {"net.ipv4.conf." + iface + ".arp_announce", "2"},
			{"net.ipv4.conf." + iface + ".rp_filter", "0"},
		} {
			errs = append(errs, h.Sysctl(s[0], s[1]))
		}
		errs = append(errs, h.Up(iface), h.AddAddress(iface, netip.MustParsePrefix(VIP+"/32")))
		return errors.Join(errs...)
	}
}
