package ipvs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/lvs-ha/lvs-ha/internal/ipvsnl"
)

// Table reads all virtual services with their real servers, in the kernel's order.
//
// A dump is not atomic: changes during the read may or may not be included, and can repeat or omit an entry. A service
// that disappears during the read is left out.
func (c *Client) Table(ctx context.Context) ([]ServiceState, error) {
	services, err := c.Services(ctx)
	if err != nil {
		return nil, err
	}
	return c.withDestinations(ctx, services)
}

// Lookup reads the named virtual services that exist, with their real servers.
func (c *Client) Lookup(ctx context.Context, keys []ServiceKey) ([]ServiceState, error) {
	var services []ServiceState
	for _, key := range keys {
		s, err := c.Service(ctx, key)
		if errors.Is(err, syscall.ESRCH) {
			continue
		}
		if err != nil {
			return nil, err
		}
		services = append(services, s)
	}
	return c.withDestinations(ctx, services)
}

// withDestinations reads the servers of services, and leaves out services that have disappeared meanwhile.
func (c *Client) withDestinations(ctx context.Context, services []ServiceState) ([]ServiceState, error) {
	keys := make([]ServiceKey, len(services))
	for i := range services {
		keys[i] = services[i].ServiceKey
	}
	lists := make([][]DestinationState, len(services))
	err := c.EachDestination(ctx, keys, func(i int) { lists[i] = nil }, func(i int, d *DestinationState) {
		lists[i] = grow(lists[i], *d)
	})
	if err != nil {
		return nil, err
	}
	present := services[:0]
	for i, s := range services {
		if s.Destinations = lists[i]; len(s.Destinations) == 0 {
			// For a service that does not exist, the kernel returns an empty list.
			_, err := c.Service(ctx, s.ServiceKey)
			if errors.Is(err, syscall.ESRCH) {
				continue
			}
			if err != nil {
				return nil, err
			}
		}
		present = append(present, s)
	}
	return present, nil
}

// EachDestination reads the real servers of services, one service after the other. It calls each with the index of the
// service and a server, which is valid only during the call. It calls begin before each list, and again if a list
// changed while it was read and is read again. A service that does not exist has no servers.
func (c *Client) EachDestination(ctx context.Context, services []ServiceKey, begin func(i int), each func(i int, d *DestinationState)) error {
	requests := make([]ipvsnl.Request, len(services))
	for i, key := range services {
		var err error
		if requests[i], err = keyRequest(ipvsnl.CmdGetDest, key); err != nil {
			return err
		}
	}
	var d DestinationState // reused for all
	err := c.conn.Each(ctx, requests, begin, func(i int, b []byte) error {
		var err error
		if d, err = decodeDestination(b, services[i].Family); err == nil {
			each(i, &d)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("listing the real servers: %w", explain(err, noService))
	}
	return nil
}

// grow appends to a list that may become very long and quadruples its capacity when it is full: the smaller steps of
// append would touch several times the memory that the list needs.
func grow[T any](list []T, entry T) []T {
	if len(list) == cap(list) {
		list = slices.Grow(list, max(3*len(list), 4))
	}
	return append(list, entry)
}

// Services reads all virtual services without their real servers.
func (c *Client) Services(ctx context.Context) ([]ServiceState, error) {
	var services []ServiceState
	request := []ipvsnl.Request{{Command: ipvsnl.CmdGetService}}
	err := c.conn.Each(ctx, request, func(int) { services = nil }, func(_ int, b []byte) error {
		s, err := decodeService(b)
		services = grow(services, s)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing the virtual services: %w", explain(err, nil))
	}
	return services, nil
}

// Service reads one virtual service without its real servers. If it does not exist, the error is ESRCH.
func (c *Client) Service(ctx context.Context, key ServiceKey) (ServiceState, error) {
	request, err := keyRequest(ipvsnl.CmdGetService, key)
	if err != nil {
		return ServiceState{}, fmt.Errorf("reading service %s: %w", key, err)
	}
	b, err := c.conn.Get(ctx, request)
	if err != nil {
		return ServiceState{}, fmt.Errorf("reading service %s: %w", key, explain(err, noService))
	}
	return decodeService(b)
}

// Destinations reads the real servers of a virtual service, in the kernel's order. If the service does not exist, the
// error is ESRCH.
func (c *Client) Destinations(ctx context.Context, key ServiceKey) ([]DestinationState, error) {
	table, err := c.withDestinations(ctx, []ServiceState{{Service: Service{ServiceKey: key.normal()}}})
	if err == nil && len(table) == 0 {
		err = &ipvsnl.Error{Errno: syscall.ESRCH, Remedy: noService[syscall.ESRCH]}
	}
	if err != nil {
		return nil, fmt.Errorf("service %s: %w", key, err)
	}
	return table[0].Destinations, nil
}

var noService = map[syscall.Errno]string{syscall.ESRCH: "no such virtual service"}

// keyRequest is a command with a service's key.
func keyRequest(command uint8, key ServiceKey) (ipvsnl.Request, error) {
	if err := key.check(); err != nil {
		return ipvsnl.Request{}, err
	}
	attributes, err := encode(key.encode, nil)
	return ipvsnl.Request{Command: command, Attributes: attributes}, err
}
