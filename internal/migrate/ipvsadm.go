package migrate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/ipvsadm"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// FromRules converts rules, as printed by `ipvsadm -S` and read by `ipvsadm -R`, to a configuration. Rules without
// equivalent are returned, and appended as a comment. The error names every invalid line.
//
// The result is parsed again before it is returned, so it is valid and equivalent to the rules.
func FromRules(ctx context.Context, r io.Reader, names ipvsadm.Names) (text []byte, lost []Lost, err error) {
	m, err := readRules(ctx, r, names)
	if err != nil {
		return nil, nil, err
	}
	kept := m.expressible()
	slices.SortStableFunc(m.lost, func(a, b Lost) int { return cmp.Compare(a.Line, b.Line) })
	text = []byte(preface + string(config.Canonical([]byte(layOut(blocks(kept))+timeoutsText(m.timeouts)))) + lostText(m.lost))
	if err := compareText(text, kept); err != nil {
		return nil, nil, fmt.Errorf("internal error: the configuration does not match the rules: %w", err)
	}
	return text, m.lost, nil
}

const preface = `# Made by "lvs-ha import ipvsadm". ipvsadm rules have no health checks: as is, every real server always counts as up.
# Add a health check to each service, for example health_check "tcp" {}.
`

func blocks(services []*service) []block {
	keys := make([]ipvs.ServiceKey, len(services))
	for i, s := range services {
		keys[i] = s.ServiceKey
	}
	names := nameServices(keys)
	list := make([]block, len(services))
	for i, s := range services {
		list[i] = newBlock(s, names[s.ServiceKey])
	}
	return list
}

// expressible returns the services and servers that a configuration can express, and records the others.
func (m *memory) expressible() []*service {
	var kept []*service
	for _, s := range m.services {
		if expressed(s) == nil {
			kept = append(kept, s)
			continue
		}
		alone := &service{Service: s.Service, from: s.from}
		if err := expressed(alone); err != nil {
			m.reportAllLost(s.from, reason(err))
			for _, d := range s.servers {
				m.reportAllLost(d.from, "its service was not converted")
			}
			continue
		}
		for _, d := range s.servers {
			if err := expressed(&service{Service: s.Service, servers: []*server{d}}); err != nil {
				m.reportAllLost(d.from, reason(err))
				continue
			}
			alone.servers = append(alone.servers, d)
		}
		kept = append(kept, alone)
	}
	return kept
}

func (m *memory) reportAllLost(from lines, why string) {
	for _, l := range from {
		m.now = l
		m.reportLost(why)
	}
}

// expressed returns why a configuration cannot express a service, or nil.
func expressed(s *service) error {
	text := layOut(blocks([]*service{s}))
	return compareText([]byte(text), []*service{s})
}

// compareText returns how the text differs from the services, or nil.
func compareText(text []byte, services []*service) error {
	cfg, problems := config.LoadText("import.hcl", text, config.Options{
		Node:      "import",
		LookupEnv: func(string) (string, bool) { return "", false },
	})
	if err := problems.Err(); err != nil {
		return err
	}
	actual := make([]ipvs.ServiceState, len(services))
	for i, s := range services {
		actual[i].Service = s.Service
		for _, d := range s.servers {
			actual[i].Destinations = append(actual[i].Destinations, ipvs.DestinationState{Destination: d.Destination})
		}
	}
	// Differences appear as foreign or removed services.
	plan := ipvs.Diff(Entries(cfg), actual, nil)
	if plan.Empty() && len(plan.Foreign) == 0 {
		return nil
	}
	for _, s := range plan.Steps {
		for _, c := range s.Changes {
			return fmt.Errorf("not expressible in a configuration: %s would be %s instead of %s", c.Field, c.To, c.From)
		}
	}
	return errors.New(strings.TrimSpace(plan.String()))
}

// Entries returns the virtual services of a configuration, assuming that all health checks pass, without sorry servers.
func Entries(cfg *config.Config) []ipvs.Entry {
	list := make([]ipvs.Entry, 0, len(cfg.Services))
	for _, vs := range cfg.Services {
		e := ipvs.Entry{Service: vs.Service}
		for _, rs := range vs.RealServers {
			if !rs.Sorry {
				e.Destinations = append(e.Destinations, rs.Destination)
			}
		}
		list = append(list, e)
	}
	return list
}

// reason formats the first problem without its position, because the user does not see the text.
func reason(err error) string {
	first, _, _ := strings.Cut(err.Error(), "\n")
	if rest, ok := strings.CutPrefix(first, "import.hcl:"); ok {
		_, first, _ = strings.Cut(rest, ": ")
	}
	return first
}

func timeoutsText(t ipvs.Timeouts) string {
	if t == (ipvs.Timeouts{}) {
		return ""
	}
	var b strings.Builder
	fmt.Fprint(&b, "\ntimeouts {\n")
	for _, f := range []struct {
		name    string
		seconds uint32
	}{{"tcp", t.TCP}, {"tcp_fin", t.TCPFin}, {"udp", t.UDP}} {
		if f.seconds != 0 {
			fmt.Fprintf(&b, "%s = %q\n", f.name, duration(f.seconds))
		}
	}
	fmt.Fprint(&b, "}\n")
	return b.String()
}

func lostText(list []Lost) string {
	if len(list) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprint(&b, "\n# Not converted:\n#\n")
	for _, l := range list {
		for text := range strings.SplitSeq(printable(l.String()), "\n") {
			fmt.Fprintf(&b, "# %s\n", text)
		}
	}
	return b.String()
}

// printable replaces control characters.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
