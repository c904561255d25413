package speaker

import (
	"log/slog"
	"testing"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

func TestLevelsOfTransitions(t *testing.T) {
	for _, tt := range []struct {
		changed vrrp.Changed
		want    slog.Level
	}{
		{vrrp.Changed{From: vrrp.Master, To: vrrp.Initialize, Reason: vrrp.ReasonInterfaceDown}, slog.LevelError},
		{vrrp.Changed{From: vrrp.Initialize, To: vrrp.Initialize, Reason: vrrp.ReasonInterfaceMissing}, slog.LevelError},
		{vrrp.Changed{From: vrrp.Master, To: vrrp.Leaving, Reason: vrrp.ReasonAddressRefused}, slog.LevelWarn},
		{vrrp.Changed{From: vrrp.Master, To: vrrp.Leaving, Reason: vrrp.ReasonDirectorLost}, slog.LevelWarn},
		{vrrp.Changed{From: vrrp.Master, To: vrrp.Leaving, Reason: vrrp.ReasonTrack}, slog.LevelWarn},
		{vrrp.Changed{From: vrrp.Master, To: vrrp.Backup, Reason: vrrp.ReasonHigherPriority}, slog.LevelWarn},
		{vrrp.Changed{From: vrrp.Master, To: vrrp.Backup, Reason: vrrp.ReasonEqualHigherAddress}, slog.LevelWarn},
		{vrrp.Changed{From: vrrp.Master, To: vrrp.Backup, Reason: vrrp.ReasonLapsed}, slog.LevelWarn},
		{vrrp.Changed{From: vrrp.Leaving, To: vrrp.Master, Reason: vrrp.ReasonNobodyTookOver}, slog.LevelWarn},
		{vrrp.Changed{From: vrrp.Backup, To: vrrp.Master, Reason: vrrp.ReasonMasterDownTimer}, slog.LevelInfo},
		{vrrp.Changed{From: vrrp.Backup, To: vrrp.Master, Reason: vrrp.ReasonPreempt}, slog.LevelInfo},
		{vrrp.Changed{From: vrrp.Initialize, To: vrrp.Backup, Reason: vrrp.ReasonStartup}, slog.LevelInfo},
		{vrrp.Changed{From: vrrp.Initialize, To: vrrp.Initialize, Reason: vrrp.ReasonTrackPending}, slog.LevelInfo},
		{vrrp.Changed{From: vrrp.Initialize, To: vrrp.Initialize, Reason: vrrp.ReasonTrack}, slog.LevelError},
		{vrrp.Changed{From: vrrp.Leaving, To: vrrp.Master, Reason: vrrp.ReasonTrackBack}, slog.LevelInfo},
		{vrrp.Changed{From: vrrp.Leaving, To: vrrp.Backup, Reason: vrrp.ReasonSuccessorHeard}, slog.LevelInfo},
		{vrrp.Changed{From: vrrp.Master, To: vrrp.Leaving, Reason: vrrp.ReasonResignFailover}, slog.LevelInfo},
		{vrrp.Changed{From: vrrp.Master, To: vrrp.Initialize, Reason: vrrp.ReasonResignStop}, slog.LevelInfo},
		{vrrp.Changed{From: vrrp.Backup, To: vrrp.Initialize, Reason: vrrp.ReasonRemoved}, slog.LevelInfo},
	} {
		if got := levelOf(tt.changed); got != tt.want {
			t.Errorf("%+v is logged as %s, want %s", tt.changed, got, tt.want)
		}
	}
}
