package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

func TestNetNamespaceNames(t *testing.T) {
	for _, name := range []string{".", "..", "a/b", "/run/netns/a", "no-such-namespace"} {
		if err := enterNetNamespace(name); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// Two directors in two network namespaces of one host, started from a third one, share no file: each command finds its own.
func TestHostNetNamespaces(t *testing.T) {
	lab.Need(t, lab.Host)
	places := newPlaces(t, 3)
	outside, inside := places[2], places[:2]
	var daemons []*daemon
	for i, p := range inside {
		namespace := p.host.Namespace()
		dir := "/run/lvs-ha-" + namespace
		t.Cleanup(func() { os.RemoveAll(dir) })
		p.configure(strings.Replace(gateway, "150", fmt.Sprint(150-50*i), 1))
		d := &daemon{place: outside, ended: make(chan struct{})}
		d.cmd = outside.host.Command(context.Background(), "lvs-ha", "run", "-c", p.path("lvs-ha.hcl"), "--net-namespace", namespace)
		d.cmd.Stdout, d.cmd.Stderr = &d.stdout, &d.stderr
		if err := d.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { _ = d.cmd.Wait(); close(d.ended) }()
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("the daemon in %s said:\n%s", namespace, d.stderr.text())
			}
			d.stop()
		})
		state := []vrrp.State{vrrp.Master, vrrp.Backup}[i]
		eventually(t, string(state), func() bool {
			s, err := api.NewClient(dir + "/api.sock").Status(t.Context())
			return err == nil && len(s.VRRP) == 1 && s.VRRP[0].State == state
		})
		daemons = append(daemons, d)
	}
	for i, p := range inside {
		in := []string{"--net-namespace", p.host.Namespace()}
		outside.wantAnswer(outside.lvsha(append(in, "status")...), 0, []string{"MASTER", "BACKUP"}[i])
		outside.wantAnswer(outside.lvsha(append(in, "reload")...), 0, "reloaded")
		if plan := outside.lvsha(append(in, "plan", "-c", p.path("lvs-ha.hcl"))...); plan.status != 0 {
			t.Errorf("plan: %+v", plan)
		}
		if found := outside.lvsha(append(in, "doctor")...); !strings.Contains(found.stdout+found.stderr, p.path("lvs-ha.hcl")) || strings.Contains(found.stdout, "does not exist") {
			t.Errorf("doctor: %+v", found)
		}
		if i == 0 {
			p.awaitIP("-o address show dev eth0", "192.0.2.100")
		} else if has := p.run("ip", "-o", "address", "show", "dev", "eth0"); strings.Contains(has.stdout, "192.0.2.100") {
			t.Errorf("%s: %s", p.host.Namespace(), has.stdout)
		}
	}
	outside.wantAnswer(outside.lvsha("status"), statusNotRunning, "not running")
	outside.wantAnswer(outside.lvsha("failover", "--net-namespace", inside[0].host.Namespace()), 0, "gateway")
	daemons[1].place = inside[1]
	eventually(t, "the other director is master", func() bool {
		return strings.Contains(inside[1].run("ip", "-o", "address", "show", "dev", "eth0").stdout, "192.0.2.100")
	})
}
