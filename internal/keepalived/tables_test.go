package keepalived

import (
	"maps"
	"testing"
)

func TestTables(t *testing.T) {
	got := readTables(mapped{
		"/usr/share/iproute2/rt_tables": "#\n# reserved values\n#\n255\tlocal\n0\tunspec\n100 small\n",
		"/etc/iproute2/rt_tables":       "0x65\tlarge # comment\n100000 huge\nx y\n1 2 3\n 100 Small\n",
	})
	want := map[string]uint32{"local": 255, "small": 100, "large": 101, "huge": 100000, "Small": 100}
	if !maps.Equal(got, want) {
		t.Errorf("tables %v, want %v", got, want)
	}
}
