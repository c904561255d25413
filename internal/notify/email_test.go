package notify

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/http/httptest"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// mailServer is a small SMTP server (RFC 5321) with STARTTLS (RFC 3207) and logins (RFC 4954).
type mailServer struct {
	t        *testing.T
	listener net.Listener
	tls      *tls.Config
	implicit bool
	auth     string // the mechanisms
	refuse   string // the response to RCPT TO

	mu    sync.Mutex
	login string
	rcpt  []string
	mails []string
}

func newMailServer(t *testing.T, certificate *tls.Config, set func(*mailServer)) *mailServer {
	s := &mailServer{t: t, tls: certificate, auth: "PLAIN LOGIN", refuse: "250 ok"}
	set(s)
	var err error
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.listener.Close() })
	go func() {
		for {
			conn, err := s.listener.Accept()
			if err != nil {
				return
			}
			s.serve(conn)
		}
	}()
	return s
}

func (s *mailServer) serve(conn net.Conn) {
	defer conn.Close()
	if s.implicit {
		conn = tls.Server(conn, s.tls)
	}
	r := bufio.NewReader(conn)
	say := func(lines ...string) { fmt.Fprint(conn, strings.Join(lines, "\r\n")+"\r\n") }
	ask := func(prompt string) string {
		say("334 " + base64.StdEncoding.EncodeToString([]byte(prompt)))
		line, _ := r.ReadString('\n')
		text, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
		return string(text)
	}
	secure := s.implicit
	say("220 test")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		s.mu.Lock()
		switch word {
		case "EHLO":
			if secure {
				say("250-test", "250 AUTH "+s.auth)
			} else {
				say("250-test", "250 STARTTLS")
			}
		case "STARTTLS":
			say("220 go ahead")
			conn = tls.Server(conn, s.tls)
			r, secure = bufio.NewReader(conn), true
		case "AUTH":
			mechanism, initial, _ := strings.Cut(rest, " ")
			if mechanism == "PLAIN" {
				text, _ := base64.StdEncoding.DecodeString(initial)
				s.login = "PLAIN" + strings.ReplaceAll(string(text), "\x00", " ")
			} else {
				s.login = "LOGIN " + ask("Username:") + " " + ask("Password:")
			}
			say("235 ok")
		case "RCPT":
			s.rcpt = append(s.rcpt, rest)
			say(s.refuse)
		case "DATA":
			say("354 go ahead")
			var text strings.Builder
			for line, err := r.ReadString('\n'); err == nil && line != ".\r\n"; line, err = r.ReadString('\n') {
				text.WriteString(line)
			}
			s.mails = append(s.mails, text.String())
			say("250 ok")
		case "QUIT":
			say("221 bye")
		default:
			say("250 ok")
		}
		s.mu.Unlock()
	}
}

// certificate returns a test server's certificate for 127.0.0.1, and the PEM of the authority that signed it.
func certificate(t *testing.T) (*tls.Config, string) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	return s.TLS.Clone(), pemOf(s)
}

func TestEmail(t *testing.T) {
	cert, authorities := certificate(t)
	cert.NextProtos = nil
	batch := []Message{
		{State: stateMaster, Transition: vrrp.Transition{Time: time.Unix(0, 0).UTC(), Instance: "web", From: vrrp.Backup, To: vrrp.Master, Reason: vrrp.ReasonPreempt, Priority: 150}},
		{State: stateFault, Transition: vrrp.Transition{Time: time.Unix(0, 0).UTC(), Instance: ".web", From: vrrp.Master, To: vrrp.Initialize, Reason: vrrp.ReasonTrack, Priority: 150}},
	}
	for name, tt := range map[string]struct {
		mode, auth, login string
	}{
		"STARTTLS":      {config.TLSStart, "LOGIN PLAIN", "PLAIN user secret"},
		"TLS":           {config.TLSImplicit, "PLAIN", "PLAIN user secret"},
		"only LOGIN":    {config.TLSStart, "LOGIN", "LOGIN user secret"},
		"no encryption": {config.TLSNone, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newMailServer(t, cert, func(s *mailServer) { s.implicit, s.auth = tt.mode == config.TLSImplicit, tt.auth })
			c := config.NotifyEmail{SMTP: s.listener.Addr().String(), From: "LVS <lb1@example.com>", To: []string{"a@example.com", "b@example.com"}, TLS: tt.mode, Authorities: authorities}
			if tt.login != "" {
				c.Username, c.Password = "user", "secret"
			}
			if err := newEmail(c, "lb1").deliver(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.login != tt.login || fmt.Sprint(s.rcpt) != "[TO:<a@example.com> TO:<b@example.com>]" || len(s.mails) != 1 {
				t.Fatalf("login %q, to %q, %d mails", s.login, s.rcpt, len(s.mails))
			}
			m, err := mail.ReadMessage(strings.NewReader(s.mails[0]))
			if err != nil {
				t.Fatal(err)
			}
			if m.Header.Get("Subject") != "[lb1] 2 transitions of VRRP instances" || m.Header.Get("From") != "LVS <lb1@example.com>" {
				t.Errorf("header %v", m.Header)
			}
			if !strings.Contains(s.mails[0], "1970-01-01T00:00:00Z  instance web is MASTER (was BACKUP): preempt, priority 150\r\n") {
				t.Errorf("mail:\n%s", s.mails[0])
			}
		})
	}
}

func TestEmailIsRefused(t *testing.T) {
	cert, authorities := certificate(t)
	cert.NextProtos = nil
	one := []Message{message(stateMaster)}
	for answer, wantFinal := range map[string]bool{"550 no such user": true, "450 try again later": false} {
		s := newMailServer(t, cert, func(s *mailServer) { s.refuse = answer })
		c := config.NotifyEmail{SMTP: s.listener.Addr().String(), From: "a@example.com", To: []string{"b@example.com"}, TLS: config.TLSStart, Authorities: authorities}
		err := newEmail(c, "lb1").send(t.Context(), []byte("x"))
		if _, final := err.(errFinal); err == nil || final != wantFinal || !strings.Contains(err.Error(), answer[:3]) { //nolint:errorlint // it is the outermost
			t.Errorf("%s: %v", answer, err)
		}
		c.Authorities = ""
		if err := newEmail(c, "lb1").deliver(t.Context(), one); err == nil || len(s.mails) > 0 {
			t.Errorf("a certificate of an unknown authority: %v, %d mails", err, len(s.mails))
		}
	}
}

// TestEndlessMailServerResponseIsBounded checks that an endless response fills neither memory nor the log.
func TestEndlessMailServerResponseIsBounded(t *testing.T) {
	for what, noise := range map[string]string{"a long line": strings.Repeat("220 x", 1<<10), "many lines": strings.Repeat("220-x\r\n", 1<<9)} {
		t.Run(what, func(t *testing.T) {
			client, server := net.Pipe()
			defer server.Close()
			sent := make(chan int, 1)
			go func() {
				total := 0
				for total < 100*emailAnswers {
					n, err := server.Write([]byte(noise))
					total += n
					if err != nil {
						break
					}
				}
				sent <- total
				server.Close()
			}()
			e := newEmail(config.NotifyEmail{SMTP: "mail.example.com:25"}, "lb1")
			e.dial = func(context.Context, string, string) (net.Conn, error) { return client, nil }
			err := e.send(t.Context(), []byte("x"))
			if total := <-sent; err == nil || len(err.Error()) > 2*maxReply || total > 2*emailAnswers {
				t.Errorf("%d bytes received, %v", total, err)
			}
		})
	}
}
