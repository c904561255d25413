package beside

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

const (
	operationServers  = 40_000
	operationRouters  = 249 // of each interface but the first, which has steadyRouters
	operationSlow     = 4   // interfaces
	operationSettle   = 20 * time.Second
	operationRequests = 20
)

// BenchmarkHostOperation measures what an operator and Prometheus wait for, and what that does to adverts: lvs-ha with 40,000
// real servers, each with a TCP check, and 1,001 instances, of which five advertise every 10 ms. It also measures the memory
// of each process, there and with the configuration of README.md. Without IPVS in this kernel, its table is not read.
func BenchmarkHostOperation(b *testing.B) {
	ours, _ := programs(b)
	for b.Loop() {
		measureReadme(b, ours)
		measureOperation(b, ours)
		b.ReportMetric(0, "ns/op")
	}
}

// operation writes the configuration.
func operation(settings) string {
	var s strings.Builder
	instance := func(iface, id int, interval time.Duration) {
		fmt.Fprintf(&s, "vrrp \"eth%d-%d\" {\n  interface = \"eth%d\"\n  virtual_router_id = %d\n  priority = 200\n  advertise_interval = %q\n  addresses = [\"10.%d.1.%d/32\"]\n}\n",
			iface, id, iface, id, interval, 20+iface, id)
	}
	for id := 1; id <= steadyRouters; id++ {
		instance(0, id, steadyInterval)
	}
	for iface := 1; iface <= operationSlow; iface++ {
		for id := 1; id <= operationRouters; id++ {
			instance(iface, id, time.Second)
		}
	}
	for i := range operationServers / serversPerService {
		fmt.Fprintf(&s, "virtual_service \"service-%d\" {\n  address = \"10.77.1.1:%d\"\n  forwarding = \"nat\"\n  health_check \"tcp\" { interval = \"10s\" }\n", i, 1+i)
		for j := range serversPerService {
			fmt.Fprintf(&s, "  real_server \"10.78.%d.%d:80\" {}\n", i/2, 1+i%2*serversPerService+j)
		}
		s.WriteString("}\n")
	}
	return s.String()
}

func measureOperation(b *testing.B, p program) {
	l := lab.NewT(b, "operation")
	defer l.Close()
	var nics []lab.NIC
	var fast *lab.Bridge
	for i := range 1 + operationSlow {
		br := bridge(b, l, fmt.Sprintf("br%d", i))
		nics = append(nics, lab.NIC{Name: fmt.Sprintf("eth%d", i), Bridge: br, Addresses: lab.Prefixes(fmt.Sprintf("10.%d.0.1/24", 20+i))})
		if i == 0 {
			fast = br
		}
	}
	h := node(b, l, "r1", nics...)
	// All real servers are one listener on this host.
	if out, err := h.Command(context.Background(), "ip", "route", "add", "local", "10.78.0.0/16", "dev", "lo").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	listener, err := h.Listen("tcp", "0.0.0.0:80")
	if err != nil {
		b.Fatal(err)
	}
	defer listener.Close()
	go acceptAll(listener)
	p.config = operation
	r := newRouter(b, p, h, settings{})
	defer r.kill()
	r.start()
	eventually(b, "the API answers", func() bool { _, _, err := r.get("/v1/version"); return err == nil })
	<-time.After(operationSettle)

	t := newTable(fmt.Sprintf("%s: %d real servers, %d instances", b.Name(), operationServers, steadyRouters+operationSlow*operationRouters),
		"", "p50 ms", "longest ms", "MB", "longest gap of adverts ms", "CPU's stalls ms")
	for _, m := range []struct {
		name string
		do   func() int
	}{
		{"nothing", func() int { <-time.After(100 * time.Millisecond); return 0 }},
		{"lvs-ha status", func() int { return r.status() }},
		{"lvs-ha status -o json", func() int { return r.status("-o", "json") }},
		{"/metrics", func() int { return r.mustGet("/metrics") }},
		{"/metrics?servers=false", func() int { return r.mustGet("/metrics?servers=false") }},
		{"/v1/overview", func() int { return r.mustGet("/v1/overview") }},
		{"/v1/services/…/real_servers", func() int { return r.mustGet("/v1/services/service-1/real_servers?limit=200") }},
		{"/v1/status", func() int { return r.mustGet("/v1/status") }},
	} {
		took, bytes, wire := repeated(b, l, fast, m.do)
		t.add(m.name, milliseconds(took[len(took)/2]), milliseconds(took[len(took)-1]), fmt.Sprintf("%.2f", float64(bytes)/1e6), milliseconds(wire.longest), milliseconds(wire.stall))
		if m.name == "lvs-ha status" {
			b.ReportMetric(float64(took[len(took)-1])/float64(time.Millisecond), "status-ms")
			b.ReportMetric(float64(wire.longest)/float64(time.Millisecond), "gap-ms")
		}
	}
	t.print()
	r.reportMemory(b.Name() + ": memory")
}

// repeated does something several times, and returns how long each took, sorted, and what became of the adverts meanwhile.
func repeated(b *testing.B, l *lab.Lab, on *lab.Bridge, do func() int) (took []time.Duration, bytes int, wire steadiness) {
	g := &gaps{last: map[uint8]sent{}}
	c, err := on.Follow(lab.AdvertsOf(lab.Prefixes("10.20.0.1/24")[0].Addr()), g.take)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for cpu := range runtime.NumCPU() {
		if err := l.Fabric().WatchStalls(ctx, cpu, lab.LeastStall, g.stalled); err != nil {
			b.Fatal(err)
		}
	}
	for range operationRequests {
		began := time.Now()
		bytes = do()
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	<-time.After(10 * steadyInterval)
	return took, bytes, g.result()
}

func acceptAll(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		c.Close()
	}
}

// get requests a path of the API and returns the length of the answer.
func (r *router) get(path string) (status, length int, err error) {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", r.path("run/api.sock"))
	}}}
	answer, err := client.Get("http://lvs-ha" + path)
	if err != nil {
		return 0, 0, err
	}
	defer answer.Body.Close()
	n, err := io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, int(n), err
}

func (r *router) mustGet(path string) (length int) {
	r.tb.Helper()
	status, length, err := r.get(path)
	if err != nil || status != http.StatusOK {
		r.tb.Fatalf("%s: status %d, %v", path, status, err)
	}
	return length
}

// status runs lvs-ha status, which may end with 2 for problems, and returns the length of its output.
func (r *router) status(args ...string) int {
	r.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	argv := append([]string{"status", "--runtime-dir", r.path("run")}, args...)
	cmd := r.node.Command(ctx, r.program.argv(r.dir)[0], argv...)
	out, err := cmd.Output()
	if err != nil && cmd.ProcessState.ExitCode() != 2 {
		r.tb.Fatalf("lvs-ha %q: %v", argv, err)
	}
	return len(out)
}

// reportMemory prints the memory of each process.
func (r *router) reportMemory(title string) {
	t := newTable(title, "", "RSS MB", "PSS MB")
	for i, pid := range r.processes() {
		name := "parent"
		if i > 0 {
			command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			if err != nil {
				r.tb.Fatal(err)
			}
			name = strings.Split(string(command), "\x00")[1]
		}
		m := processMemory(r.tb, pid)
		t.add(name, fmt.Sprintf("%.1f", m.rss), fmt.Sprintf("%.1f", m.pss))
	}
	t.print()
}

// measureReadme measures the memory with the configuration of README.md.
func measureReadme(b *testing.B, p program) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		b.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```hcl\n(.*?)```").FindSubmatch(readme)
	if block == nil {
		b.Fatal("README.md has no configuration")
	}
	l := lab.NewT(b, "readme")
	defer l.Close()
	lan, inside := bridge(b, l, "lan"), bridge(b, l, "inside")
	h := node(b, l, "lb1", lab.NIC{Name: "eth0", Bridge: lan, Addresses: lab.Prefixes("192.0.2.1/24")}, lab.NIC{Name: "eth1", Bridge: inside, Addresses: lab.Prefixes("10.0.0.1/24")})
	p.config = func(settings) string { return string(block[1]) }
	argv := p.argv
	p.argv = func(dir string) []string { return append(argv(dir), "--node", "lb1") }
	r := newRouter(b, p, h, settings{})
	defer r.kill()
	r.start()
	eventually(b, "the API answers", func() bool { _, _, err := r.get("/v1/version"); return err == nil })
	<-time.After(operationSettle)
	for range operationRequests {
		r.mustGet("/metrics")
	}
	r.reportMemory(b.Name() + ": memory with README.md's configuration")
}
