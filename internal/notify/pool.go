package notify

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// PoolState is the state of a virtual service, which is up while it has its quorum, or of one of its real servers.
type PoolState struct {
	Service string
	Key     ipvs.ServiceKey
	Server  *ipvs.DestinationKey // nil: the service
	Up      bool
	First   bool // the first known state
	Assumed bool // a server that is used before its first check
	Reason  string
}

// serverName returns a server's name in messages and among the receivers. A service's is its own.
func serverName(service string, server ipvs.DestinationKey) string {
	return service + "/" + netip.AddrPortFrom(server.Address, server.Port).String()
}

func (p *PoolState) name() string {
	if p.Server != nil {
		return serverName(p.Service, *p.Server)
	}
	return p.Service
}

func (p *PoolState) kind() string {
	if p.Server != nil {
		return "SERVER"
	}
	return "SERVICE"
}

func stateOf(up bool) string {
	if up {
		return stateUp
	}
	return stateDown
}

// line returns a line in the format of keepalived's FIFO (keepalived/check/ipwrapper.c, notify_fifo_vs and notify_fifo_rs).
func (p *PoolState) line(state string) string {
	service := fmt.Sprintf("FWM %d", p.Key.Mark)
	if p.Key.Address.IsValid() {
		service = p.trio(p.Key.Address, p.Key.Port)
	}
	if p.Server == nil {
		return fmt.Sprintf("VS %s %s\n", service, state)
	}
	return fmt.Sprintf("RS %s %s %s\n", p.trio(p.Server.Address, p.Server.Port), service, state)
}

// trio formats an endpoint as keepalived does (lib/utils.c, inet_sockaddrtotrio).
func (p *PoolState) trio(address netip.Addr, port uint16) string {
	protocol := "none"
	if p.Key.Protocol != 0 {
		protocol = p.Key.Protocol.String()
	}
	return fmt.Sprintf("[%s]:%s:%d", address, protocol, port)
}

func (p *PoolState) sentence(state string) string {
	text := fmt.Sprintf("service %s is %s", p.Service, state)
	if p.Server != nil {
		text = fmt.Sprintf("real server %s of %s is %s", netip.AddrPortFrom(p.Server.Address, p.Server.Port), p.Service, state)
	}
	if p.Reason != "" {
		text += ": " + p.Reason
	}
	return text
}

// chosen reports whether a receiver of all subjects is for the subject of a message.
func (m Message) chosen(events []string) bool {
	event := config.EventVRRP
	switch {
	case m.Pool == nil:
	case m.Pool.Server != nil:
		event = config.EventServer
	default:
		event = config.EventService
	}
	return len(events) == 0 || slices.Contains(events, event)
}

// upFromStart reports whether a service or server is up since the start, which is not news.
func (m Message) upFromStart() bool { return m.Pool != nil && m.Pool.First && m.Pool.Up }

// Pool passes the new state of a service or real server to its receivers. Such messages are not repeated by the next process, which
// begins with the state that it finds.
func (n *Notifier) Pool(at time.Time, p PoolState) {
	m := Message{Transition: vrrp.Transition{Time: at, Instance: p.name()}, State: stateOf(p.Up), Pool: &p}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, q := range n.forAll {
		q.put(m)
	}
	q := n.queues[scriptsOf(m.subject())]
	if q == nil {
		delete(n.up, p.name())
		return
	}
	n.up[p.name()] = p
	q.put(m)
}

// stopPools sends DOWN for what is up to the scripts with at_stop. The caller holds the lock.
func (n *Notifier) stopPools() {
	for _, q := range n.queues {
		s, ok := q.receiver.(*scripts)
		if !ok || !s.pool || !s.config.AtStop {
			continue
		}
		if p := n.up[s.name]; p.Up {
			p.Up, p.Reason = false, "lvs-ha stops"
			q.put(Message{Transition: vrrp.Transition{Time: time.Now(), Instance: s.name}, State: stateDown, Pool: &p})
		}
	}
}

// addPools adds the receivers of services and real servers.
func (n *Notifier) addPools(cfg *config.Config, add func(name string, setting any, make func() receiver)) {
	script := func(name string, c *config.Notify) {
		if s := (subject{name: name, pool: true}); c != nil {
			add(scriptsOf(s), *c, func() receiver { return &scripts{s, *c, n.Run, n.Logger} })
		}
	}
	for _, vs := range cfg.Services {
		script(vs.Name, vs.Notify)
		for _, rs := range vs.RealServers {
			script(serverName(vs.Name, rs.DestinationKey), rs.Notify)
		}
	}
}

// scriptsOf returns the name of the receiver with the scripts of a service or real server.
func scriptsOf(s subject) string { return "notify pool " + s.name }
