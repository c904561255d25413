package sysctl_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/lvs-ha/lvs-ha/internal/statefile"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
	"github.com/lvs-ha/lvs-ha/internal/sysctl/sysctltest"
)

func forwarding() map[string]string {
	return map[string]string{
		"net.ipv4.ip_forward":                "0",
		"net.ipv4.conf.all.accept_redirects": "0",
		"net.ipv4.conf.eth0.rp_filter":       "1",
		"net.ipv4.vs.sync_threshold":         "3 50",
	}
}

var (
	forward  = sysctl.Setting{Key: "net.ipv4.ip_forward", Value: "1", Disturbs: []string{"net.ipv4.conf.*.accept_redirects"}}
	rpFilter = sysctl.Setting{Key: "net.ipv4.conf.eth0.rp_filter", Value: "0", Accept: []string{"2"}}
)

func keeper(t *testing.T, k *sysctltest.Kernel) *sysctl.Keeper {
	k.Couple("net.ipv4.ip_forward", "net.ipv4.conf.all.accept_redirects", func(v string) string {
		return map[string]string{"0": "1", "1": "0"}[v]
	})
	return &sysctl.Keeper{Kernel: k, Identity: "boot/1", File: filepath.Join(t.TempDir(), "run", "sysctl.json")}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestKeeperRewritesDeletedRecord(t *testing.T) {
	kernel := sysctltest.New(forwarding())
	k := keeper(t, kernel)
	apply := func(settings ...sysctl.Setting) {
		t.Helper()
		if _, err := k.Apply(settings); err != nil {
			t.Fatal(err)
		}
	}
	apply(forward, rpFilter)
	before, err := os.ReadFile(k.File)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Dir(k.File)); err != nil {
		t.Fatal(err)
	}
	apply(forward, rpFilter)
	after, err := os.ReadFile(k.File)
	equal(t, "record", string(after), string(before))
	if err != nil {
		t.Error(err)
	}
	if err := os.Remove(k.File); err != nil {
		t.Fatal(err)
	}
	apply()
	if got, _ := kernel.Read(rpFilter.Key); got != "1" {
		t.Errorf("%s = %s after the end", rpFilter.Key, got)
	}
	if _, err := os.Stat(k.File); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an empty record: %v", err)
	}
}

func TestKeeperRestoresExactly(t *testing.T) {
	kernel := sysctltest.New(forwarding())
	k := keeper(t, kernel)
	changes, err := k.Apply([]sysctl.Setting{forward, rpFilter})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "changes", changes, []sysctl.Change{
		{Key: forward.Key, From: "0", To: "1"}, {Key: rpFilter.Key, From: "1", To: "0"},
	})
	if changes, err := k.Apply([]sysctl.Setting{forward, rpFilter}); err != nil || len(changes) != 0 {
		t.Errorf("applying again: %v, %v", changes, err)
	}
	// A new process reads the record.
	again := *k
	if _, err := again.Restore(); err != nil {
		t.Fatal(err)
	}
	equal(t, "after restore", kernel.Values(), forwarding())
	if _, err := os.Stat(k.File); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the state file is still there: %v", err)
	}
}

func TestKeeperRestoresUnwantedSettings(t *testing.T) {
	kernel := sysctltest.New(forwarding())
	k := keeper(t, kernel)
	if _, err := k.Apply([]sysctl.Setting{forward, rpFilter}); err != nil {
		t.Fatal(err)
	}
	changes, err := k.Apply([]sysctl.Setting{forward})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "changes", changes, []sysctl.Change{{Key: rpFilter.Key, From: "0", To: "1", Why: "previous value"}})
	if _, err := k.Restore(); err != nil {
		t.Fatal(err)
	}
	equal(t, "after restore", kernel.Values(), forwarding())
}

func TestKeeperKeepsAcceptedAndForeignValues(t *testing.T) {
	kernel := sysctltest.New(forwarding())
	if err := kernel.Write(rpFilter.Key, "2"); err != nil {
		t.Fatal(err)
	}
	k := keeper(t, kernel)
	if changes, err := k.Apply([]sysctl.Setting{rpFilter}); err != nil || len(changes) != 0 {
		t.Errorf("an accepted value: %v, %v", changes, err)
	}
	if _, err := k.Apply([]sysctl.Setting{forward, {Key: "net.ipv4.vs.sync_threshold", Value: "0 1"}}); err != nil {
		t.Fatal(err)
	}
	if err := kernel.Write("net.ipv4.vs.sync_threshold", "8 9"); err != nil {
		t.Fatal(err)
	}
	changes, err := k.Restore()
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "changes", changes, []sysctl.Change{
		{Key: "net.ipv4.vs.sync_threshold", From: "8 9", To: "3 50", Why: "previous value", Kept: true},
		{Key: forward.Key, From: "1", To: "0", Why: "previous value"},
	})
	if v := kernel.Values()["net.ipv4.vs.sync_threshold"]; v != "8 9" {
		t.Errorf("another program's value became %q", v)
	}
}

func TestKeeperContinuesAfterError(t *testing.T) {
	kernel := sysctltest.New(forwarding())
	k := keeper(t, kernel)
	refused := errors.New("refused")
	kernel.Fail(forward.Key, refused)
	changes, err := k.Apply([]sysctl.Setting{forward, {Key: "net.ipv4.vs.conntrack", Value: "1"}, rpFilter})
	if !errors.Is(err, refused) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want both", err)
	}
	equal(t, "changes", changes, []sysctl.Change{{Key: rpFilter.Key, From: "1", To: "0"}})
	kernel.Fail(rpFilter.Key, refused)
	if _, err := k.Restore(); !errors.Is(err, refused) {
		t.Errorf("restore: %v", err)
	}
	kernel.Fail(rpFilter.Key, nil)
	if _, err := k.Restore(); err != nil {
		t.Fatal(err)
	}
	equal(t, "after the second restore", kernel.Values(), forwarding())
}

func TestKeeperIgnoresRecordOfAnotherKernel(t *testing.T) {
	kernel := sysctltest.New(forwarding())
	k := keeper(t, kernel)
	if _, err := k.Apply([]sysctl.Setting{rpFilter}); err != nil {
		t.Fatal(err)
	}
	k.Identity = "boot/2"
	if changes, err := k.Restore(); err != nil || len(changes) != 0 {
		t.Errorf("restored another boot's values: %v, %v", changes, err)
	}
}

// Forwarding is more important than the record of previous values.
func TestKeeperDamagedFile(t *testing.T) {
	kernel := sysctltest.New(forwarding())
	k := keeper(t, kernel)
	k.File = filepath.Join(t.TempDir(), "sysctl.json")
	if err := os.WriteFile(k.File, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Apply([]sysctl.Setting{forward}); !errors.Is(err, statefile.ErrDamaged) {
		t.Errorf("error %v", err)
	}
	if v := kernel.Values()[forward.Key]; v != "1" {
		t.Errorf("%s is %s beside a damaged file", forward.Key, v)
	}
	if changes, err := k.Apply([]sysctl.Setting{forward}); err != nil || len(changes) != 0 {
		t.Errorf("the next time: %v, %v", changes, err)
	}
	if _, err := k.Restore(); err != nil {
		t.Fatal(err)
	}
	equal(t, "after restore", kernel.Values(), forwarding())
	if err := os.WriteFile(k.File, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Restore(); err == nil {
		t.Error("a damaged file was restored from")
	}
	if _, err := k.Restore(); err != nil {
		t.Errorf("the next time: %v", err)
	}
}

func TestKeeperWithoutAFile(t *testing.T) {
	kernel := sysctltest.New(forwarding())
	k := keeper(t, kernel)
	dir := filepath.Dir(k.File)
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if changes, err := k.Apply([]sysctl.Setting{forward}); err == nil || len(changes) != 1 {
		t.Errorf("where no file can be: %v, %v", changes, err)
	}
	if v := kernel.Values()[forward.Key]; v != "1" {
		t.Errorf("%s is %s where no file can be", forward.Key, v)
	}
}
