package config

import (
	"path/filepath"

	"github.com/hashicorp/hcl/v2"
	"golang.org/x/net/dns/dnsmessage"
)

// maxResolvers limits the resolvers of a source, which are asked one after the other.
const maxResolvers = 8

// sources checks the discover blocks.
func sources(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for service := range each(f.Services, &diags) {
		seen := map[string]hcl.Range{}
		for b := range each(service.Discover, &diags) {
			switch {
			case b.dns != nil:
				diags = append(diags, dnsSource(b)...)
			case b.file != nil && b.file.Path.isSet() && !filepath.IsAbs(b.file.Path.value):
				diags = append(diags, problem(b.file.Path.at(), "Invalid path", "%q is not an absolute path.", b.file.Path.value))
			}
			if (b.dns == nil || !b.dns.Name.isOK() || !b.dns.Type.isOK() || !b.dns.Resolvers.isOK()) && (b.file == nil || !b.file.Path.isOK()) || !service.hasIdentity() {
				continue
			}
			key := b.config(service).Source.String()
			if first, duplicate := seen[key]; duplicate {
				diags = append(diags, problem(b.At, "Duplicate discover", "The service %q already uses this source, at %s.", service.Name.value, where(first)))
			}
			seen[key] = b.At
		}
	}
	return diags
}

func dnsSource(b *discoverBlock) hcl.Diagnostics {
	var diags hcl.Diagnostics
	d := b.dns
	if d.Name.isSet() && !isDomainName(d.Name.value) {
		diags = append(diags, problem(d.Name.at(), "Invalid name",
			"%q is not a domain name: it has at most 253 bytes, in labels of 1 to 63 bytes separated by dots.", cut(d.Name.value, maxValue)))
	}
	if d.MinTTL.isOK() && d.MaxTTL.isOK() && d.MinTTL.value > d.MaxTTL.value {
		at := d.MaxTTL.at()
		if !d.MaxTTL.isSet() {
			at = d.MinTTL.at()
		}
		diags = append(diags, problem(at, "Invalid max_ttl", "max_ttl, %s, is less than min_ttl, %s.", d.MaxTTL.value, d.MinTTL.value))
	}
	if d.Resolvers.isSet() && len(d.Resolvers.value) == 0 || len(d.Resolvers.value) > maxResolvers {
		diags = append(diags, problem(d.Resolvers.at(), "Invalid resolvers", "Write 1 to %d addresses, or remove resolvers: then those of /etc/resolv.conf are used.", maxResolvers))
	}
	for _, r := range d.Resolvers.value {
		if at, err := parseResolver(r.value); err != nil {
			diags = append(diags, problem(r.at, "Invalid resolvers", "%s.", err))
		} else if at.Port() == 0 || at.Addr().IsUnspecified() || at.Addr().IsMulticast() {
			diags = append(diags, problem(r.at, "Invalid resolvers", "%q is not the address of a DNS server.", r.value))
		}
	}
	if b.isSRV() && b.Port.isSet() {
		diags = append(diags, problem(b.Port.at(), "Invalid port", "SRV records have a port. Remove port."))
	}
	if b.isSRV() && b.Weight.isSet() {
		diags = append(diags, problem(b.Weight.at(), "Invalid weight", "SRV records have a weight. Remove weight."))
	}
	return diags
}

func isDomainName(text string) bool {
	if text == "" || text[len(text)-1] != '.' {
		text += "."
	}
	name, err := dnsmessage.NewName(text)
	if err != nil || text == "." {
		return false
	}
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{})
	_ = b.StartQuestions()
	return b.Question(dnsmessage.Question{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}) == nil
}

// discoveredForwarding applies the rules about the forwarding of real servers to the discover blocks.
func discoveredForwarding(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for service := range each(f.Services, &diags) {
		if !service.hasIdentity() {
			continue
		}
		for b := range each(service.Discover, &diags) {
			forwarding := service.forwarding(b.server())
			if !forwarding.isOK() || forwarding.value == "nat" {
				continue
			}
			if service.Address.isSet() && b.Port.isSet() && uint16(b.Port.value) != service.Address.value.port {
				diags = append(diags, problem(b.Port.at(), "Port mapped without NAT",
					"With forwarding = %q packets reach the real server unchanged, at the port to which they were sent. "+
						"Remove the port here, or write forwarding = \"nat\".", forwarding.value))
			}
			if b.dns != nil && forwarding.value != "tun" && (b.dns.Type.value == "A" && service.family() == "ipv6" || b.dns.Type.value == "AAAA" && service.family() == "ipv4") {
				diags = append(diags, problem(b.dns.Type.at(), "Mixed address families",
					"The service is %s, and real servers of another family require tunnelling. Write forwarding = \"tun\", or remove type.", service.family()))
			}
		}
	}
	return diags
}
