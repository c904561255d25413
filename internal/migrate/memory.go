package migrate

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"syscall"

	"github.com/lvs-ha/lvs-ha/internal/ipvsadm"
	"github.com/lvs-ha/lvs-ha/ipvs"
	connsync "github.com/lvs-ha/lvs-ha/sync"
)

// line is a line of the input.
type line struct {
	number int
	text   string
}

// lines are the input lines that contributed to an object.
type lines []line

// service is a virtual service with its lines and servers.
type service struct {
	ipvs.Service
	from    lines
	servers []*server
	at      map[ipvs.DestinationKey]*server
}

type server struct {
	ipvs.Destination
	from lines
}

// memory is an in-memory table to which rules are applied. It returns the kernel's errors for existing and missing
// objects, and records the line of each change.
type memory struct {
	now      line
	services []*service
	at       map[ipvs.ServiceKey]*service
	timeouts ipvs.Timeouts
	lost     []Lost
}

func (m *memory) kernel(context.Context) (ipvsadm.Kernel, error) {
	return ipvsadm.Kernel{Table: m, Settings: m, Daemons: m, Close: func() error { return nil }}, nil
}

func (m *memory) reportLost(why string) { m.lost = append(m.lost, Lost{m.now.number, m.now.text, why}) }

// Execute applies steps.
func (m *memory) Execute(_ context.Context, steps []ipvs.Step) []error {
	errs := make([]error, len(steps))
	for i, s := range steps {
		if errno := m.step(s); errno != 0 {
			errs[i] = errno
		}
	}
	return errs
}

func (m *memory) step(s ipvs.Step) syscall.Errno {
	key := s.Service.ServiceKey
	v := m.at[key]
	switch {
	case s.Action == ipvs.AddService && v != nil:
		return syscall.EEXIST
	case s.Action == ipvs.AddService:
		v = &service{Service: s.Service, from: lines{m.now}, at: map[ipvs.DestinationKey]*server{}}
		m.services, m.at[key] = append(m.services, v), v
	case v == nil:
		return syscall.ESRCH
	case s.Action == ipvs.EditService:
		v.Service, v.from = s.Service, append(v.from, m.now)
	case s.Action == ipvs.DeleteService:
		delete(m.at, key)
		m.services = slices.DeleteFunc(m.services, func(o *service) bool { return o == v })
	default:
		return m.stepServer(v, s)
	}
	return 0
}

func (m *memory) stepServer(of *service, s ipvs.Step) syscall.Errno {
	key := s.Destination.DestinationKey
	d := of.at[key]
	switch {
	case s.Action == ipvs.AddDestination && d != nil:
		return syscall.EEXIST
	case s.Action == ipvs.AddDestination:
		d = &server{s.Destination, lines{m.now}}
		of.servers, of.at[key] = append(of.servers, d), d
	case d == nil:
		return syscall.ENOENT
	case s.Action == ipvs.EditDestination:
		d.Destination, d.from = s.Destination, append(d.from, m.now)
	case s.Action == ipvs.DeleteDestination:
		delete(of.at, key)
		of.servers = slices.DeleteFunc(of.servers, func(o *server) bool { return o == d })
	}
	return 0
}

// Services returns nothing: rules that list the table have no effect, and are reported as such.
func (m *memory) Services(context.Context) ([]ipvs.ServiceState, error) { return nil, nil }

// Service finds nothing, as Services does.
func (m *memory) Service(context.Context, ipvs.ServiceKey) (ipvs.ServiceState, error) {
	return ipvs.ServiceState{}, syscall.ESRCH
}

// EachDestination finds nothing, as Services does.
func (m *memory) EachDestination(context.Context, []ipvs.ServiceKey, func(int), func(int, *ipvs.DestinationState)) error {
	return nil
}

// Flush removes all services.
func (m *memory) Flush(context.Context) error {
	m.services, m.at = nil, map[ipvs.ServiceKey]*service{}
	return nil
}

const noCounters = "counters are not configuration"

// Zero records that counters cannot be converted.
func (m *memory) Zero(context.Context, ipvs.ServiceKey) error { m.reportLost(noCounters); return nil }

// ZeroAll records that counters cannot be converted.
func (m *memory) ZeroAll(context.Context) error { m.reportLost(noCounters); return nil }

// Info returns nothing.
func (m *memory) Info(context.Context) (ipvs.Info, error) { return ipvs.Info{}, nil }

// Timeouts returns the timeouts that were set.
func (m *memory) Timeouts(context.Context) (ipvs.Timeouts, error) { return m.timeouts, nil }

// SetTimeouts changes the timeouts that are not 0.
func (m *memory) SetTimeouts(_ context.Context, t ipvs.Timeouts) error {
	was := m.timeouts
	m.timeouts = ipvs.Timeouts{TCP: cmp.Or(t.TCP, was.TCP), TCPFin: cmp.Or(t.TCPFin, was.TCPFin), UDP: cmp.Or(t.UDP, was.UDP)}
	return nil
}

// Daemons returns nothing.
func (m *memory) Daemons(context.Context) ([]connsync.Running, error) { return nil, nil }

const followsVRRP = "connection sync follows VRRP: write a connection_sync block with this interface and sync_id into a vrrp block"

// Start records that the daemon requires a vrrp block.
func (m *memory) Start(context.Context, connsync.Role, connsync.Daemon) error {
	m.reportLost(followsVRRP)
	return nil
}

// Stop records that the daemon requires a vrrp block.
func (m *memory) Stop(context.Context, connsync.Role) error { m.reportLost(followsVRRP); return nil }

// Lost is a line without equivalent.
type Lost struct {
	Line int    `json:"line"`
	Text string `json:"text"`
	Why  string `json:"why"`
}

// String returns the line and, indented below it, the reason.
func (l Lost) String() string { return fmt.Sprintf("line %d: %s\n    %s", l.Line, l.Text, l.Why) }
