package convert

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

// define begins a top-level track block, once for a name.
func (c *converter) define(l *line, kind string) *block {
	name := l.arg(0)
	if name == "" {
		l.doubt(Ignored, "It has no name.")
		return nil
	}
	if c.tracks[name] != "" {
		l.find(Missing, "The name %s is used twice.", name)
		return nil
	}
	c.tracks[name] = kind
	return &block{kind: kind, label: label(name), notes: l.notes()}
}

// lacks reports whether a definition has no value for a keyword: keepalived then removes it.
func (c *converter) lacks(l *line, keyword string) bool {
	if n := l.Last(keyword); n != nil && len(n.Args) > 0 {
		return false
	}
	l.doubt(Ignored, "keepalived removes it: it has no %s.", keyword)
	c.tracks[l.arg(0)] = "removed"
	return true
}

// label makes a name of a block from keepalived's.
func label(name string) string {
	name = strings.Map(func(r rune) rune {
		if r <= ' ' || r == '"' || r == '\'' || r == 0x7f || r >= 0x80 && r < 0xa1 {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "_"))
	return name[:min(len(name), 64)]
}

func (c *converter) trackScript(l *line) {
	script := l.Last("script")
	var command keepalived.Script
	if script != nil {
		command, _ = keepalived.ParseScript(script.Text)
	}
	if len(command.Command) == 0 {
		l.doubt(Ignored, "keepalived removes it: it has no script.")
		c.tracks[l.arg(0)] = "removed"
		return
	}
	b := c.define(l, "track_script")
	if b == nil {
		return
	}
	l.find(Same, "")
	user := l.Last("user")
	c.each("vrrp_script", l.Children, b, func(l2 *line) {
		if l2.superseded(l.Children, l2.Keyword) {
			return
		}
		switch l2.Keyword {
		case "script":
			c.command(l2, b, "command", command)
			if len(command.Rest) > 0 {
				l2.find(Ignored, "keepalived uses only the first word as the command; quote a command with arguments.")
			}
			if user == nil {
				c.defaultUser(b)
			}
		case "interval":
			l2.period(b, "interval", time.Millisecond, 100*time.Millisecond, 24*time.Hour)
		case "timeout":
			l2.period(b, "timeout", time.Millisecond, 10*time.Millisecond, time.Hour)
		case "rise", "fall":
			l2.count(b, l2.Keyword, 1, 1000)
		case "user":
			l2.user(b)
		case "init_fail":
			l2.find(Same, "")
			l2.set(b, "init", quote("failed"))
		case "weight":
			l2.weight(b, 253)
		}
	})
	c.root.add(b)
}

// command writes a command as a list, with what is wrong with it.
func (c *converter) command(l *line, b *block, name string, s keepalived.Script) {
	words := slices.Clone(s.Command)
	switch program := words[0]; {
	case strings.HasPrefix(program, "/"):
	case strings.HasPrefix(program, "<"):
		l.find(Differs, "keepalived 2 cannot run a redirection, which needs a shell; bash runs it here.")
		words = []string{"/bin/bash", "-c", strings.Join(words, " ")}
	case strings.Contains(program, "/"):
		words[0] = "/" + strings.TrimPrefix(program, "./")
		l.find(Differs, "The path is not absolute; it was taken as relative to /.")
	default:
		l.find(Equivalent, "The program is searched in the system's usual directories.")
	}
	for _, w := range words[1:] {
		if slices.Contains([]string{"|", "||", "&&", "&", ";", ">", ">>", "<", "2>&1", "2>/dev/null", ">/dev/null", "&>/dev/null"}, w) || strings.Contains(w, "$(") || strings.Contains(w, "`") {
			l.doubt(Ignored, "keepalived runs no shell: %s is passed to the program as an argument. For a shell, write shell = true and the whole line as one string.", w)
			break
		}
	}
	if stop := stopsKeepalived(strings.Join(words, " ")); stop != "" {
		l.find(Differs, "It stops keepalived (%s). %s", stop, insteadOfStop)
	} else if path, stop := c.scriptStops(words); stop != "" {
		l.find(Differs, "The script %s stops keepalived (%s). %s", path, stop, insteadOfStop)
	}
	if track := trackInstead(words); track != "" {
		l.find(Equivalent, "A track_process block needs no command: %s", track)
		c.carried = append(c.carried, "Or without a command: "+track)
	}
	if !l.told {
		l.find(Same, "")
	}
	l.set(b, name, quoteAll(words))
}

const insteadOfStop = "Let it fail instead (exit 1), or use \"lvs-ha failover\"."

// stops matches commands that stop keepalived itself; kill -0 only looks for it.
var stops = regexp.MustCompile(`systemctl +(-\S+ +)*(stop|kill|restart) +keepalived|service +keepalived +(stop|restart)|init\.d/keepalived +(stop|restart)|` +
	`(pkill|killall)( +-[^0\s]\S*)* +keepalived`)

// stopsKeepalived returns the part of a command or a script that stops keepalived, or "".
func stopsKeepalived(text string) string {
	for line := range strings.Lines(text) {
		if code, _, _ := strings.Cut(line, "#"); stops.MatchString(code) {
			return stops.FindString(code)
		}
	}
	return ""
}

// scriptStops reads the script that a command runs, directly or by an interpreter, if it is on this host.
func (c *converter) scriptStops(words []string) (path, stop string) {
	if c.options.ReadScript == nil {
		return "", ""
	}
	for _, w := range words[:min(len(words), 2)] {
		if strings.HasPrefix(w, "/") {
			if stop := stopsKeepalived(string(c.options.ReadScript(w))); stop != "" {
				return w, stop
			}
		}
	}
	return "", ""
}

// trackInstead returns a track_process block for a command that only looks for a process.
func trackInstead(words []string) string {
	name := ""
	switch program := words[0][strings.LastIndexByte(words[0], '/')+1:]; {
	case program == "killall" && len(words) == 3 && (words[1] == "-0" || words[1] == "-s0"):
		name = words[2]
	case program == "pidof" && len(words) == 2:
		name = words[1]
	case program == "pgrep" && len(words) == 3 && words[1] == "-x":
		name = words[2]
	default:
		return ""
	}
	return fmt.Sprintf("track_process %s {}", quote(label(name)))
}

func (c *converter) defaultUser(b *block) {
	user, group := c.options.ScriptUser, ""
	if c.globals.userSet {
		user, group = c.globals.user, c.globals.group
	}
	b.set("user", quote(user), notes{})
	if group != "" {
		b.set("group", quote(group), notes{})
	}
}

// user writes a user line: a name and perhaps a group.
func (l *line) user(b *block) {
	if l.arg(0) == "" {
		l.find(Ignored, "It names no user.")
		return
	}
	l.find(Same, "")
	l.set(b, "user", quote(l.arg(0)))
	if group := strings.TrimPrefix(l.arg(1), ":"); group != "" {
		b.set("group", quote(group), notes{})
	}
}

// period writes a duration, limited to lvs-ha's range. 0 means what keepalived makes of it: one second.
func (l *line) period(b *block, name string, unit, lowest, highest time.Duration) {
	d, ok := l.seconds(unit)
	if !ok {
		l.doubt(Ignored, "%q is not a number of seconds.", l.arg(0))
		return
	}
	if d == 0 {
		d = time.Second
	}
	if limited := min(max(d, lowest), highest); limited != d {
		l.find(Differs, "%v is outside of lvs-ha's range, %v to %v.", d, lowest, highest)
		d = limited
	} else if !l.told {
		l.find(Same, "")
	}
	l.set(b, name, duration(d))
}

// count writes a number, limited to a range.
func (l *line) count(b *block, name string, lowest, highest int) {
	n, ok := l.lenient(l.arg(0), lowest, 1<<31-1)
	if len(l.Args) == 0 || !ok {
		l.doubt(Ignored, "%q is not a number of %d or more.", l.arg(0), lowest)
		return
	}
	if n > highest {
		l.find(Differs, "lvs-ha's highest value is %d.", highest)
		n = highest
	} else if !l.told {
		l.find(Same, "")
	}
	l.set(b, name, fmt.Sprint(n))
}

// weight writes "weight N [reverse]".
func (l *line) weight(b *block, most int) {
	w, ok := l.lenient(l.arg(0), -1<<31, 1<<31-1)
	if len(l.Args) == 0 || !ok {
		l.doubt(Ignored, "%q is not a weight from −%d to %d.", l.arg(0), most, most)
		return
	}
	switch {
	case w < -most || w > most:
		l.find(Equivalent, "Priorities are limited to 1 to 254.")
		l.set(b, "weight", fmt.Sprint(min(max(w, -253), 253)))
	default:
		if !l.told {
			l.find(Same, "")
		}
		l.set(b, "weight", fmt.Sprint(min(max(w, -253), 253)))
	}
	if l.arg(1) == "reverse" {
		b.set("reverse", "true", notes{})
	}
}

func (c *converter) trackFile(l *line) {
	if c.lacks(l, "file") {
		return
	}
	b := c.define(l, "track_file")
	if b == nil {
		return
	}
	l.find(Same, "")
	c.each(l.Keyword, l.Children, b, func(l2 *line) {
		if l2.superseded(l.Children, l2.Keyword) {
			return
		}
		switch l2.Keyword {
		case "file":
			path := l2.arg(0)
			if strings.HasPrefix(path, "/") {
				l2.find(Same, "")
			} else {
				l2.find(Differs, "The path is not absolute; it was taken as relative to /.")
				path = "/" + path
			}
			l2.set(b, "path", quote(path))
		case "weight":
			l2.weight(b, 254)
		case "init_file":
			l2.find(Differs, "lvs-ha does not write the file. A missing file counts as 0.")
		}
	})
	c.root.add(b)
}

func (c *converter) trackProcess(l *line) {
	if c.lacks(l, "process") {
		return
	}
	b := c.define(l, "track_process")
	if b == nil {
		return
	}
	l.find(Same, "")
	full := len(l.Last("process").Args) > 1 || l.Last("full_command", "param_match") != nil
	c.each("vrrp_track_process", l.Children, b, func(l2 *line) {
		if l2.superseded(l.Children, l2.Keyword) {
			return
		}
		switch l2.Keyword {
		case "process":
			if full {
				l2.find(Equivalent, "lvs-ha compares how the command line begins.")
				l2.set(b, "command", quoteAll(l2.Args))
				return
			}
			l2.find(Same, "")
			l2.set(b, "process", quote(l2.arg(0)))
		case "param_match", "full_command":
			if l2.Keyword == "param_match" && l2.arg(0) != "initial" {
				l2.find(Differs, "lvs-ha compares how the command line begins: more processes may match.")
				return
			}
			l2.find(Equivalent, "")
		case "weight":
			l2.weight(b, 254)
		case "quorum":
			l2.count(b, "minimum", 1, 65535)
		case "quorum_max":
			l2.count(b, "maximum", 0, 65535)
			if l2.arg(0) == "0" && l.Last("quorum") == nil {
				b.set("minimum", "0", notes{})
			}
		case "delay":
			l2.period(b, "delay_up", time.Microsecond, 0, time.Hour)
			l2.period(b, "delay_down", time.Microsecond, 0, time.Hour)
		case "terminate_delay":
			l2.period(b, "delay_down", time.Microsecond, 0, time.Hour)
		case "fork_delay":
			l2.period(b, "delay_up", time.Microsecond, 0, time.Hour)
		}
	})
	b.settle()
	c.root.add(b)
}
