package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/keepalived/convert"
	"github.com/spf13/cobra"
)

const importLdirectordLong = `Convert ldirectord's configuration to one for lvs-ha on standard output.

Nothing is dropped silently: standard error lists each line that lvs-ha treats differently or has no equivalent for, and
comments in the result say so at the place.
Exit status: 0 nothing differs, 2 something differs, 1 the configuration cannot be read, or the result has errors.`

func newImportLdirectord() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "ldirectord [FILE]",
		Short:   "Convert ldirectord's configuration",
		Long:    importLdirectordLong,
		Example: `  lvs-ha import ldirectord /etc/ha.d/ldirectord.cf > lvs-ha.hcl`,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if output != "text" && output != "json" {
				return fmt.Errorf("--output %q: want text or json", output)
			}
			path := "/etc/ha.d/ldirectord.cf"
			if len(args) == 1 {
				path = args[0]
			}
			text, err := readLimited(path)
			if err != nil {
				return err
			}
			r, err := convert.Ldirectord(path, text)
			if err != nil {
				return notImportable(path, text, "ldirectord", err)
			}
			return printImported(cmd.OutOrStdout(), cmd.ErrOrStderr(), r, "ldirectord", output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "output format: text or json")
	return cmd
}

// notImportable says what a file is that has no configuration of the program.
func notImportable(path string, text []byte, program string, err error) error {
	if found, line, hint := config.Foreign(text); found != "" && !strings.Contains(found, program) {
		return fmt.Errorf("%s:%d: this is %s. %s", path, line, found, hint)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// readLimited reads a regular file of up to maxRules bytes.
func readLimited(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() || info.Size() > maxRules:
		return nil, fmt.Errorf("%s: %w", path, errors.New("not a regular file, or too large"))
	}
	return os.ReadFile(path)
}
