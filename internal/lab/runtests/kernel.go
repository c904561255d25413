package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

const (
	// kernelMemoryMB is what the test kernel for all packages' tests has.
	kernelMemoryMB = 1024
	// kernelLimit bounds the test kernel's whole life.
	kernelLimit = 20 * time.Minute
)

// runKernel builds the test binaries of all packages with kernel tests and runs them in one test kernel.
func runKernel(ctx context.Context, o options, t *tally) error {
	packages, err := findTests(ctx, o.packages, "TestKernel")
	if err != nil || len(packages) == 0 {
		return err
	}
	if err := provideBinary(packages); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(lab.SharedDir, "kerneltests-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binaries, buildErr := buildTests(ctx, dir, packages)
	ctx, cancel := context.WithTimeoutCause(ctx, kernelLimit, fmt.Errorf("the kernel tests took more than %v", kernelLimit))
	defer cancel()
	start := time.Now()
	k, err := lab.BootTestKernel(ctx, kernelMemoryMB)
	if err != nil {
		return err
	}
	fmt.Fprintf(t.out, "test kernel ready after %.1f s\n", time.Since(start).Seconds())
	errs := []error{buildErr}
	for _, p := range packages {
		if binaries[p.ImportPath] == "" {
			continue
		}
		err := runInKernel(ctx, k, t, p, lab.Command{
			Argv: []string{binaries[p.ImportPath], "-test.v=test2json", "-test.timeout=10m", "-test.run=" + pattern(o, "TestKernel")},
			Env:  []string{lab.EnvKinds + "=" + string(lab.Kernel), lab.EnvBinary + "=" + os.Getenv(lab.EnvBinary)},
			Dir:  p.Dir,
		})
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.ImportPath, err))
		}
	}
	return errors.Join(append(errs, k.Close())...)
}

// buildTests builds the test binaries that can be built.
func buildTests(ctx context.Context, dir string, packages []testPackage) (map[string]string, error) {
	var mu sync.Mutex
	binaries := map[string]string{}
	var errs []error
	var wg sync.WaitGroup
	slots := make(chan struct{}, runtime.NumCPU())
	for i, p := range packages {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			binary := filepath.Join(dir, fmt.Sprintf("%d.test", i))
			out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, p.ImportPath).CombinedOutput()
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, fmt.Errorf("build the tests of %s: %w: %s", p.ImportPath, err, out))
				return
			}
			binaries[p.ImportPath] = binary
		})
	}
	wg.Wait()
	return binaries, errors.Join(errs...)
}

// runInKernel runs one test binary; test2json turns what it prints into events.
func runInKernel(ctx context.Context, k *lab.TestKernel, t *tally, p testPackage, c lab.Command) error {
	cmd := exec.CommandContext(ctx, "go", "tool", "test2json", "-t", "-p", p.ImportPath)
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	c.Stdout, c.Stderr = in, in
	converted := make(chan error, 1)
	go func() { converted <- readEvents(t, cmd) }()

	failedBefore := t.failed + t.packages
	status, err := runToEnd(ctx, k, c)
	err = errors.Join(err, in.Close(), <-converted)
	if err == nil && status != 0 && t.failed+t.packages == failedBefore {
		err = fmt.Errorf("exit status %d, though no test failed", status)
	}
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w; the kernel's console: %q", context.Cause(ctx), k.Console())
	}
	return err
}

func runToEnd(ctx context.Context, k *lab.TestKernel, c lab.Command) (int, error) {
	p, err := k.Spawn(ctx, c)
	if err != nil {
		return -1, err
	}
	<-p.Done()
	return p.Wait(context.WithoutCancel(ctx))
}
