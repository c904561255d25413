package e2e

import (
	"bufio"
	"context"
	"crypto/md5"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/internal/keepalived/effect"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

const samplePage = "page\n"

// digests are those of pages that the samples expect.
var digests = regexp.MustCompile(`\bdigest [0-9a-f]{32}\b`)

// withDigests expects the page that the servers have.
func withDigests(text string) string {
	return digests.ReplaceAllString(text, fmt.Sprintf("digest %x", md5.Sum([]byte(samplePage))))
}

// serversAnswer makes all servers of the sample, which are addresses of each host itself, answer all checks, and waits until both
// programs use them.
func (s *sample) serversAnswer() {
	s.t.Helper()
	for _, of := range []*side{s.theirs, s.ours} {
		for _, port := range []string{"80", "443", "444", "1358"} {
			serve(s.t, of.host, ":"+port, func(c net.Conn) { answerWeb(c, s.certificate) })
		}
		for _, port := range []string{"25", "587"} {
			serve(s.t, of.host, ":"+port, answerMail)
		}
		silent := must[net.PacketConn](s.t)(of.host.ListenPacket("udp", ":1358"))
		s.t.Cleanup(func() { _ = silent.Close() })
		for _, family := range []string{"-4", "-6"} {
			var batch strings.Builder
			for _, address := range checkedAddresses(s.text) {
				if address.Is4() == (family == "-4") {
					fmt.Fprintf(&batch, "route add local %s dev lo\n", address)
				}
			}
			ip := of.host.Command(s.t.Context(), "ip", family, "-batch", "-")
			ip.Stdin = strings.NewReader(batch.String())
			if out, err := ip.CombinedOutput(); err != nil {
				s.t.Fatalf("%v: %s", err, out)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(s.dir, "up"), nil, 0o600); err != nil {
		s.t.Fatal(err)
	}
	all := keepalivedEffect(s.t, s.conf, effect.ThisHost).Rules
	want, _ := comparableTables(severalHosts.ReplaceAllString(strings.Join(all, "\n"), ""), "", sampleSorry)
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	var theirs, ours string
	if err := lab.Await(ctx, func() bool {
		theirs, ours = comparableTables(s.table(s.theirs), s.table(s.ours), sampleSorry)
		theirs, ours = s.comparable(severalHosts.ReplaceAllString(theirs, "")), s.comparable(severalHosts.ReplaceAllString(ours, ""))
		return theirs == ours && theirs == s.comparable(want)
	}); err != nil {
		s.t.Errorf("%s, with servers that answer: keepalived's\n%s\nonly lvs-ha's\n%s\nlvs-ha's lacks\n%s\nkeepalived's lacks\n%s", s.name,
			theirs, without(ours, theirs), without(theirs, ours), without(s.comparable(want), theirs))
	}
}

// severalHosts are the servers with an SMTP_CHECK of several hosts: while the test kernel is busy, keepalived 2.2 does not read all answers
// in time, and takes them out again.
var severalHosts = regexp.MustCompile(`(?m)^-a .* -r 172\.16\.1\.1[12]:25 .*$`)

var checkedAddress = regexp.MustCompile(`(?m)^\s*(?:real_server|connect_ip|bindto)\s+([0-9a-f.:]+)`)

// checkedAddresses returns the addresses to which checks connect, and from which.
func checkedAddresses(text string) (all []netip.Addr) {
	have := map[netip.Addr]bool{}
	for _, m := range checkedAddress.FindAllStringSubmatch(text, -1) {
		if a, err := netip.ParseAddr(m[1]); err == nil && !have[a] {
			have[a] = true
			all = append(all, a)
		}
	}
	return all
}

func serve(t *testing.T, host *lab.Node, address string, answer func(net.Conn)) {
	t.Helper()
	listener := must[net.Listener](t)(host.Listen("tcp", address))
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(time.Minute))
				answer(c)
			}()
		}
	}()
}

// answerWeb answers requests for a page, with and without TLS.
func answerWeb(c net.Conn, certificate *lab.Certificate) {
	in := bufio.NewReader(c)
	first, err := in.Peek(1)
	if err != nil {
		return
	}
	conn := net.Conn(&peeked{c, in})
	if first[0] == 0x16 { // a handshake (RFC 8446, 5.1)
		conn = tls.Server(conn, certificate.Server())
		in = bufio.NewReader(conn)
	}
	if _, err := http.ReadRequest(in); err != nil {
		return
	}
	fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(samplePage), samplePage)
	_ = conn.Close()
}

// peeked is a connection from which something was read in advance.
type peeked struct {
	net.Conn
	in *bufio.Reader
}

func (p *peeked) Read(b []byte) (int, error) { return p.in.Read(b) }

// answerMail greets and agrees to everything.
func answerMail(c net.Conn) {
	_, _ = io.WriteString(c, "220 mail\r\n")
	for in := bufio.NewScanner(c); in.Scan(); {
		if strings.HasPrefix(strings.ToUpper(in.Text()), "QUIT") {
			_, _ = io.WriteString(c, "221 bye\r\n")
			return
		}
		_, _ = io.WriteString(c, "250 mail\r\n")
	}
}

// answerNames agrees to all requests of names, from the address that was asked.
func answerNames(c *net.UDPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1) })
	for b, about := make([]byte, 512), make([]byte, 512); err == nil; {
		var n, of int
		var from netip.AddrPort
		if n, of, _, from, err = c.ReadMsgUDPAddrPort(b, about); err == nil && n > 2 {
			b[2] |= 0x80 // it is an answer (RFC 1035, 4.1.1)
			_, _, _ = c.WriteMsgUDPAddrPort(b[:n], about[:of], from)
		}
	}
}
