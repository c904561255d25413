package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"slices"
	"strings"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
	"github.com/lvs-ha/lvs-ha/internal/keepalived/convert"
	"github.com/spf13/cobra"
)

const importKeepalivedLong = `Convert keepalived's configuration, with what it includes, to one for lvs-ha on standard output. With --node for each
director, the result is one file for all of them.

Nothing is dropped silently: standard error lists each line that lvs-ha treats differently or has no equivalent for, and
comments in the result say so at the place. With --check, compare what both programs would make, as the master of each
virtual router and with all real servers up. Nothing is started.
Exit status: 0 nothing differs, 2 something differs, 1 the configuration cannot be read.`

func newImportKeepalived() *cobra.Command {
	var nodes []string
	var configID, output string
	var check bool
	cmd := &cobra.Command{
		Use:   "keepalived [FILE]",
		Short: "Convert keepalived's configuration",
		Long:  importKeepalivedLong,
		Example: `  lvs-ha import keepalived > lvs-ha.hcl
  lvs-ha import keepalived --node lb1=lb1.conf --node lb2=lb2.conf > lvs-ha.hcl
  lvs-ha import keepalived --check`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if output != "text" && output != "json" {
				return fmt.Errorf("--output %q: want text or json", output)
			}
			sources, err := readKeepalived(args, nodes, configID)
			if err != nil {
				return err
			}
			if configID == "" && len(nodes) == 0 {
				warnOfOtherNodes(cmd.ErrOrStderr(), sources[0].Config.Named, shortHostname())
			}
			options := convert.Options{ScriptUser: scriptUser(), ReadScript: readScript, Tables: keepalived.Tables()}
			if check {
				return checkImported(cmd.OutOrStdout(), cmd.ErrOrStderr(), sources, options)
			}
			r := convert.Convert(sources, options)
			return printImported(cmd.OutOrStdout(), cmd.ErrOrStderr(), r, "keepalived", output)
		},
	}
	cmd.Flags().StringArrayVar(&nodes, "node", nil, "`NAME=FILE`: a director's name and its configuration; once for each director")
	cmd.Flags().StringVarP(&configID, "config-id", "i", "", "`name` that lines beginning with @ are compared with, as keepalived's option (default the director's name, or this host's up to the first dot)")
	cmd.Flags().BoolVar(&check, "check", false, "print no configuration, but a diff of what both programs would make: the IPVS table, adverts, addresses, routes")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "output format: text or json")
	return cmd
}

func readKeepalived(args, nodes []string, configID string) ([]convert.Source, error) {
	if len(nodes) > 0 && len(args) > 0 {
		return nil, errors.New("name the files with --node or as an argument, not both")
	}
	if len(nodes) == 0 {
		path := "/etc/keepalived/keepalived.conf"
		if len(args) == 1 {
			path = args[0]
		}
		nodes = []string{"=" + path}
	}
	var sources []convert.Source
	seen := map[string]bool{}
	for _, n := range nodes {
		name, path, found := strings.Cut(n, "=")
		switch {
		case !found || path == "":
			return nil, fmt.Errorf("--node %q: want NAME=FILE", n)
		case seen[name]:
			return nil, fmt.Errorf("--node %q: the name is used twice", n)
		}
		seen[name] = true
		c, err := keepalived.Read(path, keepalived.Options{Node: cmp.Or(configID, name, shortHostname())})
		if err != nil {
			return nil, err
		}
		if len(c.Nodes) == 0 {
			text, _ := readLimited(path)
			return nil, notImportable(path, text, "keepalived", errors.New("no keepalived configuration found in it"))
		}
		sources = append(sources, convert.Source{Node: name, Config: c})
	}
	return sources, nil
}

// warnOfOtherNodes says that lines of other nodes were left out, if the file has none for this host: it is probably another host's.
func warnOfOtherNodes(errOut io.Writer, named []string, host string) {
	if len(named) == 0 || slices.Contains(named, host) {
		return
	}
	var names []string
	for _, name := range named[:min(len(named), mostListed)] {
		names = append(names, "@"+name)
	}
	if more := len(named) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	fmt.Fprintf(errOut, "Lines for %s were left out: this host is %s. Use --config-id or --node.\n", strings.Join(names, ", "), host)
}

// mostListed is how many findings or names of a kind are listed.
const mostListed = 10

func shortHostname() string {
	name, _ := os.Hostname()
	name, _, _ = strings.Cut(name, ".")
	return name
}

// scriptUser returns the user of keepalived's scripts on this host, unless its configuration names one.
func scriptUser() string {
	if _, err := user.Lookup("keepalived_script"); err == nil {
		return "keepalived_script"
	}
	return "root"
}

// maxScript limits the scripts that are read. Programs are larger.
const maxScript = 64 << 10

// readScript reads a regular file that is no larger than scripts are.
func readScript(path string) []byte {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Size() > maxScript {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return text
}

// importedFinding is a Finding as JSON.
type importedFinding struct {
	File  string       `json:"file"`
	Line  int          `json:"line"`
	Node  string       `json:"node,omitempty"`
	Block string       `json:"block,omitempty"`
	Word  string       `json:"word"`
	Fate  convert.Fate `json:"fate"`
	Text  string       `json:"text,omitempty"`

	Suspect bool `json:"suspect,omitempty"` // the same in the other program, but probably a mistake
}

func printImported(out, errOut io.Writer, r *convert.Result, program, format string) error {
	lossy := 0
	count := map[convert.Fate]int{}
	findings := []importedFinding{}
	for _, f := range r.Findings {
		count[f.Fate]++
		if f.Fate.Lossy() {
			lossy++
		}
		findings = append(findings, importedFinding{f.File, f.Line, f.Node, f.Block, f.Word, f.Fate, f.Text, f.Suspect})
	}
	if format == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(struct {
			HCL      string            `json:"hcl"`
			Findings []importedFinding `json:"findings"`
		}{string(r.HCL), findings}); err != nil {
			return fmt.Errorf("writing the result: %w", err)
		}
	} else {
		if _, err := out.Write(r.HCL); err != nil {
			return fmt.Errorf("writing the configuration: %w", err)
		}
		for _, f := range r.Findings {
			if f.Fate.Lossy() {
				fmt.Fprintf(errOut, "%s: %s: %s: %s\n", f.Position, visible(f.Word), f.Fate, visible(f.Text))
			}
		}
		printSuspects(errOut, r.Findings, program)
		fmt.Fprintf(errOut, "%s the same, %d in effect, %d without effect, %d different, %d missing\n", counted(count[convert.Same], "line"),
			count[convert.Equivalent], count[convert.Ignored], count[convert.Differs], count[convert.Missing])
		if count[convert.Ignored] > 0 {
			fmt.Fprintln(errOut, "Use -o json to list those without effect.")
		}
	}
	switch {
	case r.Err != nil:
		return &exitError{1, fmt.Errorf("the result has errors:\n%w", r.Err)}
	case lossy > 0:
		return &exitError{status: importPartial}
	}
	return nil
}

// printSuspects lists the first lines that have the same effect in the other program, but probably not the one that was wanted.
func printSuspects(errOut io.Writer, findings []convert.Finding, program string) {
	suspects := slices.DeleteFunc(slices.Clone(findings), func(f convert.Finding) bool { return !f.Suspect })
	if len(suspects) == 0 {
		return
	}
	fmt.Fprintf(errOut, "Probably mistakes in the file; %s does the same with them as the result:\n", program)
	for _, f := range suspects[:min(len(suspects), mostListed)] {
		fmt.Fprintf(errOut, "%s: %s: %s\n", f.Position, visible(f.Word), visible(f.Text))
	}
	if more := len(suspects) - mostListed; more > 0 {
		fmt.Fprintf(errOut, "and %d more: use -o json and look for \"suspect\".\n", more)
	}
}
