package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/e2e/scene"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// keepalivedPair is the keepalived.conf of both directors.
const keepalivedPair = `global_defs {
    lvs_sync_daemon eth0 VI_1 id 51
}
vrrp_instance VI_1 {
    state BACKUP
    interface eth0
    virtual_router_id 51
@lb1 priority 150
@lb2 priority 100
    preempt_delay 5
    virtual_ipaddress {
        202.99.59.110/24
    }
}
virtual_server 202.99.59.110 80 {
    delay_loop 1
    lb_algo rr
    lb_kind DR
    protocol TCP
    real_server 202.99.59.108 80 {
        TCP_CHECK
        {
            connect_timeout 2
        }
    }
    real_server 202.99.59.107 80 {
        TCP_CHECK
        {
            connect_timeout 2
        }
    }
}
`

// migration is a pair of directors that run keepalived or lvs-ha.
type migration struct {
	*story
	processes map[*scene.Director]*lab.Process // of keepalived
	downloads *lab.Downloads
}

// TestKernelMigration does the steps of docs/migration.md, there and back, while downloads run.
func TestKernelMigration(t *testing.T) {
	lab.Need(t, lab.Kernel)
	conf := filepath.Join(t.TempDir(), "keepalived.conf")
	m := &migration{processes: map[*scene.Director]*lab.Process{}}
	if err := os.WriteFile(conf, []byte(keepalivedPair), 0o600); err != nil {
		t.Fatal(err)
	}
	binary := must[string](t)(lab.Binary())
	imported, err := exec.CommandContext(t.Context(), binary, "import", "keepalived", "--node", "lb1="+conf, "--node", "lb2="+conf).Output()
	if err != nil {
		t.Fatalf("import: %v\n%s", err, imported)
	}
	m.story = &story{must[*scene.Scene](t)(scene.Build(lab.NewT(t, "e2e"), scene.DR, scene.Options{
		Binary: binary, Config: "/run/lvs-ha.hcl", Text: imported,
	})), t}
	lb1, lb2 := m.Directors[0], m.Directors[1]
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s\nlog of lb1:\n%s\nlog of lb2:\n%s\n%s", imported, lb1.Log(), lb2.Log(), m.evidence(context.Background()))
		}
	})
	for _, d := range m.Directors {
		if err := d.Director.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		m.startKeepalived(d)
	}
	m.awaitAddress(lb1)
	const rate = 100_000 // so that the kernel synchronizes each connection within seconds
	m.downloads = m.Client.Download(t.Context(), downloads, "http://"+scene.VIP, 300*rate, rate)
	<-m.downloads.Started()

	// There: first the backup, then the master.
	m.awaitConnections(lb2)
	m.stopKeepalived(lb2)
	m.startOurs(lb2)
	m.await(lb2, "backup", scene.IsBackup)
	m.awaitConnections(lb2)
	m.prioritize(lb2, imported, "160") // when keepalived stops, it removes its services before the address
	m.await(lb2, "master", scene.IsMaster)
	m.awaitProgress()
	m.stopKeepalived(lb1)
	m.startOurs(lb1)
	m.awaitConnections(lb1)
	m.prioritize(lb2, imported, "100")
	m.await(lb1, "master again", scene.IsMaster)
	m.await(lb2, "backup again", scene.IsBackup)
	m.awaitProgress()

	// Back, in the same order.
	m.awaitConnections(lb2)
	m.stopOurs(lb2)
	m.startKeepalived(lb2)
	m.awaitConnections(lb2)
	m.stopOurs(lb1)
	m.awaitAddress(lb2)
	m.awaitProgress()
	m.startKeepalived(lb1)
	m.awaitConnections(lb1)
	m.awaitAddress(lb1)
	m.finished(m.downloads)
	for _, d := range m.Directors {
		m.end(d)
	}
}

func (m *migration) startKeepalived(d *scene.Director) {
	m.t.Helper()
	if err := d.WriteFile(m.t.Context(), "/run/keepalived.conf", []byte(keepalivedPair)); err != nil {
		m.t.Fatal(err)
	}
	p, err := d.Spawn(context.WithoutCancel(m.t.Context()), lab.Command{
		Argv: []string{"keepalived", "-n", "-l", "-D", "-i", d.Name(), "-f", "/run/keepalived.conf", "-p", "/run/k", "-r", "/run/k-vrrp", "-c", "/run/k-checkers"}, Stdout: d, Stderr: d,
	})
	if err != nil {
		m.t.Fatal(err)
	}
	m.processes[d] = p
}

func (m *migration) stopKeepalived(d *scene.Director) {
	m.t.Helper()
	m.undisturbed("before keepalived stops on " + d.Name())
	m.end(d)
}

// end ends keepalived.
func (m *migration) end(d *scene.Director) {
	m.t.Helper()
	if err := m.processes[d].Signal(syscall.SIGTERM); err != nil {
		m.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(m.t.Context(), 20*time.Second)
	defer cancel()
	if _, err := m.processes[d].Wait(ctx); err != nil {
		m.t.Fatal(err)
	}
}

func (m *migration) startOurs(d *scene.Director) {
	m.t.Helper()
	if err := d.Run(context.WithoutCancel(m.t.Context())); err != nil {
		m.t.Fatal(err)
	}
	m.await(d, "with both servers", func(s api.Status) bool { return len(scene.Pool(s)) == 2 })
}

// prioritize sets the priority of lb2 in a director's configuration.
func (m *migration) prioritize(d *scene.Director, text []byte, priority string) {
	m.t.Helper()
	const before = "lb2 = 100 }"
	if !strings.Contains(string(text), before) {
		m.t.Fatalf("the configuration lacks %q", before)
	}
	text = []byte(strings.Replace(string(text), before, "lb2 = "+priority+" }", 1))
	if err := d.WriteFile(m.t.Context(), "/run/lvs-ha.hcl", text); err != nil {
		m.t.Fatal(err)
	}
	if out, err := d.Command(m.t.Context(), "reload"); err != nil {
		m.t.Fatalf("reload: %v\n%s", err, out)
	}
}

func (m *migration) stopOurs(d *scene.Director) {
	m.t.Helper()
	m.undisturbed("before lvs-ha stops on " + d.Name())
	if err := d.Stop(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
}

// undisturbed checks that each download goes on.
func (m *migration) undisturbed(when string) {
	m.t.Helper()
	for i, one := range m.downloads.State() {
		if one.Done {
			m.t.Fatalf("%s: download %d from %s over %s ended after %d bytes: %v", when, i, one.Server, one.Local, one.Bytes, one.Err)
		}
	}
}

func (m *migration) awaitAddress(d *scene.Director) {
	m.t.Helper()
	m.until(d.Name()+" has the address", func(ctx context.Context) bool {
		out, err := lab.Output(ctx, d.Director, "ip", "-o", "address", "show", "dev", "eth0")
		return err == nil && strings.Contains(out, scene.VIP+"/")
	})
}

// awaitConnections waits until a director knows all downloads.
func (m *migration) awaitConnections(d *scene.Director) {
	m.t.Helper()
	m.until(d.Name()+" knows all connections", func(ctx context.Context) bool {
		known, err := d.Connections(ctx)
		return err == nil && !slices.ContainsFunc(m.downloads.State(), func(one lab.Download) bool { return !known[one.Local] })
	})
	m.undisturbed(fmt.Sprintf("when %s knows all connections", d.Name()))
}

// awaitProgress waits until each download has received data again.
func (m *migration) awaitProgress() {
	m.t.Helper()
	before := m.downloads.State()
	m.until("every download goes on", func(context.Context) bool {
		for i, now := range m.downloads.State() {
			if now.Bytes == before[i].Bytes {
				return false
			}
		}
		return true
	})
}

func (m *migration) until(what string, is func(context.Context) bool) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), 30*time.Second)
	defer cancel()
	err := lab.Await(ctx, func() bool {
		if m.downloads != nil {
			m.undisturbed("waiting until " + what)
		}
		return is(ctx)
	})
	if err != nil {
		m.t.Fatalf("%s: not in time", what)
	}
}

// evidence is what the kernels know of the connections.
func (m *migration) evidence(ctx context.Context) string {
	var b strings.Builder
	for _, d := range m.Directors {
		for _, file := range []string{"/proc/net/ip_vs", "/proc/net/ip_vs_conn", "/proc/net/ip_vs_stats"} {
			text, err := lab.Output(ctx, d.Director, "cat", file)
			fmt.Fprintf(&b, "%s of %s: %v\n%s\n", file, d.Name(), err, text)
		}
	}
	neighbors, err := m.ClientHost.Command(ctx, "ip", "neighbor").Output()
	fmt.Fprintf(&b, "neighbors of the client: %v\n%s\n", err, neighbors)
	if m.downloads != nil {
		for i, one := range m.downloads.State() {
			fmt.Fprintf(&b, "download %d: %+v\n", i, one)
		}
	}
	return b.String()
}
