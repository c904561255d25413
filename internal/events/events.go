// Package events keeps the latest events of a director: what changed, when and why. Readers do not stop the director.
package events

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Kept is the number of events that a Log keeps.
const Kept = 1000

// Kind is what an event is about.
type Kind string

// The kinds. A subject is the name of an instance, of a service, of a part of lvs-ha, or SERVICE/SERVER.
const (
	VRRP     Kind = "vrrp"     // an instance changed its state
	Server   Kind = "server"   // the checks of a real server changed its state
	Service  Kind = "service"  // a service reached its quorum, or lost it
	Override Kind = "override" // an operator gave or ended an order for a real server
	Failover Kind = "failover" // an operator requested or undid a failover
	Config   Kind = "config"   // a configuration came into force, was refused, must be confirmed, was confirmed or reverted
	Problem  Kind = "problem"  // a part went out of service, or came back
	Discover Kind = "discover" // a source of real servers changed its list, failed or works again
	Track    Kind = "track"    // the result of a script, file, process or service that instances track
	Conflict Kind = "conflict" // another host uses an instance's addresses or router ID, or no longer
	Lost     Kind = "lost"     // events that the director never received
)

// Kinds are all kinds.
func Kinds() []Kind {
	return []Kind{VRRP, Server, Service, Override, Failover, Config, Problem, Discover, Track, Conflict, Lost}
}

// Event is a change.
type Event struct {
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`
	Kind     Kind      `json:"kind"`
	Subject  string    `json:"subject"`
	From     string    `json:"from,omitempty"`
	To       string    `json:"to,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	By       string    `json:"by,omitempty"` // the operator
}

// Saved is a log as it is stored.
type Saved struct {
	Series string  `json:"series"` // the numbers are unique within it
	Events []Event `json:"events"`
}

// Log has the latest events. It is safe for concurrent use.
type Log struct {
	mu      sync.Mutex
	series  string
	next    uint64
	events  []Event // the latest, oldest first
	added   chan struct{}
	unsaved bool
}

// New returns an empty log.
func New() *Log {
	return &Log{series: strings.ToLower(rand.Text()[:8]), next: 1, added: make(chan struct{})}
}

// Continue replaces an empty log by a saved one, unless that is empty.
func (l *Log) Continue(saved Saved) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(saved.Events); n > 0 {
		l.series, l.events, l.next = saved.Series, saved.Events, saved.Events[n-1].Sequence+1
	}
}

// Add adds an event and gives it its number.
func (l *Log) Add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Sequence = l.next
	l.next++
	if len(l.events) == 2*Kept {
		l.events = slices.Clone(l.events[Kept:]) // readers may still use the old list
	}
	l.events = append(l.events, e)
	l.unsaved = true
	close(l.added)
	l.added = make(chan struct{})
}

// After returns the events that follow the one with the given ID, oldest first, and a channel that is closed when there is
// another. An empty or unknown ID returns all.
func (l *Log) After(id string) (list []Event, added <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list = l.events[max(0, len(l.events)-Kept):]
	series, number, _ := strings.Cut(id, "-")
	if n, err := strconv.ParseUint(number, 10, 64); err == nil && series == l.series {
		first, _ := slices.BinarySearchFunc(list, n+1, func(e Event, n uint64) int { return int(int64(e.Sequence - n)) })
		list = list[first:]
	}
	return slices.Clip(list), l.added
}

// ID returns the ID of an event, which is unique over restarts of the director.
func (l *Log) ID(e Event) string { return fmt.Sprintf("%s-%d", l.series, e.Sequence) }

// Unsaved returns the log to be stored, if events were added since the last call.
func (l *Log) Unsaved() (saved Saved, any bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	any, l.unsaved = l.unsaved, false
	return Saved{Series: l.series, Events: slices.Clip(l.events[max(0, len(l.events)-Kept):])}, any
}
