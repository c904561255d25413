package main

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestFmtKeepsModeAndOwner also checks that nothing else is left in the directory.
func TestFmtKeepsModeAndOwner(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "lvs-ha.hcl")
	if err := os.WriteFile(path, []byte("node { name=\"lb1\" }\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(path, 12, 34); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	cmd := newRoot()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"fmt", "-w", dir})
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "node { name = \"lb1\" }\n" {
		t.Errorf("%q, %v", text, err)
	}
	after, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if os.SameFile(before, after) {
		t.Error("the file was overwritten in place")
	}
	if before.Mode() != after.Mode() || ownerOf(before) != ownerOf(after) {
		t.Errorf("mode %v, owner %v; want %v, %v", after.Mode(), ownerOf(after), before.Mode(), ownerOf(before))
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

func ownerOf(info os.FileInfo) [2]uint32 {
	owner := info.Sys().(*syscall.Stat_t)
	return [2]uint32{owner.Uid, owner.Gid}
}
