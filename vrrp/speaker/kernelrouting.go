package speaker

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// routeProtocol marks the routes and rules that lvs-ha sets: VRRP's protocol number, which neither linux/rtnetlink.h nor
// iproute2's rt_protos assigns to another program. Others are never changed.
const routeProtocol = vrrp.Protocol

// entry is a route or a rule to be set.
type entry struct {
	route *vrrp.Route
	rule  *vrrp.Rule // if route is nil
}

func (e entry) key() string {
	if e.route != nil {
		return e.route.Key()
	}
	return e.rule.Key()
}

func (e entry) String() string {
	if e.route != nil {
		return "route " + e.route.String()
	}
	return "rule " + e.rule.String()
}

// kernelRouting changes the routes and rules of this network namespace that have routeProtocol.
type kernelRouting struct {
	batch *batcher
	index func(name string) int // of an interface; 0 if it is missing
}

var errForeign = errors.New("another program has set the same one; remove it, or change the metric or priority")

// Set sets entries and returns the error of each. One that is already present is not an error; one of ours that differs is
// replaced.
func (k *kernelRouting) Set(entries []entry) []error {
	requests := make([]*nl.NetlinkRequest, len(entries))
	errs := make([]error, len(entries))
	var open []int
	for i, e := range entries {
		if requests[i], errs[i] = k.addition(e); errs[i] == nil {
			open = append(open, i)
		}
	}
	var doubtful []int
	for n, err := range k.batch.run(pick(requests, open)) {
		errs[open[n]] = err
		if errors.Is(err, unix.EEXIST) {
			doubtful = append(doubtful, open[n])
		}
	}
	if len(doubtful) == 0 {
		return errs
	}
	present, err := k.List()
	var replace []int
	for _, i := range doubtful {
		switch ours, known := present[entries[i].key()]; {
		case err != nil:
			errs[i] = err
		case !known:
			errs[i] = errForeign
		case ours.satisfies(entries[i], k.index):
			errs[i] = nil
		default:
			replace = append(replace, i)
		}
	}
	for _, i := range replace {
		// Deleted and added in one write.
		both := k.batch.run([]*nl.NetlinkRequest{deletion(entries[i]), requests[i]})
		errs[i] = both[1]
	}
	return errs
}

// Unset removes entries. It is not an error if they are absent.
func (k *kernelRouting) Unset(entries []entry) error {
	var requests []*nl.NetlinkRequest
	for _, e := range entries {
		requests = append(requests, deletion(e))
	}
	var errs []error
	for i, err := range k.batch.run(requests) {
		if err != nil && !errors.Is(err, unix.ESRCH) && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENODEV) {
			errs = append(errs, fmt.Errorf("remove %s: %w%s", entries[i], err, capabilityHint(err, "CAP_NET_ADMIN")))
		}
	}
	return errors.Join(errs...)
}

var errNoInterface = errors.New(noInterface)

// addition returns the request that sets an entry.
func (k *kernelRouting) addition(e entry) (*nl.NetlinkRequest, error) {
	if e.route == nil {
		return ruleRequest(unix.RTM_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, e.rule), nil
	}
	r := e.route
	request, message := routeRequest(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, r)
	message.Type, message.Scope = verdicts[r.Verdict], routeScope(r)
	if r.Source.IsValid() {
		request.AddData(nl.NewRtAttr(unix.RTA_PREFSRC, r.Source.AsSlice()))
	}
	if metrics := pathMetrics(r); metrics != nil {
		request.AddData(metrics)
	}
	if len(r.NextHops) == 0 {
		if r.OnLink {
			message.Flags |= unix.RTNH_F_ONLINK
		}
		index, err := k.reach(r.Interface)
		if err != nil {
			return nil, err
		}
		if index != 0 {
			request.AddData(nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(uint32(index))))
		}
		if r.Via.IsValid() {
			request.AddData(nl.NewRtAttr(unix.RTA_GATEWAY, r.Via.AsSlice()))
		}
		return request, nil
	}
	var hops []byte
	for _, h := range r.NextHops {
		index, err := k.reach(h.Interface)
		if err != nil {
			return nil, err
		}
		hop := &nl.RtNexthop{RtNexthop: unix.RtNexthop{Ifindex: int32(index), Hops: uint8(max(h.Weight, 1) - 1)}}
		if h.OnLink {
			hop.Flags |= unix.RTNH_F_ONLINK
		}
		if h.Via.IsValid() {
			hop.Children = []nl.NetlinkRequestData{nl.NewRtAttr(unix.RTA_GATEWAY, h.Via.AsSlice())}
		}
		hops = append(hops, hop.Serialize()...)
	}
	request.AddData(nl.NewRtAttr(unix.RTA_MULTIPATH, hops))
	return request, nil
}

// pathMetrics returns the attribute with a route's MTU and other metrics, or nil if it has none.
func pathMetrics(r *vrrp.Route) *nl.RtAttr {
	if r.MTU == 0 && len(r.PathMetrics) == 0 {
		return nil
	}
	metrics := nl.NewRtAttr(unix.RTA_METRICS, nil)
	if r.MTU != 0 {
		metrics.AddRtAttr(unix.RTAX_MTU, nl.Uint32Attr(r.MTU))
	}
	for _, name := range slices.Sorted(maps.Keys(r.PathMetrics)) {
		metrics.AddRtAttr(int(vrrp.PathMetrics[name].Number), nl.Uint32Attr(r.PathMetrics[name]))
	}
	return metrics
}

// reach returns the index of an interface, 0 if there is no name.
func (k *kernelRouting) reach(name string) (int, error) {
	if name == "" {
		return 0, nil
	}
	if index := k.index(name); index != 0 {
		return index, nil
	}
	return 0, fmt.Errorf("%s: %w", name, errNoInterface)
}

// verdicts are numbered in linux/rtnetlink.h, and equally for rules in linux/fib_rules.h.
var verdicts = map[vrrp.Verdict]uint8{
	vrrp.Forward: unix.RTN_UNICAST, vrrp.Blackhole: unix.RTN_BLACKHOLE, vrrp.Unreachable: unix.RTN_UNREACHABLE, vrrp.Prohibit: unix.RTN_PROHIBIT,
}

// routeScope returns the scope of a route, as ip-route(8) chooses it.
func routeScope(r *vrrp.Route) uint8 {
	switch {
	case r.Destination.Addr().Is6():
		return unix.RT_SCOPE_UNIVERSE
	case r.Scope != "":
		return scopes[r.Scope]
	case r.Verdict == vrrp.Forward && !r.Via.IsValid() && len(r.NextHops) == 0:
		return unix.RT_SCOPE_LINK
	}
	return unix.RT_SCOPE_UNIVERSE
}

func deletion(e entry) *nl.NetlinkRequest {
	if e.route == nil {
		return ruleRequest(unix.RTM_DELRULE, 0, e.rule)
	}
	request, message := routeRequest(unix.RTM_DELROUTE, 0, e.route)
	message.Scope = unix.RT_SCOPE_NOWHERE // any
	return request
}

// routeRequest returns a request with what identifies a route.
func routeRequest(kind, flags int, r *vrrp.Route) (*nl.NetlinkRequest, *nl.RtMsg) {
	request := nl.NewNetlinkRequest(kind, flags)
	message := &nl.RtMsg{RtMsg: unix.RtMsg{
		Family: familyNumber(r.Destination.Addr()), Dst_len: uint8(r.Destination.Bits()), Table: shortTable(r.InTable()), Protocol: routeProtocol,
	}}
	request.AddData(message)
	if r.Destination.Bits() > 0 {
		request.AddData(nl.NewRtAttr(unix.RTA_DST, r.Destination.Addr().AsSlice()))
	}
	request.AddData(nl.NewRtAttr(unix.RTA_TABLE, nl.Uint32Attr(r.InTable())))
	if m := r.EffectiveMetric(); m != 0 {
		request.AddData(nl.NewRtAttr(unix.RTA_PRIORITY, nl.Uint32Attr(m)))
	}
	return request, message
}

// shortTable returns the table for a field of one byte; a larger number is only in an attribute.
func shortTable(table uint32) uint8 {
	if table > 255 {
		return unix.RT_TABLE_UNSPEC
	}
	return uint8(table)
}

func familyNumber(a netip.Addr) uint8 {
	if a.Is6() {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

// ruleRequest returns a request with a complete rule.
func ruleRequest(kind, flags int, r *vrrp.Rule) *nl.NetlinkRequest {
	request := nl.NewNetlinkRequest(kind, flags)
	message := &nl.RtMsg{RtMsg: unix.RtMsg{Family: unix.AF_INET, Table: shortTable(r.Table), Type: verdicts[r.Verdict]}}
	if r.Family == vrrp.IPv6 {
		message.Family = unix.AF_INET6
	}
	request.AddData(message)
	attribute := func(kind int, value []byte) { request.AddData(nl.NewRtAttr(kind, value)) }
	attribute(nl.FRA_PRIORITY, nl.Uint32Attr(r.Priority))
	attribute(nl.FRA_PROTOCOL, nl.Uint8Attr(routeProtocol))
	if r.From.IsValid() && r.From.Bits() > 0 {
		message.Src_len = uint8(r.From.Bits())
		attribute(nl.FRA_SRC, r.From.Addr().AsSlice())
	}
	if r.To.IsValid() && r.To.Bits() > 0 {
		message.Dst_len = uint8(r.To.Bits())
		attribute(nl.FRA_DST, r.To.Addr().AsSlice())
	}
	if r.Table != 0 {
		attribute(nl.FRA_TABLE, nl.Uint32Attr(r.Table))
	}
	if r.Mask != 0 {
		attribute(nl.FRA_FWMARK, nl.Uint32Attr(r.Mark))
		attribute(nl.FRA_FWMASK, nl.Uint32Attr(r.Mask))
	}
	if r.InputInterface != "" {
		attribute(nl.FRA_IIFNAME, nl.ZeroTerminated(r.InputInterface))
	}
	if r.OutputInterface != "" {
		attribute(nl.FRA_OIFNAME, nl.ZeroTerminated(r.OutputInterface))
	}
	return request
}

// kernelEntry is a route or rule of ours that the kernel has.
type kernelEntry struct {
	entry
	index int   // of the route's interface
	hops  []int // indexes of the next hops' interfaces
	scope uint8
}

// satisfies reports whether the kernel's entry is the wanted one.
func (p *kernelEntry) satisfies(want entry, index func(string) int) bool {
	if want.route == nil {
		return true // the key of a rule is the whole rule
	}
	w, r := want.route, p.route
	at := func(name string, actual int) bool { return name == "" || index(name) == actual }
	if r.Verdict != w.Verdict || r.Via != w.Via || w.Source.IsValid() && r.Source != w.Source || r.MTU != w.MTU || !maps.Equal(r.PathMetrics, w.PathMetrics) || p.scope != routeScope(w) ||
		!at(w.Interface, p.index) || len(r.NextHops) != len(w.NextHops) {
		return false
	}
	for i, h := range w.NextHops {
		if r.NextHops[i].Via != h.Via || r.NextHops[i].Weight != max(h.Weight, 1) || !at(h.Interface, p.hops[i]) {
			return false
		}
	}
	return true
}

// Satisfies reports whether the kernel's entry is the wanted one.
func (k *kernelRouting) Satisfies(present kernelEntry, want entry) bool {
	return present.satisfies(want, k.index)
}

// List returns the routes and rules of ours by key.
func (k *kernelRouting) List() (map[string]kernelEntry, error) {
	out := map[string]kernelEntry{}
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		err := retryTransient(func() error {
			request := nl.NewNetlinkRequest(unix.RTM_GETROUTE, 0)
			request.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: family, Protocol: routeProtocol}})
			return k.batch.dump(request, func(b []byte) {
				if found, ok := parseRoute(b); ok {
					out[found.key()] = found
				}
			})
		})
		if err != nil {
			return nil, fmt.Errorf("list routes: %w", err)
		}
		err = retryTransient(func() error {
			request := nl.NewNetlinkRequest(unix.RTM_GETRULE, 0)
			request.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: family}})
			return k.batch.dump(request, func(b []byte) {
				if found, ok := parseRule(b); ok {
					out[found.key()] = found
				}
			})
		})
		if err != nil {
			return nil, fmt.Errorf("list routing rules: %w", err)
		}
	}
	return out, nil
}
