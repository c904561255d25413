package e2e

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// histories lets the same happen to all hosts, and compares what both programs tell about it.
func histories(all []*imported) {
	each := func(do func(*side)) {
		for _, d := range all {
			do(d.theirs)
			do(d.ours)
		}
	}
	for _, step := range []struct {
		name   string
		happen func(*side)
		state  string // of all instances in the end
	}{
		{start, func(*side) {}, "MASTER"},
		{overtaken, (*side).takeOver, "MASTER"},
		{"link down", (*side).linkDown, "FAULT"},
		{"link up", (*side).linkUp, "MASTER"},
		{"stop", (*side).stop, "STOP"},
	} {
		each(step.happen)
		for _, d := range all {
			if d.compareCalls(step.name, step.state); d.t.Failed() {
				return
			}
		}
	}
}

const overtaken = "another router is master for a moment"

// compareCalls waits until all instances have changed their state and are in the given one, and until both programs have told the same
// since the last step.
func (d *imported) compareCalls(step, state string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	subjects := strings.Count("\n"+d.text, "\nvrrp_instance") + strings.Count("\n"+d.text, "\nvrrp_sync_group")
	if step == overtaken {
		subjects -= strings.Count(d.text, owner)
	}
	for name, s := range map[string]*side{"keepalived": d.theirs, "lvs-ha": d.ours} {
		var states map[string][]string
		if err := lab.Await(ctx, func() bool {
			states = statesOf(s.since(fifoLines))
			return len(states) == subjects && !slices.ContainsFunc(slices.Collect(maps.Values(states)), func(of []string) bool {
				return !strings.HasPrefix(of[len(of)-1], state)
			})
		}); err != nil {
			d.t.Errorf("seed %d, %s: %s has not told %s of all: %v", d.seed, step, name, state, states)
		}
	}
	for kind, what := range []struct {
		name string
		text func([]string) string
	}{fifoLines: {"FIFO", told}, scriptCalls: {"scripts", called}} {
		text := func(lines []string) string {
			if step == start {
				return firstPriority.ReplaceAllString(what.text(lines), "BACKUP")
			}
			return what.text(lines)
		}
		if theirs, ours, same := d.compareSince(ctx, kind, text); !same {
			d.t.Errorf("seed %d, %s, %s: only keepalived's\n%s\nonly lvs-ha's\n%s", d.seed, step, what.name, without(theirs, ours), without(ours, theirs))
		}
	}
}

// firstPriority is that of an instance that starts. It depends on whether tracks have their first results.
var firstPriority = regexp.MustCompile(`BACKUP \d+`)

// The kinds of what a program tells.
const (
	fifoLines = iota
	scriptCalls
	kindsTold
)

// since returns what a program has told since the last comparison, in order.
func (s *side) since(kind int) []string {
	all := s.lines()
	if kind == scriptCalls {
		text, err := os.ReadFile(filepath.Join(s.dir, "notes"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			s.t.Fatal(err)
		}
		all = slices.Collect(strings.Lines(string(text)))
	}
	return all[s.compared[kind]:]
}

// compareSince waits until both have told the same since the last comparison.
func (d *imported) compareSince(ctx context.Context, kind int, text func([]string) string) (theirs, ours string, same bool) {
	var a, b []string
	err := poll(ctx, func() bool {
		a, b = d.theirs.since(kind), d.ours.since(kind)
		theirs, ours = text(a), text(b)
		return theirs == ours
	})
	d.theirs.compared[kind] += len(a)
	d.ours.compared[kind] += len(b)
	return theirs, ours, err == nil
}

// statesOf returns the states and priorities of each instance and group in lines of a FIFO.
func statesOf(lines []string) map[string][]string {
	all := map[string][]string{}
	for _, line := range lines {
		i := strings.LastIndexByte(line, '"') + 1
		all[line[:i]] = append(all[line[:i]], strings.TrimSpace(line[i:]))
	}
	return all
}

func told(lines []string) string {
	var all []string
	for subject, states := range statesOf(lines) {
		all = append(all, subject+" "+strings.TrimPrefix(strings.Join(states, ", "), "BACKUP 255, ")) // see owner
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// called sorts calls of scripts, which run side by side.
func called(calls []string) string {
	slices.Sort(calls)
	return strings.Join(calls, "")
}

func (s *side) linkDown() {
	s.t.Helper()
	if err := s.host.Down("eth0"); err != nil {
		s.t.Fatal(err)
	}
}

func (s *side) linkUp() {
	s.t.Helper()
	if err := s.host.Up("eth0"); err != nil {
		s.t.Fatal(err)
	}
}

func (s *side) stop() {
	s.t.Helper()
	if err := s.program.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
}

// takeOver sends one advert with the highest priority for each virtual router, from another address.
func (s *side) takeOver() {
	s.t.Helper()
	var fd int
	if err := s.lab.Fabric().Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		return err
	}); err != nil {
		s.t.Fatal(err)
	}
	defer unix.Close(fd)
	link, err := s.lab.Fabric().Link(s.bridge.Name())
	if err != nil {
		s.t.Fatal(err)
	}
	last := map[string][]byte{}
	for _, f := range s.capture.Frames() {
		at := vrrpAt(f.Data)
		last[fmt.Sprint(at, f.Data[at+1])] = f.Data
	}
	maps.DeleteFunc(last, func(_ string, frame []byte) bool { return frame[vrrpAt(frame)+2] == 255 }) // two owners would be a conflict
	for _, frame := range last {
		if err := unix.Sendto(fd, forge(frame), 0, &unix.SockaddrLinklayer{Ifindex: link.Attrs().Index}); err != nil {
			s.t.Fatal(err)
		}
	}
}

// vrrpAt returns where the advert in a frame begins.
func vrrpAt(frame []byte) int {
	if binary.BigEndian.Uint16(frame[12:]) == lab.EtherTypeIPv4 {
		return 34
	}
	return 54
}

// forge returns an advert of one of the hosts as another router with priority 255 would send it: the unicast peer.
func forge(frame []byte) []byte {
	f := slices.Clone(frame)
	const peer = 77
	advert := vrrpAt(f)
	change := func(at int, to byte, sums ...int) {
		word := at &^ 1
		before := binary.BigEndian.Uint16(f[word:])
		f[at] = to
		for _, sum := range sums { // RFC 1624
			n := uint32(^binary.BigEndian.Uint16(f[sum:])) + uint32(^before) + uint32(binary.BigEndian.Uint16(f[word:]))
			n = n>>16 + n&0xffff
			binary.BigEndian.PutUint16(f[sum:], ^uint16(n>>16+n))
		}
	}
	change(advert+2, 255, advert+6)
	var sums []int
	if f[advert]>>4 == 3 {
		sums = append(sums, advert+6) // its checksum includes the addresses
	}
	f[11] = peer
	if advert == 54 {
		change(37, peer, sums...)
		return f
	}
	sums = append(sums, 24)
	if f[33] == peer {
		f[5] = 1
		change(33, 1, sums...)
	}
	change(29, peer, sums...)
	return f
}
