package speaker

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// fullHouse is every virtual router id of a network.
func fullHouse(priority uint8, interval time.Duration) (out []vrrp.Instance) {
	for id := 1; id <= 255; id++ {
		in := instance(3, vrrp.IPv4, priority, interval)
		in.Name, in.VirtualRouterID = fmt.Sprintf("v%d", id), uint8(id)
		in.Addresses = []vrrp.Address{{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 10, 0, byte(id)}), 32)}}
		out = append(out, in)
	}
	return out
}

// TestHostFullHouse fails 255 masters over at once.
func TestHostFullHouse(t *testing.T) {
	attempts(t, func(n *lan) error {
		a, b := newStation(t, n.a), newStation(t, n.b)
		a.want(fullHouse(200, 100*time.Millisecond)...)
		for id := 1; id <= 255; id++ {
			a.awaitState(fmt.Sprintf("v%d", id), vrrp.Master)
		}
		b.want(fullHouse(100, 100*time.Millisecond)...)
		for id := 1; id <= 255; id++ {
			b.await(fmt.Sprintf("v%d", id), "backup of a", func(s vrrp.Status) bool { return s.State == vrrp.Backup && s.MasterPriority == 200 })
		}
		mark := n.capture.mark()
		a.kill()
		for id := 1; id <= 255; id++ {
			b.awaitState(fmt.Sprintf("v%d", id), vrrp.Master)
		}
		macB, adverts, announced := macOf(t, n.b, "eth0"), map[uint8]bool{}, map[netip.Addr]bool{}
		var first, last time.Time
		n.capture.await(t, mark, "all of b's announcements", func(s seen) bool {
			if s.mac != macB {
				return false
			}
			if first.IsZero() {
				first = s.at
			}
			if s.advert != nil {
				adverts[s.advert.VirtualRouterID] = true
			}
			if s.arpOp != 0 {
				announced[s.announc] = true
			}
			last = s.at
			return len(adverts) == 255 && len(announced) == 255
		})
		t.Logf("255 routers taken over, first advert to last announcement: %s", last.Sub(first))
		for id := 1; id <= 255; id++ {
			if st := b.status(fmt.Sprintf("v%d", id)); st.Transitions != 1 {
				return fmt.Errorf("b has become master %d times: %+v", st.Transitions, st)
			}
		}
		if got := len(prefixes(t, n.b, "eth0")); got < 255 {
			return fmt.Errorf("b has %d addresses", got)
		}
		return nil
	})
}

// TestHostRealtime looks at the threads of a running speaker.
func TestHostRealtime(t *testing.T) {
	n := newLAN(t)
	a := newStation(t, n.a)
	a.want(instance(3, vrrp.IPv4, 100, 10*time.Millisecond))
	a.awaitState("v", vrrp.Master)
	pid := a.cmd.Process.Pid
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(files) < 3 {
		t.Fatalf("threads: %v, %v", files, err)
	}
	loops := 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		// proc(5): fields 40 and 41 are the priority and the policy; field 2, in parentheses, may hold blanks.
		_, rest, _ := strings.Cut(string(b), ") ")
		fields := strings.Fields(rest)
		switch priority, policy := fields[37], fields[38]; {
		case policy != "1":
			t.Errorf("%s: policy %s, want SCHED_FIFO", f, policy)
		case priority == fmt.Sprint(loopPriority):
			loops++
		case priority != fmt.Sprint(processPriority):
			t.Errorf("%s: priority %s", f, priority)
		}
	}
	if loops != 1 {
		t.Errorf("%d threads have the loop's priority", loops)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(status), "VmLck:\t       0 kB") {
		t.Error("no memory is locked")
	}
}
