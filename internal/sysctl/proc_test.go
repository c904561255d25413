package sysctl

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestPath(t *testing.T) {
	for key, want := range map[string]string{
		"net.ipv4.ip_forward":                 "net/ipv4/ip_forward",
		Conf("ipv4", "eth0.100", "rp_filter"): "net/ipv4/conf/eth0.100/rp_filter",
		Conf("ipv6", "all", "forwarding"):     "net/ipv6/conf/all/forwarding",
	} {
		got, err := path(key)
		if err != nil || got != want {
			t.Errorf("path(%q) = %q, %v, want %q", key, got, err, want)
		}
		if back := keyOf(got); back != key {
			t.Errorf("keyOf(%q) = %q, want %q", got, back, key)
		}
	}
	for _, key := range []string{"", ".", "net..x", "//.x", "/.", "net.//.x"} {
		if got, err := path(key); err == nil {
			t.Errorf("path(%q) = %q, want an error", key, got)
		}
	}
}

func TestProc(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{"net/ipv4/conf/eth0.5/rp_filter", "net/ipv4/conf/all/rp_filter"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(f)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, f), []byte("3\t50\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := Proc(dir)
	keys, err := p.Glob("net.ipv4.conf.*.rp_filter")
	if err != nil || len(keys) != 2 || keys[1] != "net.ipv4.conf.eth0/5.rp_filter" {
		t.Fatalf("Glob = %v, %v", keys, err)
	}
	if v, err := p.Read(keys[1]); err != nil || v != "3 50" {
		t.Errorf("Read = %q, %v", v, err)
	}
	if err := p.Write("net.ipv4.conf.eth1.rp_filter", "1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Write to a missing parameter: %v", err)
	}
	if _, err := p.Read("net.ipv4.conf.eth1.rp_filter"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Read of a missing parameter: %v", err)
	}
}

func TestCommand(t *testing.T) {
	if got := Command("net.ipv4.vs.sync_threshold", "3 50"); got != "sysctl -w net.ipv4.vs.sync_threshold='3 50'" {
		t.Error(got)
	}
	if got := (Setting{Key: "net.ipv4.ip_forward", Value: "1"}).Command(); got != "sysctl -w net.ipv4.ip_forward=1" {
		t.Error(got)
	}
}

func TestIdentity(t *testing.T) {
	a, err := Identity()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := Identity(); err != nil || a != b || len(a) < 38 {
		t.Errorf("Identity = %q, then %q, %v", a, b, err)
	}
}
