package ipvsadm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-ha/lvs-ha/internal/ipvsadm"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// outcome is the visible result of a command.
type outcome struct {
	Stdout, Stderr string
	Status         int
}

// director is a network namespace with a separate table.
type director struct {
	host  *lab.Node
	table *ipvs.Client
}

func newDirector(t testing.TB, l *lab.Lab, name string) director {
	t.Helper()
	host, err := l.Host(name)
	if err != nil {
		t.Fatal(err)
	}
	d := director{host: host}
	err = host.Do(func() (err error) {
		d.table, err = ipvs.Open(t.Context())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.table.Close() })
	return d
}

// real runs the real ipvsadm.
func (d director) real(t testing.TB, stdin string, args ...string) outcome {
	t.Helper()
	cmd := d.host.Command(t.Context(), "ipvsadm", args...)
	cmd.Stdin = strings.NewReader(stdin)
	return outcomeOf(t, cmd)
}

// outcomeOf runs a program that exits on its own.
func outcomeOf(t testing.TB, cmd *lab.Cmd) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || !exit.Exited()) {
		t.Fatalf("%q: %v", cmd.Args, err)
	}
	return outcome{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// ours runs our implementation.
func (d director) ours(t testing.TB, stdin string, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	status := ipvsadm.Main(t.Context(), args, ipvsadm.Environment{
		Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs,
		Open: func(ctx context.Context) (k ipvsadm.Kernel, err error) {
			err = d.host.Do(func() error {
				k, err = ipvsadm.OpenKernel(ctx)
				return err
			})
			return k, err
		},
		Connections: func() (r io.ReadCloser, err error) {
			err = d.host.Do(func() error {
				b, err := os.ReadFile("/proc/thread-self/net/ip_vs_conn")
				r = io.NopCloser(bytes.NewReader(b))
				return err
			})
			return r, err
		},
	})
	return outcome{out.String(), errs.String(), status}
}

// rivals are two directors that run the same commands, one with the real ipvsadm and one with ours.
type rivals struct {
	real, ours director
	compared   int
}

func newRivals(t testing.TB) *rivals {
	t.Helper()
	lab.Need(t, lab.Kernel)
	l := lab.NewT(t, "ipvsadm")
	return &rivals{real: newDirector(t, l, "real"), ours: newDirector(t, l, "ours")}
}

// run runs the same command in both and compares the results, and the tables after it. Listings are compared on the same
// table.
func (r *rivals) run(t *testing.T, stdin string, args ...string) {
	t.Helper()
	if lists(args) {
		r.compareHere(t, args...)
		return
	}
	r.compared++
	want, got := r.real.real(t, stdin, args...), r.ours.ours(t, stdin, args...)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ipvsadm %q with input %q:\n%s", args, stdin, diff)
	}
	if want, got := r.real.snapshot(t), r.ours.snapshot(t); want != got {
		t.Fatalf("after ipvsadm %q with input %q the tables differ:\n%s", args, stdin, cmp.Diff(want, got))
	}
}

// snapshot returns the table and timeouts in an order independent of the kernel's.
func (d director) snapshot(t *testing.T) string {
	t.Helper()
	table, err := d.table.Table(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	timeouts, err := d.table.Timeouts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, s := range table {
		b, err := json.Marshal(s.Service)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(b))
		for _, dest := range s.Destinations {
			b, err := json.Marshal(dest.Destination)
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, s.ServiceKey.String()+" "+string(b))
		}
	}
	slices.Sort(lines)
	return fmt.Sprintln(timeouts) + strings.Join(lines, "\n")
}

// forms are the listing options.
var forms = []string{
	"-L", "-L --stats", "-L --rate", "-L --thresholds", "-L --persistent-conn", "-L --tun-info", "-L --stats --exact",
	"-L --rate --exact", "-L -c", "-L --timeout", "-L --daemon", "-S",
}

// list compares listings of the real ipvsadm's table, numeric and, if byName is set, with names.
func (r *rivals) list(t *testing.T, byName bool) {
	t.Helper()
	for _, form := range forms {
		args := strings.Fields(form)
		if byName {
			r.compareHere(t, args...)
		}
		if form != "-L --timeout" && form != "-L --daemon" {
			r.compareHere(t, append(args, "-n")...)
		}
		if strings.HasPrefix(form, "-L") && byName {
			r.compareHere(t, append(args, "-n", "--nosort")...)
		}
	}
}

// compareHere runs both implementations in the same director, for commands that change nothing.
func (r *rivals) compareHere(t *testing.T, args ...string) {
	t.Helper()
	r.compared++
	if diff := cmp.Diff(r.real.real(t, "", args...), r.real.ours(t, "", args...)); diff != "" {
		t.Errorf("ipvsadm %q:\n%s", args, diff)
	}
}
