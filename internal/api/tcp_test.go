package api

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// files has a certificate for 127.0.0.1 and a token.
type files struct {
	dir         string
	certificate *lab.Certificate
}

const token = "a-token-of-20-bytes!"

func newFiles(t *testing.T) *files {
	t.Helper()
	f := &files{dir: t.TempDir()}
	f.renew(t)
	f.write(t, "token", []byte(token+"\n"))
	return f
}

func (f *files) path(name string) string { return filepath.Join(f.dir, name) }

func (f *files) write(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(f.path(name), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// renew replaces the certificate.
func (f *files) renew(t *testing.T) {
	t.Helper()
	var err error
	if f.certificate, err = lab.NewCertificate("127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	key, err := f.certificate.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	f.write(t, "cert.pem", f.certificate.PEM)
	f.write(t, "key.pem", key)
}

// client returns a client that trusts the certificate, with a certificate of its own or nil.
func (f *files) client(own *lab.Certificate) *http.Client {
	cfg := &tls.Config{RootCAs: f.certificate.Pool()}
	if own != nil {
		cfg.Certificates = []tls.Certificate{own.Pair()}
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}}
}

// freePort returns a loopback address that nothing listens on.
func freePort(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// served serves the API at an address until the test ends.
func servedAt(t *testing.T, l config.APIListen) (*tcpAddress, string) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "api.sock")
	l.Address = freePort(t)
	listeners := Listen(t.Context(), socket, &fakeDirector{status: Status{Node: "lb1"}}, nil, Kept{}, unreported, slog.New(slog.NewTextHandler(t.Output(), nil)))
	t.Cleanup(listeners.Wait)
	listeners.Configure(config.API{Listen: []config.APIListen{l}})
	address := l.Address.String()
	for deadline := time.Now().Add(10 * time.Second); ; {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			return newTCPAddress(l, newSockets(Kept{}, nil)), address
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// ask sends a request and returns its status, 0 if the connection fails.
func ask(t *testing.T, client *http.Client, method, url string, change ...func(*http.Request)) (status int, header http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(r)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Log(err)
		return 0, nil
	}
	resp.Body.Close()
	return resp.StatusCode, resp.Header
}

func with(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// TestLoopbackIsReadOnlyAndForThisHost: without TLS anybody on this host may read. Nobody may change anything, and no web page
// that a browser on this host shows may read.
func TestLoopbackIsReadOnlyAndForThisHost(t *testing.T) {
	_, address := servedAt(t, config.APIListen{})
	plain := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	_, port, _ := strings.Cut(address, ":")
	for _, tt := range []struct {
		method, path string
		change       func(*http.Request)
		want         int
	}{
		{http.MethodGet, "/v1/status", func(*http.Request) {}, http.StatusOK},
		{http.MethodGet, "/v1/config", func(*http.Request) {}, http.StatusOK},
		{http.MethodGet, "/v1/status", func(r *http.Request) { r.Host = "localhost:" + port }, http.StatusOK},
		{http.MethodGet, "/v1/status", func(r *http.Request) { r.Host = "evil.example:" + port }, http.StatusForbidden},
		{http.MethodPost, "/v1/reload", func(*http.Request) {}, http.StatusForbidden},
		{http.MethodPost, "/v1/reload", with("Sec-Fetch-Site", "cross-site"), http.StatusForbidden},
		{http.MethodGet, "/v1/nothing", func(*http.Request) {}, http.StatusNotFound},
	} {
		if got, _ := ask(t, plain, tt.method, "http://"+address+tt.path, tt.change); got != tt.want {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.path, got, tt.want)
		}
	}
}

func TestToken(t *testing.T) {
	f := newFiles(t)
	l := config.APIListen{Certificate: f.path("cert.pem"), Key: f.path("key.pem"), Token: f.path("token")}
	_, address := servedAt(t, l)
	l.Write = true
	_, writing := servedAt(t, l)
	basic := func(r *http.Request) { r.SetBasicAuth("anybody", token) }
	for _, tt := range []struct {
		method, url string
		change      func(*http.Request)
		want        int
	}{
		{http.MethodGet, address + "/v1/status", with("Authorization", "Bearer "+token), http.StatusOK},
		{http.MethodGet, address + "/v1/status", basic, http.StatusOK},
		{http.MethodGet, address + "/v1/status", with("Authorization", "Bearer "+token+"x"), http.StatusUnauthorized},
		{http.MethodGet, address + "/v1/status", func(*http.Request) {}, http.StatusUnauthorized},
		{http.MethodPost, address + "/v1/reload", basic, http.StatusForbidden},
		{http.MethodPost, writing + "/v1/reload", basic, http.StatusOK},
		{http.MethodPost, writing + "/v1/reload", func(r *http.Request) { basic(r); r.Header.Set("Sec-Fetch-Site", "cross-site") }, http.StatusForbidden},
	} {
		got, header := ask(t, f.client(nil), tt.method, "https://"+tt.url, tt.change)
		if got != tt.want {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.url, got, tt.want)
		}
		if asks := header.Get("WWW-Authenticate") != ""; asks != (got == http.StatusUnauthorized) {
			t.Errorf("%s %s: %d, and asks for a token: %t", tt.method, tt.url, got, asks)
		}
	}
}

func TestClientCertificate(t *testing.T) {
	f := newFiles(t)
	own, err := lab.NewCertificate("operator")
	if err != nil {
		t.Fatal(err)
	}
	f.write(t, "clients.pem", own.PEM)
	stranger, err := lab.NewCertificate("stranger")
	if err != nil {
		t.Fatal(err)
	}
	l := config.APIListen{Certificate: f.path("cert.pem"), Key: f.path("key.pem"), ClientCA: f.path("clients.pem"), Write: true}
	_, only := servedAt(t, l)
	l.Token = f.path("token")
	_, either := servedAt(t, l)
	bearer := with("Authorization", "Bearer "+token)
	for _, tt := range []struct {
		name   string
		client *http.Client
		url    string
		change func(*http.Request)
		want   int
	}{
		{"certificate", f.client(own), only, func(*http.Request) {}, http.StatusOK},
		{"none", f.client(nil), only, func(*http.Request) {}, 0},
		{"another's", f.client(stranger), only, func(*http.Request) {}, 0},
		{"certificate, or a token", f.client(own), either, func(*http.Request) {}, http.StatusOK},
		{"token, or a certificate", f.client(nil), either, bearer, http.StatusOK},
		{"neither", f.client(nil), either, func(*http.Request) {}, http.StatusUnauthorized},
	} {
		if got, _ := ask(t, tt.client, http.MethodPost, "https://"+tt.url+"/v1/reload", tt.change); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

// TestRenewedFilesAreUsed replaces certificate and token, as certbot does: they count without a reload. An unreadable one does not.
func TestRenewedFilesAreUsed(t *testing.T) {
	f := newFiles(t)
	at := newTCPAddress(config.APIListen{Certificate: f.path("cert.pem"), Key: f.path("key.pem"), Token: f.path("token")}, newSockets(Kept{}, nil))
	served := func() *x509.Certificate {
		cfg, err := at.tls.get()
		if err != nil {
			t.Fatal(err)
		}
		at.tls.looked = time.Time{} // as if it were a while ago
		parsed, err := x509.ParseCertificate(cfg.Certificates[0].Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	first := served()
	f.renew(t)
	second := served()
	if second.Equal(first) {
		t.Error("the old certificate is still used")
	}
	f.write(t, "cert.pem", []byte("half a certifi"))
	if third := served(); !third.Equal(second) {
		t.Error("the last usable certificate is not used")
	}
	f.write(t, "token", []byte("short\n"))
	if _, err := at.token.get(); err == nil || !strings.Contains(err.Error(), f.path("token")) {
		t.Errorf("a short token: %v", err)
	}
}

// TestGroupMayRead: the socket is open to a group that is configured, and to nobody else if there is no such group.
func TestGroupMayRead(t *testing.T) {
	gid := os.Getgid()
	for _, tt := range []struct {
		group string
		want  os.FileMode
	}{{groupName(t, gid), 0o660}, {"no-such-group-here", 0o600}} {
		u := &unixSocket{path: filepath.Join(t.TempDir(), "api.sock"), group: tt.group, sockets: newSockets(Kept{}, nil), log: slog.New(slog.NewTextHandler(t.Output(), nil))}
		l, err := u.open()
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(u.path)
		if err != nil || info.Mode().Perm() != tt.want {
			t.Errorf("group %s: %v, %v, want mode %o", tt.group, info.Mode(), err, tt.want)
		}
		l.Close()
	}
}

// TestNewGroupKeepsTheRequest reloads a configuration with another group: the request that did so gets its answer.
func TestNewGroupKeepsTheRequest(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "api.sock")
	d := &heldDirector{asked: make(chan struct{}), answer: make(chan struct{})}
	listeners := Listen(t.Context(), socket, d, nil, Kept{}, unreported, slog.New(slog.NewTextHandler(t.Output(), nil)))
	t.Cleanup(listeners.Wait)
	reloaded := make(chan error, 1)
	go func() { _, err := NewClient(socket).Reload(t.Context()); reloaded <- err }()
	<-d.asked
	before, err := os.Stat(socket)
	if err != nil {
		t.Fatal(err)
	}
	listeners.Configure(config.API{Group: groupName(t, os.Getgid())})
	for deadline := time.Now().Add(10 * time.Second); ; {
		if after, err := os.Stat(socket); err == nil && !os.SameFile(before, after) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the socket stays")
		}
		<-time.After(5 * time.Millisecond)
	}
	awaitAnswer(t, socket)
	close(d.answer)
	if err := <-reloaded; err != nil {
		t.Error(err)
	}
}

func groupName(t *testing.T, gid int) string {
	t.Helper()
	g, err := user.LookupGroupId(strconv.Itoa(gid))
	if err != nil {
		t.Fatal(err)
	}
	return g.Name
}

func unreported(string, error) {}

// TestUnservedAddressIsReported: an address whose token is missing is reported until it is there, or until the configuration no
// longer has the address.
func TestUnservedAddressIsReported(t *testing.T) {
	f := newFiles(t)
	if err := os.Remove(f.path("token")); err != nil {
		t.Fatal(err)
	}
	type report struct {
		address string
		err     error
	}
	reports := make(chan report, 8)
	listeners := Listen(t.Context(), filepath.Join(t.TempDir(), "api.sock"), &fakeDirector{}, nil, Kept{},
		func(address string, err error) { reports <- report{address, err} }, slog.New(slog.NewTextHandler(t.Output(), nil)))
	t.Cleanup(listeners.Wait)
	l := config.APIListen{Address: freePort(t), Certificate: f.path("cert.pem"), Key: f.path("key.pem"), Token: f.path("token")}
	expect := func(missing string) {
		t.Helper()
		got := <-reports
		if got.address != l.Address.String() || (got.err != nil) != (missing != "") {
			t.Fatalf("reported %s: %v", got.address, got.err)
		}
		if got.err != nil && !strings.Contains(got.err.Error(), missing) {
			t.Errorf("reported %v, which does not name %s", got.err, missing)
		}
	}
	listeners.Configure(config.API{Listen: []config.APIListen{l}})
	expect(l.Token)
	f.write(t, "token", []byte(token+"\n"))
	expect("")
	l.Token = f.path("another-token")
	listeners.Configure(config.API{Listen: []config.APIListen{l}})
	expect("") // the endpoint before is no longer wanted
	expect(l.Token)
	listeners.Configure(config.API{})
	expect("")
}

// TestAddressThatIsReleasedIsNotReported: at an upgrade from a version that does not pass its sockets on, the replaced director holds
// the address for a moment.
func TestAddressThatIsReleasedIsNotReported(t *testing.T) {
	before, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listeners := Listen(t.Context(), filepath.Join(t.TempDir(), "api.sock"), &fakeDirector{}, nil, Kept{},
		func(address string, err error) { t.Errorf("reported %s: %v", address, err) }, slog.New(slog.NewTextHandler(t.Output(), nil)))
	t.Cleanup(listeners.Wait)
	listeners.Configure(config.API{Listen: []config.APIListen{{Address: before.Addr().(*net.TCPAddr).AddrPort()}}})
	time.Sleep(listenRetry / 2)
	before.Close()
	plain := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if status, _ := ask(t, plain, http.MethodGet, "http://"+before.Addr().String()+"/v1/status"); status == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("not served")
		}
	}
}
