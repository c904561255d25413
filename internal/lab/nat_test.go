package lab

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestKernelNAT(t *testing.T) {
	Need(t, Kernel)
	testNAT(t, func(l *Lab, c DirectorConfig) (Director, error) { return l.NewNamespaceDirector(c) })
}

func TestPairNAT(t *testing.T) {
	Need(t, Pair)
	testNAT(t, func(l *Lab, c DirectorConfig) (Director, error) { return l.NewMachine(c) })
}

// testNAT balances two servers with the original ipvsadm, and cuts the director's power.
func testNAT(t *testing.T, newDirector func(*Lab, DirectorConfig) (Director, error)) {
	l := NewT(t, "labtest")
	outside := must[*Bridge](t)(l.Bridge("outside"))
	inside := must[*Bridge](t)(l.Bridge("inside"))
	client := must[*Node](t)(l.Host("client", NIC{Name: "eth0", Bridge: outside, Addresses: Prefixes("10.0.0.9/24")})).Client(nil)
	director := must[Director](t)(newDirector(l, DirectorConfig{
		Name: "lb",
		NICs: []NIC{
			{Name: "eth0", Bridge: outside, Addresses: Prefixes("10.0.0.1/24")},
			{Name: "eth1", Bridge: inside, Addresses: Prefixes("10.1.0.1/24")},
		},
		Sysctls: map[string]string{"net.ipv4.ip_forward": "1"},
	}))
	start(t, director)
	rules := []string{"-A -t 10.0.0.1:80 -s rr"}
	for i := 2; i <= 3; i++ {
		server := must[*Node](t)(l.Host(fmt.Sprintf("rs%d", i),
			NIC{Name: "eth0", Bridge: inside, Addresses: Prefixes(fmt.Sprintf("10.1.0.%d/24", i))}))
		if err := server.AddRoute(Default, mustAddr("10.1.0.1")); err != nil {
			t.Fatal(err)
		}
		must[*Web](t)(server.Web(WebConfig{Address: ":80"}))
		rules = append(rules, fmt.Sprintf("-a -t 10.0.0.1:80 -r 10.1.0.%d:80 -m", i))
	}
	program := func() {
		for _, args := range rules {
			must[string](t)(Output(t.Context(), director, append([]string{"ipvsadm"}, strings.Fields(args)...)...))
		}
	}
	program()
	spread := must[map[string]int](t)(client.Spread(t.Context(), 10, "http://10.0.0.1/"))
	if spread["rs2"] != 5 || spread["rs3"] != 5 {
		t.Errorf("ten requests went to %v, want 5 each", spread)
	}
	const size = 10 << 20
	begin := time.Now()
	for _, d := range client.Download(t.Context(), 4, "http://10.0.0.1", size, 1<<30).Wait() {
		if d.Err != nil || d.Bytes != size {
			t.Errorf("a download through the director went %+v", d)
		}
	}
	t.Logf("%.0f MB/s through the director", 4*size/1e6/time.Since(begin).Seconds())

	slow := client.Download(t.Context(), 2, "http://10.0.0.1", size, 100_000)
	<-slow.Started()
	if err := director.Kill(); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return slow.State()[0].Gap > 300*time.Millisecond })
	start(t, director)
	table := must[string](t)(Output(t.Context(), director, "ipvsadm", "-Ln"))
	if strings.Contains(table, "10.1.0.2") {
		t.Errorf("the table outlived a power failure:\n%s", table)
	}
	program()
	must[map[string]int](t)(client.Spread(t.Context(), 4, "http://10.0.0.1/"))
}
