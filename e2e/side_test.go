package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// side is a host on a bridge of its own.
type side struct {
	t       *testing.T
	lab     *lab.Lab
	host    *lab.Node
	bridge  *lab.Bridge
	dir     string // of its own
	capture *lab.Capture
	log     bytes.Buffer
	program *lab.Cmd // the last started

	compared [kindsTold]int // how much of what the program has told

	mu   sync.Mutex
	fifo []string // lines that the program has written to its FIFO
}

func newSide(t *testing.T, l *lab.Lab, dir, name string) *side {
	t.Helper()
	s := &side{t: t, lab: l, dir: filepath.Join(dir, name)}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s.follow()
	s.bridge = must[*lab.Bridge](t)(l.Bridge(name))
	bridge := s.bridge
	s.host = must[*lab.Node](t)(l.Host(name,
		lab.NIC{Name: "eth0", Bridge: bridge, MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Addresses: lab.Prefixes("10.9.0.1/16", "fd09::1/64")},
		lab.NIC{Name: "eth1", Bridge: bridge, MAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, Addresses: lab.Prefixes("10.8.0.1/16")}))
	// The unicast peer does not exist.
	if out, err := s.host.Command(t.Context(), "ip", "neighbour", "add", "10.9.0.77", "lladdr", "02:00:00:00:00:77", "dev", "eth0").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.capture = must[*lab.Capture](t)(bridge.Capture(lab.Filter{Protocols: []uint8{lab.ProtocolVRRP}}))
	return s
}

func (s *side) start(name string, args ...string) {
	s.t.Helper()
	cmd := s.host.Command(context.Background(), name, args...)
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	s.program = cmd
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if s.t.Failed() {
			s.t.Logf("%s:\n%s", name, s.log.String())
		}
	})
}

func (s *side) awaitRouters(n int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	if err := lab.Await(ctx, func() bool { return len(s.adverts()) == n }); err != nil {
		s.t.Fatalf("%s: %d of %d routers advertise", s.host.Name(), len(s.adverts()), n)
	}
}

// own returns a configuration with the paths of this side.
func (s *side) own(text string) string { return strings.ReplaceAll(text, "@DIR@", s.dir) }

func (s *side) write(name, text string, mode os.FileMode) (path string) {
	s.t.Helper()
	path = filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// follow creates the FIFO, and collects what is written to it.
func (s *side) follow() {
	s.t.Helper()
	path := filepath.Join(s.dir, "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		s.t.Fatal(err)
	}
	file := must[*os.File](s.t)(os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0))
	s.t.Cleanup(func() { _ = file.Close() })
	go func() {
		for lines := bufio.NewScanner(file); lines.Scan(); {
			s.mu.Lock()
			s.fifo = append(s.fifo, lines.Text())
			s.mu.Unlock()
		}
	}()
}

// lines returns what the program has written to its FIFO so far.
func (s *side) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.fifo)
}

// startKeepalived runs keepalived with a configuration, with some options.
func (s *side) startKeepalived(text string, options ...string) (conf string) {
	s.t.Helper()
	conf = s.write("keepalived.conf", s.own(text), 0o600)
	s.start("keepalived", append(options, "-n", "-G", "-l", "-f", conf, "-p", s.dir+"/p", "-r", s.dir+"/r", "-c", s.dir+"/c")...)
	return conf
}

// startImported runs lvs-ha with what the import makes of a configuration of keepalived. It returns that, what is said about it, and
// whether something differs.
func (s *side) startImported(text string) (hcl, complaints string, lossy bool) {
	s.t.Helper()
	lvsha := must[string](s.t)(lab.Binary())
	var said bytes.Buffer
	importing := exec.CommandContext(s.t.Context(), lvsha, "import", "keepalived", s.write("keepalived.conf", s.own(text), 0o600))
	importing.Stderr = &said
	out, err := importing.Output()
	exit, ok := err.(*exec.ExitError)
	if lossy = ok && exit.ExitCode() == 2; err != nil && !lossy {
		s.t.Fatalf("import: %v\n%s\n%s\n%s", err, said.String(), text, out)
	}
	s.start(lvsha, "run", "--runtime-dir", s.dir+"/run", "-c", s.write("lvs-ha.hcl", string(out), 0o600))
	return string(out), said.String(), lossy
}

// adverts returns the last advert of each virtual router: source, destination, TTL and payload.
func (s *side) adverts() map[string]string {
	all := map[string]string{}
	for _, f := range s.capture.Frames() {
		const ip = 14
		d := f.Data
		var source, destination netip.Addr
		var ttl byte
		var payload []byte
		if binary.BigEndian.Uint16(d[12:]) == lab.EtherTypeIPv4 {
			source, destination = netip.AddrFrom4([4]byte(d[ip+12:])), netip.AddrFrom4([4]byte(d[ip+16:]))
			ttl, payload = d[ip+8], d[ip+20:ip+int(binary.BigEndian.Uint16(d[ip+2:]))]
		} else {
			source, destination = netip.AddrFrom16([16]byte(d[ip+8:])), netip.AddrFrom16([16]byte(d[ip+24:]))
			ttl, payload = d[ip+7], d[ip+40:ip+40+int(binary.BigEndian.Uint16(d[ip+4:]))]
		}
		id := fmt.Sprintf("virtual router %d, IPv6: %v", payload[1], source.Is6())
		all[id] = fmt.Sprintf("%v → %v TTL %d %x", source, destination, ttl, payload)
	}
	return all
}

// ip returns what a command of ip shows.
func (s *side) ip(command string) string {
	s.t.Helper()
	for {
		out, err := s.host.Command(context.Background(), "ip", strings.Fields(command)...).Output()
		if errors.Is(err, exec.ErrWaitDelay) {
			continue // this process had no time to read it
		}
		if err != nil {
			s.t.Fatal(err)
		}
		return string(out)
	}
}

// addresses returns what `ip` shows about addresses, without what depends on the host or the time.
func (s *side) addresses() string {
	var lines []string
	for _, line := range strings.Split(strings.TrimSpace(s.ip("-o address show")), "\n") {
		text, _, _ := strings.Cut(line, `\`)
		_, text, _ = strings.Cut(text, ": ")
		words := strings.Fields(text)
		words = slices.DeleteFunc(words, func(w string) bool { return w == "nodad" || w == "secondary" })
		if i := slices.Index(words, "brd"); i >= 0 {
			words = slices.Delete(words, i, i+2)
		}
		lines = append(lines, strings.Join(words, " "))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// routes returns the routes of numbered tables and the rules, without the number of the program that made them.
func (s *side) routes() string {
	var lines []string
	for _, what := range []string{"-4 route show table all", "-4 rule show"} {
		for line := range strings.Lines(s.ip(what)) {
			if strings.Contains(line, "table ") && !strings.Contains(line, "table local") || strings.Contains(line, "lookup ") {
				lines = append(lines, strings.Join(strings.Fields(programNumber.ReplaceAllString(line, "")), " "))
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

var programNumber = regexp.MustCompile(` proto \S+`)

func sortedRules(rules []byte) string {
	lines := strings.Split(strings.TrimSpace(string(rules)), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// without returns the lines of a that b does not have.
func without(a, b string) string {
	other := strings.Split(b, "\n")
	return strings.Join(slices.DeleteFunc(strings.Split(a, "\n"), func(l string) bool { return slices.Contains(other, l) }), "\n")
}
