package config

import (
	"github.com/hashicorp/hcl/v2"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// eachServer calls check for every real server with a valid address, of every service with a valid key, until there are too
// many findings.
func eachServer(f *file, diags *hcl.Diagnostics, check func(*serviceBlock, *realServerBlock)) {
	for service := range each(f.Services, diags) {
		if !service.hasIdentity() {
			continue
		}
		for server := range each(service.servers(), diags) {
			if server.Address.isOK() {
				check(service, server)
			}
		}
	}
}

// realServerAddresses rejects addresses that the kernel rejects for real servers (EINVAL in
// net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_new_dest), and the service itself.
func realServerAddresses(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	eachServer(f, &diags, func(service *serviceBlock, server *realServerBlock) {
		address := server.Address.value.address
		switch {
		case address.IsUnspecified(), address.IsMulticast(), address == broadcast:
			diags = append(diags, problem(server.Address.at(), "Invalid real_server", "%s is not a host address.", address))
		case address.Is6() && address.IsLinkLocalUnicast():
			diags = append(diags, problem(server.Address.at(), "Invalid real_server",
				"The kernel does not accept a link-local address for a real server. Write its global or unique local address."))
		case service.Address.isSet() && address == service.Address.value.address:
			diags = append(diags, problem(server.Address.at(), "Invalid real_server",
				"%s is the address of the service itself. Write the real server's own address.", address))
		}
	})
	return diags
}

// uniqueRealServers rejects two real servers of a service with the same key in the kernel (EEXIST).
func uniqueRealServers(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	type key struct {
		service *serviceBlock
		server  ipvs.DestinationKey
	}
	seen := map[key]hcl.Range{}
	eachServer(f, &diags, func(service *serviceBlock, server *realServerBlock) {
		k := key{service, ipvs.DestinationKey{Address: server.Address.value.address, Port: service.port(server)}}
		if first, duplicate := seen[k]; duplicate {
			diags = append(diags, problem(server.Address.at(), "Duplicate real_server",
				"The service %q already has %s, at %s. To send it more connections, raise its weight.",
				service.Name.value, k.server, where(first)))
			return
		}
		seen[k] = server.Address.at()
	})
	return diags
}

// forwardedFamilies rejects real servers of another family than their service's, except with tunnelling, and even then
// if connections are synchronized (EINVAL in net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_genl_set_cmd and
// ip_vs_genl_new_daemon).
func forwardedFamilies(f *file) hcl.Diagnostics {
	var sync *connectionSyncBlock
	for _, block := range f.VRRP {
		if block.ConnectionSync != nil {
			sync = block.ConnectionSync
			break
		}
	}
	var diags hcl.Diagnostics
	eachServer(f, &diags, func(service *serviceBlock, server *realServerBlock) {
		of, to := service.family(), family(server.Address.value.address)
		forwarding := service.forwarding(server)
		if of == to || !forwarding.isOK() {
			return
		}
		switch {
		case forwarding.value != "tun":
			diags = append(diags, problem(server.Address.at(), "Mixed address families",
				"The service is %s and this real server is %s, which requires tunnelling. "+
					"Write forwarding = \"tun\", or the real server's %s address.", of, to, of))
		case sync != nil:
			diags = append(diags, problem(server.Address.at(), "Mixed address families with connection_sync",
				"The service is %s and this real server is %s. The kernel does not synchronize connections while there is such a real server: "+
					"write its %s address, or remove the connection_sync block at %s.", of, to, of, where(sync.At)))
		}
	})
	return diags
}

// forwardedPorts rejects a port other than the service's if packets are forwarded unchanged.
func forwardedPorts(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	eachServer(f, &diags, func(service *serviceBlock, server *realServerBlock) {
		forwarding := service.forwarding(server)
		if !service.Address.isSet() || !forwarding.isOK() || forwarding.value == "nat" {
			return // a firewall mark can select any port
		}
		if port := service.Address.value.port; service.port(server) != port {
			diags = append(diags, problem(server.Address.at(), "Port mapped without NAT",
				"With forwarding = %q packets reach the real server unchanged, at the port to which they were sent. "+
					"Remove the port here, or write forwarding = \"nat\".", forwarding.value))
		}
	})
	return diags
}

// thresholds rejects a lower threshold above the upper one (ERANGE in net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_add_dest).
func thresholds(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for service := range each(f.Services, &diags) {
		for server := range each(service.settings(), &diags) {
			lower, upper := &server.LowerThreshold, &server.UpperThreshold
			switch {
			case !lower.isOK() || !upper.isOK() || lower.value <= upper.value:
			case upper.value == 0:
				diags = append(diags, problem(lower.at(), "Invalid lower_threshold",
					"lower_threshold sets when a server that reached its upper_threshold receives connections again. Write upper_threshold too."))
			default:
				diags = append(diags, problem(lower.at(), "Invalid lower_threshold",
					"%d is above the upper_threshold, %d.", lower.value, upper.value))
			}
		}
	}
	return diags
}

// tunnels checks that a tunnel block is consistent with the forwarding method and its own type.
func tunnels(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for service := range each(f.Services, &diags) {
		for server := range each(service.settings(), &diags) {
			t, forwarding := server.Tunnel, service.forwarding(server)
			if t == nil || !t.Type.isOK() {
				continue
			}
			if forwarding.isOK() && forwarding.value != "tun" {
				diags = append(diags, problem(t.At, "Tunnel block without tunnelling",
					"This real server has forwarding = %q. Write forwarding = \"tun\", or remove the tunnel block.",
					forwarding.value))
			}
			if t.Type.value == "gue" && t.Port.state == absent {
				diags = append(diags, problem(t.Type.at(), "Tunnel without a port",
					"A GUE tunnel needs the UDP port that the real server listens on. Write, for example, port = 6080."))
			}
			if t.Type.value != "gue" && t.Port.isSet() {
				diags = append(diags, problem(t.Port.at(), "Invalid port", "Only a gue tunnel has a port. Remove it."))
			}
			if c := &t.Checksum; c.isSet() && (t.Type.value == "ipip" && c.value != "nocsum" || t.Type.value == "gre" && c.value == "remcsum") {
				diags = append(diags, problem(c.at(), "Invalid checksum",
					"A tunnel of type %s does not support %s. Checksums are for gue and gre, remcsum is for gue.", t.Type.value, c.value))
			}
		}
	}
	return diags
}
