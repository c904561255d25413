package director

import (
	"path/filepath"

	"github.com/lvs-ha/lvs-ha/internal/notify"
	"github.com/lvs-ha/lvs-ha/internal/statefile"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// positionFormat is the format of the file with the last transition that was passed on. It is a separate file, since a state
// file with a large configuration would be rewritten for each transition. The numbers do not survive a reboot.
var positionFormat = statefile.Format{Kind: "transitions", Version: 1, Limit: 4096}

func positionFile(stateFile string) string {
	return filepath.Join(filepath.Dir(stateFile), "transitions.json")
}

// progressFormat is the format of the file with the progress of each receiver of notifications.
var progressFormat = statefile.Format{Kind: "notify", Version: 1, Limit: 1 << 20}

func notifyFile(stateFile string) string {
	return filepath.Join(filepath.Dir(stateFile), "notify.json")
}

// recallProgress reads which transitions a previous process has passed on, and to which receivers.
func (d *Director) recallProgress() {
	warn := func(err error) {
		if err != nil {
			d.Logger.Warn("state file ignored; transitions may be notified again", "error", err)
		}
	}
	var err error
	d.passed, err = recallBy[vrrp.Position](positionFormat.ReadOrSetAside, positionFile(d.StateFile))
	warn(err)
	former, err := recallBy[notify.Progress](progressFormat.ReadOrSetAside, notifyFile(d.StateFile))
	warn(err)
	d.notifier = notify.New(notify.Options{
		Run: d.RunScript, Check: d.CheckScript, Former: former, Started: d.started, Logger: d.Logger,
		Save: func(p notify.Progress) {
			d.notifyFile.set(func() ([]byte, error) { return progressFormat.Encode(p) })
		},
	})
}

// record adds transitions to the history and passes them on.
func (d *Director) record(list []vrrp.Transition) {
	if len(list) == 0 {
		return
	}
	for _, e := range d.history.Add(list, d.passed) {
		past := e.Series == d.passed.Series && e.Sequence <= d.passed.Sequence // a previous process passed it on
		if past && e.Time.After(d.started) {
			d.Logger.Warn("state file ignored: its position is ahead of the speaker's", "path", positionFile(d.StateFile))
			past = false
		}
		d.notifier.Event(e, past)
		if past {
			continue
		}
		d.passed = e.Position()
		if e.Lost > 0 {
			d.Logger.Warn("transitions lost", "count", e.Lost)
		}
	}
	passed := d.passed
	d.positionFile.set(func() ([]byte, error) { return positionFormat.Encode(passed) })
}
