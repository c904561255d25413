package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// Host and pair tests mostly wait, so several run at the same time. Each machine of a pair has a kernel, which takes more of
// a core than processes do.
const (
	hostsAtOnce = 5
	pairsAtOnce = 2
)

// jobLimit limits the duration of a test.
const jobLimit = 5 * time.Minute

// parallel is the number of subtests that a test may run in parallel; they mostly wait too.
const parallel = "-test.parallel=6"

// job is a test with a process of its own.
type job struct {
	testPackage
	name    string
	pattern string // for -test.run
}

func runHost(ctx context.Context, o options, t *tally) error {
	return runJobs(ctx, o, t, lab.Host, "TestHost", hostsAtOnce)
}

func runPair(ctx context.Context, o options, t *tally) error {
	return runJobs(ctx, o, t, lab.Pair, "TestPair", pairsAtOnce)
}

// runJobs runs tests, a limited number at once, and then those whose names say that they measure time, one at a time.
func runJobs(ctx context.Context, o options, t *tally, k lab.Kind, prefix string, atOnce int) error {
	if err := lab.Able(k); err != nil {
		return err
	}
	packages, err := findTests(ctx, o.packages, prefix)
	if err != nil {
		return err
	}
	packages, buildErr := o.plain.of(packages)
	together, alone, err := o.jobs(packages, prefix)
	err = errors.Join(buildErr, err, o.playAll(ctx, t, k, together, atOnce), o.playAll(ctx, t, k, alone, 1))
	for _, p := range packages {
		t.sum(p.ImportPath)
	}
	return err
}

// jobs lists the wanted tests of packages: those that may run together, and those that measure time. Packages with the most
// tests come first, so that no process is left over at the end.
func (o *options) jobs(packages []testPackage, prefix string) (together, alone []job, err error) {
	top, sub, _ := strings.Cut(o.run, "/")
	wanted, err := regexp.Compile(top)
	if err != nil {
		return nil, nil, fmt.Errorf("the tests to run: %w", err)
	}
	timed := regexp.MustCompile("^" + prefix + "Timed" + wordEnd)
	for range o.count {
		for _, p := range mostFirst(packages) {
			for _, name := range p.functions {
				j := job{testPackage: p, name: name, pattern: "^" + name + "$"}
				if sub != "" {
					j.pattern += "/" + sub
				}
				switch {
				case !wanted.MatchString(name):
				case timed.MatchString(name):
					alone = append(alone, j)
				default:
					together = append(together, j)
				}
			}
		}
	}
	return together, alone, nil
}

func (o *options) playAll(ctx context.Context, t *tally, k lab.Kind, jobs []job, atOnce int) error {
	queue := make(chan job, len(jobs))
	for _, j := range jobs {
		queue <- j
	}
	close(queue)
	var errs []error
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range min(atOnce, len(jobs)) {
		wg.Go(func() {
			for j := range queue {
				err := o.play(ctx, t, k, j)
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// play runs one test and adds its result to the tally.
func (o *options) play(ctx context.Context, t *tally, k lab.Kind, j job) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	cmd := exec.CommandContext(ctx, o.plain[j.ImportPath].path, append(testArgs(j.pattern, jobLimit), parallel)...)
	cmd.Dir = j.Dir
	cmd.Env = append(os.Environ(), environment(k, os.Getenv)...)
	cmd.WaitDelay = 10 * time.Second
	var text bytes.Buffer
	one := &tally{out: &text, verbose: o.verbose, part: true}
	err := convert(ctx, one, j.ImportPath, func(out io.Writer) (int, error) {
		cmd.Stdout, cmd.Stderr = out, out
		err := cmd.Run()
		if _, ended := errors.AsType[*exec.ExitError](err); ended {
			err = context.Cause(ctx)
		}
		return cmd.ProcessState.ExitCode(), err
	})
	if err == nil && len(one.took) == 0 && one.packages == 0 {
		err = errors.New("it did not run")
	}
	t.add(one, text.Bytes())
	if err != nil {
		err = fmt.Errorf("%s.%s: %w", strings.TrimPrefix(j.ImportPath, module), j.name, err)
	}
	return err
}
