package chaos

import (
	"time"

	"github.com/lvs-ha/lvs-ha/e2e/scene"
)

// Trouble is a disturbance of a director, with its beginning and end.
type Trouble struct {
	Name string

	// Begin and End are shell commands that run on the director. Variables: run, director, speaker and spare are process
	// IDs of lvs-ha, all lists all of them; config is its configuration file.
	Begin, End string

	Again   Again // when lvs-ha is started again
	Power   bool  // the machine loses power instead, and boots at the end
	Cable   string
	Budget  Budget
	Present Present // quantities that may also last as long as the trouble, in addition to the budget
}

// Again is when lvs-ha is started again after its parent has exited.
type Again int

// The values of Again.
const (
	Never  Again = iota
	AtEnd        // when all its processes have exited
	AtOnce       // while the old workers may still be running
)

// Present are the quantities that a trouble affects inevitably, such as two masters of a partitioned network.
type Present struct {
	NoHolder, Overlap, Table, API, Outage bool
}

// touchesProcesses reports whether the trouble affects the current processes: a second such trouble would not find them.
func (t *Trouble) touchesProcesses() bool { return t.Power || t.Again != Never || usesProcess(t.Begin) }

const (
	bad  = `cp $config $config.good; echo 'vrrp "web" {' >>$config; kill -HUP $run`
	good = `[ ! -e $config.good ] || mv $config.good $config; kill -HUP $run 2>/dev/null || true`

	fewer = `prlimit --nofile=$(ls /proc/$%s/fd | wc -l): --pid $%s`
	more  = `prlimit --nofile=$(prlimit --nofile -o HARD --noheadings --pid $%s): --pid $%s 2>/dev/null || true`
)

// processTroubles returns the troubles that kill or suspend processes of lvs-ha.
func processTroubles() []Trouble {
	workers := Present{API: true}
	hung := Present{Overlap: true, NoHolder: true, Outage: true, API: true}
	return []Trouble{
		{Name: "speaker-killed", Begin: "kill -KILL $speaker", Budget: smooth},
		{Name: "spare-killed", Begin: "kill -KILL $spare", Budget: smooth},
		{Name: "director-killed", Begin: "kill -KILL $director", Budget: restarted},
		{Name: "speaker-and-spare-killed", Begin: "kill -KILL $speaker $spare", Budget: takeover},
		{Name: "director-and-spare-killed", Begin: "kill -KILL $director $spare", Budget: restarted},
		{Name: "director-and-speaker-killed", Begin: "kill -KILL $director $speaker", Budget: restarted},
		{Name: "workers-and-spare-killed", Begin: "kill -KILL $director $speaker $spare", Budget: takeover},
		{Name: "parent-killed", Begin: "kill -KILL $run", Again: AtEnd, Budget: handover, Present: workers},
		{Name: "parent-and-speaker-killed", Begin: "kill -KILL $run $speaker", Again: AtEnd, Budget: orphaned, Present: hung},
		{Name: "parent-and-director-killed", Begin: "kill -KILL $run $director", Again: AtEnd, Budget: handover, Present: workers},
		{Name: "parent-and-spare-killed", Begin: "kill -KILL $spare $run", Again: AtEnd, Budget: handover, Present: workers},
		{Name: "all-killed", Begin: "kill -STOP $all; kill -KILL $all", Again: AtEnd, Budget: orphaned, Present: hung},
		{Name: "parent-killed-new-at-once", Begin: "kill -KILL $run", Again: AtOnce, Budget: handover},
		{Name: "all-killed-new-at-once", Begin: "kill -STOP $all; kill -KILL $all", Again: AtOnce, Budget: orphaned},
		{Name: "stopped", Begin: "kill -TERM $run", Again: AtEnd, Budget: handover, Present: workers},
		{Name: "stopped-new-at-once", Begin: "kill -TERM $run", Again: AtOnce, Budget: handover},
		{Name: "speaker-hangs", Begin: "kill -STOP $speaker", End: "kill -CONT $speaker 2>/dev/null || true", Budget: watchdog, Present: hung},
		{Name: "spare-hangs", Begin: "kill -STOP $spare", End: "kill -CONT $spare 2>/dev/null || true", Budget: smooth},
		{Name: "spare-hangs-speaker-killed", Begin: "kill -STOP $spare; kill -KILL $speaker", End: "kill -CONT $spare 2>/dev/null || true", Budget: watchdog, Present: hung},
		{Name: "director-hangs", Begin: "kill -STOP $director", End: "kill -CONT $director 2>/dev/null || true", Budget: handover, Present: Present{API: true, Table: true}},
		{Name: "parent-hangs", Begin: "kill -STOP $run", End: "kill -CONT $run 2>/dev/null || true", Budget: smooth},
		{Name: "everything-hangs", Begin: "kill -STOP $all", End: "kill -CONT $all 2>/dev/null || true", Budget: takeover, Present: hung},
		{Name: "power-failure", Power: true, Budget: crash, Present: Present{API: true}},
	}
}

// machineTroubles returns the troubles of the machine and the network.
func machineTroubles() []Trouble {
	parted := Present{Overlap: true, NoHolder: true, Outage: true}
	severing := Present{Overlap: true, NoHolder: true, Outage: true, Table: true}
	return []Trouble{
		{Name: "reload", Begin: "kill -HUP $run", Budget: smooth},
		{Name: "reload-good", Begin: `cp $config $config.good; sed -i 's/interval = "1s"/interval = "900ms"/' $config; kill -HUP $run`, End: good, Budget: smooth},
		{Name: "reload-bad", Begin: bad, End: good, Budget: smooth},
		{Name: "reload-bad-director-killed", Begin: bad + "; kill -KILL $director", End: good, Budget: restarted},
		{Name: "table-cleared", Begin: "ipvsadm -C", Budget: repaired},
		{Name: "service-deleted", Begin: "ipvsadm -D -t " + scene.VIP + ":80 2>/dev/null || true", Budget: repaired},
		{Name: "service-edited", Begin: "ipvsadm -E -t " + scene.VIP + ":80 -s wlc -p 60 2>/dev/null || true", Budget: smooth},
		{Name: "weights-changed", Begin: "for i in 1 2 3; do ipvsadm -e -t " + scene.VIP + ":80 -r 192.168.10.$i:80 -m -w 0 2>/dev/null || true; done", Budget: repaired},
		{Name: "server-deleted", Begin: "ipvsadm -d -t " + scene.VIP + ":80 -r 192.168.10.2:80 2>/dev/null || true", Budget: smooth},
		{Name: "sync-daemons-stopped", Begin: "ipvsadm --stop-daemon master 2>/dev/null; ipvsadm --stop-daemon backup 2>/dev/null || true", Budget: smooth},
		{Name: "address-deleted", Begin: "ip address delete " + scene.VIP + "/24 dev eth0 2>/dev/null || true", Budget: restored},
		{Name: "address-added", Begin: "ip address add " + scene.VIP + "/24 dev eth0 2>/dev/null || true", Budget: doubled},
		{Name: "eth0-down", Begin: "ip link set eth0 down", End: "ip link set eth0 up", Budget: takeover},
		{Name: "eth1-down", Begin: "ip link set eth1 down", End: "ip link set eth1 up", Budget: handover, Present: Present{Table: true}},
		{Name: "eth0-flaps", Begin: "for i in 1 2 3 4; do ip link set eth0 down; sleep 0.1; ip link set eth0 up; sleep 0.1; done", Budget: flapping, Present: parted},
		{Name: "eth1-flaps", Begin: "for i in 1 2 3 4; do ip link set eth1 down; sleep 0.1; ip link set eth1 up; sleep 0.1; done", Budget: flapping, Present: parted},
		{Name: "eth0-renamed", Begin: "ip link set eth0 down; ip link set eth0 name away0; ip link set away0 up",
			End: "ip link set away0 down; ip link set away0 name eth0; ip link set eth0 up", Budget: takeover, Present: parted},
		{Name: "eth1-renamed", Begin: "ip link set eth1 down; ip link set eth1 name away1; ip link set away1 up",
			End: "ip link set away1 down; ip link set away1 name eth1; ip link set eth1 up", Budget: severed, Present: severing},
		{Name: "eth0-unplugged", Cable: "eth0", Budget: takeover, Present: parted},
		{Name: "eth1-unplugged", Cable: "eth1", Budget: severed, Present: severing},
		{Name: "deaf-to-adverts", Begin: "iptables-legacy -A INPUT -p 112 -j DROP", End: "iptables-legacy -D INPUT -p 112 -j DROP", Budget: takeover, Present: parted},
		{Name: "mute", Begin: "iptables-legacy -A OUTPUT -p 112 -j DROP", End: "iptables-legacy -D OUTPUT -p 112 -j DROP", Budget: takeover, Present: parted},
		{Name: "disk-full", Begin: "mount -o remount,size=$(($(df -k --output=used /run | tail -1) * 1024)) /run", End: "mount -o remount,size=50% /run", Budget: smooth},
		{Name: "runtime-dir-deleted", Begin: "rm -rf /run/lvs-ha", Budget: restarted},
		{Name: "director-descriptors", Begin: limit("director"), End: unlimit("director"), Budget: smooth, Present: Present{API: true}},
		{Name: "speaker-descriptors", Begin: limit("speaker"), End: unlimit("speaker"), Budget: smooth},
		{Name: "parent-descriptors", Begin: limit("run"), End: unlimit("run"), Budget: smooth},
		{Name: "clock-ahead", Begin: "date -s '+400 days' >/dev/null", End: "date -s '-400 days' >/dev/null", Budget: smooth},
		{Name: "clock-back", Begin: "date -s '-1 hour' >/dev/null", End: "date -s '+1 hour' >/dev/null", Budget: smooth},
		{Name: "forwarding-off", Begin: "echo 0 >/proc/sys/net/ipv4/ip_forward", Budget: forwarding},
	}
}

// Troubles returns all troubles.
func Troubles() []Trouble { return append(processTroubles(), machineTroubles()...) }

// find returns the trouble with a name.
func find(name string) (*Trouble, bool) {
	for _, t := range Troubles() {
		if t.Name == name {
			return &t, true
		}
	}
	return nil, false
}

// longestPause is the longest pause after a trouble.
const longestPause = 1500 * time.Millisecond
