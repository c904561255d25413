package main

import (
	"time"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// keepalivedInstance is an instance as keepalived writes it to its JSON file (keepalived/vrrp/vrrp_json.c, json_version 1), as far as
// lvs-ha knows it.
type keepalivedInstance struct {
	Data  keepalivedData  `json:"data"`
	Stats keepalivedStats `json:"stats"`
}

type keepalivedData struct {
	Name              string   `json:"iname"`
	VMAC              string   `json:"vmac_ifname,omitempty"`
	Interface         string   `json:"ifp_ifname"`
	MasterPriority    uint8    `json:"master_priority"`
	LastTransition    float64  `json:"last_transition"`
	VirtualRouterID   uint8    `json:"vrid"`
	BasePriority      uint8    `json:"base_priority"`
	EffectivePriority uint8    `json:"effective_priority"`
	AddressesSet      bool     `json:"vipset"`
	Interval          float64  `json:"adver_int"`
	State             int      `json:"state"`
	WantedState       int      `json:"wantstate"`
	Version           uint8    `json:"version"`
	Addresses         []string `json:"vips,omitempty"`
	Tracked           []string `json:"track_ifp,omitempty"`
}

type keepalivedStats struct {
	Received         uint64 `json:"advert_rcvd"`
	Sent             uint64 `json:"advert_sent"`
	BecameMaster     uint64 `json:"become_master"`
	ReleasedMaster   uint64 `json:"release_master"`
	LengthErrors     uint64 `json:"packet_len_err"`
	IntervalErrors   uint64 `json:"advert_interval_err"`
	TTLErrors        uint64 `json:"ip_ttl_err"`
	InvalidTypes     uint64 `json:"invalid_type_rcvd"`
	AddressErrors    uint64 `json:"addr_list_err"`
	InvalidAuthTypes uint64 `json:"invalid_authtype"`
	AuthMismatches   uint64 `json:"authtype_mismatch"`
	AuthFailures     uint64 `json:"auth_failure"`
	ZeroReceived     uint64 `json:"pri_zero_rcvd"`
	ZeroSent         uint64 `json:"pri_zero_sent"`
}

// keepalivedState returns VRRP_STATE_INIT, _BACK, _MAST or _FAULT of keepalived's vrrp.h. It calls an instance that a track keeps out
// of service FAULT.
func keepalivedState(v *api.Instance) int {
	switch v.State {
	case vrrp.Backup:
		return 1
	case vrrp.Master, vrrp.Leaving:
		return 2
	}
	for _, t := range v.Tracks {
		if t.Effect == vrrp.EffectFault {
			return 3
		}
	}
	return 0
}

// keepalivedInstances returns the instances as keepalived writes them on SIGJSON.
func keepalivedInstances(s api.Status) []keepalivedInstance {
	all := []keepalivedInstance{}
	for i := range s.VRRP {
		all = append(all, keepalivedOf(&s.VRRP[i]))
	}
	return all
}

func keepalivedOf(v *api.Instance) keepalivedInstance {
	dropped := func(reasons ...vrrp.DropReason) (sum uint64) {
		for _, r := range reasons {
			sum += v.Dropped[r.String()]
		}
		return sum
	}
	master := keepalivedState(v) == 2
	k := keepalivedInstance{
		Data: keepalivedData{
			Name: v.Name, Interface: v.Interface, MasterPriority: v.MasterPriority, LastTransition: float64(v.Since.UnixMicro()) / 1e6,
			VirtualRouterID: v.VirtualRouterID, BasePriority: v.Priority, EffectivePriority: v.EffectivePriority, AddressesSet: master,
			Interval: time.Duration(v.AdvertiseInterval).Seconds(), State: keepalivedState(v), WantedState: keepalivedState(v), Version: v.Version,
		},
		Stats: keepalivedStats{
			Received: v.AdvertsReceived, Sent: v.AdvertsSent, BecameMaster: v.Transitions, ReleasedMaster: v.Transitions,
			LengthErrors:   dropped(vrrp.DropTruncated, vrrp.DropLength, vrrp.DropCountZero),
			IntervalErrors: dropped(vrrp.DropIntervalMismatch, vrrp.DropIntervalZero),
			TTLErrors:      dropped(vrrp.DropTTL), InvalidTypes: dropped(vrrp.DropType), AddressErrors: v.AddressMismatches,
			AuthMismatches: dropped(vrrp.DropAuthType), AuthFailures: dropped(vrrp.DropAuthFailed),
		},
	}
	if master && v.Transitions > 0 {
		k.Stats.ReleasedMaster--
	}
	on := v.Interface
	if v.VMAC != nil {
		k.Data.VMAC, on = v.VMAC.Interface, v.VMAC.Interface+"@"+v.Interface
	}
	for _, a := range v.Addresses {
		text := a + " dev " + on + " scope global"
		if master {
			text += " set"
		}
		k.Data.Addresses = append(k.Data.Addresses, text)
	}
	for _, t := range v.Tracks {
		if t.Kind == vrrp.TrackInterfaceLink {
			k.Data.Tracked = append(k.Data.Tracked, t.Name)
		}
	}
	return k
}
