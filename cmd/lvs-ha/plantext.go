package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// sign is the first character of a plan line: the kind of change.
type sign string

const (
	adds    sign = "+"
	changes sign = "~"
	removes sign = "-"
	leaves  sign = " "
)

// The colours of the signs (ECMA-48).
var signColors = map[sign]string{adds: "\x1b[32m", changes: "\x1b[33m", removes: "\x1b[31m", leaves: "\x1b[2m"}

const colorOff = "\x1b[0m"

// planPrinter prints a plan as text.
type planPrinter struct {
	w     io.Writer
	color bool

	text  bytes.Buffer
	names map[api.ServiceKey]string
	count map[sign]int
}

func (p *planPrinter) print(plan api.Plan) error {
	p.count, p.names = map[sign]int{}, map[api.ServiceKey]string{}
	for _, s := range plan.Services {
		p.names[s.ServiceKey] = s.Name
	}
	p.preamble(plan)
	p.table(plan.Table)
	for _, key := range plan.Foreign {
		p.line(1, leaves, "service %s is foreign and left alone", key)
	}
	for _, s := range plan.Sync {
		if s.Action == "start" {
			p.do(1, adds, "connection sync: %s", s)
		} else {
			p.do(1, removes, "connection sync: %s", s)
		}
	}
	for _, c := range plan.Timeouts {
		p.do(1, changes, "timeout %s: %s -> %s", c.Field, c.From, c.To)
	}
	for _, s := range plan.Settings {
		p.setting(s)
	}
	if !bytes.HasSuffix(p.text.Bytes(), []byte("\n\n")) && p.text.Len() > 0 {
		fmt.Fprintln(&p.text)
	}
	if plan.Empty() {
		fmt.Fprintln(&p.text, "Nothing to do.")
	} else {
		fmt.Fprintf(&p.text, "%d to add, %d to change, %d to remove.\n", p.count[adds], p.count[changes], p.count[removes])
	}
	_, err := p.w.Write(p.text.Bytes())
	return err
}

func (p *planPrinter) preamble(plan api.Plan) {
	for _, source := range plan.Undiscovered {
		fmt.Fprintf(&p.text, "The real servers of %s are not known yet; those found in the kernel stay until it answers.\n\n", plain(source))
	}
	switch {
	case !plan.Running:
		fmt.Fprint(&p.text, "lvs-ha is not running: assuming that all health checks pass.\n\n")
	case plan.Assumed == 1:
		fmt.Fprint(&p.text, "1 real server is not checked yet and counts as passing.\n\n")
	case plan.Assumed > 1:
		fmt.Fprintf(&p.text, "%d real servers are not checked yet and count as passing.\n\n", plan.Assumed)
	}
}

// table prints the steps by service, in order.
func (p *planPrinter) table(steps []api.Step) {
	var current api.ServiceKey
	for _, s := range steps {
		if s.Service.ServiceKey != current {
			current = s.Service.ServiceKey
			p.service(s)
		}
		switch s.Action {
		case ipvs.AddDestination:
			p.do(2, adds, "server %s %s", s.Destination.ServerKey, s.Options)
		case ipvs.DeleteDestination:
			p.do(2, removes, "server %s", s.Destination.ServerKey)
		case ipvs.EditDestination:
			p.edit(2, "server "+s.Destination.ServerKey.String(), s.Changes)
		}
	}
}

// service prints the line of a service; s is its first step.
func (p *planPrinter) service(s api.Step) {
	what := "service " + s.Service.ServiceKey.String()
	if name := p.names[s.Service.ServiceKey]; name != "" {
		what += fmt.Sprintf(" %q", name)
	}
	switch s.Action {
	case ipvs.AddService:
		p.do(1, adds, "%s %s", what, s.Options)
	case ipvs.DeleteService:
		p.do(1, removes, "%s", what)
	case ipvs.EditService:
		p.edit(1, what, s.Changes)
	default:
		p.line(1, changes, "%s", what)
	}
}

func (p *planPrinter) setting(s api.Setting) {
	switch s.Action {
	case "add":
		p.do(1, adds, "%s", s.What)
	case "delete":
		p.do(1, removes, "%s", s.What)
	default:
		p.edit(1, s.What, s.Changes)
	}
}

// edit prints a changed object with its changed fields below.
func (p *planPrinter) edit(depth int, what string, fields []api.Change) {
	p.do(depth, changes, "%s", what)
	for _, c := range fields {
		p.line(depth+1, leaves, "%s: %s -> %s", c.Field, c.From, c.To)
	}
}

// do prints a line and counts the change.
func (p *planPrinter) do(depth int, s sign, format string, args ...any) {
	p.count[s]++
	p.line(depth, s, format, args...)
}

func (p *planPrinter) line(depth int, s sign, format string, args ...any) {
	text := strings.Repeat("  ", depth) + string(s) + " " + fmt.Sprintf(format, args...)
	if p.color {
		text = signColors[s] + text + colorOff
	}
	fmt.Fprintln(&p.text, text)
}
