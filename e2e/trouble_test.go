package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/e2e/scene"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// trouble is something that happens to a director, and how it ends.
type trouble struct {
	name       string
	begin, end string // shell commands on the director; speaker, director and run are the process ids of lvs-ha
	restart    bool   // lvs-ha is started again at the end
}

var troubles = []trouble{
	{name: "speaker killed", begin: "kill -KILL $speaker"},
	{name: "director killed", begin: "kill -KILL $director"},
	{name: "both workers killed", begin: "kill -KILL $director $speaker"},
	{name: "parent killed", begin: "kill -KILL $run", restart: true},
	{name: "all killed", begin: "kill -STOP $all; kill -KILL $all", restart: true},
	{name: "stopped", begin: "kill -TERM $run", restart: true},
	{name: "speaker hangs", begin: "kill -STOP $speaker", end: "kill -CONT $speaker 2>/dev/null || true"},
	{name: "director hangs", begin: "kill -STOP $director", end: "kill -CONT $director 2>/dev/null || true"},
	{name: "everything hangs", begin: "kill -STOP $all", end: "kill -CONT $all"},
	{name: "reload", begin: "kill -HUP $run"},
	{name: "table cleared", begin: "ipvsadm -C"},
	{name: "service deleted", begin: "ipvsadm -D -t " + scene.VIP + ":80 2>/dev/null || true"},
	{name: "servers' weights changed", begin: "for i in 1 2 3; do ipvsadm -e -t " + scene.VIP + ":80 -r 192.168.10.$i:80 -m -w 0 2>/dev/null || true; done"},
	{name: "sync daemons stopped", begin: "ipvsadm --stop-daemon master 2>/dev/null; ipvsadm --stop-daemon backup 2>/dev/null || true"},
	{name: "virtual address deleted", begin: "ip address delete " + scene.VIP + "/24 dev eth0 2>/dev/null || true"},
	{name: "virtual address added", begin: "ip address add " + scene.VIP + "/24 dev eth0 2>/dev/null || true"},
	{name: "eth0 down", begin: "ip link set eth0 down", end: "ip link set eth0 up"},
	{name: "eth1 down", begin: "ip link set eth1 down", end: "ip link set eth1 up"},
	{name: "deaf to adverts", begin: "iptables-legacy -A INPUT -p 112 -j DROP", end: "iptables-legacy -D INPUT -p 112 -j DROP"},
	{name: "cannot advertise", begin: "iptables-legacy -A OUTPUT -p 112 -j DROP", end: "iptables-legacy -D OUTPUT -p 112 -j DROP"},
}

// processVariables sets the shell variables of a trouble. Of two speakers the older one works.
const processVariables = `run= director= speaker= all=
for p in $(pgrep -x lvs-ha | sort -n); do
	[ "$(readlink /proc/$p/ns/net)" = "$(readlink /proc/self/ns/net)" ] || continue
	all="$p $all"
	case "$(tr '\0' ' ' </proc/$p/cmdline)" in
	*" run "*) run=$p ;;
	*" director "*) director=$p ;;
	*" speaker "*) speaker=${speaker:-$p} ;;
	esac
done
`

// TestPairTroubles lets things happen to both directors, several at a time, and then wants all to be right again:
// the first is master with all addresses, the second backup with none, both tables and sync daemons are right, and clients
// are served. LVS_HA_SEED and LVS_HA_TIMES choose other troubles, and more.
func TestPairTroubles(t *testing.T) {
	lab.Need(t, lab.Pair)
	random, times := lab.Generate(t, 8)
	s := begin(t, scene.NAT, fast...)
	table := tableOf(s, s.active())
	for i := range times {
		ended := t.Run(strconv.Itoa(i), func(t *testing.T) {
			s := &story{s.Scene, t}
			for _, undo := range s.makeTrouble(random) {
				undo()
			}
			s.wantAllRight(table)
		})
		if !ended {
			return
		}
	}
}

// makeTrouble begins some troubles, with pauses, and returns what ends them.
func (s *story) makeTrouble(random *rand.Rand) (undo []func()) {
	s.t.Helper()
	busy := map[string]bool{}
	for range 1 + random.IntN(3) {
		d := s.Directors[random.IntN(len(s.Directors))]
		one := troubles[random.IntN(len(troubles))]
		pause := time.Duration(random.IntN(1500)) * time.Millisecond
		if busy[d.Name()] && (one.restart || strings.Contains(one.begin, "$")) {
			continue // its processes may be gone or stopped already
		}
		busy[d.Name()] = busy[d.Name()] || strings.Contains(one.begin, "$")
		out := strings.TrimSpace(s.shell(d, processVariables+"echo speaker=$speaker director=$director run=$run all=\\\"$all\\\"\n"+one.begin))
		s.t.Logf("%s: %s, then %v", d.Name(), one.name, pause)
		undo = append(undo, func() {
			if one.end != "" {
				s.shell(d, out+"\n"+one.end)
			}
			if one.restart {
				s.restart(d)
			}
		})
		s.pause(pause)
	}
	return undo
}

// restart starts lvs-ha again when the one that was stopped or killed has ended.
func (s *story) restart(d *scene.Director) {
	s.t.Helper()
	s.shell(d, "for i in $(seq 100); do\n"+processVariables+"[ -z \"$all\" ] && exit 0\nsleep 0.1\ndone\necho still running: $all >&2\nexit 1")
	if err := d.Run(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *story) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.t.Context().Done():
	}
}

// wantAllRight waits until everything is as it was at the beginning.
func (s *story) wantAllRight(table string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	began := time.Now()
	var wrong string
	for ctx.Err() == nil {
		if err := s.Ready(ctx); err != nil {
			s.t.Fatal(err)
		}
		if wrong = s.wrong(ctx, table); wrong == "" {
			s.t.Logf("all is right after %v", time.Since(began).Round(100*time.Millisecond))
			return
		}
		s.pause(200 * time.Millisecond)
	}
	s.t.Fatal(wrong)
}

// wrong says what is not as it is to be.
func (s *story) wrong(ctx context.Context, table string) string {
	for i, d := range s.Directors {
		if now := tableOf(s, d); now != table {
			return fmt.Sprintf("the table of %s is\n%s", d.Name(), now)
		}
		role, holds := "backup", 0
		if i == 0 {
			role, holds = "master", 2
		}
		if daemons := s.shell(d, "ipvsadm -L --daemon"); strings.Count(daemons, "sync daemon") != 1 || !strings.HasPrefix(daemons, role) {
			return fmt.Sprintf("the sync daemons of %s: %s", d.Name(), daemons)
		}
		addresses := strings.Fields(s.shell(d, "ip -4 -o address show | sed 's/.* inet //; s/ .*//'"))
		held := slices.DeleteFunc(addresses, func(a string) bool { return a != scene.VIP+"/24" && a != "192.168.10.254/24" })
		if len(held) != holds {
			return fmt.Sprintf("%s holds the virtual addresses %v", d.Name(), held)
		}
	}
	spread, err := s.Client.Spread(ctx, 2*len(s.Servers), "http://"+scene.VIP+"/")
	if err != nil || len(spread) != len(s.Servers) {
		return fmt.Sprintf("the client was answered by %v: %v", spread, err)
	}
	return ""
}
