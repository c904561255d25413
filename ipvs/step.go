package ipvs

import (
	"context"
	"fmt"
	"strings"
)

// Action is the kind of a step.
type Action string

// The actions.
const (
	AddService        Action = "add-service"
	EditService       Action = "edit-service"
	DeleteService     Action = "delete-service"
	AddDestination    Action = "add-server"
	EditDestination   Action = "edit-server"
	DeleteDestination Action = "delete-server"
)

// Step is one change to the table.
type Step struct {
	Action      Action
	Service     Service     // destination actions use only the key
	Destination Destination // of destination actions
	Changes     []Change    // of edits, for display: the kernel receives the whole value
	NeedsAdded  bool        // a removal that would leave the service empty unless a server is added
	NeedsOpened bool        // no server would receive connections unless one is added or raised before
}

// Change is one field of an edit.
type Change struct {
	Field string
	From  string
	To    string
}

// Applier executes steps in order and returns one error or nil for each. It continues after a failing step.
type Applier interface {
	Execute(ctx context.Context, steps []Step) []error
}

// String returns the step in one line, with each changed field.
func (s Step) String() string {
	text := s.subject()
	switch s.Action {
	case AddService:
		text += " " + s.Service.Options()
	case AddDestination:
		text += " " + s.Destination.Options()
	}
	changes := make([]string, len(s.Changes))
	for i, c := range s.Changes {
		changes[i] = fmt.Sprintf("%s %s -> %s", c.Field, c.From, c.To)
	}
	if len(changes) > 0 {
		text += ": " + strings.Join(changes, ", ")
	}
	return text
}

// subject describes the action and its object.
func (s Step) subject() string {
	verb, _, _ := strings.Cut(string(s.Action), "-")
	if s.onService() {
		return fmt.Sprintf("%s service %s", verb, s.Service.ServiceKey)
	}
	return fmt.Sprintf("%s server %s of %s", verb, s.Destination.DestinationKey, s.Service.ServiceKey)
}

func (s Step) onService() bool {
	return s.Action == AddService || s.Action == EditService || s.Action == DeleteService
}
