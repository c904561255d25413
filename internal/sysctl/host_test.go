package sysctl_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
)

// TestHostKeeper checks on a real kernel, where one parameter changes others, that all of them are restored.
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

// TestHostWatch checks that a change of forwarding is reported under each of its names, and that of a single interface is
// not.
func TestHostWatch(t *testing.T) {
	lab.Need(t, lab.Host)
	l := lab.NewT(t, "sysctl")
	lan, err := l.Bridge("lan")
	if err != nil {
		t.Fatal(err)
	}
	host, err := l.Host("director", lab.NIC{Name: "eth0", Bridge: lan, Addresses: lab.Prefixes("192.0.2.8/24")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	reports := make(chan struct{}, 100)
	ended := make(chan error, 1)
	go func() {
		ended <- host.Do(func() error {
			sysctl.Watch(ctx, slog.Default(), func() { reports <- struct{}{} })
			return nil
		})
	}()
	<-reports // it watches
	for _, key := range []string{"net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.ipv4.conf.all.forwarding"} {
		for _, value := range []string{"0", "1"} {
			if now, err := host.Command(ctx, "sysctl", "-n", key).Output(); err != nil || string(now) == value+"\n" {
				continue
			}
			if err := host.Sysctl(key, value); err != nil {
				t.Fatal(err)
			}
			select {
			case <-reports:
			case <-time.After(20 * time.Second):
				t.Fatalf("%s=%s is not reported", key, value)
			}
		}
	}
	for len(reports) > 0 {
		<-reports
	}
	if err := host.Sysctl("net.ipv4.conf.eth0.forwarding", "0"); err != nil {
		t.Fatal(err)
	}
	if err := host.Sysctl("net.ipv4.ip_forward", "0"); err != nil {
		t.Fatal(err)
	}
	<-reports
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(reports) > 0 {
		t.Errorf("%d reports too many", len(reports))
	}
}
