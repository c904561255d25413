package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// otherKinds matches the tests that are not unit tests.
const otherKinds = "^Test(Host|Kernel|Pair|Proof)" + wordEnd

func runUnit(ctx context.Context, o options, t *tally) error {
	args := []string{"-vet=off", "-skip=" + otherKinds, "-run=" + o.run}
	err := goTest(ctx, o, t, append(args, "-race", o.packages)...)
	// Tests that are excluded from builds with the race detector.
	plain, pattern, findErr := findPlain(ctx, o)
	if findErr != nil || len(plain) == 0 {
		return errors.Join(err, findErr)
	}
	args[2] = "-run=" + pattern
	return errors.Join(err, goTest(ctx, o, t, append(args, importPaths(plain)...)...))
}

func runProof(ctx context.Context, o options, t *tally) error {
	packages, err := findTests(ctx, o.packages, "TestProof")
	if err != nil || len(packages) == 0 {
		return err
	}
	o.kind = "proof"
	return goTest(ctx, o, t, append([]string{"-vet=off", "-count=1", "-timeout=30m", "-run=" + pattern(o, "TestProof")}, importPaths(packages)...)...)
}

// goTest runs `go test -json` and reads its events. Failed tests are recorded in the tally, not returned.
func goTest(ctx context.Context, o options, t *tally, args ...string) error {
	cmd := o.command(ctx, "go", append([]string{"test", "-json"}, args...)...)
	cmd.Env = append(os.Environ(), lab.EnvKinds+"="+o.kind)
	cmd.Stderr = t.out
	return readEvents(t, cmd)
}

// command returns a program that gives way to other tests if any run at the same time.
func (o *options) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	if o.yields {
		args = append([]string{"-n", "10", name}, args...)
		name = "nice"
	}
	return exec.CommandContext(ctx, name, args...)
}

func runHost(ctx context.Context, o options, t *tally) error {
	return runPrivileged(ctx, o, t, lab.Host, "TestHost")
}

func runPair(ctx context.Context, o options, t *tally) error {
	return runPrivileged(ctx, o, t, lab.Pair, "TestPair")
}

// runPrivileged runs one package after another, since their tests measure time.
func runPrivileged(ctx context.Context, o options, t *tally, k lab.Kind, prefix string) error {
	if err := lab.Able(k); err != nil {
		return err
	}
	packages, err := findTests(ctx, o.packages, prefix)
	if err != nil {
		return err
	}
	packages, err = o.plain.of(packages)
	errs := []error{err}
	for _, p := range packages {
		cmd := exec.CommandContext(ctx, o.plain[p.ImportPath].path, testArgs(o, prefix, 20*time.Minute)...)
		cmd.Dir = p.Dir
		cmd.Env = append(os.Environ(), environment(k, os.Getenv)...)
		cmd.WaitDelay = 10 * time.Second
		errs = append(errs, convert(ctx, t, p.ImportPath, func(out io.Writer) (int, error) {
			cmd.Stdout, cmd.Stderr = out, out
			err := cmd.Run()
			if _, ended := errors.AsType[*exec.ExitError](err); ended {
				err = context.Cause(ctx)
			}
			return cmd.ProcessState.ExitCode(), err
		}))
	}
	return errors.Join(errs...)
}

// testArgs returns the arguments of a test binary whose output is converted.
func testArgs(o options, prefix string, timeout time.Duration) []string {
	return []string{"-test.v=test2json", "-test.timeout=" + timeout.String(), "-test.run=" + pattern(o, prefix)}
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
	if _, failed := errors.AsType[*exec.ExitError](err); failed && t.failures("") > 0 {
		err = nil
	}
	return errors.Join(readErr, err)
}
