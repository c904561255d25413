package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// documentedPair has the names of instances that the commands in the documentation use, and documentedServices those of services.
// %s is the name of the node.
const documentedPair = `
vrrp "web" {
  interface          = "eth0"
  virtual_router_id  = 51
  priority           = { lb1 = 150, lb2 = 100 }[node.name]
  advertise_interval = "300ms"
  addresses          = ["192.0.2.100/24", "192.0.2.101/24"]
}

vrrp "gateway" {
  interface          = "eth1"
  virtual_router_id  = 52
  priority           = { lb1 = 150, lb2 = 100 }[node.name]
  advertise_interval = "300ms"
  addresses          = ["192.168.10.254/24"]
}

node { name = "%s" }
`

const documentedServices = `
virtual_service "http" {
  address    = "192.0.2.100:80"
  forwarding = "nat"
  real_server "192.168.10.1:80" {}
}

virtual_service "web" {
  address    = "192.0.2.101:8080"
  forwarding = "dr"
  real_server "192.0.2.21:8080" {}
}

virtual_service "web-tls" {
  address    = "192.0.2.101:443"
  forwarding = "dr"
  real_server "192.0.2.21:443" {}
}

sysctl { manage = true }
`

// documentedFiles are the files that they read, in the directory where they are run.
var documentedFiles = map[string]string{
	"keepalived.conf": keepalivedConf("MASTER", 150),
	"lb1.conf":        keepalivedConf("MASTER", 150),
	"lb2.conf":        keepalivedConf("BACKUP", 100),
	"ldirectord.cf":   "virtual=192.0.2.10:80\n\treal=192.0.2.21:80 masq\n\tscheduler=wlc\n\tchecktype=connect\n\tprotocol=tcp\n",
	"blue.hcl":        "vrrp \"blue\" {\n  interface = \"eth0\"\n  virtual_router_id = 53\n  addresses = [\"192.0.2.110/24\"]\n}\n",
	"saved.rules":     "-A -t 192.0.2.1:80 -s wlc\n-a -t 192.0.2.1:80 -r 192.0.2.21:80 -m -w 1\n",
}

func keepalivedConf(state string, priority int) string {
	return fmt.Sprintf("vrrp_instance web {\n\tinterface eth0\n\tstate %s\n\tvirtual_router_id 51\n\tpriority %d\n\tvirtual_ipaddress {\n\t\t192.0.2.10/24\n\t}\n}\n", state, priority)
}

// exception is how a documented command is run that is not just run on the master, in the place of a user who has the default
// configuration, with exit status 0.
type exception struct {
	elsewhere bool     // it has been run, or is run with another
	ipvs      bool     // it needs a kernel with IPVS, or virtual services
	on        int      // the place: 0 the master, 1 its peer, 2 a real server
	also      []string // arguments instead of files that a default names
	stdin     string   // a file
	first     string   // a command that comes first, on the same place
	last      string   // a command that follows
	beside    string   // a command that waits for this one
	besideIs  int      // its exit status
	status    []int    // other exit statuses that the documentation allows
	says      string   // on standard error, with another exit status than 0
	interrupt bool     // it runs until it is interrupted
}

var findings = exception{status: []int{1, 2}} // a test kernel is no recommended host

// exceptions are by the command without quotes.
var exceptions = map[string]exception{
	"run": {elsewhere: true},
	"run --script-capabilities CAP_NET_RAW,CAP_CHOWN":  {elsewhere: true},
	"run --net-namespace blue -c /etc/lvs-ha/blue.hcl": {elsewhere: true},
	"doctor":                            findings,
	"doctor -c FILE -q":                 findings,
	"doctor -c FILE --fix":              findings,
	"doctor -c FILE -o json":            findings,
	"explain --peer recording":          {on: 1},
	"explain gateway --at 03:10":        {status: []int{1}, says: `no transition of "gateway" is recorded`}, // by then
	"explain web --at 03:10":            {status: []int{1}, says: `no transition of "web" is recorded`},
	"ipvsadm -C":                        {ipvs: true, on: 2},
	"ipvsadm -L -n":                     {ipvs: true, on: 2},
	"ipvsadm -L -n --stats":             {ipvs: true, on: 2},
	"ipvsadm -A -t 192.0.2.1:80 -s wlc": {ipvs: true, on: 2, first: "ipvsadm -C"},
	"ipvsadm -S -n":                     {ipvs: true, on: 2},
	"ipvsadm -R":                        {ipvs: true, on: 2, first: "ipvsadm -C", stdin: "saved.rules"},
	"drain http/192.168.10.1 --wait":    {ipvs: true, last: "enable http/192.168.10.1"},
	"drain --wait --reason kernel upgrade web/192.0.2.21": {ipvs: true},
	"drain --deadline 10m */192.0.2.21":                   {ipvs: true},
	"disable web/192.0.2.21:8080":                         {ipvs: true},
	"weight --for 1h web-*/192.0.2.21 50":                 {ipvs: true},
	"enable web/192.0.2.21":                               {ipvs: true},
	"export ipvsadm":                                      {ipvs: true},
	"export ipvsadm -c lvs-ha.hcl":                        {ipvs: true},
	"plan":                                                {ipvs: true},
	"plan -c lvs-ha.hcl":                                  {ipvs: true},
	"status http":                                         {ipvs: true},
	"status web http":                                     {ipvs: true},
	"status --state down":                                 {ipvs: true},
	"import ipvsadm":                                      {stdin: "saved.rules"},
	"import keepalived":                                   {also: []string{"keepalived.conf"}},
	"import keepalived --check":                           {also: []string{"keepalived.conf"}},
	"import ldirectord":                                   {also: []string{"ldirectord.cf"}},
	"failover web --for 10m":                              {last: "failover --undo"},
	"apply --confirm 60s":                                 {elsewhere: true},
	"confirm":                                             {beside: "apply --confirm 60s"},
	"apply --undo":                                        {beside: "apply --confirm 60s", besideIs: 1, last: "reload"},
	"status --net-namespace blue":                         {on: 2},
	"status --watch":                                      {interrupt: true},
	"events -f":                                           {interrupt: true},
	"realserver up --vip 202.99.59.110":                   {ipvs: true, on: 2},
	"realserver up --mode tun --vip 192.0.2.10":           {ipvs: true, on: 2, first: "realserver down"},
	"realserver up --mode nat --vip 192.0.2.10 --director 192.168.10.254": {ipvs: true, on: 2, first: "realserver down"},
	"realserver up -c /etc/lvs-ha/lvs-ha.hcl":                             {ipvs: true, on: 2, first: "realserver down"},
	"realserver status": {ipvs: true, on: 2},
	"realserver down":   {ipvs: true, on: 2},
}

// TestHostDocumentedCommands and TestKernelDocumentedCommands run each lvs-ha command in a code block of the documentation, on a
// pair that has the names that they use, the latter those that need IPVS. Its exit status must be 0, or one that the
// documentation gives for the situation.
func TestHostDocumentedCommands(t *testing.T) {
	lab.Need(t, lab.Host)
	m := newManual(t, documentedPair)
	lb1 := m.start(0, "run --script-capabilities CAP_NET_RAW,CAP_CHOWN")
	lb1.awaitStatus("master", allInState(vrrp.Master))
	m.start(1, "run").awaitStatus("backup", allInState(vrrp.Backup))
	m.start(2, "run --net-namespace blue -c /etc/lvs-ha/blue.hcl")
	eventually(t, "lvs-ha runs in another namespace", func() bool { return m.run("status --net-namespace blue").status == 0 })
	m.runAll(lb1, false)
}

func TestKernelDocumentedCommands(t *testing.T) {
	lab.Need(t, lab.Kernel)
	m := newManual(t, documentedPair+documentedServices)
	lb1 := m.start(0, "run")
	lb1.awaitStatus("master", allInState(vrrp.Master))
	m.runAll(lb1, true)
}

// manual runs documented commands.
type manual struct {
	t      *testing.T
	places []*place // a master, its peer, and a real server
	blue   string   // another network namespace
}

func newManual(t *testing.T, configuration string) *manual {
	t.Helper()
	places := newPlaces(t, 4) // the namespace first: in a test kernel, a host sees only those that were there before it
	m := &manual{t, places[1:], places[0].host.Namespace()}
	attach(t, m.places, "eth1", "192.168.10.11/24", "192.168.10.12/24", "192.168.10.1/24")
	server := m.places[2]
	if err := server.host.AddAddress("eth0", lab.Prefixes("192.0.2.21/24")[0]); err != nil {
		t.Fatal(err)
	}
	if got := server.run("ip", "route", "add", "default", "via", "192.168.10.254"); got.status != 0 {
		t.Fatalf("%+v", got)
	}
	for _, address := range []string{":80", ":443", ":8080"} {
		l, err := server.host.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
	}
	for i, p := range m.places {
		p.configure(fmt.Sprintf(configuration, []string{"lb1", "lb2", "lb2"}[i]))
		for name, text := range documentedFiles {
			if err := os.WriteFile(p.path(name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return m
}

// runAll runs each command that needs IPVS, or each that does not.
func (m *manual) runAll(master *daemon, ipvs bool) {
	m.t.Helper()
	all, seen := documentedCommands(m.t), map[string]bool{}
	for _, page := range slices.Sorted(maps.Keys(all)) {
		for _, words := range all[page] {
			command := strings.Join(words, " ")
			e := exceptions[command]
			if seen[command] || e.elsewhere || e.ipvs != ipvs {
				seen[command] = true
				continue
			}
			seen[command] = true
			if e.first != "" {
				m.launch(strings.Fields(e.first), exception{on: e.on}).end()
			}
			waits := func() {}
			if e.beside != "" {
				waits = m.beside(master, e.beside, e.besideIs)
			}
			if got := m.launch(words, e).end(); got.status != 0 && !(slices.Contains(e.status, got.status) && strings.Contains(got.stderr, e.says)) {
				m.t.Errorf("%s: lvs-ha %s: exit status %d\n%s%s", page, command, got.status, got.stdout, got.stderr)
			}
			waits()
			if e.last != "" {
				m.launch(strings.Fields(e.last), exception{on: e.on}).end()
			}
		}
	}
	for command := range exceptions {
		if !seen[command] {
			m.t.Errorf("%q is not documented: remove it from the exceptions", command)
		}
	}
}

// argv returns the command with this test's names of files, directories and the namespace.
func (m *manual) argv(p *place, words []string) []string {
	m.t.Helper()
	command, _, err := newRoot().Find(words)
	if err != nil {
		m.t.Fatal(err)
	}
	here := map[string]string{
		"FILE": "lvs-ha.hcl", "/etc/lvs-ha/lvs-ha.hcl": "lvs-ha.hcl", "/etc/lvs-ha/blue.hcl": "blue.hcl",
		"recording": m.places[0].path("recording"), "blue": m.blue,
	}
	argv := []string{"lvs-ha"}
	for _, word := range words {
		argv = append(argv, cmp.Or(here[word], word))
	}
	if command.Flags().Lookup("runtime-dir") != nil && !slices.Contains(words, "--net-namespace") {
		argv = append(argv, "--runtime-dir", p.path("run"))
	}
	if command.Flags().Lookup("state-dir") != nil {
		argv = append(argv, "--state-dir", p.path("state"))
	}
	if name := command.Name(); (name == "run" || name == "validate") && !slices.Contains(words, "-c") {
		argv = append(argv, "-c", "lvs-ha.hcl")
	}
	return argv
}

// start starts a daemon.
func (m *manual) start(on int, command string) *daemon {
	m.t.Helper()
	p := m.places[on]
	return p.startIn(p.dir, m.argv(p, strings.Fields(command))...)
}

// run runs a command as the documentation does.
func (m *manual) run(command string) answer {
	m.t.Helper()
	return m.launch(strings.Fields(command), exceptions[command]).end()
}

// launched is a command that runs.
type launched struct {
	*lab.Cmd
	stdout, stderr *output
}

func (m *manual) launch(words []string, e exception) launched {
	m.t.Helper()
	p := m.places[e.on]
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
	m.t.Cleanup(cancel)
	argv := append(m.argv(p, words), e.also...)
	c := launched{p.host.Command(ctx, argv[0], argv[1:]...), &output{}, &output{}}
	c.Stdout, c.Stderr, c.Dir = c.stdout, c.stderr, p.dir
	if e.stdin != "" {
		c.Stdin = strings.NewReader(documentedFiles[e.stdin])
	}
	if err := c.Start(); err != nil {
		m.t.Fatalf("%q: %v", argv, err)
	}
	if e.interrupt {
		eventually(m.t, strings.Join(argv, " ")+" prints something", func() bool { return c.stdout.text() != "" })
		if err := c.Process.Signal(syscall.SIGINT); err != nil {
			m.t.Fatal(err)
		}
	}
	return c
}

// end waits for the command.
func (c launched) end() answer {
	_ = c.Wait() // the exit status says it
	return answer{c.stdout.text(), c.stderr.text(), c.ProcessState.ExitCode()}
}

// beside starts a command that applies a configuration, and waits until that is in force. The returned function waits for the
// command.
func (m *manual) beside(d *daemon, command string, status int) func() {
	m.t.Helper()
	c := m.launch(strings.Fields(command), exception{})
	d.awaitStatus("waiting to be confirmed", func(s api.Status) bool { return !s.Config.ConfirmUntil.IsZero() })
	return func() {
		m.t.Helper()
		if got := c.end(); got.status != status {
			m.t.Errorf("lvs-ha %s: exit status %d, want %d\n%s%s", command, got.status, status, got.stdout, got.stderr)
		}
	}
}
