package config

import (
	"fmt"
	"iter"
	"strings"
	"unicode"

	"github.com/hashicorp/hcl/v2"
)

// rules check a configuration beyond the form of each attribute. A rule ignores invalid attributes, so that one mistake
// causes one message.
var rules = []func(*file) hcl.Diagnostics{
	names,
	wholeSeconds,
	validInstances,
	uniqueRouters,
	vmacInterfaces,
	virtualAddresses,
	ownAddresses,
	validRouting,
	staticAddresses,
	announceLimits,
	trackedInterfaces,
	usedTracks,
	trackSources,
	signalsOfNobody,
	syncGroups,
	oneConnectionSync,
	syncMemberships,
	serviceIdentities,
	uniqueServices,
	serviceAddresses,
	schedulerFlags,
	persistence,
	onePacket,
	hasRealServers,
	carriedAddresses,
	realServerAddresses,
	uniqueRealServers,
	forwardedFamilies,
	forwardedPorts,
	thresholds,
	tunnels,
	quorums,
	minimums,
	slowStarts,
	lingering,
	checkedOnMaster,
	sources,
	discoveredForwarding,
	checkTimes,
	checkSources,
	checkCounts,
	checkRequests,
	checkPorts,
	ignoredWeights,
	coarseWeights,
	repeatedChecks,
	otherTransport,
	ownerTracks,
	heldWeights,
	loopback,
	wholeInternet,
	emptyPasswords,
	notifyNames,
	notifyCommands,
	notifyReceivers,
	apiAccess,
}

// each iterates over blocks until there are too many findings.
func each[T any](blocks []T, diags *hcl.Diagnostics) iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, block := range blocks {
			if len(*diags) > maxFindings || !yield(block) {
				return
			}
		}
	}
}

// names rejects duplicate names and names that are awkward in messages, metrics and command lines.
func names(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	type block struct {
		kind string
		at   hcl.Range
	}
	check := func(kind string, name *attr[string], seen map[string]block) {
		if name.value == "" || len(name.value) > 64 || strings.ContainsFunc(name.value, isNoNameRune) {
			diags = append(diags, problem(name.at(), "Invalid name",
				"The name of a %s block must have 1 to 64 bytes, without spaces, quotes or control characters.", kind))
			return
		}
		if first, duplicate := seen[name.value]; duplicate {
			diags = append(diags, problem(name.at(), "Duplicate name",
				"There is already a %s %q at %s. Give this one another name.", first.kind, name.value, where(first.at)))
			return
		}
		seen[name.value] = block{kind, name.at()}
	}
	instances, services, tracks, groups := map[string]block{}, map[string]block{}, map[string]block{}, map[string]block{}
	for block := range each(f.VRRP, &diags) {
		check("vrrp", &block.Name, instances)
	}
	for block := range each(f.Services, &diags) {
		check("virtual_service", &block.Name, services)
	}
	for _, block := range f.SyncGroups {
		check("sync_group", &block.Name, groups)
	}
	for _, t := range f.tracks() {
		check(t.kind, t.name, tracks)
	}
	return diags
}

func isNoNameRune(r rune) bool {
	return r == '"' || r == '\'' || r == '\\' || r == unicode.ReplacementChar || !unicode.IsPrint(r) || unicode.IsSpace(r)
}

// where formats a position.
func where(at hcl.Range) string { return fmt.Sprintf("%s line %d", at.Filename, at.Start.Line) }
