package speaker

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// fakeRoutes simulates an interface with addresses, whose nth call fails.
type fakeRoutes struct {
	addresses map[netip.Prefix]int // the interface of each
	calls     int
	fails     func(n int) error
	done      bool // the failing call takes effect nevertheless: only its reply was lost
}

func (r *fakeRoutes) fail(change func() error) error {
	n := r.calls
	r.calls++
	err := r.fails(n)
	if err != nil && !r.done {
		return err
	}
	if refused := change(); refused != nil {
		return refused
	}
	return err
}

func (r *fakeRoutes) Change(changes []addressChange) []error {
	errs := make([]error, len(changes))
	for i, c := range changes {
		key := c.address.Prefix
		errs[i] = r.fail(func() error {
			_, present := r.addresses[key]
			switch {
			case c.remove && !present:
				return unix.EADDRNOTAVAIL
			case c.remove:
				delete(r.addresses, key)
			case present:
				return unix.EEXIST
			default:
				r.addresses[key] = c.index
			}
			return nil
		})
	}
	return errs
}

func (r *fakeRoutes) LinkList() (list []netlink.Link, err error) {
	err = r.fail(func() error {
		list = []netlink.Link{&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: 2, Name: "eth0", RawFlags: unix.IFF_UP | unix.IFF_RUNNING}}}
		return nil
	})
	return list, err
}

func (r *fakeRoutes) Addresses(found func(index int, p netip.Prefix, flags int)) error {
	return r.fail(func() error {
		for p, index := range r.addresses {
			found(index, p, 0)
		}
		return nil
	})
}

func (r *fakeRoutes) RouteGetWithOptions(net.IP, *netlink.RouteGetOptions) (list []netlink.Route, err error) {
	err = r.fail(func() error { list = []netlink.Route{{Type: unix.RTN_LOCAL}}; return nil })
	return list, err
}

// A temporary error of any route netlink call is retried, whether or not the kernel carried out the request.
func TestAddressChangesSurviveTemporaryErrors(t *testing.T) {
	address := vrrp.Address{Prefix: netip.MustParsePrefix("10.9.0.100/24")}
	for _, fault := range []error{unix.EINTR, unix.EAGAIN, unix.EBUSY, unix.ENOBUFS, unix.ENOMEM, unix.EMFILE, netlink.ErrDumpInterrupted} {
		for _, done := range []bool{false, true} {
			for n := range 6 {
				t.Run(fmt.Sprintf("%v, done %v, at %d", fault, done, n), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						r := &fakeRoutes{addresses: map[netip.Prefix]int{}, done: done, fails: func(call int) error {
							if call == n {
								return fault
							}
							return nil
						}}
						k := &kernelAddresses{handle: r, table: newInterfaceTable()}
						start := time.Now()
						if err := k.Add([]placement{{2, address}})[0]; err != nil {
							t.Errorf("add: %v", err)
						}
						if list, err := k.List(); err != nil || len(list[2]) != 1 {
							t.Errorf("list: %v, %v", list, err)
						}
						if err := k.Remove(2, address); err != nil || len(r.addresses) != 0 {
							t.Errorf("remove: %v, left %v", err, r.addresses)
						}
						if took := time.Since(start); took > 100*time.Millisecond {
							t.Errorf("took %v", took)
						}
					})
				})
			}
		}
	}
}

func TestRefusalIsNotRetried(t *testing.T) {
	for fault, calls := range map[unix.Errno]int{unix.EACCES: 1, unix.ENODEV: 1, unix.EBUSY: netlinkAttempts} {
		synctest.Test(t, func(t *testing.T) {
			r := &fakeRoutes{addresses: map[netip.Prefix]int{}, fails: func(int) error { return fault }}
			err := (&kernelAddresses{handle: r}).Add([]placement{{2, vip1}})[0]
			if err == nil || r.calls != calls {
				t.Errorf("%v: got error %v after %d calls, want %d", fault, err, r.calls, calls)
			}
		})
	}
}

// The kernel's list of the addresses of lo is read in the same way as by the netlink package.
func TestListInterfaceAddresses(t *testing.T) {
	own, err := openRouteHandle()
	if err != nil {
		t.Skip(err)
	}
	defer own.Close()
	ours, err := listInterfaces(own)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := listInterfaces(otherLister{own.Handle})
	if err != nil {
		t.Fatal(err)
	}
	got, want := ours.byName()["lo"], theirs.byName()["lo"]
	if len(want.Addresses) == 0 || !got.equal(want) {
		t.Errorf("listed %+v, want %+v", got, want)
	}
}

// An address with a peer is listed with its full length; an IPv6 address without one has no local address in the message.
func TestParseAddress(t *testing.T) {
	attribute := func(kind int, a string) *nl.RtAttr { return nl.NewRtAttr(kind, netip.MustParseAddr(a).AsSlice()) }
	for want, attributes := range map[string][]nl.NetlinkRequestData{
		"10.9.0.100/24": {attribute(unix.IFA_ADDRESS, "10.9.0.100"), attribute(unix.IFA_LOCAL, "10.9.0.100")},
		"10.9.0.100/32": {attribute(unix.IFA_ADDRESS, "10.9.0.101"), attribute(unix.IFA_LOCAL, "10.9.0.100")},
		"fd09::100/24":  {attribute(unix.IFA_ADDRESS, "fd09::100"), nl.NewRtAttr(unix.IFA_FLAGS, nl.Uint32Attr(unix.IFA_F_NODAD))},
		"fd09::1/128":   {attribute(unix.IFA_ADDRESS, "fd09::2"), attribute(unix.IFA_LOCAL, "fd09::1")},
	} {
		m := nl.NewIfAddrmsg(unix.AF_INET)
		m.Prefixlen, m.Index, m.Flags = 24, 7, unix.IFA_F_NODAD
		b := m.Serialize()
		for _, a := range attributes {
			b = append(b, a.Serialize()...)
		}
		index, p, flags, ok := parseAddress(b)
		if !ok || index != 7 || p.String() != want || flags != unix.IFA_F_NODAD {
			t.Errorf("got %d, %v, %#x, %v, want %s", index, p, flags, ok, want)
		}
	}
	if _, _, _, ok := parseAddress(nil); ok {
		t.Error("an empty message is an address")
	}
}
