package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/director"
	"github.com/lvs-ha/lvs-ha/internal/doctor"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
	"github.com/spf13/cobra"
)

// doctorTimeout limits the whole diagnosis.
const doctorTimeout = 30 * time.Second

const doctorLong = `Compare this host with the configuration: kernel modules, kernel parameters, interfaces, addresses, real servers and
peers. Each finding says why it matters and how to correct it.

--fix applies safe fixes: kernel parameters and modules. They last until the next boot; with sysctl { manage = true } in
the configuration the daemon sets the parameters itself.

Without a configuration only the host is examined.

Exit status: 0 no problems, 1 errors, 2 warnings but no errors. Fixed findings do not count.`

func newDoctor() *cobra.Command {
	var conf configFlags
	var runtimeDir, output string
	var fix, quiet bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Diagnose and repair a director host",
		Long:  doctorLong,
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return fmt.Errorf("--output %q: want table or json", output)
			}
			socket := supervisor.RuntimeDir(runtimeDir).APISocket()
			cfg, err := doctorConfig(cmd, &conf, newClient(supervisor.RuntimeDir(runtimeDir)))
			if err != nil {
				return &exitError{doctor.ExitErrors, err}
			}
			if listen := doctor.ListenTime(cfg); output == "table" && listen > time.Second {
				fmt.Fprintf(cmd.ErrOrStderr(), "listening for adverts for %s\n", listen.Round(time.Second/10))
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), doctorTimeout)
			defer cancel()
			machine := doctor.Linux{APISocket: socket}
			findings := diagnose(ctx, machine, cfg)
			if fix {
				findings = doctor.ApplyFixes(context.WithoutCancel(ctx), machine, findings)
			}
			status := doctor.ExitStatus(findings)
			if output == "json" {
				err = writeDoctorJSON(cmd.OutOrStdout(), findings, status)
			} else {
				err = writeFindings(cmd.OutOrStdout(), findings, quiet, fix)
			}
			if err != nil {
				return err
			}
			if status != doctor.ExitOK {
				return &exitError{status: status}
			}
			return nil
		},
	}
	conf.register(cmd)
	registerRuntimeDir(cmd, &runtimeDir)
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	cmd.Flags().BoolVar(&fix, "fix", false, "apply safe fixes: kernel parameters and modules")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "show warnings and errors only")
	return cmd
}

func diagnose(ctx context.Context, machine doctor.Machine, cfg *config.Config) []doctor.Finding {
	cfg, sources := doctor.Discover(ctx, cfg)
	observed := machine.Observe(ctx, cfg)
	observed.Sources = sources
	return doctor.Examine(cfg, observed)
}

// patient is a director whose host can be diagnosed.
type patient struct {
	*director.Director
	machine doctor.Linux
	load    loader
}

// apiDoctorTimeout is less than the time for a request, so that what was seen until then is answered.
const apiDoctorTimeout = 25 * time.Second

// Doctor compares the host with the configuration file. The director may not listen for adverts; the others are not heard.
func (p patient) Doctor(ctx context.Context) (api.Doctor, error) {
	ctx, cancel := context.WithTimeout(ctx, apiDoctorTimeout)
	defer cancel()
	cfg, _, err := p.load()
	if err != nil {
		return api.Doctor{}, &api.Error{Status: http.StatusUnprocessableEntity, Err: err}
	}
	findings := diagnose(ctx, p.machine, cfg)
	out := api.Doctor{ExitStatus: doctor.ExitStatus(findings), Findings: []api.DoctorFinding{}}
	for _, f := range findings {
		one := api.DoctorFinding{Code: f.Code, Severity: string(f.Severity), Subject: f.Subject, What: f.What, Why: f.Why, Remedy: f.Remedy}
		for _, fix := range f.Fixes {
			one.Fixes = append(one.Fixes, api.DoctorFix(fix))
		}
		out.Findings = append(out.Findings, one)
	}
	return out, nil
}

// doctorConfig loads the configuration. It is not an error if the default file does not exist: a message then names the
// file that the running lvs-ha uses, if any.
func doctorConfig(cmd *cobra.Command, conf *configFlags, running *api.Client) (*config.Config, error) {
	if _, err := os.Stat(conf.path); errors.Is(err, fs.ErrNotExist) && !cmd.Flags().Changed("config") {
		used := ""
		if status, err := running.Status(cmd.Context()); err == nil {
			used = "; the running lvs-ha uses " + status.Config.Path
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "%s does not exist: examining only the host; use -c to name a configuration%s\n", conf.path, used)
		return &config.Config{}, nil
	}
	cfg, _, err := conf.load(onTerminal(os.Stderr))
	return cfg, err
}

func writeDoctorJSON(w io.Writer, findings []doctor.Finding, status int) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(struct {
		Status   int              `json:"exit_status"`
		Findings []doctor.Finding `json:"findings"`
	}{status, findings})
}

func writeFindings(w io.Writer, findings []doctor.Finding, quiet, fix bool) error {
	var b strings.Builder
	var errs, warnings, fixable, fixed int
	for _, f := range findings {
		bad := f.Severity == doctor.Error || f.Severity == doctor.Warning
		switch {
		case f.Fixed:
			fixed++
		case f.Severity == doctor.Error:
			errs++
		case f.Severity == doctor.Warning:
			warnings++
		}
		if bad && !f.Fixed && len(f.Fixes) > 0 {
			fixable++
		}
		if bad || !quiet {
			writeFinding(&b, f)
		}
	}
	fmt.Fprintf(&b, "%s, %s\n", counted(errs, "error"), counted(warnings, "warning"))
	if fixable > 0 && !fix {
		fmt.Fprintf(&b, "--fix can correct %d of them\n", fixable)
	}
	if fixed > 0 {
		fmt.Fprintf(&b, "%d fixed until the next boot: to keep kernel parameters, put them in /etc/sysctl.d\n", fixed)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeFinding(w io.Writer, f doctor.Finding) {
	label := string(f.Severity)
	if f.Fixed {
		label = "fixed"
	}
	fmt.Fprintf(w, "%-8s %-18s %s\n", label, f.Code, f.What)
	detail := func(name, text string) {
		if text != "" {
			fmt.Fprintf(w, "%-27s %-7s %s\n", "", name, text)
		}
	}
	if f.Severity == doctor.OK {
		return
	}
	detail("why:", f.Why)
	if f.Fixed {
		detail("done:", f.Remedy)
		return
	}
	detail("remedy:", f.Remedy)
	detail("--fix failed:", f.FixError)
}
