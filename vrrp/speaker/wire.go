package speaker

import "time"

// wire is an interface and address family, with the socket that its routers share.
type wire struct {
	key     socketKey
	socket  *socket // nil if not open
	opening bool
	index   int // of the interface at the last attempt
	retry   timer
	backoff time.Duration
	problem string

	routers [256]*router // by virtual router id
	users   int
	outbox  outbox
	drops   drops     // packets that belong to no router
	unknown time.Time // last recorded packet that matches no router
	looked  time.Time // last check of the addresses of adverts with another virtual router ID
}

// Back-off between attempts to open a socket.
const (
	openRetryFirst = 100 * time.Millisecond
	openRetryMost  = 5 * time.Second
)

// sockets opens and closes sockets and sends messages. Open is asynchronous: it calls opened on the loop's goroutine. Send
// sends at least one message or returns an error.
type sockets interface {
	Open(ifc netInterface, key socketKey, opened func(*socket, error, time.Time))
	Close(s *socket)
	Send(s *socket, messages []*outgoing) (sent int, err error) // err is the error for messages[sent]
}

// wireFor returns the wire of a key, creating it if necessary.
func (e *engine) wireFor(key socketKey) *wire {
	w := e.wires[key]
	if w == nil {
		w = &wire{key: key}
		w.retry.fire = func(now time.Time) { e.updateWire(w, now) }
		e.wires[key] = w
	}
	return w
}

func (w *wire) add(r *router) {
	w.routers[r.key.VirtualRouterID] = r
	w.users++
}

// updateWire opens, reopens or closes the wire's socket to match the interface.
func (e *engine) updateWire(w *wire, now time.Time) {
	ifc := e.interfaces[w.key.Interface]
	if w.socket != nil && w.socket.index != ifc.Index {
		e.closeWire(w, now)
	}
	if ifc.Index != w.index {
		w.backoff = 0
		e.timers.unset(&w.retry)
	}
	if w.socket != nil || w.opening || w.retry.position != 0 || w.users == 0 || !ifc.Up {
		return
	}
	w.opening, w.index = true, ifc.Index
	e.sockets.Open(ifc, w.key, func(s *socket, err error, now time.Time) { e.opened(w, s, err, now) })
}

func (e *engine) opened(w *wire, s *socket, err error, now time.Time) {
	w.opening = false
	if err != nil {
		if problem := err.Error(); problem != w.problem {
			w.problem = problem
			e.log.Error("cannot open socket; retrying", "interface", w.key.Interface, "family", w.key.Family.String(), "error", err)
		}
		e.openLater(w, now)
		e.updateWire(w, now) // the interface may have been replaced meanwhile
		e.updateRouters(w, now)
		return
	}
	if w.users == 0 {
		e.sockets.Close(s)
		return
	}
	w.socket, w.backoff, w.problem = s, 0, ""
	e.updateWire(w, now)
	e.updateRouters(w, now)
}

// openLater schedules another attempt to open the socket.
func (e *engine) openLater(w *wire, now time.Time) {
	w.backoff = min(max(2*w.backoff, openRetryFirst), openRetryMost)
	e.timers.set(&w.retry, now.Add(w.backoff))
}

// broken closes a failed socket and schedules a new attempt.
func (e *engine) broken(w *wire, err error, now time.Time) {
	e.log.Warn("socket failed; reopening it", "interface", w.key.Interface, "family", w.key.Family.String(), "error", err)
	e.closeWire(w, now)
	e.openLater(w, now)
	e.updateRouters(w, now)
}

func (e *engine) closeWire(w *wire, now time.Time) {
	e.flushWire(w, now)
	e.sockets.Close(w.socket)
	w.socket = nil
	for _, r := range w.routers {
		if r != nil {
			r.advertReady = false
		}
	}
}

func (e *engine) updateRouters(w *wire, now time.Time) {
	e.updateEach(func(yield func(*router) bool) {
		for _, r := range w.routers {
			if r != nil && !yield(r) {
				return
			}
		}
	}, now)
}

// moveWire moves a router from a wire to that of another key, and returns it.
func (e *engine) moveWire(w *wire, r *router, key socketKey, now time.Time) *wire {
	if w.key == key {
		return w
	}
	e.leaveWire(w, r, now)
	return e.enterWire(r, key, now)
}

// enterWire adds a router to the wire of a key.
func (e *engine) enterWire(r *router, key socketKey, now time.Time) *wire {
	w := e.wireFor(key)
	w.add(r)
	e.updateWire(w, now)
	return w
}

// leaveWire removes a router from a wire, and closes the wire after the last one.
func (e *engine) leaveWire(w *wire, r *router, now time.Time) {
	w.routers[r.key.VirtualRouterID] = nil
	if w.users--; w.users > 0 {
		return
	}
	if w.socket != nil {
		e.closeWire(w, now)
	}
	e.timers.unset(&w.retry)
	delete(e.wires, w.key)
}
