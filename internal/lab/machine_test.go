package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// machines are two machines and a client on one bridge.
type machines struct {
	lab    *Lab
	client *Node
	one    *Machine
	two    *Machine
}

func startMachines(t *testing.T) machines {
	t.Helper()
	l := NewT(t, "labtest")
	lan := must[*Bridge](t)(l.Bridge("lan"))
	m := machines{lab: l}
	m.client = must[*Node](t)(l.Host("client", NIC{Name: "eth0", Bridge: lan, Addresses: Prefixes("10.0.0.9/24", "fd00::9/64")}))
	var wg sync.WaitGroup
	for i, machine := range []**Machine{&m.one, &m.two} {
		number := i + 1
		*machine = must[*Machine](t)(l.NewMachine(DirectorConfig{
			Name: fmt.Sprintf("lb%d", number),
			NICs: []NIC{{Name: "eth0", Bridge: lan, Addresses: Prefixes(
				fmt.Sprintf("10.0.0.%d/24", number), fmt.Sprintf("fd00::%d/64", number))}},
			Sysctls: map[string]string{"net.ipv4.ip_forward": "1"},
		}))
		wg.Go(func() { start(t, *machine) })
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return m
}

func start(t *testing.T, d Director) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	begin := time.Now()
	if err := d.Start(ctx); err != nil {
		t.Error(err)
		return
	}
	t.Logf("%s, %s, is ready after %v", d.Name(), d.Describe(), time.Since(begin).Round(time.Millisecond))
}

func TestPairMachines(t *testing.T) {
	Need(t, Pair)
	m := startMachines(t)
	t.Run("reach each other", func(t *testing.T) { testReach(t, m) })
	t.Run("exec", func(t *testing.T) { testExec(t, m.one) })
	t.Run("cancel", func(t *testing.T) { testCancel(t, m.one) })
	t.Run("spawn", func(t *testing.T) { testSpawn(t, m.one) })
	t.Run("own files", func(t *testing.T) { testOwnFiles(t, m.one, m.two) })
	t.Run("kill", func(t *testing.T) { testKill(t, m) })
	t.Run("power off", func(t *testing.T) { testPowerOff(t, m.two) })
}

func TestKernelDirectors(t *testing.T) {
	Need(t, Kernel)
	l := NewT(t, "labtest")
	lan := must[*Bridge](t)(l.Bridge("lan"))
	one := must[*NamespaceDirector](t)(l.NewNamespaceDirector(DirectorConfig{Name: "lb1", NICs: []NIC{{Name: "eth0", Bridge: lan}}}))
	two := must[*NamespaceDirector](t)(l.NewNamespaceDirector(DirectorConfig{Name: "lb2"}))
	for range 2 {
		start(t, one)
		start(t, two)
		t.Run("exec", func(t *testing.T) { testExec(t, one) })
		t.Run("cancel", func(t *testing.T) { testCancel(t, one) })
		t.Run("spawn", func(t *testing.T) { testSpawn(t, one) })
		t.Run("own files", func(t *testing.T) { testOwnFiles(t, one, two) })
		if err := one.Kill(); err != nil {
			t.Fatal(err)
		}
		if _, err := one.Exec(t.Context(), "true"); err == nil {
			t.Error("a dead director runs programs")
		}
		t.Run("power off", func(t *testing.T) { testPowerOff(t, two) })
	}
}

func testReach(t *testing.T, m machines) {
	for _, d := range []Director{m.one, m.two} {
		for _, to := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.9", "fd00::1", "fd00::2", "fd00::9"} {
			if out, err := Output(t.Context(), d, "ping", "-c1", "-W2", to); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		}
	}
	for _, to := range []string{"10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2"} {
		if out, err := m.client.Command(t.Context(), "ping", "-c1", "-W2", to).CombinedOutput(); err != nil {
			t.Errorf("the client pings %s: %v: %s", to, err, out)
		}
	}
	links := must[string](t)(Output(t.Context(), m.one, "ls", "/sys/class/net"))
	if strings.Contains(links, "vec") {
		t.Errorf("the management card is to be seen among %q", strings.Fields(links))
	}
}

func testExec(t *testing.T, d Director) {
	r := must[Result](t)(d.Exec(t.Context(), "sh", "-c", "hostname; echo err >&2; exit 7"))
	if r.ExitCode != 7 || string(r.Stdout) != d.Name()+"\n" || string(r.Stderr) != "err\n" {
		t.Errorf("got %+v, want the name, err and 7", r)
	}
	if r := must[Result](t)(d.Exec(t.Context(), "sh", "-c", "kill -9 $$")); r.ExitCode != -1 {
		t.Errorf("a killed program has exit status %d, want -1", r.ExitCode)
	}
	if _, err := d.Exec(t.Context(), "/no/such/program"); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a missing program gives %v", err)
	}
	if _, err := Output(t.Context(), d, "sh", "-c", "echo why >&2; exit 3"); err == nil || !strings.Contains(err.Error(), "exit status 3: why") {
		t.Errorf("Output of a failing program gives %v", err)
	}
	// A daemon that keeps the output open does not delay it for long.
	pid := strings.TrimSpace(must[string](t)(Output(t.Context(), d, "sh", "-c", "sleep 4322 & echo $!")))
	if r := must[Result](t)(d.Exec(t.Context(), "kill", pid)); r.ExitCode != 0 {
		t.Errorf("the daemon %q is gone: %s", pid, r.Stderr)
	}
	const n = 20
	begin := time.Now()
	for range n {
		must[Result](t)(d.Exec(t.Context(), "/bin/true"))
	}
	t.Logf("exec of /bin/true takes %v", time.Since(begin)/n)
}

func testCancel(t *testing.T, d Director) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := d.Exec(ctx, "sleep", "4321"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a program that takes too long gives %v", err)
	}
	await(t, func() bool {
		r := must[Result](t)(d.Exec(t.Context(), "pgrep", "-f", "sleep 4321"))
		return r.ExitCode == 1
	})
}

func testSpawn(t *testing.T, d Director) {
	lines := make(chan string, 100)
	p := must[*Process](t)(d.Spawn(t.Context(), Command{
		Argv:  []string{"sh", "-c", `echo $GREETING from $PWD; cat; trap "echo bye; exit 5" TERM; echo ready; while :; do sleep 0.01; done`},
		Env:   []string{"GREETING=hello"},
		Dir:   "/run",
		Stdin: strings.NewReader("some input\n"),
		Stdout: writerFunc(func(p []byte) {
			for line := range strings.Lines(string(p)) {
				lines <- strings.TrimSpace(line)
			}
		}),
	}))
	for _, want := range []string{"hello from /run", "some input", "ready"} {
		select {
		case got := <-lines:
			if got != want {
				t.Errorf("it says %q, want %q", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("it does not say %q", want)
		}
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if code, err := p.Wait(ctx); code != 5 || err != nil {
		t.Errorf("it ended with %d, %v, want 5", code, err)
	}
}

func testOwnFiles(t *testing.T, one, two Director) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	if err := one.WriteFile(t.Context(), "/run/some/file", content); err != nil {
		t.Fatal(err)
	}
	if got := must[string](t)(Output(t.Context(), one, "cat", "/run/some/file")); got != string(content) {
		t.Errorf("read %d other bytes, want %d", len(got), len(content))
	}
	if r := must[Result](t)(two.Exec(t.Context(), "cat", "/run/some/file")); r.ExitCode == 0 {
		t.Error("the other director sees the file")
	}
	if err := one.WriteFile(t.Context(), "/proc/no/file", nil); err == nil {
		t.Error("a file that cannot be written gives no error")
	}
}

// testKill cuts a machine's power while a client probes it, and starts it again.
func testKill(t *testing.T, m machines) {
	serve := func() *Process {
		return must[*Process](t)(m.one.Spawn(t.Context(), Command{Argv: []string{"sleep", "1000"}}))
	}
	p := serve()
	// The kernel itself refuses connections: a refusal shows that it runs.
	alive := func(ctx context.Context) bool {
		_, err := m.client.DialContext(ctx, "tcp", "10.0.0.1:9")
		return errors.Is(err, syscall.ECONNREFUSED)
	}
	if !alive(t.Context()) {
		t.Fatal("the machine does not answer")
	}
	begin := time.Now()
	if err := m.one.Kill(); err != nil {
		t.Fatal(err)
	}
	took := time.Since(begin)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if alive(ctx) {
		t.Error("a machine without power answers")
	}
	if took > 3*time.Second { // beside other machines
		t.Errorf("the power failure took %v", took)
	}
	t.Logf("the power failure took %v", took)
	if _, err := p.Wait(t.Context()); err == nil {
		t.Error("a program on a dead machine ended well")
	}
	if _, err := m.one.Exec(t.Context(), "true"); err == nil {
		t.Error("a dead machine runs programs")
	}
	if err := m.one.Kill(); err != nil {
		t.Errorf("a second power failure gives %v", err)
	}
	start(t, m.one)
	if !alive(t.Context()) {
		t.Error("the machine does not answer when it is on again")
	}
	if r := must[Result](t)(m.one.Exec(t.Context(), "ls", "/run/some")); r.ExitCode == 0 {
		t.Error("a machine's own files outlive a power failure")
	}
}

func testPowerOff(t *testing.T, d Director) {
	// Not t.TempDir, which may be in a /dev/shm that the director does not share.
	dir := must[string](t)(os.MkdirTemp("/var/tmp", "labtest-"))
	defer os.RemoveAll(dir)
	note := filepath.Join(dir, "note")
	ready := make(chan struct{})
	must[*Process](t)(d.Spawn(t.Context(), Command{
		Argv:   []string{"sh", "-c", `trap 'echo bye >"$0"; exit' TERM; echo ready; while :; do sleep 0.01; done`, note},
		Stdout: writerFunc(func([]byte) { close(ready) }),
	}))
	<-ready
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	begin := time.Now()
	if err := d.PowerOff(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("power off took %v", time.Since(begin))
	if got, err := os.ReadFile(note); err != nil || string(got) != "bye\n" {
		t.Errorf("its last words are %q, %v", got, err)
	}
}

func TestPairRunInTestKernel(t *testing.T) {
	Need(t, Pair)
	var out bytes.Buffer
	status, err := RunInTestKernel(t.Context(), 0, Command{
		Argv: []string{"sh", "-c", "lsmod; echo $WORD; exit 9"}, Env: []string{"WORD=wonderful"}, Stdout: &out,
	})
	if status != 9 || err != nil || !strings.Contains(out.String(), "ip_vs_wlc") || !strings.HasSuffix(out.String(), "wonderful\n") {
		t.Errorf("got %d, %v, %s", status, err, out.String())
	}
	// The kernel dies during the command: there is no exit status.
	if status, err := RunInTestKernel(t.Context(), 0, Command{Argv: []string{"poweroff", "-f"}}); err == nil {
		t.Errorf("a dead kernel gives exit status %d", status)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Second, errors.New("enough"))
	defer cancel()
	if _, err := RunInTestKernel(ctx, 0, Command{Argv: []string{"sleep", "1000"}}); err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("a command that takes too long gives %v", err)
	}
}
