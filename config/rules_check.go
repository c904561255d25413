package config

import (
	"net/netip"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
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
		for server := range each(service.RealServers, diags) {
			visitAll(server.HealthChecks)
		}
	}
}

// checkTimes requires that a probe ends before the next one begins.
func checkTimes(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	eachCheck(f, &diags, func(b *healthCheckBlock) {
		switch {
		case !b.Timeout.isSet() || !b.Interval.isOK():
		case b.Timeout.value < time.Millisecond:
			diags = append(diags, problem(b.Timeout.at(), "Invalid timeout", "%s is too short. Write \"1ms\" or more.", b.Timeout.value))
		case b.Timeout.value > b.Interval.value:
			diags = append(diags, problem(b.Timeout.at(), "Timeout longer than the interval",
				"A probe must end before the next one starts. Write a timeout of at most %s, or a longer interval.", b.Interval.value))
		}
	})
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
	})
	return diags
}

// checkPorts requires that each check has a port.
func checkPorts(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	eachServer(f, &diags, func(service *serviceBlock, server *realServerBlock) {
		checks := service.HealthChecks
		if len(server.HealthChecks) > 0 {
			checks = server.HealthChecks
		}
		for _, check := range checks {
			if service.port(server) == 0 && check.Port.state == absent {
				diags = append(diags, problem(check.At, "No port to check",
					"The real server %s has no port. Write the port to check, such as port = 80.", server.Address.value.address))
			}
		}
	})
	return diags
}
