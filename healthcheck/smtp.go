package healthcheck

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// SMTP is a check that greets a mail server and leaves, as keepalived's SMTP_CHECK. With a tls block without starttls, the
// connection begins with the handshake.
type SMTP struct {
	Helo     string `hcl:"helo,optional" default:"localhost" json:"helo"`
	StartTLS bool   `hcl:"starttls,optional" default:"false" json:"starttls,omitempty"`
	TLS      *TLS   `hcl:"tls,block" json:"tls,omitempty"`
}

func newSMTP() Check { return &SMTP{Helo: "localhost"} }

// Kind implements Check.
func (*SMTP) Kind() Kind { return "smtp" }

// Faults implements Check.
func (c *SMTP) Faults() []Fault {
	faults := c.TLS.faults()
	literal, _ := strings.CutPrefix(strings.TrimSuffix(strings.TrimPrefix(c.Helo, "["), "]"), "IPv6:")
	if _, err := netip.ParseAddr(literal); !isHostName(c.Helo) && (err != nil || c.Helo[0] != '[') {
		faults = append(faults, fault("helo", "%s is not a name of this host. Write a host name, or an address as \"[192.0.2.1]\".", quote(c.Helo)))
	}
	return faults
}

// AppendIdentity implements Check.
func (c *SMTP) AppendIdentity(b []byte) []byte {
	starts := 0
	if c.StartTLS {
		starts = 1
	}
	return c.TLS.appendIdentity(appendInts(appendText(b, c.Helo), starts))
}

// Redacted implements Check.
func (c *SMTP) Redacted() Check {
	shown := *c
	shown.TLS = c.TLS.redacted()
	return &shown
}

// Security implements Secured.
func (c *SMTP) Security() *TLS { return c.TLS }

// Probe implements Check.
func (c *SMTP) Probe(s Setup) (Probe, error) {
	config, err := tlsConfig(c.TLS, "")
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, server netip.AddrPort) Result {
		conn, err := dial(ctx, server, dialOptions{source: s.Source})
		if err != nil {
			return failed(ctx, s.Timeout, "", err)
		}
		defer conn.Close()
		m := mailServer{ctx: ctx, setup: s, raw: conn, config: config, skipVerify: c.TLS != nil && c.TLS.SkipVerify}
		m.use(conn)
		if c.TLS != nil && !c.StartTLS {
			m.secure()
		}
		m.command("", 220)
		m.command("EHLO "+c.Helo, 250)
		if c.StartTLS {
			m.command("STARTTLS", 220)
			m.secure()
			m.command("EHLO "+c.Helo, 250)
		}
		if m.failure != nil {
			return *m.failure
		}
		m.command("QUIT", 221) // a server that does not answer this works all the same
		return Result{OK: true, Detail: "greeted"}
	}, nil
}

// mailServer is a dialogue with a mail server. After a failure, its methods do nothing.
type mailServer struct {
	ctx        context.Context
	setup      Setup
	raw        *conn
	config     *tls.Config
	skipVerify bool

	stream  io.ReadWriter
	lines   *bufio.Reader
	failure *Result
}

// maxReplies limits the bytes that are read from a mail server, before and after the handshake each.
const maxReplies = 16 << 10

func (m *mailServer) use(stream io.ReadWriter) {
	m.stream = stream
	m.lines = bufio.NewReaderSize(io.LimitReader(stream, maxReplies), 512)
}

func (m *mailServer) fail(r Result) { m.failure = &r }

func (m *mailServer) secure() {
	if m.failure != nil {
		return
	}
	if m.lines.Buffered() > 0 { // it would be taken for an encrypted answer
		m.fail(Result{Reason: Protocol, Detail: "text between STARTTLS and the handshake"})
		return
	}
	secured, err := secure(m.ctx, m.raw, m.config, m.skipVerify)
	if err != nil {
		m.fail(failed(m.ctx, m.setup.Timeout, "in the TLS handshake", err))
		return
	}
	m.use(secured)
}

// command sends a command, if any, and reads a reply with a code.
func (m *mailServer) command(text string, want int) {
	if m.failure != nil {
		return
	}
	name, _, _ := strings.Cut(text, " ")
	doing := "while waiting for the greeting"
	if text != "" {
		doing = "in reply to " + name
		if _, err := io.WriteString(m.stream, text+"\r\n"); err != nil {
			m.fail(failed(m.ctx, m.setup.Timeout, doing, err))
			return
		}
	}
	code, err := readReply(m.lines)
	switch {
	case errors.Is(err, errReply):
		m.fail(Result{Reason: Protocol, Detail: "malformed reply " + doing})
	case err != nil:
		m.fail(failed(m.ctx, m.setup.Timeout, doing, err))
	case code != want:
		m.fail(Result{Reason: WrongStatus, Detail: fmt.Sprintf("code %d %s, want %d", code, doing, want)})
	}
}

var errReply = errors.New("malformed reply")

// readReply reads a reply of one or more lines (RFC 5321 section 4.2) and returns its code.
func readReply(r *bufio.Reader) (int, error) {
	for {
		line, err := readLine(r)
		if err != nil {
			return 0, err
		}
		if len(line) < 3 {
			return 0, errReply
		}
		code, err := strconv.ParseUint(string(line[:3]), 10, 16)
		if err != nil || code < 200 || code > 599 {
			return 0, errReply
		}
		switch {
		case len(line) == 3 || line[3] == ' ':
			return int(code), nil
		case line[3] != '-':
			return 0, errReply
		}
	}
}
