package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
)

// Director is the part of a director that the API uses.
type Director interface {
	Status(ctx context.Context) (Status, error)
	Reload(ctx context.Context) (Reloaded, error)
	Plan(ctx context.Context, cfg *config.Config) (Plan, error) // of its own file, as it is now, if cfg is nil
	Failover(ctx context.Context, request FailoverRequest) (Failover, error)
	Override(ctx context.Context, request OverrideRequest) (Overridden, error)
}

// requestTimeout limits every request, including those of slow clients.
const requestTimeout = 30 * time.Second

// maxRequest limits the body of a request, which is at most a configuration. One with 40,000 real servers has 20 MB.
const maxRequest = 256 << 20

// maxNames limits the body of a request with names.
const maxNames = 1 << 20

func handler(d Director) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, r *http.Request) {
		status, err := d.Status(r.Context())
		if err != nil {
			answer(w, nil, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = status.write(w) // the client may have disconnected
	})
	mux.HandleFunc("POST /v1/reload", func(w http.ResponseWriter, r *http.Request) {
		reloaded, err := d.Reload(r.Context())
		answer(w, reloaded, err)
	})
	mux.HandleFunc("POST /v1/plan", func(w http.ResponseWriter, r *http.Request) {
		cfg, err := posted(http.MaxBytesReader(w, r.Body, maxRequest))
		if err != nil {
			answer(w, nil, err)
			return
		}
		plan, err := d.Plan(r.Context(), cfg)
		answer(w, plan, err)
	})
	mux.HandleFunc("POST /v1/failover", func(w http.ResponseWriter, r *http.Request) {
		var request FailoverRequest
		if err := decode(http.MaxBytesReader(w, r.Body, maxNames), &request); err != nil {
			answer(w, nil, &Error{Status: http.StatusBadRequest, Err: fmt.Errorf("reading the request: %w", err)})
			return
		}
		f, err := d.Failover(r.Context(), request)
		answer(w, f, err)
	})
	mux.HandleFunc("POST /v1/override", func(w http.ResponseWriter, r *http.Request) {
		var request OverrideRequest
		if err := decode(http.MaxBytesReader(w, r.Body, maxNames), &request); err != nil {
			answer(w, nil, &Error{Status: http.StatusBadRequest, Err: fmt.Errorf("reading the request: %w", err)})
			return
		}
		request.By = callerOf(r.Context())
		o, err := d.Override(r.Context(), request)
		answer(w, o, err)
	})
	for path, method := range map[string]string{
		"/v1/status": http.MethodGet, "/v1/reload": http.MethodPost, "/v1/plan": http.MethodPost, "/v1/failover": http.MethodPost, "/v1/override": http.MethodPost,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", method)
			answer(w, nil, &Error{Status: http.StatusMethodNotAllowed, Err: fmt.Errorf("%s does not take the method %s; use %s", path, r.Method, method)})
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		answer(w, nil, &Error{Status: http.StatusNotFound, Err: fmt.Errorf("the API has no %.200q", r.URL.Path)})
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		mux.ServeHTTP(w, r.WithContext(ctx))
	})
}

// posted decodes the configuration in a request, or returns nil if there is none.
func posted(body io.Reader) (*config.Config, error) {
	var cfg config.Config
	err := decode(body, &cfg)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		err = fmt.Errorf("reading the configuration to plan: %w (is this program newer than the running lvs-ha?)", err)
		return nil, &Error{Status: http.StatusBadRequest, Err: err}
	}
	return &cfg, nil
}

// decode decodes one value and rejects unknown fields.
func decode(body io.Reader, into any) error {
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

func answer(w http.ResponseWriter, body any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(statusOf(err))
		body = failureOf(err)
	}
	json.NewEncoder(w).Encode(body)
}
