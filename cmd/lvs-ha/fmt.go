package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/spf13/cobra"
)

const fmtLong = `Print a configuration in the canonical layout: indented by two spaces, with aligned equals signs and comments.
Only spaces change; comments and empty lines are kept. Only the syntax is checked.

FILE is a file, a directory of *.hcl files, or "-" for standard input; the default is ` + defaultConfig + `.
If one of them has a syntax error, none is written.

Exit status: 0 done, or all formatted with --check; 1 error, or not all formatted with --check.`

func newFmt() *cobra.Command {
	var write, check bool
	cmd := &cobra.Command{
		Use:   "fmt [FILE...]",
		Short: "Format a configuration",
		Long:  fmtLong,
		Example: `  lvs-ha fmt -w                # the configuration of this host
  lvs-ha fmt --check *.hcl     # in a CI job
  lvs-ha fmt a.hcl | diff -u a.hcl -   # what would change
  lvs-ha fmt - < lvs-ha.hcl`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{defaultConfig}
			}
			if write && slices.Contains(args, "-") {
				return errors.New("--write needs files: standard input cannot be written")
			}
			files, err := formatAll(args, cmd.InOrStdin())
			switch {
			case err != nil:
				return err
			case write:
				return writeFormatted(cmd.OutOrStdout(), files)
			case check:
				return checkFormatted(cmd.OutOrStdout(), files)
			case len(files) > 1:
				return fmt.Errorf("%d files cannot be printed as one: use --write or --check, or name one file", len(files))
			}
			_, err = cmd.OutOrStdout().Write(files[0].Canonical)
			return err
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"hcl"}, cobra.ShellCompDirectiveFilterFileExt
		},
	}
	cmd.Flags().BoolVarP(&write, "write", "w", false, "write the result to the files and print the names of those that changed")
	cmd.Flags().BoolVar(&check, "check", false, "print the names of files that are not formatted, and change nothing")
	cmd.MarkFlagsMutuallyExclusive("write", "check")
	return cmd
}

// formatAll formats files, directories and standard input. The error has the syntax errors of all.
func formatAll(args []string, stdin io.Reader) ([]config.Formatted, error) {
	var all []config.Formatted
	var problems []error
	for _, path := range args {
		var files []config.Formatted
		var diagnostics *config.Diagnostics
		if path == "-" {
			files, diagnostics = config.FormatInput("standard input", stdin)
		} else {
			files, diagnostics = config.Format(path)
		}
		if diagnostics.HasErrors() {
			said, err := text(diagnostics, onTerminal(os.Stderr))
			problems = append(problems, errors.Join(err, errors.New(said)))
		}
		all = append(all, files...)
	}
	if len(problems) > 0 {
		return nil, &exitError{1, errors.Join(problems...)}
	}
	return all, nil
}

func writeFormatted(out io.Writer, files []config.Formatted) error {
	for _, f := range files {
		if !f.Changed() {
			continue
		}
		if err := replaceFile(f.Name, f.Canonical); err != nil {
			return fmt.Errorf("%s is left as it is: %w", f.Name, err)
		}
		if _, err := fmt.Fprintln(out, f.Name); err != nil {
			return err
		}
	}
	return nil
}

func checkFormatted(out io.Writer, files []config.Formatted) error {
	var status error
	for _, f := range files {
		if !f.Changed() {
			continue
		}
		status = &exitError{status: 1}
		if _, err := fmt.Fprintln(out, f.Name); err != nil {
			return err
		}
	}
	return status
}

// replaceFile atomically replaces the contents of a file, or of the one that a symbolic link names, and keeps its mode and
// owner. The temporary file is hidden, so a directory's configuration never includes it.
func replaceFile(path string, text []byte) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) //nolint:errcheck // it has been renamed unless there was an error
	owner := info.Sys().(*syscall.Stat_t)
	if err = tmp.Chown(int(owner.Uid), int(owner.Gid)); err == nil {
		err = tmp.Chmod(info.Mode())
	}
	if err == nil {
		_, err = tmp.Write(text)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
