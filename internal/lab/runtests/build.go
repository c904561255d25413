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
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// program is the test binary of a package, or why it could not be built.
type program struct {
	path string
	err  error
}

// programs are the test binaries of packages, by import path.
type programs map[string]program

// ran are the kinds whose tests run as separate programs, with the prefix of their names.
var ran = map[string]string{"host": "TestHost", "kernel": "TestKernel", "pair": "TestPair", "bench": "BenchmarkKernel"}

// build builds everything that the kinds need before any test runs, so that tests have the host to themselves.
func (o *options) build(ctx context.Context, names []string, dir string, out io.Writer) error {
	start := time.Now()
	o.plain, o.fuzzing = programs{}, programs{}
	var plain []testPackage
	for _, name := range names {
		prefix := ran[name]
		if prefix == "" {
			continue
		}
		found, err := findTests(ctx, o.packages, prefix)
		if err != nil {
			return err
		}
		for _, p := range found {
			if !slices.ContainsFunc(plain, func(q testPackage) bool { return q.ImportPath == p.ImportPath }) {
				plain = append(plain, p)
			}
		}
	}
	if len(plain) > 0 {
		if err := lab.BuildPrograms(filepath.Join(dir, "programs")); err != nil {
			return err
		}
		o.plain = buildTests(ctx, filepath.Join(dir, "plain"), plain)
	}
	if slices.Contains(names, "fuzz") {
		found, err := findTests(ctx, o.packages, "Fuzz")
		if err != nil {
			return err
		}
		o.fuzzing = buildTests(ctx, filepath.Join(dir, "fuzz"), found, "-fuzz=.")
	}
	if slices.Contains(names, "unit") && len(names) > 1 {
		// The go tool caches what it compiles. Compile errors are reported by the tests.
		_ = exec.CommandContext(ctx, "go", "list", "-e", "-race", "-test", "-deps", "-export", o.packages).Run()
	}
	if len(o.plain)+len(o.fuzzing) > 0 {
		fmt.Fprintf(out, "== build: %d test binaries, %.1f s\n", len(o.plain)+len(o.fuzzing), time.Since(start).Seconds())
	}
	return ctx.Err()
}

// buildTests builds the test binaries that can be built.
func buildTests(ctx context.Context, dir string, packages []testPackage, flags ...string) programs {
	var mu sync.Mutex
	built := programs{}
	var wg sync.WaitGroup
	slots := make(chan struct{}, runtime.NumCPU())
	for i, p := range packages {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			one := program{path: filepath.Join(dir, fmt.Sprintf("%d.test", i))}
			args := slices.Concat([]string{"test", "-c", "-o", one.path}, flags, []string{p.ImportPath})
			cmd := exec.CommandContext(ctx, "go", args...)
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // like releases: some test binaries also act as lvs-ha
			if out, err := cmd.CombinedOutput(); err != nil {
				one.err = fmt.Errorf("build the tests of %s: %w: %s", p.ImportPath, err, out)
			}
			mu.Lock()
			defer mu.Unlock()
			built[p.ImportPath] = one
		})
	}
	wg.Wait()
	return built
}

// of returns the packages that have a program, and why the others have none.
func (p programs) of(packages []testPackage) ([]testPackage, error) {
	var good []testPackage
	var errs []error
	for _, one := range packages {
		if err := p[one.ImportPath].err; err != nil {
			errs = append(errs, err)
			continue
		}
		good = append(good, one)
	}
	return good, errors.Join(errs...)
}

// environment returns the environment variables for tests of a kind.
func environment(k lab.Kind, get func(string) string) []string {
	all := []string{lab.EnvKinds + "=" + string(k)}
	for _, name := range []string{lab.EnvPrograms, lab.EnvSeed, lab.EnvTimes} {
		all = append(all, name+"="+get(name))
	}
	return all
}

// prefixed writes complete lines with a prefix, each with one Write so that lines are not interleaved.
type prefixed struct {
	mu     *sync.Mutex
	out    io.Writer
	prefix string
	rest   string
}

func (p *prefixed) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for line := range strings.Lines(p.rest + string(text)) {
		if !strings.HasSuffix(line, "\n") {
			p.rest = line
			break
		}
		p.rest = ""
		b.WriteString(p.prefix + line)
	}
	_, err := io.WriteString(p.out, b.String())
	return len(text), err
}
