package director

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/events"
	"github.com/lvs-ha/lvs-ha/internal/pool"
	"github.com/lvs-ha/lvs-ha/internal/statefile"
	"github.com/lvs-ha/lvs-ha/internal/wallclock"
)

// unconfirmed is a configuration that an operator has applied and must confirm, or one that was not confirmed. The zero value is
// neither.
type unconfirmed struct {
	Until    time.Time     `json:"until,omitzero"` // when the director goes back; zero if nothing waits to be confirmed
	Within   time.Duration `json:"within,omitempty"`
	Reverted string        `json:"reverted,omitempty"` // why Base is in force, although the file has another configuration
	Base     memory        `json:"base,omitzero"`      // with the last confirmed configuration
}

// What events say about configurations that must be confirmed.
const (
	toUnconfirmed = "unconfirmed"
	toConfirmed   = "confirmed"
	toReverted    = "reverted"
)

func (u unconfirmed) waits() bool { return !u.Until.IsZero() }

// unconfirmedFormat is the format of the file with the configuration to go back to.
var unconfirmedFormat = statefile.Format{Kind: "unconfirmed", Version: 1, Limit: 256 << 20}

func unconfirmedFile(stateFile string) string {
	return filepath.Join(filepath.Dir(stateFile), "unconfirmed.json")
}

// baseTimeout is how long an operator waits until the configuration to go back to is saved. One with 40,000 real servers has 20 MB.
const baseTimeout = 10 * time.Second

// Apply is a Reload of a configuration that must be confirmed: the director goes back to the last confirmed one when the time is
// over, whatever became of the caller. Another Apply in that time starts the time again.
func (d *Director) Apply(ctx context.Context, request api.ApplyRequest) (api.Reloaded, error) {
	if err := request.Check(); err != nil {
		return api.Reloaded{}, &api.Error{Status: http.StatusBadRequest, Err: err}
	}
	return d.reload(ctx, func() error { return d.expectConfirmation(request) })
}

// expectConfirmation saves the configuration in force before it is replaced, so that also a director that is killed at any moment
// goes back to it.
func (d *Director) expectConfirmation(request api.ApplyRequest) error {
	before, now := d.unconfirmed, time.Now()
	base := before.Base
	if !before.waits() {
		base = memory{Config: d.declared}
	}
	within := time.Duration(request.Confirm)
	d.setUnconfirmed(unconfirmed{Until: now.Add(within), Within: within, Base: base})
	var err error
	d.await(func() { err = d.unconfirmedFile.waitFor(baseTimeout) })
	if err != nil {
		d.setUnconfirmed(before)
		return &api.Error{Status: http.StatusServiceUnavailable, Err: fmt.Errorf(
			"nothing was changed: cannot save the configuration to go back to: %w (lvs-ha reload does not need that)", err)}
	}
	d.Logger.Info("configuration must be confirmed", "path", d.ConfigPath, "within", within, "by", request.By)
	d.events.Add(events.Event{Time: now, Kind: events.Config, Subject: d.ConfigPath, To: toUnconfirmed, Reason: "must be confirmed within " + within.String(), By: request.By})
	return nil
}

func (d *Director) setUnconfirmed(u unconfirmed) {
	d.unconfirmed = u
	d.unconfirmedFile.set(func() ([]byte, error) { return unconfirmedFormat.Encode(u) })
	if u.waits() {
		d.unconfirmedOver.Reset(time.Until(u.Until))
	}
}

// Confirm keeps the configuration that waits for it, or goes back to the one before now.
func (d *Director) Confirm(ctx context.Context, request api.ConfirmRequest) (api.Config, error) {
	err := d.do(ctx, func() error {
		switch {
		case !d.unconfirmed.waits():
			text := "no configuration waits to be confirmed"
			if d.unconfirmed.Reverted != "" {
				text += ": the last one was " + d.unconfirmed.Reverted + "; run lvs-ha apply again"
			}
			return &api.Error{Status: http.StatusConflict, Err: errors.New(text)}
		case request.Undo:
			d.goBack(ctx, "undone", request.By)
			return nil
		}
		d.setUnconfirmed(unconfirmed{})
		d.Logger.Info("configuration confirmed", "path", d.ConfigPath, "by", request.By)
		d.events.Add(events.Event{Time: time.Now(), Kind: events.Config, Subject: d.ConfigPath, From: toUnconfirmed, To: toConfirmed, By: request.By})
		return nil
	})
	if err != nil {
		return api.Config{}, err
	}
	return d.InForce(ctx)
}

// InForce returns which configuration is in force, and whether it must be confirmed.
func (d *Director) InForce(ctx context.Context) (cfg api.Config, err error) {
	err = d.view(ctx, func() { cfg = d.inForce(time.Now()) })
	return cfg, err
}

func (d *Director) inForce(now time.Time) api.Config {
	cfg := api.Config{Path: d.ConfigPath, Loaded: wallclock.Export(d.loaded, now), Digest: d.cfg.Digest, Read: wallclock.Export(d.read, now), ConfirmUntil: d.unconfirmed.Until, Reverted: d.unconfirmed.Reverted}
	cfg.StartError, cfg.ReloadError = reasonOf(d.startErr), reasonOf(d.reloadErr)
	return cfg
}

// revertUnconfirmed goes back if the time to confirm is over.
func (d *Director) revertUnconfirmed(ctx context.Context) {
	if u := d.unconfirmed; u.waits() && time.Until(u.Until) <= 0 {
		d.goBack(ctx, u.late(), "")
	}
}

// late is why a configuration that was not confirmed in time is no longer in force.
func (u unconfirmed) late() string { return "not confirmed within " + u.Within.String() }

// goBack brings the last confirmed configuration into force again.
func (d *Director) goBack(ctx context.Context, reason, by string) {
	base := d.unconfirmed.Base.Config
	d.noteReverted(reason, by)
	expanded, _ := pool.ExpandAll(base, d.lists(), time.Now())
	changes := changesBetween(d.cfg, expanded)
	d.startErr, d.reloadErr = nil, nil
	d.load(ctx, base)
	logChanges(d.Logger, changes)
	go d.release()
}

func (d *Director) noteReverted(reason, by string) {
	d.setUnconfirmed(unconfirmed{Reverted: reason, Base: d.unconfirmed.Base})
	d.Logger.Warn("configuration not confirmed; the previous one is in force again, the file is not", "path", d.ConfigPath, "reason", reason, "by", by)
	d.events.Add(events.Event{Time: time.Now(), Kind: events.Config, Subject: d.ConfigPath, From: toUnconfirmed, To: toReverted, Reason: reason, By: by})
}

// recallUnconfirmed returns the configuration to start with instead of the file, or nil: the last confirmed one, if the time to
// confirm ended while no director ran, or if a lost director had gone back. A start by an operator, after that, loads the file.
func (d *Director) recallUnconfirmed() *config.Config {
	u, err := recallBy[unconfirmed](unconfirmedFormat.ReadOrSetAside, unconfirmedFile(d.StateFile))
	switch {
	case err != nil:
	case !u.waits() && u.Reverted == "":
		return nil
	case !u.waits() && !d.Restarted:
		d.setUnconfirmed(unconfirmed{})
		return nil
	default:
		err = u.Base.unusable
	}
	if base := u.Base.Config; err == nil && base != nil {
		err = usable(base)
	}
	if err != nil || u.Base.Config == nil {
		d.Logger.Error("cannot go back to the configuration before the last that was applied", "error", err)
		d.setUnconfirmed(unconfirmed{})
		return nil
	}
	left := min(time.Until(u.Until), u.Within) // less than the time to confirm also if the clock was set back
	switch {
	case !u.waits():
		d.setUnconfirmed(u)
	case left <= 0:
		d.unconfirmed = u
		d.noteReverted(u.late(), "")
	default:
		u.Until = time.Now().Add(left)
		d.setUnconfirmed(u)
		d.Logger.Info("configuration must be confirmed", "path", d.ConfigPath, "within", left)
		return nil
	}
	return u.Base.Config
}
