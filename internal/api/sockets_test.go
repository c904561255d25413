package api

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/config"
)

// keptSockets is a process that keeps sockets.
type keptSockets struct {
	mu    sync.Mutex
	files map[string]int
}

func (k *keptSockets) kept() Kept {
	inherited := map[string]int{}
	for name, fd := range k.files {
		inherited[name], _ = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	}
	return Kept{
		Inherited: inherited,
		Keep: func(name string, fd int) error {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.files[name], _ = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
			return nil
		},
		Drop: func(name string) {
			k.mu.Lock()
			defer k.mu.Unlock()
			unix.Close(k.files[name])
			delete(k.files, name)
		},
	}
}

func (k *keptSockets) names() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var names []string
	for name := range k.files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// await waits until so returns true.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !so(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not %s", what)
		}
	}
}

// abandoned returns the socket of a listener that nobody serves.
func abandoned(t *testing.T, network, address string) (fd int) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	defer l.Close()
	if fd, err = duplicate(l); err != nil {
		t.Fatal(err)
	}
	return fd
}

// TestConnectionsWaitForTheNextDirector connects to sockets of a director that was killed: the next one answers.
func TestConnectionsWaitForTheNextDirector(t *testing.T) {
	path, address := filepath.Join(t.TempDir(), "api.sock"), freePort(t)
	group := groupName(t, os.Getgid())
	k := keptSockets{files: map[string]int{
		unixName + group:          abandoned(t, "unix", path),
		"tcp " + address.String(): abandoned(t, "tcp", address.String()),
	}}
	if err := os.Chmod(path, 0o660); err != nil {
		t.Fatal(err)
	}
	var waiting []net.Conn
	for network, address := range map[string]string{"unix": path, "tcp": address.String()} {
		conn, err := net.Dial(network, address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET /v1/version HTTP/1.0\r\nHost: localhost\r\n\r\n")
		waiting = append(waiting, conn)
	}
	ctx, stop := context.WithCancel(t.Context())
	l := Listen(ctx, path, &fakeDirector{}, nil, k.kept(), unreported, slog.New(slog.NewTextHandler(t.Output(), nil)))
	l.Configure(config.API{Group: group, Listen: []config.APIListen{{Address: address}}})
	for _, conn := range waiting {
		if answer, err := io.ReadAll(conn); err != nil || len(answer) == 0 {
			t.Errorf("%s: %q, %v", conn.RemoteAddr(), answer, err)
		}
	}
	stop()
	l.Wait()
	if got := k.names(); len(got) != 2 {
		t.Errorf("after a stop of the director, kept are %q: another process may be its successor", got)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("the Unix socket's file is left")
	}
}

// TestKeptSocketsFollowTheConfiguration: a socket is kept as long as the configuration has its address, whatever else it says of it.
func TestKeptSocketsFollowTheConfiguration(t *testing.T) {
	path, first, second := filepath.Join(t.TempDir(), "api.sock"), freePort(t), freePort(t)
	k := keptSockets{files: map[string]int{}}
	l := Listen(t.Context(), path, &fakeDirector{}, nil, k.kept(), unreported, slog.New(slog.NewTextHandler(t.Output(), nil)))
	t.Cleanup(l.Wait)
	want := func(what string, addresses ...netip.AddrPort) {
		t.Helper()
		names := []string{unixName}
		for _, a := range addresses {
			names = append(names, "tcp "+a.String())
		}
		slices.Sort(names)
		await(t, what, func() bool { return slices.Equal(k.names(), names) })
	}
	want("only the Unix socket")
	l.Configure(config.API{Listen: []config.APIListen{{Address: first}, {Address: second}}})
	want("two addresses", first, second)
	k.mu.Lock()
	before := k.files["tcp "+first.String()]
	k.mu.Unlock()
	f := newFiles(t)
	l.Configure(config.API{Listen: []config.APIListen{{Address: first, Certificate: f.path("cert.pem"), Key: f.path("key.pem")}}})
	want("one address", first)
	await(t, "TLS", func() bool {
		status, _ := ask(t, f.client(nil), http.MethodGet, "https://"+first.String()+"/v1/version")
		return status == http.StatusOK
	})
	if conn, err := net.Dial("tcp", second.String()); err == nil {
		conn.Close()
		t.Error("an address that is no longer configured accepts connections")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if now := k.files["tcp "+first.String()]; now != before {
		t.Error("another socket is kept for the same address")
	}
}

// TestKeptUnixSocketIsReplaced: one whose file is gone, or does not have the mode that the configuration requires, is not used again.
func TestKeptUnixSocketIsReplaced(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(path string) error
	}{
		{"deleted", os.Remove},
		{"wrong mode", func(path string) error { return os.Chmod(path, 0o666) }},
		{"another file", func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.WriteFile(path, nil, 0o600)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "api.sock")
			k := keptSockets{files: map[string]int{unixName: abandoned(t, "unix", path)}}
			if err := tt.change(path); err != nil {
				t.Fatal(err)
			}
			l := Listen(t.Context(), path, &fakeDirector{status: Status{Node: "lb1"}}, nil, k.kept(), unreported, slog.New(slog.NewTextHandler(t.Output(), nil)))
			t.Cleanup(l.Wait)
			awaitAnswer(t, path)
			if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != 0o600 && info.Mode().Perm() != 0o660 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
		})
	}
}
