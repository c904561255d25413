package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/director"
	"github.com/lvs-ha/lvs-ha/internal/loglimit"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

const defaultConfig = "/etc/lvs-ha/lvs-ha.hcl"

// configFlags are the flags that select a configuration and its inputs.
type configFlags struct {
	path     string
	node     string
	vars     []string
	varFiles []string

	readTimeout time.Duration // not a flag; 0 means the default of package config
}

func (f *configFlags) register(cmd *cobra.Command) {
	f.registerInputs(cmd)
	cmd.Flags().StringVar(&f.node, "node", "", "this node's name in the configuration (default: the host name)")
}

// registerInputs is register without --node.
func (f *configFlags) registerInputs(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.path, "config", "c", defaultConfig, "configuration: a file, or a directory of *.hcl files")
	flags.StringArrayVar(&f.vars, "var", nil, "set a variable, `name=value`; may be repeated")
	flags.StringArrayVar(&f.varFiles, "var-file", nil, "read variables from `file`; may be repeated")
}

// named reports whether the command line names a configuration or its inputs.
func (f *configFlags) named(cmd *cobra.Command) bool {
	return slices.ContainsFunc([]string{"config", "node", "var", "var-file"}, cmd.Flags().Changed)
}

// args returns the flags for a worker process, without values of variables, which may be secret.
func (f *configFlags) args() []string {
	args := []string{"--config", f.path}
	if f.node != "" {
		args = append(args, "--node", f.node)
	}
	for _, v := range f.varFiles {
		args = append(args, "--var-file", v)
	}
	return args
}

// load reads and validates the configuration. If it is invalid, the error is an exitError with the diagnostics and
// snippets; color is for terminals. Warnings are returned with a valid configuration.
func (f *configFlags) load(color bool) (cfg *config.Config, warnings string, err error) {
	cfg, diagnostics, err := f.read(color)
	if err != nil {
		return nil, "", err
	}
	warnings, err = text(diagnostics, color)
	return cfg, warnings, err
}

// loadPlain is load for a daemon: it returns the warnings as values.
func (f *configFlags) loadPlain(color bool) (*config.Config, []config.Finding, error) {
	cfg, diagnostics, err := f.read(color)
	if err != nil {
		return nil, nil, err
	}
	warnings, more := diagnostics.Findings()
	if more > 0 {
		warnings = append(warnings, config.Finding{Warning: true, Summary: fmt.Sprintf("%d more findings are not shown", more)})
	}
	return cfg, warnings, nil
}

// options returns the options of package config for these flags.
func (f *configFlags) options() (config.Options, error) {
	vars := map[string]string{}
	for _, v := range f.vars {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return config.Options{}, fmt.Errorf("--var %q: want name=value", v)
		}
		vars[name] = value
	}
	return config.Options{Node: f.node, Vars: vars, VarFiles: f.varFiles, ReadTimeout: f.readTimeout}, nil
}

func (f *configFlags) read(color bool) (*config.Config, *config.Diagnostics, error) {
	options, err := f.options()
	if err != nil {
		return nil, nil, err
	}
	cfg, diagnostics := config.Load(f.path, options)
	if !diagnostics.HasErrors() {
		return cfg, diagnostics, nil
	}
	said, err := text(diagnostics, color)
	if err != nil {
		return nil, nil, err
	}
	findings, more := diagnostics.Findings()
	return nil, nil, &exitError{1, &director.Refused{Findings: findings, More: more, Text: said}}
}

func text(d *config.Diagnostics, color bool) (string, error) {
	var text strings.Builder
	if err := d.Write(&text, color); err != nil {
		return "", fmt.Errorf("writing diagnostics: %w", err)
	}
	return strings.TrimRight(text.String(), "\n"), nil
}

// logFlags are the flags for the log.
type logFlags struct {
	level  string
	format string
	worker string // name of the logging worker; empty in the parent

	journal bool // the log goes to the systemd journal
}

func (f *logFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.level, "log-level", "info", "log level: debug, info, warn or error")
	cmd.Flags().StringVar(&f.format, "log-format", "text", "log format: text or json")
}

func (f *logFlags) args() []string {
	return []string{"--log-level", f.level, "--log-format", f.format}
}

func (f *logFlags) handler(w io.Writer) (slog.Handler, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.level)); err != nil {
		return nil, fmt.Errorf("--log-level %q: want debug, info, warn or error", f.level)
	}
	options := &slog.HandlerOptions{Level: level}
	var form func(io.Writer) slog.Handler
	switch f.format {
	case "text":
		form = func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, options) }
	case "json":
		form = func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, options) }
	default:
		return nil, fmt.Errorf("--log-format %q: want text or json", f.format)
	}
	handler := form(w)
	if f.journal {
		handler = newJournalHandler(w, form)
	}
	if f.worker != "" {
		handler = handler.WithAttrs([]slog.Attr{slog.String("worker", f.worker)})
	}
	return handler, nil
}

// open returns a logger that never blocks and rate-limits lines by cause, and a function that flushes it when the
// process ends.
func (f *logFlags) open(w io.Writer) (log *slog.Logger, flush func(), err error) {
	f.journal = isJournal(w)
	direct, err := f.handler(w)
	if err != nil {
		return nil, nil, err
	}
	queued := newQueuedWriter(w, func(dropped uint64) {
		slog.New(direct).Error("log lines dropped: log output is blocked or too slow", "lines", dropped)
	})
	handler, err := f.handler(queued)
	if err != nil {
		return nil, nil, err
	}
	limited := loglimit.New(handler)
	return slog.New(limited), func() {
		limited.Flush()
		queued.flush()
	}, nil
}

// noArgs refuses arguments that are neither flags nor subcommands.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasSubCommands() {
		var names []string
		for _, sub := range cmd.Commands() {
			names = append(names, sub.Name())
		}
		return fmt.Errorf("unknown command \"%s %s\": want %s", cmd.CommandPath(), args[0], strings.Join(names, ", "))
	}
	hint := ""
	if cmd.Flags().Lookup("config") != nil {
		hint = "; use -c to name a configuration"
	}
	return fmt.Errorf("%s: unexpected argument %q%s", cmd.CommandPath(), args[0], hint)
}

// duration is the value of a flag with a unit.
type duration struct{ value *time.Duration }

func durationFlag(cmd *cobra.Command, value *time.Duration, name, usage string) {
	cmd.Flags().Var(duration{value}, name, usage)
}

func (d duration) Type() string { return "duration" }

func (d duration) String() string {
	if d.value == nil || *d.value == 0 {
		return "" // not printed as the default
	}
	return d.value.String()
}

func (d duration) Set(text string) error {
	value, err := time.ParseDuration(text)
	if err != nil {
		return errors.New("write a number with a unit, such as 90s, 10m or 2h")
	}
	*d.value = value
	return nil
}

func registerRuntimeDir(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "runtime-dir", string(supervisor.DefaultRuntimeDir), "directory for sockets and state")
}

// onTerminal reports whether f is a terminal with colours and the user has not disabled them (see no-color.org).
func onTerminal(f *os.File) bool {
	return isTerminal(f) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
