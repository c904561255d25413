package healthcheck_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	. "github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/script"
)

// runScheduled runs a spec once in a scheduler that runs scripts.
func runScheduled(t *testing.T, spec Spec, server netip.AddrPort) Event {
	t.Helper()
	runner := script.NewRunner(2)
	defer runner.Close()
	events := make(chan Event, 100)
	s := NewScheduler(Options{RunScript: runner.Run, Report: func(e Event) { events <- e }})
	spec.Interval, spec.Rise, spec.Fall = time.Minute, 1, 1
	update(t, s, []Target{NewTarget(server.Addr(), server.Port(), spec)})
	defer start(t, s)()
	return <-events
}

func TestScript(t *testing.T) {
	const text = `test "$LVS_HA_ADDRESS $LVS_HA_PORT" = "192.0.2.7 8080" || exit 99; exec "$@"`
	server := netip.MustParseAddrPort("192.0.2.7:8080")
	for _, c := range []struct {
		run    []string
		weight *Weight
		want   Result
	}{
		{[]string{"true"}, nil, Result{OK: true, Complete: true, Detail: "exit status 0"}},
		{[]string{"false"}, nil, Result{Reason: Failed, Detail: "exit status 1"}},
		{[]string{"sh", "-c", "echo secret; exit 12"}, nil, Result{Reason: Failed, Detail: "exit status 12"}},
		{[]string{"sh", "-c", "exit 12"}, &Weight{}, Result{OK: true, Complete: true, Advice: Advice{Unit: Weights, Number: 10}, Detail: "exit status 12"}},
		{[]string{"sh", "-c", "exit 52"}, &Weight{Unit: Percent}, Result{OK: true, Complete: true, Advice: Advice{Unit: Percent, Number: 50}, Detail: "exit status 52"}},
		{[]string{"sh", "-c", "exit 2"}, &Weight{}, Result{OK: true, Complete: true, Advice: Advice{Unit: Weights}, Detail: "exit status 2"}},
		{[]string{"false"}, &Weight{}, Result{Reason: Failed, Detail: "exit status 1"}},
		{[]string{"true"}, &Weight{}, Result{OK: true, Complete: true, Detail: "exit status 0"}},
		{[]string{"sleep", "60"}, nil, Result{Reason: TimedOut, Detail: "timeout after 300ms"}},
		{[]string{"sh", "-c", "kill -9 $$"}, nil, Result{Reason: Failed, Detail: "killed by signal 9 (killed)"}},
	} {
		spec := Spec{Timeout: 30 * time.Second, Weight: c.weight, Check: &Script{
			Command: append([]string{text}, c.run...), Shell: true, User: strconv.Itoa(os.Getuid()), Group: strconv.Itoa(os.Getgid()),
		}}
		if c.want.Reason == TimedOut {
			spec.Timeout = 300 * time.Millisecond
		}
		if got := runScheduled(t, spec, server).Result; got != c.want {
			t.Errorf("%v: %+v, want %+v", c.run, got, c.want)
		}
	}
	missing := Spec{Timeout: time.Minute, Check: &Script{Command: []string{"/nonexistent/program"}}}
	if got := runScheduled(t, missing, server).Result; !got.Local {
		t.Errorf("a missing program: %+v", got)
	}
	if got := check(t, missing, server); !got.Local {
		t.Errorf("without a runner: %+v", got)
	}
}

func TestWordFile(t *testing.T) {
	dir := t.TempDir()
	server := netip.MustParseAddrPort("192.0.2.7:8080")
	path := filepath.Join(dir, "192.0.2.7", "8080")
	spec := Spec{Timeout: time.Second, Check: &WordFile{Path: filepath.Join(dir, "{address}", "{port}")}}
	good := func(advice Advice, detail string) Result {
		return Result{OK: true, Decisive: true, Complete: true, Advice: advice, Detail: detail}
	}
	if got := check(t, spec, server); got != good(Advice{}, "no file") {
		t.Errorf("without a directory: %+v", got)
	}
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]Result{
		"":                  good(Advice{}, "the file is empty"),
		"\n75%":             good(Advice{}, "the file is empty"),
		"75%\n":             good(Advice{Unit: Percent, Number: 75}, "file: up 75%"),
		"20":                good(Advice{Unit: Weights, Number: 20}, "file: up weight 20"),
		"drain maxconn:5":   good(Advice{Mode: Drain, MaxConn: 5}, "file: up drain maxconn:5"),
		"down # by Alice":   {Decisive: true, Complete: true, Reason: Told, Detail: "file: down"},
		"secret":            {Local: true, Reason: NotChecked, Detail: "not checked: the file is not understood: the line has no word that is known"},
		"99999999999999999": good(Advice{Unit: Weights, Number: 2147483647}, "file: up weight 2147483647"),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := check(t, spec, server); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := check(t, spec, server); !got.Local {
		t.Errorf("a pipe: %+v", got)
	}
	// What a file no longer says is as configured again.
	forgotten := after(t, agentSpec, good(Advice{Unit: Weights, Number: 3, Mode: Drain, MaxConn: 5}, ""), good(Advice{Unit: Weights, Number: 4}, ""), good(Advice{}, ""))
	if got := fmt.Sprint(forgotten[1].Advice, "; ", forgotten[2].Advice); got != "weight 4; " {
		t.Errorf("after more was said: %q", got)
	}
}

func TestNumberIsAddedToTheWeight(t *testing.T) {
	path := filepath.Join(t.TempDir(), "load")
	for _, c := range []struct {
		text   string
		factor int
		ok     bool
		want   Advice
	}{
		{"7", 1, true, Advice{Unit: Added, Number: 7}},
		{" -7\nrest", 3, true, Advice{Unit: Added, Number: -21}},
		{"7", -2, true, Advice{Unit: Added, Number: -14}},
		{"99999999999999999999", 2, true, Advice{Unit: Added, Number: 1<<31 - 1}},
		{"0", 0, true, Advice{Unit: Added}},
		{"-1", 0, false, Advice{}},
		{"drain", 2, true, Advice{Mode: Drain}},
		{"50%", 2, true, Advice{Unit: Percent, Number: 50}},
		{"", 2, true, Advice{}},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		probe, err := (&WordFile{Path: path}).Probe(Setup{Timeout: time.Second, Weight: &Weight{Unit: Added, Factor: c.factor}})
		if err != nil {
			t.Fatal(err)
		}
		if r := probe(t.Context(), netip.MustParseAddrPort("192.0.2.1:80")); r.OK != c.ok || r.Advice != c.want || !r.Decisive || !r.Complete {
			t.Errorf("%q times %d: %+v, want %v with %+v", c.text, c.factor, r, c.ok, c.want)
		}
	}
}
