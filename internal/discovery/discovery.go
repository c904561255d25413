// Package discovery asks the sources of real servers: DNS and files.
package discovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
)

// source can be asked for its servers.
type source interface {
	// ask returns the servers that are listed now. It returns soon after ctx ends.
	ask(ctx context.Context) (answer, error)
}

// answer is what a source lists.
type answer struct {
	servers []config.ListedServer
	valid   time.Duration // when to ask again
	same    bool          // as the last answer or error, and no new information
}

// Report is an answer, or why there is none.
type Report struct {
	Servers []config.ListedServer
	Err     error
	At      time.Time
}

// Options are the options of a Discoverer.
type Options struct {
	// Report is called for each answer and each failure, from several goroutines. It must not block.
	Report func(key string, r Report)

	resolvConf string // defaults to /etc/resolv.conf
}

// askTimeout limits one question to a source, with all its queries.
const askTimeout = 30 * time.Second

// maxAsking limits the sources of a kind that are asked at the same time. Files do not wait for resolvers that do not answer, nor
// names for a file system that does not.
const maxAsking = 256

// Pauses before a source that has failed is asked again: the first, which doubles, and the longest.
const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

// Discoverer asks sources, each in a goroutine of its own.
type Discoverer struct {
	Options
	started chan struct{} // closed by Run
	names   chan struct{} // holds a value for each DNS source that is being asked
	files   chan struct{} // the same for files

	mu      sync.Mutex
	ctx     context.Context // of Run; nil before
	ended   bool            // Update no longer starts anything
	cancels map[string]context.CancelFunc
	running sync.WaitGroup
}

// New returns a Discoverer. It asks nothing before Run.
func New(o Options) *Discoverer {
	return &Discoverer{
		Options: o, started: make(chan struct{}), cancels: map[string]context.CancelFunc{},
		names: make(chan struct{}, maxAsking), files: make(chan struct{}, maxAsking),
	}
}

// Run asks the sources until ctx ends and everything that it has started is over.
func (d *Discoverer) Run(ctx context.Context) {
	d.mu.Lock()
	d.ctx = ctx
	d.mu.Unlock()
	close(d.started)
	<-ctx.Done()
	d.mu.Lock()
	d.ended = true
	d.mu.Unlock()
	d.running.Wait()
}

// Update replaces the sources. One that remains is not affected. Update does not block.
func (d *Discoverer) Update(sources map[string]config.Source) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		return
	}
	for key, cancel := range d.cancels {
		if _, stays := sources[key]; !stays {
			cancel()
			delete(d.cancels, key)
		}
	}
	for key, s := range sources {
		if d.cancels[key] != nil {
			continue
		}
		ctx, cancel := context.WithCancel(context.Background())
		d.cancels[key] = cancel
		d.running.Go(func() {
			defer cancel()
			select {
			case <-d.started:
			case <-ctx.Done():
				return
			}
			stop := context.AfterFunc(d.ctx, cancel)
			defer stop()
			d.watch(ctx, key, s)
		})
	}
}

// watch asks a source again and again until ctx ends.
func (d *Discoverer) watch(ctx context.Context, key string, s config.Source) {
	asked := newSource(s, d.resolvConf)
	asking := d.files
	if s.DNS != nil {
		asking = d.names
	}
	pause := firstRetry
	for {
		select {
		case asking <- struct{}{}:
		case <-ctx.Done():
			return
		}
		a, err := askOnce(ctx, asked, s)
		<-asking
		if ctx.Err() != nil {
			return
		}
		if !a.same {
			d.Report(key, Report{Servers: a.servers, Err: err, At: time.Now()})
		}
		wait := a.valid
		switch {
		case err == nil:
			pause = firstRetry
		case wait == 0:
			wait, pause = pause, min(2*pause, lastRetry)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// Ask asks a source once.
func Ask(ctx context.Context, s config.Source) ([]config.ListedServer, error) {
	a, err := askOnce(ctx, newSource(s, ""), s)
	return a.servers, err
}

func newSource(s config.Source, resolvConf string) source {
	if s.DNS != nil {
		if resolvConf == "" {
			resolvConf = "/etc/resolv.conf"
		}
		return &dnsSource{DNSSource: *s.DNS, resolvConf: resolvConf}
	}
	return &fileSource{path: s.File.Path}
}

func askOnce(ctx context.Context, asked source, s config.Source) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	a, err := asked.ask(ctx)
	if err == nil && !a.same {
		err = admit(a.servers, s)
	}
	return a, err
}

var errEmpty = errors.New("no server is listed; write allow_empty = true if that is possible")

// admit refuses a list that must not be used. A fault in a server's list shows as an empty one more often than a pool is emptied.
func admit(servers []config.ListedServer, s config.Source) error {
	switch {
	case len(servers) == 0 && !s.AllowEmpty:
		return errEmpty
	case len(servers) > config.MaxListed:
		return fmt.Errorf("%d servers are listed, at most %d are allowed", len(servers), config.MaxListed)
	}
	return nil
}

// distinct sorts servers and drops equal ones.
func distinct(servers []config.ListedServer) []config.ListedServer {
	slices.SortStableFunc(servers, func(a, b config.ListedServer) int {
		if c := a.Address.Compare(b.Address); c != 0 {
			return c
		}
		return int(a.Port) - int(b.Port)
	})
	return slices.CompactFunc(servers, func(a, b config.ListedServer) bool { return a.Address == b.Address && a.Port == b.Port })
}
