package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/ipvsadm"
	"github.com/lvs-ha/lvs-ha/internal/keepalived"
	"github.com/lvs-ha/lvs-ha/internal/keepalived/convert"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// sampleDifferences has what is not compared of a sample, with the reason.
var sampleDifferences = map[string]struct {
	finding string // what the import says
	lines   *regexp.Regexp
}{
	// keepalived counts a script that it cannot run, here also for want of killall, as successful.
	"vrrp.localcheck":      {"script: differs: keepalived 2 cannot run a redirection", regexp.MustCompile(`^virtual router 51,`)},
	"SSL_GET":              {"auth_type: missing: IPsec AH", regexp.MustCompile(`^virtual router 51,`)},
	"virtual_server_group": {"192.168.200.1 is also a real server", regexp.MustCompile(`192\.168\.200\.1:1358`)},
	"vrrp.routes":          {"virtual_routes: differs: keepalived uses one gateway", regexp.MustCompile(`^(192\.168\.113\.0/24|nexthop) `)},
	"vrrp.rules":           {"differs: keepalived chooses a priority", regexp.MustCompile(` lookup [12]$`)},
	"vrrp":                 {"virtual_ipaddress: differs: keepalived sends 192.168.200.18 twice", regexp.MustCompile(`^virtual router 51,`)},
}

// TestKernelDebianSamples runs keepalived with each sample of Debian's package and lvs-ha with what the import makes of it, each on
// a host of its own, and compares the adverts, addresses, routes, rules and IPVS tables when all servers have failed, and the tables
// again when all answer. The samples without services are those of TestHostDebianSamples, since the test kernel is slow.
func TestKernelDebianSamples(t *testing.T) {
	lab.Need(t, lab.Kernel)
	runSamples(t, true)
}

func TestHostDebianSamples(t *testing.T) {
	lab.Need(t, lab.Host)
	count := map[convert.Fate]int{}
	paths := debianSamples(t)
	for _, path := range paths {
		file := filepath.Join(t.TempDir(), "keepalived.conf")
		if err := os.WriteFile(file, []byte(sampleText(t, path)), 0o600); err != nil {
			t.Fatal(err)
		}
		c := must[*keepalived.Config](t)(keepalived.Read(file, keepalived.Options{}))
		for _, f := range convert.Convert([]convert.Source{{Config: c}}, convert.Options{}).Findings {
			count[f.Fate]++
		}
	}
	t.Logf("lines of %d samples: %v", len(paths), count)
	runSamples(t, false)
}

func runSamples(t *testing.T, withServices bool) {
	t.Helper()
	paths := slices.DeleteFunc(debianSamples(t), func(path string) bool {
		return strings.Contains(sampleText(t, path), "virtual_server") != withServices
	})
	var routers, services, addresses int
	certificate := must[*lab.Certificate](t)(lab.NewCertificate("servers"))
	for batch := range slices.Chunk(paths, 9) { // limited by the test kernel's memory
		t.Run(filepath.Base(batch[0]), func(t *testing.T) {
			begin := time.Now()
			l := lab.NewT(t, "samples")
			var samples []*sample
			for i, path := range batch {
				samples = append(samples, startSample(t, l, certificate, path, i))
			}
			started := time.Since(begin)
			for _, s := range samples {
				s.compare()
				if s.services() {
					s.serversAnswer()
				}
				routers += len(s.theirs.adverts())
				services += strings.Count("\n"+s.table(s.theirs), "\n-A ")
				addresses += strings.Count(s.theirs.addresses(), "\n") + 1 - s.own
			}
			t.Logf("%d samples started after %v, compared after %v", len(batch), started, time.Since(begin))
			for _, s := range samples { // all, before the first is waited for
				_ = s.theirs.program.Process.Signal(os.Interrupt)
				_ = s.ours.program.Process.Signal(os.Interrupt)
			}
		})
	}
	t.Logf("%d samples: %d virtual routers, %d services, %d addresses", len(paths), routers, services, addresses)
}

func debianSamples(t *testing.T) []string {
	t.Helper()
	files := must[[]byte](t)(exec.CommandContext(t.Context(), "dpkg", "-L", "keepalived").Output())
	paths := regexp.MustCompile(`(?m)^.*/samples/keepalived\.conf\..*$`).FindAllString(string(files), -1)
	if len(paths) == 0 {
		t.Fatal("Debian's package keepalived has no samples")
	}
	return paths
}

// sample is a configuration of keepalived that two hosts run.
type sample struct {
	t            *testing.T
	name, text   string
	dir, conf    string // where its files are, and that of keepalived
	complaints   string // of the import
	theirs, ours *side
	own          int              // addresses that the hosts have of their own
	certificate  *lab.Certificate // of its servers
}

func startSample(t *testing.T, l *lab.Lab, certificate *lab.Certificate, path string, number int) *sample {
	t.Helper()
	name, _ := strings.CutPrefix(strings.TrimSuffix(filepath.Base(path), ".gz"), "keepalived.conf.")
	dir, err := os.MkdirTemp("/run", "samples") // a path that only root can change, as a script's must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &sample{t: t, name: name, dir: dir, certificate: certificate, text: readSample(t, path, dir)}
	s.theirs, s.ours = newSampleSide(t, l, dir, fmt.Sprint("theirs", number), s.text), newSampleSide(t, l, dir, fmt.Sprint("ours", number), s.text)
	s.own = strings.Count(s.theirs.addresses(), "\n") + 1
	var options []string
	if !s.services() {
		options = append(options, "-P") // only VRRP
	}
	s.conf = s.theirs.startKeepalived(s.text, options...)
	_, s.complaints, _ = s.ours.startImported(s.text)
	return s
}

// sampleText returns a sample as it is installed.
func sampleText(t *testing.T, path string) string {
	t.Helper()
	data := must[[]byte](t)(os.ReadFile(path))
	if strings.HasSuffix(path, ".gz") {
		data = must[[]byte](t)(io.ReadAll(must[*gzip.Reader](t)(gzip.NewReader(bytes.NewReader(data)))))
	}
	return string(data)
}

// readSample returns a sample with short times, so that servers fail soon.
func readSample(t *testing.T, path, dir string) string {
	t.Helper()
	text := sampleText(t, path)
	script := filepath.Join(dir, "script.sh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n[ -e \"${0%/*}/up\" ]\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	text = strings.ReplaceAll(text, "/usr/local/bin/script.sh", script)
	text = regexp.MustCompile(`\bdelay_loop\s+\d+`).ReplaceAllString(text, "delay_loop 2")
	text = regexp.MustCompile(`\bconnect_timeout\s+\d+`).ReplaceAllString(text, "connect_timeout 3")
	return withDigests(regexp.MustCompile(`\b(delay_before_retry|retry|advert_int)\s+\d+`).ReplaceAllString(text, "$1 1"))
}

// newSampleSide makes a host with the interfaces and gateways that a sample names. No server can be reached.
func newSampleSide(t *testing.T, l *lab.Lab, dir, name, text string) *side {
	t.Helper()
	s := &side{t: t, dir: filepath.Join(dir, name)}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	bridge := must[*lab.Bridge](t)(l.Bridge(name))
	nic := func(number byte, name string, addresses ...string) lab.NIC {
		return lab.NIC{Name: name, Bridge: bridge, MAC: net.HardwareAddr{2, 0, 0, 0, 0, number}, Addresses: lab.Prefixes(addresses...)}
	}
	nics := []lab.NIC{nic(1, "eth0", "192.168.200.250/24", "192.168.100.1/24", "192.168.0.250/24")}
	for _, other := range []lab.NIC{nic(2, "eth1", "192.168.201.250/24", "192.168.200.251/24"),
		nic(3, "eth2", "192.168.202.250/24"), nic(4, "eth3", "192.168.203.250/24"), nic(5, "eth0.1", "192.168.204.250/24")} {
		if strings.Contains(text, other.Name) {
			nics = append(nics, other)
		}
	}
	s.host = must[*lab.Node](t)(l.Host(name, nics...))
	if err := s.host.Sysctl("net.ipv4.ping_group_range", "0 0"); err != nil { // what lvs-ha needs for pings
		t.Fatal(err)
	}
	var batch strings.Builder
	for _, server := range []string{"192.168.200.1", "192.168.200.2", "192.168.200.6", "192.168.200.200", "192.168.201.100", "192.168.201.101"} {
		fmt.Fprintf(&batch, "route add unreachable %s\n", server)
	}
	ip := s.host.Command(t.Context(), "ip", "-batch", "-")
	ip.Stdin = strings.NewReader(batch.String())
	if out, err := ip.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.capture = must[*lab.Capture](t)(bridge.Capture(lab.Filter{Protocols: []uint8{lab.ProtocolVRRP}}))
	return s
}

// compare waits until both have noticed that all servers fail and until both have done the same.
func (s *sample) compare() {
	s.t.Helper()
	difference, known := sampleDifferences[s.name]
	if known && !strings.Contains(s.complaints, difference.finding) {
		s.t.Errorf("%s: the import does not say %q but\n%s", s.name, difference.finding, s.complaints)
	}
	routers := len(regexp.MustCompile(`(?m)^vrrp_instance`).FindAllString(s.text, -1))
	heard := routers - strings.Count(s.text, "auth_type AH") // the capture has no packets of IPsec
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	if err := lab.Await(ctx, func() bool { return len(s.ours.adverts()) == routers && len(s.theirs.adverts()) == heard }); err != nil {
		s.t.Errorf("%s: %d of lvs-ha's and %d of keepalived's %d routers advertise", s.name, len(s.ours.adverts()), len(s.theirs.adverts()), routers)
		return
	}
	if err := lab.Await(ctx, func() bool {
		table := s.comparable(s.table(s.theirs))
		return len(serversUp(table)) == 0 && table == s.comparable(s.table(s.ours))
	}); err != nil {
		theirs, ours := s.table(s.theirs), s.table(s.ours)
		s.t.Errorf("%s: services: only keepalived's\n%s\nonly lvs-ha's\n%s", s.name, without(theirs, ours), without(ours, theirs))
		return
	}
	var theirs, ours string
	if err := lab.Await(ctx, func() bool {
		theirs, ours = s.state(s.theirs), s.state(s.ours)
		return theirs == ours
	}); err != nil {
		s.t.Errorf("%s: only keepalived's\n%s\nonly lvs-ha's\n%s\nimport:\n%s", s.name, without(theirs, ours), without(ours, theirs), s.complaints)
	}
}

// serversUp returns the real servers, without sorry servers, that get connections.
func serversUp(table string) []string {
	up := regexp.MustCompile(`(?m)^-a .* -w [1-9].*$`).FindAllString(table, -1)
	return slices.DeleteFunc(up, func(line string) bool { return strings.Contains(line, " -r "+sampleSorry) })
}

// sampleSorry is how the only sorry server of the samples begins.
const sampleSorry = "192.168.200.200:"

// state returns all that is compared.
func (s *sample) state(of *side) string {
	lines := []string{of.addresses(), of.routes(), s.table(of)}
	for id, advert := range of.adverts() {
		lines = append(lines, id+" "+advert)
	}
	for line := range strings.Lines(programNumber.ReplaceAllString(ownSource.ReplaceAllString(of.ip("-4 route show"), ""), "")) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return s.comparable(strings.Join(lines, "\n"))
}

func (s *sample) services() bool { return strings.Contains(s.text, "virtual_server") }

func (s *sample) table(of *side) string {
	s.t.Helper()
	if !s.services() {
		return ""
	}
	return readTable(s.t, of.host)
}

// readTable reads the IPVS table of a host without starting a program, which takes long in the test kernel.
func readTable(t *testing.T, host *lab.Node) string {
	t.Helper()
	var client *ipvs.Client
	if err := host.Do(func() (err error) {
		client, err = ipvs.Open(t.Context())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var text strings.Builder
	for _, service := range must[[]ipvs.ServiceState](t)(client.Table(t.Context())) {
		entry := ipvs.Entry{Service: service.Service}
		for _, d := range service.Destinations {
			entry.Destinations = append(entry.Destinations, d.Destination)
		}
		if err := ipvsadm.WriteRules(&text, []ipvs.Entry{entry}); err != nil {
			t.Fatal(err)
		}
	}
	return text.String()
}

// ownSource is the source of a prefix route that the kernel makes with an address: the first of the addresses with that prefix,
// which depends on the instance that becomes master first.
var ownSource = regexp.MustCompile(`(?m) proto kernel scope link src \S+`)

// comparable returns sorted lines without those that differ according to the import.
func (s *sample) comparable(text string) string {
	difference, known := sampleDifferences[s.name]
	lines := strings.Split(text, "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool { return line == "" || known && difference.lines.MatchString(line) })
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
