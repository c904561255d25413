package config

import (
	"slices"

	"github.com/hashicorp/hcl/v2"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// These rules warn about settings that work, but probably not as intended.

// ignoredWeights warns about weights that the scheduler ignores (net/netfilter/ipvs/ip_vs_rr.c and ip_vs_lc.c: any
// weight except 0 counts as one).
func ignoredWeights(f *file) hcl.Diagnostics {
	weighted := map[string]string{"rr": "wrr", "lc": "wlc"}
	var diags hcl.Diagnostics
	for b := range each(f.Services, &diags) {
		instead, ignores := weighted[b.Scheduler.value]
		if !b.Scheduler.isOK() || !ignores {
			continue
		}
		first := int64(0)
		for server := range each(b.RealServers, &diags) {
			weight := &server.Weight
			if !weight.isOK() || weight.value == 0 {
				continue
			}
			if first == 0 {
				first = weight.value
			}
			if weight.value != first {
				diags = append(diags, warning(b.Scheduler.at(), "Weights without effect",
					"The scheduler %s ignores weights, but the real servers of %q have different ones. Write scheduler = %q.",
					b.Scheduler.value, b.Name.value, instead))
				break
			}
		}
	}
	return diags
}

// coarseWeights warns about a percentage of weight 1, which cannot be divided.
func coarseWeights(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for service := range each(f.Services, &diags) {
		for server := range each(service.servers(), &diags) {
			for _, b := range service.checksOf(server) {
				if b.Weight != nil && b.Weight.Unit.value == string(healthcheck.Percent) && server.Weight.value == 1 {
					diags = append(diags, warning(b.Weight.Unit.at(), "Percentage of weight 1",
						"The real server at %s has weight 1, which cannot be divided. Write a larger weight, such as weight = 100.", where(server.At)))
					return diags
				}
			}
		}
	}
	return diags
}

// repeatedChecks warns about identical checks.
func repeatedChecks(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	look := func(blocks []*healthCheckBlock) {
		for i, block := range blocks {
			for _, before := range blocks[:min(i, maxAlike)] {
				if block.Check != nil && block.spec().Equal(before.spec()) {
					diags = append(diags, warning(block.At, "Duplicate health_check",
						"The health_check at %s is the same. Remove one of them, or make them different.", where(before.At)))
					break
				}
			}
		}
	}
	for service := range each(f.Services, &diags) {
		look(service.HealthChecks)
		for server := range each(service.servers(), &diags) {
			look(server.HealthChecks)
		}
	}
	return diags
}

// portOfDNS is also served over TCP (RFC 7766).
const portOfDNS = 53

// otherTransport warns about a TCP check at the port of a UDP service.
func otherTransport(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for service := range each(f.Services, &diags) {
		if !service.hasIdentity() || service.protocol() != "udp" {
			continue
		}
		look := func(blocks []*healthCheckBlock, port uint16) {
			for _, block := range blocks {
				at := port
				if block.Port.isSet() {
					at = uint16(block.Port.value)
				}
				if _, isTCP := block.Check.(*healthcheck.TCP); isTCP && block.Port.isOK() && at == port && at != portOfDNS {
					diags = append(diags, warning(block.At, "TCP check of a UDP service",
						"The virtual_service %q is UDP, and this check connects to the same port over TCP. "+
							"If the real servers do not listen there, they count as down. Set port to a TCP port on which they listen.", service.Name.value))
				}
			}
		}
		look(service.HealthChecks, service.Address.value.port)
		for server := range each(service.servers(), &diags) {
			if server.Address.isOK() {
				look(server.HealthChecks, service.port(server))
			}
		}
	}
	return diags
}

// ownerTracks warns about track weights without effect: priority 255 is the address owner's (RFC 9568 section 5.2.4).
func ownerTracks(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	look := func(at hcl.Range, weight int64) {
		if weight != 0 {
			diags = append(diags, warning(at, "Weight without effect",
				"A weight does not change priority 255, the address owner's. Write a priority of 254 or less."))
		}
	}
	for block := range each(f.VRRP, &diags) {
		if !block.Priority.isOK() || block.Priority.value != vrrp.PriorityOwner {
			continue
		}
		for _, track := range block.TrackInterfaces {
			look(track.Weight.at(), track.Weight.value)
		}
		for _, track := range block.Tracks {
			look(f.weightOf(track))
		}
	}
	return diags
}

// heldWeights warns about track weights of a router that does not preempt: the other one, if it has the same settings, does
// not take over from a live master of lower priority (RFC 9568 section 6.1, Preempt_Mode).
func heldWeights(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	look := func(at hcl.Range, weight int64) {
		if weight != 0 {
			diags = append(diags, warning(at, "Weight with preempt = false",
				"If the other director has preempt = false too, a lower priority does not move the addresses. Remove the weight: a failure is then a fault, which moves them."))
		}
	}
	for block := range each(f.VRRP, &diags) {
		if !block.Preempt.isSet() || block.Preempt.value || block.Priority.value == vrrp.PriorityOwner {
			continue
		}
		for _, track := range block.TrackInterfaces {
			look(track.Weight.at(), track.Weight.value)
		}
		for _, track := range block.Tracks {
			if !slices.ContainsFunc(f.TrackFiles, func(b *trackFileBlock) bool { return b.Name.value == track.Name.value }) { // its number may be a fault
				look(f.weightOf(track))
			}
		}
	}
	return diags
}

// loopback warns about VRRP on the loopback interface.
func loopback(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	look := func(name *attr[ifname], what string) {
		if name.isSet() && name.value == "lo" {
			diags = append(diags, warning(name.at(), "Loopback interface",
				"On lo, %s cannot reach another director. Write the interface of the network that the directors share, such as \"eth0\".", what))
		}
	}
	for block := range each(f.VRRP, &diags) {
		if len(block.UnicastPeers.value) == 0 {
			look(&block.Interface, "VRRP")
		}
		if block.ConnectionSync != nil {
			look(&block.ConnectionSync.Interface, "connection sync")
		}
	}
	return diags
}

// wholeInternet warns about a prefix that makes every address local.
func wholeInternet(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for block := range each(f.VRRP, &diags) {
		for _, p := range block.prefixes() {
			if p.value.Bits() == 0 {
				diags = append(diags, warning(p.at, "Prefix length 0",
					"With /0 this host treats every address as part of its own network. Write the network's prefix length, such as /24."))
			}
		}
	}
	return diags
}

// emptyPasswords warns about authentication without a password.
func emptyPasswords(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for block := range each(f.VRRP, &diags) {
		if block.AuthPass.isSet() && block.AuthPass.value == "" {
			diags = append(diags, warning(block.AuthPass.at(), "Empty auth_pass",
				"Adverts are sent without authentication. Write a password of 1 to 8 bytes, or remove auth_pass."))
		}
	}
	return diags
}
