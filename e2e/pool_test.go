package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/e2e/scene"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// poolConfig is a director with two real servers and a sorry server, web3.
const poolConfig = `
vrrp "web" {
  interface          = "eth0"
  virtual_router_id  = 51
  advertise_interval = "100ms"
  addresses          = ["202.99.59.110/24"]
  address "192.168.10.254/24" { interface = "eth1" }
}

virtual_service "http" {
  address    = "202.99.59.110:80"
  scheduler  = "wrr"
  forwarding = "nat"
  on_failure = "weight" # a removed server loses its connections

  quorum { servers = 2 }

  notify {
    all   = ["echo \"$1 $2 $3\" >>/run/pool.log"]
    shell = true
    user  = "root"
  }

  health_check "http" {
    path     = "/healthz"
    interval = "100ms"
    timeout  = "3s"
    fall     = 1
    rise     = 1
  }

  real_server "192.168.10.1" { weight = 10 }
  real_server "192.168.10.2" { weight = 10 }
  sorry_server "192.168.10.3" {}
}
`

const poolConfigPath = "/run/pool.hcl"

// beginPool starts a single director with the configuration.
func beginPool(t *testing.T, config string) *story {
	t.Helper()
	binary, err := lab.Binary()
	if err != nil {
		t.Fatal(err)
	}
	s, err := scene.Build(lab.NewT(t, "pool"), scene.NAT, scene.Options{Binary: binary, Config: poolConfigPath, Text: []byte(config)})
	if err != nil {
		t.Fatal(err)
	}
	d := s.Directors[0]
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of %s:\n%s", d.Name(), d.Log())
		}
	})
	if err := d.PowerOn(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &story{s, t}
}

// awaitPool waits until these servers, by number, are in use.
func (s *story) awaitPool(what string, numbers ...int) api.Status {
	s.t.Helper()
	var want []string
	for _, n := range numbers {
		want = append(want, []string{"192.168.10.1", "192.168.10.2", "192.168.10.3"}[n-1])
	}
	return s.await(s.active(), what, func(st api.Status) bool { return scene.IsMaster(st) && slices.Equal(scene.Pool(st), want) })
}

// answers checks which servers answer new connections.
func (s *story) answers(want ...string) {
	s.t.Helper()
	counts, err := s.Client.Spread(s.t.Context(), 8, "http://"+scene.VIP+"/")
	var got []string
	for name := range counts {
		got = append(got, name)
	}
	slices.Sort(got)
	if err != nil || !slices.Equal(got, want) {
		s.t.Errorf("answers came from %v (%v), want %v", counts, err, want)
	}
}

// command runs a command of lvs-ha, which must succeed.
func (s *story) command(args ...string) string {
	s.t.Helper()
	out, err := s.active().Command(s.t.Context(), args...)
	if err != nil {
		s.t.Fatalf("%v: %q, %v", args, out, err)
	}
	return out
}

// TestKernelPool changes a pool while a client connects every 10 ms and others download: nothing may be lost.
func TestKernelPool(t *testing.T) {
	lab.Need(t, lab.Kernel)
	s := beginPool(t, poolConfig)
	s.awaitPool("ready", 1, 2)
	s.answers("web1", "web2")
	probe := s.probe()
	download := s.Client.Download(t.Context(), 4, "http://"+scene.VIP, downloadRate, downloadRate/4)
	<-download.Started()

	s.command("drain", "--reason", "test", "http/192.168.10.1") // the quorum is 2
	s.awaitPool("using the sorry server", 3)
	s.command("enable", "http/*")
	s.awaitPool("using the real servers", 1, 2)
	s.command("weight", "http/192.168.10.1", "30")
	if w := s.status(s.active()).Services[0].Servers[0].KernelWeight; w != 30 {
		t.Errorf("the weight is %d, want 30", w)
	}
	s.command("enable", "http/*")

	s.Servers[1].SetHealthy(false)
	st := s.awaitPool("using the sorry server", 3)
	if q := st.Services[0].Quorum; q.State != healthcheck.Down || q.Live != 1 || q.Needed != 2 || q.Since.IsZero() {
		t.Errorf("the quorum is %+v", q)
	}
	s.answers("web3")
	s.Servers[1].SetHealthy(true)
	s.awaitPool("using the real servers", 1, 2)
	s.answers("web1", "web2")

	s.command("drain", "--wait", "--for", "1h", "http/192.168.10.1", "http/192.168.10.2")
	for i, one := range download.State() {
		if one.Err != nil || !one.Done {
			t.Errorf("after the drain, download %d from %s has %d bytes, %v", i, one.Server, one.Bytes, one.Err)
		}
	}
	s.command("enable", "http/*")
	s.awaitPool("using the real servers", 1, 2)
	want := "SERVICE http UP\n" + strings.Repeat("SERVICE http DOWN\nSERVICE http UP\n", 3)
	eventually(t, 5*time.Second, "the last notification", func() bool { return s.shell(s.active(), "cat /run/pool.log") == want })
	if r := probe.Stop(); r.Lost > 0 || r.Sent == 0 {
		t.Errorf("%d of %d connections were lost (%v)", r.Lost, r.Sent, r.LastError)
	}
}

// TestKernelChecksOnMaster takes the mastership from a director whose service is checked only on the master: the servers must stay as they
// are, without checks, until it is master again.
func TestKernelChecksOnMaster(t *testing.T) {
	lab.Need(t, lab.Kernel)
	s := beginPool(t, strings.Replace(poolConfig, "  quorum {", "  check_on = \"master\"\n\n  quorum {", 1))
	s.awaitPool("ready", 1, 2)
	d := s.Directors[0]
	s.shell(d, "ip link set eth0 down")
	s.await(d, "without checks", func(st api.Status) bool {
		return len(st.Services) == 1 && st.Services[0].Servers[0].Reason == "suspended" && st.Services[0].Servers[1].Reason == "suspended"
	})
	checks := s.Servers[0].Requests()["/healthz"]
	s.Servers[0].SetHealthy(false)
	still := time.Now().Add(time.Second) // ten intervals
	s.await(d, "unchanged", func(st api.Status) bool {
		if r := st.Services[0].Servers[0]; r.KernelWeight != 10 {
			t.Fatalf("without checks, the weight is %d: %s", r.KernelWeight, r.Reason)
		}
		return time.Now().After(still)
	})
	if n := s.Servers[0].Requests()["/healthz"]; n > checks+1 { // one may have been on its way
		t.Errorf("the server was checked %d times", n-checks)
	}
	s.shell(d, "ip link set eth0 up")
	s.await(d, "master, with checks", func(st api.Status) bool {
		r := st.Services[0].Servers[0]
		return scene.IsMaster(st) && r.State == healthcheck.Down && r.KernelWeight == 0
	})
	s.Servers[0].SetHealthy(true)
	s.awaitPool("ready", 1, 2)
}
