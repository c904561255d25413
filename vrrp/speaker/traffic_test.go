package speaker

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// TestEachInstanceTellsOfItsPeersSettings: one instance's wrong settings do not hide another's, and none fills the log.
func TestEachInstanceTellsOfItsPeersSettings(t *testing.T) {
	g := newRig(t)
	var log bytes.Buffer
	g.engine.log = slog.New(slog.NewTextHandler(&log, nil))
	g.up("eth0", 2, "10.9.0.1/24")
	v, w := v3(100), v3(100)
	w.Name, w.VirtualRouterID, w.Addresses = "w", 52, []vrrp.Address{{Prefix: netip.MustParsePrefix("10.9.0.101/24")}}
	g.want(v, w)
	v.Checksum, w.Checksum = vrrp.ChecksumPacketOnly, vrrp.ChecksumPacketOnly
	for range 130 {
		g.hear(v, 100, "10.9.0.2")
		g.hear(w, 100, "10.9.0.2")
		g.advance(time.Second)
	}
	for _, name := range []string{"v", "w"} {
		if n := strings.Count(log.String(), `msg="packet dropped" reason=checksum-mode instance=`+name); n != 3 {
			t.Errorf("of %s it is said %d times in 130 s, want once a minute", name, n)
		}
	}
}
