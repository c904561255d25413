package main

import "testing"

func TestRounds(t *testing.T) {
	count := func(o options) (numbers []int) {
		next, err := rounds(o)
		if err != nil {
			t.Fatal(err)
		}
		for had := 0; ; {
			number, s := next(had)
			if s == nil {
				return numbers
			}
			numbers = append(numbers, number)
			had += len(s)
		}
	}
	if got := count(options{seed: 1, troubles: 50}); len(got) < 50/3 || len(got) > 50 || got[0] != 1 || got[len(got)-1] != len(got) {
		t.Errorf("50 troubles come in the rounds %v", got)
	}
	if got := count(options{seed: 1, round: 7, troubles: 1}); len(got) != 1 || got[0] != 7 {
		t.Errorf("round 7 is %v", got)
	}
	if got := count(options{schedule: "lb1 reload 1s", troubles: 3}); len(got) != 3 {
		t.Errorf("a schedule three times is the rounds %v", got)
	}
	for _, o := range []options{{schedule: "nonsense"}, {only: "nonsense", troubles: 1}} {
		if _, err := rounds(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}
