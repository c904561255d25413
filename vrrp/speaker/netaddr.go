package speaker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// kernelAddresses changes the addresses of this network namespace's interfaces.
type kernelAddresses struct {
	handle routes
	close  func()
	table  *interfaceTable // of the last List, reused by the next
}

// routeHandle reads links with a handle, and reads and writes addresses with a batcher. It belongs to one goroutine.
type routeHandle struct {
	*netlink.Handle
	batch *batcher
}

func openRouteHandle() (routeHandle, error) {
	h, err := host.Open(netlinkTimeout)
	if err != nil {
		return routeHandle{}, err
	}
	b, err := newBatcher()
	if err != nil {
		h.Close()
		return routeHandle{}, err
	}
	return routeHandle{h, b}, nil
}

// Close closes the sockets.
func (h routeHandle) Close() {
	h.Handle.Close()
	h.batch.close()
}

func newKernelAddresses() (*kernelAddresses, error) {
	h, err := openRouteHandle()
	if err != nil {
		return nil, err
	}
	return &kernelAddresses{handle: h, close: h.Close, table: newInterfaceTable()}, nil
}

func (k *kernelAddresses) Close() { k.close() }

// addressChange adds an address to an interface or removes it.
type addressChange struct {
	remove    bool
	index     int // of the interface
	address   vrrp.Address
	tentative bool // subject to duplicate address detection
}

// Change carries out changes in one system call.
func (h routeHandle) Change(changes []addressChange) []error {
	requests := make([]*nl.NetlinkRequest, len(changes))
	for i := range changes {
		requests[i] = addressRequest(&changes[i])
	}
	return h.batch.once(requests)
}

// Addresses calls found with each address of all interfaces. The list of the netlink package takes a kilobyte of garbage for
// each of a thousand addresses, every few seconds.
func (h routeHandle) Addresses(found func(index int, p netip.Prefix, flags int)) error {
	request := nl.NewNetlinkRequest(unix.RTM_GETADDR, 0)
	request.AddData(nl.NewIfAddrmsg(unix.AF_UNSPEC))
	return h.batch.dump(request, func(data []byte) {
		if index, p, flags, ok := parseAddress(data); ok {
			found(index, p, flags)
		}
	})
}

// parseAddress reads an address message. That of an address with a peer is the local one, with its full length.
func parseAddress(b []byte) (index int, p netip.Prefix, flags int, ok bool) {
	if len(b) < unix.SizeofIfAddrmsg {
		return 0, p, 0, false
	}
	bits := int(b[1])
	index, flags = int(binary.NativeEndian.Uint32(b[4:])), int(b[2])
	var local, address netip.Addr
	for kind, value := range attributes(b[unix.SizeofIfAddrmsg:]) {
		switch kind {
		case unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(value)
		case unix.IFA_ADDRESS:
			address, _ = netip.AddrFromSlice(value)
		case unix.IFA_FLAGS:
			flags = int(uint32Of(value))
		}
	}
	if local.IsValid() && local != address {
		address, bits = local, local.BitLen()
	}
	p = netip.PrefixFrom(address, bits)
	return index, p, flags, p.IsValid()
}

// placement is an address with the index of its interface.
type placement struct {
	index   int
	address vrrp.Address
}

// Add adds addresses to interfaces and returns the error of each. It is not an error if one is already present.
func (k *kernelAddresses) Add(list []placement) []error {
	errs := retryEach(len(list), func(numbers []int) []error {
		changes := make([]addressChange, len(numbers))
		for n, i := range numbers {
			changes[n] = addressChange{index: list[i].index, address: list[i].address}
		}
		return k.handle.Change(changes)
	})
	for i, err := range errs {
		if errors.Is(err, unix.EEXIST) {
			errs[i] = nil
		} else if err != nil {
			errs[i] = fmt.Errorf("add address: %w", err)
		}
	}
	return errs
}

// one carries out a change.
func (k *kernelAddresses) one(c addressChange) error { return k.handle.Change([]addressChange{c})[0] }

// Try returns the error that Add would return, without a lasting effect. An IPv6 address is added as a tentative one, which
// the kernel does not answer for; an IPv4 address is usable until Try removes it. An address that is already present is
// not an error and is kept.
func (k *kernelAddresses) Try(index int, a vrrp.Address) error {
	err := k.one(addressChange{index: index, address: a, tentative: true})
	switch {
	case errors.Is(err, unix.EEXIST):
		return nil
	case transient(err): // it may have been added
		return errors.Join(fmt.Errorf("add address: %w", err), k.Remove(index, a))
	case err != nil:
		return fmt.Errorf("add address: %w", err)
	}
	return k.Remove(index, a)
}

// Serves reports whether the kernel accepts packets to an address as its own. For IPv6 this is the case only some time
// after Add returns, when a kernel worker has completed the change. Other interfaces may have the same link-local address.
func (k *kernelAddresses) Serves(at placed) bool {
	addr := at.Prefix.Addr()
	var options netlink.RouteGetOptions
	if addr.IsLinkLocalUnicast() {
		options.Oif = at.Interface
	}
	routes, err := k.handle.RouteGetWithOptions(addr.AsSlice(), &options)
	return err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL
}

// Remove removes an address from an interface. It is not an error if the address or the interface is missing.
func (k *kernelAddresses) Remove(index int, a vrrp.Address) error {
	err := retryTransient(func() error { return k.one(addressChange{remove: true, index: index, address: a}) })
	if err == nil || errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) {
		return nil
	}
	return fmt.Errorf("remove address %s: %w%s", a.Prefix, err, capabilityHint(err, "CAP_NET_ADMIN"))
}

// List returns the addresses of all interfaces by index. It omits interfaces that are set down.
func (k *kernelAddresses) List() (map[int][]ifAddress, error) {
	t := k.table
	if err := t.read(k.handle); err != nil {
		return nil, err
	}
	out := make(map[int][]ifAddress, len(t.links))
	for index, l := range t.links {
		if l.Up {
			out[index] = t.addresses[index]
		}
	}
	return out, nil
}

// addressRequest returns the request of a change.
func addressRequest(c *addressChange) *nl.NetlinkRequest {
	a := &c.address
	local, bits := a.Prefix.Addr(), a.Prefix.Bits()
	request := nl.NewNetlinkRequest(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	if c.remove {
		request = nl.NewNetlinkRequest(unix.RTM_DELADDR, 0)
	}
	message := nl.NewIfAddrmsg(int(familyNumber(local)))
	message.Index, message.Prefixlen, message.Scope = uint32(c.index), uint8(bits), scopes[a.Scope]
	request.AddData(message)
	far := local
	if a.Peer.IsValid() {
		far = a.Peer
	}
	request.AddData(nl.NewRtAttr(unix.IFA_LOCAL, local.AsSlice()))
	request.AddData(nl.NewRtAttr(unix.IFA_ADDRESS, far.AsSlice()))
	if c.remove { // without the label: another program may have set it again without
		return request
	}
	if broadcast := broadcastOf(a); broadcast.IsValid() {
		request.AddData(nl.NewRtAttr(unix.IFA_BROADCAST, broadcast.AsSlice()))
	}
	if a.Label != "" {
		request.AddData(nl.NewRtAttr(unix.IFA_LABEL, nl.ZeroTerminated(a.Label)))
	}
	flags := uint32(0)
	if a.NoPrefixRoute {
		flags |= unix.IFA_F_NOPREFIXROUTE
	}
	if local.Is6() && !c.tentative {
		// Usable immediately: duplicate address detection would find the old master, which is about to leave.
		flags |= unix.IFA_F_NODAD
	}
	if flags != 0 {
		request.AddData(nl.NewRtAttr(unix.IFA_FLAGS, nl.Uint32Attr(flags)))
	}
	if a.Deprecated || local.Is6() && a.Prefix.IsSingleIP() && !a.Preferred {
		// The kernel does not choose the address as a source.
		lifetime := nl.IfaCacheInfo{IfaCacheinfo: unix.IfaCacheinfo{Valid: math.MaxUint32, Prefered: 0}}
		request.AddData(nl.NewRtAttr(unix.IFA_CACHEINFO, lifetime.Serialize()))
	}
	return request
}

// broadcastOf returns an address's broadcast address: the configured one, or the network's if it has one (RFC 3021).
func broadcastOf(a *vrrp.Address) netip.Addr {
	local := a.Prefix.Addr()
	switch {
	case !local.Is4() || a.Broadcast.IsValid() && a.Broadcast.IsUnspecified():
		return netip.Addr{}
	case a.Broadcast.IsValid():
		return a.Broadcast
	case a.Prefix.Bits() >= 31:
		return netip.Addr{}
	}
	b := local.As4()
	number := binary.BigEndian.Uint32(b[:]) | ^uint32(0)>>a.Prefix.Bits()
	binary.BigEndian.PutUint32(b[:], number)
	return netip.AddrFrom4(b)
}

// scopes are numbered in linux/rtnetlink.h.
var scopes = map[vrrp.Scope]uint8{
	"": unix.RT_SCOPE_UNIVERSE, vrrp.ScopeGlobal: unix.RT_SCOPE_UNIVERSE, vrrp.ScopeSite: unix.RT_SCOPE_SITE,
	vrrp.ScopeLink: unix.RT_SCOPE_LINK, vrrp.ScopeHost: unix.RT_SCOPE_HOST,
}
