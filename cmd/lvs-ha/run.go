package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/supervisor"
	"github.com/lvs-ha/lvs-ha/vrrp/speaker"
	"github.com/spf13/cobra"
)

const runLong = `Run the daemon: VRRP, health checks, IPVS and connection sync as the configuration says.

It stays in the foreground. SIGHUP or ` + "`lvs-ha reload`" + ` loads the configuration again; SIGTERM hands over to
the peer and stops. Without a vrrp block it is a single health-checking director; without a
virtual_service block it is a plain VRRP daemon.`

// How long a worker may hang. The peers wait for three adverts of the speaker; the director may wait for the kernel ten
// seconds at a time.
const (
	speakerPatience  = 5 * time.Second
	directorPatience = 30 * time.Second
)

func newRun() *cobra.Command {
	var conf configFlags
	var logs logFlags
	var runtimeDir string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon",
		Long:  runLong,
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			signal.Ignore(syscall.SIGHUP) // until the parent passes it on: the configuration is yet to be read
			log, flush, err := logs.open(os.Stderr)
			if err != nil {
				return err
			}
			defer flush()
			cfg, _, err := conf.load(onTerminal(os.Stderr))
			if err != nil {
				return err
			}
			if err := refuseWithout(cfg); err != nil {
				return err
			}
			dir := supervisor.RuntimeDir(runtimeDir)
			lock, err := dir.Lock()
			if err != nil {
				return err
			}
			socket, err := dir.ListenSpeaker()
			if err != nil {
				return err
			}
			defer socket.Close()
			tenures, err := speaker.NewTenures()
			if err != nil {
				return err
			}
			defer tenures.Close()
			go lock.Keep(cmd.Context(), log)
			binary, err := os.Executable()
			if err != nil {
				return fmt.Errorf("finding my own binary: %w", err)
			}
			directorArgs := append([]string{"director", "--runtime-dir", runtimeDir}, conf.args()...)
			parent := supervisor.Parent{
				Binary: binary,
				Workers: []supervisor.Worker{
					{Name: "speaker", Args: append([]string{"speaker"}, logs.args()...), Files: []*os.File{socket.Listener, tenures}, Spare: true, Patience: speakerPatience},
					{Name: "director", Args: append(directorArgs, logs.args()...), Files: []*os.File{socket.Address}, Patience: directorPatience},
				},
				Reload: "director",
				Logger: log,
			}
			err = parent.Run(cmd.Context())
			if _, refused := errors.AsType[*supervisor.RefusedError](err); refused {
				return &exitError{1, err}
			}
			return err
		},
	}
	conf.register(cmd)
	logs.register(cmd)
	registerRuntimeDir(cmd, &runtimeDir)
	return cmd
}
