package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
	"golang.org/x/sys/unix"
)

func observeModules(_ context.Context, _ *config.Config, o *Observed) error {
	_, err := os.Stat("/proc/self/net/ip_vs")
	o.IPVS = err == nil
	loaded, err := os.ReadFile("/proc/modules")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("list loaded modules: %w", err)
	}
	o.Modules.Loaded = firstWords(string(loaded))
	dir, err := modulesDir()
	if err != nil {
		return err
	}
	dep, depErr := os.ReadFile(filepath.Join(dir, "modules.dep"))
	builtin, builtinErr := os.ReadFile(filepath.Join(dir, "modules.builtin"))
	o.Modules.Loaded = append(o.Modules.Loaded, moduleNames(string(builtin))...)
	o.Modules.Available = moduleNames(string(dep))
	o.Modules.Listed = depErr == nil && builtinErr == nil
	return nil
}

// modulesDir is the directory of the running kernel's modules.
func modulesDir() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("read the kernel's release: %w", err)
	}
	return filepath.Join("/lib/modules", unix.ByteSliceToString(u.Release[:])), nil
}

func firstWords(table string) []string {
	var out []string
	for line := range strings.Lines(table) {
		if word, _, ok := strings.Cut(line, " "); ok {
			out = append(out, word)
		}
	}
	return out
}

// moduleNames returns the modules in modules.dep or modules.builtin: the names of the files at the beginnings of lines.
func moduleNames(table string) []string {
	var out []string
	for line := range strings.Lines(table) {
		file, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		name, _, ok := strings.Cut(filepath.Base(file), ".ko")
		if ok && name != "" {
			out = append(out, strings.ReplaceAll(name, "-", "_"))
		}
	}
	return out
}

func observeProcesses(_ context.Context, _ *config.Config, o *Observed) (err error) {
	o.Processes, err = supervisor.FindRunning()
	return err
}

// rivals are programs that move addresses or program IPVS.
var rivals = []string{"keepalived", "vrrpd", "ucarp", "ldirectord"}

// observeDaemons finds rivals in this network namespace, each name once.
func observeDaemons(_ context.Context, _ *config.Config, o *Observed) error {
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return fmt.Errorf("identify the network namespace: %w", err)
	}
	files, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	for _, file := range files {
		comm, err := os.ReadFile(file)
		name := strings.TrimSpace(string(comm))
		if err != nil || !slices.Contains(rivals, name) {
			continue
		}
		// Without permission to read its namespace, assume that it is in ours.
		if ns, err := os.Readlink(filepath.Join(filepath.Dir(file), "ns/net")); err == nil && ns != own {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil && !slices.ContainsFunc(o.Daemons, func(p Process) bool { return p.Name == name }) {
			o.Daemons = append(o.Daemons, Process{PID: pid, Name: name})
		}
	}
	return nil
}

// observeFirewall reads the packet filters' rules with the installed tools.
func observeFirewall(ctx context.Context, _ *config.Config, o *Observed) error {
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
			return // iptables-nft, whose rules nft has listed
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
		// The kernel may have rules of both kinds; iptables-save lists only those of its own kind.
		save(tool, tool+"-legacy-save")
		save(tool, tool+"-save")
	}
	if seen || len(errs) == 0 {
		return nil
	}
	return errs[0]
}

// statefulRules returns the stateful and the NAT rules.
func statefulRules(tool, rules string) []FirewallRule {
	stateful := statefulIptables
	if tool == "nft" {
		stateful = statefulNft
	}
	var out []FirewallRule
	for line := range strings.Lines(rules) {
		line = strings.TrimSpace(line)
		// Quoted words are comments or names.
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
		case "redirect": // in other contexts it is an ICMP type
			if slices.Contains([]string{"", "to", "random", "fully-random", "persistent", "comment"}, next) {
				return true
			}
		}
	}
	return false
}
