package notify

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/secret"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

func pemOf(s *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}

func TestWebhook(t *testing.T) {
	var got []map[string]any
	var headers http.Header
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		headers = r.Header
		text, _ := io.ReadAll(r.Body)
		var body map[string]any
		if err := json.Unmarshal(text, &body); err != nil || r.Method != http.MethodPost {
			t.Errorf("%s %s: %v", r.Method, text, err)
		}
		got = append(got, body)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer server.Close()
	c := config.NotifyWebhook{URL: secret.URL(server.URL + "/hook?key=secret"), Timeout: 10 * time.Second, Authorities: pemOf(server),
		Headers: []healthcheck.Header{{Name: "Authorization", Value: "Bearer x"}}}
	w := newWebhook(c, "lb1")
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000000, time.UTC)
	m := Message{State: stateMaster, Transition: vrrp.Transition{
		Series: "s", Sequence: 7, Time: at, Instance: "web", From: vrrp.Backup, To: vrrp.Master, Reason: vrrp.ReasonPreempt, Priority: 150}}
	lost := Message{Lost: 3, Transition: vrrp.Transition{Series: "s", Sequence: 10, Time: at}}
	for _, m := range []Message{m, lost} {
		if err := w.deliver(t.Context(), []Message{m}); err != nil {
			t.Fatal(err)
		}
	}
	want := []map[string]any{{
		"event": "transition", "node": "lb1", "type": "INSTANCE", "name": "web", "state": "MASTER", "priority": 150.0, "from": "BACKUP", "to": "MASTER",
		"reason": "preempt", "time": "2026-01-02T03:04:05.006Z", "series": "s", "sequence": 7.0,
	}, {"event": "lost", "node": "lb1", "priority": 0.0, "time": "2026-01-02T03:04:05.006Z", "series": "s", "sequence": 10.0, "lost": 3.0}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if headers.Get("Authorization") != "Bearer x" || headers.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", headers)
	}

	c.Authorities = ""
	err := newWebhook(c, "lb1").deliver(t.Context(), []Message{m})
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a certificate of an unknown authority: %v", err)
	}
}

func TestWebhookResponses(t *testing.T) {
	for status, wantFinal := range map[int]bool{400: true, 404: true, 302: true, 408: false, 429: false, 500: false, 503: false} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		}))
		err := newWebhook(config.NotifyWebhook{URL: secret.URL(server.URL), Timeout: 10 * time.Second}, "lb1").post(t.Context(), nil)
		if _, final := err.(errFinal); err == nil || final != wantFinal { //nolint:errorlint // it is the outermost
			t.Errorf("status %d: %v, final %t", status, err, final)
		}
		server.Close()
	}
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the server detects a closed connection only after that
		<-r.Context().Done()
	}))
	defer silent.Close()
	err := newWebhook(config.NotifyWebhook{URL: secret.URL(silent.URL), Timeout: 50 * time.Millisecond}, "lb1").deliver(t.Context(), []Message{message(stateMaster)})
	if err == nil || !strings.Contains(err.Error(), "50ms") {
		t.Errorf("no answer: %v", err)
	}
}
