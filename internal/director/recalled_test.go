package director

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/discovery"
	"github.com/lvs-ha/lvs-ha/internal/statefile"
	"github.com/lvs-ha/lvs-ha/internal/track"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// TestRecalledConfigurationIsValidated checks that a director that is restarted with an invalid file either refuses to start or
// works, for any contents of the state file.
func TestRecalledConfigurationIsValidated(t *testing.T) {
	for name, damage := range map[string]func(c map[string]any){
		"no director block":     func(c map[string]any) { delete(c, "director") },
		"no repair interval":    func(c map[string]any) { c["director"] = map[string]any{"grace": 5e9, "on_stop": "leave"} },
		"another on_stop":       func(c map[string]any) { c["director"].(map[string]any)["on_stop"] = "explode" },
		"no check interval":     func(c map[string]any) { check(c)["interval"] = 0 },
		"negative timeout":      func(c map[string]any) { check(c)["timeout"] = -1 },
		"another kind of check": func(c map[string]any) { check(c)["kind"] = "telepathy" },
		"no fall":               func(c map[string]any) { check(c)["fall"] = 0 },
		"no service address":    func(c map[string]any) { delete(service(c), "address") },
		"no server address":     func(c map[string]any) { delete(service(c)["real_servers"].([]any)[0].(map[string]any), "address") },
		"no source":             func(c map[string]any) { service(c)["discover"] = []any{map[string]any{"drain": 0}} },
		"no min_ttl": func(c map[string]any) {
			service(c)["discover"] = []any{map[string]any{"dns": map[string]any{"name": "a", "type": "A", "timeout": 1e9, "max_ttl": 1e9}}}
		},
		"a vrrp without group": func(c map[string]any) { c["vrrp"] = []any{map[string]any{"name": "web"}} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.start(false)
				b.judge(first, healthcheck.Up)
				b.stop()
				file := filepath.Join(b.dir, "director.json")
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				var state map[string]any
				if err := json.Unmarshal(data, &state); err != nil {
					t.Fatal(err)
				}
				damage(state["data"].(map[string]any)["config"].(map[string]any))
				if data, err = json.Marshal(state); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, data, 0o600); err != nil {
					t.Fatal(err)
				}
				m, err := recallUsable(file)
				if err == nil || m.Config != nil || len(m.Owned) != 1 {
					t.Errorf("recalled %+v, %v, want what is owned and no configuration", m, err)
				}
				d := New(Options{
					Load: func() (*config.Config, []config.Finding, error) { return nil, nil, errors.New("bad") }, StateFile: file, Restarted: true,
					NewChecker:    func(func(healthcheck.Event)) Checker { return nil },
					NewTracker:    func(func(string, track.Result)) Tracker { return nil },
					NewDiscoverer: func(func(string, discovery.Report)) Discoverer { return nil },
					NewSpeaker:    func(SpeakerReports) Speaker { return nil },
					Logger:        slog.New(slog.DiscardHandler),
				})
				if _, ok := errors.AsType[*ConfigError](d.Run(t.Context())); !ok {
					t.Error("the director did not refuse")
				}
			})
		})
	}
}

func service(c map[string]any) map[string]any { return c["services"].([]any)[0].(map[string]any) }

func check(c map[string]any) map[string]any {
	return service(c)["checks"].([]any)[0].(map[string]any)
}

func TestValidConfigurationIsUsable(t *testing.T) {
	cfg, problems := config.Load("../../config/testdata/valid/full.hcl", config.Options{Node: "lb1"})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	if err := usable(cfg); err != nil {
		t.Error(err)
	}
	cfg.Director.Repair = 2 * time.Hour
	if usable(cfg) == nil {
		t.Error("a repair interval out of range is usable")
	}
}

// TestConfigurationOfAnotherVersionIsNotUsed checks that only the owned services are used: decoding another version's
// configuration would leave fields zero.
func TestConfigurationOfAnotherVersionIsNotUsed(t *testing.T) {
	key := ipvs.ServiceKey{Protocol: ipvs.TCP, Address: netip.MustParseAddr("192.0.2.1"), Port: 80, Family: ipvs.IPv4}
	owned, err := json.Marshal([]ipvs.ServiceKey{key})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"another shape":          `{"kind": "director", "version": 1, "data": {"owned": %s, "owns_sync": true, "shape": "other", "config": {"director": {"grace": 1}}}}`,
		"an undecodable one":     `{"kind": "director", "version": 1, "data": {"owned": %s, "owns_sync": true, "shape": "` + configShape() + `", "config": {"director": []}}}`,
		"a file without version": `{"owned": %s, "owns_sync": true, "config": {"director": {"grace": 1}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "director.json")
			if err := os.WriteFile(file, fmt.Appendf(nil, text, owned), 0o600); err != nil {
				t.Fatal(err)
			}
			m, err := recallUsable(file)
			if err == nil || m.Config != nil || !slices.Equal(m.Owned, []ipvs.ServiceKey{key}) || !m.OwnsSync {
				t.Errorf("recalled %+v, %v, want what is owned and no configuration", m, err)
			}
			if m, err := recall(file); err != nil || !m.OwnsSync {
				t.Errorf("what is owned: %+v, %v", m, err)
			}
			if cfg, err := LastConfig(file); err == nil || cfg != nil {
				t.Errorf("LastConfig = %v, %v", cfg, err)
			}
		})
	}
}

// TestUpgradeIsNoWarning: a director of another version finds a configuration that it cannot use, but has the file.
func TestUpgradeIsNoWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		text := `{"kind": "director", "version": 1, "data": {"shape": "other", "config": {"director": {"grace": 1}}}}`
		if err := os.WriteFile(filepath.Join(b.dir, "director.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		b.start(true)
		b.stop()
		if log := b.log.read(); strings.Contains(log, "level=WARN") || !strings.Contains(log, "stored by another version") {
			t.Errorf("the log is\n%s", log)
		}
	})
}

// TestUnusableStateFileIsKept checks that a director starts without a file that it cannot use, and keeps the file.
func TestUnusableStateFileIsKept(t *testing.T) {
	for name, text := range map[string]string{
		"newer":   `{"kind": "director", "version": 99, "data": {"owned": 7}}`,
		"damaged": `{"kind": "direc`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				file := filepath.Join(b.dir, "director.json")
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				if _, err := recall(file); err == nil {
					t.Error("no error")
				}
				b.start(true)
				b.stop()
				if kept, err := os.ReadFile(file + statefile.AsideSuffix); err != nil || string(kept) != text {
					t.Errorf("kept %q, %v", kept, err)
				}
				if m, err := recall(file); err != nil || m.Config == nil {
					t.Errorf("recalled %+v, %v", m, err)
				}
			})
		})
	}
}

// TestConfigurationShapeIsComplete checks that types behind interfaces are listed, since they are not part of the shape
// otherwise.
func TestConfigurationShapeIsComplete(t *testing.T) {
	shape, interfaces := statefile.Shape(configTypes...)
	listed := func(i reflect.Type) bool {
		return slices.ContainsFunc(configTypes, func(c reflect.Type) bool { return c.Implements(i) })
	}
	for _, i := range interfaces {
		if !listed(i) {
			t.Errorf("add the types that implement %s to configTypes", i)
		}
	}
	for kind, parameters := range healthcheck.Kinds {
		if !slices.Contains(configTypes, reflect.TypeOf(parameters())) {
			t.Errorf("the parameters of %s checks are not in the shape", kind)
		}
	}
	if again := configShape(); shape != again {
		t.Errorf("shape %s, then %s", shape, again)
	}
}
