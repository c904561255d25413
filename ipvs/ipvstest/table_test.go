package ipvstest

import (
	"errors"
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

func TestTable(t *testing.T) {
	web := ipvs.Service{ServiceKey: ipvs.ServiceAt(ipvs.TCP, netip.MustParseAddrPort("192.0.2.1:80")), Scheduler: "rr"}
	other := web
	other.Port = 81
	server := ipvs.Destination{DestinationKey: ipvs.DestinationKey{Address: netip.MustParseAddr("10.0.0.1"), Port: 80}, Weight: 1}
	heavy, banded, foreign := server, server, server
	heavy.Weight = 1 << 31
	banded.LowerThreshold = 1
	foreign.Address = netip.MustParseAddr("fd::1")
	k := New()
	for i, tt := range []struct {
		step ipvs.Step
		want syscall.Errno
	}{
		{ipvs.Step{Action: ipvs.EditService, Service: web}, syscall.ESRCH},
		{ipvs.Step{Action: ipvs.AddDestination, Service: web, Destination: server}, syscall.ESRCH},
		{ipvs.Step{Action: ipvs.AddService, Service: web}, 0},
		{ipvs.Step{Action: ipvs.AddService, Service: web}, syscall.EEXIST},
		{ipvs.Step{Action: ipvs.EditDestination, Service: web, Destination: server}, syscall.ENOENT},
		{ipvs.Step{Action: ipvs.AddDestination, Service: web, Destination: heavy}, syscall.ERANGE},
		{ipvs.Step{Action: ipvs.AddDestination, Service: web, Destination: banded}, syscall.ERANGE},
		{ipvs.Step{Action: ipvs.AddDestination, Service: web, Destination: foreign}, syscall.EINVAL},
		{ipvs.Step{Action: ipvs.AddDestination, Service: web, Destination: server}, 0},
		{ipvs.Step{Action: ipvs.AddDestination, Service: web, Destination: server}, syscall.EEXIST},
		{ipvs.Step{Action: ipvs.DeleteDestination, Service: web, Destination: server}, 0},
		{ipvs.Step{Action: ipvs.DeleteDestination, Service: web, Destination: server}, syscall.ENOENT},
		{ipvs.Step{Action: ipvs.DeleteService, Service: other}, syscall.ESRCH},
		{ipvs.Step{Action: ipvs.DeleteService, Service: web}, 0},
	} {
		err := k.Execute(t.Context(), []ipvs.Step{tt.step})[0]
		if (tt.want == 0) != (err == nil) || (err != nil && (!errors.Is(err, tt.want) || !ipvs.IsRefusal(err))) {
			t.Errorf("step %d, %s: got error %v, want %d", i, tt.step, err, tt.want)
		}
	}
	if table, err := k.Table(t.Context()); err != nil || len(table) != 0 {
		t.Errorf("got %v, %v, want an empty table", table, err)
	}
	if n := len(k.Steps()); n != 4 {
		t.Errorf("%d steps were carried out, want 4", n)
	}
}

func TestInjectedErrors(t *testing.T) {
	mark := ipvs.Service{ServiceKey: ipvs.ServiceByMark(ipvs.IPv4, 1), Scheduler: "rr"}
	k := New(ipvs.ServiceState{Service: mark})
	k.Fail = func(ipvs.Step) syscall.Errno { return syscall.EPERM }
	if err := k.Execute(t.Context(), []ipvs.Step{{Action: ipvs.DeleteService, Service: mark}})[0]; !errors.Is(err, syscall.EPERM) {
		t.Errorf("got error %v, want EPERM", err)
	}
	k.Lost = errors.New("no connection")
	if _, err := k.Table(t.Context()); !errors.Is(err, k.Lost) {
		t.Errorf("got error %v, want %v", err, k.Lost)
	}
	if err := k.SetTimeouts(t.Context(), ipvs.Timeouts{TCP: 1}); !errors.Is(err, k.Lost) {
		t.Errorf("got error %v, want %v", err, k.Lost)
	}
	k.Lost = nil
	if err := k.SetTimeouts(t.Context(), ipvs.Timeouts{TCP: 1}); err != nil {
		t.Error(err)
	}
	if got, err := k.Timeouts(t.Context()); err != nil || got != (ipvs.Timeouts{TCP: 1, TCPFin: 120, UDP: 300}) {
		t.Errorf("got %+v, %v", got, err)
	}
	k.Edit(func([]ipvs.ServiceState) []ipvs.ServiceState { return nil })
	if got, err := k.Lookup(t.Context(), []ipvs.ServiceKey{mark.ServiceKey}); err != nil || len(got) != 0 {
		t.Errorf("got %v, %v, want nothing", got, err)
	}
}

func TestCounters(t *testing.T) {
	state := func(mark uint32) ipvs.ServiceState {
		return ipvs.ServiceState{
			Service:      ipvs.Service{ServiceKey: ipvs.ServiceByMark(ipvs.IPv4, mark)},
			Stats:        ipvs.Stats{Connections: 5},
			Destinations: []ipvs.DestinationState{{Stats: ipvs.Stats{Connections: 5}}},
		}
	}
	connections := func(k *Kernel) (list []uint64) {
		table, err := k.Table(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range table {
			list = append(list, s.Stats.Connections, s.Destinations[0].Stats.Connections)
		}
		return list
	}
	k := New(state(1), state(2))
	if err := k.Zero(t.Context(), ipvs.ServiceByMark(ipvs.IPv4, 3)); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("got error %v, want ESRCH", err)
	}
	if err := k.Zero(t.Context(), ipvs.ServiceByMark(ipvs.IPv4, 1)); err != nil {
		t.Error(err)
	}
	if got := connections(k); !slices.Equal(got, []uint64{0, 0, 5, 5}) {
		t.Errorf("after zeroing one: got %v", got)
	}
	if err := k.ZeroAll(t.Context()); err != nil {
		t.Error(err)
	}
	if got := connections(k); !slices.Equal(got, []uint64{0, 0, 0, 0}) {
		t.Errorf("after zeroing all: got %v", got)
	}
	if err := k.Flush(t.Context()); err != nil || len(connections(k)) > 0 {
		t.Errorf("after a flush: got error %v and a table", err)
	}
	if info, err := k.Info(t.Context()); err != nil || info.Version == 0 {
		t.Errorf("got %+v, %v", info, err)
	}
}
