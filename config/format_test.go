package config

import "testing"

func TestFormat(t *testing.T) {
	const given, want = "vrrp \"a\" {\ninterface=\"eth0\"\n  virtual_router_id   = 51\n}\n",
		"vrrp \"a\" {\n  interface         = \"eth0\"\n  virtual_router_id = 51\n}\n"
	if got := string(Format([]byte(given))); got != want {
		t.Errorf("got:\n%s", got)
	}
	if got := string(Format([]byte(want))); got != want {
		t.Errorf("laid out again:\n%s", got)
	}
}
