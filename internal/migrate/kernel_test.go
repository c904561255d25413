package migrate

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/ipvsadm"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// TestKernelRulesThatIpvsadmRestored restores generated rules with the original ipvsadm. The imports of these rules and
// of the resulting `ipvsadm -S` output both give an empty plan.
func TestKernelRulesThatIpvsadmRestored(t *testing.T) {
	lab.Need(t, lab.Kernel)
	host, err := lab.NewT(t, "migrate").Host("director")
	if err != nil {
		t.Fatal(err)
	}
	var client *ipvs.Client
	if err := host.Do(func() (err error) { client, err = ipvs.Open(t.Context()); return err }); err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	real := func(t *rapid.T, stdin string, args ...string) string {
		var stdout, stderr bytes.Buffer
		cmd := host.Command(t.Context(), "ipvsadm", args...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
		if err := cmd.Run(); err != nil || stderr.Len() > 0 {
			t.Fatalf("ipvsadm %q: %v: %s\n%s", args, err, &stderr, stdin)
		}
		return stdout.String()
	}
	planned := func(t *rapid.T, rules string, actual []ipvs.ServiceState) {
		text, lost, err := FromRules(t.Context(), strings.NewReader(rules), noNames{})
		if err != nil || len(lost) > 0 {
			t.Fatalf("lost %v, error %v, of\n%s", lost, err, rules)
		}
		cfg, problems := config.LoadText("import.hcl", text, config.Options{Node: "lb1"})
		if err := problems.Err(); err != nil {
			t.Fatal(err)
		}
		if plan := ipvs.Diff(Entries(cfg), actual, nil); !plan.Empty() || len(plan.Foreign) > 0 {
			t.Fatalf("%s\nrules:\n%s", plan, rules)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		table := tables.Filter(runsHere).Draw(t, "table")
		var rules bytes.Buffer
		if err := ipvsadm.WriteRules(&rules, table); err != nil {
			t.Fatal(err)
		}
		real(t, "", "-C")
		real(t, rules.String(), "-R")
		actual, err := client.Table(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if plan := ipvs.Diff(table, actual, nil); !plan.Empty() || len(plan.Foreign) > 0 {
			t.Fatalf("the table is not what was written:\n%s\nrules:\n%s", plan, &rules)
		}
		planned(t, rules.String(), actual)
		for i := range actual { // -S omits thresholds
			for j := range actual[i].Destinations {
				d := &actual[i].Destinations[j]
				d.UpperThreshold, d.LowerThreshold = 0, 0
			}
		}
		planned(t, real(t, "", "-S", "-n"), actual)
	})
}

// runsHere reports whether the test kernel has the table's schedulers, and -S prints it correctly.
func runsHere(table []ipvs.Entry) bool {
	for _, e := range table {
		named := e.Scheduler == "sh" || e.Scheduler == "mh"
		if e.Scheduler == "twos" || e.Mark > 1<<31-1 || named && e.Flags&ipvs.FlagSched3 != 0 {
			return false
		}
	}
	return true
}
