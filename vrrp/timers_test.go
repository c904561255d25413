package vrrp

import (
	"testing"
	"time"
)

func TestTimers(t *testing.T) {
	const s, ms, us, ns = time.Second, time.Millisecond, time.Microsecond, time.Nanosecond
	for _, tc := range []struct {
		version, priority uint8
		interval          time.Duration
		skew, down        time.Duration
	}{
		{2, 100, s, 609*ms + 375*us, 3*s + 609*ms + 375*us},
		{2, 1, s, 996*ms + 93*us + 750*ns, 3*s + 996*ms + 93*us + 750*ns},
		{2, 254, s, 7*ms + 812*us + 500*ns, 3*s + 7*ms + 812*us + 500*ns},
		{2, 255, s, 3*ms + 906*us + 250*ns, 3*s + 3*ms + 906*us + 250*ns},
		{2, 100, 255 * s, 609*ms + 375*us, 765*s + 609*ms + 375*us},
		{3, 100, s, 609*ms + 375*us, 3*s + 609*ms + 375*us},
		{3, 100, 100 * ms, 60*ms + 937*us + 500*ns, 360*ms + 937*us + 500*ns},
		{3, 100, 10 * ms, 6*ms + 93*us + 750*ns, 36*ms + 93*us + 750*ns},
		{3, 1, 10 * ms, 9*ms + 960*us + 937*ns, 39*ms + 960*us + 937*ns},
		{3, 254, 10 * ms, 78*us + 125*ns, 30*ms + 78*us + 125*ns},
		{3, 255, 10 * ms, 39*us + 62*ns, 30*ms + 39*us + 62*ns},
		{3, 1, 40_950 * ms, 40_790*ms + 39*us + 62*ns, 163_640*ms + 39*us + 62*ns},
	} {
		if got := SkewTime(tc.version, tc.priority, tc.interval); got != tc.skew {
			t.Errorf("version %d, priority %d, %s: skew %s, want %s", tc.version, tc.priority, tc.interval, got, tc.skew)
		}
		if got := MasterDownInterval(tc.version, tc.priority, tc.interval); got != tc.down {
			t.Errorf("version %d, priority %d, %s: master down after %s, want %s", tc.version, tc.priority, tc.interval, got, tc.down)
		}
	}
}
