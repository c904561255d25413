package config

import "testing"

func TestSuggest(t *testing.T) {
	known := []string{"interface", "priority", "addresses", "wlc", "wrr", "tcp"}
	for given, want := range map[string]string{
		"interfac": "interface", "prioirty": "priority", "adresses": "addresses", "WLC": "wlc", "wrrr": "wrr",
		"tpc": "tcp", "completely-else": "", "": "", "x": "",
	} {
		if got := suggest(given, known); got != want {
			t.Errorf("%q: got %q, want %q", given, got, want)
		}
	}
	if got := suggest("x", nil); got != "" {
		t.Errorf("of nothing %q was suggested", got)
	}
}
