package chaos

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// state is the state of a director's kernel.
type state struct {
	at       time.Time
	held     string // a 0 or 1 for each virtual address
	services int
	servers  int // with a nonzero weight
	forwards bool
}

// holds reports whether the director has a virtual address.
func (s state) holds(address int) bool { return address < len(s.held) && s.held[address] == '1' }

func (s state) holdsAny() bool { return strings.Contains(s.held, "1") }

// answer is the outcome of a request to a director's API.
type answer struct {
	began, ended time.Time
	ok           bool
}

// sights are the observations of one director's witness.
type sights struct {
	mu      sync.Mutex
	states  []state
	answers []answer
	stall   time.Duration
}

// take records one line of a witness.
func (s *sights) take(one lab.Sight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch one.Kind {
	case "state":
		if len(one.Fields) != 4 {
			return
		}
		services, _ := strconv.Atoi(one.Fields[1])
		servers, _ := strconv.Atoi(one.Fields[2])
		s.states = append(s.states, state{
			at: one.At, held: one.Fields[0], services: services, servers: servers, forwards: one.Fields[3] == "1",
		})
	case "stall":
		s.stall = max(s.stall, one.Length(0))
	case "api":
		s.answers = append(s.answers, answer{one.At, one.At.Add(one.Length(0)), len(one.Fields) > 1 && one.Fields[1] == "ok"})
	}
}

// off records that the director has no power.
func (s *sights) off(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.states = append(s.states, state{at: at})
}

// forget drops everything but the last state.
func (s *sights) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.states); n > 0 {
		s.states = slices.Clone(s.states[n-1:])
	}
	s.answers, s.stall = nil, 0
}

// last returns the current state.
func (s *sights) last() state {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.states) == 0 {
		return state{}
	}
	return s.states[len(s.states)-1]
}

func (s *sights) copy() ([]state, []answer, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.states), slices.Clone(s.answers), s.stall
}

// advertised is an advert on the wire.
type advertised struct {
	at   time.Time
	from int // index of the director
}

// rivals measures how long both directors advertised: a hand-over is sequential, the adverts of two masters alternate.
type rivals struct {
	mu      sync.Mutex
	adverts []advertised
}

func (r *rivals) heard(a advertised) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.adverts = append(r.adverts, a)
}

func (r *rivals) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.adverts = nil
}

func (r *rivals) longest() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return longestRivalry(r.adverts)
}

// rivalryEnds is how long a director may be silent and still count as master.
const rivalryEnds = 500 * time.Millisecond

// longestRivalry returns the longest time for which the directors' adverts alternated: from the first advert of the second
// director to the last advert of the one that stopped.
func longestRivalry(adverts []advertised) (longest time.Duration) {
	var last [2]time.Time
	var since time.Time
	for _, a := range adverts {
		other, own := last[1-a.from], last[a.from]
		taking := !own.IsZero() && other.After(own) && a.at.Sub(own) < rivalryEnds
		if taking {
			// The other director sent an advert between two adverts of this one.
			if since.IsZero() {
				since = other
			}
			longest = max(longest, a.at.Sub(since))
		} else if other.IsZero() || a.at.Sub(other) > rivalryEnds {
			since = time.Time{}
		}
		last[a.from] = a.at
	}
	return longest
}
