package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/events"
	"github.com/lvs-ha/lvs-ha/internal/explain"
	"github.com/lvs-ha/lvs-ha/ipvs"
	connsync "github.com/lvs-ha/lvs-ha/sync"
)

// fakeDirector returns preset answers, and records the configuration that it was asked to plan.
type fakeDirector struct {
	status   Status
	plan     Plan
	err      error
	given    *config.Config
	failover FailoverRequest
	override OverrideRequest
	reloaded Reloaded

	applied   ApplyRequest
	confirmed ConfirmRequest

	events *events.Log
}

func (d *fakeDirector) Survey(context.Context) (Status, iter.Seq[*Service], error) {
	head := d.status
	head.Services = nil
	return head, each(d.status), d.err
}

// each returns copies of a status's services one by one.
func each(s Status) iter.Seq[*Service] {
	return func(yield func(*Service) bool) {
		for i := range s.Services {
			if v := s.Services[i].Clone(); !yield(&v) {
				return
			}
		}
	}
}

func (d *fakeDirector) Config(context.Context) (*config.Config, error) {
	return &config.Config{Node: "lb1"}, d.err
}
func (d *fakeDirector) Events() *events.Log { return d.events }

func (d *fakeDirector) Explain(_ context.Context, instance string, until time.Time) (explain.Story, error) {
	return explain.Story{Instance: instance, Time: until, Cause: explain.MasterSilent}, nil
}

func (d *fakeDirector) Doctor(context.Context) (Doctor, error) {
	return Doctor{ExitStatus: 2, Findings: []DoctorFinding{{Code: "clock", Severity: "warning"}}}, d.err
}

func (d *fakeDirector) Reload(context.Context) (Reloaded, error) { return d.reloaded, d.err }

func (d *fakeDirector) Apply(_ context.Context, r ApplyRequest) (Reloaded, error) {
	d.applied = r
	return d.reloaded, d.err
}

func (d *fakeDirector) InForce(context.Context) (Config, error) { return d.status.Config, d.err }

func (d *fakeDirector) Confirm(_ context.Context, r ConfirmRequest) (Config, error) {
	d.confirmed = r
	return d.status.Config, d.err
}

func (d *fakeDirector) Failover(_ context.Context, r FailoverRequest) (Failover, error) {
	d.failover = r
	return Failover{Instances: []FailoverOf{{Name: "web", Outcome: FailoverDone}}}, d.err
}

func (d *fakeDirector) Override(_ context.Context, r OverrideRequest) (Overridden, error) {
	d.override = r
	return Overridden{Servers: []OverriddenServer{{Service: "web", Outcome: OverrideInForce}}}, d.err
}

func (d *fakeDirector) Plan(_ context.Context, cfg *config.Config) (Plan, error) {
	d.given = cfg
	return d.plan, d.err
}

func served(t *testing.T, d Director) (client *Client, socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "api.sock")
	ctx, cancel := context.WithCancel(context.Background())
	l := Listen(ctx, socket, d, nil, Kept{}, unreported, slog.New(slog.NewTextHandler(t.Output(), nil)))
	t.Cleanup(func() {
		cancel()
		l.Wait()
	})
	return NewClient(socket), socket
}

func TestPlanRoundTrip(t *testing.T) {
	cfg, problems := config.Load("../../config/testdata/valid/full.hcl", config.Options{Node: "lb1"})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	d := &fakeDirector{plan: Plan{
		Running: true, Assumed: 3,
		Table: []Step{StepOf(ipvs.Step{
			Action: ipvs.EditDestination, Service: cfg.Services[0].Service, Destination: cfg.Services[0].RealServers[0].Destination,
			Changes: []ipvs.Change{{Field: "weight", From: "1", To: "2"}},
		})},
		Foreign:  []ServiceKey{ServiceKey(ipvs.ServiceByMark(ipvs.IPv6, 7))},
		Sync:     []SyncStep{SyncStepOf(connsync.Step{Start: true, Daemon: connsync.Running{Role: connsync.Backup, Daemon: connsync.Daemon{Interface: "eth1"}}})},
		Timeouts: []Change{{Field: "tcp", From: "900s", To: "60s"}},
		Settings: []Setting{{What: "director", Action: "edit"}},
	}}
	client, _ := served(t, d)
	got, err := client.Plan(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d.plan, got, exactly); diff != "" {
		t.Errorf("the plan differs (-want +got):\n%s", diff)
	}
	if _, err := client.PlanReload(t.Context()); err != nil || d.given != nil {
		t.Errorf("without a configuration: %v, %v", err, d.given)
	}
	if _, err := client.Plan(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if config := cmp.Diff(text(t, cfg), text(t, d.given)); config != "" {
		t.Errorf("the configuration arrived as another (-want +got):\n%s", config)
	}
}

func TestRefusedAndNotRunning(t *testing.T) {
	d := &fakeDirector{err: errors.New("lvs-ha.hcl line 3: no such scheduler")}
	client, socket := served(t, d)
	if _, err := client.Status(t.Context()); err == nil || err.Error() != d.err.Error() {
		t.Errorf("got error %v", err)
	}
	nowhere := filepath.Join(t.TempDir(), "api.sock")
	if _, err := NewClient(nowhere).Reload(t.Context()); !errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), nowhere) {
		t.Errorf("got error %v", err)
	}
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket is open to others: %v, %v", info.Mode(), err)
	}
}

func TestErrorsHaveStatusCodesAndFindings(t *testing.T) {
	refused := &Error{Status: http.StatusUnprocessableEntity, More: 3, Err: errors.New("refused"), Findings: FindingsOf([]config.Finding{
		{Summary: "no such scheduler", Detail: "use one", File: "lvs-ha.hcl", Line: 3, Count: 1}, {Warning: true, Summary: "old", Count: 4},
	})}
	for _, tt := range []struct {
		err  error
		want int
	}{
		{refused, http.StatusUnprocessableEntity},
		{fmt.Errorf("planning: %w", &Error{Status: http.StatusServiceUnavailable, Err: errors.New("no IPVS")}), http.StatusServiceUnavailable},
		{fmt.Errorf("waiting: %w", context.DeadlineExceeded), http.StatusGatewayTimeout},
		{&Error{Status: http.StatusServiceUnavailable, Err: context.DeadlineExceeded}, http.StatusGatewayTimeout},
		{errors.New("other"), http.StatusInternalServerError},
	} {
		client, _ := served(t, &fakeDirector{err: tt.err})
		_, statusErr := client.Status(t.Context())
		_, planErr := client.PlanReload(t.Context())
		_, reloadErr := client.Reload(t.Context())
		for what, err := range map[string]error{"status": statusErr, "reload": reloadErr, "plan": planErr} {
			got, ok := errors.AsType[*Error](err)
			if !ok || got.Status != tt.want || got.Error() != tt.err.Error() {
				t.Errorf("%s: %#v, want status %d and the text of %q", what, err, tt.want, tt.err)
			}
		}
	}
	client, _ := served(t, &fakeDirector{err: refused})
	_, err := client.Reload(t.Context())
	got, _ := errors.AsType[*Error](err)
	if diff := cmp.Diff(refused.Findings, got.Findings); diff != "" || got.More != 3 {
		t.Errorf("%d more findings; the findings differ (-want +got):\n%s", got.More, diff)
	}
}

func TestReloadReturnsWarnings(t *testing.T) {
	d := &fakeDirector{reloaded: Reloaded{Warnings: FindingsOf([]config.Finding{{Warning: true, Summary: "track_script x cannot be run"}})}}
	client, _ := served(t, d)
	got, err := client.Reload(t.Context())
	if diff := cmp.Diff(d.reloaded, got); err != nil || diff != "" {
		t.Errorf("%v; the result differs (-want +got):\n%s", err, diff)
	}
}

func TestApplyAndConfirmNameTheCaller(t *testing.T) {
	until := time.Now().Add(time.Minute).UTC().Round(0)
	d := &fakeDirector{reloaded: Reloaded{ConfirmUntil: until}, status: Status{Config: Config{Path: "lvs-ha.hcl", ConfirmUntil: until}}}
	client, _ := served(t, d)
	applied, err := client.Apply(t.Context(), ApplyRequest{Confirm: Duration(time.Minute)})
	if err != nil || !applied.ConfirmUntil.Equal(until) || time.Duration(d.applied.Confirm) != time.Minute || d.applied.By == "" {
		t.Errorf("%v; the request was %+v, the result is %+v", err, d.applied, applied)
	}
	inForce, err := client.InForce(t.Context())
	if diff := cmp.Diff(d.status.Config, inForce); err != nil || diff != "" {
		t.Errorf("%v; the result differs (-want +got):\n%s", err, diff)
	}
	inForce, err = client.Confirm(t.Context(), ConfirmRequest{Undo: true})
	if err != nil || inForce.Path != "lvs-ha.hcl" || !d.confirmed.Undo || d.confirmed.By == "" {
		t.Errorf("%v; the request was %+v, the result is %+v", err, d.confirmed, inForce)
	}
}

func TestStaleSocketIsReplaced(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "api.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := NewClient(socket).Status(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("got error %v", err)
	}
	again, err := (&unixSocket{path: socket, sockets: newSockets(Kept{}, nil)}).open()
	if err != nil {
		t.Fatalf("it is in the way: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func TestRequests(t *testing.T) {
	client, _ := served(t, &fakeDirector{})
	for _, tt := range []struct {
		method, path, body string
		status             int
	}{
		{http.MethodPost, "/v1/plan", "", http.StatusOK},
		{http.MethodPost, "/v1/plan", "{", http.StatusBadRequest},
		{http.MethodPost, "/v1/plan", `{"colour": "red"}`, http.StatusBadRequest},
		{http.MethodGet, "/v1/plan", "", http.StatusMethodNotAllowed},
		{http.MethodGet, "/v1/nothing", "", http.StatusNotFound},
		{http.MethodGet, "/", "", http.StatusNotFound},
		{http.MethodDelete, "/v1/status", "", http.StatusMethodNotAllowed},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, "http://lvs-ha"+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var f failure
		if err := json.NewDecoder(resp.Body).Decode(&f); err != nil || (f.Error == "") != (tt.status == http.StatusOK) {
			t.Errorf("%s %s: the body is %+v, %v", tt.method, tt.path, f, err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		if resp.StatusCode != tt.status {
			t.Errorf("%s %s %s: %s, want %d", tt.method, tt.path, tt.body, resp.Status, tt.status)
		}
	}
}

// text returns a configuration as JSON, including secrets.
func text(t *testing.T, cfg *config.Config) string {
	t.Helper()
	b, err := json.MarshalIndent(cfg, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestOverrideNamesTheCaller: the director learns who sent a request from the socket, not from the request.
func TestOverrideNamesTheCaller(t *testing.T) {
	d := &fakeDirector{}
	client, _ := served(t, d)
	request := OverrideRequest{Action: OverrideDrain, Servers: []string{"web/*"}, Reason: "test", By: "mallory"}
	got, err := client.Override(t.Context(), request)
	if err != nil || len(got.Servers) != 1 || got.Servers[0].Outcome != OverrideInForce {
		t.Errorf("%+v, %v", got, err)
	}
	want := userName(uint32(os.Getuid()))
	if login, ok := loginOf(int32(os.Getpid())); ok && login != uint32(os.Getuid()) {
		want = userName(login) + " as " + want
	}
	if d.override.By != want || want == "" || d.override.Reason != "test" {
		t.Errorf("the director got %+v, want it from %q", d.override, want)
	}
}
