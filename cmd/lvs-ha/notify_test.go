package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// notified is what a program has passed to its scripts and its FIFO.
type notified struct {
	FIFO        map[string][]string // lines, by name of the instance or group
	All         []string            // arguments of the instance's script for all states
	States      []string            // its scripts for one state
	GroupAll    []string            // those of the sync group
	GroupStates []string
}

// slowGateway sends adverts rarely enough that neither program loses its state for want of CPU time, and secondGateway is
// another instance, in a sync group with it.
var (
	slowGateway   = strings.Replace(gateway, `"100ms"`, `"300ms"`, 1)
	secondGateway = strings.NewReplacer(`"gateway"`, `"second"`, "= 10\n", "= 11\n", ".100/24", ".101/24").Replace(slowGateway)
)

// recorder has the script and reads the FIFO.
type recorder struct {
	*place
	fifo output
}

// command returns one of the scripts. It executes the shell, so that the test's directory need not be trusted.
func (r *recorder) command(file string, args ...string) []string {
	return append([]string{"/bin/sh", r.path("record"), r.path(file)}, args...)
}

func newRecorder(p *place) *recorder {
	p.t.Helper()
	r := &recorder{place: p}
	if err := os.WriteFile(p.path("record"), []byte("f=$1; shift; echo \"$*\" >>\"$f\"\n"), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return r
}

// listen reads the FIFO once it exists.
func (r *recorder) listen() {
	r.t.Helper()
	eventually(r.t, "there is a FIFO", func() bool {
		info, err := os.Stat(r.path("fifo"))
		return err == nil && info.Mode()&os.ModeNamedPipe != 0
	})
	f, err := os.OpenFile(r.path("fifo"), os.O_RDWR, 0) // also opened for writing, so that reads do not end when the other writer closes it
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { f.Close() })
	go func() {
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			fmt.Fprintln(&r.fifo, lines.Text())
		}
	}()
}

// hears waits until the FIFO's last line is a given one.
func (r *recorder) hears(line string) {
	r.t.Helper()
	eventually(r.t, "the last line is "+line, func() bool { return strings.HasSuffix(r.fifo.text(), line+"\n") })
}

// await waits until the FIFO and every script have been told that the group has a state.
func (r *recorder) await(state string) {
	r.t.Helper()
	r.hears(`GROUP "both" ` + state + " 0")
	eventually(r.t, "the scripts are told "+state, func() bool {
		for file, line := range map[string]string{
			"all":          "INSTANCE gateway " + state + " 150",
			"states":       strings.ToLower(state),
			"group-all":    "GROUP both " + state + " 0",
			"group-states": strings.ToLower(state),
		} {
			if text, err := os.ReadFile(r.path(file)); err != nil || !strings.HasSuffix(string(text), line+"\n") {
				return false
			}
		}
		return true
	})
}

func (r *recorder) result() notified {
	r.t.Helper()
	lines := func(file string) []string {
		text, err := os.ReadFile(r.path(file))
		if err != nil {
			r.t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(text)), "\n")
	}
	n := notified{map[string][]string{}, lines("all"), lines("states"), lines("group-all"), lines("group-states")}
	for line := range strings.Lines(r.fifo.text()) { // the order of the members differs
		name := strings.Fields(line)[1]
		n.FIFO[name] = append(n.FIFO[name], strings.TrimSpace(line))
	}
	return n
}

// TestHostNotificationsEqualKeepaliveds takes lvs-ha and keepalived through the same states, and compares what their FIFOs and
// scripts receive.
func TestHostNotificationsEqualKeepaliveds(t *testing.T) {
	lab.Need(t, lab.Host)
	theirs := notifiedStates(t, (*recorder).keepalived)
	ours := notifiedStates(t, (*recorder).ours)
	if diff := cmp.Diff(theirs, ours); diff != "" {
		t.Errorf("keepalived and lvs-ha differ (-keepalived +lvs-ha):\n%s", diff)
	}
	for _, name := range []string{"gateway", "second", "both"} {
		if lines := ours.FIFO[fmt.Sprintf("%q", name)]; len(lines) < 8 {
			t.Errorf("%d lines of %s: %q", len(lines), name, lines)
		}
	}
}

// notifiedStates makes a program backup, master, backup for a peer with a higher priority, and master again; then its link
// fails and recovers, and the program is stopped.
func notifiedStates(t *testing.T, start func(*recorder) (stop func())) notified {
	t.Helper()
	all := newPlaces(t, 2)
	r, peer := newRecorder(all[0]), all[1]
	stop := start(r)
	r.await("MASTER")
	peer.configure(strings.ReplaceAll(slowGateway+secondGateway, "150", "200") + "sync_group \"both\" { instances = [\"gateway\", \"second\"] }\n")
	d := peer.start()
	r.await("BACKUP")
	d.stop()
	r.await("MASTER")
	r.run("ip", "link", "set", "eth0", "down")
	r.await("FAULT")
	r.run("ip", "link", "set", "eth0", "up")
	r.await("MASTER")
	stop()
	r.await("STOP")
	return r.result()
}

func (r *recorder) ours() (stop func()) {
	quoted := func(words []string) string { return `["` + strings.Join(words, `", "`) + `"]` }
	notify := fmt.Sprintf("notify_fifo %q {}\n", r.path("fifo"))
	block := func(prefix string) string {
		b := "  notify {\n    user = \"root\"\n    all = " + quoted(r.command(prefix+"all")) + "\n"
		for _, state := range []string{"master", "backup", "fault", "stop"} {
			b += "    " + state + " = " + quoted(r.command(prefix+"states", state)) + "\n"
		}
		return b + "  }\n"
	}
	r.configure(notify + strings.Replace(slowGateway, "\n}", "\n"+block("")+"}", 1) + secondGateway +
		"sync_group \"both\" {\n  instances = [\"gateway\", \"second\"]\n" + block("group-") + "}\n")
	d := r.start()
	r.listen()
	return func() { d.stop() }
}

func (r *recorder) keepalived() (stop func()) {
	r.t.Helper()
	path, err := exec.LookPath("keepalived")
	if err != nil {
		r.t.Fatalf("keepalived is not installed: run scripts/setup: %v", err)
	}
	notify := func(prefix string) string {
		b := " notify \"" + strings.Join(r.command(prefix+"all"), " ") + "\"\n"
		for _, state := range []string{"master", "backup", "fault", "stop"} {
			b += " notify_" + state + " \"" + strings.Join(r.command(prefix+"states", state), " ") + "\"\n"
		}
		return b
	}
	instance := func(name string, number int, more string) string {
		return fmt.Sprintf("vrrp_instance %s {\n interface eth0\n state BACKUP\n version 3\n virtual_router_id %d\n advert_int 0.3\n priority 150\n"+
			" virtual_ipaddress {\n  192.0.2.%d/24\n }\n%s}\n", name, number, number+90, more)
	}
	text := "global_defs {\n script_user root\n notify_fifo " + r.path("fifo") + "\n}\nvrrp_sync_group both {\n group {\n  gateway\n  second\n }\n" +
		notify("group-") + "}\n" + instance("gateway", 10, notify("")) + instance("second", 11, "")
	if err := os.WriteFile(r.path("keepalived.conf"), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	var log output
	cmd := r.host.Command(context.Background(), path, "-n", "-l", "-D", "-P", "-f", r.path("keepalived.conf"), "-p", r.path("p"), "-r", r.path("r"))
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	}
	r.t.Cleanup(func() {
		select {
		case <-ended:
		default:
			stop()
		}
		if r.t.Failed() {
			r.t.Logf("keepalived said:\n%s", log.text())
		}
	})
	r.listen()
	return stop
}

// TestHostCloudExample runs examples/cloud.hcl on both nodes. A file with the name of the node that has the address
// represents the cloud.
func TestHostCloudExample(t *testing.T) {
	lab.Need(t, lab.Host)
	cloud, err := os.MkdirTemp("/run", "lvs-ha-cloud") // a path that only root can change, as a script's must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(cloud) })
	script := "#!/bin/sh\n[ \"$1\" = 192.0.2.10 ] && echo \"$2\" >" + cloud + "/new && mv " + cloud + "/new " + cloud + "/owner\n"
	if err := os.WriteFile(cloud+"/move-address", []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../examples/cloud.hcl")
	if err != nil {
		t.Fatal(err)
	}
	var nodes []*place
	for i, p := range newPlaces(t, 2) {
		p.configure(strings.Replace(string(text), "/run/lvs-ha/notify.fifo", cloud+fmt.Sprintf("/fifo%d", i+1), 1))
		nodes = append(nodes, p)
	}
	start := func(i int) *daemon {
		return nodes[i].start("sh", "-c", `exec "$@" --node "$0" --var move_address=`+cloud+"/move-address", fmt.Sprintf("lb%d", i+1))
	}
	owns := func(node string) {
		t.Helper()
		eventually(t, node+" has the address", func() bool {
			owner, err := os.ReadFile(cloud + "/owner")
			return err == nil && strings.TrimSpace(string(owner)) == node
		})
	}
	first := start(0)
	owns("lb1")
	second := start(1)
	second.awaitStatus("backup", func(s api.Status) bool { return len(s.VRRP) == 1 && s.VRRP[0].State == vrrp.Backup })
	first.stop()
	owns("lb2")
	first = start(0)
	owns("lb1")
	for _, pid := range first.processes() { // a power failure
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	owns("lb2")
}

// TestHostScriptsRunAsNobody checks that scripts run as nobody unless their block names a user, and without the director's
// capabilities.
func TestHostScriptsRunAsNobody(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newPlace(t)
	dir, err := os.MkdirTemp("/run", "lvs-ha-notify")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	said := dir + "/said"
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(said, nil, 0o600), os.Chmod(said, 0o666)); err != nil {
		t.Fatal(err)
	}
	command := `id -un >` + said + `; grep Cap /proc/self/status >>` + said + `; echo "$@" >>` + said + `; exec sleep 100`
	p.configure(strings.Replace(gateway, "\n}", "\n  notify {\n    all = "+fmt.Sprintf("[\"/bin/sh\", \"-c\", %q, \"sh\"]", command)+"\n    timeout = \"2s\"\n  }\n}", 1))
	d := p.start()
	d.awaitStatus("master", isMaster)
	var text string
	eventually(t, "the script has run for MASTER", func() bool {
		raw, err := os.ReadFile(said)
		text = string(raw)
		return err == nil && strings.Contains(text, "INSTANCE gateway MASTER 150")
	})
	if !strings.HasPrefix(text, "nobody\n") || !strings.Contains(text, "CapEff:\t0000000000000000\n") {
		t.Errorf("the script said:\n%s", text)
	}
	s := d.awaitStatus("aware that the script hangs", func(s api.Status) bool { return len(s.Notify) == 1 && s.Notify[0].Failed == 2 })
	if len(s.Problems) != 1 || s.Problems[0].What != "notify gateway" || !strings.Contains(s.Problems[0].Text, "timed out") {
		t.Errorf("problems %+v", s.Problems)
	}
	if took := d.stop(); took > 5*time.Second {
		t.Errorf("the stop took %v", took)
	}
}
