package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/ipvsadm"
	"github.com/lvs-ha/lvs-ha/internal/migrate"
	"github.com/spf13/cobra"
)

// importPartial is the exit status of an import that could not convert everything.
const importPartial = 2

func newImport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Convert another program's configuration to lvs-ha",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newImportIpvsadm(), newImportKeepalived(), newImportLdirectord())
	return cmd
}

const importIpvsadmLong = `Convert ipvsadm rules to a configuration on standard output. Services that differ only in their address become one
block; servers shared by several services become a local value where that is shorter.

The input is the output of "ipvsadm -S -n", or anything else that "ipvsadm -R" reads. Without a file, or with "-", read
standard input.

Nothing is dropped silently: what has no equivalent is listed at the end as comments, and on standard error.
Exit status: 0 everything converted, 2 some rules not converted, 1 invalid rules.`

func newImportIpvsadm() *cobra.Command {
	return &cobra.Command{
		Use:   "ipvsadm [FILE]",
		Short: "Convert ipvsadm rules to a configuration",
		Long:  importIpvsadmLong,
		Example: `  ipvsadm -S -n | lvs-ha import ipvsadm > lvs-ha.hcl
  lvs-ha import ipvsadm /etc/ipvsadm.rules`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, input, err := openRules(args)
			if err != nil {
				return err
			}
			defer input.Close()
			rules, err := io.ReadAll(io.LimitReader(input, maxRules))
			if err != nil {
				return fmt.Errorf("reading %s: %w", name, err)
			}
			text, lost, err := migrate.FromRules(cmd.Context(), bytes.NewReader(rules), ipvsadm.SystemNames(cmd.Context()))
			if program, line, hint := config.Foreign(rules); err != nil && program != "" && program != config.IpvsadmRules {
				return &exitError{1, fmt.Errorf("%s:%d: this is %s, not ipvsadm rules. %s", name, line, program, hint)}
			}
			if err != nil {
				return &exitError{1, errors.New(prefixLines(name+": ", err.Error()))}
			}
			if _, err := cmd.OutOrStdout().Write(text); err != nil {
				return fmt.Errorf("writing the configuration: %w", err)
			}
			if len(lost) == 0 {
				return nil
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s not converted:\n", counted(len(lost), "line"))
			for _, l := range lost {
				fmt.Fprintln(cmd.ErrOrStderr(), l)
			}
			return &exitError{status: importPartial}
		},
	}
}

// maxRules limits the input: the rules of 1,000,000 real servers.
const maxRules = 128 << 20

// openRules opens the named file, or standard input.
func openRules(args []string) (name string, input io.ReadCloser, err error) {
	if len(args) == 1 && args[0] != "-" {
		input, err = os.Open(args[0])
		return args[0], input, err
	}
	if len(args) == 0 && isTerminal(os.Stdin) {
		return "", nil, errors.New("no rules: name a file or use a pipe: `ipvsadm -S -n | lvs-ha import ipvsadm`")
	}
	return "standard input", os.Stdin, nil
}

func prefixLines(prefix, text string) string {
	return prefix + strings.ReplaceAll(text, "\n", "\n"+prefix)
}
