package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// statusPage prints a status as text: the verdict, then problems, then details.
type statusPage struct {
	now   time.Time
	color bool
	// detailed shows every instance in full.
	detailed bool
	// version is that of this program; empty: it is not compared with the director's.
	version string
	// all are the instances of the director, also those that are not shown: a group is shown with all its members.
	all []api.Instance
	out strings.Builder
}

// maxTroubles limits the lines of problems.
const maxTroubles = 20

func (p *statusPage) render(s api.Status, problems []api.Trouble) string {
	p.head(s, problems, len(problems))
	p.services(s)
	for i, f := range s.Foreign {
		if i == 0 {
			p.out.WriteByte('\n')
		}
		fmt.Fprintf(&p.out, "foreign service %s with %s: not in this configuration, left alone\n", f.ServiceKey, counted(f.Servers, "real server"))
	}
	if p.detailed {
		for _, v := range s.VRRP {
			p.detail(v)
		}
	}
	return p.out.String()
}

// head shows everything but the services. Of count problems, the first are given.
func (p *statusPage) head(s api.Status, problems []api.Trouble, count int) {
	verdict := p.paint("32", "OK")
	if count > 0 {
		verdict = p.paint("31", "DEGRADED, "+counted(count, "problem"))
	}
	fmt.Fprintf(&p.out, "lvs-ha on %s: %s\n", plain(s.Node), verdict)
	fmt.Fprintf(&p.out, "up %s, configuration %s loaded %s ago\n", ago(s.Started, p.now), plain(s.Config.Path), ago(s.Config.Loaded, p.now))
	p.upgrade(s.Upgrade)
	if p.version != "" && s.Version != p.version {
		fmt.Fprintf(&p.out, "version %s is running, %s is installed: `lvs-ha upgrade` switches to it without a failover\n", plain(s.Version), plain(p.version))
	}
	p.problems(problems, count)
	p.instances(s.VRRP)
	p.sync(s.Sync)
	p.receivers(s.Notify)
}

// table prints rows in aligned columns.
func (p *statusPage) table(rows [][]string) {
	if len(rows) < 2 {
		return
	}
	var text strings.Builder
	t := tabwriter.NewWriter(&text, 0, 8, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				t.Write([]byte{'\t'})
			}
			t.Write([]byte(plain(cell)))
		}
		t.Write([]byte{'\n'})
	}
	t.Flush()
	p.out.WriteByte('\n')
	for line := range strings.Lines(text.String()) {
		p.out.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
}

func (p *statusPage) problems(list []api.Trouble, count int) {
	rows := [][]string{{"PROBLEM", "SINCE", "WHAT"}}
	for i, t := range list {
		if i == maxTroubles {
			rows = append(rows, []string{"…", "", fmt.Sprintf("and %d more", count-i)})
			break
		}
		rows = append(rows, []string{t.What, ago(t.Since, p.now), t.Text})
	}
	p.table(rows)
}

func (p *statusPage) instances(list []api.Instance) {
	rows := [][]string{{"VRRP", "INTERFACE", "VRID", "STATE", "SINCE", "PRIORITY", "MASTER", "PEERS", "ADDRESSES", "DROPPED", "REASON"}}
	for _, v := range list {
		priority := fmt.Sprint(v.EffectivePriority)
		if v.EffectivePriority != v.Priority {
			priority += fmt.Sprintf(" (of %d)", v.Priority)
		}
		reason := v.Reason
		if v.PreemptHeld != "" {
			reason += "; not preempting: " + v.PreemptHeld
		}
		addresses, peers := v.Addresses, []string{"multicast"}
		if len(addresses) == 0 {
			addresses = []string{"-"}
		}
		if len(v.UnicastPeers) > 0 {
			peers = nil
			for _, peer := range v.UnicastPeers {
				peers = append(peers, peer.String())
			}
		}
		dropped, why := drops(v.Dropped)
		if why != "" {
			reason += "; dropped: " + why
		}
		rows = append(rows, []string{v.Name, v.Interface, fmt.Sprint(v.VirtualRouterID), string(v.State), ago(v.Since, p.now), priority,
			dash(v.MasterAddress), peers[0], addresses[0], dropped, reason})
		for i := 1; i < max(len(peers), len(addresses)); i++ {
			rows = append(rows, []string{"", "", "", "", "", "", "", at(peers, i), at(addresses, i), "", ""})
		}
	}
	p.table(rows)
	seen := map[string]bool{}
	for _, v := range list { // the same for all instances of an interface and family
		where := plain(v.Interface) + " " + v.Family
		if n, why := drops(v.InterfaceDropped); n != "0" && !seen[where] {
			seen[where] = true
			fmt.Fprintf(&p.out, "%s: %s packets dropped that match no instance: %s\n", where, n, plain(why))
		}
	}
	p.groups(list)
	p.tracks(list)
}

// groups shows the groups of the listed instances.
func (p *statusPage) groups(list []api.Instance) {
	rows := [][]string{{"SYNC GROUP", "STATE", "INSTANCES"}}
	index, shown := map[string]int{}, map[string]bool{}
	for _, v := range list {
		shown[v.Group] = v.Group != ""
	}
	for _, v := range p.all {
		i, known := index[v.Group]
		switch {
		case !shown[v.Group]:
		case !known:
			index[v.Group] = len(rows)
			rows = append(rows, []string{v.Group, string(v.State), v.Name})
		default:
			rows[i][2] += ", " + v.Name
			if rows[i][1] != string(v.State) {
				rows[i][1] = "changing"
			}
		}
	}
	p.table(rows)
}

func (p *statusPage) tracks(list []api.Instance) {
	rows := [][]string{{"TRACK", "KIND", "INSTANCE", "EFFECT", "SINCE", "RESULT"}}
	for _, v := range list {
		for _, t := range v.Tracks {
			effect := dash(string(t.Effect))
			if t.Effect == vrrp.EffectOffset {
				effect = fmt.Sprintf("priority %+d", t.Offset)
			}
			rows = append(rows, []string{t.Name, string(t.Kind), v.Name, effect, ago(t.Since, p.now), t.Reason})
		}
	}
	p.table(rows)
}

// at returns an element, or "" if i is out of range.
func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return ""
}

// drops summarizes dropped adverts: their number and the three most frequent reasons.
func drops(by map[string]uint64) (total, why string) {
	sum := uint64(0)
	for _, n := range by {
		sum += n
	}
	reasons := slices.SortedFunc(maps.Keys(by), func(a, b string) int {
		switch {
		case by[a] > by[b]:
			return -1
		case by[a] < by[b]:
			return 1
		}
		return strings.Compare(a, b)
	})
	var parts []string
	for _, r := range reasons[:min(3, len(reasons))] {
		if by[r] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", by[r], r))
		}
	}
	return fmt.Sprint(sum), strings.Join(parts, ", ")
}

func (p *statusPage) sync(list []api.SyncDaemon) {
	rows := [][]string{{"CONNECTION SYNC", "INTERFACE", "SYNC ID", "FOLLOWS"}}
	for _, d := range list {
		rows = append(rows, []string{d.Role.String(), d.Interface, fmt.Sprint(d.SyncID), dash(d.Instance)})
	}
	p.table(rows)
}

func (p *statusPage) receivers(list []api.Receiver) {
	rows := [][]string{{"NOTIFY", "WAITING", "DELIVERED", "FAILED", "DROPPED"}}
	for _, r := range list {
		rows = append(rows, []string{r.Name, fmt.Sprint(r.Waiting), fmt.Sprint(r.Delivered), fmt.Sprint(r.Failed), fmt.Sprint(r.Dropped)})
	}
	p.table(rows)
}

func (p *statusPage) services(s api.Status) {
	rows := [][]string{{"SERVICE", "SERVER", "FORWARD", "WEIGHT", "STATE", "SINCE", "ACTIVE", "INACTIVE", "TOOK", "WHY"}}
	for _, v := range s.Services {
		state := ""
		switch {
		case v.Present:
		case s.KernelUnknown():
			state = "unknown"
		default:
			state = "not in the kernel"
		}
		rows = append(rows, []string{v.Name, v.ServiceKey.String(), v.Scheduler, "", state, "", "", "", "", ""})
		for _, source := range v.Sources {
			rows = append(rows, p.source(source))
		}
		for _, r := range v.Servers {
			rows = append(rows, p.server(r))
		}
		for _, r := range v.Leaving {
			row := p.server(r)
			row[4] = "leaving"
			rows = append(rows, row)
		}
		for _, a := range v.Absent {
			rows = append(rows, []string{"", a.ServerKey.String(), "", "", "not listed", "-", "", "", "", p.orderText(a.Override)})
		}
	}
	p.table(rows)
}

// source shows a source of real servers.
func (p *statusPage) source(s api.Source) []string {
	state, why := "ok", counted(s.Listed, "real server")+" listed"
	switch {
	case s.Error != "" && s.Known:
		state, why = "failed", why+"; "+s.Error
	case s.Error != "":
		state, why = "failed", s.Error
	case s.Known && s.Answered.IsZero():
		state, why = "waiting", "no answer yet; "+counted(s.Listed, "real server")+" found in the kernel"
	case !s.Known:
		state, why = "waiting", "no answer yet"
	}
	if len(s.Ignored) > 0 {
		why += "; ignored: " + strings.Join(s.Ignored, ", ")
	}
	return []string{"", s.Name, "", "", state, ago(s.Answered, p.now), "", "", "", why}
}

func (p *statusPage) server(r api.Server) []string {
	weight := "-"
	if r.Present {
		weight = fmt.Sprint(r.KernelWeight)
	}
	if r.KernelWeight != r.Weight || !r.Present {
		weight += fmt.Sprintf(" (of %d)", r.Weight)
	}
	return []string{"", r.ServerKey.String(), fmt.Sprint(r.Forward), weight, fmt.Sprint(r.State), ago(r.Since, p.now),
		fmt.Sprint(r.Active), fmt.Sprint(r.Inactive), took(r), p.why(r)}
}

// took returns how long the slowest of a server's last checks took.
func took(r api.Server) string {
	var longest time.Duration
	for _, c := range r.Checks {
		longest = max(longest, time.Duration(c.Took))
	}
	switch {
	case longest == 0:
		return "-"
	case longest < time.Millisecond:
		return longest.Round(10 * time.Microsecond).String()
	}
	return longest.Round(100 * time.Microsecond).String()
}

// reasonTexts explain a server's weight.
var reasonTexts = map[string]string{
	"weight-from-check": "weight from a check",

	"no-quorum": "no quorum: a sorry server is in use",
	"standby":   "sorry server, not needed",
	"as-found":  "not checked yet; as found in the kernel",

	"kept-by-min-up": "kept in use by min_up",
	"slow-start":     "slow start",
	"presumed-up":    "not checked yet; presumed to be up",
	"unlisted":       "no longer listed",
	"suspended":      "checked only on the master; as found in the kernel",
	"removed":        "no longer a real server of the service",
}

// why explains a server's state: an operator's order, the pool's reason, and the checks.
func (p *statusPage) why(r api.Server) string {
	var parts []string
	if o := r.Override; o != nil {
		parts = append(parts, p.orderText(*o))
	}
	if r.Source != "" {
		parts = append(parts, r.Source)
	}
	if text := reasonTexts[r.Reason]; text != "" {
		parts = append(parts, text)
	} else if r.Sorry && r.Reason != "" {
		parts = append(parts, "sorry server")
	}
	if detail := r.Detail(); detail != "" {
		parts = append(parts, detail)
	}
	if !r.LeavingUntil.IsZero() {
		parts = append(parts, "leaves the table in "+ago(p.now, r.LeavingUntil))
	}
	return strings.Join(parts, "; ")
}

func (p *statusPage) orderText(o api.Override) string {
	text := map[api.OverrideAction]string{api.OverrideDrain: "drained", api.OverrideDisable: "disabled", api.OverrideWeight: fmt.Sprintf("weight %d", o.Weight)}[o.Action]
	if o.By != "" {
		text += " by " + o.By
	}
	text += " " + ago(o.Since, p.now) + " ago"
	if !o.Deadline.IsZero() {
		text += ", removed at " + o.Deadline.In(p.now.Location()).Format(time.DateTime)
	}
	if !o.Until.IsZero() {
		text += ", until " + o.Until.In(p.now.Location()).Format(time.DateTime)
	}
	if o.Reason != "" {
		text += ": " + o.Reason
	}
	return text
}

func (p *statusPage) paint(color, text string) string {
	if !p.color {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// plain escapes characters that are special in a terminal or table.
func plain(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return s
	}
	quoted := strconv.Quote(s)
	return quoted[1 : len(quoted)-1]
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// upgrade shows the latest change to another version: always if it did not work, otherwise for a day.
func (p *statusPage) upgrade(u *api.Upgrade) {
	if u == nil || u.Error == "" && p.now.Sub(u.Changed) > 24*time.Hour {
		return
	}
	fmt.Fprintf(&p.out, "upgrade from version %s", plain(u.From))
	if u.To != "" {
		fmt.Fprintf(&p.out, " to %s", plain(u.To))
	}
	fmt.Fprintf(&p.out, ": %s %s ago\n", plain(u.Step), ago(u.Changed, p.now))
	if u.Error != "" {
		fmt.Fprintf(&p.out, "  %s\n", plain(u.Error))
	}
}

// ago formats the time since then with two units: "3m12s".
func ago(then, now time.Time) string {
	if then.IsZero() {
		return "-"
	}
	d := max(now.Sub(then), 0)
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Hour:
		return d.Truncate(time.Second).String()
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}
