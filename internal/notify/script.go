package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/script"
)

// scripts runs the commands of an instance: first the one for the new state, then the one for all states.
type scripts struct {
	subject
	config config.Notify
	start  func(ctx context.Context, c script.Command) script.Result
	log    *slog.Logger
}

func (*scripts) most() int           { return 1 }
func (*scripts) pace() time.Duration { return 0 }
func (*scripts) close()              {}

func (s *scripts) wants(m Message) bool {
	return m.Lost == 0 && m.subject() == s.subject && len(s.commands(m)) > 0
}

// byState returns the commands for single states.
func (s *scripts) byState() map[string][]string {
	return map[string][]string{
		stateMaster: s.config.Master, stateBackup: s.config.Backup, stateFault: s.config.Fault, stateStop: s.config.Stop,
		stateUp: s.config.Up, stateDown: s.config.Down,
	}
}

func (s *scripts) commands(m Message) []script.Command {
	return slices.Concat(s.command(s.byState()[m.State]), s.command(s.config.All, m.arguments()...))
}

// all returns the commands that run for every state.
func (s *scripts) all() (list []script.Command) {
	for _, args := range s.byState() {
		list = append(list, s.command(args)...)
	}
	return append(list, s.command(s.config.All)...)
}

// command returns the command, or none if there are no words.
func (s *scripts) command(words []string, arguments ...string) []script.Command {
	if len(words) == 0 {
		return nil
	}
	return []script.Command{{
		Args: slices.Concat(words, arguments), Shell: s.config.Shell, User: s.config.User, Group: s.config.Group, Timeout: s.config.Timeout,
	}}
}

func (s *scripts) deliver(ctx context.Context, batch []Message) error {
	var errs []error
	for _, c := range s.commands(batch[0]) {
		r := s.start(ctx, c)
		s.log.Debug("notify script ended", "instance", s.name, "command", c.String(), "result", r.Reason(), "duration", r.Duration.String())
		if !r.OK() {
			text := fmt.Sprintf("%s: %s", c, r.Reason())
			if quote := r.Quote(); quote != "" {
				text += ": " + quote
			}
			errs = append(errs, errors.New(text))
		}
	}
	return errors.Join(errs...)
}
