package director

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/lvs-ha/lvs-ha/healthcheck"
)

// shortages are the checks whose last result says nothing about their servers, since this machine lacks what it takes:
// descriptors, local ports, memory. Such servers keep their state, so somebody must be told.
type shortages struct {
	details map[string]string // of a check, by its key
	counts  map[string]int    // of a detail
}

func newShortages() shortages { return shortages{map[string]string{}, map[string]int{}} }

// note takes a result into account. One that is passed over since the machine stood still is no lack of anything.
func (s *shortages) note(key string, e healthcheck.Event) {
	s.drop(key)
	if e.Result.Local && !e.Stalled {
		s.details[key] = e.Result.Detail
		s.counts[e.Result.Detail]++
	}
}

// drop forgets a check.
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

// problem says what is lacking. It does not say how many checks lack it: that changes all the time.
func (s *shortages) problem() error {
	if len(s.counts) == 0 {
		return nil
	}
	var lacks []string
	for _, detail := range slices.Sorted(maps.Keys(s.counts)) {
		lacks = append(lacks, strings.TrimPrefix(detail, "not checked: "))
	}
	return errors.New("some checks cannot be carried out, and their servers keep their state: " + strings.Join(lacks, "; "))
}
