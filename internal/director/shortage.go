package director

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/lvs-ha/lvs-ha/healthcheck"
)

// shortages are the checks that could not run because this host lacks descriptors, local ports or memory. Their servers
// keep their state, so the shortage is reported as a problem.
type shortages struct {
	details map[string]string // by key of the check
	counts  map[string]int    // by detail
}

func newShortages() shortages { return shortages{map[string]string{}, map[string]int{}} }

// note records a result. A result that is ignored because of a scheduler stall is not a shortage.
func (s *shortages) note(key string, e healthcheck.Event) {
	s.drop(key)
	if e.Result.Local && !e.Stalled {
		s.details[key] = e.Result.Detail
		s.counts[e.Result.Detail]++
	}
}

// drop removes a check.
func (s *shortages) drop(key string) {
	detail, short := s.details[key]
	if !short {
		return
	}
	delete(s.details, key)
	if s.counts[detail]--; s.counts[detail] == 0 {
		delete(s.counts, detail)
	}
}

// problem names the missing resources, but not the number of checks, which changes constantly.
func (s *shortages) problem() error {
	if len(s.counts) == 0 {
		return nil
	}
	var lacks []string
	for _, detail := range slices.Sorted(maps.Keys(s.counts)) {
		lacks = append(lacks, strings.TrimPrefix(detail, "not checked: "))
	}
	return errors.New("some health checks cannot run; their servers keep their state: " + strings.Join(lacks, "; "))
}
