// Package notify sends the transitions of VRRP instances to the configured receivers: scripts, FIFOs, webhooks and e-mail.
// Each receiver has a separate queue, so that a slow receiver does not delay the others.
package notify

import (
	"fmt"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/history"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// The states passed to receivers are those of keepalived.
const (
	stateMaster = "MASTER"
	stateBackup = "BACKUP"
	stateFault  = "FAULT"
	stateStop   = "STOP"
	stateUp     = "UP"
	stateDown   = "DOWN"
)

// Message is a notification.
type Message struct {
	vrrp.Transition        // the transition to State; may be zero at the end of the process, and has only a time with Pool
	State           string // MASTER, BACKUP, FAULT or STOP; "" for lost transitions
	Lost            uint64 // number of transitions lost before this message
	Pool            *PoolState
}

// subject returns what the message is about.
func (m Message) subject() subject {
	return subject{group: m.Group, name: m.Instance, pool: m.Pool != nil}
}

// kind returns keepalived's keyword for the subject of the state.
func (m Message) kind() string {
	if m.Pool != nil {
		return m.Pool.kind()
	}
	if m.Group {
		return "GROUP"
	}
	return "INSTANCE"
}

// priority returns the priority as passed on by keepalived: 0 for a group.
func (m Message) priority() uint8 {
	if m.Group {
		return 0
	}
	return m.Priority
}

// arguments returns the arguments of keepalived's notify script.
func (m Message) arguments() []string {
	if m.Pool != nil {
		return []string{m.kind(), m.Instance, m.State}
	}
	return []string{m.kind(), m.Instance, m.State, fmt.Sprint(m.priority())}
}

// line returns a line in the format of keepalived's FIFO (keepalived/vrrp/vrrp_notify.c, notify_fifo).
func (m Message) line() string {
	if m.Pool != nil {
		return m.Pool.line(m.State)
	}
	return fmt.Sprintf("%s \"%s\" %s %d\n", m.kind(), m.Instance, m.State, m.priority())
}

// sentence returns the message as a sentence.
func (m Message) sentence() string {
	at := m.Time.Format(time.RFC3339)
	if m.Lost > 0 {
		return fmt.Sprintf("%s  %d transitions were lost", at, m.Lost)
	}
	if m.Pool != nil {
		return at + "  " + m.Pool.sentence(m.State)
	}
	what := "instance"
	if m.Group {
		what = "group"
	}
	text := fmt.Sprintf("%s  %s %s is %s (was %s): %s, priority %d", at, what, m.Instance, m.State, m.From, m.Reason, m.priority())
	if m.From == "" {
		text = fmt.Sprintf("%s  %s %s is %s", at, what, m.Instance, m.State)
	}
	return text
}

// stateAfter returns the state after a transition, or "" if keepalived has no such state: an instance that is leaving is
// still master for its clients.
func stateAfter(t vrrp.Transition) string {
	switch t.To {
	case vrrp.Master:
		return stateMaster
	case vrrp.Backup:
		return stateBackup
	case vrrp.Initialize:
		switch t.Reason {
		case vrrp.ReasonResignStop:
			return stateStop
		case vrrp.ReasonTrackPending:
			return "" // keepalived too waits for the first results without a notification
		}
		return stateFault // also for a removed instance, as in keepalived without notify_deleted
	}
	return ""
}

// messageOf returns the message for an event, if the event has a state.
func messageOf(e history.Event) (m Message, ok bool) {
	m = Message{Transition: e.Transition, Lost: e.Lost}
	if e.Lost == 0 {
		m.State = stateAfter(e.Transition)
	}
	return m, e.Lost > 0 || m.State != ""
}
