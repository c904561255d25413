package lab

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Download is the state of one slow download.
type Download struct {
	Local  netip.AddrPort // the client's side of the connection
	Server string
	Bytes  int64
	Gap    time.Duration // the longest time without received data
	Done   bool
	Err    error // nil after Done if every byte was received and correct
}

// Downloads are concurrent slow downloads.
type Downloads struct {
	started chan struct{}
	done    chan struct{}

	mu   sync.Mutex
	all  []Download
	last []time.Time
}

// Download starts n downloads of size bytes at rate bytes per second each, from a base URL such as http://10.0.0.1, and
// checks every byte.
func (c *Client) Download(ctx context.Context, n int, base string, size, rate int64) *Downloads {
	url := fmt.Sprintf("%s/slow?bytes=%d&rate=%d", base, size, rate)
	d := &Downloads{
		started: make(chan struct{}), done: make(chan struct{}),
		all: make([]Download, n), last: make([]time.Time, n),
	}
	var started, done sync.WaitGroup
	started.Add(n)
	for i := range n {
		done.Go(func() {
			once := sync.OnceFunc(started.Done)
			err := d.run(ctx, c, i, url, size, once)
			once()
			d.mu.Lock()
			defer d.mu.Unlock()
			d.all[i].Done, d.all[i].Err = true, err
		})
	}
	go func() { started.Wait(); close(d.started) }()
	go func() { done.Wait(); close(d.done) }()
	return d
}

// Started is closed when each download has received data or failed.
func (d *Downloads) Started() <-chan struct{} { return d.started }

// Done is closed when all downloads have ended.
func (d *Downloads) Done() <-chan struct{} { return d.done }

// State returns the state of each download. The gap of a running one includes the time since its last byte.
func (d *Downloads) State() []Download {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := slices.Clone(d.all)
	for i := range out {
		if !out[i].Done && !d.last[i].IsZero() {
			out[i].Gap = max(out[i].Gap, time.Since(d.last[i]))
		}
	}
	return out
}

// Wait waits for all downloads.
func (d *Downloads) Wait() []Download {
	<-d.done
	return d.State()
}

func (d *Downloads) run(ctx context.Context, c *Client, i int, url string, size int64, started func()) error {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if local, err := netip.ParseAddrPort(info.Conn.LocalAddr().String()); err == nil {
			d.mu.Lock()
			d.all[i].Local = local
			d.mu.Unlock()
		}
	}})
	resp, err := c.get(ctx, url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("get %s: status %d", url, resp.StatusCode)
	}
	d.mu.Lock()
	d.all[i].Server = resp.Header.Get(ServerHeader)
	d.last[i] = time.Now()
	d.mu.Unlock()

	check := &bodyChecker{}
	// The checker comes first: rejected bytes do not count.
	n, err := io.Copy(io.MultiWriter(check, writerFunc(func(p []byte) {
		d.progress(i, len(p))
		started()
	})), resp.Body)
	if err != nil {
		return fmt.Errorf("download after %d bytes: %w", n, err)
	}
	if n != size {
		return fmt.Errorf("download: got %d bytes, want %d", n, size)
	}
	return nil
}

func (d *Downloads) progress(i, n int) {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all[i].Gap = max(d.all[i].Gap, now.Sub(d.last[i]))
	d.all[i].Bytes += int64(n)
	d.last[i] = now
}

type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}
