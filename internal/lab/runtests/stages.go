package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

func runUnit(ctx context.Context, o options, t *tally) error {
	args := []string{"-race"}
	if o.run != "" {
		args = append(args, "-run", o.run)
	}
	return goTest(ctx, t, "", append(args, o.packages)...)
}

func runHost(ctx context.Context, o options, t *tally) error {
	return runPrivileged(ctx, o, t, lab.Host, "TestHost")
}

func runPair(ctx context.Context, o options, t *tally) error {
	return runPrivileged(ctx, o, t, lab.Pair, "TestPair")
}

// runPrivileged runs one package after another, since they measure time.
func runPrivileged(ctx context.Context, o options, t *tally, k lab.Kind, prefix string) error {
	if err := lab.Able(k); err != nil {
		return err
	}
	packages, err := findTests(ctx, o.packages, prefix)
	if err != nil || len(packages) == 0 {
		return err
	}
	if err := provideBinary(); err != nil {
		return err
	}
	args := []string{"-count=1", "-p=1", "-timeout=20m", "-run", pattern(o, prefix)}
	return goTest(ctx, t, k, append(args, importPaths(packages)...)...)
}

func pattern(o options, prefix string) string {
	if o.run != "" {
		return o.run
	}
	return "^" + prefix + wordEnd
}

// provideBinary builds lvs-ha for the tests that run it.
func provideBinary() error {
	path, err := lab.Binary()
	if err != nil {
		return err
	}
	return os.Setenv(lab.EnvBinary, path)
}

// goTest runs `go test -json` and takes its events. That tests failed is in the tally.
func goTest(ctx context.Context, t *tally, k lab.Kind, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, args...)...)
	cmd.Env = append(os.Environ(), lab.EnvKinds+"="+string(k))
	cmd.Stderr = t.out
	return readEvents(t, cmd)
}

func readEvents(t *tally, cmd *exec.Cmd) error {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	readErr := t.read(out)
	err = cmd.Wait()
	if _, failed := errors.AsType[*exec.ExitError](err); failed && t.failed+t.packages > 0 {
		err = nil
	}
	return errors.Join(readErr, err)
}

// runFuzz runs each fuzz target for a while. A target counts as a test.
func runFuzz(ctx context.Context, o options, t *tally) error {
	packages, err := findTests(ctx, o.packages, "Fuzz")
	if err != nil {
		return err
	}
	for _, p := range packages {
		for _, target := range p.functions {
			start := time.Now()
			cmd := exec.CommandContext(ctx, "go", "test", "-run=^$", "-fuzz=^"+target+"$", "-fuzztime="+o.fuzz, "-fuzzminimizetime=1x", p.ImportPath)
			out, err := cmd.CombinedOutput()
			action := "pass"
			if err != nil {
				action = "fail"
			}
			name := p.ImportPath + "." + target
			t.take(event{Action: "output", Package: name, Test: target, Output: string(out)})
			t.take(event{Action: action, Package: name, Test: target})
			t.take(event{Action: action, Package: name, Elapsed: time.Since(start).Seconds()})
		}
	}
	return ctx.Err()
}
