package discovery

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/discovery/discoverytest"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// serve starts a name server on loopback and returns its address.
func serve(t *testing.T, s *discoverytest.Nameserver) netip.AddrPort {
	t.Helper()
	udp, tcp, err := discoverytest.Listen("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(udp, tcp) }()
	t.Cleanup(func() { udp.Close(); tcp.Close(); <-done })
	return netip.MustParseAddrPort(udp.LocalAddr().String())
}

func dnsOf(kind string, resolvers ...netip.AddrPort) *dnsSource {
	return &dnsSource{DNSSource: config.DNSSource{
		Name: "web.example.com", Type: kind, Family: ipvs.IPv4, Resolvers: resolvers, Timeout: 5 * time.Second, MinTTL: time.Second, MaxTTL: time.Minute,
	}}
}

func list(servers []config.ListedServer) string {
	var words []string
	for _, s := range servers {
		word := s.String()
		if s.Weighted {
			word += fmt.Sprintf("=%d", s.Weight)
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func TestAddressRecords(t *testing.T) {
	var s discoverytest.Nameserver
	at := serve(t, &s)
	s.SetAlias("WEB.example.com", 300, "pool.example.com")
	s.SetAddresses("pool.example.com", 20, "10.0.0.6", "10.0.0.5", "2001:db8::5")
	a, err := dnsOf("A", at).ask(t.Context())
	if err != nil || list(a.servers) != "10.0.0.5 10.0.0.6" || a.valid != 20*time.Second {
		t.Errorf("%s for %s, %v", list(a.servers), a.valid, err)
	}
	a, err = dnsOf("AAAA", at).ask(t.Context())
	if err != nil || list(a.servers) != "2001:db8::5" {
		t.Errorf("%s, %v", list(a.servers), err)
	}
	s.SetAddresses("pool.example.com", 0, "10.0.0.6")
	if a, _ := dnsOf("A", at).ask(t.Context()); a.valid != time.Second {
		t.Errorf("a TTL of 0 is valid for %s", a.valid)
	}
	s.SetAlias("pool.example.com", 20, "web.example.com")
	s.SetAddresses("web.example.com", 3600, "10.0.0.6")
	if a, _ := dnsOf("A", at).ask(t.Context()); a.valid != time.Minute {
		t.Errorf("a TTL of an hour is valid for %s", a.valid)
	}
}

func TestLongAnswersComeOverTCP(t *testing.T) {
	var s discoverytest.Nameserver
	at := serve(t, &s)
	var many []string
	for i := range 500 {
		many = append(many, fmt.Sprintf("10.0.%d.%d", i/250, i%250))
	}
	s.SetAddresses("web.example.com", 20, many...)
	a, err := dnsOf("A", at).ask(t.Context())
	if err != nil || len(a.servers) != 500 || s.Queries("tcp") != 1 {
		t.Errorf("%d servers, %d queries over TCP, %v", len(a.servers), s.Queries("tcp"), err)
	}
}

func TestServiceRecords(t *testing.T) {
	var s discoverytest.Nameserver
	at := serve(t, &s)
	s.SetServices("web.example.com", 20,
		discoverytest.SRV{Priority: 10, Weight: 5, Port: 8080, Target: "a.example.com"}, discoverytest.SRV{Priority: 10, Weight: 0, Port: 8081, Target: "b.example.com"},
		discoverytest.SRV{Priority: 20, Weight: 5, Port: 8080, Target: "c.example.com"}, discoverytest.SRV{Priority: 10, Weight: 5, Port: 8080, Target: "gone.example.com"})
	s.SetAddresses("a.example.com", 5, "10.0.0.5", "2001:db8::5")
	s.SetAddresses("b.example.com", 30, "10.0.0.6", "10.0.0.7")
	a, err := dnsOf("SRV", at).ask(t.Context())
	if err != nil || list(a.servers) != "10.0.0.5:8080=5 10.0.0.6:8081=1 10.0.0.7:8081=1" || a.valid != time.Second {
		t.Errorf("%s for %s, %v", list(a.servers), a.valid, err)
	}
	v6 := dnsOf("SRV", at)
	v6.Family = ipvs.IPv6
	if a, err := v6.ask(t.Context()); err != nil || list(a.servers) != "[2001:db8::5]:8080=5" {
		t.Errorf("%s, %v", list(a.servers), err)
	}
	s.SetServices("web.example.com", 20, discoverytest.SRV{Target: "."})
	if a, err := dnsOf("SRV", at).ask(t.Context()); err != nil || len(a.servers) > 0 {
		t.Errorf("%s, %v", list(a.servers), err)
	}
}

// TestResolversInTurn checks that a resolver that fails is followed by the next, but not one that answers that there is no such name.
func TestResolversInTurn(t *testing.T) {
	var bad, good discoverytest.Nameserver
	first, second := serve(t, &bad), serve(t, &good)
	closed := closedPort(t)
	good.SetAddresses("web.example.com", 20, "10.0.0.5")
	source := dnsOf("A", closed, first, second)
	for _, code := range []dnsmessage.RCode{dnsmessage.RCodeServerFailure, dnsmessage.RCodeRefused, dnsmessage.RCodeFormatError} {
		bad.Fail(code)
		if a, err := source.ask(t.Context()); err != nil || list(a.servers) != "10.0.0.5" {
			t.Errorf("%s: %s, %v", code, list(a.servers), err)
		}
	}
	bad.Fail(dnsmessage.RCodeSuccess)
	if a, err := source.ask(t.Context()); err != nil || len(a.servers) > 0 {
		t.Errorf("no such name: %s, %v", list(a.servers), err)
	}
	bad.Silence(true)
	source.Timeout = 50 * time.Millisecond
	source.Resolvers = []netip.AddrPort{first, first}
	if _, err := source.ask(t.Context()); err == nil || bad.Queries("udp") < 4 {
		t.Errorf("%v after %d queries", err, bad.Queries("udp"))
	}
}

func closedPort(t *testing.T) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return netip.MustParseAddrPort(conn.LocalAddr().String())
}

func TestResolversOfTheHost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	source := dnsOf("A")
	source.resolvConf = path
	if _, err := source.ask(t.Context()); err == nil {
		t.Error("no error without the file")
	}
	if err := os.WriteFile(path, []byte("search example.com\nnameserver x\nnameserver 192.0.2.53 # first\nnameserver fe80::1%lo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := configuredResolvers(path)
	want := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53"), netip.MustParseAddrPort("[fe80::1%lo]:53")}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// question is that of the fuzz target's answers.
var question = dnsmessage.Question{Name: dnsmessage.MustNewName("web.example.com."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}

func answerOf(q dnsmessage.Question, resources ...dnsmessage.Resource) []byte {
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: 7, Response: true}, Questions: []dnsmessage.Question{q}, Answers: resources}
	packed, _ := m.Pack()
	return packed
}

func TestForeignAnswers(t *testing.T) {
	h := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: 5}
	a := dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: [4]byte{10, 0, 0, 5}}}
	good := answerOf(question, a)
	if r, err := parse(good, 7, question); err != nil || len(r.addresses) != 1 {
		t.Errorf("%v, %v", r, err)
	}
	if _, err := parse(good, 8, question); err != errOther {
		t.Errorf("another ID: %v", err)
	}
	other := question
	other.Name = dnsmessage.MustNewName("db.example.com.")
	if _, err := parse(answerOf(other, a), 7, question); err != errOther {
		t.Errorf("another question: %v", err)
	}
	a.Header.Name = other.Name
	if r, err := parse(answerOf(question, a), 7, question); err != nil || len(r.addresses) > 0 {
		t.Errorf("records of another name: %v, %v", r, err)
	}
	if _, err := parse(good[:len(good)-1], 7, question); err != errMalformed {
		t.Errorf("a cut answer: %v", err)
	}
}

// TestEmptyAnswersHaveATime checks that a negative answer is valid for as long as its SOA record says (RFC 2308 section 5).
func TestEmptyAnswersHaveATime(t *testing.T) {
	zone := dnsmessage.MustNewName("example.com.")
	m := dnsmessage.Message{
		Header: dnsmessage.Header{ID: 7, Response: true, RCode: dnsmessage.RCodeNameError}, Questions: []dnsmessage.Question{question},
		Authorities: []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: zone, Class: dnsmessage.ClassINET, TTL: 30}, Body: &dnsmessage.SOAResource{NS: zone, MBox: zone, MinTTL: 11},
		}},
	}
	packed, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if r, err := parse(packed, 7, question); err != nil || r.ttl != 11*time.Second {
		t.Errorf("valid for %s, %v", r.ttl, err)
	}
}

// FuzzAnswer checks that no answer causes a crash, an invalid address or an endless chain of aliases.
func FuzzAnswer(f *testing.F) {
	h := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: 5}
	f.Add(answerOf(question, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: [4]byte{10, 0, 0, 5}}}))
	f.Add(answerOf(question, dnsmessage.Resource{Header: h, Body: &dnsmessage.CNAMEResource{CNAME: question.Name}}))
	f.Add(answerOf(question, dnsmessage.Resource{Header: h, Body: &dnsmessage.SRVResource{Target: question.Name, Port: 80}}))
	f.Add(answerOf(question))
	f.Fuzz(func(t *testing.T, message []byte) {
		for _, kind := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA, dnsmessage.TypeSRV} {
			q := question
			q.Type = kind
			r, err := parse(message, 7, q)
			if err != nil {
				continue
			}
			for _, a := range r.addresses {
				if !a.IsValid() || a.Is4() != (kind == dnsmessage.TypeA) {
					t.Errorf("%v in an answer of type %v", a, kind)
				}
			}
			if r.ttl < 0 || len(r.services) > 0 && kind != dnsmessage.TypeSRV {
				t.Errorf("%+v", r)
			}
		}
	})
}
