package config

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"golang.org/x/net/http/httpguts"
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

// checkRequests sees that the request of an HTTP check can be made and its answer judged.
func checkRequests(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	eachCheck(f, func(b *healthCheckBlock) {
		if _, err := url.ParseRequestURI(b.Path.value); b.Path.isSet() &&
			(err != nil || !strings.HasPrefix(b.Path.value, "/") || strings.ContainsAny(b.Path.value, " #")) {
			diags = append(diags, problem(b.Path.at(), "Invalid path",
				"%q is no path of a URL. It begins with /, and what is special in it is written as %%20.", b.Path.value))
		}
		if b.Host.isSet() && (b.Host.value == "" || strings.ContainsAny(b.Host.value, "/ @#?") || !httpguts.ValidHostHeader(b.Host.value)) {
			diags = append(diags, problem(b.Host.at(), "Invalid host",
				"%q is no name of a host. Write it without a scheme and a path, as \"www.example.com\".", b.Host.value))
		}
		diags = append(diags, checkHeaders(b)...)
		for _, status := range b.Status.value {
			if _, ok := parseStatus(status.value); !ok {
				diags = append(diags, problem(status.at, "Invalid status",
					"%q is no status from 100 to 599, nor a range of them as \"200-299\".", status.value))
			}
		}
		if b.Status.isSet() && len(b.Status.value) == 0 {
			diags = append(diags, problem(b.Status.at(), "Invalid status", "No status would be good. Leave it out for 200 to 299."))
		}
		if b.Body.isSet() {
			if _, err := regexp.Compile(b.Body.value); err != nil {
				diags = append(diags, problem(b.Body.at(), "Invalid body", "The regular expression is not valid (RE2): %s.",
					strings.TrimPrefix(err.Error(), "error parsing regexp: ")))
			}
			if b.Method.value == "HEAD" {
				diags = append(diags, problem(b.Body.at(), "Invalid body", "An answer to HEAD has no body. Write method = \"GET\"."))
			}
		}
	})
	return diags
}

// checkHeaders refuses headers that cannot be sent. Their values are not in the messages: they may be secret.
func checkHeaders(b *healthCheckBlock) hcl.Diagnostics {
	var diags hcl.Diagnostics
	names := make([]string, 0, len(b.Headers.value))
	for name := range b.Headers.value {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		switch {
		case strings.EqualFold(name, "host"):
			diags = append(diags, problem(b.Headers.at(), "Invalid headers", "Write host = \"…\" for this header."))
		case !httpguts.ValidHeaderFieldName(name):
			diags = append(diags, problem(b.Headers.at(), "Invalid headers", "%q is no name of a header.", name))
		case !httpguts.ValidHeaderFieldValue(b.Headers.value[name]):
			diags = append(diags, problem(b.Headers.at(), "Invalid headers", "The value of %s has a character that no header can have.", name))
		}
	}
	return diags
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
