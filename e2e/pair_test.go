// Package e2e tells stories with real kernels, real peers and real clients.
package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/e2e/scene"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// The slow downloads of the stories: each lasts ten seconds, so that it stands at both ends of a failover.
const (
	downloads    = 20
	downloadRate = 40_000
	downloadSize = 10 * downloadRate
	takeoverGoal = 500 * time.Millisecond // at 100 ms adverts; the RFC's timer is 361 ms at priority 100
)

// binary builds lvs-ha once for all stories.
func binary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(buildDir, "lvs-ha")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, "github.com/lvs-ha/lvs-ha/cmd/lvs-ha")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building lvs-ha: %v\n%s", err, out)
	}
	return path
}

var buildDir string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "lvs-ha-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		buildDir = dir
		return m.Run()
	}())
}

// story is a scene in a test: ready, with the first director active.
type story struct {
	*scene.Scene
	t *testing.T
}

func begin(t *testing.T, layout scene.Layout, args ...string) *story {
	t.Helper()
	example, err := filepath.Abs("../examples/" + string(layout) + ".hcl")
	if err != nil {
		t.Fatal(err)
	}
	s, err := scene.Build(lab.NewT(t, "e2e"), layout, scene.Options{Binary: binary(t), Config: example, Args: args})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, d := range s.Directors {
				t.Logf("log of %s:\n%s", d.Name(), d.Log())
			}
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return &story{s, t}
}

func (s *story) active() *scene.Director  { return s.Directors[0] }
func (s *story) standby() *scene.Director { return s.Directors[1] }

// await waits for a status of a director.
func (s *story) await(d *scene.Director, what string, wanted func(api.Status) bool) api.Status {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	status, err := d.Await(ctx, what, wanted)
	if err != nil {
		s.t.Fatalf("%v; its last status: %+v", err, status)
	}
	return status
}

// status is a director's status now.
func (s *story) status(d *scene.Director) api.Status {
	return s.await(d, "answering", func(api.Status) bool { return true })
}

// download begins the slow downloads and returns when the standby's table holds all of them.
func (s *story) download() *lab.Downloads {
	s.t.Helper()
	d := s.Client.Download(s.t.Context(), downloads, "http://"+scene.VIP, downloadSize, downloadRate)
	<-d.Started()
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
	defer cancel()
	for {
		missing, err := s.unsynced(ctx, d)
		if err == nil && missing == 0 {
			return d
		}
		if ctx.Err() != nil {
			s.t.Fatalf("%d of %d connections are not in the standby's table (%v)", missing, downloads, err)
		}
	}
}

func (s *story) unsynced(ctx context.Context, d *lab.Downloads) (missing int, err error) {
	known, err := s.standby().Connections(ctx)
	for _, one := range d.State() {
		if one.Err != nil {
			return 0, one.Err
		}
		if !known[one.Local] {
			missing++
		}
	}
	return missing, err
}

// finished waits for the downloads: every byte of each must have arrived.
func (s *story) finished(d *lab.Downloads) {
	s.t.Helper()
	var worst time.Duration
	for i, one := range d.Wait() {
		if one.Err != nil {
			s.t.Errorf("download %d from %s over %s failed after %d bytes: %v", i, one.Server, one.Local, one.Bytes, one.Err)
		}
		worst = max(worst, one.Gap)
	}
	s.t.Logf("all %d downloads have ended; the longest time without a byte was %v", downloads, worst.Round(time.Millisecond))
}

// probe opens a connection to the service every 10 ms.
func (s *story) probe() *lab.Prober {
	s.t.Helper()
	p, err := s.Client.Probe(s.t.Context(), lab.ProbeConfig{
		Network: "tcp", Address: scene.VIP + ":80", Every: 10 * time.Millisecond, Deadline: 100 * time.Millisecond,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// signal sends a signal to processes of lvs-ha on a director, chosen by a word of their command line. A director that is a
// namespace shares the process table with others, so it counts only who is in its network namespace.
func (s *story) signal(d *scene.Director, signal string, words ...string) {
	s.t.Helper()
	script := `
me=$(readlink /proc/self/ns/net); n=0
for p in /proc/[0-9]*; do
	[ "$(readlink $p/ns/net)" = "$me" ] && [ "$(cat $p/comm)" = lvs-ha ] || continue
	for word in ` + strings.Join(words, " ") + `; do
		tr '\0' ' ' <$p/cmdline | grep -q " $word " && kill -` + signal + ` ${p#/proc/} && n=$((n+1))
	done
done
echo $n`
	out, err := lab.Output(s.t.Context(), d.Director, "sh", "-c", script)
	if err != nil {
		s.t.Fatal(err)
	}
	if strings.TrimSpace(out) != fmt.Sprint(len(words)) {
		s.t.Fatalf("on %s, SIG%s went to %s processes, want %d (%v)", d.Name(), signal, strings.TrimSpace(out), len(words), words)
	}
}

func transitions(s api.Status) (n uint64) {
	for _, v := range s.VRRP {
		n += v.Transitions
	}
	return n
}

var fast = []string{"--var", "advertise_interval=100ms"}

func TestPairPowerFailure(t *testing.T) {
	lab.Need(t, lab.Pair)
	for _, layout := range []scene.Layout{scene.NAT, scene.DR} {
		t.Run(string(layout), func(t *testing.T) {
			s := begin(t, layout, fast...)
			held := s.download()
			p := s.probe()
			warm := time.After(500 * time.Millisecond)
			<-warm
			if err := s.active().Kill(); err != nil {
				t.Fatal(err)
			}
			s.await(s.standby(), "master", scene.IsMaster)
			s.finished(held)
			outage(t, p.Stop(), takeoverGoal)
		})
	}
}

func TestPairProcessesKilled(t *testing.T) {
	lab.Need(t, lab.Pair)
	for _, layout := range []scene.Layout{scene.NAT, scene.DR} {
		t.Run(string(layout), func(t *testing.T) {
			s := begin(t, layout, fast...)
			held := s.download()
			all := []string{"run", "speaker", "director"}
			s.signal(s.active(), "STOP", all...)
			s.signal(s.active(), "KILL", all...)
			killed := time.Now()
			status := s.await(s.standby(), "master", scene.IsMaster)
			t.Logf("the standby is master %v after the kill", status.VRRP[0].Since.Sub(killed).Round(time.Millisecond))
			s.finished(held)
			if err := s.active().Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.await(s.active(), "master again", scene.IsMaster)
			s.await(s.standby(), "backup again", scene.IsBackup)
		})
	}
}

// outage says how long the client went without, and fails if that was longer than allowed.
func outage(t *testing.T, r lab.ProbeReport, allowed time.Duration) {
	t.Helper()
	t.Logf("of %d probes %d were lost; the longest outage was %v", r.Sent, r.Lost, r.Longest.Round(time.Millisecond))
	if r.Longest > allowed {
		t.Errorf("the client had no service for %v, want at most %v (last error: %v)", r.Longest, allowed, r.LastError)
	}
}

func TestPairAWorkerIsKilled(t *testing.T) {
	lab.Need(t, lab.Pair)
	s := begin(t, scene.NAT, fast...)
	before := transitions(s.status(s.standby()))

	t.Run("director: no failover, the table untouched, checks go on", func(t *testing.T) {
		s := &story{s.Scene, t}
		held := s.download()
		table := tableOf(s, s.active())
		s.signal(s.active(), "KILL", "director")
		checksBefore := healthRequests(s)
		s.await(s.active(), "served by a new director", func(st api.Status) bool { return len(scene.Pool(st)) == len(s.Servers) })
		if after := tableOf(s, s.active()); after != table {
			t.Errorf("the table changed:\n%s\nto:\n%s", table, after)
		}
		eventually(t, time.Second, "checks of each server by the new director", func() bool {
			for name, n := range healthRequests(s) {
				if n < checksBefore[name]+2 { // one of them may be the standby's
					return false
				}
			}
			return true
		})
		s.finished(held)
		if n := transitions(s.status(s.standby())); n != before {
			t.Errorf("the standby became master %d times", n-before)
		}
	})

	t.Run("speaker: no failover at 100 ms adverts", func(t *testing.T) {
		s := &story{s.Scene, t}
		held := s.download()
		p := s.probe()
		s.signal(s.active(), "KILL", "speaker")
		s.await(s.active(), "master after the speaker is back", func(st api.Status) bool {
			return scene.IsMaster(st) && st.VRRP[0].Reason == "adopted"
		})
		s.finished(held)
		outage(t, p.Stop(), 0)
		if n := transitions(s.status(s.standby())); n != before {
			t.Errorf("the standby became master %d times", n-before)
		}
	})

	t.Run("director kept from coming back: a clean hand-over after the grace time", func(t *testing.T) {
		s := &story{s.Scene, t}
		held := s.download()
		p := s.probe()
		s.signal(s.active(), "STOP", "run")
		s.signal(s.active(), "KILL", "director")
		killed := time.Now()
		s.await(s.standby(), "master", scene.IsMaster)
		t.Logf("handed over %v after the director's end", time.Since(killed).Round(time.Millisecond))
		s.finished(held)
		outage(t, p.Stop(), 0)
		s.signal(s.active(), "CONT", "run")
		s.await(s.active(), "master again", scene.IsMaster)
	})

	t.Run("parent: a clean hand-over", func(t *testing.T) {
		s := &story{s.Scene, t}
		held := s.download()
		p := s.probe()
		s.signal(s.active(), "KILL", "run")
		s.await(s.standby(), "master", scene.IsMaster)
		s.finished(held)
		outage(t, p.Stop(), 0)
	})
}

// eventually waits for a condition that no event tells of.
func eventually(t *testing.T, within time.Duration, what string, is func() bool) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Errorf("not within %v: %s", within, what)
			return
		}
	}
}

// healthRequests are the health checks that each server has seen.
func healthRequests(s *story) map[string]int {
	n := map[string]int{}
	for _, w := range s.Servers {
		n[w.Name()] = w.Requests()["/healthz"]
	}
	return n
}

// tableOf is the kernel's table as ipvsadm saves it.
func tableOf(s *story, d *scene.Director) string {
	s.t.Helper()
	out, err := lab.Output(s.t.Context(), d.Director, "ipvsadm", "-S", "-n")
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func TestPairOrderlyStop(t *testing.T) {
	lab.Need(t, lab.Pair)
	s := begin(t, scene.NAT, fast...)
	held := s.download()
	p := s.probe()
	asked := time.Now()
	if err := s.active().Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(asked); took > time.Second {
		t.Errorf("SIGTERM to the end took %v, want at most a second", took)
	}
	s.await(s.standby(), "master", scene.IsMaster)
	if err := s.active().Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.await(s.active(), "master again", scene.IsMaster)
	s.finished(held)
	outage(t, p.Stop(), 0)
	if v := s.status(s.standby()).VRRP[0]; v.State != vrrp.Backup {
		t.Errorf("the standby is %s (%s)", v.State, v.Reason)
	}
}
