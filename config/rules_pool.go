package config

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

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
		case len(service.RealServers) == 0, len(service.Discover) > 0:
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

// parseMinUp parses a number of servers, or a percentage. An empty text is none.
func parseMinUp(text string) (MinUp, bool) {
	if text == "" {
		return MinUp{}, true
	}
	digits, percent := strings.CutSuffix(text, "%")
	n, err := strconv.ParseUint(digits, 10, 16)
	switch {
	case err != nil || n == 0:
		return MinUp{}, false
	case percent:
		return MinUp{Percent: int(n)}, n <= 100
	}
	return MinUp{Servers: int(n)}, true
}

// minimums rejects a min_up that is not a number, or more than there are servers.
func minimums(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for b := range each(f.Services, &diags) {
		if !b.MinUp.isSet() {
			continue
		}
		m, ok := parseMinUp(b.MinUp.value)
		switch {
		case !ok || b.MinUp.value == "":
			diags = append(diags, problem(b.MinUp.at(), "Invalid min_up", "Write a number of real servers, such as 2, or a percentage from \"1%%\" to \"100%%\"."))
		case m.Servers > len(b.RealServers) && len(b.RealServers) > 0 && len(b.Discover) == 0:
			diags = append(diags, problem(b.MinUp.at(), "Invalid min_up", "The virtual_service %q has fewer real servers: %d.", b.Name.value, len(b.RealServers)))
		}
	}
	return diags
}

// slowStarts warns about weights that cannot be reduced.
func slowStarts(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for b := range each(f.Services, &diags) {
		if !b.SlowStart.isSet() || b.SlowStart.value == 0 || !b.Scheduler.isOK() {
			continue
		}
		most := int64(0)
		for _, server := range b.RealServers {
			most = max(most, server.Weight.value)
		}
		listed := false // weights
		for _, d := range b.Discover {
			most = max(most, d.server().Weight.value)
			listed = listed || d.isSRV() || d.file != nil
		}
		switch b.Scheduler.value {
		case "rr", "lc":
			diags = append(diags, warning(b.SlowStart.at(), "Slow start without effect",
				"The scheduler %s ignores weights. Write scheduler = \"w%s\", and weights such as 100.", b.Scheduler.value, b.Scheduler.value))
		default:
			if most < 10 && !listed && len(b.RealServers)+len(b.Discover) > 0 {
				diags = append(diags, warning(b.SlowStart.at(), "Slow start in few steps",
					"Weights are whole numbers, and the largest is %d: a recovering server has at least 1. Write weights such as 100.", most))
			}
		}
	}
	return diags
}

// lingering rejects a linger of services whose removed servers would still get clients.
func lingering(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for b := range each(f.Services, &diags) {
		if !b.Linger.isSet() || b.Linger.value == 0 || !b.hasIdentity() || !b.Scheduler.isOK() || !b.SchedulerFlags.isOK() {
			continue
		}
		if b.Persistence != nil {
			diags = append(diags, problem(b.Linger.at(), "Linger and persistence", "The clients of a removed server would stay with it. Remove linger, or write 0s."))
		} else if !b.service().Quiesces() {
			diags = append(diags, problem(b.Linger.at(), "Linger and the scheduler",
				"With the scheduler %s%s, the kernel refuses the clients that it would have sent to a server that lingers. Remove linger, or write 0s.", b.Scheduler.value, withoutFallback(b.Scheduler.value)))
		}
	}
	return diags
}

func withoutFallback(scheduler string) string {
	if scheduler == "dh" {
		return ""
	}
	return " without the flag " + scheduler + "-fallback"
}

// checkedOnMaster rejects checks that no director would run.
func checkedOnMaster(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	virtual, known := map[netip.Addr]bool{}, true
	for b := range each(f.VRRP, &diags) {
		known = known && b.Addresses.isOK() && b.Excluded.isOK()
		for _, p := range b.prefixes() {
			virtual[p.value.Addr()] = true
		}
	}
	for b := range each(f.Services, &diags) {
		switch {
		case !b.CheckOn.isSet() || b.CheckOn.value != OnMaster || !b.hasIdentity():
		case b.isByMark():
			diags = append(diags, problem(b.CheckOn.at(), "Invalid check_on", "A service by mark has no address, and therefore no master. Remove check_on."))
		case known && !virtual[b.Address.value.address]:
			diags = append(diags, problem(b.CheckOn.at(), "Invalid check_on",
				"No vrrp block has the address %s, so that the checks would never run. Add the address to one, or remove check_on.", b.Address.value.address))
		}
	}
	return diags
}
