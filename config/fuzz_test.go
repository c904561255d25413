package config

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// fuzzUnits is the budget of an input: the full budget would take seconds, and a fuzzing process may take ten.
const fuzzUnits = maxUnits / 20

// FuzzLoad loads arbitrary bytes as a configuration. The result must be a configuration that survives JSON or a
// printable error, without panic and within a memory limit.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/valid/*.hcl", "testdata/invalid/*.hcl", "../examples/*.hcl"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range found {
			text, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	for _, name := range []string{"wide format", "unknown in loops", "doubled lists", "splats in loops"} {
		f.Add([]byte(bombs[name]()))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<16 {
			return // long inputs are slow and not more productive
		}
		path := filepath.Join(dir, "fuzz.hcl")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		o := asLB1()
		o.spent = maxUnits - fuzzUnits
		cfg, diags := Load(path, o)
		runtime.ReadMemStats(&after)
		if allocated := (after.TotalAlloc - before.TotalAlloc) >> 20; allocated > maxAllocated {
			t.Fatalf("loading it allocated %d MiB", allocated)
		}
		if (cfg == nil) != diags.HasErrors() || (diags.Err() != nil) != diags.HasErrors() {
			t.Fatalf("configuration %v, error %v", cfg, diags.Err())
		}
		var printed bytes.Buffer
		if err := diags.Write(&printed, true); err != nil {
			t.Fatal(err)
		}
		if cfg == nil {
			return
		}
		encoded, err := json.Marshal(cfg)
		if err != nil {
			t.Fatal(err)
		}
		var decoded Config
		if err := json.Unmarshal(encoded, &decoded); err != nil {
			t.Fatal(err)
		}
		decoded.Digest = cfg.Digest
		if diff := cmp.Diff(cfg, &decoded, cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}, netip.Prefix{}), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("JSON does not keep it:\n%s", diff)
		}
	})
}
