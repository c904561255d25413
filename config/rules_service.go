package config

import (
	"net/netip"
	"strconv"

	"github.com/hashicorp/hcl/v2"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// hasIdentity reports whether the service's key in the kernel is known.
func (b *serviceBlock) hasIdentity() bool {
	return b.Address.isOK() && b.Mark.isOK() && b.Family.isOK() && b.Protocol.isOK() && b.Address.isSet() != b.Mark.isSet()
}

// serviceIdentities checks that a service is identified by either an address or a mark.
func serviceIdentities(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for b := range each(f.Services, &diags) {
		switch {
		case !b.Address.isOK() || !b.Mark.isOK():
		case b.Address.isSet() && b.Mark.isSet():
			diags = append(diags, problem(b.Mark.at(), "Address and mark",
				"A virtual_service is identified by its address or by a firewall mark. Remove one of them."))
		case !b.Address.isSet() && !b.Mark.isSet():
			diags = append(diags, problem(b.At, "Neither address nor mark",
				"A virtual_service needs an address, such as \"192.0.2.1:80\", or a firewall mark."))
		case b.Address.isSet() && b.Family.isSet():
			diags = append(diags, problem(b.Family.at(), "Invalid family",
				"The address determines the family. Remove family: it is only for firewall marks."))
		case b.Mark.isSet() && b.Protocol.isSet():
			diags = append(diags, problem(b.Protocol.at(), "Invalid protocol",
				"A firewall mark matches packets of any protocol. Remove protocol, and mark only packets of this protocol."))
		}
	}
	return diags
}

// uniqueServices rejects two services with the same key in the kernel (EEXIST).
func uniqueServices(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	seen := map[ipvs.ServiceKey]*serviceBlock{}
	for b := range each(f.Services, &diags) {
		if !b.hasIdentity() {
			continue
		}
		key := b.key()
		if first, duplicate := seen[key]; duplicate {
			at := b.Address.at()
			if b.isByMark() {
				at = b.Mark.at()
			}
			diags = append(diags, problem(at, "Duplicate virtual_service",
				"The virtual_service %q at %s already has %s. Merge their real servers into one.",
				first.Name.value, where(first.At), key))
			continue
		}
		seen[key] = b
	}
	return diags
}

// serviceAddresses rejects addresses that no packet is sent to, and ports that the kernel does not schedule.
func serviceAddresses(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for b := range each(f.Services, &diags) {
		if !b.Address.isSet() {
			continue
		}
		address := b.Address.value
		if address.address.IsUnspecified() || address.address.IsMulticast() {
			diags = append(diags, problem(b.Address.at(), "Invalid address",
				"%s cannot be the address of a service. Write the virtual address.", address.address))
		}
		// net/netfilter/ipvs/ip_vs_core.c, ip_vs_schedule: "port zero only supported in persistent services"
		if address.port == 0 && b.Persistence == nil {
			diags = append(diags, problem(b.Address.at(), "Service without a port",
				"Write a port, such as %q. Without one a service covers all ports, and the kernel then requires a persistence block.",
				withPort(address.address)))
		}
	}
	return diags
}

// withPort formats an address with a port. Text that looks like a port at the end of an IPv6 address was meant as one.
func withPort(address netip.Addr) string {
	if host, port, _ := cutLast(address.String(), ":"); address.Is6() {
		before, err := netip.ParseAddr(host)
		if n, bad := strconv.ParseUint(port, 10, 16); err == nil && bad == nil && n >= 22 {
			return netip.AddrPortFrom(before, uint16(n)).String()
		}
	}
	return netip.AddrPortFrom(address, 80).String()
}

// schedulerFlags rejects flags of another scheduler.
func schedulerFlags(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for b := range each(f.Services, &diags) {
		if !b.Scheduler.isOK() {
			continue
		}
		for _, flag := range b.SchedulerFlags.value {
			if _, err := ipvs.ParseFlags(b.Scheduler.value, flag.value); err != nil {
				diags = append(diags, problem(flag.at, "Invalid scheduler_flags",
					"The scheduler %s has no flag %q. Remove it, or write scheduler = %q.",
					b.Scheduler.value, flag.value, flag.value[:min(2, len(flag.value))]))
			}
		}
	}
	return diags
}

// persistence checks that granularity and engine are valid for the service.
func persistence(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for b := range each(f.Services, &diags) {
		p := b.Persistence
		if p == nil || !b.hasIdentity() {
			continue
		}
		isIPv6 := b.family() == "ipv6"
		switch {
		case p.Netmask.isSet() && p.Prefix.isSet():
			diags = append(diags, problem(p.Prefix.at(), "Netmask and prefix", "Both set the same thing. Remove one of them."))
		case p.Netmask.isSet() && (isIPv6 || !p.Netmask.value.Is4()):
			diags = append(diags, problem(p.Netmask.at(), "Invalid netmask",
				"netmask is for IPv4. For IPv6, write for example prefix = 64."))
		case p.Netmask.isSet() && !isContiguous(p.Netmask.value):
			diags = append(diags, warning(p.Netmask.at(), "Unusual netmask",
				"%s is not a contiguous netmask. The kernel accepts it and groups clients by these bits.", p.Netmask.value))
		case p.Prefix.isSet() && (p.Prefix.value < 1 || p.Prefix.value > prefixBits(isIPv6)):
			diags = append(diags, problem(p.Prefix.at(), "Invalid prefix",
				"%d is out of range. Write a number from 1 to %d.", p.Prefix.value, prefixBits(isIPv6)))
		}
		// net/netfilter/ipvs/ip_vs_pe_sip.c, ip_vs_sip_fill_param: it supports only UDP, and packets that it cannot
		// parse are not scheduled.
		if p.Engine.isSet() && p.Engine.value == "sip" && b.protocol() != "udp" && !b.isByMark() {
			diags = append(diags, problem(p.Engine.at(), "Invalid engine",
				"The engine sip reads SIP over UDP; a %s service with it would forward nothing. Write protocol = \"udp\", or remove engine.",
				b.protocol()))
		}
	}
	return diags
}

func prefixBits(isIPv6 bool) int64 {
	if isIPv6 {
		return 128
	}
	return 32
}

// onePacket rejects one-packet scheduling for protocols with connections.
func onePacket(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for b := range each(f.Services, &diags) {
		if b.OnePacket.isSet() && b.OnePacket.value && b.hasIdentity() && b.protocol() != "udp" && !b.isByMark() {
			diags = append(diags, problem(b.OnePacket.at(), "Invalid one_packet",
				"Only UDP packets can be scheduled one by one, and this service is %s. Remove one_packet.", b.protocol()))
		}
	}
	return diags
}

// hasRealServers warns about a service that rejects every connection.
func hasRealServers(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for b := range each(f.Services, &diags) {
		if len(b.RealServers)+len(b.Discover) == 0 {
			diags = append(diags, warning(b.At, "No real servers",
				"The virtual_service %q has no real_server and no discover block, so it cannot serve clients.", b.Name.value))
		}
	}
	return diags
}

// carriedAddresses warns about a service whose address is in no vrrp block.
func carriedAddresses(f *file) hcl.Diagnostics {
	if len(f.VRRP) == 0 {
		return nil
	}
	carried := map[netip.Addr]bool{}
	for _, block := range f.VRRP {
		if !block.Addresses.isOK() {
			return nil
		}
		for _, p := range block.prefixes() {
			carried[p.value.Addr()] = true
		}
	}
	var diags hcl.Diagnostics
	for b := range each(f.Services, &diags) {
		if b.Address.isSet() && !carried[b.Address.value.address] {
			diags = append(diags, warning(b.Address.at(), "Address without failover",
				"No vrrp block has the address %s, so it does not move when a director fails.", b.Address.value.address))
		}
	}
	return diags
}
