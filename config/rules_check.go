package config

import (
	"net/netip"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/lvs-ha/lvs-ha/healthcheck"
)

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// eachCheck calls visit for every health check whose kind is understood.
func eachCheck(f *file, visit func(*healthCheckBlock)) {
	visitAll := func(blocks []*healthCheckBlock) {
		for _, block := range blocks {
			if block.Kind.isOK() {
				visit(block)
			}
		}
	}
	for _, service := range f.Services {
		visitAll(service.HealthChecks)
		for _, server := range service.RealServers {
			visitAll(server.HealthChecks)
		}
	}
}

// checkTimes sees that a probe ends before the next one begins.
func checkTimes(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	eachCheck(f, func(b *healthCheckBlock) {
		switch {
		case !b.Timeout.isSet() || !b.Interval.isOK():
		case b.Timeout.value < time.Millisecond:
			diags = append(diags, problem(b.Timeout.at(), "Invalid timeout", "%s is too short. Write \"1ms\" or more.", b.Timeout.value))
		case b.Timeout.value > b.Interval.value:
			diags = append(diags, problem(b.Timeout.at(), "Timeout longer than the interval",
				"A probe would still wait when the next one is due. Write a timeout of at most %s, or a longer interval.", b.Interval.value))
		}
	})
	return diags
}

// checkKinds refuses what a kind of check does not have.
func checkKinds(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	eachCheck(f, func(b *healthCheckBlock) {
		if b.TLS != nil && b.Kind.value != "https" {
			diags = append(diags, problem(b.TLS.At, "TLS in a check without TLS",
				"A check of kind %q does not use TLS. Write health_check \"https\", or leave the tls block out.", b.Kind.value))
		}
		if b.Kind.value != "tcp" {
			return
		}
		for _, a := range []struct {
			name  string
			at    hcl.Range
			state attrState
		}{
			{"method", b.Method.at(), b.Method.state},
			{"path", b.Path.at(), b.Path.state},
			{"host", b.Host.at(), b.Host.state},
			{"headers", b.Headers.at(), b.Headers.state},
			{"status", b.Status.at(), b.Status.state},
			{"body", b.Body.at(), b.Body.state},
		} {
			if a.state == written {
				diags = append(diags, problem(a.at, "Invalid "+a.name,
					"A tcp check only connects. Write health_check \"http\", or leave %s out.", a.name))
			}
		}
	})
	return diags
}

// checkRequests lets package healthcheck judge each check, as it does when it makes the probe: what validates can be
// carried out.
func checkRequests(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	eachCheck(f, func(b *healthCheckBlock) {
		for _, fault := range b.spec("").Faults() {
			if at, ok := b.placeOf(fault); ok {
				_, setting, nested := strings.Cut(fault.Setting, ".")
				if !nested {
					setting = fault.Setting
				}
				diags = append(diags, problem(at, "Invalid "+setting, "%s", fault.Text))
			}
		}
		for _, status := range b.Status.value {
			if _, ok := parseStatus(status.value); !ok {
				diags = append(diags, problem(status.at, "Invalid status",
					"%q is not a status from 100 to 599, nor a range of them as \"200-299\".", status.value))
			}
		}
		if b.Status.isSet() && len(b.Status.value) == 0 {
			diags = append(diags, problem(b.Status.at(), "Invalid status", "No status would be good. Leave it out for 200 to 299."))
		}
	})
	return diags
}

// placeOf finds what a fault of package healthcheck is about; false if that is not understood, so that there is a message.
func (b *healthCheckBlock) placeOf(fault healthcheck.Fault) (hcl.Range, bool) {
	switch fault.Setting {
	case "kind":
		return b.Kind.at(), b.Kind.isOK()
	case "method":
		return b.Method.at(), b.Method.isOK()
	case "path":
		return b.Path.at(), b.Path.isOK()
	case "host":
		return b.Host.at(), b.Host.isOK()
	case "headers":
		return b.Headers.at(), b.Headers.isOK()
	case "status":
		return b.Status.at(), b.Status.isOK()
	case "body":
		return b.Body.at(), b.Body.isOK() && b.Method.isOK()
	}
	if b.TLS == nil {
		return b.At, true
	}
	switch fault.Setting {
	case "tls.server_name":
		return b.TLS.ServerName.at(), b.TLS.ServerName.isOK()
	case "tls.ca_file":
		return b.TLS.CAFile.at(), b.TLS.CAFile.isOK()
	}
	return b.TLS.At, true
}

// checkPorts sees that each check has a port to go to.
func checkPorts(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	eachServer(f, func(service *serviceBlock, server *realServerBlock) {
		checks := service.HealthChecks
		if len(server.HealthChecks) > 0 {
			checks = server.HealthChecks
		}
		for _, check := range checks {
			if service.port(server) == 0 && check.Port.state == absent {
				diags = append(diags, problem(check.At, "No port to check",
					"The real server %s has no port of its own. Write port = 80, or where this check is to go.", server.Address.value.address))
			}
		}
	})
	return diags
}
