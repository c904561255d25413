package connsynctest

import (
	"errors"
	"net/netip"
	"slices"
	"syscall"
	"testing"

	connsync "github.com/lvs-ha/lvs-ha/sync"
)

func TestDaemons(t *testing.T) {
	ctx := t.Context()
	k := New("eth0")
	on := func(name string) connsync.Daemon { return connsync.Daemon{Interface: name, SyncID: 1} }
	unicast := on("eth0")
	unicast.Group = netip.MustParseAddr("10.0.0.1")
	for i, tt := range []struct {
		err  error
		want error
	}{
		{k.Stop(ctx, connsync.Backup), syscall.ESRCH},
		{k.Start(ctx, connsync.Backup, on("eth1")), syscall.ENODEV},
		{k.Start(ctx, connsync.Backup, unicast), syscall.EINVAL},
		{k.Start(ctx, connsync.Backup, on("eth0")), nil},
		{k.Start(ctx, connsync.Backup, on("eth0")), syscall.EEXIST},
		{k.Start(ctx, connsync.Master, on("eth0")), nil},
		{k.Stop(ctx, connsync.Backup), nil},
	} {
		if !errors.Is(tt.err, tt.want) {
			t.Errorf("call %d: got error %v, want %v", i, tt.err, tt.want)
		}
	}
	list, err := k.Daemons(ctx)
	if err != nil || len(list) != 1 || list[0].Role != connsync.Master || list[0].Daemon.Port != 8848 {
		t.Errorf("got %v, %v, want a master with the kernel's defaults", list, err)
	}
	if want := []string{"start backup", "start master", "stop backup"}; !slices.Equal(k.Calls(), want) {
		t.Errorf("got calls %v, want %v", k.Calls(), want)
	}
	k.Fail = func(bool, connsync.Role) syscall.Errno { return syscall.EPERM }
	if err := k.Stop(ctx, connsync.Master); !errors.Is(err, syscall.EPERM) {
		t.Errorf("got error %v, want EPERM", err)
	}
}
