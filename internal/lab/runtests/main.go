// Command runtests runs kinds of tests and prints how many ran. It fails when a test fails, and when no test of a
// kind that was asked for ran.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// options are what the command line says about all kinds of tests.
type options struct {
	run      string // regular expression; empty for all of a kind
	packages string // pattern
	verbose  bool   // show the output of tests that pass
	fuzz     string // of each target, as -fuzztime takes it
}

type kind struct {
	name, about string
	run         func(context.Context, options, *tally) error
}

func kinds() []kind {
	return []kind{
		{"unit", "no root, no network beyond loopback, with -race", runUnit},
		{"fuzz", "every fuzz target for a while", runFuzz},
		{"host", "TestHost…: root and network namespaces on this kernel", runHost},
		{"kernel", "TestKernel…: inside one test kernel with IPVS", runKernel},
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
	ok := true
	var summary strings.Builder
	for _, name := range names {
		k, known := byName[name]
		if !known {
			fmt.Fprintf(out, "unknown kind of test %q\n", name)
			return false
		}
		fmt.Fprintf(out, "== %s: %s\n", k.name, k.about)
		t := &tally{out: out, verbose: o.verbose}
		start := time.Now()
		err := k.run(ctx, o, t)
		line, passed := t.summary(name, err, time.Since(start))
		fmt.Fprintln(out, line)
		fmt.Fprintln(&summary, line)
		ok = ok && passed
	}
	if len(names) > 1 {
		fmt.Fprintf(out, "\n%s", summary.String())
	}
	return ok
}
