package director

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/healthcheck"
)

// shortages are the checks that could not run because this host lacks descriptors, local ports or memory, and those that run
// late because it lacks CPU. Their servers keep their state, so the shortage is reported as a problem.
type shortages struct {
	details map[string]string // by key of the check
	counts  map[string]int    // by detail
	late    map[string]bool   // by key
	behind  bool              // many checks were late, and some still are
}

func newShortages() shortages {
	return shortages{details: map[string]string{}, counts: map[string]int{}, late: map[string]bool{}}
}

// manyLate is the part of all checks that makes their lateness a problem.
const manyLate = 4

// note records a result. A result that is ignored because of a scheduler stall is not a shortage.
func (s *shortages) note(key string, e healthcheck.Event) {
	s.drop(key)
	if e.Late > max(e.Target.Spec.Interval/2, 100*time.Millisecond) {
		s.late[key] = true
	}
	if e.Result.Local && !e.Stalled {
		s.details[key] = e.Result.Detail
		s.counts[e.Result.Detail]++
	}
}

// drop removes a check.
func (s *shortages) drop(key string) {
	delete(s.late, key)
	detail, short := s.details[key]
	if !short {
		return
	}
	delete(s.details, key)
	if s.counts[detail]--; s.counts[detail] == 0 {
		delete(s.counts, detail)
	}
}

// problem names the missing resources, but not the number of checks, which changes constantly. checks is that of all.
func (s *shortages) problem(checks int) error {
	s.behind = len(s.late) > 0 && (s.behind || len(s.late)*manyLate >= checks)
	var problems []error
	if s.behind {
		problems = append(problems, errors.New("health checks run late, so that failures are found late: "+
			"this host cannot run all of them at their intervals; raise the intervals, or give it more CPU"))
	}
	if err := s.lack(); err != nil {
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

func (s *shortages) lack() error {
	if len(s.counts) == 0 {
		return nil
	}
	var lacks []string
	for _, detail := range slices.Sorted(maps.Keys(s.counts)) {
		lacks = append(lacks, strings.TrimPrefix(detail, "not checked: "))
	}
	return errors.New("some health checks cannot run; their servers keep their state: " + strings.Join(lacks, "; "))
}
