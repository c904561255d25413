package config

import (
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// serviceBlock is a `virtual_service` block.
type serviceBlock struct {
	At             hcl.Range            `hcl:",def_range"`
	Name           attr[string]         `hcl:"name,label"`
	Address        attr[endpoint]       `hcl:"address,optional" unset:"none: mark is required"`
	Mark           attr[int64]          `hcl:"mark,optional" unset:"none: address is required" range:"1..4294967295"`
	Family         attr[string]         `hcl:"family,optional" unset:"that of address; with mark ipv4" oneof:"ipv4|ipv6"`
	Protocol       attr[string]         `hcl:"protocol,optional" unset:"tcp; with mark all" oneof:"tcp|udp|sctp"`
	Scheduler      attr[string]         `hcl:"scheduler,optional" default:"wlc" oneof:"rr|wrr|lc|wlc|lblc|lblcr|dh|sh|sed|nq|fo|ovf|mh|twos"`
	SchedulerFlags attr[[]item[string]] `hcl:"scheduler_flags,optional" unset:"none" oneof:"sh-fallback|sh-port|mh-fallback|mh-port|flag-1|flag-2|flag-3"`
	Forwarding     attr[string]         `hcl:"forwarding,optional" default:"dr" oneof:"nat|dr|tun"`
	OnePacket      attr[bool]           `hcl:"one_packet,optional" default:"false"`
	RequiredChecks attr[string]         `hcl:"required_checks,optional" default:"all" holds:"all, any, or a number"`
	OnFailure      attr[string]         `hcl:"on_failure,optional" default:"remove" oneof:"remove|weight"`
	MinUp          attr[string]         `hcl:"min_up,optional" unset:"none" holds:"a number, or a percentage as \"30%\""`
	SlowStart      attr[time.Duration]  `hcl:"slow_start,optional" default:"0s" range:"0s..24h"`
	Linger         attr[time.Duration]  `hcl:"linger,optional" unset:"2s; 0s if that is not possible, and with udp" range:"0s..24h"`
	CheckOn        attr[string]         `hcl:"check_on,optional" default:"all" oneof:"all|master"`
	Init           attr[string]         `hcl:"init,optional" default:"down" oneof:"down|up"`

	Persistence  *persistenceBlock   `hcl:"persistence,block"`
	Notify       *poolNotifyBlock    `hcl:"notify,block"`
	Quorum       *quorumBlock        `hcl:"quorum,block"`
	HealthChecks []*healthCheckBlock `hcl:"health_check,block"`
	RealServers  []*realServerBlock  `hcl:"real_server,block"`
	SorryServers []*realServerBlock  `hcl:"sorry_server,block"`
	Discover     []*discoverBlock    `hcl:"discover,block"`
}

// servers returns the blocks of real servers and sorry servers.
func (b *serviceBlock) servers() []*realServerBlock {
	if len(b.SorryServers) == 0 {
		return b.RealServers
	}
	return slices.Concat(b.RealServers, b.SorryServers)
}

// settings returns the blocks with settings of servers: those of servers(), and the settings of discovered ones.
func (b *serviceBlock) settings() []*realServerBlock {
	list := b.servers()
	if len(b.Discover) == 0 {
		return list
	}
	list = slices.Clone(list)
	for _, d := range b.Discover {
		list = append(list, d.server())
	}
	return list
}

func (b *serviceBlock) pool() Pool {
	p := Pool{Quorum: b.Quorum.config(), SlowStart: b.SlowStart.value, Linger: b.linger()}
	p.MinUp, _ = parseMinUp(b.MinUp.value)
	if b.Init.value == InitUp {
		p.Init = InitUp
	}
	if b.CheckOn.value == OnMaster {
		p.CheckOn = OnMaster
	}
	return p
}

// defaultLinger is how long a removed server keeps its connections. It is longer than most requests.
const defaultLinger = 2 * time.Second

// linger returns how long a removed server keeps its connections. The packets of a UDP flow must go to another server at once, while
// answers pass in any case.
func (b *serviceBlock) linger() time.Duration {
	switch {
	case b.Linger.isSet():
		return b.Linger.value
	case b.protocol() == "udp" || !b.service().Quiesces():
		return 0
	}
	return defaultLinger
}

// quorumBlock is a `quorum` block within a `virtual_service` block.
type quorumBlock struct {
	At         hcl.Range   `hcl:",def_range"`
	Servers    attr[int64] `hcl:"servers,optional" unset:"1, or weight" range:"1..65535"`
	Weight     attr[int64] `hcl:"weight,optional" unset:"servers" range:"1..4294967295"`
	Hysteresis attr[int64] `hcl:"hysteresis,optional" default:"0" range:"0..4294967295"`
}

func (b *quorumBlock) config() Quorum {
	if b == nil {
		return Quorum{}
	}
	q := Quorum{Servers: int(b.Servers.value), Weight: uint64(b.Weight.value), Hysteresis: uint64(b.Hysteresis.value)}
	if q.Servers == 0 && q.Weight == 0 {
		q.Servers = 1
	}
	return q
}

// persistenceBlock is a `persistence` block within a `virtual_service` block.
type persistenceBlock struct {
	At      hcl.Range           `hcl:",def_range"`
	Timeout attr[time.Duration] `hcl:"timeout,optional" default:"5m" range:"1s..744h"`
	Netmask attr[netip.Addr]    `hcl:"netmask,optional" unset:"each client" holds:"an IPv4 mask"`
	Prefix  attr[int64]         `hcl:"prefix,optional" unset:"each client" holds:"1 to 32 with IPv4, 1 to 128 with IPv6"`
	Engine  attr[string]        `hcl:"engine,optional" unset:"none" oneof:"sip"`
}

// realServerBlock is a `real_server` or `sorry_server` block within a `virtual_service` block. The kernel stores weights as signed numbers
// of 32 bits (include/net/ip_vs.h); ipvsadm itself writes at most 65535.
type realServerBlock struct {
	At             hcl.Range      `hcl:",def_range"`
	Address        attr[endpoint] `hcl:"address,label"`
	Weight         attr[int64]    `hcl:"weight,optional" default:"1" range:"0..2147483647"`
	Forwarding     attr[string]   `hcl:"forwarding,optional" unset:"that of the virtual_service" oneof:"nat|dr|tun"`
	UpperThreshold attr[int64]    `hcl:"upper_threshold,optional" default:"0" range:"0..4294967295"`
	LowerThreshold attr[int64]    `hcl:"lower_threshold,optional" default:"0" range:"0..4294967295"`
	OnFailure      attr[string]   `hcl:"on_failure,optional" unset:"that of the virtual_service" oneof:"remove|weight"`
	Init           attr[string]   `hcl:"init,optional" unset:"that of the virtual_service" oneof:"down|up"`

	Notify       *poolNotifyBlock    `hcl:"notify,block"`
	Tunnel       *tunnelBlock        `hcl:"tunnel,block"`
	HealthChecks []*healthCheckBlock `hcl:"health_check,block"`
}

// tunnelBlock is a `tunnel` block within a `real_server` block.
type tunnelBlock struct {
	At       hcl.Range    `hcl:",def_range"`
	Type     attr[string] `hcl:"type,optional" default:"ipip" oneof:"ipip|gue|gre"`
	Port     attr[int64]  `hcl:"port,optional" unset:"none: gue requires one" range:"1..65535"`
	Checksum attr[string] `hcl:"checksum,optional" default:"nocsum" oneof:"nocsum|csum|remcsum"`
}

// family returns a service's address family in the terms of the language.
func (b *serviceBlock) family() string {
	switch {
	case b.Address.isSet():
		return family(b.Address.value.address)
	case b.Family.isSet():
		return b.Family.value
	}
	return "ipv4"
}

// isByMark reports whether the service is identified by a firewall mark.
func (b *serviceBlock) isByMark() bool { return b.Mark.isSet() && !b.Address.isSet() }

// protocol returns the service's protocol in the terms of the language, "" for all.
func (b *serviceBlock) protocol() string {
	switch {
	case b.Protocol.isSet():
		return b.Protocol.value
	case b.isByMark():
		return ""
	}
	return "tcp"
}

// forwarding returns the method of forwarding packets to a real server of the service.
func (b *serviceBlock) forwarding(server *realServerBlock) *attr[string] {
	if server.Forwarding.state != absent {
		return &server.Forwarding
	}
	return &b.Forwarding
}

// port returns a real server's port, by default the service's.
func (b *serviceBlock) port(server *realServerBlock) uint16 {
	if server.Address.value.hasPort {
		return server.Address.value.port
	}
	return b.Address.value.port
}

// checksOf returns the checks of a real server: its own replace the service's.
func (b *serviceBlock) checksOf(server *realServerBlock) []*healthCheckBlock {
	if len(server.HealthChecks) > 0 {
		return server.HealthChecks
	}
	return b.HealthChecks
}

// parseRequired parses the number of checks that must pass; 0 means all.
func parseRequired(text string) (n int, ok bool) {
	switch text {
	case "all":
		return 0, true
	case "any":
		return 1, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n > 0
}

// key returns the service's key in the kernel.
func (b *serviceBlock) key() ipvs.ServiceKey {
	if b.isByMark() {
		family := ipvs.IPv4
		if b.family() == "ipv6" {
			family = ipvs.IPv6
		}
		return ipvs.ServiceByMark(family, uint32(b.Mark.value))
	}
	protocol, _ := ipvs.ParseProtocol(b.protocol())
	return ipvs.ServiceAt(protocol, netip.AddrPortFrom(b.Address.value.address, b.Address.value.port))
}

// service returns the service as it is in the kernel's table.
func (b *serviceBlock) service() ipvs.Service {
	service := ipvs.Service{ServiceKey: b.key(), Scheduler: b.Scheduler.value, Netmask: hostMask(b.family())}
	for _, flag := range b.SchedulerFlags.value {
		bit, _ := ipvs.ParseFlags(b.Scheduler.value, flag.value)
		service.Flags |= bit
	}
	if b.OnePacket.value {
		service.Flags |= ipvs.FlagOnePacket
	}
	if p := b.Persistence; p != nil {
		service.Flags |= ipvs.FlagPersistent
		service.PersistenceTimeout = seconds(p.Timeout.value)
		service.PersistenceEngine = p.Engine.value
		switch {
		case p.Netmask.isSet():
			service.Netmask = maskBits(p.Netmask.value)
		case p.Prefix.isSet() && b.family() == "ipv6":
			service.Netmask = uint32(p.Prefix.value)
		case p.Prefix.isSet():
			service.Netmask = ^uint32(0) << (32 - p.Prefix.value)
		}
	}
	return service
}

func (b *serviceBlock) config() VirtualService {
	required, _ := parseRequired(b.RequiredChecks.value)
	service := VirtualService{
		Name:      b.Name.value,
		Service:   b.service(),
		OnFailure: OnFailure(b.OnFailure.value),
		Pool:      b.pool(),
		Notify:    b.Notify.config(),
		Checks:    specs(b.HealthChecks),
		Required:  required,
	}
	for _, server := range b.RealServers {
		service.RealServers = append(service.RealServers, b.server(server))
	}
	for _, server := range b.SorryServers {
		sorry := b.server(server)
		sorry.Sorry = true
		service.RealServers = append(service.RealServers, sorry)
	}
	for _, d := range b.Discover {
		service.Discover = append(service.Discover, d.config(b))
	}
	return service
}

func (b *serviceBlock) server(server *realServerBlock) RealServer {
	forward, _ := ipvs.ParseForward(b.forwarding(server).value)
	rs := RealServer{
		Destination: ipvs.Destination{
			DestinationKey: ipvs.DestinationKey{Address: server.Address.value.address, Port: b.port(server)},
			Forward:        forward,
			Weight:         uint32(server.Weight.value),
			UpperThreshold: uint32(server.UpperThreshold.value),
			LowerThreshold: uint32(server.LowerThreshold.value),
		},
		Checks:    specs(server.HealthChecks),
		OnFailure: OnFailure(server.OnFailure.value),
		Init:      server.Init.value,
		Notify:    server.Notify.config(),
	}
	if t := server.Tunnel; t != nil {
		rs.TunnelType, _ = ipvs.ParseTunnelType(t.Type.value)
		rs.TunnelPort = uint16(t.Port.value)
		rs.TunnelFlags, _ = ipvs.ParseTunnelFlags(t.Checksum.value)
	}
	return rs
}

// hostMask is the persistence granularity of single clients.
func hostMask(family string) uint32 {
	if family == "ipv6" {
		return 128
	}
	return ^uint32(0)
}

// maskBits returns an IPv4 mask in host order.
func maskBits(mask netip.Addr) uint32 {
	b := mask.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// isContiguous reports whether a mask is a prefix.
func isContiguous(mask netip.Addr) bool {
	m := maskBits(mask)
	return bits.LeadingZeros32(^m)+bits.TrailingZeros32(m) == 32
}
