package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/events"
	"github.com/lvs-ha/lvs-ha/internal/explain"
)

// Director is the part of a director that the API uses.
type Director interface {
	// Survey returns the status without its services, and these as a sequence, each valid until the next.
	Survey(ctx context.Context) (Status, iter.Seq[*Service], error)
	Config(ctx context.Context) (*config.Config, error) // in force, without secrets
	Events() *events.Log
	Explain(ctx context.Context, instance string, until time.Time) (explain.Story, error)
	Doctor(ctx context.Context) (Doctor, error)
	Reload(ctx context.Context) (Reloaded, error)
	Apply(ctx context.Context, request ApplyRequest) (Reloaded, error)
	InForce(ctx context.Context) (Config, error)
	Confirm(ctx context.Context, request ConfirmRequest) (Config, error)
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

// route is what the API does for one method and path.
type route struct {
	method, path string
	needs        access
	serve        http.HandlerFunc
	lasts        bool // not limited by requestTimeout

	about      string
	takes      any      // a value of the type of the request's body; nil if there is none
	gives      any      // a value of the type of the response
	parameters []string // names, of the query
}

// routes returns what the API does. Responses that last end when ended is closed.
func routes(d Director, ended <-chan struct{}) []route {
	return []route{
		{method: http.MethodGet, path: "/v1/events", needs: mayRead, about: "what changed; with Accept: text/event-stream also what will", gives: Events{}, parameters: []string{"after", "since", "kind"}, serve: serveEvents(d, ended), lasts: true},
		{method: http.MethodGet, path: "/v1/explain", needs: mayRead, about: "why an instance changed its state", gives: explain.Story{}, parameters: []string{"instance", "until"}, serve: serveExplain(d)},
		{method: http.MethodGet, path: "/v1/version", needs: mayRead, about: "the version of lvs-ha", gives: Version{}, serve: func(w http.ResponseWriter, r *http.Request) {
			status, _, err := d.Survey(r.Context())
			answer(w, Version{Version: status.Version}, err)
		}},
		{method: http.MethodGet, path: "/v1/status", needs: mayRead, about: "the state of the director", gives: Status{}, serve: func(w http.ResponseWriter, r *http.Request) {
			status, services, err := d.Survey(r.Context())
			if err != nil {
				answer(w, nil, err)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_ = status.write(w, services) // the client may have disconnected
		}},
		{method: http.MethodGet, path: "/v1/overview", needs: mayRead, about: "the state without single real servers", gives: Overview{}, serve: func(w http.ResponseWriter, r *http.Request) {
			status, services, err := d.Survey(r.Context())
			if err != nil {
				answer(w, nil, err)
				return
			}
			answer(w, status.overview(services, callerOf(r.Context()).may >= mayWrite, time.Now()), nil)
		}},
		{method: http.MethodGet, path: "/v1/services/{name}/real_servers", needs: mayRead, about: "real servers of a service", gives: ServerPage{}, parameters: []string{"state", "match", "offset", "limit"}, serve: serveServers(d)},
		{method: http.MethodGet, path: "/v1/config", needs: mayRead, about: "the configuration in force, without secrets", gives: map[string]any{}, serve: func(w http.ResponseWriter, r *http.Request) {
			cfg, err := d.Config(r.Context())
			answer(w, cfg, err)
		}},
		// It changes nothing, but runs each health check once.
		{method: http.MethodGet, path: "/v1/doctor", needs: mayWrite, about: "what is wrong with this host and the configuration file", gives: Doctor{}, serve: func(w http.ResponseWriter, r *http.Request) {
			diagnosis, err := diagnosing.make(r.Context(), d)
			answer(w, diagnosis, err)
		}},
		{method: http.MethodPost, path: "/v1/reload", needs: mayWrite, about: "reload the configuration", gives: Reloaded{}, serve: func(w http.ResponseWriter, r *http.Request) {
			reloaded, err := d.Reload(r.Context())
			answer(w, reloaded, err)
		}},
		{method: http.MethodPost, path: "/v1/apply", needs: mayWrite, about: "reload the configuration, and go back unless that is confirmed", gives: Reloaded{}, takes: ApplyRequest{}, serve: func(w http.ResponseWriter, r *http.Request) {
			order(w, r, func(request ApplyRequest) (Reloaded, error) {
				request.By = callerOf(r.Context()).name
				return d.Apply(r.Context(), request)
			})
		}},
		{method: http.MethodGet, path: "/v1/confirm", needs: mayRead, about: "whether the configuration in force must be confirmed", gives: Config{}, serve: func(w http.ResponseWriter, r *http.Request) {
			cfg, err := d.InForce(r.Context())
			answer(w, cfg, err)
		}},
		{method: http.MethodPost, path: "/v1/confirm", needs: mayWrite, about: "confirm an applied configuration, or go back", gives: Config{}, takes: ConfirmRequest{}, serve: func(w http.ResponseWriter, r *http.Request) {
			order(w, r, func(request ConfirmRequest) (Config, error) {
				request.By = callerOf(r.Context()).name
				return d.Confirm(r.Context(), request)
			})
		}},
		// It changes nothing, but takes a configuration of any size.
		{method: http.MethodPost, path: "/v1/plan", needs: mayWrite, about: "what a reload, or another configuration, would change", gives: Plan{}, takes: map[string]any{}, serve: func(w http.ResponseWriter, r *http.Request) {
			plan, err := planning.make(r.Context(), d, http.MaxBytesReader(w, r.Body, maxRequest))
			answer(w, plan, err)
		}},
		{method: http.MethodPost, path: "/v1/failover", needs: mayWrite, about: "hand instances over, or end that", gives: Failover{}, takes: FailoverRequest{}, serve: func(w http.ResponseWriter, r *http.Request) {
			order(w, r, func(request FailoverRequest) (Failover, error) {
				request.By = callerOf(r.Context()).name
				return d.Failover(r.Context(), request)
			})
		}},
		{method: http.MethodPost, path: "/v1/override", needs: mayWrite, about: "give or end orders for real servers", gives: Overridden{}, takes: OverrideRequest{}, serve: func(w http.ResponseWriter, r *http.Request) {
			order(w, r, func(request OverrideRequest) (Overridden, error) {
				request.By = callerOf(r.Context()).name
				return d.Override(r.Context(), request)
			})
		}},
	}
}

// order answers a request whose body has names.
func order[Request, Result any](w http.ResponseWriter, r *http.Request, do func(Request) (Result, error)) {
	var request Request
	if err := decode(http.MaxBytesReader(w, r.Body, maxNames), &request); err != nil {
		answer(w, nil, &Error{Status: http.StatusBadRequest, Err: fmt.Errorf("reading the request: %w", err)})
		return
	}
	result, err := do(request)
	answer(w, result, err)
}

// handler serves the API to the callers that identify admits. Responses that last end when ended is closed.
func handler(d Director, pages Pages, identify func(*http.Request) (caller, error), ended <-chan struct{}) http.Handler {
	mux := http.NewServeMux()
	methods := map[string][]string{}
	byPattern := map[string]route{}
	all := routes(d, ended)
	for path, page := range pages {
		all = append(all, route{method: http.MethodGet, path: path, needs: mayRead, serve: page.ServeHTTP})
	}
	for _, route := range all {
		pattern := route.method + " " + route.path
		mux.HandleFunc(pattern, route.serve)
		methods[route.path] = append(methods[route.path], route.method)
		byPattern[pattern] = route
	}
	for path := range maps.Keys(methods) {
		allow := strings.Join(slices.Sorted(slices.Values(methods[path])), ", ")
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", allow)
			answer(w, nil, &Error{Status: http.StatusMethodNotAllowed, Err: fmt.Errorf("%s does not take the method %s; use %s", path, r.Method, allow)})
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		answer(w, nil, &Error{Status: http.StatusNotFound, Err: fmt.Errorf("the API has no %.200q", r.URL.Path)})
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := identify(r)
		_, pattern := mux.Handler(r)
		route := byPattern[pattern]
		if err == nil && who.may < route.needs {
			err = &Error{Status: http.StatusForbidden, Err: fmt.Errorf("%s %s needs write access, which this client does not have: run as root, or over TCP use a listen block with write = true", r.Method, r.URL.Path)}
		}
		if err != nil {
			refuse(w, err)
			return
		}
		ctx := context.WithValue(r.Context(), callerKey{}, who)
		if !route.lasts {
			limited, cancel := context.WithTimeout(ctx, requestTimeout)
			defer cancel()
			ctx = limited
		}
		mux.ServeHTTP(w, r.WithContext(ctx))
	})
}

// refuse answers a request that its caller may not make.
func refuse(w http.ResponseWriter, err error) {
	if statusOf(err) == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="lvs-ha", Bearer`)
	}
	answer(w, nil, err)
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
