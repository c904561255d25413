package supervisor

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/capability"
	"github.com/lvs-ha/lvs-ha/internal/statefile"
	"golang.org/x/sys/unix"
)

// TestHandoverOfAnotherVersion reads what other versions pass on.
func TestHandoverOfAnotherVersion(t *testing.T) {
	encode := func(version int, h Handover) string {
		format := handoverFormat
		format.Version = version
		text, err := format.Encode(h)
		must(t, err)
		return string(text)
	}
	same := Handover{Rehearsal: true, Path: "/usr/sbin/lvs-ha", Kept: ParentCapabilities, Role: -1, Old: -1}
	fewer := same
	fewer.Kept &^= capability.Of(unix.CAP_KILL)
	for _, tt := range []struct {
		name, text string
		problem    error
		said       string
	}{
		{name: "the same", text: encode(handoverFormat.Version, same)},
		{name: "with a new field", text: strings.Replace(encode(handoverFormat.Version, same), `"Path"`, `"New":1,"Path"`, 1)},
		{name: "newer", text: encode(handoverFormat.Version+1, same), problem: statefile.ErrNewer},
		{name: "damaged", text: "{", problem: statefile.ErrDamaged},
		{name: "with fewer capabilities", text: encode(handoverFormat.Version, fewer), said: "CAP_KILL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(handoverEnv, tt.text)
			h, err := InheritHandover()
			refused := tt.problem != nil || tt.said != ""
			switch {
			case !refused && (err != nil || h.Path != same.Path):
				t.Errorf("%+v, %v", h, err)
			case refused && (err == nil || tt.problem != nil && !errors.Is(err, tt.problem) || !strings.Contains(err.Error(), tt.said)):
				t.Errorf("the error is %v", err)
			}
			if _, left := os.LookupEnv(handoverEnv); left {
				t.Error("the processes that this one starts would inherit it")
			}
		})
	}
}

// TestRehearsalOfAnotherProgram asks programs that cannot take over.
func TestRehearsalOfAnotherProgram(t *testing.T) {
	for _, tt := range []struct{ name, program, said string }{
		{"able", "#!/bin/sh\necho '" + rehearsalAnswer + "v2'\n", ""},
		{"another program", "#!/bin/sh\necho hello\n", "not a version of lvs-ha"},
		{"silent", "#!/bin/sh\nexit 0\n", "not a version of lvs-ha"},
		{"refusing", "#!/bin/sh\necho unknown flag >&2\nexit 1\n", "unknown flag"},
		{"ending", "#!/bin/sh\nexit 9\n", "exit status 9"},
		{"no program", "nothing", "exec format error"},
		{"hanging", "#!/bin/sh\nsleep 1000\n", "did not say within"},
		{"talkative", "#!/bin/sh\nhead -c 100000 /dev/zero >&2\nexit 1\n", "cannot take over"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "program")
			must(t, os.WriteFile(path, []byte(tt.program), 0o755))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if tt.name == "hanging" {
				cancel()
				ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
			}
			defer cancel()
			h := Handover{Rehearsal: true, Path: path, Kept: ParentCapabilities, Role: -1, Old: -1}
			version, err := h.rehearse(ctx, nil)
			if tt.said == "" {
				if version != "v2" || err != nil {
					t.Errorf("%q, %v", version, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.said) || len(err.Error()) > 5000 {
				t.Errorf("%q, %v", version, err)
			}
		})
	}
}

// TestUpgradeRecord reads the records of other versions.
func TestUpgradeRecord(t *testing.T) {
	dir := RuntimeDir(t.TempDir())
	must(t, dir.WriteUpgrade(Upgrade{PID: 7, Sequence: 2, Step: StepPutBack}))
	if got, err := dir.ReadUpgrade(); err != nil || got.PID != 7 || got.Sequence != 2 || got.Step != StepPutBack || got.Running() {
		t.Errorf("%+v, %v", got, err)
	}
	newer := upgradeFormat
	newer.Version++
	must(t, newer.Write(dir.upgradeFile(), Upgrade{}))
	if _, err := dir.ReadUpgrade(); !errors.Is(err, statefile.ErrNewer) {
		t.Errorf("a newer record: %v", err)
	}
}

// TestUpgradeRequest: only one process can request an upgrade, and only until it closes the file.
func TestUpgradeRequest(t *testing.T) {
	dir := RuntimeDir(t.TempDir())
	if dir.UpgradeRequested() {
		t.Error("requested by nobody")
	}
	for range 2 {
		request, err := dir.RequestUpgrade()
		must(t, err)
		if !dir.UpgradeRequested() {
			t.Error("not requested")
		}
		if second, err := dir.RequestUpgrade(); err == nil {
			second.Close()
			t.Error("a second request was accepted")
		}
		must(t, request.Close())
		if dir.UpgradeRequested() {
			t.Error("still requested")
		}
	}
	if RuntimeDir(filepath.Join(string(dir), "absent")).UpgradeRequested() {
		t.Error("requested in a directory that does not exist")
	}
}

// TestStrayUpgradeSignal sends a parent SIGUSR2 as scripts send it to keepalived, and then with a request.
func TestStrayUpgradeSignal(t *testing.T) {
	s := newStory(t)
	reports, requested := make(chan Upgrade, 8), make(chan bool)
	parent := newTestParent("worker", s.socket, t.Name(), slog.New(slog.DiscardHandler))
	parent.Binary = filepath.Join(t.TempDir(), "absent")
	parent.Requested = func() bool { return <-requested }
	parent.Report = func(u Upgrade) error { reports <- u; return nil }
	ctx, cancel := context.WithCancel(t.Context())
	s.cancel = cancel
	go func() { s.ended <- parent.Run(ctx) }()
	s.next()
	for _, answer := range []bool{false, true} {
		send(t, os.Getpid(), UpgradeSignal)
		requested <- answer
	}
	var last Upgrade
	for last.Step != StepRefused {
		last = <-reports
	}
	if last.Sequence != 1 {
		t.Errorf("%d upgrades were begun, want one", last.Sequence)
	}
	s.cancel()
	if err := s.end(); err != nil {
		t.Error(err)
	}
}

// TestUpgradeIsRecordedLater has a runtime directory that is full at first.
func TestUpgradeIsRecordedLater(t *testing.T) {
	var log strings.Builder
	full, written := true, 0
	p := Parent{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	p.Report = func(Upgrade) error {
		if full {
			return unix.ENOSPC
		}
		written++
		return nil
	}
	p.setStep(StepNone, "")
	p.Record(false)
	full = false
	p.Record(false)
	p.Record(false)
	if written != 1 || strings.Count(log.String(), "level=WARN") != 1 {
		t.Errorf("recorded %d times, logged %q", written, log.String())
	}
	if p.Record(true); written != 2 {
		t.Error("not recorded in a new directory")
	}
}
