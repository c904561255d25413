package chaos

import (
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"time"
)

// Step is one trouble of a round and the pause after it.
type Step struct {
	Director string
	Trouble  *Trouble
	Pause    time.Duration
}

// Schedule is a round.
type Schedule []Step

// String returns the form that ParseSchedule parses: "lb1 speaker-killed 430ms, lb2 eth0-down 1.2s".
func (s Schedule) String() string {
	var out []string
	for _, step := range s {
		out = append(out, fmt.Sprintf("%s %s %v", step.Director, step.Trouble.Name, step.Pause))
	}
	return strings.Join(out, ", ")
}

// ParseSchedule parses a round.
func ParseSchedule(text string) (s Schedule, err error) {
	for part := range strings.SplitSeq(text, ",") {
		words := strings.Fields(part)
		if len(words) != 3 {
			return nil, fmt.Errorf("schedule: %q: write a director, a trouble and a pause, as \"lb1 speaker-killed 430ms\"", strings.TrimSpace(part))
		}
		t, ok := find(words[1])
		if !ok {
			return nil, fmt.Errorf("schedule: there is no trouble %q", words[1])
		}
		if words[0] != "lb1" && words[0] != "lb2" {
			return nil, fmt.Errorf("schedule: there is no director %q: it is lb1 or lb2", words[0])
		}
		pause, err := time.ParseDuration(words[2])
		if err != nil || pause < 0 {
			return nil, fmt.Errorf("schedule: %q is no pause: write 430ms or 1.2s", words[2])
		}
		s = append(s, Step{words[0], t, pause})
	}
	return s, nil
}

// Choose returns the troubles whose names match a pattern in only (all, if it is empty) and no pattern in except. Patterns
// are separated by commas or spaces.
func Choose(only, except string) (chosen []Trouble, err error) {
	for _, t := range Troubles() {
		in, err := matchesAny(t.Name, only)
		if err != nil {
			return nil, err
		}
		out, err := matchesAny(t.Name, except)
		if err != nil {
			return nil, err
		}
		if (in || only == "") && !out {
			chosen = append(chosen, t)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no trouble is called %q but not %q; the first is %s", only, except, Troubles()[0].Name)
	}
	return chosen, nil
}

func matchesAny(name, patterns string) (bool, error) {
	for _, pattern := range strings.FieldsFunc(patterns, func(r rune) bool { return r == ',' || r == ' ' }) {
		ok, err := path.Match(pattern, name)
		if err != nil {
			return false, fmt.Errorf("pattern %q: %w", pattern, err)
		}
		if ok {
			return true, nil
		}
	}
	return false, nil
}

// Round returns round number of a seed, independently of the rounds before it. Most rounds have one trouble, to measure its
// own figures; the others have two or three. The master gets more of them, since more depends on it.
func Round(seed uint64, number int, from []Trouble) (s Schedule) {
	random := rand.New(rand.NewPCG(seed, uint64(number)))
	count := 1
	if random.IntN(5) < 2 {
		count += 1 + random.IntN(2)
	}
	for len(s) < count {
		t := from[random.IntN(len(from))]
		step := Step{
			Director: []string{"lb1", "lb1", "lb2"}[random.IntN(3)],
			Trouble:  &t,
			Pause:    time.Duration(random.Int64N(int64(longestPause))).Round(10 * time.Millisecond),
		}
		// Two troubles of the same kind, or of the same processes, would interfere.
		if slices.ContainsFunc(s, func(o Step) bool {
			return o.Director == step.Director && (o.Trouble.Name == t.Name || clash(o.Trouble, &t))
		}) {
			count--
			continue
		}
		s = append(s, step)
	}
	return s
}

// clash reports whether two troubles cannot happen to one director in one round.
func clash(a, b *Trouble) bool {
	if a.touchesProcesses() && b.touchesProcesses() || a.Power || b.Power {
		return true
	}
	for _, card := range []string{"eth0", "eth1"} {
		if a.touchesCard(card) && b.touchesCard(card) {
			return true
		}
	}
	return strings.HasPrefix(a.Name, "clock-") && strings.HasPrefix(b.Name, "clock-")
}

func (t *Trouble) touchesCard(card string) bool {
	return t.Cable == card || strings.Contains(t.Begin, "ip link set "+card)
}

// usesProcess reports whether a script refers to a process or the configuration.
func usesProcess(script string) bool {
	for _, name := range []string{"$run", "$director", "$speaker", "$spare", "$all", "$config"} {
		if strings.Contains(script, name) {
			return true
		}
	}
	return false
}

func limit(process string) string   { return fmt.Sprintf(fewer, process, process) }
func unlimit(process string) string { return fmt.Sprintf(more, process, process) }
