package ipvs_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// shapes are tables of 10,000 servers. The kernel searches a service's list for each new server, so a single long list
// is slow with any client.
var shapes = []struct {
	name  string
	table []ipvs.Entry
}{
	{"1000x10", manyServices(1000, 10)},
	{"1x10000", manyServices(1, 10000)},
}

// bring applies the wanted table.
func (k kernel) bring(b *testing.B, wanted []ipvs.Entry) {
	b.Helper()
	table, err := k.Table(b.Context())
	if err == nil {
		err = ipvs.Apply(b.Context(), k, ipvs.Diff(wanted, table, func(ipvs.ServiceKey) bool { return true }))
	}
	if err != nil {
		b.Fatal(err)
	}
}

func BenchmarkKernelProgram(b *testing.B) {
	k := newKernel(b)
	flush := func(b *testing.B) {
		b.StopTimer()
		if err := k.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	for _, shape := range shapes {
		rules := rules(shape.table)
		b.Run(shape.name+"/lvs-ha", func(b *testing.B) {
			for b.Loop() {
				flush(b)
				if err := ipvs.Apply(b.Context(), k, ipvs.Diff(shape.table, nil, ownsNothing)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(shape.name+"/ipvsadm", func(b *testing.B) {
			for b.Loop() {
				flush(b)
				cmd := k.host.Command(b.Context(), "ipvsadm", "-R")
				cmd.Stdin = bytes.NewReader(rules)
				if out, err := cmd.CombinedOutput(); err != nil {
					b.Fatalf("ipvsadm -R: %v: %s", err, out)
				}
			}
		})
	}
}

// rules formats a table for ipvsadm -R.
func rules(table []ipvs.Entry) []byte {
	var b bytes.Buffer
	for _, e := range table {
		at := fmt.Sprintf("-t %s:%d", e.Address, e.Port)
		fmt.Fprintf(&b, "-A %s -s %s\n", at, e.Scheduler)
		for _, d := range e.Destinations {
			fmt.Fprintf(&b, "-a %s -r %s -m -w %d\n", at, d.DestinationKey, d.Weight)
		}
	}
	return b.Bytes()
}

func BenchmarkKernelList(b *testing.B) {
	k := newKernel(b)
	for _, shape := range shapes {
		k.bring(b, shape.table)
		b.Run(shape.name+"/lvs-ha", func(b *testing.B) {
			for b.Loop() {
				if _, err := k.Table(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(shape.name+"/ipvsadm", func(b *testing.B) {
			for b.Loop() {
				k.ipvsadm(b, "-Sn")
			}
		})
	}
}

// BenchmarkKernelDiff finds one change in a table, compared with a script that does the same.
func BenchmarkKernelDiff(b *testing.B) {
	k := newKernel(b)
	for _, shape := range shapes {
		k.bring(b, shape.table)
		saved := filepath.Join(b.TempDir(), "saved")
		if err := os.WriteFile(saved, []byte(strings.Join(k.ipvsadm(b, "-Sn"), "\n")+"\n"), 0o600); err != nil {
			b.Fatal(err)
		}
		changed := slices.Clone(shape.table)
		changed[0].Destinations = slices.Clone(changed[0].Destinations)
		changed[0].Destinations[5].Weight = 70000
		k.bring(b, changed)
		b.Run(shape.name+"/lvs-ha", func(b *testing.B) {
			for b.Loop() {
				table, err := k.Table(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				if plan := ipvs.Diff(shape.table, table, ownsNothing); len(plan.Steps) != 1 {
					b.Fatalf("got %d steps, want 1", len(plan.Steps))
				}
			}
		})
		b.Run(shape.name+"/ipvsadm", func(b *testing.B) {
			for b.Loop() {
				cmd := k.host.Command(b.Context(), "sh", "-c", "ipvsadm -Sn | diff "+saved+" -")
				if out, _ := cmd.Output(); bytes.Count(out, []byte("\n")) != 4 { // the status reports a difference
					b.Fatalf("got %.500s, want one line changed", out)
				}
			}
		})
	}
}

func BenchmarkDiff(b *testing.B) {
	for _, shape := range shapes {
		actual := states(shape.table)
		actual[0].Destinations[5].Weight = 70000
		b.Run(shape.name, func(b *testing.B) {
			for b.Loop() {
				if plan := ipvs.Diff(shape.table, actual, ownsNothing); len(plan.Steps) != 1 {
					b.Fatalf("got %d steps, want 1", len(plan.Steps))
				}
			}
		})
	}
}
