package doctor

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"

	"github.com/lvs-ha/lvs-ha/config"
)

// seeFirewall reads the packet filters' rules with the tools that are there.
func seeFirewall(ctx context.Context, _ *config.Config, o *Observed) error {
	var seen, nft bool
	var errs []error
	save := func(tool, name string, args ...string) {
		rules, err := output(ctx, name, args...)
		switch {
		case errors.Is(err, exec.ErrNotFound):
			return
		case err != nil:
			said, _, _ := strings.Cut(strings.TrimSpace(rules), "\n")
			errs = append(errs, fmt.Errorf("%s: %w: %s", name, err, said))
			return
		}
		seen = true
		if nft && strings.Contains(rules, "(nf_tables)") {
			return // iptables is nftables in disguise, and nft has shown its rules
		}
		for _, r := range statefulRules(tool, rules) {
			if !slices.Contains(o.Firewall, r) {
				o.Firewall = append(o.Firewall, r)
			}
		}
	}
	save("nft", "nft", "list", "ruleset")
	nft = seen
	for _, tool := range []string{"iptables", "ip6tables"} {
		// The kernel may have rules of both, and iptables-save shows those of the one that it is.
		save(tool, tool+"-legacy-save")
		save(tool, tool+"-save")
	}
	if seen || len(errs) == 0 {
		return nil
	}
	return errs[0]
}

// statefulRules are the rules that go by the state of connections or rewrite addresses.
func statefulRules(tool, rules string) []FirewallRule {
	stateful := statefulIptables
	if tool == "nft" {
		stateful = statefulNft
	}
	var out []FirewallRule
	for line := range strings.Lines(rules) {
		line = strings.TrimSpace(line)
		// What is quoted is a comment or a name.
		if stateful(strings.Fields(quoted.ReplaceAllString(line, ""))) {
			out = append(out, FirewallRule{Tool: tool, Rule: line})
		}
	}
	return out
}

var quoted = regexp.MustCompile(`"[^"]*"`)

func statefulIptables(words []string) bool {
	if len(words) == 0 || words[0] != "-A" {
		return false
	}
	for i, w := range words {
		if w == "--ctstate" || w == "--state" ||
			i > 0 && words[i-1] == "-j" && slices.Contains([]string{"MASQUERADE", "SNAT", "DNAT", "REDIRECT"}, w) {
			return true
		}
	}
	return false
}

func statefulNft(words []string) bool {
	if len(words) == 0 || words[0] == "chain" || strings.HasPrefix(words[0], "#") {
		return false
	}
	for i, w := range words {
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		switch w {
		case "masquerade", "snat", "dnat":
			return true
		case "ct":
			if next == "state" || next == "status" {
				return true
			}
		case "redirect": // elsewhere it is a type of ICMP
			if slices.Contains([]string{"", "to", "random", "fully-random", "persistent", "comment"}, next) {
				return true
			}
		}
	}
	return false
}
