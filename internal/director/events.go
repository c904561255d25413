package director

import (
	"path/filepath"

	"github.com/lvs-ha/lvs-ha/internal/statefile"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// positionFormat is that of the file with the last transition that was passed to the subscribers. It is a file of its own,
// since a large configuration in the state file would be written with each transition. The numbers end with the kernel.
var positionFormat = statefile.Format{Kind: "transitions", Version: 1, Limit: 4096}

func positionFile(stateFile string) string {
	return filepath.Join(filepath.Dir(stateFile), "transitions.json")
}

// recallPosition reads which transitions a former process has passed on.
func (d *Director) recallPosition() {
	var err error
	if d.passed, err = recallBy[vrrp.Position](positionFormat.ReadOrSetAside, positionFile(d.StateFile)); err != nil {
		d.Logger.Warn("state file ignored; transitions may be reported again", "error", err)
	}
}

// record adds transitions to the history, and passes to the subscribers those that no former process has passed on.
func (d *Director) record(list []vrrp.Transition) {
	if len(list) == 0 {
		return
	}
	for _, e := range d.history.Add(list, d.passed) {
		if e.Series == d.passed.Series && e.Sequence <= d.passed.Sequence {
			continue
		}
		d.passed = e.Position()
		if e.Lost > 0 {
			d.Logger.Warn("transitions lost", "count", e.Lost)
		}
		for _, subscriber := range d.Subscribers {
			subscriber(e)
		}
	}
	passed := d.passed
	d.positionFile.set(func() ([]byte, error) { return positionFormat.Encode(passed) })
}
