package speaker

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// TestMasterNewsInMeasure checks that masters that change with every packet are reported once a second, including the last.
func TestMasterNewsInMeasure(t *testing.T) {
	g := newRig(t)
	var log bytes.Buffer
	g.logTo(textLog(&log, slog.LevelInfo))
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(v3(100))
	g.engine.takeChanged(g.now)
	log.Reset()
	const seconds = 3
	published := 0
	for i := range seconds * 1000 {
		g.hear(v3(200), 200, fmt.Sprintf("10.9.0.%d", 2+i%200))
		g.advance(time.Millisecond)
		published += len(g.engine.takeChanged(g.now))
	}
	for range 20 {
		g.hear(v3(201), 201, "10.9.0.250")
		g.advance(newsGap / 10)
	}
	published += len(g.engine.takeChanged(g.now))
	if lines := strings.Count(log.String(), "\n"); lines > seconds+2 || published > seconds+2 {
		t.Errorf("%d lines and %d statuses in %d s", lines, published, seconds)
	}
	if !strings.Contains(log.String(), "master=10.9.0.250 priority=201") {
		t.Errorf("the last master is not reported:\n%s", log.String())
	}
}

// TestMasterNewsWhileBusy checks that reports do not accumulate while the kernel removes an address.
func TestMasterNewsWhileBusy(t *testing.T) {
	g := newRig(t)
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(v3(100))
	g.advance(time.Second)
	g.expect("v", vrrp.Master, vrrp.ReasonMasterDownTimer)
	g.holding = true
	for i := range 1000 {
		g.hear(v3(200), 200, fmt.Sprintf("10.9.0.%d", 2+i%200))
	}
	if n := len(g.engine.routers[keyOf(ptr(v3(100)))].waiting); n > 4 {
		t.Errorf("%d actions wait", n)
	}
}

// TestLongIntervalWarning checks the warning about a master whose interval is not fully adopted, a sign of differing
// configurations.
func TestLongIntervalWarning(t *testing.T) {
	g := newRig(t)
	var log bytes.Buffer
	g.logTo(textLog(&log, slog.LevelWarn))
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(v3(100))
	slow := v3(200)
	slow.AdvertiseInterval = 10 * time.Second
	g.hear(slow, 200, "10.9.0.2")
	if got := g.status("v").AdvertiseInterval; got != vrrp.AdoptFactorDefault*v3(100).AdvertiseInterval {
		t.Errorf("adopted %s", got)
	}
	if !strings.Contains(log.String(), "adopt_interval_factor") {
		t.Errorf("no warning:\n%s", log.String())
	}
}

func ptr[T any](v T) *T { return &v }
