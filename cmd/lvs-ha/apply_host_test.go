package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// TestHostApply applies configurations that are confirmed, not confirmed, undone, and left behind by a killed client and a
// killed director. The priority of the instance says which one is in force.
func TestHostApply(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newPlace(t)
	priority := func(n int) { p.configure(strings.Replace(gateway, "150", fmt.Sprint(n), 1)) }
	p.configure(gateway)
	d := p.start()
	began := d.awaitStatus("master", isMaster)
	inForce := func(what string, n uint8, so func(api.Config) bool) api.Status {
		t.Helper()
		return d.awaitStatus(what, func(s api.Status) bool { return isMaster(s) && s.VRRP[0].Priority == n && so(s.Config) })
	}
	waits := func(c api.Config) bool { return !c.ConfirmUntil.IsZero() && c.Reverted == "" }
	reverted := func(c api.Config) bool { return c.ConfirmUntil.IsZero() && c.Reverted != "" }
	settled := func(c api.Config) bool { return c.ConfirmUntil.IsZero() && c.Reverted == "" }
	apply := func(within string) (client *lab.Cmd, out *output) {
		t.Helper()
		out = &output{}
		client = p.host.Command(t.Context(), "lvs-ha", "apply", "--confirm", within, "--runtime-dir", p.path("run"))
		client.Stdout, client.Stderr = out, out
		if err := client.Start(); err != nil {
			t.Fatal(err)
		}
		return client, out
	}

	p.wantAnswer(p.asked("confirm"), 1, "no configuration waits")
	p.wantAnswer(p.asked("apply", "--confirm", "10ms"), 1, "from 1s to 24h")

	priority(120)
	client, out := apply("5m")
	inForce("applied", 120, waits)
	p.wantAnswer(p.asked("status"), 2, "lvs-ha confirm")
	p.wantAnswer(p.asked("confirm"), 0, "confirmed\n")
	if err := client.Wait(); err != nil || !strings.HasSuffix(out.text(), "\nconfirmed\n") {
		t.Errorf("the client of a confirmed configuration ended with %v: %s", err, out.text())
	}
	inForce("confirmed", 120, settled)

	// Not confirmed in time. The file is left as it is, and the next reload loads it.
	priority(110)
	if got := p.asked("apply", "--confirm", "1s"); got.status != 1 || !strings.Contains(got.stderr, "not confirmed within 1s") {
		t.Errorf("%+v", got)
	}
	inForce("reverted", 120, reverted)
	p.wantAnswer(p.asked("status"), 2, "the file is not in force")
	d.awaitLog("the file is not")
	p.wantAnswer(p.asked("confirm"), 1, "not confirmed within 1s")
	killed := func() {
		t.Helper()
		if err := syscall.Kill(d.worker("director"), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	before := d.awaitStatus("any", isMaster).Started
	killed()
	d.awaitStatus("still reverted with the next director", func(s api.Status) bool {
		return s.Started.After(before) && isMaster(s) && s.VRRP[0].Priority == 120 && reverted(s.Config)
	})
	p.wantAnswer(p.asked("reload"), 0, "reloaded\n")
	inForce("loaded again", 110, settled)

	// Another apply and a reload meanwhile, and an operator who goes back at once.
	priority(105)
	client, out = apply("5m")
	inForce("applied", 105, waits)
	priority(106)
	second, _ := apply("10m")
	inForce("applied again", 106, waits)
	priority(107)
	p.wantAnswer(p.asked("reload"), 0, "reloaded; ", "unless")
	inForce("reloaded", 107, waits)
	p.wantAnswer(p.asked("apply", "--undo"), 0, "the file is not")
	inForce("undone", 110, reverted)
	p.wantAnswer(p.asked("events", "--kind", "config"), 0, "unconfirmed -> reverted (undone) by ")
	for _, c := range []*lab.Cmd{client, second} {
		if err := c.Wait(); err == nil || c.ProcessState.ExitCode() != 1 {
			t.Errorf("the client of an undone configuration ended with %v: %s", err, out.text())
		}
	}

	// The session of the operator dies, and then the director.
	priority(104)
	client, _ = apply("5s")
	started := inForce("applied", 104, waits).Started
	if err := client.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = client.Wait()
	killed()
	d.awaitStatus("reverted by the next director", func(s api.Status) bool {
		return s.Started.After(started) && isMaster(s) && s.VRRP[0].Priority == 110 && reverted(s.Config)
	})

	// At a terminal.
	priority(103)
	typed := p.run("sh", "-c", "echo y | script -qec 'lvs-ha apply --runtime-dir "+p.path("run")+"' /dev/null")
	if typed.status != 0 || !strings.Contains(typed.stdout, "confirmed") {
		t.Errorf("at a terminal: %+v", typed)
	}
	after := inForce("confirmed at a terminal", 103, settled)
	if n := after.VRRP[0].Transitions; n != began.VRRP[0].Transitions {
		t.Errorf("it became master %d times", n)
	}
}
