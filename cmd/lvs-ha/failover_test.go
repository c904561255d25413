package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

func TestFailoverOutput(t *testing.T) {
	until := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	for _, tc := range []struct {
		of   api.FailoverOf
		want string
		ok   bool
	}{
		{api.FailoverOf{Outcome: api.FailoverDone, MasterAddress: "10.0.0.2", Took: api.Duration(12345 * time.Microsecond)},
			"web: handed over to 10.0.0.2 in 12.3ms\n", true},
		{api.FailoverOf{Outcome: api.FailoverDone, MasterAddress: "10.0.0.2", Took: api.Duration(12 * time.Millisecond), Until: until},
			"web: handed over to 10.0.0.2 in 12ms; stays away until 2026-01-02 03:04:05\n", true},
		{api.FailoverOf{Outcome: api.FailoverNoNeed, State: vrrp.Backup, MasterAddress: "10.0.0.2"}, "web: not master here; master is 10.0.0.2\n", true},
		{api.FailoverOf{Outcome: api.FailoverNoNeed, State: vrrp.Initialize}, "web: not master here (INITIALIZE)\n", true},
		{api.FailoverOf{Outcome: api.FailoverNobody, Took: api.Duration(300 * time.Millisecond)},
			"web: no other router took over within 300ms; this node remains master, and the failover is cancelled\n", false},
		{api.FailoverOf{Outcome: api.FailoverWaiting, State: vrrp.Leaving}, "web: still LEAVING; see lvs-ha status\n", false},
		{api.FailoverOf{Outcome: api.FailoverUndone}, "web: failover undone\n", true},
		{api.FailoverOf{Outcome: api.FailoverNone}, "web: no failover in force\n", true},
	} {
		tc.of.Name = "web"
		var out strings.Builder
		if ok := printFailover(&out, &out, api.Failover{Instances: []api.FailoverOf{tc.of}}); ok != tc.ok || out.String() != tc.want {
			t.Errorf("%s: %v, %q, want %v, %q", tc.of.Outcome, ok, out.String(), tc.ok, tc.want)
		}
	}
}

// TestDurationFlags checks that a number without a unit is refused in plain words.
func TestDurationFlags(t *testing.T) {
	for text, want := range map[string]string{
		"10": "such as 90s, 10m or 2h", "ten": "such as 90s, 10m or 2h", "-10m": "positive",
	} {
		cmd := newFailover()
		cmd.SetArgs([]string{"--for", text, "--runtime-dir", t.TempDir()})
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
		if err := cmd.Execute(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "time:") {
			t.Errorf("--for %s: %v", text, err)
		}
	}
	if help := newFailover().Flags().FlagUsages(); !strings.Contains(help, "--for duration") || strings.Contains(help, "default 0") {
		t.Errorf("help:\n%s", help)
	}
}

// TestHostFailover simulates maintenance: the master hands over and stays away across restarts of its director and of the
// daemon, then it comes back. Without a peer, it stays master.
func TestHostFailover(t *testing.T) {
	lab.Need(t, lab.Host)
	places := newPlaces(t, 2)
	lb1, lb2 := places[0], places[1]
	lb1.configure(gateway)
	lb2.configure(strings.Replace(gateway, "150", "100", 1))
	first := lb1.start()
	first.awaitStatus("master", isMaster)

	lb1.wantAnswer(lb1.asked("failover"), 1, "gateway: no other router took over within")
	s := first.awaitStatus("master with its own priority", func(s api.Status) bool { return isMaster(s) && s.VRRP[0].EffectivePriority == 150 })
	if tracks := s.VRRP[0].Tracks; len(tracks) != 0 {
		t.Errorf("tracks of a cancelled failover: %+v", tracks)
	}

	// The same if the client does not wait for the outcome.
	said := func(text string) int { return strings.Count(first.stderr.text(), text) }
	impatient, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = api.NewClient(lb1.path("run/api.sock")).Failover(impatient, api.FailoverRequest{})
	}()
	eventually(t, "the second failover is requested", func() bool { return said("failover requested") == 2 })
	cancel()
	<-ended
	eventually(t, "the second failover is cancelled", func() bool { return said("failover cancelled") == 2 })
	first.awaitStatus("master with its own priority", func(s api.Status) bool { return isMaster(s) && s.VRRP[0].EffectivePriority == 150 })

	second := lb2.start()
	isBackup := func(s api.Status) bool {
		return len(s.VRRP) == 1 && s.VRRP[0].State == vrrp.Backup && s.VRRP[0].MasterAddress != ""
	}
	second.awaitStatus("backup", isBackup)
	lb1.wantAnswer(lb1.asked("failover", "gate*"), 0, "gateway: handed over to 192.0.2.2")
	second.awaitStatus("master", isMaster)
	if names := lb1.lvsha("__complete", "failover", "--runtime-dir", lb1.path("run"), "").stdout; !strings.HasPrefix(names, "gateway\t") {
		t.Errorf("failover completes to %q", names)
	}
	isAway := func(s api.Status) bool {
		return isBackup(s) && s.VRRP[0].EffectivePriority == 1 && len(s.VRRP[0].Tracks) == 1
	}
	lb1.wantAnswer(lb1.asked("status", "gateway"), 0, "failover")
	lb1.wantAnswer(lb1.asked("failover"), 0, "gateway: not master here; master is 192.0.2.2")
	lb1.wantAnswer(lb1.asked("failover", "other"), 1, `no vrrp instance or sync group "other"; the instances are: gateway`)

	if err := syscall.Kill(first.processes()["director"], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	first.awaitStatus("still away after a restart of the director", isAway)
	first.stop()
	first = lb1.start()
	first.awaitStatus("still away after a restart", isAway)

	lb1.wantAnswer(lb1.asked("failover", "--undo"), 0, "gateway: failover undone\n")
	first.awaitStatus("master again", isMaster)
	before := second.awaitStatus("backup again", isBackup).VRRP[0].Transitions
	lb1.wantAnswer(lb1.asked("failover", "--undo"), 0, "gateway: no failover in force\n")

	lb1.wantAnswer(lb1.asked("failover", "--for", "1s"), 0, "stays away until")
	second.awaitStatus("master once more", func(s api.Status) bool { return len(s.VRRP) == 1 && s.VRRP[0].Transitions > before })
	first.awaitStatus("master when the time is over", isMaster)
}

// TestHostFailoverOfThousand hands 1,000 instances on four interfaces over and takes them back. Each moves once in each
// direction.
func TestHostFailoverOfThousand(t *testing.T) {
	lab.Need(t, lab.Host)
	const interfaces, routers = 4, 250
	var text strings.Builder
	for i := range interfaces {
		for id := 1; id <= routers; id++ {
			fmt.Fprintf(&text, "vrrp \"%d-%d\" {\n  interface = \"eth%d\"\n  virtual_router_id = %d\n  priority = 150\n  addresses = [\"10.%d.0.%d/24\"]\n}\n", i, id, i, id, i, id)
		}
	}
	l := lab.NewT(t, "thousand")
	nics := make([][]lab.NIC, 2)
	for i := range interfaces {
		lan, err := l.Bridge(fmt.Sprintf("lan%d", i))
		if err != nil {
			t.Fatal(err)
		}
		for n := range nics {
			nics[n] = append(nics[n], lab.NIC{Name: fmt.Sprintf("eth%d", i), Bridge: lan, Addresses: lab.Prefixes(fmt.Sprintf("10.%d.1.%d/23", i, n+1))})
		}
	}
	var places []*place
	for n := range nics {
		host, err := l.Host(fmt.Sprintf("director%d", n+1), nics[n]...)
		if err != nil {
			t.Fatal(err)
		}
		p := &place{t: t, lab: l, host: host, dir: t.TempDir()}
		p.configure(strings.ReplaceAll(text.String(), "priority = 150", fmt.Sprintf("priority = %d", 150-50*n)))
		places = append(places, p)
	}
	in := func(state vrrp.State) func(api.Status) bool {
		return func(s api.Status) bool {
			n := 0
			for _, v := range s.VRRP {
				if v.State == state && (state == vrrp.Master || v.MasterAddress != "") {
					n++
				}
			}
			return n == interfaces*routers
		}
	}
	first := places[0].start()
	first.awaitStatus("master of all", in(vrrp.Master))
	second := places[1].start()
	second.awaitStatus("backup of all", in(vrrp.Backup))

	places[0].wantAnswer(places[0].asked("failover"), 0, "handed over to 10.0.1.2", "handed over to 10.3.1.2")
	second.awaitStatus("master of all", in(vrrp.Master))
	first.awaitStatus("backup of all", in(vrrp.Backup))
	places[0].wantAnswer(places[0].asked("failover", "--undo"), 0)
	first.awaitStatus("master of all again", in(vrrp.Master))
	second.awaitStatus("backup of all again", in(vrrp.Backup))
	for d, want := range map[*daemon]string{first: "BACKUP MASTER LEAVING BACKUP MASTER", second: "BACKUP MASTER BACKUP"} {
		others := map[string]int{}
		for _, v := range d.awaitStatus("complete", func(s api.Status) bool { return len(s.VRRP) == interfaces*routers }).VRRP {
			if states := moves(v); states != want {
				others[states]++
			}
		}
		if len(others) > 0 {
			t.Errorf("want %q, but for %v", want, others)
		}
	}
}

// moves returns the states that an instance has had.
func moves(v api.Instance) string {
	var states []string
	for _, m := range v.History {
		states = append(states, string(m.To))
	}
	return strings.Join(states, " ")
}
