package ipvs

import (
	"context"
	"fmt"

	"github.com/mdlayher/netlink"

	"github.com/lvs-ha/lvs-ha/internal/ipvsnl"
)

var commands = map[Action]uint8{
	AddService:        ipvsnl.CmdNewService,
	EditService:       ipvsnl.CmdSetService,
	DeleteService:     ipvsnl.CmdDelService,
	AddDestination:    ipvsnl.CmdNewDest,
	EditDestination:   ipvsnl.CmdSetDest,
	DeleteDestination: ipvsnl.CmdDelDest,
}

// Execute executes steps in order, many in one system call. It returns one StepError or nil for each step.
func (c *Client) Execute(ctx context.Context, steps []Step) []error {
	errs := make([]error, len(steps))
	requests := make([]ipvsnl.Request, 0, len(steps))
	index := make([]int, 0, len(steps)) // index of each request's step
	for i, s := range steps {
		r, err := s.request()
		if err != nil {
			errs[i] = &StepError{Step: s, Err: err}
			continue
		}
		requests = append(requests, r)
		index = append(index, i)
	}
	for n, err := range c.conn.Batch(ctx, requests) {
		if err != nil {
			s := steps[index[n]]
			errs[index[n]] = &StepError{Step: s, Err: explain(err, s.remedies())}
		}
	}
	return errs
}

// request encodes the step.
func (s Step) request() (ipvsnl.Request, error) {
	command, ok := commands[s.Action]
	if !ok {
		return ipvsnl.Request{}, fmt.Errorf("unknown action %q", s.Action)
	}
	if err := s.check(); err != nil {
		return ipvsnl.Request{}, err
	}
	service := s.Service.ServiceKey.encode
	if s.Action == AddService || s.Action == EditService {
		service = s.Service.encode
	}
	var destination func(*netlink.AttributeEncoder)
	switch s.Action {
	case AddDestination, EditDestination:
		destination = s.Destination.encode
	case DeleteDestination:
		destination = s.Destination.DestinationKey.encode
	}
	attributes, err := encode(service, destination)
	return ipvsnl.Request{Command: command, Attributes: attributes}, err
}

// check returns an error for a step that cannot be encoded.
func (s Step) check() error {
	if err := s.Service.ServiceKey.check(); err != nil {
		return err
	}
	if !s.onService() && !s.Destination.Address.IsValid() {
		return fmt.Errorf("the real server has no address")
	}
	return nil
}

// check returns an error for a key that identifies no service.
func (k ServiceKey) check() error {
	if k.Mark == 0 && !k.Address.IsValid() {
		return fmt.Errorf("the virtual service has neither an address nor a firewall mark")
	}
	return nil
}

// one executes a single step.
func (c *Client) one(ctx context.Context, s Step) error { return c.Execute(ctx, []Step{s})[0] }

// NewService adds a virtual service exactly as given: with a netmask of 0, all IPv4 clients count as one.
func (c *Client) NewService(ctx context.Context, s Service) error {
	return c.one(ctx, Step{Action: AddService, Service: s})
}

// SetService changes a virtual service to the given one.
func (c *Client) SetService(ctx context.Context, s Service) error {
	return c.one(ctx, Step{Action: EditService, Service: s})
}

// DeleteService deletes a virtual service with its real servers.
func (c *Client) DeleteService(ctx context.Context, key ServiceKey) error {
	return c.one(ctx, Step{Action: DeleteService, Service: Service{ServiceKey: key}})
}

// NewDestination adds a real server to a virtual service.
func (c *Client) NewDestination(ctx context.Context, key ServiceKey, d Destination) error {
	return c.one(ctx, Step{Action: AddDestination, Service: Service{ServiceKey: key}, Destination: d})
}

// SetDestination changes a real server.
func (c *Client) SetDestination(ctx context.Context, key ServiceKey, d Destination) error {
	return c.one(ctx, Step{Action: EditDestination, Service: Service{ServiceKey: key}, Destination: d})
}

// DeleteDestination deletes a real server.
func (c *Client) DeleteDestination(ctx context.Context, key ServiceKey, d DestinationKey) error {
	return c.one(ctx, Step{
		Action: DeleteDestination, Service: Service{ServiceKey: key}, Destination: Destination{DestinationKey: d},
	})
}
