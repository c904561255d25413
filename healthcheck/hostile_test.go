package healthcheck_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"

	. "github.com/lvs-ha/lvs-ha/healthcheck"
)

// hostileFarm starts the farm in a separate process, and returns its port.
func hostileFarm(t *testing.T) uint16 {
	t.Helper()
	farm := exec.CommandContext(t.Context(), os.Args[0])
	farm.Env = append(os.Environ(), envRole+"=hostile")
	farm.Stderr = os.Stderr
	in, err := farm.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := farm.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := farm.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = farm.Wait()
	})
	var u usage
	_, err = io.WriteString(in, "\n")
	line, err2 := bufio.NewReader(out).ReadBytes('\n')
	if err != nil || err2 != nil || json.Unmarshal(line, &u) != nil {
		t.Fatalf("the farm answers %q: %v, %v", line, err, err2)
	}
	return u.Port
}

// TestHostileServers checks that good servers among hostile ones are checked and stay up, and that memory is bounded.
func TestHostileServers(t *testing.T) {
	const each, mostMemory = 10, 24 << 20 // servers of each kind, and bytes
	port := hostileFarm(t)
	request := Request{Body: "(?i)HEALTHY|[^a-z]{1,100}!"}
	plain := Spec{Interval: time.Second, Timeout: time.Second, Rise: 1, Fall: 3, Check: &HTTP{request}}
	secured, verified := plain, plain
	secured.Check = &HTTPS{request, &TLS{SkipVerify: true}}
	verified.Check = &HTTPS{request, &TLS{ServerName: "www.example.com"}}
	var targets []Target
	good := map[netip.Addr]bool{}
	for a, kind := range answers {
		for i := range each {
			spec, address := plain, hostileServer(a, i)
			switch {
			case kind.tls && i%2 == 0 || a < 2 && kind.tls:
				spec = secured
			case kind.tls:
				spec = verified
			}
			if good[address] = a < 2; good[address] {
				spec.Timeout = 30 * time.Second // the test host may be busy
			}
			targets = append(targets, NewTarget(address, port, spec))
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var mu sync.Mutex
	var late time.Duration
	var twice int // servers that were checked twice
	checked, results := map[netip.Addr]int{}, map[string]int{}
	s := NewScheduler(Options{Report: func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		address := e.Target.Endpoint.Addr()
		if good[address] {
			late = max(late, e.Took)
		}
		if e.Result.OK || !good[address] {
			if checked[address]++; checked[address] == 2 {
				twice++
			}
		}
		if twice == len(targets) {
			cancel()
		}
		name := answers[address.As4()[2]].name
		if !good[address] && e.State == Up || good[address] && e.State != Up {
			t.Errorf("%s: %v: %+v", name, e.State, e.Result)
		}
		results[fmt.Sprint(name, ": ", e.Result.Detail)]++
	}})
	if err := s.Update(targets); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	before := heapInUse()
	var most uint64
	go func() { ended <- s.Run(ctx) }()
	for sample := time.Tick(20 * time.Millisecond); ctx.Err() == nil; <-sample {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapInuse+m.StackInuse-min(before, m.HeapInuse))
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if twice < len(targets) {
		t.Errorf("only %d of %d servers were checked twice: %v", twice, len(targets), checked)
	}
	if most > mostMemory {
		t.Errorf("the checks took %d KiB", most>>10)
	}
	t.Logf("at most %d KiB, the slowest check of a good server took %v", most>>10, late)
	for result, n := range results {
		t.Log(n, result)
	}
}
