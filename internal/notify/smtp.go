package notify

import (
	"errors"
	"fmt"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"strings"
)

// maxReply is the number of characters of a server's reply in a message.
const maxReply = 200

// smtpError is a failed step of an SMTP session.
type smtpError struct {
	step      string
	err       error
	permanent bool // reply code 5xx: RFC 5321 4.2.1
}

func (e *smtpError) Error() string { return fmt.Sprintf("%s: %.*s", e.step, maxReply, e.err.Error()) }
func (e *smtpError) Unwrap() error { return e.err }

func smtpFailure(step string, err error) error {
	answer, ok := errors.AsType[*textproto.Error](err)
	return &smtpError{step, err, ok && answer.Code/100 == 5}
}

// helloName returns a name for EHLO: not all characters of a node name are allowed in a host name.
func helloName(node string) string {
	if node == "" || strings.ContainsFunc(node, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.')
	}) {
		return "localhost"
	}
	return node
}

// addressOf returns the address in "Name <address>".
func addressOf(text string) string {
	if parsed, err := mail.ParseAddress(text); err == nil {
		return parsed.Address
	}
	return text
}

// login returns PLAIN, or LOGIN if the server supports only that.
func (e *email) login(c *smtp.Client, host string) smtp.Auth {
	_, offered := c.Extension("AUTH")
	mechanisms := strings.Fields(strings.ToUpper(offered))
	for _, m := range mechanisms {
		if m == "PLAIN" {
			return smtp.PlainAuth("", e.config.Username, e.config.Password.Reveal(), host)
		}
	}
	return loginAuth{e.config.Username, e.config.Password.Reveal()}
}

// loginAuth is the LOGIN mechanism (draft-murchison-sasl-login), which package smtp lacks.
type loginAuth struct{ username, password string }

// Start implements smtp.Auth.
func (a loginAuth) Start(s *smtp.ServerInfo) (string, []byte, error) {
	if !s.TLS {
		return "", nil, errors.New("the connection is not encrypted")
	}
	return "LOGIN", nil, nil
}

// Next implements smtp.Auth.
func (a loginAuth) Next(prompt []byte, more bool) ([]byte, error) {
	switch text := strings.ToLower(string(prompt)); {
	case !more:
		return nil, nil
	case strings.HasPrefix(text, "user"):
		return []byte(a.username), nil
	case strings.HasPrefix(text, "pass"):
		return []byte(a.password), nil
	}
	return nil, fmt.Errorf("unexpected prompt %q from the server", prompt)
}
