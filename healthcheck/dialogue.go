package healthcheck

import (
	"encoding/hex"
	"errors"
	"io"
	"regexp"
	"strings"

	"github.com/lvs-ha/lvs-ha/internal/secret"
)

// Dialogue is what a TCP or UDP check sends, and what it expects as the answer.
type Dialogue struct {
	Send      secret.Text `hcl:"send,optional" unset:"nothing" holds:"at most 1 KiB" json:"send,omitempty"` // may contain a password
	SendHex   string      `hcl:"send_hex,optional" unset:"nothing" holds:"hexadecimal, at most 1 KiB" json:"send_hex,omitempty"`
	Expect    string      `hcl:"expect,optional" unset:"none" holds:"a regular expression (RE2), at most 1 KiB" json:"expect,omitempty"`
	ExpectHex string      `hcl:"expect_hex,optional" unset:"none" holds:"hexadecimal, x for any digit, at most 1 KiB" json:"expect_hex,omitempty"` // the answer begins with it
}

// maxAnswer limits how much of an answer is read, in bytes.
const maxAnswer = 4 << 10

func (d *Dialogue) faults() []Fault {
	var faults []Fault
	if d.Send != "" && d.SendHex != "" {
		faults = append(faults, fault("send_hex", "send and send_hex say the same thing. Remove one of them."))
	}
	if d.Expect != "" && d.ExpectHex != "" {
		faults = append(faults, fault("expect_hex", "expect and expect_hex say the same thing. Remove one of them."))
	}
	if len(d.Send) > maxWords {
		faults = append(faults, fault("send", "The text has %d bytes, at most %d are allowed.", len(d.Send), maxWords))
	}
	if b, err := parseHex(d.SendHex); err != nil || len(b) > maxWords {
		faults = append(faults, fault("send_hex", "Write at most %d bytes as pairs of hexadecimal digits, such as \"0d 0a ff\".", maxWords))
	}
	if _, err := parsePattern(d.ExpectHex); err != nil {
		faults = append(faults, fault("expect_hex", "Write at most %d bytes as pairs of hexadecimal digits, or x for any digit, such as \"0d xx 1x\".", maxWords))
	}
	if d.Expect != "" {
		for _, f := range bodyFaults(d.Expect) {
			f.Setting = "expect"
			faults = append(faults, f)
		}
	}
	return faults
}

func (d *Dialogue) appendIdentity(b []byte) []byte {
	for _, text := range []string{d.Send.Reveal(), d.SendHex, d.Expect, d.ExpectHex} {
		b = appendText(b, text)
	}
	return b
}

// redacted returns a copy without secrets.
func (d Dialogue) redacted() Dialogue {
	if d.Send != "" {
		d.Send = secret.Hidden
	}
	return d
}

// spaceless removes the blanks that make hexadecimal digits readable.
func spaceless(text string) string { return strings.Join(strings.Fields(text), "") }

func parseHex(text string) ([]byte, error) { return hex.DecodeString(spaceless(text)) }

// pattern is the beginning of an answer.
type pattern struct{ value, mask []byte }

func parsePattern(text string) (pattern, error) {
	text = strings.ToLower(spaceless(text))
	value, err := hex.DecodeString(strings.ReplaceAll(text, "x", "0"))
	if err != nil || len(value) > maxWords {
		return pattern{}, errors.Join(err, errors.New("no pattern"))
	}
	mask := strings.Map(func(r rune) rune {
		if r == 'x' {
			return '0'
		}
		return 'f'
	}, text)
	bits, err := hex.DecodeString(mask)
	return pattern{value, bits}, err
}

func (p pattern) match(answer []byte) bool {
	if len(answer) < len(p.value) {
		return false
	}
	for i, v := range p.value {
		if answer[i]&p.mask[i] != v {
			return false
		}
	}
	return true
}

// dialogue is a compiled Dialogue.
type dialogue struct {
	send    []byte
	expects bool
	regexp  *regexp.Regexp // nil: pattern
	pattern pattern
}

func (d *Dialogue) compile() (dialogue, error) {
	c := dialogue{send: []byte(d.Send.Reveal()), expects: d.Expect != "" || d.ExpectHex != ""}
	var err error
	if d.SendHex != "" {
		if c.send, err = parseHex(d.SendHex); err != nil {
			return c, err
		}
	}
	if d.Expect != "" {
		c.regexp, err = regexp.Compile(d.Expect)
		return c, err
	}
	c.pattern, err = parsePattern(d.ExpectHex)
	return c, err
}

func (c *dialogue) match(answer []byte) bool {
	if c.regexp != nil {
		return c.regexp.Match(answer)
	}
	return c.pattern.match(answer)
}

var errNoMatch = errors.New("the answer does not match")

// await reads a stream until it matches. The number of matches grows with the logarithm of the length of the answer, even
// if the server sends single bytes.
func (c *dialogue) await(conn io.Reader) error {
	answer := make([]byte, 0, maxAnswer)
	tried := 0
	for {
		n, err := conn.Read(answer[len(answer):cap(answer)])
		answer = answer[:len(answer)+n]
		full := len(answer) == cap(answer)
		if len(answer) > tried && (len(answer) > tried+tried/16 || err != nil || full) {
			tried = len(answer)
			if c.match(answer) {
				return nil
			}
		}
		switch {
		case err == io.EOF && len(answer) > 0, full:
			return errNoMatch
		case err != nil:
			return err
		}
	}
}
