// Command runtests runs kinds of tests and prints how many ran. It fails if a test fails, or if no test of a requested kind
// ran.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// module is the prefix omitted from listed packages.
const module = "github.com/lvs-ha/lvs-ha/"

// options are the command-line options for all kinds of tests.
type options struct {
	run      string // regular expression; empty for all of a kind
	packages string // pattern
	verbose  bool   // show the output of tests that pass
	fuzz     string // time for each target, in the format of -fuzztime
	count    int    // how often each host, kernel and pair test runs

	kind           string   // the kind of tests to run
	yields         bool     // gives way to tests that run at the same time
	plain, fuzzing programs // built before anything runs
}

type kind struct {
	name, about string
	run         func(context.Context, options, *tally) error
}

func kinds() []kind {
	return []kind{
		{"unit", "no root, no network beyond loopback, with -race", runUnit},
		{"proof", "TestProof…: what takes minutes of a core, no root", runProof},
		{"fuzz", "every fuzz target for a while", runFuzz},
		{"host", "TestHost…: root and network namespaces on this kernel", runHost},
		{"kernel", "TestKernel…: inside a test kernel with IPVS on each of two cores", runKernel},
		{"pair", "TestPair…: director machines, each with a kernel of its own", runPair},
		{"bench", "benchmarks, those named BenchmarkKernel… in one test kernel", runBench},
	}
}

func main() {
	var o options
	flag.StringVar(&o.run, "run", "", "run only tests that match `regexp`")
	flag.StringVar(&o.packages, "packages", "./...", "only packages that match `pattern`")
	flag.BoolVar(&o.verbose, "v", false, "show the output of tests that pass too")
	flag.StringVar(&o.fuzz, "fuzztime", "5000x", "how long each fuzz target runs: inputs, as 5000x, or a duration")
	flag.IntVar(&o.count, "count", 1, "run each host, kernel and pair test `n` times")
	flag.Usage = usage
	flag.Parse()
	if flag.NArg() == 0 {
		usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ok := runKinds(ctx, o, flag.Args(), os.Stdout)
	stop()
	if !ok {
		os.Exit(1)
	}
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: runtests [flags] kind...\n\nkinds:")
	w := tabwriter.NewWriter(os.Stderr, 0, 8, 2, ' ', 0)
	for _, k := range kinds() {
		fmt.Fprintf(w, "  %s\t%s\n", k.name, k.about)
	}
	_ = w.Flush()
	fmt.Fprintln(os.Stderr, "\nflags:")
	flag.PrintDefaults()
}

func runKinds(ctx context.Context, o options, names []string, out io.Writer) bool {
	byName := map[string]kind{}
	for _, k := range kinds() {
		byName[k.name] = k
	}
	for _, name := range names {
		if _, known := byName[name]; !known {
			fmt.Fprintf(out, "unknown kind of test %q\n", name)
			return false
		}
	}
	dir, err := os.MkdirTemp(lab.SharedDir, "runtests-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = o.build(ctx, names, dir, out)
	}
	if err != nil {
		fmt.Fprintln(out, err)
		return false
	}
	results := map[string]*result{}
	for _, name := range names {
		results[name] = &result{}
	}
	for _, lanes := range sideBySide(names) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		for i, lane := range lanes {
			wg.Go(func() {
				o := o
				o.yields = i > 0
				for _, name := range lane {
					to := out
					if len(lanes) > 1 {
						to = &prefixed{mu: &mu, out: out, prefix: name + "\t"}
					}
					results[name].run(ctx, o, byName[name], to)
				}
			})
		}
		wg.Wait()
	}
	return summarize(names, results, out)
}

// sideBySide returns the order of the kinds: consecutive stages, each of lanes that run concurrently. Fuzzing, unit tests and
// proofs use the CPU time left by the test kernels, which have a core each; fuzzing is before unit tests, since it does not
// depend on a clock, and proofs, which use one core, are beside both. Host and pair tests have the host to themselves.
func sideBySide(names []string) [][][]string {
	var lanes [][]string
	if slices.Contains(names, "kernel") {
		for _, lane := range [][]string{{"fuzz", "unit"}, {"proof"}} {
			lane = slices.DeleteFunc(lane, func(name string) bool { return !slices.Contains(names, name) })
			if len(lane) > 0 {
				lanes = append(lanes, lane)
			}
		}
	}
	var stages [][][]string
	if len(lanes) > 0 {
		lanes = slices.Insert(lanes, 0, []string{"kernel"})
		stages = append(stages, lanes)
	}
	for _, name := range names {
		if !slices.ContainsFunc(lanes, func(lane []string) bool { return slices.Contains(lane, name) }) {
			stages = append(stages, [][]string{{name}})
		}
	}
	return stages
}

// result is the outcome of a kind.
type result struct {
	line   string
	ok     bool
	tests  []duration
	broken []failure
}

func (r *result) run(ctx context.Context, o options, k kind, out io.Writer) {
	fmt.Fprintf(out, "== %s: %s\n", k.name, k.about)
	t := &tally{out: out, verbose: o.verbose}
	start := time.Now()
	err := k.run(ctx, o, t)
	r.line, r.ok = t.summary(k.name, err, time.Since(start))
	r.tests, r.broken = t.took, t.broken
	fmt.Fprintln(out, r.line)
}

// summarize writes the slowest tests, a line for each kind and what failed, and reports whether everything passed.
func summarize(names []string, results map[string]*result, out io.Writer) bool {
	var tests []duration
	var broken []failure
	ok := true
	for _, name := range names {
		tests = append(tests, results[name].tests...)
		broken = append(broken, results[name].broken...)
		ok = ok && results[name].ok
	}
	if len(tests) > 10 {
		fmt.Fprintf(out, "\nslowest tests:\n%s", slowest(tests, 10))
	}
	if len(names) > 1 {
		fmt.Fprintln(out)
		for _, name := range names {
			fmt.Fprintln(out, results[name].line)
		}
	}
	fmt.Fprint(out, failureList(broken))
	return ok
}
