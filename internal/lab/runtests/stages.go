package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
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
	// Some packages' tests wait for processes: others use the CPUs in the meantime.
	packages := fmt.Sprintf("-p=%d", 2*runtime.NumCPU())
	cmd := o.command(ctx, "go", append([]string{"test", "-json", packages}, args...)...)
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

// testArgs returns the arguments of a test binary whose output is converted.
func testArgs(pattern string, timeout time.Duration) []string {
	return []string{"-test.v=test2json", "-test.timeout=" + timeout.String(), "-test.run=" + pattern}
}

func pattern(o options, prefix string) string {
	if o.run != "" {
		return o.run
	}
	return "^" + prefix + wordEnd
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
