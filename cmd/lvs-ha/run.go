package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/capability"
	"github.com/lvs-ha/lvs-ha/internal/flight"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
	"github.com/lvs-ha/lvs-ha/vrrp"
	"github.com/lvs-ha/lvs-ha/vrrp/speaker"
	"github.com/spf13/cobra"
)

const runLong = `Run the daemon: VRRP, health checks, IPVS and connection sync, as configured.

It stays in the foreground. SIGHUP or ` + "`lvs-ha reload`" + ` loads the configuration again; SIGTERM hands over to
the peer and stops. Without a vrrp block it is a single health-checking director; without a
virtual_service block it is a plain VRRP daemon.`

// The time after which a worker counts as unresponsive. Peers wait for three adverts from the speaker; the director may
// wait ten seconds for each kernel request.
const (
	speakerPatience  = 5 * time.Second
	directorPatience = 30 * time.Second
)

// speakerStop limits the time for the speaker to stop, which resigns within vrrp.MaxFinalLeave. The director waits a little longer
// for it, and then removes the addresses that a killed one has left.
const speakerStop = vrrp.MaxFinalLeave + 250*time.Millisecond

func newRun() *cobra.Command {
	var conf configFlags
	var logs logFlags
	var runtimeDir, scriptCapabilities string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon",
		Long:  runLong,
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			signal.Ignore(syscall.SIGHUP) // until the parent forwards it: the configuration has not been read yet
			extra, err := capability.Parse(scriptCapabilities)
			if err != nil {
				return fmt.Errorf("--%s: %w", supervisor.ScriptCapabilitiesFlag, err)
			}
			handover, err := supervisor.InheritHandover()
			if err != nil {
				return err
			}
			if handover != nil && handover.Rehearsal {
				return rehearse(&conf, handover)
			}
			if err := supervisor.Confine(extra); err != nil {
				return err
			}
			log, flush, err := logs.open(os.Stderr)
			if err != nil {
				return err
			}
			defer flush()
			err = runParent(cmd.Context(), supervisor.RuntimeDir(runtimeDir), &conf, &logs, extra, handover, log)
			if _, refused := errors.AsType[*supervisor.RefusedError](err); refused {
				return &exitError{status: 1} // already logged
			}
			return err
		},
	}
	conf.register(cmd)
	logs.register(cmd)
	registerRuntimeDir(cmd, &runtimeDir)
	cmd.Flags().StringVar(&scriptCapabilities, supervisor.ScriptCapabilitiesFlag, "",
		"additional capabilities of scripts that run as root, as a `list` such as NET_RAW,CHOWN; or all")
	return cmd
}

// rehearse answers the running version, which asks whether this one can take over.
func rehearse(conf *configFlags, h *supervisor.Handover) error {
	if _, _, err := conf.load(false); err != nil {
		return err
	}
	if h.Memory > 0 {
		if err := speaker.CanSucceed(os.NewFile(uintptr(h.Memory), speaker.TenuresName)); err != nil {
			return err
		}
	}
	return supervisor.AnswerRehearsal(versionText())
}

// runParent runs the parent process, which only passes on how to read the configuration. extra are additional capabilities for
// root's scripts.
func runParent(ctx context.Context, dir supervisor.RuntimeDir, conf *configFlags, logs *logFlags, extra capability.Set, handover *supervisor.Handover, log *slog.Logger) error {
	if err := dir.Check(); err != nil {
		return err
	}
	binary, err := installedPath()
	if err != nil {
		return err
	}
	parent := supervisor.Parent{
		Program: supervisor.Program,
		Binary:  binary,
		Version: versionText(),
		Report:  dir.WriteUpgrade, Requested: dir.UpgradeRequested,
		Workers: []supervisor.Worker{{
			Name: "speaker", Args: append([]string{"speaker"}, logs.args()...), Environment: speakerEnvironment(),
			Capabilities: supervisor.SpeakerCapabilities, Spare: true, Patience: speakerPatience, StopTimeout: speakerStop, SessionNice: speakerNice,
		}, {
			Name: "director", Args: slices.Concat([]string{"director", "--runtime-dir", string(dir)}, conf.args(), logs.args()),
			Environment: directorEnvironment(), Private: directorPrivate{Vars: conf.vars},
			Capabilities: supervisor.DirectorCapabilities | extra, Stores: true, Patience: directorPatience, SessionNice: directorNice,
		}},
		Reload: "director",
		Logger: log,
	}
	debug.SetGCPercent(parentGCPercent)
	parent.Inherit(handover)
	parent.Open = func(inherited func(string) *os.File) (map[string][]*os.File, error) {
		lock, err := dir.Lock()
		if err != nil {
			return nil, err
		}
		socket, err := dir.ListenSpeaker()
		if err != nil {
			return nil, err
		}
		tenures := inherited(speaker.TenuresName)
		if tenures == nil {
			if tenures, err = speaker.NewTenures(); err != nil {
				return nil, err
			}
		}
		parent.Memory = tenures
		go lock.Keep(ctx, log, parent.Record)
		shared := []*os.File{tenures} // also for the next parent, in case speaker and parent are killed together
		if recording, err := flight.Create(string(dir), inherited); err != nil {
			log.Warn("flight recorder not available; lvs-ha explain will show nothing", "error", err)
		} else {
			shared = append(shared, recording)
		}
		return map[string][]*os.File{
			"speaker":  append([]*os.File{socket.Listener}, shared...),
			"director": append([]*os.File{socket.Address}, shared...),
		}, nil
	}
	return parent.Run(ctx)
}

// parentGCPercent lets the parent's heap grow to 1 MB before it is collected, not to 4: a quarter of that is in use, and it
// allocates little.
const parentGCPercent = 25

// installedPath returns the path under which this program was started, which may be a symbolic link, as an absolute one.
func installedPath() (string, error) {
	if path, err := exec.LookPath(os.Args[0]); err == nil {
		path, err = filepath.Abs(path)
		named, failed := os.Stat(path)
		running, unknown := os.Stat("/proc/self/exe")
		if errors.Join(err, failed, unknown) == nil && os.SameFile(named, running) {
			return path, nil
		}
	}
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding the path of this program: %w", err)
	}
	return path, nil
}

// The nice values of the workers' sessions, if the kernel schedules by session: nice values of threads then apply only within
// one. With the default, busy sessions of a higher weight leave a worker a tenth of a single CPU. The director's session
// includes its scripts.
const (
	speakerNice  = -20
	directorNice = -10
)

// directorPrivate has the values that must not be on the director's command line, which every user can read.
type directorPrivate struct {
	Vars []string // of --var
}

// speakerEnvironment lists the variables of the Go runtime and the log.
func speakerEnvironment() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return !slices.Contains([]string{"GODEBUG", "GOMAXPROCS", "GOTRACEBACK", "JOURNAL_STREAM", "TZ"}, name)
	})
}

// directorEnvironment returns the environment without variables that only the parent needs: configurations can read any
// other with variables and env().
func directorEnvironment() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains(supervisor.OwnEnvironment, name)
	})
}
