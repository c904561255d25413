package ipvs_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// shapes are tables of 10,000 servers. The kernel looks for each new server in its service's list, so that one long list
// is slow whoever writes it.
var shapes = []struct {
	name  string
	table []ipvs.Entry
}{
	{"1000x10", manyServices(1000, 10)},
	{"1x10000", manyServices(1, 10000)},
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
				if err := ipvs.Apply(b.Context(), k, ipvs.Diff(shape.table, nil, nobody)); err != nil {
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

// rules writes a table as ipvsadm -R reads it.
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
		table, err := k.Table(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		plan := ipvs.Diff(shape.table, table, func(ipvs.ServiceKey) bool { return true })
		if err := ipvs.Apply(b.Context(), k, plan); err != nil {
			b.Fatal(err)
		}
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

func BenchmarkDiff(b *testing.B) {
	for _, shape := range shapes {
		actual := states(shape.table)
		actual[0].Destinations[5].Weight = 70000
		b.Run(shape.name, func(b *testing.B) {
			for b.Loop() {
				if plan := ipvs.Diff(shape.table, actual, nobody); len(plan.Steps) != 1 {
					b.Fatalf("got %d steps, want 1", len(plan.Steps))
				}
			}
		})
	}
}
