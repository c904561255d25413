package doctor

import (
	"context"
	"errors"
	"os/exec"
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
		rules, err := output(ctx, tool+"-save")
		// Where iptables is nftables in disguise, nft has shown its rules.
		if err == nil && (!nft || !strings.Contains(rules, "(nf_tables)")) {
			o.Firewall = append(o.Firewall, statefulRules(tool, rules)...)
		}
	}
	if nftErr != nil && !errors.Is(nftErr, exec.ErrNotFound) && ctx.Err() != nil {
		return nftErr
	}
	return nil
}

// statefulRules are the rules that go by the state of connections or rewrite addresses.
func statefulRules(tool, rules string) []FirewallRule {
	words := []string{"--ctstate ", "--state ", "-j MASQUERADE", "-j SNAT", "-j DNAT", "-j REDIRECT"}
	if tool == "nft" {
		words = []string{"ct state ", "masquerade", "snat ", "dnat ", "redirect"}
	}
	var out []FirewallRule
	for line := range strings.Lines(rules) {
		line = strings.TrimSpace(line)
		if tool != "nft" && !strings.HasPrefix(line, "-A") || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "chain") {
			continue
		}
		for _, w := range words {
			if strings.Contains(line+" ", w) {
				out = append(out, FirewallRule{Tool: tool, Rule: line})
				break
			}
		}
	}
	return out
}
