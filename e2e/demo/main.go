// Command demo runs a pair of directors with lvs-ha, three web servers and a client, and reports what happens while a
// server fails and recovers, and while the active director loses power and returns.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/lvs-ha/lvs-ha/e2e/scene"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// limit is the maximum duration of the demo without user input.
const limit = 3 * time.Minute

func main() {
	keep := flag.Bool("keep", os.Getenv("KEEP") != "", "leave everything up at the end, to look around")
	binary := flag.String("lvs-ha", "bin/lvs-ha", "the binary to show")
	example := flag.String("config", "examples/nat.hcl", "the configuration of both directors")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *binary, *example, *keep); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, binary, example string, keep bool) (err error) {
	if err := lab.Able(lab.Pair); err != nil {
		return err
	}
	if binary, err = filepath.Abs(binary); err != nil {
		return err
	}
	if example, err = filepath.Abs(example); err != nil {
		return err
	}
	on, err := lab.New("demo")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, on.Close()) }()
	stage, err := scene.Build(on, scene.NAT, scene.Options{Binary: binary, Config: example, Args: []string{"--var", "advertise_interval=100ms"}})
	if err != nil {
		return err
	}
	d := &demo{Scene: stage, narrator: newNarrator(os.Stdout)}
	showCtx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the demo is not over after %v", limit))
	defer cancel()
	failed := d.play(showCtx)
	d.narrator.summary()
	if failed != nil {
		for _, director := range stage.Directors {
			fmt.Printf("\nlog of lvs-ha on %s:\n%s", director.Name(), director.Log())
		}
	}
	if keep && ctx.Err() == nil {
		lookAround(ctx, d, filepath.Dir(binary))
	}
	return failed
}
