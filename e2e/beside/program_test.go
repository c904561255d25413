package beside

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// patience is the time limit for events that must happen soon.
const patience = 30 * time.Second

// program is one of the two that are compared.
type program struct {
	name   string
	file   string // name of the configuration file
	config func(settings) string
	argv   func(dir string) []string
	env    []string
}

// programs returns lvs-ha and keepalived.
func programs(b *testing.B) (ours, theirs program) {
	b.Helper()
	lab.Need(b, lab.Host)
	binary, err := lab.Binary()
	if err != nil {
		b.Fatal(err)
	}
	keepalived, err := exec.LookPath("keepalived")
	if err != nil {
		b.Fatalf("keepalived is not installed: run scripts/setup: %v", err)
	}
	ours = program{name: "lvs-ha", file: "lvs-ha.hcl", config: hcl, argv: func(dir string) []string {
		return []string{binary, "run", "-c", dir + "/lvs-ha.hcl", "--runtime-dir", dir + "/run"}
	}}
	theirs = program{name: "keepalived", file: "keepalived.conf", config: keepalivedConf, argv: func(dir string) []string {
		// Without -G, every log line goes to the console, at a millisecond each.
		return []string{keepalived, "-n", "-G", "-f", dir + "/keepalived.conf", "-p", dir + "/p", "-r", dir + "/r", "-c", dir + "/c"}
	}}
	return ours, theirs
}

// router is a node that runs a program.
type router struct {
	tb      testing.TB
	program program
	node    *lab.Node
	dir     string
	set     settings
	cmd     *lab.Cmd
	log     output
}

func newRouter(tb testing.TB, p program, node *lab.Node, s settings) *router {
	tb.Helper()
	dir, err := os.MkdirTemp("", "beside")
	if err != nil {
		tb.Fatal(err)
	}
	r := &router{tb: tb, program: p, node: node, dir: dir, set: s}
	r.set.trackFile = r.path("track")
	tb.Cleanup(func() {
		r.kill()
		if tb.Failed() {
			tb.Logf("log of %s on %s:\n%s", p.name, node.Name(), r.log.end())
		}
		os.RemoveAll(dir)
	})
	r.track("0")
	r.configure()
	return r
}

func (r *router) path(name string) string { return filepath.Join(r.dir, name) }

// configure writes the configuration.
func (r *router) configure() {
	r.tb.Helper()
	if err := os.WriteFile(r.path(r.program.file), []byte(r.program.config(r.set)), 0o600); err != nil {
		r.tb.Fatal(err)
	}
}

// track writes the tracked file.
func (r *router) track(value string) {
	r.tb.Helper()
	if err := os.WriteFile(r.set.trackFile, []byte(value+"\n"), 0o600); err != nil {
		r.tb.Fatal(err)
	}
}

func (r *router) start() {
	r.tb.Helper()
	argv := r.program.argv(r.dir)
	r.cmd = r.node.Command(context.Background(), argv[0], argv[1:]...)
	r.cmd.Env = append(os.Environ(), r.program.env...)
	r.cmd.Stdout, r.cmd.Stderr = &r.log, &r.log
	r.cmd.SysProcAttr.Setpgid, r.cmd.SysProcAttr.Setsid = false, true // a scheduling group of its own, as a service has
	if err := r.cmd.Start(); err != nil {
		r.tb.Fatal(err)
	}
}

// stop ends it gracefully.
func (r *router) stop() {
	r.tb.Helper()
	r.signal(syscall.SIGTERM)
	_ = r.cmd.Wait()
}

func (r *router) signal(s syscall.Signal) {
	r.tb.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.tb.Fatal(err)
	}
}

// run runs a command of lvs-ha on the node.
func (r *router) run(args ...string) {
	r.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	argv := append(args, "--runtime-dir", r.path("run"))
	if out, err := r.node.Command(ctx, r.program.argv(r.dir)[0], argv...).CombinedOutput(); err != nil {
		r.tb.Fatalf("lvs-ha %q: %v: %s", args, err, out)
	}
}

// processes returns the process IDs, parents first.
func (r *router) processes() []int {
	all := []int{r.cmd.Process.Pid}
	for i := 0; i < len(all); i++ {
		all = append(all, children(all[i])...)
	}
	return all
}

// freeze stops all processes at the same time.
func (r *router) freeze() (pids []int) {
	pids = r.processes()
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGSTOP)
	}
	return pids
}

// kill ends all processes without giving them a chance to resign.
func (r *router) kill() {
	if r.cmd == nil || r.cmd.Process == nil || r.cmd.ProcessState != nil {
		return
	}
	// The parent last: a child of keepalived whose parent dies resigns.
	for _, pid := range slices.Backward(r.freeze()) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = r.cmd.Wait()
}

// has returns how many addresses an interface of the node has, or -1 if they are being changed.
func (r *router) has(iface string) int {
	r.tb.Helper()
	link, err := r.node.Link(iface)
	if err != nil {
		r.tb.Fatal(err)
	}
	addresses, err := r.node.Netlink().AddrList(link, unix.AF_INET)
	if err != nil {
		return -1
	}
	return len(addresses)
}

// awaitAddresses waits until the node has all virtual addresses, or none of them.
func (r *router) awaitAddresses(all bool) {
	r.tb.Helper()
	want := map[string]int{}
	for _, in := range r.set.instances {
		want[in.iface] += 0
		want[in.inside] += 0
		if all {
			want[in.iface]++
			want[in.inside]++
		}
	}
	delete(want, "")
	what := fmt.Sprintf("%s on %s has its addresses: %t", r.program.name, r.node.Name(), all)
	eventually(r.tb, what, func() bool {
		for iface, n := range want {
			if r.has(iface) != 1+n { // its own and the virtual ones
				return false
			}
		}
		return true
	})
}

func children(pid int) (pids []int) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, f := range files {
		text, _ := os.ReadFile(f)
		for _, word := range strings.Fields(string(text)) {
			var child int
			if _, err := fmt.Sscan(word, &child); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids
}

func eventually(tb testing.TB, what string, so func() bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeoutCause(context.Background(), patience, errors.New(what))
	defer cancel()
	if err := lab.Await(ctx, so); err != nil {
		tb.Fatalf("not after %s: %s", patience, what)
	}
}

// output keeps the end of a program's log.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	const most = 1 << 20
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.b.Len() > most {
		o.b.Reset()
	}
	return o.b.Write(p)
}

func (o *output) end() string {
	const most = 4000
	o.mu.Lock()
	defer o.mu.Unlock()
	text := o.b.String()
	return text[max(0, len(text)-most):]
}
