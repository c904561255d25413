package rtnetlink_test

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/rtnetlink"
	"github.com/vishvananda/netlink"
)

func TestListAsksAgain(t *testing.T) {
	refused := errors.New("refused")
	for _, c := range []struct {
		name        string
		interrupted int
		fails       error
		want        error
		asked       int
	}{
		{"at once", 0, nil, nil, 1},
		{"after changes", 3, nil, nil, 4},
		{"never still", 1000, nil, netlink.ErrDumpInterrupted, 10},
		{"refused", 2, refused, refused, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked := 0
			got, err := rtnetlink.List("things", func() ([]int, error) {
				asked++
				if asked <= c.interrupted {
					return []int{9}, netlink.ErrDumpInterrupted
				}
				return []int{1, 2}, c.fails
			})
			if !errors.Is(err, c.want) || asked != c.asked || err == nil && !slices.Equal(got, []int{1, 2}) {
				t.Errorf("%v, %v after %d times, want %v after %d", got, err, asked, c.want, c.asked)
			}
		})
	}
}

func TestPrefix(t *testing.T) {
	for _, s := range []string{"192.0.2.9/24", "0.0.0.0/0", "fd00::9/64", "::/0"} {
		want := netip.MustParsePrefix(s)
		mask := net.CIDRMask(want.Bits(), want.Addr().BitLen())
		for _, ip := range []net.IP{want.Addr().AsSlice(), net.IP(want.Addr().AsSlice()).To16()} {
			if got, ok := rtnetlink.Prefix(&net.IPNet{IP: ip, Mask: mask}); !ok || got != want {
				t.Errorf("%s, %d bytes: %v, %v", s, len(ip), got, ok)
			}
		}
	}
	if got, ok := rtnetlink.Prefix(nil); ok {
		t.Errorf("of nothing: %v", got)
	}
}

func TestOpen(t *testing.T) {
	h, err := rtnetlink.Open(rtnetlink.Timeout)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	links, err := rtnetlink.List("network devices", h.LinkList)
	if err != nil || len(links) == 0 {
		t.Errorf("devices %v, %v", links, err)
	}
}
