package lab

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// ServerHeader is the HTTP header with the name of the server that answered.
const ServerHeader = "X-Lab-Server"

// WebConfig configures a web server.
type WebConfig struct {
	Name    string // the host's name if empty
	Address string // listening address, host:port
	TLS     *Certificate
}

// Web is a real server: it serves its name at /, its health at /healthz, and a body that can be checked, at a limited
// rate, at /slow?bytes=N&rate=BYTES_PER_SECOND.
type Web struct {
	host   *Node
	config WebConfig
	sick   atomic.Bool
	silent atomic.Bool

	mu       sync.Mutex
	server   *http.Server
	requests map[string]int
	hurry    chan struct{} // closed by Hurry
}

// Web creates and starts a web server in the host.
func (h *Node) Web(c WebConfig) (*Web, error) {
	if c.Name == "" {
		c.Name = h.name
	}
	w := &Web{host: h, config: c, requests: map[string]int{}, hurry: make(chan struct{})}
	if err := w.Start(); err != nil {
		return nil, err
	}
	return w, h.lab.onClose(w.Stop)
}

// Host returns the host on which the server runs.
func (w *Web) Host() *Node { return w.host }

// Start opens the listener, if it is not open.
func (w *Web) Start() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.server != nil {
		return nil
	}
	ln, err := w.host.Listen("tcp", w.config.Address)
	if err != nil {
		return fmt.Errorf("start web server %s: %w", w.config.Name, err)
	}
	if w.config.TLS != nil {
		ln = tls.NewListener(ln, w.config.TLS.Server())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", w.serveName)
	mux.HandleFunc("/healthz", w.serveHealth)
	mux.HandleFunc("/slow", w.serveSlow)
	// Clients report errors; the server's log would only add aborted handshakes.
	s := &http.Server{Handler: w.count(mux), ErrorLog: log.New(io.Discard, "", 0)}
	w.server = s
	go func() { _ = s.Serve(ln) }()
	return nil
}

// Stop closes the listener and all connections: further clients are refused.
func (w *Web) Stop() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.server == nil {
		return nil
	}
	err := w.server.Close()
	w.server = nil
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("stop web server %s: %w", w.config.Name, err)
	}
	return nil
}

// Name returns the server's name.
func (w *Web) Name() string { return w.config.Name }

// SetHealthy sets the answer of /healthz: 200 or 503.
func (w *Web) SetHealthy(healthy bool) { w.sick.Store(!healthy) }

// SetSilent makes the server accept connections without answering requests, or answer them again.
func (w *Web) SetSilent(silent bool) { w.silent.Store(silent) }

// Requests returns the numbers of requests by path.
func (w *Web) Requests() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.requests)
}

// Hurry sends the rest of each slow body that is being served at full speed.
func (w *Web) Hurry() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.hurry)
	w.hurry = make(chan struct{})
}

func (w *Web) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.requests[r.URL.Path]++
		w.mu.Unlock()
		if w.silent.Load() {
			<-r.Context().Done()
			return
		}
		rw.Header().Set(ServerHeader, w.config.Name)
		next.ServeHTTP(rw, r)
	})
}

func (w *Web) serveName(rw http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(rw, w.config.Name+"\n")
}

func (w *Web) serveHealth(rw http.ResponseWriter, _ *http.Request) {
	if w.sick.Load() {
		http.Error(rw, "sick", http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(rw, "ok\n")
}

func (w *Web) serveSlow(rw http.ResponseWriter, r *http.Request) {
	size, err := strconv.ParseInt(r.FormValue("bytes"), 10, 64)
	rate, err2 := strconv.ParseInt(r.FormValue("rate"), 10, 64)
	if errors.Join(err, err2) != nil || size < 0 || rate <= 0 {
		http.Error(rw, "want bytes and rate, both numbers", http.StatusBadRequest)
		return
	}
	rw.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	w.mu.Lock()
	hurry := w.hurry
	w.mu.Unlock()
	const pause = 20 * time.Millisecond
	tick := time.NewTicker(pause)
	defer tick.Stop()
	body := &bodyReader{size: size}
	chunk := max(1, rate*int64(pause)/int64(time.Second))
	flush := http.NewResponseController(rw)
	for body.offset < size {
		if _, err := io.CopyN(rw, body, min(chunk, size-body.offset)); err != nil {
			return
		}
		if err := flush.Flush(); err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-hurry:
			chunk, hurry = size, nil
		case <-r.Context().Done():
			return
		}
	}
}
