package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// runBench runs benchmarks; those named BenchmarkKernel… run in one test kernel. A line with a result counts as a test.
func runBench(ctx context.Context, o options, t *tally) error {
	all, err := findTests(ctx, o.packages, `Benchmark\w*`)
	if err != nil {
		return err
	}
	kernel, err := findTests(ctx, o.packages, "BenchmarkKernel")
	if err != nil {
		return err
	}
	which := "."
	if o.run != "" {
		which = o.run
	}
	out := &resultCounter{out: t.out, tally: t}
	args := []string{"test", "-count=1", "-p=1", "-timeout=30m", "-run=^$", "-bench=" + which, "-skip=^BenchmarkKernel", "-benchmem"}
	cmd := exec.CommandContext(ctx, "go", append(args, importPaths(all)...)...)
	cmd.Env = append(os.Environ(), lab.EnvKinds+"="+string(lab.Host)+","+string(lab.Pair))
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	kernelArgs := []string{"-test.timeout=30m", "-test.run=^$", "-test.benchmem", "-test.bench=" + which}
	if o.run == "" {
		kernelArgs = append(kernelArgs[:3], "-test.bench=^BenchmarkKernel")
	}
	return errors.Join(err, inTestKernels(ctx, o, t, kernel, 1, func(ctx context.Context, k *lab.TestKernel, p testPackage) error {
		status, err := runBinary(ctx, k, p, o.plain[p.ImportPath].path, kernelArgs, out)
		if err == nil && status != 0 {
			err = fmt.Errorf("exit status %d", status)
		}
		return err
	}))
}

// resultCounter forwards output and counts the results in it.
type resultCounter struct {
	out   io.Writer
	tally *tally
	line  []byte
}

func (c *resultCounter) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		c.line = append(c.line, line...)
		if !bytes.HasSuffix(line, []byte("\n")) {
			continue
		}
		if isResult(c.line) {
			c.tally.passed++
		}
		c.line = c.line[:0]
	}
	return c.out.Write(p)
}

// isResult reports whether a line is a benchmark's result: its name, the number of iterations, and figures.
func isResult(line []byte) bool {
	fields := bytes.Fields(line)
	if len(fields) < 3 || !bytes.HasPrefix(fields[0], []byte("Benchmark")) {
		return false
	}
	_, err := strconv.Atoi(string(fields[1]))
	return err == nil
}
