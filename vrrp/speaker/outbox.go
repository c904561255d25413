package speaker

import (
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// outbox holds the adverts that a wire is about to send, so that all that are due at the same time need one system call.
type outbox struct {
	messages []*outgoing
	routers  []*router // of each message
}

// put queues an advert.
func (e *engine) put(w *wire, r *router, o *outgoing) {
	if len(w.outbox.messages) == 0 {
		e.unsent = append(e.unsent, w)
	}
	o.queued = true
	w.outbox.messages = append(w.outbox.messages, o)
	w.outbox.routers = append(w.outbox.routers, r)
}

// manyTasks is the number of tasks after which flush is not left to the end of the turn: when a thousand routers take over together,
// the keeper works for the first while the loop works for the others.
const manyTasks = 64

// flush sends the queued adverts, and then passes the tasks that may block in the kernel to the keeper.
func (e *engine) flush(now time.Time) {
	for _, w := range e.unsent {
		e.flushWire(w, now)
	}
	clear(e.unsent)
	e.unsent = e.unsent[:0]
	for _, t := range e.tasks {
		e.kernel.submit(t)
	}
	if e.direct > 0 {
		e.direct = 0
		e.kernel.announceOn()
	}
	clear(e.tasks)
	e.tasks = e.tasks[:0]
}

func (e *engine) flushWire(w *wire, now time.Time) {
	messages, routers := w.outbox.messages, w.outbox.routers
	for len(messages) > 0 {
		n, err := e.sockets.Send(w.socket, messages)
		for _, r := range routers[:n] {
			e.sent(r)
		}
		messages, routers = messages[n:], routers[n:]
		if err != nil {
			routers[0].sendErrors++
			e.sendFailed(routers[0], err, now)
			messages, routers = messages[1:], routers[1:]
		}
	}
	for _, o := range w.outbox.messages {
		o.queued = false
	}
	clear(w.outbox.messages)
	clear(w.outbox.routers)
	w.outbox.messages, w.outbox.routers = w.outbox.messages[:0], w.outbox.routers[:0]
}

func (e *engine) sent(r *router) {
	r.sent++
	r.unsendable = false
	if r.machine.State() == vrrp.Master {
		e.tenures.extend(r.tenure, keeps(&r.instance))
	}
}
