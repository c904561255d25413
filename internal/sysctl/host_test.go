package sysctl_test

import (
	"path/filepath"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
)

// In a real kernel one parameter moves others: all of them are as they were in the end.
func TestHostKeeper(t *testing.T) {
	lab.Need(t, lab.Host)
	l := lab.NewT(t, "sysctl")
	lan, err := l.Bridge("lan")
	if err != nil {
		t.Fatal(err)
	}
	host, err := l.Host("director",
		lab.NIC{Name: "eth0", Bridge: lan, Addresses: lab.Prefixes("192.0.2.8/24")}, lab.NIC{Name: "eth1.5", Bridge: lan})
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{
		"net.ipv4.ip_forward": "0", "net.ipv4.conf.all.accept_redirects": "0", "net.ipv4.conf.eth0.forwarding": "1",
		"net.ipv6.conf.all.forwarding": "0", "net.ipv6.conf.eth0.forwarding": "1", "net.ipv6.conf.eth0.accept_ra": "0",
	} {
		if err := host.Sysctl(key, value); err != nil {
			t.Fatal(err)
		}
	}
	values := func() map[string]string {
		values := map[string]string{}
		err := host.Do(func() error {
			for _, pattern := range []string{"net.ipv4.ip_forward", "net.ipv4.conf.*.*", "net.ipv6.conf.*.*"} {
				keys, err := sysctl.System.Glob(pattern)
				if err != nil {
					return err
				}
				for _, key := range keys {
					if v, err := sysctl.System.Read(key); err == nil { // some are for writing only
						values[key] = v
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return values
	}
	before := values()
	k := sysctl.Keeper{Kernel: sysctl.System, Identity: "x", File: filepath.Join(t.TempDir(), "sysctl.json")}
	for range 2 {
		if err := host.Do(func() error { _, err := k.Apply(sysctl.ForNAT(true, true, []string{"eth1.5"})); return err }); err != nil {
			t.Fatal(err)
		}
	}
	for key, want := range map[string]string{
		"net.ipv4.ip_forward": "1", "net.ipv4.conf.eth1/5.forwarding": "1", "net.ipv4.conf.all.send_redirects": "0",
		"net.ipv4.conf.eth1/5.send_redirects": "0", "net.ipv6.conf.eth1/5.forwarding": "1",
		"net.ipv6.conf.eth1/5.accept_ra": "2", "net.ipv6.conf.eth0.accept_ra": "0",
	} {
		if got := values()[key]; got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if err := host.Do(func() error { _, err := k.Restore(); return err }); err != nil {
		t.Fatal(err)
	}
	equal(t, "after restore", values(), before)
}
