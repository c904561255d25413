package doctor

import (
	"context"
	"errors"
	"os/exec"
	"regexp"
	"slices"
	"strings"

	"github.com/lvs-ha/lvs-ha/config"
)

// seeFirewall reads the packet filters' rules with the tools that are there.
func seeFirewall(ctx context.Context, _ *config.Config, o *Observed) error {
	rules, nftErr := output(ctx, "nft", "list", "ruleset")
	nft := nftErr == nil
	if nft {
		o.Firewall = append(o.Firewall, statefulRules("nft", rules)...)
	}
	for _, tool := range []string{"iptables", "ip6tables"} {
		// The kernel may have rules of both: iptables-save shows those of the one that it is.
		for _, save := range []string{tool + "-legacy-save", tool + "-save"} {
			rules, err := output(ctx, save)
			// Where iptables is nftables in disguise, nft has shown its rules.
			if err != nil || nft && strings.Contains(rules, "(nf_tables)") {
				continue
			}
			for _, r := range statefulRules(tool, rules) {
				if !slices.Contains(o.Firewall, r) {
					o.Firewall = append(o.Firewall, r)
				}
			}
		}
	}
	if nftErr != nil && !errors.Is(nftErr, exec.ErrNotFound) && ctx.Err() != nil {
		return nftErr
	}
	return nil
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
