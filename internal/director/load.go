package director

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/events"
	"github.com/lvs-ha/lvs-ha/internal/pool"
	"github.com/lvs-ha/lvs-ha/internal/resident"
	"github.com/lvs-ha/lvs-ha/internal/script"
)

// start loads the first configuration: the file or, if this director replaces one that crashed and the file is invalid, the
// last good configuration.
func (d *Director) start() error {
	var err error
	if d.memory, err = recallUsable(d.StateFile); errors.Is(err, errOtherVersion) {
		d.Logger.Info("configuration stored by another version; reading the file")
	} else if err != nil {
		d.Logger.Warn("state file ignored", "error", err)
	}
	d.recallEvents()
	d.recallProgress()
	d.recallFailovers()
	d.recallOverrides()
	d.recallDiscovery()
	cfg, warnings, err := d.Load()
	d.read = time.Now()
	if confirmed := d.recallUnconfirmed(); confirmed != nil {
		d.declared, d.cfg = confirmed, confirmed
		return nil
	}
	LogFindings(d.Logger, warnings, true)
	if err == nil && isEmpty(cfg) {
		d.Logger.Warn("nothing to do: the configuration has no vrrp and no virtual_service block", "path", d.ConfigPath)
		if last := d.memory.Config; d.Restarted && last != nil && !isEmpty(last) {
			err = errEmptied
		}
	}
	if err != nil {
		if !d.Restarted || d.memory.Config == nil {
			return &ConfigError{err}
		}
		d.logRefused("configuration refused at restart; using the last good one", err)
		d.events.Add(events.Event{Time: time.Now(), Kind: events.Config, Subject: d.ConfigPath, To: "refused", Reason: reasonOf(err)})
		cfg, d.startErr = d.memory.Config, err
	}
	d.declared, d.cfg = cfg, cfg
	return nil
}

// errEmptied rejects a file that would remove everything and may have been truncated, for example because the disk was full.
var errEmptied = errors.New("the configuration no longer has any vrrp or virtual_service block; its file may be truncated. " +
	"To remove everything, stop lvs-ha")

// isEmpty reports whether a configuration has neither instances nor services.
func isEmpty(cfg *config.Config) bool { return len(cfg.VRRP)+len(cfg.Services) == 0 }

// ConfigError means that a configuration was rejected.
type ConfigError struct{ Err error }

func (e *ConfigError) Error() string { return e.Err.Error() }
func (e *ConfigError) Unwrap() error { return e.Err }

// load applies a configuration. Unchanged objects are not touched.
func (d *Director) load(ctx context.Context, cfg *config.Config) {
	var old *config.Config
	if d.ready {
		old = d.cfg
	}
	d.declared, d.loaded = cfg, time.Now()
	d.loadSources()
	d.instances = map[string]bool{}
	for _, v := range cfg.VRRP {
		d.instances[v.Name] = true
	}
	for name := range d.vrrp {
		if !d.instances[name] {
			delete(d.vrrp, name)
		}
	}
	d.history.Forget(func(instance string) bool { return d.instances[instance] })
	d.forgetServices()
	d.adopting, d.settling = true, true
	d.suspended = suspendedServices(d.cfg, d.vrrp)
	d.setServers(old)
	d.loadTracks(old)
	d.notifier.Update(cfg)
	if d.Configured != nil {
		d.Configured(cfg)
	}
	d.updateSpeaker()
	d.touched.everything()
	earlier := d.earlier()
	d.events.Add(events.Event{Time: d.loaded, Kind: events.Config, Subject: d.ConfigPath, To: "in force", Reason: earlier})
	about := []any{"path", d.ConfigPath, "node", cfg.Node, "vrrp_instances", len(cfg.VRRP), "services", len(cfg.Services), "checks", d.checks.Len()}
	if earlier != "" {
		about = append(about, "reason", earlier)
	}
	d.Logger.Info("configuration in force", about...)
}

// earlier says that an earlier configuration is in force instead of the file; empty if the file is.
func (d *Director) earlier() string {
	if d.unconfirmed.Reverted != "" || d.startErr != nil {
		return "the earlier configuration; the file is not in force"
	}
	return ""
}

// setServers applies the real servers of the configuration in force to everything but the kernel; old is the previous one or nil.
func (d *Director) setServers(old *config.Config) {
	checks, targets := pool.NewResults(d.cfg.Services, d.suspended, d.checks)
	d.checks.Lost(checks, d.lacking.drop)
	d.checks = checks
	d.keepNotified(old)
	d.dropOverrides()
	if err := d.checker.Update(targets); err != nil {
		d.Logger.Error("cannot start the health checks", "error", err)
	}
}

// dropAdopted drops the adopted servers once every check has a result, and returns the memory used by the first round of
// checks to the system.
func (d *Director) dropAdopted() {
	if !d.settling && d.adopted == nil {
		return
	}
	if !d.checks.Complete() {
		return
	}
	if !d.adopting {
		d.adopted = d.stillAdopted()
	}
	if d.settling {
		d.settling = false
		go d.release()
	}
}

// Reload loads the configuration file again, and returns warnings about it. An invalid file changes nothing; the error has
// its diagnostics. Reloads are serialized, so that the latest file contents are used.
func (d *Director) Reload(ctx context.Context) (api.Reloaded, error) {
	return d.reload(ctx, func() error { return nil })
}

// reload is Reload. Between the checks of the file and the first change it calls prepare, whose error refuses the reload.
func (d *Director) reload(ctx context.Context, prepare func() error) (api.Reloaded, error) {
	select {
	case d.reloading <- struct{}{}:
		defer func() { <-d.reloading }()
	case <-ctx.Done():
		return api.Reloaded{}, fmt.Errorf("waiting for another reload: %w", context.Cause(ctx))
	}
	cfg, warnings, err := d.Load()
	var inForce *config.Config
	var lists pool.Lists
	if err := d.view(ctx, func() { inForce, lists = d.cfg, d.lists() }); err != nil {
		return api.Reloaded{}, err
	}
	if err == nil && isEmpty(cfg) && !isEmpty(inForce) {
		err = errEmptied
	}
	var changes []change
	if err == nil {
		expanded, _ := pool.ExpandAll(cfg, lists, time.Now())
		changes = changesBetween(inForce, expanded)
		warnings = append(warnings, d.refusedCommands(ctx, cfg)...)
	}
	var until time.Time
	err = d.do(ctx, func() error {
		if err == nil {
			if err := prepare(); err != nil {
				return err
			}
		}
		d.startErr, d.reloadErr, d.read = nil, err, time.Now()
		if err != nil {
			d.logRefused("reload refused; configuration unchanged", err)
			d.events.Add(events.Event{Time: time.Now(), Kind: events.Config, Subject: d.ConfigPath, To: "refused", Reason: reasonOf(err)})
			return refusal(err)
		}
		LogFindings(d.Logger, warnings, true)
		if until = d.unconfirmed.Until; d.unconfirmed.Reverted != "" {
			d.setUnconfirmed(unconfirmed{}) // the file is in force again
		}
		d.load(ctx, cfg)
		logChanges(d.Logger, changes)
		go d.release()
		return nil
	})
	if err != nil {
		return api.Reloaded{}, err
	}
	return api.Reloaded{Warnings: api.FindingsOf(warnings), ConfirmUntil: until}, nil
}

// commandPatience is how long a reload waits for the file systems of commands.
const commandPatience = 2 * time.Second

// maxCommandWarnings limits the warnings about commands: usually, all have the same cause.
const maxCommandWarnings = 20

// refusedCommands returns a warning for each command that this host cannot run. An unresponsive file system is not an answer:
// the commands report it when they run.
func (d *Director) refusedCommands(ctx context.Context, cfg *config.Config) []config.Finding {
	ctx, cancel := context.WithTimeout(ctx, commandPatience)
	defer cancel()
	done := make(chan []config.Finding, 1)
	go func() {
		var list []config.Finding
		for _, c := range cfg.Commands() {
			if len(list) == maxCommandWarnings {
				break
			}
			if err := d.CheckScript(script.Command{Args: c.Args, Shell: c.Shell, User: c.User, Group: c.Group, Timeout: c.Timeout}); err != nil {
				list = append(list, config.Finding{
					Warning: true, Summary: c.Block + " cannot be run", Detail: fmt.Sprintf("%v: %s. To do: %s.", err, c.Consequence, config.CommandRemedy),
				})
			}
		}
		done <- list
	}()
	select {
	case list := <-done:
		return list
	case <-ctx.Done():
		return nil
	}
}

// release returns the memory used by loading to the system, which is several times that of a configuration.
func (d *Director) release() {
	_ = d.stateFile.wait() // encoding the file needs as much memory
	resident.Release()
}
