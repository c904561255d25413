package config

import (
	"net/netip"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/lvs-ha/lvs-ha/healthcheck"
)

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// eachCheck calls visit for every health check of a known kind, until there are too many findings.
func eachCheck(f *file, diags *hcl.Diagnostics, visit func(*healthCheckBlock)) {
	visitAll := func(blocks []*healthCheckBlock) {
		for _, block := range blocks {
			if block.Check != nil {
				visit(block)
			}
		}
	}
	for service := range each(f.Services, diags) {
		visitAll(service.HealthChecks)
		for server := range each(service.servers(), diags) {
			visitAll(server.HealthChecks)
		}
	}
}

// checkTimes requires that a check does not start before the previous one.
func checkTimes(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	eachCheck(f, &diags, func(b *healthCheckBlock) {
		if b.Jitter.isSet() && b.Interval.isOK() && (b.Jitter.value < time.Millisecond || b.Jitter.value > b.Interval.value) {
			diags = append(diags, problem(b.Jitter.at(), "Invalid jitter", "%s is out of range. Write a duration from \"1ms\" to the interval, %s.", b.Jitter.value, b.Interval.value))
		}
	})
	return diags
}

// checkSources requires source addresses of the family of what is checked.
func checkSources(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	eachServer(f, &diags, func(service *serviceBlock, server *realServerBlock) {
		for _, b := range service.checksOf(server) {
			if b.Source == nil || !b.Source.Address.isSet() || !b.Address.isOK() {
				continue
			}
			to := server.Address.value.address
			if b.Address.isSet() {
				to = b.Address.value
			}
			if from := b.Source.Address.value; from.Is4() != to.Is4() {
				diags = append(diags, problem(b.Source.Address.at(), "Invalid source address",
					"%s is %s, and the address to check, %s, is %s. Write an address of the same family.", from, family(from), to, family(to)))
			}
		}
	})
	return diags
}

// checkCounts requires that each real server has as many checks as must pass.
func checkCounts(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for service := range each(f.Services, &diags) {
		required := &service.RequiredChecks
		if !required.isSet() {
			continue
		}
		n, ok := parseRequired(required.value)
		if !ok {
			diags = append(diags, problem(required.at(), "Invalid required_checks", "%q is not a number of checks. Write \"all\", \"any\" or a number from 1.", required.value))
			continue
		}
		for server := range each(service.servers(), &diags) {
			has := 0
			for _, b := range service.checksOf(server) {
				if b.Check == nil || !b.spec().Vetoes() {
					has++
				}
			}
			if n > has {
				diags = append(diags, problem(required.at(), "Invalid required_checks",
					"%d checks must pass, and the real server at %s has %d. Write at most that number, or \"all\".", n, where(server.At), has))
				break
			}
		}
	}
	return diags
}

// checkRequests validates each check with package healthcheck, as when the probe is created: a check that passes here
// can be run.
func checkRequests(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	eachCheck(f, &diags, func(b *healthCheckBlock) {
		for _, fault := range b.Check.Faults() {
			if at, ok := b.mirror().find(b.decoded, fault.Setting, fault.Item); ok {
				name := fault.Setting[strings.LastIndex(fault.Setting, ".")+1:]
				diags = append(diags, problem(at, "Invalid "+name, "%s", fault.Text))
			}
		}
		for _, fault := range b.Weight.config().Faults(b.Check.Kind()) {
			if at, ok := b.Weight.location(fault.Setting); ok {
				diags = append(diags, problem(at, "Invalid "+fault.Setting[strings.LastIndex(fault.Setting, ".")+1:], "%s", fault.Text))
			}
		}
	})
	return diags
}

// checkPorts requires that each check has a port.
func checkPorts(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	eachServer(f, &diags, func(service *serviceBlock, server *realServerBlock) {
		for _, check := range service.checksOf(server) {
			if _, portless := check.Check.(healthcheck.Portless); portless {
				continue
			}
			if check.Kind.value == "agent" && check.Port.state == absent {
				diags = append(diags, problem(check.At, "No port of the agent", "An agent listens on a port of its own. Write it, such as port = 9999."))
				return
			}
			if service.port(server) == 0 && check.Port.state == absent {
				diags = append(diags, problem(check.At, "No port to check",
					"The real server %s has no port. Write the port to check, such as port = 80.", server.Address.value.address))
			}
		}
	})
	return diags
}
