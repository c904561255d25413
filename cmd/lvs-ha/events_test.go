package main

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/events"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

func TestTimesOfOptions(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"10m": now.Add(-10 * time.Minute), "2026-02-28 11:30": time.Date(2026, 2, 28, 11, 30, 0, 0, time.UTC),
		"2026-02-28T11:30:00+01:00": time.Date(2026, 2, 28, 10, 30, 0, 0, time.UTC), "2026-02-28": time.Date(2026, 2, 28, 0, 0, 0, 0, time.UTC),
		"11:59": now.Add(-time.Minute), "12:00:00": now, "12:01": time.Date(2026, 2, 28, 12, 1, 0, 0, time.UTC),
		"-10m": {}, "yesterday": {}, "24:00": {},
	} {
		got, err := parseTime(text, now)
		if !got.Equal(want) || (err != nil) != want.IsZero() {
			t.Errorf("%s: %v, %v, want %v", text, got, err, want)
		}
	}
}

func TestEventLine(t *testing.T) {
	e := api.Event{Kind: events.Server, Subject: "web/192.0.2.1:80", From: "up", To: "down", Reason: "http: \x1b[31mred"}
	if line := eventLine(e); strings.Contains(line, "\x1b") || !strings.Contains(line, "web/192.0.2.1:80: up -> down (") {
		t.Errorf("%q", line)
	}
}

// TestHostEvents: what changed on a pair, also after the director was killed, and in the order in which it happened.
func TestHostEvents(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newPlace(t)
	p.wantAnswer(p.asked("events"), statusNotRunning)
	p.configure(gateway)
	d := p.start()
	d.awaitStatus("master", isMaster)
	followed := p.host.Command(t.Context(), "lvs-ha", "events", "-f", "--kind", "vrrp,failover", "--runtime-dir", p.path("run"))
	var lines output
	followed.Stdout = &lines
	if err := followed.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "shows the first", func() bool { return strings.Contains(lines.text(), "gateway: BACKUP -> MASTER (master-down-timer)") })

	p.configure("vrrp {")
	p.wantAnswer(p.asked("reload"), 1)
	p.configure(gateway)
	p.wantAnswer(p.asked("failover"), 1) // nobody else is there
	eventually(t, "shows the end", func() bool { return strings.Contains(lines.text(), "gateway: cancelled (no other router took over)") })

	before := p.asked("events").stdout
	eventually(t, "saved", func() bool {
		saved, err := os.ReadFile(p.path("run/events.json"))
		return err == nil && strings.Contains(string(saved), "no other router took over")
	})
	if err := syscall.Kill(d.processes()["director"], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	d.awaitStatus("master again", isMaster)
	after := p.asked("events").stdout
	if !strings.HasPrefix(after, before) || len(after) == len(before) {
		t.Errorf("before the director was killed:\n%safter:\n%s", before, after)
	}
	last := 0
	for _, text := range []string{"INITIALIZE -> BACKUP", "BACKUP -> MASTER", "refused", "requested", "cancelled"} {
		at := strings.Index(after, text)
		if at < last {
			t.Errorf("%q is missing or too early in\n%s", text, after)
		}
		last = at
	}
	if !strings.Contains(after, "by root") {
		t.Errorf("who requested the failover is not shown:\n%s", after)
	}
	if err := followed.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := followed.Wait(); err != nil {
		t.Errorf("interrupted: %v", err)
	}
}
