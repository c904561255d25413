package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// TestKeepalivedJSON reads the output as an exporter of keepalived's does.
func TestKeepalivedJSON(t *testing.T) {
	status := api.Status{VRRP: []api.Instance{
		{
			Name: "VI_1", Interface: "eth0", VirtualRouterID: 51, Version: 2, State: vrrp.Master, Since: time.UnixMicro(1_700_000_000_250_000),
			Priority: 100, EffectivePriority: 110, AdvertiseInterval: api.Duration(time.Second), Transitions: 3, AdvertsSent: 7, AdvertsReceived: 2,
			Addresses: []string{"192.0.2.10/24"}, Dropped: map[string]uint64{"ttl": 4, "truncated": 1, "length": 2, "auth-failed": 5},
			Tracks: []api.Track{{Name: "eth1", Kind: vrrp.TrackInterfaceLink}, {Name: "s", Kind: vrrp.TrackScript}},
		},
		{Name: "VI_2", State: vrrp.Initialize, Tracks: []api.Track{{Name: "s", Kind: vrrp.TrackScript, Effect: vrrp.EffectFault}}},
		{Name: "VI_3", State: vrrp.Backup, Transitions: 3, VMAC: &api.VMAC{Interface: "vrrp.7"}, Interface: "eth0", Addresses: []string{"fd00::1/64"}},
	}}
	out, err := json.Marshal(keepalivedInstances(status))
	if err != nil {
		t.Fatal(err)
	}
	var got []struct{ Data, Stats map[string]any }
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []struct {
		instance int
		stats    bool
		name     string
		value    any
	}{
		{0, false, "iname", "VI_1"}, {0, false, "ifp_ifname", "eth0"}, {0, false, "vrid", 51.0}, {0, false, "state", 2.0}, {0, false, "wantstate", 2.0},
		{0, false, "last_transition", 1_700_000_000.25}, {0, false, "adver_int", 1.0}, {0, false, "effective_priority", 110.0}, {0, false, "vipset", true},
		{0, true, "advert_sent", 7.0}, {0, true, "advert_rcvd", 2.0}, {0, true, "become_master", 3.0}, {0, true, "release_master", 2.0},
		{0, true, "ip_ttl_err", 4.0}, {0, true, "packet_len_err", 3.0}, {0, true, "auth_failure", 5.0}, {0, true, "pri_zero_sent", 0.0},
		{1, false, "state", 3.0}, {2, false, "state", 1.0}, {2, true, "release_master", 3.0}, {2, false, "vmac_ifname", "vrrp.7"},
	} {
		from := got[want.instance].Data
		if want.stats {
			from = got[want.instance].Stats
		}
		if from[want.name] != want.value {
			t.Errorf("instance %d: %s is %v, want %v", want.instance, want.name, from[want.name], want.value)
		}
	}
	for i, want := range map[int]string{0: "192.0.2.10/24 dev eth0 scope global set", 2: "fd00::1/64 dev vrrp.7@eth0 scope global"} {
		if vips, _ := got[i].Data["vips"].([]any); len(vips) != 1 || vips[0] != want {
			t.Errorf("vips %v, want %q", vips, want)
		}
	}
}
