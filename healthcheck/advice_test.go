package healthcheck

import (
	"math"
	"testing"
	"time"
)

func TestWeightOf(t *testing.T) {
	for _, c := range []struct {
		advice     Advice
		configured uint32
		want       uint32
	}{
		{Advice{}, 5, 5},
		{Advice{Mode: Ready}, 5, 5},
		{Advice{Unit: Percent, Number: 100}, 5, 5},
		{Advice{Unit: Percent, Number: 50}, 100, 50},
		{Advice{Unit: Percent, Number: 50}, 5, 3},
		{Advice{Unit: Percent, Number: 1}, 5, 1}, // never 0 by rounding
		{Advice{Unit: Percent, Number: 0}, 5, 0},
		{Advice{Unit: Percent, Number: 250}, 4, 10},
		{Advice{Unit: Percent, Number: maxNumber}, math.MaxInt32, math.MaxInt32},
		{Advice{Unit: Weights, Number: 7}, 100, 7},
		{Advice{Unit: Weights, Number: 0.2}, 100, 1},
		{Advice{Unit: Weights, Number: 7}, 0, 0}, // the operator's 0 stays
		{Advice{Unit: Weights, Number: 7, Mode: Drain}, 5, 0},
		{Advice{Mode: Maintenance}, 5, 0},
		{Advice{Unit: Added, Number: -4}, 10, 6},
		{Advice{Unit: Added, Number: -40}, 10, 0},
		{Advice{Unit: Added, Number: maxNumber}, 10, maxNumber},
		{Advice{Unit: Added, Number: 5}, 0, 0},
	} {
		if got := c.advice.WeightOf(c.configured); got != c.want {
			t.Errorf("%+v of %d: %d, want %d", c.advice, c.configured, got, c.want)
		}
	}
}

func TestFollow(t *testing.T) {
	percent := func(n float64) Advice { return Advice{Unit: Percent, Number: n} }
	for name, c := range map[string]struct {
		weight       *Weight
		before, said Advice
		passed       time.Duration
		want         Advice
	}{
		"at once":                    {nil, percent(100), percent(20), time.Second, percent(20)},
		"nothing said":               {&Weight{Minimum: 50}, percent(20), Advice{Mode: Drain}, time.Second, Advice{Unit: Percent, Number: 20, Mode: Drain}},
		"ready ends drain":           {nil, Advice{Mode: Drain}, Advice{Mode: Ready, MaxConn: 3}, time.Second, Advice{Mode: Ready, MaxConn: 3}},
		"not below the minimum":      {&Weight{Minimum: 30}, percent(100), percent(20), time.Second, percent(30)},
		"not above the maximum":      {&Weight{Maximum: 120}, percent(100), percent(200), time.Second, percent(120)},
		"at most the rate down":      {&Weight{Rate: 10}, percent(100), percent(20), 2 * time.Second, percent(80)},
		"at most the rate up":        {&Weight{Rate: 10}, percent(20), percent(100), 2 * time.Second, percent(40)},
		"the rate, and there":        {&Weight{Rate: 10}, percent(95), percent(100), time.Second, percent(100)},
		"half in the half-life":      {&Weight{Smoothing: time.Second}, percent(100), percent(0), 693147181 * time.Nanosecond, percent(50)},
		"the first number at once":   {&Weight{Smoothing: time.Hour, Rate: 1}, Advice{}, percent(20), time.Millisecond, percent(20)},
		"a negative number":          {&Weight{Rate: 10}, Advice{Unit: Added}, Advice{Unit: Added, Number: -15}, time.Second, Advice{Unit: Added, Number: -10}},
		"another unit at once":       {&Weight{Rate: 1}, Advice{Unit: Weights, Number: 9}, percent(20), time.Second, percent(20)},
		"no time, no smoothed step":  {&Weight{Smoothing: time.Second}, percent(100), percent(0), 0, percent(100)},
		"a long time":                {&Weight{Smoothing: time.Second}, percent(100), percent(0), time.Hour, percent(0)},
		"the clock was not set back": {&Weight{Rate: 1, Smoothing: time.Second}, percent(100), percent(0), 24 * time.Hour, percent(0)},
	} {
		got := c.weight.follow(c.before, c.said, c.passed)
		got.Number = math.Round(got.Number*1000) / 1000
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestWeightFaults(t *testing.T) {
	for _, c := range []struct {
		kind    Kind
		weight  *Weight
		setting string
	}{
		{"tcp", nil, ""},
		{"tcp", &Weight{}, "weight"},
		{"http", &Weight{}, "weight"},
		{"http", &Weight{Header: "A", JSON: "b"}, "weight"},
		{"https", &Weight{Header: "X Y"}, "weight.header"},
		{"https", &Weight{Header: "X-Weight", Unit: Percent}, ""},
		{"http", &Weight{JSON: "load.weight", Minimum: 1}, ""},
		{"script", &Weight{Unit: Percent, Maximum: 1}, ""},
		{"script", &Weight{Header: "X"}, "weight.header"},
		{"file", &Weight{JSON: "x"}, "weight.json"},
		{"agent", &Weight{Unit: Weights}, "weight.unit"},
		{"agent", &Weight{Minimum: 10, Maximum: 9}, "weight.maximum"},
		{"file", &Weight{Unit: Added, Factor: -2}, ""},
		{"file", &Weight{Unit: Added, Maximum: 9}, "weight.unit"},
		{"file", &Weight{Factor: 2}, "weight.factor"},
		{"script", &Weight{Unit: Added}, "weight.unit"},
	} {
		faults := c.weight.Faults(c.kind)
		if c.setting == "" && len(faults) > 0 || c.setting != "" && (len(faults) != 1 || faults[0].Setting != c.setting) {
			t.Errorf("%s %+v: %v, want one of %q", c.kind, c.weight, faults, c.setting)
		}
	}
}

// FuzzWords checks that an agent's line gives known words and numbers in range, and nothing else of what the agent sent.
func FuzzWords(f *testing.F) {
	for _, seed := range []string{
		"75%", "up 50%", "drain", "maint,ready", "down # out of memory", "fail", "stopped", "up maxconn:30 10%\r\n", "maxconn:", "maxconn:-1", "150%%",
		"99999999999999999999%", "7", "0", "-5%", "1e3%", "\x00\xff", "%", "UP", "Ready 3 %", "secret", "1.5%",
	} {
		f.Add([]byte(seed))
	}
	known := map[string]bool{"agent:": true, "up": true, "down": true, "fail": true, "failed": true, "stopped": true, "ready": true, "drain": true, "maint": true}
	f.Fuzz(func(t *testing.T, line []byte) {
		said, err := parseWords(line)
		if err != nil {
			return
		}
		if said.Number < 0 || said.Number > maxNumber || said.MaxConn < 0 || said.MaxConn > maxNumber {
			t.Errorf("%q: %+v", line, said)
		}
		r := said.result("agent")
		if r.OK && r.Neutral || r.OK != (said.health == "up") {
			t.Errorf("%q: %+v", line, r)
		}
		for word := range wordsOf(r.Detail) {
			if !known[word] {
				t.Errorf("%q: %q is in the detail %q", line, word, r.Detail)
			}
		}
	})
}

// wordsOf returns the words of a detail without numbers.
func wordsOf(detail string) map[string]bool {
	all := map[string]bool{}
	word := ""
	for _, r := range detail + " " {
		switch {
		case r == ' ':
			if word != "" && word != "%" && word != "maxconn:" {
				all[word] = true
			}
			word = ""
		case r < '0' || r > '9':
			word += string(r)
		}
	}
	return all
}
