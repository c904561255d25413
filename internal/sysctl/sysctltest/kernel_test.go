package sysctltest

import (
	"errors"
	"io/fs"
	"slices"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/sysctl"
)

var _ sysctl.Kernel = (*Kernel)(nil)

func TestKernel(t *testing.T) {
	k := New(map[string]string{"net.a.x": "0", "net.b.x": "1", "net.b.y": "2"})
	if _, err := k.Read("net.c.x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading a missing parameter: %v", err)
	}
	if err := k.Write("net.c.x", "1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("setting a missing parameter: %v", err)
	}
	k.Couple("net.a.x", "net.b.y", func(v string) string { return v + v })
	if err := k.Write("net.a.x", "3\t4"); err != nil {
		t.Fatal(err)
	}
	if v, _ := k.Read("net.a.x"); v != "3 4" {
		t.Errorf("read %q", v)
	}
	if v := k.Values()["net.b.y"]; v != "3\t43\t4" {
		t.Errorf("coupled value %q", v)
	}
	broken := errors.New("broken")
	k.Fail("net.b.x", broken)
	if err := k.Write("net.b.x", "7"); !errors.Is(err, broken) {
		t.Errorf("a failing write: %v", err)
	}
	k.Fail("net.b.x", nil)
	if err := k.Write("net.b.x", "7"); err != nil {
		t.Error(err)
	}
	if keys, _ := k.Glob("net.*.x"); !slices.Equal(keys, []string{"net.a.x", "net.b.x"}) {
		t.Errorf("glob: %v", keys)
	}
	if w := k.Writes(); !slices.Equal(w, []string{"net.a.x=3\t4", "net.b.x=7"}) {
		t.Errorf("writes: %v", w)
	}
}
