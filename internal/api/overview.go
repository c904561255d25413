package api

import (
	"fmt"
	"iter"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/healthcheck"
)

// Overview is a status without single real servers, for a page that is refreshed every second.
type Overview struct {
	Version  string            `json:"version"`
	Node     string            `json:"node"`
	MayWrite bool              `json:"may_write"` // the client that asks
	Now      time.Time         `json:"now"`
	Started  time.Time         `json:"started"`
	Config   Config            `json:"config"`
	Troubles []Trouble         `json:"troubles"`                // the first 100
	More     int               `json:"more_troubles,omitempty"` // number of omitted ones
	VRRP     []Instance        `json:"vrrp"`                    // without their history
	Services []ServiceOverview `json:"services"`
	Foreign  int               `json:"foreign_services"`
	Sync     []SyncDaemon      `json:"connection_sync,omitempty"`
	Notify   []Receiver        `json:"notify,omitempty"`
}

// ServiceOverview is a virtual service with the number of its real servers by state.
type ServiceOverview struct {
	Name    string `json:"name"`
	Address string `json:"address"` // "TCP 192.0.2.1:80", "FWM 1 (IPv4)"
	ServiceSettings
	Present bool         `json:"present"`
	Quorum  Quorum       `json:"quorum"`
	Stats   Stats        `json:"stats"`
	Servers ServerCounts `json:"real_servers"`
}

// ServerCounts are numbers of real servers.
type ServerCounts struct {
	All        int    `json:"all"`
	Up         int    `json:"up"`
	Down       int    `json:"down"`
	Unknown    int    `json:"unknown"`
	Overridden int    `json:"overridden"` // with an operator's order in force
	Active     uint64 `json:"active_connections"`
	Inactive   uint64 `json:"inactive_connections"`
}

// maxTroubles limits the troubles of an overview.
const maxTroubles = 100

// overview condenses a status with its services.
func (s Status) overview(services iter.Seq[*Service], mayWrite bool, now time.Time) Overview {
	o := Overview{
		Version: s.Version, Node: s.Node, MayWrite: mayWrite, Now: now, Started: s.Started, Config: s.Config,
		VRRP: []Instance{}, Services: []ServiceOverview{}, Foreign: len(s.Foreign), Sync: s.Sync, Notify: s.Notify,
	}
	troubles := newTroubles(&s)
	for v := range services {
		troubles.service(v)
		o.Services = append(o.Services, ServiceOverview{
			Name: v.Name, Address: v.ServiceKey.String(), ServiceSettings: v.ServiceSettings, Present: v.Present, Quorum: v.Quorum, Stats: v.Stats, Servers: countServers(v.Servers),
		})
	}
	o.Troubles = troubles.sorted()
	if n := len(o.Troubles) - maxTroubles; n > 0 {
		o.Troubles, o.More = o.Troubles[:maxTroubles], n
	}
	if o.Troubles == nil {
		o.Troubles = []Trouble{}
	}
	for _, v := range s.VRRP {
		v.History = nil
		o.VRRP = append(o.VRRP, v)
	}
	return o
}

func countServers(list []Server) (c ServerCounts) {
	c.All = len(list)
	for i := range list {
		r := &list[i]
		switch r.State {
		case healthcheck.Up:
			c.Up++
		case healthcheck.Down:
			c.Down++
		default:
			c.Unknown++
		}
		if r.Override != nil {
			c.Overridden++
		}
		c.Active += uint64(r.Active)
		c.Inactive += uint64(r.Inactive)
	}
	return c
}

// ServerPage is a part of the real servers of a service.
type ServerPage struct {
	Total   int      `json:"total"` // that the filter selects
	Servers []Server `json:"real_servers"`
	Leaving []Server `json:"leaving_servers,omitempty"` // as in the status, if no state is selected
}

// maxServersPage limits the real servers in one response.
const maxServersPage = 1000

// serveServers answers with the real servers of a service: those in a state, and of which the address contains or matches a word.
func serveServers(d Director) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name, q := r.PathValue("name"), r.URL.Query()
		offset, err := number(q.Get("offset"), 0)
		limit, err2 := number(q.Get("limit"), 100)
		if err != nil || err2 != nil {
			answer(w, nil, &Error{Status: http.StatusBadRequest, Err: fmt.Errorf("offset and limit must be numbers from 0")})
			return
		}
		_, services, err := d.Survey(r.Context())
		if err != nil {
			answer(w, nil, err)
			return
		}
		for v := range services {
			if v.Name == name {
				answer(w, pageOf(v, q.Get("state"), q.Get("match"), offset, min(limit, maxServersPage)), nil)
				return
			}
		}
		answer(w, nil, &Error{Status: http.StatusNotFound, Err: fmt.Errorf("there is no virtual service %.200q", name)})
	}
}

func number(text string, otherwise int) (int, error) {
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), err
}

// pageOf returns the real servers of a service that a filter selects, from offset.
func pageOf(v *Service, state, match string, offset, limit int) ServerPage {
	out := ServerPage{Servers: []Server{}}
	matches := func(r *Server) bool {
		key := r.ServerKey.String()
		ok, _ := path.Match(match, key)
		return match == "" || ok || strings.Contains(key, match)
	}
	for i := range v.Leaving {
		if r := &v.Leaving[i]; state == "" && matches(r) && len(out.Leaving) < limit {
			out.Leaving = append(out.Leaving, *r)
		}
	}
	for i := range v.Servers {
		r := &v.Servers[i]
		if state == "override" && r.Override == nil || state != "" && state != "override" && r.State.String() != state || !matches(r) {
			continue
		}
		if out.Total >= offset && len(out.Servers) < limit {
			out.Servers = append(out.Servers, *r)
		}
		out.Total++
	}
	return out
}
