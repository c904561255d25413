package speaker

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// TestHostStopLosesNothing hands over by SIGTERM and back by preemption, while a client sends a request every millisecond.
func TestHostStopLosesNothing(t *testing.T) {
	for _, c := range []struct {
		version  uint8
		family   vrrp.Family
		interval time.Duration
	}{
		{2, vrrp.IPv4, time.Second},
		{3, vrrp.IPv4, 100 * time.Millisecond},
		{3, vrrp.IPv6, 100 * time.Millisecond},
		{3, vrrp.IPv4, 10 * time.Millisecond},
	} {
		t.Run(label(c.version, c.family, c.interval), func(t *testing.T) {
			attempts(t, func(n *lan) error { return handOver(t, n, c.version, c.family, c.interval) })
		})
	}
}

func handOver(t *testing.T, n *lan, version uint8, family vrrp.Family, interval time.Duration) error {
	master, backup := instance(version, family, 200, interval), instance(version, family, 100, interval)
	a, b := newStation(t, n.a), newStation(t, n.b)
	a.want(master)
	a.awaitState("v", vrrp.Master)
	b.want(backup)
	b.await("v", "backup of a", func(s vrrp.Status) bool { return s.State == vrrp.Backup && s.MasterPriority == 200 })
	p := startProber(t, n.observer, n.capture, master.Addresses[0].Prefix.Addr())
	p.awaitMore(t, 100)

	took := a.stop()
	t.Logf("stop took %s", took)
	if took > vrrp.SkewTime(version, 100, interval)+500*time.Millisecond {
		return fmt.Errorf("the stop took %s", took)
	}
	if st := b.awaitState("v", vrrp.Master); st.Reason != string(vrrp.ReasonPriorityZero) {
		return fmt.Errorf("b became master for reason %q", st.Reason)
	}
	p.awaitMore(t, 300)
	a.start("fresh")
	a.awaitState("v", vrrp.Master)
	b.awaitState("v", vrrp.Backup)
	p.awaitMore(t, 300)

	lost, of, _ := n.capture.probes()
	if len(lost) > 0 {
		return fmt.Errorf("%d of %d requests were not answered, over %s", len(lost), of, lost[len(lost)-1].sent.Sub(lost[0].sent))
	}
	if has(t, n.b, "eth0", master.Addresses[0].Prefix.String()) {
		return errors.New("b still has the address")
	}
	return nil
}

// TestHostStopWaitsForTheSlowest stops a master whose backup is a keepalived with the longest possible skew time.
func TestHostStopWaitsForTheSlowest(t *testing.T) {
	attempts(t, func(n *lan) error {
		a := newStation(t, n.a)
		a.want(instance(2, vrrp.IPv4, 200, time.Second))
		a.awaitState("v", vrrp.Master)
		k := startKeepalived(t, n.b, true, instance(2, vrrp.IPv4, 1, time.Second))
		k.awaitLog(`\(v\) Entering BACKUP STATE`, 1)
		p := startProber(t, n.observer, n.capture, instance(2, vrrp.IPv4, 200, time.Second).Addresses[0].Prefix.Addr())
		p.awaitMore(t, 100)
		t.Logf("stop took %s; keepalived's skew time is %s", a.stop(), vrrp.SkewTime(2, 1, time.Second))
		k.awaitLog(`\(v\) Entering MASTER STATE`, 1)
		p.awaitMore(t, 300)
		if lost, of, _ := n.capture.probes(); len(lost) > 0 {
			return fmt.Errorf("%d of %d requests were not answered, over %s", len(lost), of, lost[len(lost)-1].sent.Sub(lost[0].sent))
		}
		return nil
	})
}
