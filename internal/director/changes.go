package director

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// change is an object that a reload adds, changes or removes.
type change struct {
	how    string // "added", "changed" or "removed"
	what   string // `virtual_service "http"`
	detail string // for a change: the changed fields
}

// changesBetween lists the differences between two configurations.
func changesBetween(before, after *config.Config) []change {
	var list []change
	for _, s := range settings(before, after) {
		list = append(list, change{map[string]string{"add": "added", "edit": "changed", "delete": "removed"}[s.Action], s.What, fieldsText(s.Changes)})
	}
	names := map[ipvs.ServiceKey]string{}
	entries := make([]ipvs.Entry, 0, len(after.Services))
	for _, vs := range before.Services {
		names[vs.ServiceKey] = vs.Name
	}
	for _, vs := range after.Services {
		names[vs.ServiceKey] = vs.Name
		entries = append(entries, configuredEntry(vs))
	}
	states := make([]ipvs.ServiceState, 0, len(before.Services))
	for _, vs := range before.Services {
		state := ipvs.ServiceState{Service: vs.Service}
		for _, rs := range vs.RealServers {
			state.Destinations = append(state.Destinations, ipvs.DestinationState{Destination: rs.Destination})
		}
		states = append(states, state)
	}
	added := map[ipvs.ServiceKey]bool{}
	for _, step := range ipvs.Diff(entries, states, func(ipvs.ServiceKey) bool { return true }).Steps {
		what := fmt.Sprintf("virtual_service %q", names[step.Service.ServiceKey])
		server := fmt.Sprintf("real_server %s of %s", step.Destination.DestinationKey, what)
		switch step.Action {
		case ipvs.AddService:
			added[step.Service.ServiceKey] = true
			list = append(list, change{"added", what, ""})
		case ipvs.EditService:
			list = append(list, change{"changed", what, fieldsText(api.ChangesOf(step.Changes))})
		case ipvs.DeleteService:
			list = append(list, change{"removed", what, ""})
		case ipvs.AddDestination:
			if !added[step.Service.ServiceKey] {
				list = append(list, change{"added", server, ""})
			}
		case ipvs.EditDestination:
			list = append(list, change{"changed", server, fieldsText(api.ChangesOf(step.Changes))})
		case ipvs.DeleteDestination:
			list = append(list, change{"removed", server, ""})
		}
	}
	return list
}

// configuredEntry returns a service as in the kernel's table when all its real servers are up.
func configuredEntry(vs config.VirtualService) ipvs.Entry {
	entry := ipvs.Entry{Service: vs.Service, Destinations: make([]ipvs.Destination, 0, len(vs.RealServers))}
	for _, rs := range vs.RealServers {
		entry.Destinations = append(entry.Destinations, rs.Destination)
	}
	return entry
}

// maxFields limits the logged fields of one change.
const maxFields = 5

func fieldsText(changes []api.Change) string {
	var parts []string
	for i, c := range changes {
		if i == maxFields {
			parts = append(parts, fmt.Sprintf("and %d more", len(changes)-i))
			break
		}
		parts = append(parts, fmt.Sprintf("%s %s -> %s", c.Field, c.From, c.To))
	}
	return strings.Join(parts, ", ")
}

// maxChanges limits the logged changes of one reload.
const maxChanges = 20

// logChanges logs each change of a reload as one line.
func logChanges(log *slog.Logger, list []change) {
	count := map[string]int{}
	for _, c := range list {
		count[c.how]++
	}
	log.Info("configuration reloaded", "added", count["added"], "changed", count["changed"], "removed", count["removed"])
	for i, c := range list {
		if i == maxChanges {
			log.Info("configuration changed", "more", len(list)-i)
			break
		}
		attributes := []any{"change", c.how, "what", c.what}
		if c.detail != "" {
			attributes = append(attributes, "detail", c.detail)
		}
		log.Info("configuration changed", attributes...)
	}
}

// Refused is the error of an invalid configuration: its findings, and the whole report as text.
type Refused struct {
	Findings []config.Finding
	More     int // number of omitted findings
	Text     string
}

func (r *Refused) Error() string { return r.Text }

// reasonOf returns in one line why a configuration was rejected: the first error with its place, and the number of the others.
func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	refused, _ := errors.AsType[*Refused](err)
	if refused == nil {
		return err.Error()
	}
	faults := slices.DeleteFunc(slices.Clone(refused.Findings), func(f config.Finding) bool { return f.Warning })
	if len(faults) == 0 {
		return err.Error()
	}
	text := strings.TrimSuffix(faults[0].String(), ".")
	switch more := len(faults) - 1 + refused.More; more {
	case 0:
	case 1:
		text += "; and 1 more error"
	default:
		text += fmt.Sprintf("; and %d more errors", more)
	}
	return text
}

// refusal returns the API's error for a rejected configuration.
func refusal(err error) error {
	e := &api.Error{Status: http.StatusUnprocessableEntity, Err: err}
	if refused, ok := errors.AsType[*Refused](err); ok {
		e.Findings, e.More = api.FindingsOf(refused.Findings), refused.More
	}
	return e
}

// LogFindings logs the warnings or the errors in a configuration, one line each.
func LogFindings(log *slog.Logger, findings []config.Finding, warnings bool) {
	for _, f := range findings {
		if f.Warning != warnings {
			continue
		}
		attributes := []any{"summary", f.Summary, "detail", f.Detail}
		if f.File != "" {
			attributes = append([]any{"file", f.File, "line", f.Line}, attributes...)
		}
		if f.Count > 1 {
			attributes = append(attributes, "places", f.Count)
		}
		if warnings {
			log.Warn("configuration warning", attributes...)
		} else {
			log.Error("configuration error", attributes...)
		}
	}
}

// logRefused logs why a configuration was refused.
func (d *Director) logRefused(message string, err error) {
	refused, ok := errors.AsType[*Refused](err)
	if !ok {
		d.Logger.Error(message, "path", d.ConfigPath, "error", err)
		return
	}
	attributes := []any{"path", d.ConfigPath}
	if refused.More > 0 {
		attributes = append(attributes, "more_findings", refused.More)
	}
	d.Logger.Error(message, attributes...)
	LogFindings(d.Logger, refused.Findings, false)
}
