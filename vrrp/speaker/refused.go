package speaker

import (
	"slices"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// Refused addresses are retried after firstRetry, and then with a delay that doubles each time up to lastRetry. A retry is
// not visible to other hosts. A link or address event on the interface brings it forward.
const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

// refusedAddresses holds the addresses that the kernel refuses to a router, and their retry state.
type refusedAddresses struct {
	word    refusals // the kernel's last errors
	lacking []string // addresses that cannot currently be served, each with its reason
	retry   timer
	pause   time.Duration // before the next retry
	since   time.Time     // of the last refusal
}

// setRefused records the kernel's errors for all addresses of a router.
func (e *engine) setRefused(h *holder, word refusals, now time.Time) {
	if h == e.static.holder {
		var lacking []string
		for at, problem := range word {
			lacking = append(lacking, at.String()+": "+problem)
		}
		slices.Sort(lacking)
		e.setStaticRefused(lacking, e.static.unrouted)
		return
	}
	r := e.routers[h.key]
	if r == nil || r.holder != h || r.removed || e.stopping {
		return
	}
	f := &r.refused
	f.word = word
	if len(word) == 0 {
		e.timers.unset(&f.retry)
	} else {
		f.pause = min(2*f.pause, lastRetry)
		if now.Sub(f.since) > 2*lastRetry {
			f.pause = firstRetry
		}
		f.since = now
		e.timers.set(&f.retry, now.Add(f.pause))
	}
	was := r.machine.State()
	e.updateCondition(r, now)
	if was == vrrp.Master && r.machine.State() != vrrp.Master {
		r.dropUnsentAdverts()
	}
}

// dropUnsentAdverts drops unsent adverts of a mastership that has ended, so that no other router yields to them.
func (r *router) dropUnsentAdverts() {
	r.waiting = slices.DeleteFunc(r.waiting, func(w work) bool {
		a, ok := w.Action.(vrrp.SendAdvert)
		return ok && a.Priority != vrrp.PriorityResign
	})
}

// retryRefused retries refused addresses, unless the router holds its addresses, in which case the keeper retries them.
func (e *engine) retryRefused(r *router, now time.Time) {
	f := &r.refused
	var try []vrrp.Address
	for _, a := range r.instance.Addresses {
		if _, refused := f.word[r.key.place(a)]; refused {
			try = append(try, a)
		}
	}
	if len(try) == 0 || r.removed || e.stopping {
		return
	}
	if s := r.machine.State(); s == vrrp.Master || s == vrrp.Leaving {
		e.timers.set(&f.retry, now.Add(f.pause))
		return
	}
	e.tasks = append(e.tasks, task{holder: r.holder, name: r.instance.Name, try: try, done: func() {}})
}

// retrySoon brings the next retry forward, after an event on the interface.
func (e *engine) retrySoon(r *router, now time.Time) {
	f := &r.refused
	at := f.since.Add(firstRetry)
	if at.Before(now) {
		at = now
	}
	if len(f.word) > 0 && at.Before(f.retry.at) {
		e.timers.set(&f.retry, at)
	}
}

// reviewAddresses determines which addresses the router cannot serve.
func (e *engine) reviewAddresses(r *router) {
	f := &r.refused
	var lacking []string
	for _, a := range r.instance.Addresses {
		at := r.key.place(a)
		problem := f.word[at]
		if a.Interface != "" && a.Interface != r.key.Interface && a.Interface != r.holder.vmac && e.interfaces[a.Interface].Index == 0 {
			problem = noInterface
		}
		if problem != "" {
			lacking = append(lacking, at.String()+": "+problem)
		}
	}
	if slices.Equal(lacking, f.lacking) {
		return
	}
	f.lacking = lacking
	e.note(r)
	if len(lacking) == 0 {
		e.log.Info("virtual addresses accepted again", "instance", r.instance.Name)
		return
	}
	e.log.Error("virtual addresses refused; retrying", "instance", r.instance.Name, "refused", len(lacking),
		"of", len(r.instance.Addresses), "error", firstReasons(lacking))
}

// firstReasons joins the first few reasons.
func firstReasons(reasons []string) string {
	const most = 3
	if len(reasons) > most {
		return strings.Join(reasons[:most], "; ") + "; …"
	}
	return strings.Join(reasons, "; ")
}
