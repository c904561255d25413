package main

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/director"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

func TestUnresponsiveDaemonStillOwnsItsServices(t *testing.T) {
	dir := supervisor.RuntimeDir(t.TempDir())
	if got := ownedIn(t.Context(), dir); len(got.services) != 0 || got.sync != "" {
		t.Errorf("without a daemon these are owned: %+v", got)
	}
	key := ipvs.ServiceKey{Protocol: ipvs.TCP, Address: netip.MustParseAddr("192.0.2.1"), Port: 80, Family: ipvs.IPv4}
	cfg := &config.Config{
		Services: []config.VirtualService{{Name: "http", Service: ipvs.Service{ServiceKey: key}}},
		VRRP:     []config.VRRP{{Instance: vrrp.Instance{Name: "web"}, ConnectionSync: &config.ConnectionSync{}}},
	}
	if err := director.SaveConfig(dir.StateFile(), cfg); err != nil {
		t.Fatal(err)
	}
	silent, err := net.Listen("unix", dir.APISocket())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	got := ownedIn(ctx, dir)
	if got.services[key] != "http" || got.sync != "web" {
		t.Errorf("owned: %+v", got)
	}
}
