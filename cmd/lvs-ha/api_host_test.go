package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// TestHostAPIAccess runs examples/monitoring.hcl: who may see what, and who may change something.
func TestHostAPIAccess(t *testing.T) {
	lab.Need(t, lab.Host)
	places := newPlaces(t, 2)
	p, other := places[0], places[1]
	for _, dir := range []string{p.dir, filepath.Dir(p.dir)} { // of this test; others cannot enter it as it is
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	writePair := func(name string, hosts ...string) {
		certificate, err := lab.NewCertificate(hosts...)
		if err != nil {
			t.Fatal(err)
		}
		key, err := certificate.KeyPEM()
		if err != nil {
			t.Fatal(err)
		}
		for suffix, text := range map[string][]byte{".pem": certificate.PEM, ".key": key} {
			if err := os.WriteFile(p.path(name+suffix), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	writePair("api", "192.0.2.1")
	writePair("operators", "operator")
	const token = "0123456789abcdef"
	if err := os.WriteFile(p.path("api.token"), []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../examples/monitoring.hcl")
	if err != nil {
		t.Fatal(err)
	}
	example := `node { name = "lb1" }` + "\n" + strings.ReplaceAll(string(text), "/etc/lvs-ha/", p.dir+"/")
	without, _, _ := strings.Cut(example, "api {")
	p.configure(without)
	d := p.start()
	d.awaitStatus("master", isMaster)

	curl := func(from *place, args ...string) (status int) {
		got := from.run(append([]string{"curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", p.path("api.pem")}, args...)...)
		status, err := strconv.Atoi(got.stdout)
		if err != nil {
			t.Fatalf("curl: %+v", got)
		}
		return status
	}
	const local, monitoring, operators = "http://127.0.0.1:9180", "https://192.0.2.1:9181", "https://192.0.2.1:9182"
	withToken := []string{"-u", "monitor:" + token}
	withCertificate := []string{"--cert", p.path("operators.pem"), "--key", p.path("operators.key")}
	if got := curl(p, local+"/v1/status"); got != 0 {
		t.Errorf("the API is available unasked: %d", got)
	}

	p.configure(example)
	p.wantAnswer(p.asked("reload"), 0)
	eventually(t, "available", func() bool {
		return curl(p, local+"/v1/status") == http.StatusOK && curl(other, append(withToken, monitoring+"/v1/status")...) == http.StatusOK &&
			curl(other, append(withCertificate, operators+"/v1/status")...) == http.StatusOK
	})
	for _, tt := range []struct {
		name string
		from *place
		args []string
		want int
	}{
		{"this host reads", p, []string{local + "/v1/config"}, http.StatusOK},
		{"this host scrapes", p, []string{local + "/metrics"}, http.StatusOK},
		{"this host reloads", p, []string{"-X", "POST", local + "/v1/reload"}, http.StatusForbidden},
		{"loopback from another host", other, []string{"http://192.0.2.1:9180/v1/status"}, 0},
		{"wrong token", other, []string{"-u", "monitor:fedcba9876543210", monitoring + "/v1/status"}, http.StatusUnauthorized},
		{"monitoring reloads", other, append(withToken, "-X", "POST", monitoring+"/v1/reload"), http.StatusForbidden},
		{"no certificate", other, []string{operators + "/v1/status"}, 0},
		{"operator reloads", other, append(withCertificate, "-X", "POST", operators+"/v1/reload"), http.StatusOK},
	} {
		if got := curl(tt.from, tt.args...); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}

	scraped := p.run("curl", "-s", local+"/metrics").stdout
	for _, sample := range []string{
		`lvs_ha_process_resident_memory_bytes{process="parent"} `, `lvs_ha_process_resident_memory_bytes{process="speaker"} `, `lvs_ha_process_open_fds{process="director"} `,
		`lvs_ha_vrrp_advert_send_lateness_seconds_bucket{le="+Inf"} `, `lvs_ha_vrrp_transitions_total{vrrp_instance="web",state="MASTER",reason="master-down-timer"} 1`,
	} {
		if !strings.Contains(scraped, sample) {
			t.Errorf("%s is missing", sample)
		}
	}

	if got := curl(other, append(withToken, monitoring+"/v1/doctor")...); got != http.StatusForbidden {
		t.Errorf("monitoring makes a diagnosis: %d", got)
	}
	var diagnosis api.Doctor
	said := p.run("curl", "-s", "--unix-socket", p.path("run/api.sock"), "http://lvs-ha/v1/doctor")
	if err := json.Unmarshal([]byte(said.stdout), &diagnosis); err != nil {
		t.Fatalf("%v in %+v", err, said)
	}
	codes := map[string]string{}
	for _, f := range diagnosis.Findings {
		codes[f.Code] = f.Severity
	}
	if codes["interface"] != "ok" || codes["address"] != "ok" || codes["capability"] != "ok" {
		t.Errorf("the diagnosis is %s", said.stdout)
	}

	// Through the Unix socket, as a user of Debian's base system.
	as := func(group string, args ...string) answer {
		return p.run(append([]string{"setpriv", "--reuid", "games", "--regid", group, "--clear-groups", "lvs-ha"}, append(args, "--runtime-dir", p.path("run"))...)...)
	}
	eventually(t, "readable for the group", func() bool { return as("adm", "status").status == 0 })
	for _, args := range [][]string{{"failover"}, {"reload"}, {"plan"}} {
		if got := as("adm", args...); got.status != 1 {
			t.Errorf("a member of the group ran %q: %+v", args, got)
		}
	}
	if got := as("games", "status"); got.status == 0 {
		t.Errorf("a stranger can read the status: %+v", got)
	}
}
