package speaker

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// childEnv makes the test binary run as a speaker that serves its inherited listener until SIGTERM.
const childEnv = "LVS_HA_SPEAKER_TEST_CHILD"

func TestMain(m *testing.M) {
	if how := os.Getenv(childEnv); how != "" {
		if err := child(how); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(how string) error {
	switch how {
	case "aside":
		return asideChild()
	case "collections":
		return collectionsChild()
	}
	l, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	level := slog.LevelInfo
	if os.Getenv("LVS_HA_SPEAKER_TEST_DEBUG") != "" {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	turn := func(context.Context) (Turn, error) {
		return Turn{Listener: l, Tenures: os.NewFile(4, "tenures"), Adopt: how == "adopt"}, nil
	}
	return Run(ctx, Options{Turn: turn, Ready: func() {}, Alive: func() {}, Logger: log})
}
