package director

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/secret"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// settings compares the settings outside the kernel's tables: VRRP instances, health checks and the process's own
// behaviour. It returns nil if no configuration is in use.
func settings(inForce, cfg *config.Config) []api.Setting {
	if inForce == nil {
		return nil
	}
	before, after := parts(inForce), parts(cfg)
	var list []api.Setting
	for _, what := range slices.Concat(after.order, before.order) {
		a, had := before.values[what]
		b, has := after.values[what]
		switch {
		case had && has:
			if !equal(a, b) {
				list = append(list, api.Setting{What: what, Action: "edit", Changes: differences(fieldsOf(a), fieldsOf(b))})
			}
			delete(before.values, what)
		case strings.HasPrefix(what, "virtual_service "):
			// reported by the steps of the table
		case has:
			list = append(list, api.Setting{What: what, Action: "add"})
		case had:
			list = append(list, api.Setting{What: what, Action: "delete"})
		}
		delete(after.values, what)
	}
	return list
}

// fieldValue is a value in displayed and in comparable form. The two differ for secrets.
type fieldValue struct{ text, compared string }

// compared are the named parts of a configuration.
type compared struct {
	order  []string
	values map[string]any
}

func (c *compared) add(what string, value any) {
	c.order = append(c.order, what)
	c.values[what] = value
}

// equal compares two parts of the same kind. It is fast, since most parts of a large configuration are equal.
func equal(a, b any) bool {
	if j, ok := a.(serviceSettings); ok {
		return j.equal(b.(serviceSettings))
	}
	return reflect.DeepEqual(a, b)
}

func fieldsOf(value any) map[string]fieldValue {
	fields := map[string]fieldValue{}
	flatten(reflect.ValueOf(value), "", fields)
	return fields
}

// serviceSettings are the settings of a virtual service outside the kernel's table.
type serviceSettings struct {
	OnFailure config.OnFailure `json:"on_failure"`
	Required  int              `json:"required_checks,omitempty"` // 0: all
	config.Pool
	Notify  map[string]*config.Notify     `json:"notify,omitempty"` // by server, and of the "service"
	Sorry   string                        `json:"sorry_server,omitempty"`
	Checks  []healthcheck.Spec            `json:"health_check"`
	Sources []config.Discover             `json:"discover,omitempty"`
	Servers map[string][]healthcheck.Spec `json:"real_server"` // their own checks
	Own     map[string]ownSettings        `json:"real_server_own,omitempty"`
}

// ownSettings are what a real server has instead of its service's.
type ownSettings struct {
	OnFailure config.OnFailure `json:"on_failure,omitempty"`
	Init      string           `json:"init,omitempty"`
}

func (s serviceSettings) equal(other serviceSettings) bool {
	same := func(a, b []healthcheck.Spec) bool { return slices.EqualFunc(a, b, healthcheck.Spec.Equal) }
	return s.OnFailure == other.OnFailure && s.Required == other.Required && s.Pool == other.Pool && s.Sorry == other.Sorry && reflect.DeepEqual(s.Sources, other.Sources) &&
		maps.EqualFunc(s.Notify, other.Notify, func(a, b *config.Notify) bool { return reflect.DeepEqual(a, b) }) && same(s.Checks, other.Checks) && maps.EqualFunc(s.Servers, other.Servers, same) &&
		maps.Equal(s.Own, other.Own)
}

func parts(cfg *config.Config) compared {
	c := compared{values: map[string]any{}}
	c.add("director", cfg.Director)
	c.add("api", cfg.API)
	c.add("sysctl", cfg.Sysctl)
	for _, name := range slices.Sorted(maps.Keys(cfg.CAFiles)) {
		sum := sha256.Sum256([]byte(cfg.CAFiles[name]))
		c.add(fmt.Sprintf("file %q", name), struct {
			SHA256 string `json:"sha256"`
		}{hex.EncodeToString(sum[:8])})
	}
	for _, v := range cfg.VRRP {
		c.add(fmt.Sprintf("vrrp %q", v.Name), struct {
			vrrp.Instance
			Tracks []config.TrackUse      `json:"track"`
			Sync   *config.ConnectionSync `json:"connection_sync"`
			Notify *config.Notify         `json:"notify"`
		}{v.Instance, v.Tracks, v.ConnectionSync, v.Notify})
	}
	for _, a := range cfg.Static.Addresses {
		c.add(fmt.Sprintf("static_address %q", a.Prefix), a)
	}
	for _, r := range cfg.Static.Routes {
		c.add(fmt.Sprintf("static_route %q", r.Key()), r)
	}
	for _, r := range cfg.Static.Rules {
		c.add(fmt.Sprintf("static_rule %q", r.Key()), r)
	}
	for _, l := range cfg.AnnounceLimits {
		c.add(strings.TrimSpace("announce_limit "+strings.Join(l.Interfaces, ", ")), l)
	}
	for _, g := range cfg.SyncGroups {
		c.add(fmt.Sprintf("sync_group %q", g.Name), g)
	}
	for _, t := range cfg.Tracks {
		c.add(fmt.Sprintf("track_%s %q", kindOf(t), t.Name), t)
	}
	for _, f := range cfg.NotifyFIFOs {
		c.add(fmt.Sprintf("notify_fifo %q", f.Path), f)
	}
	for _, w := range cfg.NotifyWebhooks {
		c.add(fmt.Sprintf("notify_webhook %q", w.Name), w)
	}
	for _, m := range cfg.NotifyEmails {
		c.add(fmt.Sprintf("notify_email %q", m.Name), m)
	}
	for _, vs := range cfg.Services {
		j := serviceSettings{OnFailure: vs.OnFailure, Required: vs.Required, Pool: vs.Pool, Checks: vs.Checks, Sources: vs.Discover, Servers: map[string][]healthcheck.Spec{}, Own: map[string]ownSettings{}, Notify: map[string]*config.Notify{}}
		if vs.Notify != nil {
			j.Notify["service"] = vs.Notify
		}
		for _, rs := range vs.RealServers {
			if rs.Notify != nil {
				j.Notify[rs.DestinationKey.String()] = rs.Notify
			}
			if rs.Sorry {
				j.Sorry = strings.TrimPrefix(j.Sorry+", "+rs.DestinationKey.String(), ", ")
			}
			if own := (ownSettings{rs.OnFailure, rs.Init}); own != (ownSettings{}) {
				j.Own[rs.DestinationKey.String()] = own
			}
			if len(rs.Checks) > 0 {
				j.Servers[rs.DestinationKey.String()] = rs.Checks
			}
		}
		c.add(fmt.Sprintf("virtual_service %q", vs.Name), j)
	}
	return c
}

// flatten splits a plain value into named fields: "health_check[0].http.path". It omits unset fields, as JSON does.
func flatten(v reflect.Value, name string, into map[string]fieldValue) {
	switch value := v.Interface().(type) {
	case secret.Text:
		into[name] = fieldValue{fmt.Sprint(value), value.Reveal()}
		return
	case secret.URL:
		into[name] = fieldValue{fmt.Sprint(value), value.Reveal()}
		return
	case healthcheck.Check:
		into[strings.TrimPrefix(name+".kind", ".")] = plainField(value.Kind())
		flatten(reflect.ValueOf(value).Elem(), name, into)
		return
	case time.Duration, netip.Addr, netip.Prefix, netip.AddrPort:
		into[name] = plainField(value)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			flatten(v.Elem(), name, into)
		}
	case reflect.Struct:
		for field, member := range v.Fields() {
			tag, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			switch {
			case field.Type == reflect.TypeFor[healthcheck.Check]():
				if !member.IsNil() {
					flatten(member, name, into)
				}
			case tag == "-" || member.IsZero() && strings.HasPrefix(options, "omit"):
			case field.Anonymous && tag == "":
				flatten(member, name, into)
			default:
				flatten(member, strings.TrimPrefix(name+"."+cmp.Or(tag, field.Name), "."), into)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			flatten(v.Index(i), fmt.Sprintf("%s[%d]", name, i), into)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			flatten(v.MapIndex(key), fmt.Sprintf("%s[%v]", name, key), into)
		}
	default:
		into[name] = plainField(v.Interface())
	}
}

func plainField(value any) fieldValue {
	text := fmt.Sprint(value)
	if s, ok := value.(netip.Addr); ok && !s.IsValid() {
		text = ""
	}
	return fieldValue{text, text}
}

// differences returns the fields that differ, by name.
func differences(from, to map[string]fieldValue) []api.Change {
	names := slices.Sorted(maps.Keys(from))
	for name := range to {
		if _, both := from[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var list []api.Change
	for _, name := range names {
		if a, b := from[name], to[name]; a.compared != b.compared {
			list = append(list, api.Change{Field: name, From: cmp.Or(a.text, "none"), To: cmp.Or(b.text, "none")})
		}
	}
	return list
}
