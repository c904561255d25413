package chaos

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
)

var start = time.Unix(1000, 0)

func at(n int) time.Time { return start.Add(ms(n)) }

func full(n int, held string) state {
	return state{at: at(n), held: held, services: 1, servers: 3, forwards: true}
}

func TestJudgeStates(t *testing.T) {
	for name, c := range map[string]struct {
		first, second []state
		want          Budget
	}{
		"quiet": {[]state{full(-50, "11")}, []state{full(-50, "00")}, Budget{}},
		"a hand-over with both": {
			[]state{full(-50, "11"), full(130, "00")}, []state{full(-50, "00"), full(100, "11")},
			Budget{Overlap: ms(30)},
		},
		"a takeover with none": {
			[]state{full(-50, "11"), {at: at(100)}}, []state{full(-50, "00"), full(480, "10"), full(490, "11")},
			Budget{NoHolder: ms(390)},
		},
		"the second address moves later": {
			[]state{full(-50, "11"), full(120, "01"), full(200, "00")}, []state{full(-50, "00"), full(100, "11")},
			Budget{Overlap: ms(100)},
		},
		"an empty table on the master": {
			[]state{full(-50, "11"), {at: at(100), held: "11", forwards: true}, full(300, "11")}, []state{full(-50, "00")},
			Budget{Table: ms(200)},
		},
		"no server with a weight": {
			[]state{full(-50, "11"), {at: at(100), held: "11", services: 1, forwards: true}, full(300, "11")}, []state{full(-50, "00")},
			Budget{Table: ms(200)},
		},
		"an empty table on the backup": {
			[]state{full(-50, "11")}, []state{full(-50, "00"), {at: at(100), held: "00", forwards: true}},
			Budget{},
		},
		"forwarding off until the end": {
			[]state{full(-50, "11"), {at: at(900), held: "11", services: 1, servers: 3}}, []state{full(-50, "00")},
			Budget{Forward: ms(100)},
		},
		"wrong before the window": {
			[]state{{at: at(-50), held: "00"}, full(10, "11")}, []state{full(-50, "00")},
			Budget{NoHolder: ms(10)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := judgeStates([][]state{c.first, c.second}, 2, start, at(1000))
			if got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestLongestSilence(t *testing.T) {
	ask := func(from, to int, ok bool) answer { return answer{at(from), at(to), ok} }
	for name, c := range map[string]struct {
		answers []answer
		want    time.Duration
	}{
		"none":          {nil, 0},
		"quick answers": {[]answer{ask(0, 10, true), ask(510, 530, true)}, ms(20)},
		"refused twice": {[]answer{ask(0, 10, true), ask(510, 511, false), ask(1011, 1012, false), ask(1512, 1522, true)}, ms(1012)},
		"no answer":     {[]answer{ask(0, 10, true), ask(510, 511, false)}, ms(1490)},
	} {
		if got := longestSilence(c.answers, at(2000)); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestLongestRivalry(t *testing.T) {
	adverts := func(pattern string) (all []advertised) {
		for i, r := range pattern { // one advert each 50 ms, or none
			if r != '.' {
				all = append(all, advertised{at(50 * i), int(r - '1')})
			}
		}
		return all
	}
	for pattern, want := range map[string]int{
		"1.1.1.1.1":                            0,
		"1.1.12.2.2.2":                         0,
		"1.1.1212.2.2":                         100,
		"1.12121212.2":                         300,
		"1.1.12...........................1.1": 0,
	} {
		if got := longestRivalry(adverts(pattern)); got != ms(want) {
			t.Errorf("%s: %v, want %v", pattern, got, ms(want))
		}
	}
}

func TestSchedulesCanBeReplayed(t *testing.T) {
	kinds := map[string]bool{}
	for number := range 2000 {
		s := Round(7, number, Troubles())
		if len(s) == 0 || len(s) > 3 {
			t.Fatalf("round %d has %d troubles", number, len(s))
		}
		for _, step := range s {
			kinds[step.Trouble.Name] = true
		}
		again, err := ParseSchedule(s.String())
		if err != nil || again.String() != s.String() {
			t.Fatalf("round %d, %q, is read as %q: %v", number, s, again, err)
		}
		if other := Round(7, number, Troubles()); other.String() != s.String() {
			t.Fatalf("round %d is %q, then %q", number, s, other)
		}
	}
	for _, one := range Troubles() {
		if !kinds[one.Name] {
			t.Errorf("%s never happened", one.Name)
		}
	}
	for _, text := range []string{"", "lb1 speaker-killed", "lb3 speaker-killed 1s", "lb1 nothing 1s", "lb1 speaker-killed -1s", "lb1 speaker-killed soon"} {
		if _, err := ParseSchedule(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

func TestTroublesAreWellFormed(t *testing.T) {
	known := map[Budget]bool{}
	for _, b := range budgets {
		known[b.Budget] = true
	}
	names := map[string]bool{}
	for _, one := range Troubles() {
		if names[one.Name] || strings.ContainsAny(one.Name, " ,") {
			t.Errorf("%q is no name, or there twice", one.Name)
		}
		names[one.Name] = true
		if !known[one.Budget] {
			t.Errorf("%s has a budget without a name", one.Name)
		}
		if happens := one.Begin != "" || one.Power || one.Cable != ""; !happens {
			t.Errorf("%s: nothing happens", one.Name)
		}
	}
}

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		only, except string
		want         int
	}{{"", "", len(Troubles())}, {"eth0-*", "", 4}, {"eth0-*", "*-renamed", 3}, {"reload,table-cleared", "", 2}} {
		got, err := Choose(c.only, c.except)
		if err != nil || len(got) != c.want {
			t.Errorf("%q without %q: %d troubles (%v), want %d", c.only, c.except, len(got), err, c.want)
		}
	}
	for _, bad := range [][2]string{{"nothing", ""}, {"reload", "*"}, {"[", ""}} {
		if _, err := Choose(bad[0], bad[1]); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestAllowed(t *testing.T) {
	schedule := func(text string) Schedule {
		s, err := ParseSchedule(text)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if got := allowed(schedule("lb1 mute 1s"), []time.Duration{second}); got.Overlap != takeover.Overlap+second || got.Table != 0 {
		t.Errorf("a mute master is allowed %v", got)
	}
	both := allowed(schedule("lb1 mute 1s, lb2 stopped 1s"), []time.Duration{2 * second, second})
	if both.NoHolder != recoveryLimit || both.Forward != 0 {
		t.Errorf("with both directors hurt %v is allowed", both)
	}
	one := allowed(schedule("lb1 mute 1s, lb2 reload 1s"), []time.Duration{2 * second, second})
	if one.NoHolder >= recoveryLimit {
		t.Errorf("with one director hurt %v is allowed", one)
	}
}

func TestConfigOfThePairLoads(t *testing.T) {
	if _, diags := config.LoadText("pair.hcl", pairConfig, config.Options{Node: "lb1"}); diags.HasErrors() {
		t.Fatal(diags)
	}
}

// TestBudgetsAreDocumented compares the table in docs/testing.md with budgets.
func TestBudgetsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, row := range regexp.MustCompile(`(?m)^\| `+"`"+`([a-z]+)`+"`"+` \|(.*)\|$`).FindAllStringSubmatch(string(page), -1) {
		rows[row[1]] = row[2]
	}
	for _, b := range budgets {
		if want := budgetRow(b.about, b.Budget); rows[b.name] != want {
			t.Errorf("docs/testing.md says of %s\n%q, want\n%q", b.name, rows[b.name], want)
		}
	}
}

func budgetRow(about string, b Budget) string {
	row := " " + about + " |"
	for i, q := range quantities {
		if i > 0 {
			row += " |"
		}
		row += " " + q.of(&b).String()
	}
	return row + " "
}
