package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// dataPath is the kernel state that forwarding requires.
type dataPath struct {
	services, servers int
	address           bool
	forwarding        string
}

// lookAtDataPath reads the data path of the calling thread's network namespace, the address last: what it sees with an address
// was so while the address was there.
func lookAtDataPath() (dataPath, error) {
	var files [3]string
	for i, file := range []string{"/proc/thread-self/net/ip_vs", "/proc/sys/net/ipv4/ip_forward", "/proc/thread-self/net/fib_trie"} {
		raw, err := os.ReadFile(file)
		if err != nil {
			return dataPath{}, err
		}
		files[i] = string(raw)
	}
	return dataPath{
		services:   strings.Count(files[0], "\nTCP "),
		servers:    strings.Count(files[0], "\n  -> ") - 1, // without the heading
		forwarding: strings.TrimSpace(files[1]),
		address:    strings.Contains(files[2], "192.0.2.100"),
	}, nil
}

// watchDataPath samples the data path every few milliseconds until stop is called, which returns all distinct samples.
func (p *place) watchDataPath() (stop func() []dataPath) {
	p.t.Helper()
	done, first := make(chan struct{}), make(chan struct{})
	var seen []dataPath
	var err error
	var watching sync.WaitGroup
	watching.Go(func() {
		err = p.host.Do(func() error {
			tick := time.NewTicker(3 * time.Millisecond)
			defer tick.Stop()
			for begun := sync.OnceFunc(func() { close(first) }); ; begun() {
				now, err := lookAtDataPath()
				if err != nil {
					begun()
					return err
				}
				if !slices.Contains(seen, now) {
					seen = append(seen, now)
				}
				select {
				case <-tick.C:
				case <-done:
					return nil
				}
			}
		})
	})
	<-first
	return func() []dataPath {
		close(done)
		watching.Wait()
		if err != nil {
			p.t.Fatal(err)
		}
		return seen
	}
}

// TestKernelNextParentTakesOver kills the parent, alone or with some of its workers, which may also be stopped, and immediately
// starts the next one. The data path must stay complete.
func TestKernelNextParentTakesOver(t *testing.T) {
	lab.Need(t, lab.Kernel)
	p := newPlace(t)
	// At an advert interval of 100 ms, a peer could take over before a process has started in the test kernel.
	p.configure(strings.Replace(withService, "100ms", "300ms", 1) + `
director { on_stop = "remove" }
sysctl { manage = true }
`)
	d := p.start()
	status := d.awaitStatus("master", isMaster)
	whole := dataPath{services: 1, servers: 1, address: true, forwarding: "1"}
	eventually(t, "the data path is complete", func() bool {
		stop := p.watchDataPath()
		seen := stop()
		return seen[len(seen)-1] == whole
	})
	for _, trouble := range []struct {
		name            string
		stopped, killed []string
	}{
		{"the parent", nil, nil},
		{"a stopped director", []string{"director"}, nil},
		{"a stopped speaker", []string{"speaker"}, nil},
		{"with the speaker", nil, []string{"speaker"}},
		{"with the director", nil, []string{"director"}},
		{"all", nil, []string{"speaker", "director"}},
	} {
		t.Run(trouble.name, func(t *testing.T) {
			stop := p.watchDataPath()
			var pids []int
			for _, name := range trouble.killed {
				pids = append(pids, d.worker(name))
			}
			for _, name := range trouble.stopped {
				if err := syscall.Kill(d.worker(name), syscall.SIGSTOP); err != nil {
					t.Fatal(err)
				}
			}
			for _, pid := range append([]int{d.cmd.Process.Pid}, pids...) {
				if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
			}
			// Its output ends only with that of its workers, which must not have to wait for so long.
			eventually(t, "the parent has ended", func() bool { return syscall.Kill(d.cmd.Process.Pid, 0) == syscall.ESRCH })
			d = p.start()
			before := status.Started
			status = d.awaitStatus("master by the next parent's workers", func(s api.Status) bool {
				return s.Started.After(before) && isMaster(s) && len(s.Problems) == 0
			})
			// If the speaker worked until the end, its successor is master immediately.
			if reason := status.VRRP[0].Reason; trouble.killed == nil && !slices.Contains(trouble.stopped, "speaker") && reason != "adopted" {
				t.Errorf("the speaker is master for %q", reason)
			}
			if seen := stop(); !slices.Equal(seen, []dataPath{whole}) {
				t.Errorf("the data path was %s, want %+v throughout", fmt.Sprintf("%+v", seen), whole)
			}
		})
	}
}

// TestKernelWorkersStopWithoutParent kills the parent, alone or with the speaker, and does not restart it: the workers must stop
// as configured and remove the address first.
func TestKernelWorkersStopWithoutParent(t *testing.T) {
	lab.Need(t, lab.Kernel)
	for name, killed := range map[string][]string{"the parent": nil, "with the speaker": {"speaker"}} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.configure(withService + `
director { on_stop = "remove" }
sysctl { manage = true }
`)
			d := p.start()
			d.awaitStatus("master", isMaster)
			look := func() (now dataPath) {
				err := p.host.Do(func() (err error) {
					now, err = lookAtDataPath()
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				return now
			}
			whole := dataPath{services: 1, servers: 1, address: true, forwarding: "1"}
			eventually(t, "the data path is complete", func() bool { return look() == whole })
			pids := []int{d.cmd.Process.Pid}
			for _, worker := range killed {
				pids = append(pids, d.worker(worker))
			}
			stop := p.watchDataPath()
			for _, pid := range pids {
				if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "everything is removed", func() bool { return look() == dataPath{forwarding: "0"} })
			for _, seen := range stop() {
				if seen.address && seen != whole {
					t.Errorf("while the address was there, the data path was %+v", seen)
				}
			}
		})
	}
}

// TestKernelClearedTableIsRepaired has a long repair_interval, and the kernel does not report the change.
func TestKernelClearedTableIsRepaired(t *testing.T) {
	lab.Need(t, lab.Kernel)
	p := newPlace(t)
	p.configure(withService + `director { repair_interval = "1h" }`)
	d := p.start()
	d.awaitStatus("master", isMaster)
	whole := func() bool {
		var now dataPath
		err := p.host.Do(func() (err error) {
			now, err = lookAtDataPath()
			return err
		})
		return err == nil && now.services == 1 && now.servers == 1
	}
	eventually(t, "the table is whole", whole)
	for _, args := range [][]string{{"-C"}, {"-D", "-t", "192.0.2.100:80"}, {"-d", "-t", "192.0.2.100:80", "-r", "192.0.2.7:80"}} {
		p.ipvsadm(args...)
		eventually(t, "the table is whole again", whole)
	}
}
