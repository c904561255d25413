package main

import (
	"context"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/supervisor"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

func TestADaemonThatDoesNotAnswerStillOwnsItsServices(t *testing.T) {
	dir := supervisor.RuntimeDir(t.TempDir())
	if got := ownedIn(t.Context(), dir); len(got.services) != 0 || got.sync != "" {
		t.Errorf("without a daemon these are owned: %+v", got)
	}
	state := `{"config": {"services": [{"name": "http", "protocol": "tcp", "address": "192.0.2.1", "port": 80, "family": "ipv4"}],
		"vrrp": [{"name": "web", "connection_sync": {"interface": "eth1"}}]}}`
	if err := os.WriteFile(dir.StateFile(), []byte(state), 0o600); err != nil {
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
	key := ipvs.ServiceKey{Protocol: ipvs.TCP, Address: netip.MustParseAddr("192.0.2.1"), Port: 80, Family: ipvs.IPv4}
	if got.services[key] != "http" || got.sync != "web" {
		t.Errorf("owned: %+v", got)
	}
}
