package healthcheck_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/healthcheck"
)

// The roles of the test binary in a benchmark. Each responds to a line on its standard input with a line of JSON, and exits
// at the end of its input.

const (
	benchServers  = 10_000
	benchPort     = 8080
	benchInterval = 1 * time.Second
)

// benchServer returns the loopback address of the i-th real server.
func benchServer(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 1, byte(i / 250), byte(1 + i%250)})
}

// processStart is the start of this process, almost.
var processStart = time.Now()

// usage is the response of a role.
type usage struct {
	Checks uint64        // received or made so far
	Bad    uint64        // checks of those
	CPU    time.Duration // user and system
	RSS    uint64        // bytes
	Port   uint16        // listening port, if not fixed

	// Of a checker:
	First time.Duration // from the start of the process until each server was checked
	Downs []int64       // when servers were found to be down, in nanoseconds of the wall clock

	// Of an overloaded checker:
	Local  uint64        // checks that could not be run
	Lack   string        // why the last of those could not be run
	Liars  uint64        // servers that are up and were taken down
	Dead   uint64        // dead servers that were found
	Late   time.Duration // the latest start since the last question
	Stalls uint64
	Warned bool
}

func answer(f func() usage) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		_ = json.NewEncoder(os.Stdout).Encode(f())
	}
}

// playServers runs all real servers in one process.
func playServers() {
	var config net.ListenConfig
	config.SetMultipathTCP(false) // as on most real servers
	ln, err := config.Listen(context.Background(), "tcp4", fmt.Sprintf("0.0.0.0:%d", benchPort))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var accepted atomic.Uint64
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			go answerHTTP(c)
		}
	}()
	secured, err := tls.Listen("tcp4", fmt.Sprintf("0.0.0.0:%d", benchPort+2), &tls.Config{Certificates: []tls.Certificate{makeChain(0)}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go func() {
		for {
			c, err := secured.Accept()
			if err != nil {
				return
			}
			go answerHTTP(c)
		}
	}()
	answer(func() usage { return usage{Checks: accepted.Load()} })
}

const benchResponse = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"

// answerHTTP answers one request, or none if the client only connects.
func answerHTTP(c net.Conn) {
	defer c.Close()
	var b [2048]byte
	for n := 0; !bytes.HasSuffix(b[:n], []byte("\r\n\r\n")); {
		k, err := c.Read(b[n:])
		if err != nil {
			return
		}
		n += k
	}
	_, _ = c.Write([]byte(benchResponse))
}

// playChecker runs a scheduler with one check for each real server.
func playChecker() {
	if path := os.Getenv("LVS_HA_BENCH_PROFILE"); path != "" {
		f, err := os.Create(path)
		if err == nil && pprof.StartCPUProfile(f) == nil {
			defer pprof.StopCPUProfile()
		}
	}
	spec := healthcheck.Spec{
		Interval: benchInterval, Timeout: time.Second, Rise: 1, Fall: 1,
		Check: healthcheck.Kinds[healthcheck.Kind(os.Getenv("LVS_HA_BENCH_KIND"))](),
	}
	var results, bad atomic.Uint64
	var mu sync.Mutex
	var first time.Duration
	var downs []int64
	seen := map[string]bool{}
	s := healthcheck.NewScheduler(healthcheck.Options{Report: func(e healthcheck.Event) {
		results.Add(1)
		if !e.Result.OK {
			bad.Add(1)
		}
		if !e.Changed {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if seen[e.Key] = true; len(seen) == benchServers && first == 0 {
			first = time.Since(processStart)
		}
		if e.State == healthcheck.Down {
			downs = append(downs, time.Now().UnixNano())
		}
	}})
	var targets []healthcheck.Target
	for i := range benchServers {
		targets = append(targets, healthcheck.NewTarget(benchServer(i), benchPort, spec))
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
		var r unix.Rusage
		_ = unix.Getrusage(unix.RUSAGE_SELF, &r)
		mu.Lock()
		defer mu.Unlock()
		return usage{
			First: first, Downs: downs, Checks: results.Load(), Bad: bad.Load(), RSS: residentBytes("self"),
			CPU: time.Duration(r.Utime.Nano() + r.Stime.Nano()),
		}
	})
	cancel()
	<-ended
	runtime.KeepAlive(s)
}

// residentBytes returns the resident set size of a process, or 0 if it is not available.
func residentBytes(pid string) uint64 {
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	var kilobytes uint64
	_, _ = fmt.Sscanf(rest, "%d kB", &kilobytes)
	return kilobytes << 10
}
