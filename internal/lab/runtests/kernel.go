package main

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// runKernel runs the kernel tests of all packages in one test kernel.
func runKernel(ctx context.Context, o options, t *tally) error {
	packages, err := findTests(ctx, o.packages, "TestKernel")
	if err != nil {
		return err
	}
	args := []string{"-test.v=test2json", "-test.timeout=10m", "-test.run=" + pattern(o, "TestKernel")}
	return inTestKernel(ctx, t, packages, func(ctx context.Context, k *lab.TestKernel, p testPackage, binary string) error {
		return convert(ctx, t, p.ImportPath, func(out io.Writer) (int, error) {
			return runBinary(ctx, k, p, binary, args, out)
		})
	})
}

// inTestKernel builds the test binaries of the packages and runs each in the same test kernel.
func inTestKernel(ctx context.Context, t *tally, packages []testPackage,
	run func(ctx context.Context, k *lab.TestKernel, p testPackage, binary string) error,
) error {
	if len(packages) == 0 {
		return nil
	}
	if err := provideBinary(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(lab.SharedDir, "kerneltests-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binaries, buildErr := buildTests(ctx, dir, packages)
	ctx, cancel := context.WithTimeoutCause(ctx, kernelLimit, fmt.Errorf("the test kernel took more than %v", kernelLimit))
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
		if err := run(ctx, k, p, binaries[p.ImportPath]); err != nil {
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

// runBinary runs a test binary in the kernel and returns its exit status.
func runBinary(ctx context.Context, k *lab.TestKernel, p testPackage, binary string, args []string, out io.Writer) (int, error) {
	process, err := k.Spawn(ctx, lab.Command{
		Argv:   append([]string{binary}, args...),
		Env:    environment(lab.Kernel),
		Dir:    p.Dir,
		Stdout: out, Stderr: out,
	})
	if err != nil {
		return -1, err
	}
	<-process.Done()
	status, err := process.Wait(context.WithoutCancel(ctx))
	if err != nil {
		err = fmt.Errorf("%w; the kernel's console: %q", errors.Join(context.Cause(ctx), err), k.Console())
	}
	return status, err
}

// environment is what tests of a kind are told in the test kernel, which has an environment of its own.
func environment(kind lab.Kind) []string {
	all := []string{lab.EnvKinds + "=" + string(kind)}
	for _, name := range []string{lab.EnvBinary, lab.EnvSeed, lab.EnvTimes} {
		all = append(all, name+"="+os.Getenv(name))
	}
	return all
}

// convert turns what a test binary prints into events.
func convert(ctx context.Context, t *tally, importPath string, run func(io.Writer) (int, error)) error {
	cmd := exec.CommandContext(ctx, "go", "tool", "test2json", "-t", "-p", importPath)
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	converted := make(chan error, 1)
	go func() { converted <- readEvents(t, cmd) }()
	failedBefore := t.failed + t.packages
	status, err := run(in)
	err = errors.Join(err, in.Close(), <-converted)
	if err == nil && status != 0 && t.failed+t.packages == failedBefore {
		err = fmt.Errorf("exit status %d, though no test failed", status)
	}
	return err
}
