package healthcheck

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// Agent is a check that asks an agent on the server, in HAProxy's protocol (configuration manual, agent-check): the agent
// sends a line of words and closes the connection.
type Agent struct {
	Send string `hcl:"send,optional" unset:"nothing" holds:"at most 1 KiB" json:"send,omitempty"`
}

func newAgent() Check { return &Agent{} }

// Kind implements Check.
func (*Agent) Kind() Kind { return "agent" }

// Faults implements Check.
func (c *Agent) Faults() []Fault {
	if len(c.Send) > maxWords {
		return []Fault{fault("send", "The text has %d bytes, at most %d are allowed.", len(c.Send), maxWords)}
	}
	return nil
}

// AppendIdentity implements Check.
func (c *Agent) AppendIdentity(b []byte) []byte { return appendText(b, c.Send) }

// Redacted implements Check.
func (c *Agent) Redacted() Check { return c }

// maxWords limits an agent's line, in bytes.
const maxWords = 1 << 10

// Probe implements Check. An agent that does not answer says nothing about the server, as in HAProxy: other checks find out
// whether the server works.
func (c *Agent) Probe(s Setup) (Probe, error) {
	return func(ctx context.Context, server netip.AddrPort) Result {
		line, err := c.ask(ctx, server, s.Source)
		if err != nil {
			r := failed(ctx, s.Timeout, "while waiting for the agent", err)
			r.Neutral = true
			return r
		}
		said, err := parseWords(line)
		if err != nil {
			return Result{Neutral: true, Reason: Protocol, Detail: "agent: " + err.Error()}
		}
		return said.result("agent")
	}, nil
}

// ask returns the agent's first line.
func (c *Agent) ask(ctx context.Context, server netip.AddrPort, from Source) ([]byte, error) {
	conn, err := dial(ctx, server, dialOptions{source: from})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if c.Send != "" {
		if _, err := io.WriteString(conn, c.Send); err != nil {
			return nil, err
		}
	}
	line := make([]byte, 0, maxWords)
	for len(line) < cap(line) {
		n, err := conn.Read(line[len(line):cap(line)])
		line = line[:len(line)+n]
		if end := bytes.IndexAny(line, "\r\n"); end >= 0 {
			return line[:end], nil
		}
		if err == io.EOF && len(line) > 0 {
			return line, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, errLongLine
}

var (
	errLongLine = errors.New("the line has more than 1 KiB")
	errNoWords  = errors.New("the line has no word that is known")
	errNumber   = errors.New("a number is out of range")
)

// words is what a line of an agent's words says.
type words struct {
	Advice
	health string // "up", or one of the words for down; "" if not mentioned
	number bool   // Number has no unit
}

// parseWords parses a line of words separated by blanks and commas. Text after # is a description. Unknown words are ignored,
// as long as there is a known one.
func parseWords(line []byte) (words, error) {
	text, _, _ := strings.Cut(string(line), "#")
	var said words
	known := false
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\t' || r == ',' }) {
		ok, err := said.take(word)
		if err != nil {
			return words{}, err
		}
		known = known || ok
	}
	if !known {
		return words{}, errNoWords
	}
	return said, nil
}

// take records a word and reports whether it is known.
func (w *words) take(word string) (known bool, err error) {
	switch word = strings.ToLower(word); word {
	case "up":
		w.health = "up"
	case "down", "fail", "failed", "stopped":
		w.health = word
	case "ready":
		w.Mode = Ready
	case "drain":
		w.Mode = Drain
	case "maint":
		w.Mode = Maintenance
	default:
		if limit, ok := strings.CutPrefix(word, "maxconn:"); ok {
			n, err := parseNumber(limit)
			w.MaxConn = int(n)
			return true, err
		}
		percent, ok := strings.CutSuffix(word, "%")
		if !ok && (word[0] < '0' || word[0] > '9') {
			return false, nil
		}
		n, err := parseNumber(percent)
		w.Number, w.Unit, w.number = n, Percent, !ok
		return true, err
	}
	return true, nil
}

// parseNumber parses a number without sign.
func parseNumber(text string) (float64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, errNumber
	}
	return float64(min(n, maxNumber)), nil
}

// result returns the result of a check that was told the words.
func (w words) result(from string) Result {
	r := Result{OK: w.health == "up", Neutral: w.health == "", Decisive: true, Advice: w.Advice, Detail: from + ":"}
	if w.health != "" {
		r.Detail += " " + w.health
	}
	if advice := w.Advice.String(); advice != "" {
		r.Detail += " " + advice
	}
	if w.health != "" && w.health != "up" {
		r.Reason = Told
	}
	return r
}
