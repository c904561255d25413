package notify

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/smtp"
	"slices"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
)

// email sends mail by SMTP. Messages that arrive within the interval after a mail are combined in the next mail.
type email struct {
	config config.NotifyEmail
	node   string
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
}

const (
	emailBatch   = 100 // messages in a mail
	emailTimeout = 30 * time.Second
	emailAnswers = 64 << 10 // bytes accepted from a server in one session
)

func newEmail(c config.NotifyEmail, node string) *email {
	return &email{config: c, node: node, dial: (&net.Dialer{}).DialContext}
}

func (*email) most() int              { return emailBatch }
func (e *email) pace() time.Duration  { return e.config.Interval }
func (e *email) wants(m Message) bool { return m.chosen(e.config.Events) && !m.upFromStart() }
func (*email) close()                 {}

func (e *email) deliver(ctx context.Context, batch []Message) error {
	text := e.text(batch, time.Now())
	return retry(ctx, e.config.Retries, func() error { return e.send(ctx, text) })
}

// text returns a mail (RFC 5322).
func (e *email) text(batch []Message, now time.Time) []byte {
	last := batch[len(batch)-1]
	subject := fmt.Sprintf("[%s] %d transitions were lost", e.node, last.Lost)
	switch {
	case len(batch) > 1 && slices.ContainsFunc(batch, func(m Message) bool { return m.Pool != nil }):
		subject = fmt.Sprintf("[%s] %d changes", e.node, len(batch))
	case last.Pool != nil:
		subject = fmt.Sprintf("[%s] %s", e.node, last.Pool.sentence(last.State))
	case len(batch) > 1:
		subject = fmt.Sprintf("[%s] %d transitions of VRRP instances", e.node, len(batch))
	case last.Lost == 0:
		subject = fmt.Sprintf("[%s] VRRP %s %s is %s", e.node, strings.ToLower(last.kind()), last.Instance, last.State)
	}
	var b bytes.Buffer
	header := func(name, value string) { fmt.Fprintf(&b, "%s: %s\r\n", name, value) }
	header("From", e.config.From)
	header("To", strings.Join(e.config.To, ", "))
	header("Subject", mime.QEncoding.Encode("utf-8", subject))
	header("Date", now.Format(time.RFC1123Z))
	header("Message-ID", fmt.Sprintf("<%s@lvs-ha>", rand.Text()))
	header("MIME-Version", "1.0")
	header("Content-Type", "text/plain; charset=utf-8")
	header("Content-Transfer-Encoding", "8bit")
	header("Auto-Submitted", "auto-generated") // RFC 3834: suppresses automatic replies
	b.WriteString("\r\n")
	for _, m := range batch {
		b.WriteString(m.sentence() + "\r\n")
	}
	return b.Bytes()
}

// send makes one attempt.
func (e *email) send(ctx context.Context, text []byte) error {
	ctx, cancel := context.WithTimeoutCause(ctx, emailTimeout, fmt.Errorf("no answer from %s within %v", e.config.SMTP, emailTimeout))
	defer cancel()
	conn, err := e.dial(ctx, "tcp", e.config.SMTP)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err = e.talk(&quiet{conn, emailAnswers}, text); err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var refused *smtpError
	if errors.As(err, &refused) && refused.permanent {
		return errFinal{err}
	}
	return err
}

// quiet is a connection that limits the number of bytes received: package smtp reads a response of any length.
type quiet struct {
	net.Conn
	left int
}

func (q *quiet) Read(b []byte) (int, error) {
	if q.left <= 0 {
		return 0, fmt.Errorf("the server has sent more than %d bytes", emailAnswers)
	}
	n, err := q.Conn.Read(b[:min(len(b), q.left)])
	q.left -= n
	return n, err
}

func (e *email) talk(conn net.Conn, text []byte) error {
	host, _, err := net.SplitHostPort(e.config.SMTP)
	if err != nil {
		return errFinal{err}
	}
	secure := trust(e.config.Authorities)
	secure.ServerName = host
	if e.config.TLS == config.TLSImplicit {
		conn = tls.Client(conn, secure)
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return smtpFailure("connecting", err)
	}
	if err = c.Hello(helloName(e.node)); err != nil {
		return smtpFailure("EHLO", err)
	}
	if e.config.TLS == config.TLSStart {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return errFinal{fmt.Errorf("%s does not offer STARTTLS", e.config.SMTP)}
		}
		if err = c.StartTLS(secure); err != nil {
			return smtpFailure("STARTTLS", err)
		}
	}
	if e.config.Username != "" {
		if err = c.Auth(e.login(c, host)); err != nil {
			return smtpFailure("login", err)
		}
	}
	if err = c.Mail(addressOf(e.config.From)); err != nil {
		return smtpFailure("MAIL FROM", err)
	}
	for _, to := range e.config.To {
		if err = c.Rcpt(addressOf(to)); err != nil {
			return smtpFailure("RCPT TO "+addressOf(to), err)
		}
	}
	w, err := c.Data()
	if err != nil {
		return smtpFailure("DATA", err)
	}
	if _, err = w.Write(text); err == nil {
		err = w.Close()
	}
	if err != nil {
		return smtpFailure("sending the mail", err)
	}
	_ = c.Quit() // the mail has been accepted
	return nil
}
