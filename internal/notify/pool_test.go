package notify

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

var (
	poolKey    = ipvs.ServiceAt(ipvs.TCP, netip.MustParseAddrPort("192.0.2.10:80"))
	poolServer = ipvs.DestinationKey{Address: netip.MustParseAddr("192.0.2.21"), Port: 8080}
)

// poolConfig has a service and a server with the same scripts as the instance of the same name.
func poolConfig(atStop bool) *config.Config {
	cfg := instances("web")
	cfg.Services = []config.VirtualService{{
		Name: "web", Service: ipvs.Service{ServiceKey: poolKey},
		Notify: &config.Notify{Up: []string{"up"}, Down: []string{"down"}, All: []string{"all"}, AtStop: atStop, Timeout: time.Second},
		RealServers: []config.RealServer{{
			Destination: ipvs.Destination{DestinationKey: poolServer}, Notify: &config.Notify{All: []string{"server"}, Timeout: time.Second},
		}},
	}}
	return cfg
}

func (d *desk) pool(server bool, up bool) {
	p := PoolState{Service: "web", Key: poolKey, Up: up}
	if server {
		p.Server = &poolServer
	}
	d.Pool(time.Now(), p)
	synctest.Wait()
}

func TestPoolScripts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(Progress{})
		d.Update(poolConfig(true))
		d.pool(true, true)
		d.pool(false, true)
		d.wantRan(t, "server SERVER web/192.0.2.21:8080 UP", "up", "all SERVICE web UP")
		d.moves("web", vrrp.Master)
		d.pool(false, false)
		d.wantRan(t, "web-master", "web-all x INSTANCE web MASTER 100", "down", "all SERVICE web DOWN")
		d.pool(false, true)
		d.with(func() { d.ran = nil })
		d.Stop(time.Now().Add(time.Second))
		d.with(func() {
			all := strings.Join(d.ran, ",")
			if !strings.Contains(all, "down,all SERVICE web DOWN") || strings.Contains(all, "server") || !strings.Contains(all, "web STOP") {
				t.Errorf("at the stop, %q ran", all)
			}
		})
	})
}

func TestPoolStopIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(Progress{})
		d.Update(poolConfig(false))
		d.pool(false, true)
		d.with(func() { d.ran = nil })
		d.Stop(time.Now().Add(time.Second))
		d.wantRan(t)
	})
}

// TestPoolLines compares with the formats of keepalived (keepalived/check/ipwrapper.c).
func TestPoolLines(t *testing.T) {
	v6 := ipvs.DestinationKey{Address: netip.MustParseAddr("2001:db8::1"), Port: 53}
	mark := ipvs.ServiceByMark(ipvs.IPv6, 7)
	for _, tt := range []struct {
		p    PoolState
		want string
	}{
		{PoolState{Key: poolKey, Up: true}, "VS [192.0.2.10]:tcp:80 UP\n"},
		{PoolState{Key: poolKey, Server: &poolServer}, "RS [192.0.2.21]:tcp:8080 [192.0.2.10]:tcp:80 DOWN\n"},
		{PoolState{Key: mark}, "VS FWM 7 DOWN\n"},
		{PoolState{Key: mark, Server: &v6, Up: true}, "RS [2001:db8::1]:none:53 FWM 7 UP\n"},
	} {
		m := Message{State: stateOf(tt.p.Up), Pool: &tt.p}
		if got := m.line(); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.p, got, tt.want)
		}
	}
}

func TestChosenEvents(t *testing.T) {
	service, server := Message{Pool: &PoolState{}}, Message{Pool: &PoolState{Server: &poolServer}}
	for _, tt := range []struct {
		events                    []string
		instance, service, server bool
	}{
		{nil, true, true, true},
		{[]string{config.EventVRRP}, true, false, false},
		{[]string{config.EventService, config.EventServer}, false, true, true},
		{[]string{config.EventServer}, false, false, true},
	} {
		got := [3]bool{Message{}.chosen(tt.events), service.chosen(tt.events), server.chosen(tt.events)}
		if want := [3]bool{tt.instance, tt.service, tt.server}; got != want {
			t.Errorf("%v: %v, want %v", tt.events, got, want)
		}
	}
}

// TestFirstState: a webhook and a mail tell of a service or server that is up from the start only when that changes, a FIFO as keepalived does it.
func TestFirstState(t *testing.T) {
	for _, tt := range []struct {
		state      PoolState
		fifo, mail bool
	}{
		{PoolState{First: true}, true, true},
		{PoolState{First: true, Up: true}, true, false},
		{PoolState{First: true, Up: true, Server: &poolServer}, true, false},
		{PoolState{First: true, Up: true, Server: &poolServer, Assumed: true}, false, false},
		{PoolState{First: true, Server: &poolServer, Assumed: true}, true, true},
		{PoolState{Up: true, Server: &poolServer, Assumed: true}, true, true},
	} {
		m := Message{Pool: &tt.state}
		if got := newFIFO(config.NotifyFIFO{}).wants(m); got != tt.fifo {
			t.Errorf("%+v in a FIFO: %v", tt.state, got)
		}
		if got := (&email{}).wants(m); got != tt.mail {
			t.Errorf("%+v in a mail: %v", tt.state, got)
		}
		if got := (&webhook{}).wants(m); got != tt.mail {
			t.Errorf("%+v in a webhook: %v", tt.state, got)
		}
	}
}
