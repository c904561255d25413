package speaker

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// TestCheckAddresses compares checkAddresses with vrrp.Instance.SameAddresses.
func TestCheckAddresses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := v3(100)
		in.Addresses = nil
		for i := range rapid.IntRange(2, 300).Draw(t, "addresses") {
			in.Addresses = append(in.Addresses, vrrp.Address{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, byte(i / 256), byte(i)}), 16)})
		}
		r := newRouter(in, nil)
		a := in.Advert(100)
		a.Addresses = rapid.Permutation(a.Addresses).Draw(t, "order")
		switch rapid.IntRange(0, 3).Draw(t, "change") {
		case 0:
			a.Addresses[0] = a.Addresses[0].Next().Next()
		case 1:
			a.Addresses = a.Addresses[1:]
		case 2:
			a.Addresses = append(slices.Clone(a.Addresses), netip.MustParseAddr("10.0.0.1"))
		}
		differ := !in.SameAddresses(&a)
		for i, want := range []bool{differ, false} {
			if got := r.checkAddresses(&a); got != want {
				t.Fatalf("time %d: news %v, want %v: %v", i, got, want, a.Addresses)
			}
		}
		if (r.mismatched == 2) != differ {
			t.Fatalf("%d counted", r.mismatched)
		}
	})
}

func TestListAddresses(t *testing.T) {
	var all []netip.Addr
	for i := range 10 {
		all = append(all, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
	}
	for n, want := range map[int]string{0: "", 1: "10.0.0.0", 3: "10.0.0.0, 10.0.0.1, 10.0.0.2"} {
		if got := listAddresses(all[:n]); got != want {
			t.Errorf("%d addresses: %q", n, got)
		}
	}
	if got := listAddresses(all); got != fmt.Sprintf("%s and 2 more", listAddresses(all[:8])) {
		t.Errorf("ten addresses: %q", got)
	}
}
