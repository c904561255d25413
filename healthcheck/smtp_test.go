package healthcheck_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	. "github.com/lvs-ha/lvs-ha/healthcheck"
)

// mailing returns a server that greets, and replies to each command by its first word. STARTTLS begins a handshake.
func mailing(greeting string, replies map[string]string, config *tls.Config) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = c.Write([]byte(greeting))
		lines := bufio.NewScanner(c)
		for lines.Scan() {
			word, _, _ := strings.Cut(lines.Text(), " ")
			if _, err := fmt.Fprint(c, replies[word]); err != nil {
				return
			}
			if word == "STARTTLS" && strings.HasPrefix(replies[word], "220 ") {
				secured := tls.Server(c, config)
				mailing("", replies, config)(secured)
				return
			}
		}
	}
}

func TestSMTP(t *testing.T) {
	ca := newAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.issue(t, nil)}}
	trust := &TLS{CAFile: File(ca.file), Authorities: ca.trusted}
	replies := func(change ...string) map[string]string {
		all := map[string]string{"EHLO": "250-mail.example.com\r\n250-STARTTLS\r\n250 SIZE\r\n", "STARTTLS": "220 go ahead\r\n", "QUIT": "221 bye\r\n"}
		for i := 0; i < len(change); i += 2 {
			all[change[i]] = change[i+1]
		}
		return all
	}
	const greeting = "220 mail.example.com ESMTP secret\r\n"
	plain, starts, wrapped := &SMTP{Helo: "localhost"}, &SMTP{Helo: "[192.0.2.1]", StartTLS: true, TLS: trust}, &SMTP{Helo: "localhost", TLS: trust}
	for name, c := range map[string]struct {
		check  *SMTP
		server func(net.Conn)
		ok     bool
		detail string
	}{
		"good":             {plain, mailing(greeting, replies(), nil), true, "greeted"},
		"long greeting":    {plain, mailing("220-one\r\n220-two\r\n220 three\r\n", replies(), nil), true, "greeted"},
		"no reply to QUIT": {plain, sayingAndHolding(greeting + "250 ok\r\n"), true, "greeted"},
		"STARTTLS":         {starts, mailing(greeting, replies(), config), true, "greeted"},
		"TLS":              {wrapped, overTLS(config, mailing(greeting, replies(), nil)), true, "greeted"},
		"refused":          {plain, mailing("554 no service\r\n", replies(), nil), false, "code 554 while waiting for the greeting, want 220"},
		"EHLO refused":     {plain, mailing(greeting, replies("EHLO", "421 busy\r\n"), nil), false, "code 421 in reply to EHLO, want 250"},
		"no STARTTLS":      {starts, mailing(greeting, replies("STARTTLS", "502 what\r\n"), nil), false, "code 502 in reply to STARTTLS, want 220"},
		"injected":         {starts, mailing(greeting, replies("STARTTLS", "220 go ahead\r\n250 injected\r\n"), config), false, "text between STARTTLS and the handshake"},
		"not TLS":          {wrapped, mailing(greeting, replies(), nil), false, "server does not speak TLS"},
		"not SMTP":         {plain, saying("SSH-2.0-OpenSSH\r\n"), false, "malformed reply while waiting for the greeting"},
		"binary":           {plain, saying("\x00\xff\x00\n"), false, "malformed reply while waiting for the greeting"},
		"closed":           {plain, saying(""), false, "connection closed while waiting for the greeting"},
		"endless":          {plain, repeat("220-more\r\n"), false, "connection closed while waiting for the greeting"},
		"an endless line":  {plain, repeat("220 "), false, "connection closed while waiting for the greeting"},
		"silent":           {plain, hold, false, "timeout after 300ms while waiting for the greeting"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := Spec{Check: c.check, Timeout: 10 * time.Second}
			switch name {
			case "silent", "no reply to QUIT":
				spec.Timeout = 300 * time.Millisecond
			}
			got := check(t, spec, serve(t, loopback, c.server))
			wantResult(t, got, c.ok, c.detail)
			if strings.Contains(got.Detail, "secret") {
				t.Errorf("the server's text is shown: %q", got.Detail)
			}
		})
	}
	for helo, bad := range map[string]bool{"mail.example.com": false, "[192.0.2.1]": false, "[IPv6:2001:db8::1]": false, "a b": true, "": true, "x\r\nDATA": true} {
		if faults := (&SMTP{Helo: helo}).Faults(); (len(faults) > 0) != bad {
			t.Errorf("%q: %v", helo, faults)
		}
	}
}
