package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

const (
	// kernelMemoryMB is the memory of a test kernel for packages' tests.
	kernelMemoryMB = 1024
	// kernelLimit limits the total run time of the test kernels.
	kernelLimit = 20 * time.Minute
)

// runKernel runs the kernel tests of all packages in test kernels.
func runKernel(ctx context.Context, o options, t *tally) error {
	packages, err := findTests(ctx, o.packages, "TestKernel")
	if err != nil {
		return err
	}
	args := append(testArgs(pattern(o, "TestKernel"), 10*time.Minute), fmt.Sprintf("-test.count=%d", o.count))
	return inTestKernels(ctx, o, t, packages, 2, func(ctx context.Context, k *lab.TestKernel, p testPackage) error {
		return convert(ctx, t, p.ImportPath, func(out io.Writer) (int, error) {
			return runBinary(ctx, k, p, o.plain[p.ImportPath].path, args, out)
		})
	})
}

// inTestKernels calls a function for each package, in a limited number of test kernels with a core each. Each kernel takes
// the next package when it has finished one; those with the most tests come first.
func inTestKernels(ctx context.Context, o options, t *tally, packages []testPackage, kernels int,
	run func(ctx context.Context, k *lab.TestKernel, p testPackage) error,
) error {
	packages, err := o.plain.of(packages)
	if len(packages) == 0 {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, kernelLimit, fmt.Errorf("the test kernels took more than %v", kernelLimit))
	defer cancel()
	queue := make(chan testPackage, len(packages))
	for _, p := range mostFirst(packages) {
		queue <- p
	}
	close(queue)
	cores, coresErr := lab.Cores()
	errs := []error{err, coresErr}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, core := range cores[:min(len(cores), len(packages), kernels)] {
		wg.Go(func() {
			err := inTestKernel(ctx, t, core, queue, run)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	wg.Wait()
	for p := range queue {
		errs = append(errs, fmt.Errorf("%s: no test kernel ran it", p.ImportPath))
	}
	return errors.Join(errs...)
}

// inTestKernel boots a test kernel on one core and processes packages until none is left. It stops after an error, since the
// kernel may have crashed.
func inTestKernel(ctx context.Context, t *tally, core int, queue <-chan testPackage,
	run func(ctx context.Context, k *lab.TestKernel, p testPackage) error,
) error {
	start := time.Now()
	k, err := lab.BootTestKernel(ctx, kernelMemoryMB, core)
	if err != nil {
		return err
	}
	fmt.Fprintf(t.out, "test kernel on core %d ready after %.1f s\n", core, time.Since(start).Seconds())
	var errs []error
	for p := range queue {
		if err := run(ctx, k, p); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.ImportPath, err))
			break
		}
	}
	return errors.Join(append(errs, k.Close())...)
}

// runBinary runs a test binary in the kernel and returns its exit status.
func runBinary(ctx context.Context, k *lab.TestKernel, p testPackage, binary string, args []string, out io.Writer) (int, error) {
	process, err := k.Spawn(ctx, lab.Command{
		Argv:   append([]string{binary}, args...),
		Env:    environment(lab.Kernel, os.Getenv),
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

// convert converts the output of a test binary to events.
func convert(ctx context.Context, t *tally, importPath string, run func(io.Writer) (int, error)) error {
	cmd := exec.CommandContext(ctx, "go", "tool", "test2json", "-t", "-p", importPath)
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	converted := make(chan error, 1)
	go func() { converted <- readEvents(t, cmd) }()
	status, err := run(in)
	err = errors.Join(err, in.Close(), <-converted)
	if err == nil && status != 0 && t.failures(importPath) == 0 {
		// test2json reports no end of a program that has panicked, for example because a test took too long.
		t.take(event{Action: "output", Package: importPath, Output: fmt.Sprintf("exit status %d\n", status)})
		t.take(event{Action: "fail", Package: importPath})
	}
	return err
}
