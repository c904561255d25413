package director

import (
	"slices"
	"sync"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/discovery"
	"github.com/lvs-ha/lvs-ha/internal/track"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// inbox collects the reports of checks, tracks and the speaker until the director processes them: the latest report of each
// target, track and instance, and all transitions. Adding a report never blocks, so a slow kernel delays neither checks nor
// VRRP.
type inbox struct {
	mu      sync.Mutex
	results map[string]healthcheck.Event
	vrrp    map[string]vrrp.Status
	counts  map[string]vrrp.Counters // of instances that are not in vrrp
	moves   []vrrp.Transition
	tracks  map[string]track.Result
	found   map[string]discovery.Report
	speaker *bool     // connected or not, if that changed
	sysctls bool      // some may have changed
	static  *[]string // what the kernel refuses of the static configuration, if that changed
	api     map[string]error
	signal  chan struct{}
}

// news is the content of an inbox.
type news struct {
	results map[string]healthcheck.Event
	vrrp    map[string]vrrp.Status
	tracks  map[string]track.Result
	found   map[string]discovery.Report
	speaker *bool
	sysctls bool
	static  *[]string
	api     map[string]error // why its addresses are not served, if that changed; nil: they are

	counters    map[string]vrrp.Counters
	transitions []vrrp.Transition
}

func newInbox() *inbox {
	return &inbox{
		results: map[string]healthcheck.Event{},
		vrrp:    map[string]vrrp.Status{},
		tracks:  map[string]track.Result{},
		found:   map[string]discovery.Report{},
		api:     map[string]error{},
		signal:  make(chan struct{}, 1),
	}
}

func (b *inbox) put(change func()) {
	b.mu.Lock()
	change()
	b.mu.Unlock()
	select {
	case b.signal <- struct{}{}:
	default:
	}
}

func (b *inbox) result(e healthcheck.Event) {
	b.put(func() { b.results[e.Key] = e })
}

func (b *inbox) statuses(list []vrrp.Status) {
	b.put(func() {
		for _, s := range list {
			b.vrrp[s.Name] = s
			delete(b.counts, s.Name)
		}
	})
}

// counters takes over a map.
func (b *inbox) counters(all map[string]vrrp.Counters) {
	b.put(func() {
		for name, s := range b.vrrp {
			if counters, newer := all[name]; newer {
				s.Counters = counters
				b.vrrp[name] = s
				delete(all, name)
			}
		}
		b.counts = all
	})
}

// transitionsMost bounds the transitions that are queued while the director waits for the kernel. Dropped ones are detected
// as a gap in the numbers.
const transitionsMost = 1 << 16

func (b *inbox) transitions(list []vrrp.Transition) {
	b.put(func() {
		b.moves = append(b.moves, list...)
		if over := len(b.moves) - transitionsMost; over > 0 {
			b.moves = slices.Delete(b.moves, 0, over)
		}
	})
}

func (b *inbox) track(name string, r track.Result) {
	b.put(func() { b.tracks[name] = r })
}

func (b *inbox) discovered(key string, r discovery.Report) {
	b.put(func() { b.found[key] = r })
}

func (b *inbox) connected(yes bool) {
	b.put(func() { b.speaker = &yes })
}

func (b *inbox) staticRefused(all []string) {
	b.put(func() { b.static = &all })
}

func (b *inbox) sysctlsChanged() {
	b.put(func() { b.sysctls = true })
}

func (b *inbox) servesAPI(address string, err error) {
	b.put(func() { b.api[address] = err })
}

func (b *inbox) take() news {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := news{results: b.results, vrrp: b.vrrp, tracks: b.tracks, found: b.found, speaker: b.speaker, sysctls: b.sysctls, transitions: b.moves, static: b.static, counters: b.counts, api: b.api}
	b.results, b.vrrp, b.moves, b.speaker, b.sysctls = map[string]healthcheck.Event{}, map[string]vrrp.Status{}, nil, nil, false
	b.tracks, b.found, b.static, b.counts = map[string]track.Result{}, map[string]discovery.Report{}, nil, nil
	b.api = map[string]error{}
	return n
}
