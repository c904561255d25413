package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/config"
)

// tcpAddress is a TCP endpoint. Its files are read when they are needed, and again when they have changed.
type tcpAddress struct {
	config.APIListen
	sockets *sockets
	origins *http.CrossOriginProtection
	tls     reread[*tls.Config]
	token   reread[[sha256.Size]byte]
}

func newTCPAddress(c config.APIListen, s *sockets) *tcpAddress {
	t := &tcpAddress{APIListen: c, sockets: s, origins: http.NewCrossOriginProtection()}
	t.tls = reread[*tls.Config]{paths: []string{c.Certificate, c.Key, c.ClientCA}, read: t.readTLS}
	t.token = reread[[sha256.Size]byte]{paths: []string{c.Token}, read: t.readToken}
	return t
}

func (t *tcpAddress) name() string { return t.Address.String() }

func (t *tcpAddress) socket() string { return "tcp " + t.name() }

func (t *tcpAddress) isLost() bool { return false }

// open listens on the address, which may be absent, for example a virtual address of a backup.
func (t *tcpAddress) open() (net.Listener, error) {
	if t.Token != "" {
		if _, err := t.token.get(); err != nil {
			return nil, err
		}
	}
	listen := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		failed := c.Control(func(fd uintptr) {
			if t.Address.Addr().Is6() {
				err = unix.SetsockoptInt(int(fd), unix.SOL_IPV6, unix.IPV6_FREEBIND, 1)
			} else {
				err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_FREEBIND, 1)
			}
		})
		return errors.Join(failed, err)
	}}
	var cfg *tls.Config
	if t.Certificate != "" {
		if _, err := t.tls.get(); err != nil {
			return nil, err
		}
		cfg = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return t.tls.get() }}
	}
	l, err := t.sockets.listener(t.socket(), func() (net.Listener, error) {
		l, err := listen.Listen(context.Background(), "tcp", t.Address.String())
		if err != nil {
			return nil, fmt.Errorf("listening for the API: %w", err)
		}
		return l, nil
	})
	if err != nil {
		return nil, err
	}
	if cfg != nil {
		l = tls.NewListener(l, cfg)
	}
	return l, nil
}

func (t *tcpAddress) readTLS() (*tls.Config, error) {
	certificate, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate of the API: %w", err)
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}, NextProtos: []string{"http/1.1"}}
	if t.ClientCA == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(t.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("reading the authorities of the API's clients: %w", err)
	}
	cfg.ClientCAs = x509.NewCertPool()
	if !cfg.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading the authorities of the API's clients: %s has no certificate in PEM format", t.ClientCA)
	}
	cfg.ClientAuth = tls.RequireAndVerifyClientCert
	if t.Token != "" {
		cfg.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return cfg, nil
}

// Sizes of a token in bytes.
const (
	minToken = 16
	maxToken = 4096
)

func (t *tcpAddress) readToken() (digest [sha256.Size]byte, err error) {
	f, err := os.Open(t.Token)
	if err != nil {
		return digest, fmt.Errorf("reading the token of the API: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	if err != nil {
		return digest, fmt.Errorf("reading the token of the API: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if len(token) < minToken || len(text) > maxToken {
		return digest, fmt.Errorf("the token of the API in %s has %d bytes, must have %d to %d: write a new one with `head -c 24 /dev/urandom | base64`", t.Token, len(token), minToken, maxToken)
	}
	return sha256.Sum256([]byte(token)), nil
}

// identify admits clients with a certificate or the token; without either of them in the configuration, all. Those are on this
// host, and a web page that their browser shows is kept out.
func (t *tcpAddress) identify(r *http.Request) (caller, error) {
	if err := t.origins.Check(r); err != nil {
		return caller{}, &Error{Status: http.StatusForbidden, Err: err}
	}
	may := mayRead
	if t.Write {
		may = mayWrite
	}
	from := " from " + r.RemoteAddr
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return caller{r.TLS.VerifiedChains[0][0].Subject.CommonName + from, may}, nil
	}
	if t.Token != "" {
		want, err := t.token.get()
		if err != nil {
			return caller{}, err
		}
		given := sha256.Sum256([]byte(tokenOf(r)))
		if subtle.ConstantTimeCompare(given[:], want[:]) != 1 {
			return caller{}, &Error{Status: http.StatusUnauthorized, Err: errors.New("the token is missing or wrong")}
		}
		return caller{"token" + from, may}, nil
	}
	if t.ClientCA != "" {
		return caller{}, &Error{Status: http.StatusUnauthorized, Err: errors.New("a client certificate is needed")}
	}
	if !isLoopback(r.Host) {
		return caller{}, &Error{Status: http.StatusForbidden, Err: fmt.Errorf("the host %.100q is not a loopback address", r.Host)}
	}
	return caller{"local user" + from, may}, nil
}

// tokenOf returns the token of a request: as Bearer, or as the password of basic authentication, which browsers ask for.
func tokenOf(r *http.Request) string {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return token
	}
	_, password, _ := r.BasicAuth()
	return password
}

// isLoopback reports whether a Host header names this host. Another name may be that of a web site whose address changed to a
// loopback one, to read what only this host may read.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && address.IsLoopback()
}

// rereadAfter is how long files are used before they are looked at again.
const rereadAfter = 10 * time.Second

// reread is a value from files that is read again when one of them has changed. If that fails, the former value is kept.
type reread[T any] struct {
	paths []string
	read  func() (T, error)

	mu     sync.Mutex
	value  T
	state  string // of the files when they were read
	looked time.Time
}

func (r *reread[T]) get() (T, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state != "" && time.Since(r.looked) < rereadAfter {
		return r.value, nil
	}
	r.looked = time.Now()
	state := ""
	for _, path := range r.paths {
		if info, err := os.Stat(path); err == nil {
			state += fmt.Sprintf("%v %d\n", info.ModTime(), info.Size())
		} else {
			state += "-\n"
		}
	}
	if state == r.state {
		return r.value, nil
	}
	value, err := r.read()
	if err == nil {
		r.value, r.state = value, state
	} else if r.state != "" {
		err = nil
	}
	return r.value, err
}
