package sysctl_test

import (
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/sysctl"
)

func TestEffective(t *testing.T) {
	for _, c := range [][3]string{{"0", "1", "1"}, {"2", "1", "2"}, {"", "1", "1"}, {"1", "", "1"}, {"9", "10", "10"}, {"10", "9", "10"}, {"", "", ""}} {
		values := map[string]string{"net.ipv4.conf.all.x": c[0], "net.ipv4.conf.eth0/7.x": c[1]}
		if got := sysctl.Effective(values, "eth0.7", "x"); got != c[2] {
			t.Errorf("all %q, eth0.7 %q: %q, want %q", c[0], c[1], got, c[2])
		}
	}
}
