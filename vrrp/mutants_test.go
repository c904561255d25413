//go:build !race

package vrrp

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutant is a way to break the machine: in file, the first occurrence of old that follows after (if any) is replaced with
// new. Old is an expression or complete lines of statements.
type mutant struct{ name, file, after, old, new string }

var mutants = []mutant{
	{"skew grows with the priority", "timers.go", "", "time.Duration(256-int(priority)) * interval", "time.Duration(priority) * interval"},
	{"version 2 skews by its interval", "timers.go", "", "\tif version == 2 {\n\t\tinterval = time.Second\n\t}\n", "\n"},
	{"two lost adverts are enough", "timers.go", "", "3*interval", "2*interval"},
	{"the master's interval is not adopted", "timers.go", "", "m.in.Version == 2 || advertised <= 0", "true"},
	{"any interval is adopted", "timers.go", "", "min(advertised, time.Duration(m.in.adoptFactor())*m.in.AdvertiseInterval)", "advertised"},
	{"priority 0 is not sent at once", "leaving.go", "func (m *Machine) leave(", "\tm.act(SendAdvert{PriorityResign})\n", "\n"},
	{"priority 0 is not understood", "backup.go", "", "t.Before(m.due)", "false"},
	{"priority 0 is followed", "backup.go", "", "r.Priority == PriorityResign", "false"},
	{"a lower priority wins", "master.go", "", "r.Priority > m.Priority()", "r.Priority < m.Priority()"},
	{"a lower address wins", "master.go", "", "r.Source.Compare(m.source) > 0", "r.Source.Compare(m.source) < 0"},
	{"no address wins", "master.go", "", "r.Source.Compare(m.source) > 0", "false"},
	{"an equal master is preempted", "backup.go", "", "r.Priority >= m.Priority()", "r.Priority > m.Priority()"},
	{"a lower master is never preempted", "backup.go", "", `m.preemptBar() == "" && !now.Before(m.preemptAfter)`, "false"},
	{"the preemption delay is ignored", "backup.go", "", `m.preemptBar() == "" && !now.Before(m.preemptAfter)`, `m.preemptBar() == ""`},
	{"the preemption delay never ends", "backup.go", "", "m.preemptAfter.IsZero()", "true"},
	{"nopreempt is ignored", "backup.go", "", "!m.in.Preempt", "false"},
	{"a hold is ignored", "backup.go", "", "\treturn m.effects.hold\n", "\treturn \"\"\n"},
	{"an active master's adverts are ignored", "backup.go", "", "\tm.due = other.at.Add(m.masterDown())\n", "\n"},
	{"an advert counts from when it is read", "machine.go", "", "r.At.IsZero() || r.At.After(now)", "true"},
	{"leftover addresses stay despite a master", "backup.go", "func (m *Machine) backupReceived(", "\tm.dropAddresses()", "\t"},
	{"addresses stay after yielding", "master.go", "", "\tm.dropAddresses()\n", "\n"},
	{"addresses stay after leaving", "leaving.go", "func (m *Machine) left(", "\tm.dropAddresses()\n", "\n"},
	{"addresses stay when the link is down", "link.go", "func (m *Machine) initialize(", "\tm.dropAddresses()\n", "\n"},
	{"a leaving master removes the addresses", "leaving.go", "", "\tm.enter(Leaving, d.reason, now)\n", "\tm.dropAddresses()\n\tm.enter(Leaving, d.reason, now)\n"},
	{"a last resort does not stay", "leaving.go", "", "\t\tm.stay(ReasonNobodyTookOver, now)\n", "\t\tm.left(heard{}, now)\n"},
	{"a stop takes as long as it likes", "leaving.go", "", "end.Before(m.due)", "false"},
	{"a takeover advertises before it has the addresses", "master.go", "", "reason == ReasonPreempt || reason == ReasonPriorityZero", "false"},
	{"a new master announces nothing", "master.go", "func (m *Machine) becomeMaster(", "\tm.announce(now)\n", "\n"},
	{"a master announces nothing when it hears another", "master.go", "func (m *Machine) announceAgain(", "\tif now.Sub(m.announced) >= announceGap {\n\t\tm.announce(now)\n\t}\n\tm.reassert = now.Add(reassertAfter)\n", "\n"},
	{"a master does not repeat its announcement", "master.go", "", "\tm.reassert = now.Add(reassertAfter)\n", "\n"},
	{"a master does not announce after priority 0", "master.go", "case r.Priority == PriorityResign:", "\t\tm.announceAgain(now)\n", "\n"},
	{"a lapsed master yields silently", "master.go", "func (m *Machine) yield(", "\t\tm.act(SendAdvert{PriorityResign})\n", "\n"},
	{"a yielding master says nothing", "master.go", "func (m *Machine) yield(", "\t\tm.advertise(now)\n", "\n"},
	{"adverts are rare", "master.go", "m.sent = now\n", "now.Add(m.in.AdvertiseInterval)", "now.Add(4*m.in.AdvertiseInterval)"},
	{"adverts follow the wall clock", "master.go", "m.sent = now\n", "now.Add(m.in.AdvertiseInterval)", "now.Round(0).Add(m.in.AdvertiseInterval)"},
	{"answers are not limited", "master.go", "", "now.Before(next)", "false"},
	{"a router that yielded takes over at once", "backup.go", "", "now.Before(settled)", "false"},
	{"offsets are ignored", "machine.go", "", "int(m.in.Priority)+m.effects.offset", "int(m.in.Priority)"},
	{"a last resort keeps its priority", "machine.go", "func (m *Machine) Priority(", "m.effects.lastResort", "false"},
	{"a fault is ignored by a master", "track.go", "case Master:", `m.effects.fault != ""`, "false"},
	{"a member takes over alone", "group.go", "func (g *Group) Admit(", "until.After(now)", "false"},
	{"a member does not wait for one that yielded", "group.go", "func (g *Group) waitUntil(", "o.settled()", "o.startupOver()"},
	{"another member's master counts as dead at once", "group.go", "", "aliveIntervals * o.adopt(o.master.interval)", "0"},
	{"the members do not follow a new master", "group.go", "func (g *Group) After(", "\t\treturn g.promote(m)\n", "\t\treturn nil\n"},
	{"a late member stays backup", "group.go", "func (g *Group) After(", "[]Command{{m, Promote{HandOver: true}}}", "nil"},
	{"a member that recovers while it leaves is not told", "group.go", "func (g *Group) After(", "(started || recovered)", "started"},
	{"the members do not step down together", "group.go", "", "\t\t\tout = append(out, Command{o, StepDown{giveUp}})\n", "\n"},
	{"a group never gives up", "group.go", "giveUp := ", "m.state == Backup", "false"},
	{"a member that steps down does not give up", "group.go", "", "departure{next: Backup, reason: ReasonGroup, giveUp: giveUp}", "departure{next: Backup, reason: ReasonGroup}"},
	{"a link that is down concerns one member only", "group.go", "", `missing != ""`, "false"},
	{"a fault concerns one member only", "group.go", "", "t.Effect == EffectFault", "false"},
	{"a promoted member advertises before it has the addresses", "group.go", "", "by.reason != ReasonMasterDownTimer", "false"},
	{"a new group takes a living master's place", "group.go", "", "!g.waitUntil(m).After(now)", "true"},
}

// mutantSwitch selects a mutant in the program that contains all of them.
const mutantSwitch = `package vrrp

import (
	"os"
	"strconv"
)

var mutantNumber, _ = strconv.Atoi(os.Getenv("LVS_HA_MUTANT"))

func mutantPick[T any](number int, right, wrong T) T {
	if mutantNumber == number {
		return wrong
	}
	return right
}
`

// apply adds the mutant to the source, as an alternative to the original code.
func (m mutant) apply(number int, source string) (string, error) {
	start := strings.Index(source, m.after)
	at := -1
	if start >= 0 {
		at = strings.Index(source[start:], m.old)
	}
	if at < 0 {
		return "", fmt.Errorf("mutant %q: %s has no text %q after %q", m.name, m.file, m.old, m.after)
	}
	at += start
	both := fmt.Sprintf("mutantPick(%d, %s, %s)", number, m.old, m.new)
	if strings.HasPrefix(m.old, "\t") {
		both = fmt.Sprintf("if mutantNumber == %d {\n%s\n} else {\n%s\n}\n", number, m.new, m.old)
	}
	return source[:at] + both + source[at+len(m.old):], nil
}

// mutatedSources returns the changed files, with all mutants.
func mutatedSources(t *testing.T) map[string]string {
	sources := map[string]string{"mutant.go": mutantSwitch}
	for i, m := range mutants {
		if sources[m.file] == "" {
			text, err := os.ReadFile(m.file)
			if err != nil {
				t.Fatal(err)
			}
			sources[m.file] = string(text)
		}
		var err error
		if sources[m.file], err = m.apply(i+1, sources[m.file]); err != nil {
			t.Fatal(err)
		}
	}
	return sources
}

// TestMutants checks that all mutants still apply to the machine's source. TestProofMutants runs them.
func TestMutants(t *testing.T) { mutatedSources(t) }

// buildMutants builds these tests with a machine that contains all mutants. The go tool replaces the package's files with
// the changed ones.
func buildMutants(t *testing.T) string {
	dir := t.TempDir()
	replace := map[string]string{}
	for name, text := range mutatedSources(t) {
		original, err := filepath.Abs(name)
		if err != nil {
			t.Fatal(err)
		}
		replace[original] = filepath.Join(dir, name)
		if err := os.WriteFile(replace[original], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay, program := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "mutants.test")
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err == nil {
		err = os.WriteFile(overlay, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build the mutants: %v\n%s", err, out)
	}
	return program
}

// TestProofMutants runs every mutant. Simulation or exploration must detect each of them; single stories of groups may do so too.
func TestProofMutants(t *testing.T) {
	needProof(t)
	program := buildMutants(t)
	finders := []string{"TestSimulation", "TestHistories", "TestExploration", "TestGroup.*", "TestConverge"}
	for i, m := range append([]mutant{{name: "none"}}, mutants...) {
		var by []string
		var all strings.Builder
		for _, finder := range finders {
			cmd := exec.CommandContext(t.Context(), program, "-test.short", "-test.timeout=120s", "-test.run=^"+finder+"$")
			cmd.Env = append(os.Environ(), "LVS_HA_TEST=", fmt.Sprintf("LVS_HA_MUTANT=%d", i))
			out, err := cmd.CombinedOutput()
			all.Write(out)
			if err != nil {
				by = append(by, strings.TrimPrefix(finder, "Test"))
			}
		}
		t.Logf("%2d %-50s %s", i, m.name, strings.Join(by, " "))
		switch found := len(by) > 0; {
		case found && i == 0:
			t.Fatalf("without a mutant:\n%s", all.String())
		case !found && i > 0:
			t.Errorf("mutant %q was not found", m.name)
		}
	}
}
