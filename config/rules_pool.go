package config

import "github.com/hashicorp/hcl/v2"

// quorums rejects a quorum that is never reached, or never lost.
func quorums(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for service := range each(f.Services, &diags) {
		b := service.Quorum
		if b == nil || !b.Servers.isOK() || !b.Weight.isOK() || !b.Hysteresis.isOK() {
			continue
		}
		if b.Servers.isSet() && b.Weight.isSet() {
			diags = append(diags, problem(b.Weight.at(), "Servers and weight", "A quorum counts real servers or the sum of their weights. Remove one of them."))
			continue
		}
		needed, at, all, what := max(b.Servers.value, 1), b.At, int64(len(service.RealServers)), "number of real servers"
		if b.Servers.isSet() {
			at = b.Servers.at()
		}
		if b.Weight.isSet() {
			needed, at, all, what = b.Weight.value, b.Weight.at(), 0, "sum of the real servers' weights"
			for _, server := range service.RealServers {
				all += server.Weight.value
			}
		}
		switch {
		case len(service.RealServers) == 0:
		case needed > all:
			diags = append(diags, problem(at, "Quorum out of reach", "The %s is only %d.", what, all))
		case b.Hysteresis.value >= needed:
			diags = append(diags, problem(b.Hysteresis.at(), "Invalid hysteresis",
				"The quorum is lost below %d − hysteresis, so that hysteresis must be less than %d.", needed, needed))
		case needed+b.Hysteresis.value > all:
			diags = append(diags, problem(b.Hysteresis.at(), "Invalid hysteresis",
				"A lost quorum is regained at %d + hysteresis = %d, but the %s is only %d.", needed, needed+b.Hysteresis.value, what, all))
		}
	}
	return diags
}
