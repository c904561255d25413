// Package notify passes the transitions of VRRP instances to the receivers that a configuration names: scripts, FIFOs,
// webhooks and e-mail. Each receiver has a queue of its own, so that a slow one delays no other.
package notify

import (
	"fmt"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/history"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// The states that receivers are given are those of keepalived.
const (
	stateMaster = "MASTER"
	stateBackup = "BACKUP"
	stateFault  = "FAULT"
	stateStop   = "STOP"
)

// Message is what a receiver is given.
type Message struct {
	vrrp.Transition        // that led to State; at the end of the process perhaps none
	State           string // MASTER, BACKUP, FAULT or STOP; "" for lost transitions
	Lost            uint64 // so many transitions were lost before this message
}

// kind is keepalived's word for whose state it is.
func (m Message) kind() string {
	if m.Group {
		return "GROUP"
	}
	return "INSTANCE"
}

// priority is what keepalived passes on: 0 for a group.
func (m Message) priority() uint8 {
	if m.Group {
		return 0
	}
	return m.Priority
}

// arguments are those of keepalived's notify script.
func (m Message) arguments() []string {
	return []string{m.kind(), m.Instance, m.State, fmt.Sprint(m.priority())}
}

// line is that of keepalived's FIFO (keepalived/vrrp/vrrp_notify.c, notify_fifo).
func (m Message) line() string {
	return fmt.Sprintf("%s \"%s\" %s %d\n", m.kind(), m.Instance, m.State, m.priority())
}

// sentence is for people.
func (m Message) sentence() string {
	at := m.Time.Format(time.RFC3339)
	if m.Lost > 0 {
		return fmt.Sprintf("%s  %d transitions were lost", at, m.Lost)
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

// stateAfter is the state that a transition leads to, "" if it is none of keepalived's: an instance that is leaving is still
// master for its clients.
func stateAfter(t vrrp.Transition) string {
	switch t.To {
	case vrrp.Master:
		return stateMaster
	case vrrp.Backup:
		return stateBackup
	case vrrp.Initialize:
		if t.Reason == vrrp.ReasonResignStop {
			return stateStop
		}
		return stateFault // of a removed instance too, as keepalived does without notify_deleted
	}
	return ""
}

// messageOf makes a message of an event, where it has a state.
func messageOf(e history.Event) (m Message, ok bool) {
	m = Message{Transition: e.Transition, Lost: e.Lost}
	if e.Lost == 0 {
		m.State = stateAfter(e.Transition)
	}
	return m, e.Lost > 0 || m.State != ""
}
