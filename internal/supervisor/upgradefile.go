package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/statefile"
)

// Step is how far an upgrade is.
type Step string

// The steps of an upgrade. The last four end it.
const (
	StepNone     Step = ""
	StepChecking Step = "checking"
	StepStarting Step = "starting"
	StepDone     Step = "done"
	StepRefused  Step = "refused"  // nothing was changed
	StepPutBack  Step = "put back" // the version before is in force again
	StepFailed   Step = "failed"   // the new version does not work, and the version before cannot be put back
)

// Upgrade is the latest change of a running lvs-ha to another version, and who can do the next one.
type Upgrade struct {
	PID      int    // of the parent
	Path     string // the program that the next upgrade changes over to
	Version  string // of the parent
	Sequence int    // of upgrades of this process
	Step     Step
	From, To string // versions
	Error    string // why it was refused or put back
	Started  time.Time
	Changed  time.Time // the step
}

// Running reports whether the upgrade has begun and not ended.
func (u Upgrade) Running() bool { return u.Step == StepChecking || u.Step == StepStarting }

var upgradeFormat = statefile.Format{Kind: "upgrade", Version: 1, Limit: 64 << 10}

func (d RuntimeDir) upgradeFile() string { return filepath.Join(string(d), "upgrade.json") }

// WriteUpgrade records an upgrade.
func (d RuntimeDir) WriteUpgrade(u Upgrade) error { return upgradeFormat.Write(d.upgradeFile(), u) }

// ReadUpgrade returns the latest upgrade.
func (d RuntimeDir) ReadUpgrade() (u Upgrade, err error) {
	err = upgradeFormat.Read(d.upgradeFile(), &u)
	return u, err
}

// RequestUpgrade makes the parent accept an UpgradeSignal until the file is closed. Only one process can request an upgrade at
// a time.
func (d RuntimeDir) RequestUpgrade() (*os.File, error) {
	f, err := d.openRequest(os.O_CREATE)
	if err != nil {
		return nil, fmt.Errorf("requesting an upgrade: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.New("another `lvs-ha upgrade` is waiting for its result")
	}
	return nil, fmt.Errorf("requesting an upgrade: locking %s: %w", f.Name(), err)
}

// UpgradeRequested reports whether a process is requesting an upgrade. A lock says so, since it ends with the process.
func (d RuntimeDir) UpgradeRequested() bool {
	f, err := d.openRequest(0)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

func (d RuntimeDir) openRequest(flags int) (*os.File, error) {
	return os.OpenFile(filepath.Join(string(d), "upgrade.lock"), os.O_RDWR|syscall.O_NOFOLLOW|flags, 0o600)
}
