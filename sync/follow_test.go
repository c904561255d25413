package connsync_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	connsync "github.com/lvs-ha/lvs-ha/sync"
	"github.com/lvs-ha/lvs-ha/sync/connsynctest"
)

var daemon = connsync.Daemon{Interface: "eth1", SyncID: 51}

// filled returns the kernel's report of a daemon that was started as d.
func filled(d connsync.Daemon) connsync.Daemon {
	d.Group, d.Port, d.TTL, d.MaxLen = netip.MustParseAddr("224.0.0.81"), 8848, 1, 1472
	return d
}

func TestDecide(t *testing.T) {
	other := filled(daemon)
	other.Interface = "eth0"
	wrongID := filled(daemon)
	wrongID.SyncID = 7
	short := daemon
	short.MaxLen = 500
	for _, tt := range []struct {
		name           string
		wanted, actual []connsync.Running
		want           string
	}{
		{"nothing", nil, nil, ""},
		{"in order", connsync.Wanted(daemon, connsync.Backup), connsync.Wanted(filled(daemon), connsync.Backup), ""},
		{"first start", connsync.Wanted(daemon, connsync.Backup), nil, "start backup on eth1, sync id 51 (not running)"},
		{
			"becoming master", connsync.Wanted(daemon, connsync.Master), connsync.Wanted(filled(daemon), connsync.Backup),
			"stop backup on eth1, sync id 51, group 224.0.0.81, port 8848, ttl 1, maxlen 1472 (not wanted)\n" +
				"start master on eth1, sync id 51 (not running)",
		},
		{
			"becoming backup", connsync.Wanted(daemon, connsync.Backup), connsync.Wanted(filled(daemon), connsync.Master),
			"stop master on eth1, sync id 51, group 224.0.0.81, port 8848, ttl 1, maxlen 1472 (not wanted)\n" +
				"start backup on eth1, sync id 51 (not running)",
		},
		{
			"both", connsync.Wanted(daemon, connsync.Master, connsync.Backup), connsync.Wanted(filled(daemon), connsync.Backup),
			"start master on eth1, sync id 51 (not running)",
		},
		{
			"leftovers on the wrong interface", connsync.Wanted(daemon, connsync.Backup),
			connsync.Wanted(other, connsync.Master, connsync.Backup),
			"stop master on eth0, sync id 51, group 224.0.0.81, port 8848, ttl 1, maxlen 1472 (not wanted)\n" +
				"stop backup on eth0, sync id 51, group 224.0.0.81, port 8848, ttl 1, maxlen 1472 (configured differently)\n" +
				"start backup on eth1, sync id 51 (configured differently)",
		},
		{
			"wrong sync id", connsync.Wanted(daemon, connsync.Backup), connsync.Wanted(wrongID, connsync.Backup),
			"stop backup on eth1, sync id 7, group 224.0.0.81, port 8848, ttl 1, maxlen 1472 (configured differently)\n" +
				"start backup on eth1, sync id 51 (configured differently)",
		},
		{
			"another length", connsync.Wanted(short, connsync.Backup), connsync.Wanted(filled(daemon), connsync.Backup),
			"stop backup on eth1, sync id 51, group 224.0.0.81, port 8848, ttl 1, maxlen 1472 (configured differently)\n" +
				"start backup on eth1, sync id 51, maxlen 500 (configured differently)",
		},
		{
			"none", nil, connsync.Wanted(filled(daemon), connsync.Master),
			"stop master on eth1, sync id 51, group 224.0.0.81, port 8848, ttl 1, maxlen 1472 (not wanted)",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var lines []string
			for _, s := range connsync.Decide(tt.wanted, tt.actual) {
				lines = append(lines, s.String())
			}
			if got := strings.Join(lines, "\n"); got != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}

// From any state, one call reaches the wanted state without stopping a correct daemon, and a second call finds no
// difference.
func TestFollowFromAnyState(t *testing.T) {
	draw := func(t *rapid.T, label string) []connsync.Running {
		var list []connsync.Running
		for _, role := range []connsync.Role{connsync.Master, connsync.Backup} {
			if rapid.Bool().Draw(t, label+" "+role.String()) {
				list = append(list, connsync.Running{Role: role, Daemon: connsync.Daemon{
					Interface: rapid.SampledFrom([]string{"eth0", "eth1"}).Draw(t, "interface"),
					SyncID:    rapid.Uint32Range(1, 2).Draw(t, "sync id"),
					Port:      rapid.SampledFrom([]uint16{0, 8848, 9000}).Draw(t, "port"),
				}})
			}
		}
		return list
	}
	rapid.Check(t, func(rt *rapid.T) {
		wanted, running := draw(rt, "wanted"), draw(rt, "running")
		k := connsynctest.New("eth0", "eth1")
		k.Run(running...)
		k.Fail = func(start bool, role connsync.Role) syscall.Errno {
			for _, r := range running {
				if !start && role == r.Role && slices.Contains(wanted, r) {
					rt.Errorf("%s is stopped", r)
				}
			}
			return 0
		}
		if _, err := connsync.Follow(t.Context(), k, wanted); err != nil {
			rt.Fatal(err)
		}
		got, _ := k.Daemons(t.Context())
		if len(got) != len(wanted) {
			rt.Fatalf("got %v, want %v", got, wanted)
		}
		if steps, err := connsync.Follow(t.Context(), k, wanted); err != nil || len(steps) != 0 {
			rt.Errorf("a second call does %v, %v", steps, err)
		}
	})
}

func TestFollowWithoutInterface(t *testing.T) {
	k := connsynctest.New()
	k.Run(connsync.Running{Role: connsync.Backup, Daemon: daemon})
	wanted := connsync.Wanted(daemon, connsync.Master)
	steps, err := connsync.Follow(t.Context(), k, wanted)
	if !errors.Is(err, syscall.ENODEV) || len(steps) != 1 || steps[0].Start {
		t.Errorf("got %v, %v, want the backup stopped and ENODEV", steps, err)
	}
	k.AddInterface("eth1")
	if steps, err := connsync.Follow(t.Context(), k, wanted); err != nil || len(steps) != 1 || !steps[0].Start {
		t.Errorf("got %v, %v, want the master started", steps, err)
	}
}

// drifting is a kernel in which another program changes the daemons between reading and acting, a few times.
type drifting struct {
	*connsynctest.Kernel
	between func()
	times   int
}

func (d *drifting) Daemons(ctx context.Context) ([]connsync.Running, error) {
	list, err := d.Kernel.Daemons(ctx)
	if d.times > 0 {
		d.times--
		d.between()
	}
	return list, err
}

func TestFollowDuringDrift(t *testing.T) {
	wrong := daemon
	wrong.SyncID = 9
	for name, between := range map[string]func(*connsynctest.Kernel){
		"started meanwhile": func(k *connsynctest.Kernel) { k.Run(connsync.Running{Role: connsync.Master, Daemon: wrong}) },
		"stopped meanwhile": func(k *connsynctest.Kernel) { _ = k.Stop(context.Background(), connsync.Backup) },
	} {
		t.Run(name, func(t *testing.T) {
			k := connsynctest.New("eth1")
			k.Run(connsync.Running{Role: connsync.Backup, Daemon: daemon})
			d := &drifting{Kernel: k, between: func() { between(k) }, times: 1}
			if _, err := connsync.Follow(t.Context(), d, connsync.Wanted(daemon, connsync.Master)); err != nil {
				t.Fatal(err)
			}
			got, _ := k.Daemons(t.Context())
			if want := connsync.Wanted(filled(daemon), connsync.Master); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestFollowStopsRetryingOnPersistentDrift(t *testing.T) {
	k := connsynctest.New("eth1")
	k.Fail = func(start bool, _ connsync.Role) syscall.Errno {
		if start {
			return syscall.EEXIST
		}
		return 0
	}
	if steps, err := connsync.Follow(t.Context(), k, connsync.Wanted(daemon, connsync.Master)); !errors.Is(err, syscall.EEXIST) || len(steps) != 0 {
		t.Errorf("got %v, %v, want EEXIST", steps, err)
	}
}

func TestFollowDoesNotStartAfterFailedStop(t *testing.T) {
	k := connsynctest.New("eth1")
	wrong := daemon
	wrong.SyncID = 9
	k.Run(connsync.Running{Role: connsync.Master, Daemon: wrong})
	k.Fail = func(bool, connsync.Role) syscall.Errno { return syscall.EPERM }
	_, err := connsync.Follow(t.Context(), k, connsync.Wanted(daemon, connsync.Master))
	if !errors.Is(err, syscall.EPERM) || strings.Contains(err.Error(), "starting") {
		t.Errorf("got error %v, want EPERM of the stop alone", err)
	}
}

func TestParseRole(t *testing.T) {
	for _, role := range []connsync.Role{connsync.Master, connsync.Backup} {
		if got, err := connsync.ParseRole(role.String()); err != nil || got != role {
			t.Errorf("%s: got %v, %v", role, got, err)
		}
	}
	if _, err := connsync.ParseRole("slave"); err == nil {
		t.Error("slave is a role")
	}
}
