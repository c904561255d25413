package healthcheck_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// load is what a checker of TestHostTimedOverload has to do.
type load struct {
	Kinds    []healthcheck.Kind
	Servers  int // per kind
	Interval time.Duration
}

const envLoad = "LVS_HA_LOAD"

// deadServer is the number of a server whose port is closed.
const deadServer = 3

// playOverload runs the checks of a load.
func playOverload() {
	var want load
	if err := json.Unmarshal([]byte(os.Getenv(envLoad)), &want); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var mu sync.Mutex
	var u usage
	var log bytes.Buffer
	s := healthcheck.NewScheduler(healthcheck.Options{
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Report: func(e healthcheck.Event) {
			mu.Lock()
			defer mu.Unlock()
			u.Checks++
			dead := e.Target.Endpoint.Port() == benchPort+1
			switch {
			case e.Result.Local && !e.Stalled:
				u.Local++
				u.Lack = e.Result.Detail
			case !e.Result.OK && !dead:
				u.Bad++
			}
			if e.Changed && e.State == healthcheck.Down && !dead {
				u.Liars++
				if u.Liars <= 3 {
					fmt.Fprintln(os.Stderr, e.Target, e.Result.Detail)
				}
			}
			if dead && e.State == healthcheck.Down && u.Dead == 0 {
				u.Dead = 1
			}
			u.Late = max(u.Late, e.Late)
		},
	})
	spec := healthcheck.Spec{Interval: want.Interval, Timeout: time.Second, Rise: 1, Fall: 3}
	var targets []healthcheck.Target
	for _, kind := range want.Kinds {
		spec.Check = healthcheck.Kinds[kind]()
		port := uint16(benchPort)
		if https, ok := spec.Check.(*healthcheck.HTTPS); ok {
			https.TLS = &healthcheck.TLS{SkipVerify: true}
			port = benchPort + 2
		}
		for i := range want.Servers {
			to := port
			if i == deadServer {
				to = benchPort + 1
			}
			targets = append(targets, healthcheck.NewTarget(benchServer(i), to, spec))
		}
	}
	if err := s.Update(targets); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Run(ctx)
	}()
	answer(func() usage {
		mu.Lock()
		defer mu.Unlock()
		now := u
		u.Late = 0
		now.Stalls = s.Stats().Stalls
		now.Warned = strings.Contains(log.String(), "health checks run late")
		return now
	})
	cancel()
	<-ended
}

// TestHostTimedOverload gives checkers more than they can do, and takes from them what they need: they take no server down
// that is up, find the one that is dead, say that they are late, and recover.
func TestHostTimedOverload(t *testing.T) {
	lab.Need(t, lab.Host)
	host, err := lab.NewT(t, "overload").Host("checks")
	if err != nil {
		t.Fatal(err)
	}
	play(t, host, "servers")
	checker := func(t *testing.T, l load, env ...string) *part {
		text, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		return play(t, host, "overload", append(env, envLoad+"="+string(text))...)
	}
	wait := func(d time.Duration) { <-time.After(d) }

	for _, kind := range []healthcheck.Kind{"http", "https"} { // with and without the event loop
		t.Run("too many checks/"+string(kind), func(t *testing.T) {
			l := load{Kinds: []healthcheck.Kind{kind}, Servers: 10_000, Interval: 200 * time.Millisecond}
			if kind == "https" {
				l.Interval = 500 * time.Millisecond
			}
			c := checker(t, l, "GOMAXPROCS=1")
			wait(4 * time.Second)
			u := c.ask(t)
			t.Logf("%+v", u)
			if u.Liars != 0 || u.Dead == 0 {
				t.Errorf("%d servers taken down that are up; dead ones found: %d", u.Liars, u.Dead)
			}
			if !u.Warned || u.Late < l.Interval/2 {
				t.Errorf("checks were late by %v, warned: %v", u.Late, u.Warned)
			}
			c.stop()
		})
	}

	c := checker(t, load{Kinds: []healthcheck.Kind{"tcp", "http", "https"}, Servers: 100, Interval: 500 * time.Millisecond})
	pid := c.cmd.Process.Pid
	wait(1500 * time.Millisecond)
	// settled waits until the checks are on time again.
	settled := func(t *testing.T) usage {
		var u usage
		for range 100 {
			c.ask(t)
			wait(600 * time.Millisecond)
			if u = c.ask(t); u.Late < 100*time.Millisecond {
				break
			}
		}
		t.Logf("%+v", u)
		if u.Liars != 0 || u.Late >= 100*time.Millisecond {
			t.Errorf("%d servers taken down that are up; checks are late by %v", u.Liars, u.Late)
		}
		return u
	}
	t.Run("stopped", func(t *testing.T) {
		signal(t, pid, unix.SIGSTOP)
		wait(2500 * time.Millisecond)
		signal(t, pid, unix.SIGCONT)
		if u := settled(t); u.Stalls == 0 {
			t.Errorf("no stall was seen: %+v", u)
		}
	})
	t.Run("starved", func(t *testing.T) {
		for range 30 {
			signal(t, pid, unix.SIGSTOP)
			wait(95 * time.Millisecond)
			signal(t, pid, unix.SIGCONT)
			wait(5 * time.Millisecond)
		}
		settled(t)
	})
	t.Run("descriptors", func(t *testing.T) {
		limit := setOpenFiles(t, pid, 8)
		wait(1500 * time.Millisecond)
		during := c.ask(t)
		setOpenFiles(t, pid, limit)
		u := settled(t)
		if during.Local == 0 || !strings.Contains(during.Lack, "open files") || u.Dead == 0 {
			t.Errorf("during the shortage: %+v", during)
		}
	})
	t.Run("ports", func(t *testing.T) {
		before := portRange(t, host, "41000 41000")
		holder := play(t, host, "holder") // takes the only port to each server
		holder.ask(t)
		was := c.ask(t)
		wait(1500 * time.Millisecond)
		during := c.ask(t)
		holder.stop()
		portRange(t, host, before)
		settled(t)
		if during.Local == was.Local || !strings.Contains(during.Lack, "port") {
			t.Errorf("during the shortage: %+v, before %+v", during, was)
		}
	})
}

func signal(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatal(err)
	}
}

// setOpenFiles limits the open files of a process and returns the limit before.
func setOpenFiles(t *testing.T, pid int, limit uint64) (before uint64) {
	t.Helper()
	var now unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &now); err != nil {
		t.Fatal(err)
	}
	before, now.Cur = now.Cur, limit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &now, nil); err != nil {
		t.Fatal(err)
	}
	return before
}

// portRange sets the local ports of a host and returns those before.
func portRange(t *testing.T, host *lab.Node, ports string) (before string) {
	t.Helper()
	const path = "/proc/sys/net/ipv4/ip_local_port_range"
	err := host.Do(func() error {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		before = strings.Join(strings.Fields(string(text)), " ")
		return os.WriteFile(path, []byte(ports), 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	return before
}

// playHolder connects to the first 100 servers and keeps the connections.
func playHolder() {
	var held []int
	for i := range 100 {
		for _, port := range []uint16{benchPort, benchPort + 2} {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			server := netip.AddrPortFrom(benchServer(i), port)
			for range 2000 { // the port may be in use by a check
				if err = unix.Connect(fd, &unix.SockaddrInet4{Addr: server.Addr().As4(), Port: int(port)}); err == nil {
					break
				}
				<-time.After(time.Millisecond)
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, "hold the port to "+server.String()+": "+err.Error())
			}
			held = append(held, fd)
		}
	}
	answer(func() usage { return usage{Checks: uint64(len(held))} })
}
