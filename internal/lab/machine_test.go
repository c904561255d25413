package lab

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestPairMachines(t *testing.T) {
	Need(t, Pair)
	l := NewT(t, "labtest")
	lan := must[*Bridge](t)(l.Bridge("lan"))
	client := must[*Node](t)(l.Host("client", NIC{Name: "eth0", Bridge: lan, Addresses: Prefixes("10.0.0.9/24", "fd00::9/64")}))

	var machines []Director
	for i, name := range []string{"lb1", "lb2"} {
		m := must[Director](t)(l.NewDirector(DirectorConfig{
			Name: name, CPU: -1,
			NICs: []NIC{{Name: "eth0", Bridge: lan, Addresses: Prefixes(
				[]string{"10.0.0.1/24", "10.0.0.2/24"}[i], []string{"fd00::1/64", "fd00::2/64"}[i])}},
			Sysctls: map[string]string{"net.ipv4.ip_forward": "1"},
		}))
		start := time.Now()
		if err := m.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s is %s: ready after %v", name, m.Describe(), time.Since(start))
		machines = append(machines, m)
	}
	for _, m := range machines {
		for _, to := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.9", "fd00::1", "fd00::2", "fd00::9"} {
			if out, err := Output(t.Context(), m, "ping", "-c1", "-W2", to); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		}
		start := time.Now()
		if out, err := Output(t.Context(), m, "hostname"); err != nil || strings.TrimSpace(out) != m.Name() {
			t.Errorf("hostname is %q, %v, want %q", out, err, m.Name())
		}
		t.Logf("hostname took %v", time.Since(start))
		out, err := Output(t.Context(), m, "ip", "-br", "a")
		t.Log(out, err)
	}
	r := must[Result](t)(machines[0].Exec(t.Context(), "sh", "-c", "echo out; echo err >&2; exit 7"))
	if r.ExitCode != 7 || string(r.Stdout) != "out\n" || string(r.Stderr) != "err\n" {
		t.Errorf("got %+v, want out, err and 7", r)
	}
	out := must[[]byte](t)(client.Command(t.Context(), "ping", "-q", "-i0.01", "-c100", "10.0.0.1").Output())
	t.Logf("%s", out)

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	start := time.Now()
	if err := machines[0].Kill(); err != nil {
		t.Fatal(err)
	}
	t.Logf("killed after %v", time.Since(start))
	start = time.Now()
	if err := machines[1].PowerOff(ctx); err != nil {
		t.Error(err)
	}
	t.Logf("off after %v", time.Since(start))
}
