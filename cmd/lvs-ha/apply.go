package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
)

// defaultConfirm is the time to confirm a configuration: enough to log in again and look.
const defaultConfirm = time.Minute

func newApply() *cobra.Command {
	var runtimeDir string
	within := defaultConfirm
	var undo bool
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Reload the configuration, and go back to the old one unless it is confirmed",
		Long: `Reload the configuration of the running daemon, and go back to the one in force before unless it is confirmed: at the
prompt on a terminal, or with "lvs-ha confirm", best from a new session. The daemon goes back when the time is over,
even if the change cuts off this session or the daemon is restarted. The file is left as it is; "lvs-ha status" says that
it is not in force, and the next apply, reload or start loads it again.

Another apply in that time loads the file again and restarts the time; a reload loads the file again and does not restart
the time. After both, the daemon still goes back to the last confirmed configuration.

Exit status: 0 confirmed, 1 not confirmed or refused.`,
		Example: `  lvs-ha apply                 # one minute to confirm
  lvs-ha apply --confirm 10m
  lvs-ha confirm               # from another session: keep it
  lvs-ha apply --undo          # go back now`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client := newClient(supervisor.RuntimeDir(runtimeDir))
			if undo {
				if cmd.Flags().Changed("confirm") {
					return errors.New("--confirm has no meaning with --undo: remove one of them")
				}
				if _, err := client.Confirm(cmd.Context(), api.ConfirmRequest{Undo: true}); err != nil {
					return asRefusal(err)
				}
				fmt.Fprintln(cmd.OutOrStdout(), "the previous configuration is in force again; the file is not")
				return nil
			}
			c := confirmation{client: client, out: cmd.OutOrStdout()}
			if isTerminal(os.Stdin) {
				c.answers = lines(os.Stdin)
			}
			applied, err := client.Apply(cmd.Context(), api.ApplyRequest{Confirm: api.Duration(within)})
			if err != nil {
				return asRefusal(err)
			}
			printWarnings(cmd.ErrOrStderr(), applied.Warnings)
			return c.await(cmd.Context(), applied.ConfirmUntil)
		},
	}
	durationFlag(cmd, &within, "confirm", "the `time` to confirm the configuration, from 1s to 24h")
	cmd.Flags().BoolVar(&undo, "undo", false, "go back now instead of waiting for the confirmation")
	registerRuntimeDir(cmd, &runtimeDir)
	return cmd
}

func newConfirm() *cobra.Command {
	var runtimeDir string
	cmd := &cobra.Command{
		Use:   "confirm",
		Short: "Keep the configuration that \"lvs-ha apply\" has put in force",
		Long: `Keep the configuration that "lvs-ha apply" has put in force. Exit status: 0 confirmed, 1 none is waiting to be
confirmed.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client := newClient(supervisor.RuntimeDir(runtimeDir))
			if _, err := client.Confirm(cmd.Context(), api.ConfirmRequest{}); err != nil {
				return asRefusal(err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), "confirmed")
			return nil
		},
	}
	registerRuntimeDir(cmd, &runtimeDir)
	return cmd
}

// confirmation waits until an applied configuration is confirmed or reverted, here or elsewhere.
type confirmation struct {
	client  *api.Client
	out     io.Writer
	answers <-chan string // lines of the operator; nil if there is no terminal
}

const (
	confirmInterval = 250 * time.Millisecond // between requests for the outcome
	confirmPatience = 30 * time.Second       // how long a director may not answer after it should have gone back
)

func (c *confirmation) await(ctx context.Context, until time.Time) error {
	fmt.Fprintf(c.out, "in force; lvs-ha goes back at %s unless this is confirmed (lvs-ha confirm)\n", until.Local().Format(time.TimeOnly))
	c.ask()
	poll := time.NewTicker(confirmInterval)
	defer poll.Stop()
	for {
		select {
		case line, open := <-c.answers:
			if !open {
				c.answers = nil // the terminal is gone; the time goes on
				continue
			}
			c.answered(ctx, line)
		case <-poll.C:
			inForce, err := c.client.InForce(ctx)
			switch {
			case err != nil && time.Since(until) > confirmPatience:
				return asRefusal(err)
			case err != nil: // it may be restarting
			case !inForce.ConfirmUntil.IsZero():
				until = inForce.ConfirmUntil
			case inForce.Reverted != "":
				return &exitError{1, fmt.Errorf("%s: the previous configuration is in force again; the file is not", plain(inForce.Reverted))}
			default:
				fmt.Fprintln(c.out, "confirmed")
				return nil
			}
		}
	}
}

func (c *confirmation) ask() {
	if c.answers != nil {
		fmt.Fprint(c.out, "Keep this configuration? [y/n] ")
	}
}

// answered does what the operator has answered. The next poll shows the outcome.
func (c *confirmation) answered(ctx context.Context, line string) {
	var err error
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		_, err = c.client.Confirm(ctx, api.ConfirmRequest{})
	case "n", "no":
		_, err = c.client.Confirm(ctx, api.ConfirmRequest{Undo: true})
	default:
		c.ask()
	}
	if err != nil {
		fmt.Fprintln(c.out, plain(err.Error()))
		c.ask()
	}
}

// lines returns the lines of a terminal.
func lines(r io.Reader) <-chan string {
	all := make(chan string)
	go func() {
		defer close(all)
		for scanner := bufio.NewScanner(r); scanner.Scan(); {
			all <- scanner.Text()
		}
	}()
	return all
}
