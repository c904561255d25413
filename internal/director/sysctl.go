package director

import (
	"context"
	"errors"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
)

// Sysctls sets kernel parameters, and restores those that are no longer wanted.
type Sysctls interface {
	Apply(settings []sysctl.Setting) ([]sysctl.Change, error)
}

// manageSysctls sets the kernel parameters that the configuration needs, if it enables that.
func (d *Director) manageSysctls() {
	var settings []sysctl.Setting
	if d.cfg.Sysctl.Manage {
		nat := d.cfg.NAT()
		settings = sysctl.ForNAT(nat.IPv4, nat.IPv6, nat.OneArmed)
	}
	_ = d.setSysctls(settings) // a failure is reported as a problem and retried
}

// restoreSysctls restores the parameters at stop.
func (d *Director) restoreSysctls() {
	if leavesTraffic(d.cfg) {
		d.Logger.Info("kernel parameters not restored: the IPVS table stays in use")
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = retryTransient(ctx, func() error { return d.setSysctls(nil) }) // logged and reported as a problem
}

// leavesTraffic reports whether forwarding continues after this process stops: the table stays, and no virtual address
// is removed with the speaker.
func leavesTraffic(cfg *config.Config) bool {
	return cfg.Sysctl.Manage && cfg.Director.OnStop == "leave" && len(cfg.VRRP) == 0 && len(cfg.Services) > 0
}

func (d *Director) setSysctls(settings []sysctl.Setting) error {
	if d.Sysctls == nil {
		return nil
	}
	var changes []sysctl.Change
	var err error
	d.await(func() { changes, err = d.applySysctls(settings) })
	for _, c := range changes {
		if c.Kept {
			d.Logger.Warn("kernel parameter was changed by another program; not restored", "key", c.Key, "value", c.From)
			continue
		}
		d.Logger.Info("kernel parameter set", "key", c.Key, "from", c.From, "to", c.To, "reason", c.Why)
	}
	d.recordResult(partSysctls, touched{sysctls: true}, err)
	return err
}

var errSlowSysctls = errors.New("setting kernel parameters: the file system of the runtime directory does not respond")

// applySysctls applies settings, with a time limit for the file system that stores the previous values. After a timeout,
// further calls fail immediately until it responds.
func (d *Director) applySysctls(settings []sysctl.Setting) ([]sysctl.Change, error) {
	select {
	case d.sysctlTurn <- struct{}{}:
	default:
		return nil, errSlowSysctls
	}
	type result struct {
		changes []sysctl.Change
		err     error
	}
	results := make(chan result, 1)
	go func() {
		changes, err := d.Sysctls.Apply(settings)
		<-d.sysctlTurn
		results <- result{changes, err}
	}()
	select {
	case r := <-results:
		return r.changes, r.err
	case <-time.After(saveTimeout):
		return nil, errSlowSysctls
	}
}
