package metrics

import (
	"fmt"
	"io"
	"iter"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/histogram"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// pair is the status of a master with services of one real server each, twice checked.
func pair(services, serversEach int) api.Status {
	s := api.Status{
		Version: "v1.2.3", Node: `lb"1\`, Started: time.Unix(1700000000, 5e8),
		Problems: []api.Problem{{What: "ipvs"}, {What: "ipvs"}, {What: "config"}},
		VRRP: []api.Instance{{
			Name: "web", Interface: "eth0", VirtualRouterID: 51, Family: "ipv4", State: vrrp.Master, Priority: 150, EffectivePriority: 130,
			TransitionCounts: []api.TransitionCount{{To: vrrp.Master, Reason: vrrp.ReasonLapsed, Count: 2}},

			Tracks:  []api.Track{{Name: "haproxy", Kind: vrrp.TrackScript, Failed: true}},
			Dropped: map[string]uint64{"ttl": 3, "checksum": 1}, InterfaceDropped: map[string]uint64{"vrid": 7}, AdvertsSent: 1 << 60,
			Conflicts: []api.Conflict{{Kind: vrrp.ConflictMaster}},
		}},
		KernelRead: time.Unix(1700000002, 0),

		Config: api.Config{Digest: "0123456789abcdef", Read: time.Unix(1700000001, 0)},
		Notify: []api.Receiver{{Name: "notify web", Delivered: 4}},
	}
	for i := range services {
		v := api.Service{Name: fmt.Sprintf("svc%d", i), Present: true, Quorum: api.Quorum{State: healthcheck.Up, Live: 1, Needed: 1}, Stats: api.Stats{Connections: 5, InBytes: 1 << 40}}
		v.ServiceKey = api.ServiceKey(ipvs.ServiceAt(ipvs.TCP, netip.MustParseAddrPort("192.0.2.1:80")))
		for j := range serversEach {
			r := api.Server{State: healthcheck.Down, Effective: 0, Present: true, Active: 2}
			r.Address, r.Port, r.Weight = netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), byte(j)}), 80, 3
			check := api.Check{Kind: "http", Endpoint: netip.AddrPortFrom(r.Address, 80), State: healthcheck.Down, Took: api.Duration(1500 * time.Microsecond)}
			r.Checks = []api.Check{check, check}
			v.Servers = append(v.Servers, r)
		}
		s.Services = append(s.Services, v)
	}
	return s
}

// figures has something of everything.
func figures() Figures {
	var h histogram.Histogram
	for _, d := range []time.Duration{time.Microsecond, 3 * time.Millisecond, time.Minute} {
		h.Add(d)
	}
	checks := healthcheck.KindFigures{Took: h, Late: h, Results: map[healthcheck.Reason]uint64{"": 7, healthcheck.TimedOut: 2}}
	return Figures{
		Speaker: vrrp.Figures{Sent: h, Received: h}, Checks: map[healthcheck.Kind]healthcheck.KindFigures{"http": checks, "tcp": checks},
		Processes: []Process{{Name: "speaker", CPU: 1500 * time.Millisecond, Memory: 1 << 20, Files: 12, Started: time.Unix(1700000000, 0)}, {Name: "parent"}},
	}
}

// each returns the services one by one.
func each(services []api.Service) iter.Seq[*api.Service] {
	return func(yield func(*api.Service) bool) {
		for i := range services {
			if v := services[i].Clone(); !yield(&v) {
				return
			}
		}
	}
}

func written(t testing.TB, s api.Status, servers bool) string {
	t.Helper()
	var text strings.Builder
	if err := Write(&text, s, each(s.Services), figures(), servers); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func TestWrite(t *testing.T) {
	text := written(t, pair(1, 1), true)
	for _, line := range []string{
		`lvs_ha_build_info{version="v1.2.3",node="lb\"1\\"} 1`,
		`lvs_ha_start_time_seconds 1.7000000005e+09`,
		`lvs_ha_problem{part="ipvs"} 1`,
		`lvs_ha_vrrp_state{vrrp_instance="web",state="MASTER"} 1`,
		`lvs_ha_vrrp_state{vrrp_instance="web",state="BACKUP"} 0`,
		`lvs_ha_vrrp_effective_priority{vrrp_instance="web"} 130`,
		`lvs_ha_vrrp_track_failed{vrrp_instance="web",track="haproxy",kind="script"} 1`,
		`lvs_ha_vrrp_dropped_total{vrrp_instance="web",reason="checksum"} 1`,
		`lvs_ha_interface_dropped_total{interface="eth0",reason="vrid"} 7`,
		`lvs_ha_service_up{service="svc0"} 1`,
		`lvs_ha_service_servers{service="svc0",state="down"} 1`,
		`lvs_ha_service_incoming_bytes_total{service="svc0"} 1099511627776`,
		`lvs_ha_server_up{service="svc0",server="10.0.0.0:80"} 0`,
		`lvs_ha_server_weight{service="svc0",server="10.0.0.0:80"} 3`,
		`lvs_ha_check_last_duration_seconds{service="svc0",server="10.0.0.0:80",check="http",endpoint="10.0.0.0:80"} 0.0015`,
		`lvs_ha_check_up{service="svc0",server="10.0.0.0:80",check="http 2",endpoint="10.0.0.0:80"} 0`,
		`lvs_ha_vrrp_transitions_total{vrrp_instance="web",state="MASTER",reason="` + string(vrrp.ReasonLapsed) + `"} 2`,
		`lvs_ha_vrrp_advert_send_lateness_seconds_bucket{le="0.0001"} 1`,
		`lvs_ha_vrrp_advert_send_lateness_seconds_bucket{le="0.005"} 2`,
		`lvs_ha_vrrp_advert_send_lateness_seconds_bucket{le="10"} 2`,
		`lvs_ha_vrrp_advert_send_lateness_seconds_bucket{le="+Inf"} 3`,
		`lvs_ha_vrrp_advert_receive_lateness_seconds_count 3`,
		`lvs_ha_check_duration_seconds_sum{kind="http"} 60.003001`,
		`lvs_ha_check_lateness_seconds_bucket{kind="tcp",le="0.005"} 2`,
		`lvs_ha_check_results_total{kind="http",result="passed"} 7`,
		`lvs_ha_check_results_total{kind="http",result="timeout"} 2`,
		`lvs_ha_process_cpu_seconds_total{process="speaker"} 1.5`,
		`lvs_ha_process_resident_memory_bytes{process="speaker"} 1048576`,
		`lvs_ha_process_open_fds{process="speaker"} 12`,
		`lvs_ha_process_start_time_seconds{process="speaker"} 1700000000`,
		`lvs_ha_config_info{digest="0123456789abcdef"} 1`,
		`lvs_ha_config_last_read_time_seconds 1700000001`,
		`lvs_ha_ipvs_read_time_seconds 1700000002`,
		`lvs_ha_notifications_delivered_total{receiver="notify web"} 4`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("%s is missing", line)
		}
	}
	if few := written(t, pair(1, 1), false); strings.Contains(few, "10.0.0.0:80") || !strings.Contains(few, "lvs_ha_service_up") {
		t.Error("without servers there are still some, or no services")
	}
}

// TestWithoutCounters: counters that could not be read are left out, since zeros would look like counters that were reset.
func TestWithoutCounters(t *testing.T) {
	s := pair(1, 1)
	s.Problems = append(s.Problems, api.Problem{What: api.ProblemUnread})
	text := written(t, s, true)
	for name, want := range map[string]bool{
		"lvs_ha_service_up{": true, "lvs_ha_server_up{": true, "lvs_ha_check_up{": true, "lvs_ha_ipvs_read_time_seconds 1700000002": true,
		"lvs_ha_service_in_kernel": false, "lvs_ha_service_connections_total": false, "lvs_ha_server_kernel_weight": false, "lvs_ha_server_incoming_bytes_total": false,
	} {
		if strings.Contains(text, name) != want {
			t.Errorf("%s: want %t", name, want)
		}
	}
}

// TestSeriesAreUnique: two samples with the same name and labels make Prometheus reject the whole scrape.
func TestSeriesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	families := map[string]bool{}
	for line := range strings.Lines(written(t, pair(3, 3), true)) {
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			if families[name] {
				t.Errorf("family %s twice", name)
			}
			families[name] = true
			continue
		}
		series := line[:strings.LastIndexByte(line, ' ')]
		if seen[series] && !strings.HasPrefix(line, "#") {
			t.Errorf("%s twice", series)
		}
		seen[series] = true
	}
}

// TestHostPromtool has Prometheus's own tool read the metrics, and test the alert rules, whose metrics exist.
func TestHostPromtool(t *testing.T) {
	lab.Need(t, lab.Host)
	const promtool = "/var/lib/lvs-ha-test/prometheus/usr/bin/promtool"
	text := written(t, pair(2, 2), true)
	check := exec.Command(promtool, "check", "metrics")
	check.Stdin = strings.NewReader(text)
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v: %s", err, out)
	}
	const contrib = "../../contrib/prometheus/"
	for _, args := range [][]string{{"check", "rules", contrib + "rules.yml"}, {"test", "rules", contrib + "rules_test.yml"}} {
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %q: %v: %s", args, err, out)
		}
	}
}

// TestContribUsesMetricsThatExist compares the names in alert rules, dashboard and documentation with the program's.
func TestContribUsesMetricsThatExist(t *testing.T) {
	text := written(t, pair(1, 1), true)
	for _, path := range []string{"../../contrib/prometheus/rules.yml", "../../contrib/prometheus/rules_test.yml", "../../contrib/grafana/lvs-ha.json", "../../docs/monitoring.md"} {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		names := regexp.MustCompile(`\blvs_ha_[a-z0-9_]+`).FindAllString(string(body), -1)
		if len(names) == 0 {
			t.Errorf("%s uses no metrics", path)
		}
		for _, name := range names {
			for _, part := range []string{"_bucket", "_sum", "_count"} { // of a histogram
				if whole, ok := strings.CutSuffix(name, part); ok && strings.Contains(text, "# TYPE "+whole+" histogram\n") {
					name = whole
				}
			}
			if !strings.Contains(text, "# TYPE "+name+" ") {
				t.Errorf("%s: there is no metric %s", path, name)
			}
		}
	}
	body, err := os.ReadFile("../../docs/monitoring.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			if name = strings.Fields(name)[0]; !strings.Contains(string(body), "`"+name+"`") {
				t.Errorf("docs/monitoring.md lacks %s", name)
			}
		}
	}
}

// BenchmarkWrite writes the metrics of 40,000 real servers.
func BenchmarkWrite(b *testing.B) {
	s := pair(1000, 40)
	b.ReportAllocs()
	for b.Loop() {
		if err := Write(io.Discard, s, each(s.Services), figures(), true); err != nil {
			b.Fatal(err)
		}
	}
}

// TestProcesses reads what this process and its parent use.
func TestProcesses(t *testing.T) {
	list := Processes(os.Getpid())
	var names []string
	for _, p := range list {
		names = append(names, p.Name)
		if p.Memory < 1<<20 || p.Started.Before(booted()) || p.Started.After(time.Now()) {
			t.Errorf("%+v", p)
		}
	}
	self := list[len(list)-1]
	if strings.Join(names, " ") != "parent speaker director" || self.Files == 0 || self.CPU < 0 || time.Since(self.Started) > time.Hour {
		t.Errorf("%+v", list)
	}
	if gone := Processes(0); len(gone) != 2 {
		t.Errorf("without a speaker: %+v", gone)
	}
}
