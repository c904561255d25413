package realserver_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/lvs-ha/lvs-ha/internal/realserver"
	"github.com/lvs-ha/lvs-ha/internal/realserver/realservertest"
	"github.com/lvs-ha/lvs-ha/internal/statefile"
)

func onDevice(iface string, vips ...string) realserver.Wanted {
	w := dr(vips...)
	for i := range w.VIPs {
		w.VIPs[i].Interface = iface
	}
	return w
}

// Each address stays on the device named by its own call.
func TestCallsForSeveralDevices(t *testing.T) {
	m := realservertest.New("192.0.2.1", "192.0.2.8/24")
	m.AddLink(host.Link{Name: "dummy0", NoARP: true})
	before := observe(t, m)
	s := newServer(t, m)
	for _, w := range []realserver.Wanted{dr("192.0.2.9"), onDevice("dummy0", "192.0.2.10"), dr("192.0.2.11")} {
		if _, err := s.Up(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		if status, err := s.Status(t.Context(), realserver.Wanted{}); err != nil || !status.OK {
			t.Fatalf("after up %v: %+v, %v", w, status, err)
		}
	}
	report, err := s.Down(t.Context(), []netip.Addr{addr("192.0.2.11")})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "steps", commands(report.Steps), []string{
		"ip -4 route del 192.0.2.11/32 dev lo scope link",
		"ip -4 address del 192.0.2.11/32 dev lo",
	})
	if status, err := s.Status(t.Context(), realserver.Wanted{}); err != nil || !status.OK {
		t.Errorf("status of the rest: %+v, %v", status, err)
	}
	if _, err := s.Down(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	equal(t, "the machine after down", observe(t, m), before)
}

// A change that was reverted externally and repeated by a second call is recorded and undone once.
func TestUpAfterExternalRevert(t *testing.T) {
	m := realservertest.New("192.0.2.1", "192.0.2.8/24")
	before := observe(t, m)
	s := newServer(t, m)
	if _, err := s.Up(t.Context(), dr("192.0.2.9")); err != nil {
		t.Fatal(err)
	}
	recorded, err := s.Store.Load()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Do(t.Context(), realserver.Step{Action: realserver.RemoveAddress, Interface: "lo", Address: addr("192.0.2.9")}); err != nil {
		t.Fatal(err)
	}
	m.Set("net.ipv4.conf.all.arp_announce", "1")
	if report, err := s.Up(t.Context(), dr("192.0.2.9")); err != nil || len(report.Steps) != 2 {
		t.Fatalf("the second call executed %v, %v", report.Steps, err)
	}
	again, err := s.Store.Load()
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "the record", again, recorded)
	if _, err := s.Down(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	equal(t, "the machine after down", observe(t, m), before)
}

// A failed call undoes its own changes and keeps the record of earlier calls.
func TestFailedUpAfterExternalRevertKeepsRecord(t *testing.T) {
	m := realservertest.New("192.0.2.1", "192.0.2.8/24")
	before := observe(t, m)
	s := newServer(t, m)
	if _, err := s.Up(t.Context(), dr("192.0.2.9")); err != nil {
		t.Fatal(err)
	}
	m.Set("net.ipv4.conf.all.arp_announce", "1")
	m.Fail(realserver.AddAddress, context.DeadlineExceeded)
	if _, err := s.Up(t.Context(), dr("192.0.2.9", "192.0.2.10")); err == nil {
		t.Fatal("no error")
	}
	m.Fail(realserver.AddAddress, nil)
	if _, err := s.Up(t.Context(), dr("192.0.2.9")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Down(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	equal(t, "the machine after down", observe(t, m), before)
}

func TestDownReportsExistingAddress(t *testing.T) {
	m := realservertest.New("192.0.2.1", "192.0.2.8/24")
	m.AddAddress("lo", "192.0.2.77/32")
	s := newServer(t, m)
	if _, err := s.Up(t.Context(), dr("192.0.2.77")); err != nil {
		t.Fatal(err)
	}
	report, err := s.Down(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "notes", report.Notes, []string{"192.0.2.77 stays on lo, where it was before; to remove it: ip -4 address del 192.0.2.77/32 dev lo"})
}

// Down also removes the listeners of its addresses.
func TestListenersOfSeveralCalls(t *testing.T) {
	m := realservertest.New("192.0.2.1", "192.0.2.8/24")
	s := newServer(t, m)
	serving := func(vip string) realserver.Wanted {
		w := dr(vip)
		w.Listeners = []realserver.Listener{{Network: "tcp", Address: netip.MustParseAddrPort(vip + ":80")}}
		return w
	}
	for _, vip := range []string{"192.0.2.9", "192.0.2.10"} {
		if _, err := s.Up(t.Context(), serving(vip)); err != nil {
			t.Fatal(err)
		}
	}
	missing := func() (out []string) {
		status, err := s.Status(t.Context(), realserver.Wanted{})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range status.Checks {
			if !c.OK {
				out = append(out, c.What)
			}
		}
		return out
	}
	equal(t, "missing listeners of both addresses", missing(), []string{"nothing listens on tcp 192.0.2.9:80", "nothing listens on tcp 192.0.2.10:80"})
	if _, err := s.Down(t.Context(), []netip.Addr{addr("192.0.2.9")}); err != nil {
		t.Fatal(err)
	}
	equal(t, "missing listeners of one address", missing(), []string{"nothing listens on tcp 192.0.2.10:80"})
}

func TestStoreLock(t *testing.T) {
	store := realserver.Store{Dir: t.TempDir() + "/new", Identity: "boot/7"}
	unlock, err := store.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := store.Lock(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the second lock: %v", err)
	}
	unlock()
	if unlock, err = store.Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	unlock()
	if _, err := (realserver.Store{}).Lock(t.Context()); err == nil {
		t.Error("locked a store without a directory")
	}
}

// A command that cannot read its record must neither overwrite it nor change the host.
func TestUnusableRecordStopsTheCommand(t *testing.T) {
	for text, want := range map[string]error{
		`{"kind": "realserver", "version": 99, "data": {}}`: statefile.ErrNewer,
		`{"kind": "realserver", "version": 1, "da`:          nil,
	} {
		s := newServer(t, realservertest.New("192.0.2.1", "192.0.2.8/24"))
		if err := os.WriteFile(s.Store.File(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if report, err := s.Up(t.Context(), dr("192.0.2.9")); err == nil || want != nil && !errors.Is(err, want) || len(report.Steps) > 0 {
			t.Errorf("%s: %+v, %v", text, report, err)
		}
		if after, err := os.ReadFile(s.Store.File()); err != nil || string(after) != text {
			t.Errorf("the record is %q, %v", after, err)
		}
	}
}
