package keepalived

import "testing"

func TestInt(t *testing.T) {
	for _, c := range []struct {
		text      string
		n         int
		clean, ok bool
	}{
		{"7", 7, true, true}, {"-7", -7, true, true}, {"+7", 7, true, true}, {" 7", 7, true, true}, {"007", 7, true, true}, {"", 0, true, true},
		{"7s", 7, false, true}, {"-7;", -7, false, true}, {"7.9", 7, false, true}, {"x", 0, false, true}, {"-", 0, false, true},
		{"11", 11, true, false}, {"11x", 11, false, false}, {"99999999999999999999", 0, true, false},
	} {
		n, clean, ok := Int(c.text, -10, 10)
		if ok != c.ok || ok && (n != c.n || clean != c.clean) {
			t.Errorf("%q: %d, clean %v, ok %v", c.text, n, clean, ok)
		}
	}
	if _, _, ok := Int("x", 1, 10); ok {
		t.Error("0 is in the range from 1")
	}
}

func TestPrefix(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.1": "10.0.0.1/32", "10.0.0.1/24": "10.0.0.1/24", "fd00::1": "fd00::1/128", "fd00::1/64": "fd00::1/64",
		"10.0.0.1/33": "10.0.0.1/32 warned", "10.0.0.1/024": "10.0.0.1/24", "10.0.0.1/24;": "10.0.0.1/24 warned", "10.0.0.1/x": "10.0.0.1/0 warned",
		"10.0.0.1-4": "", "10.0.0": "", "VIP": "", "fe80::1%eth0": "",
	} {
		p, clean, ok := Prefix(text)
		got := ""
		if ok {
			got = p.String()
			if !clean {
				got += " warned"
			}
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
