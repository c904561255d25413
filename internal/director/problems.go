package director

import (
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/events"
)

// problems are the parts that are currently out of service. A problem is logged when it begins, changes its text and
// ends, so that retries do not fill the log.
type problems struct {
	log    *slog.Logger
	events *events.Log
	open   []api.Problem
}

// set records the state of a part: err is the reason why it is out of service; nil means that it works.
func (p *problems) set(what string, err error) {
	i := slices.IndexFunc(p.open, func(o api.Problem) bool { return o.What == what })
	switch {
	case err == nil && i >= 0:
		p.events.Add(events.Event{Time: time.Now(), Kind: events.Problem, Subject: what, From: "out of service", To: "in service"})
		p.log.Info("back in service", "what", what, "after", time.Since(p.open[i].Since).Round(time.Millisecond).String())
		p.open = slices.Delete(p.open, i, i+1)
	case err != nil && i < 0:
		p.events.Add(events.Event{Time: time.Now(), Kind: events.Problem, Subject: what, From: "in service", To: "out of service", Reason: err.Error()})
		p.log.Error("out of service", "what", what, "error", err)
		p.open = append(p.open, api.Problem{Since: time.Now(), What: what, Text: err.Error()})
		slices.SortFunc(p.open, func(a, b api.Problem) int { return strings.Compare(a.What, b.What) })
	case err != nil && p.open[i].Text != err.Error():
		p.log.Error("out of service", "what", what, "error", err)
		p.open[i].Text = err.Error()
	}
}
