package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/discovery"
	"github.com/spf13/cobra"
)

const validateLong = `Check a configuration without applying it, for this node or for those named with --node, which may be repeated.
--all-nodes checks it for every node that it names: in lookups such as { lb1 = 150, lb2 = 100 }[node.name] and in comparisons
with node.name. If it names none, it is the same for every node. A finding that does not concern all nodes says which ones.

Exit status: 0 valid, 1 invalid for at least one node.`

func newValidate() *cobra.Command {
	var conf configFlags
	var nodes []string
	var all bool
	var output string
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Check a configuration without applying it",
		Long:  validateLong,
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return fmt.Errorf("--output %q: want text or json", output)
			}
			options, err := conf.options()
			if err != nil {
				return err
			}
			v := validation{path: conf.path, color: output == "text" && onTerminal(os.Stderr)}
			if all {
				nodes = v.findNodes(options)
				if host, err := os.Hostname(); err == nil && conf.path == defaultConfig && !v.same && !slices.Contains(nodes, host) {
					v.stranger = host
				}
			} else if len(nodes) == 0 {
				nodes = []string{""}
			}
			for _, node := range nodes {
				options.Node = node
				v.check(cmd.Context(), options)
			}
			if output == "json" {
				err = v.writeJSON(cmd.OutOrStdout())
			} else {
				err = v.write(cmd.OutOrStdout(), cmd.ErrOrStderr())
			}
			if err != nil {
				return fmt.Errorf("writing the findings: %w", err)
			}
			if !v.valid() {
				return &exitError{status: 1}
			}
			return nil
		},
	}
	conf.registerInputs(cmd)
	cmd.Flags().StringArrayVar(&nodes, "node", nil, "check for the node of this `name`; may be repeated (default: the host name)")
	cmd.Flags().BoolVar(&all, "all-nodes", false, "check for every node that the configuration names")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "output format: text or json")
	cmd.MarkFlagsMutuallyExclusive("node", "all-nodes")
	return cmd
}

// validation is the result of checking a configuration for some nodes.
type validation struct {
	path     string
	color    bool
	nodes    []validatedNode
	findings []validatedFinding
	same     bool              // for all nodes
	stranger string            // the name of this host, if its configuration does not have it
	warned   map[string]string // by source of real servers that was asked: the warning about it
}

type validatedNode struct {
	Node   string `json:"node"` // "" if unknown
	Valid  bool   `json:"valid"`
	More   int    `json:"more_findings,omitempty"`
	rest   string // text about these
	counts string
}

type validatedFinding struct {
	api.Finding
	Nodes []string `json:"nodes,omitempty"` // those concerned
	text  string
}

func (v *validation) valid() bool {
	return !slices.ContainsFunc(v.findings, func(f validatedFinding) bool { return f.Severity == "error" })
}

// findNodes returns the nodes that the configuration names. If there are none, it is the same for all: it is checked for this host.
func (v *validation) findNodes(options config.Options) []string {
	nodes, diagnostics := config.NodeNames(v.path, options)
	v.same = len(nodes) == 0 && !diagnostics.HasErrors()
	if len(nodes) == 0 {
		return []string{""} // the check finds the errors again
	}
	return nodes
}

// check checks the configuration for the node of the options.
func (v *validation) check(ctx context.Context, options config.Options) {
	cfg, diagnostics := config.Load(v.path, options)
	node := validatedNode{Node: options.Node, Valid: cfg != nil}
	if cfg != nil {
		node.Node, node.counts = cfg.Node, countsOf(cfg)
	} else if node.Node == "" {
		node.Node, _ = os.Hostname()
	}
	findings, more := diagnostics.Findings()
	texts, rest := diagnostics.Texts(v.color)
	node.More, node.rest = more, rest
	v.nodes = append(v.nodes, node)
	for i, f := range api.FindingsOf(findings) {
		v.add(node.Node, f, texts[i])
	}
	if cfg == nil {
		return
	}
	for _, s := range cfg.Sources() {
		if problem := v.ask(ctx, s); problem != "" {
			v.add(node.Node, api.Finding{Severity: "warning", Summary: "discover " + s.String() + ": no real servers", Detail: problem}, "")
		}
	}
}

// ask reads a source that is a file, once for all nodes, and returns what is wrong with its list.
func (v *validation) ask(ctx context.Context, s config.Source) string {
	if s.File == nil {
		return ""
	}
	problem, asked := v.warned[s.String()]
	if !asked {
		if _, err := discovery.Ask(ctx, s); err != nil {
			problem = err.Error()
		}
		if v.warned == nil {
			v.warned = map[string]string{}
		}
		v.warned[s.String()] = problem
	}
	return problem
}

// add adds a finding for a node, to an equal one of others if there is one.
func (v *validation) add(node string, f api.Finding, text string) {
	if text == "" {
		severity := strings.ToUpper(f.Severity[:1]) + f.Severity[1:]
		text = fmt.Sprintf("%s: %s: %s\n\n", severity, plain(f.Summary), plain(f.Detail))
	}
	i := slices.IndexFunc(v.findings, func(other validatedFinding) bool { return other.Finding == f && other.text == text })
	if i < 0 {
		i = len(v.findings)
		v.findings = append(v.findings, validatedFinding{Finding: f, text: text})
	}
	if node != "" {
		v.findings[i].Nodes = append(v.findings[i].Nodes, node)
	}
}

// write prints the findings to errors, and a line for each node for which the configuration is valid to out.
func (v *validation) write(out, problems io.Writer) error {
	var text strings.Builder
	for _, f := range v.findings {
		if n := len(f.Nodes); n > 0 && n < len(v.nodes) {
			fmt.Fprintf(&text, "For node %s:\n", plain(strings.Join(f.Nodes, ", ")))
		}
		text.WriteString(f.text)
	}
	var summary strings.Builder
	for _, n := range v.nodes {
		if n.rest != "" && len(v.nodes) > 1 {
			fmt.Fprintf(&text, "For node %s:\n", plain(n.Node))
		}
		text.WriteString(n.rest)
		switch {
		case n.Valid && v.same:
			fmt.Fprintf(&summary, "%s names no node and is valid for every node: %s\n", v.path, n.counts)
		case n.Valid:
			fmt.Fprintf(&summary, "%s is valid for node %s: %s\n", v.path, n.Node, n.counts)
		case len(v.nodes) > 1:
			fmt.Fprintf(&summary, "%s is invalid for node %s\n", v.path, n.Node)
		}
	}
	if v.stranger != "" && v.valid() {
		fmt.Fprintf(&summary, "this host is called %s, which is none of these: name it in the configuration, or give its name with --node\n", v.stranger)
	}
	var err error
	if text.Len() > 0 {
		_, err = fmt.Fprintln(problems, strings.TrimRight(text.String(), "\n"))
	}
	_, err2 := io.WriteString(out, summary.String())
	return errors.Join(err, err2)
}

func (v *validation) writeJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(struct {
		Path     string             `json:"path"`
		Valid    bool               `json:"valid"`
		Nodes    []validatedNode    `json:"nodes,omitempty"`
		Findings []validatedFinding `json:"findings"`
	}{v.path, v.valid(), v.nodes, append([]validatedFinding{}, v.findings...)})
}

func countsOf(cfg *config.Config) string {
	servers := 0
	for _, vs := range cfg.Services {
		servers += len(vs.RealServers)
	}
	discovers := ""
	if n := len(cfg.Sources()); n > 0 {
		discovers = ", " + counted(n, "source") + " of others"
	}
	return fmt.Sprintf("%s, %s, %s%s", counted(len(cfg.VRRP), "VRRP instance"), counted(len(cfg.Services), "virtual service"),
		counted(servers, "real server"), discovers)
}

// counted formats a number with its noun: "1 real server", "3 real servers".
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
