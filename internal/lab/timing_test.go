package lab

import (
	"net"
	"os"
	"slices"
	"testing"
	"time"
)

const (
	beatInterval = 10 * time.Millisecond
	beatCount    = 300
	beatPort     = "9"
	envBeat      = "LAB_TEST_BEAT"
)

// TestBeat is the program that TestPairTimedMachines runs on a machine: it sends a datagram at each beat.
func TestBeat(t *testing.T) {
	to := os.Getenv(envBeat)
	if to == "" {
		t.Skip("TestPairTimedMachines runs it")
	}
	conn, err := net.Dial("udp", net.JoinHostPort(to, beatPort))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	tick := time.NewTicker(beatInterval)
	defer tick.Stop()
	for range beatCount {
		<-tick.C
		if _, err := conn.Write([]byte("beat")); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPairTimedMachines logs a machine's timing: the gaps between datagrams that it sends every 10 ms, as seen on the bridge,
// and its response times.
func TestPairTimedMachines(t *testing.T) {
	Need(t, Pair)
	m := startMachines(t)
	beats := must[*Capture](t)(m.lab.Fabric().Capture("lan", Filter{Protocols: []uint8{ProtocolUDP}}))
	echo := must[*Capture](t)(m.lab.Fabric().Capture("lan", Filter{Protocols: []uint8{1}}))
	listener := must[net.PacketConn](t)(m.client.ListenPacket("udp", ":"+beatPort))
	defer listener.Close()
	program := must[string](t)(os.Executable())
	r := must[Result](t)(run(t.Context(), m.one.Spawn, Command{
		Argv: []string{program, "-test.run=^TestBeat$"}, Env: []string{envBeat + "=10.0.0.9"},
	}))
	if r.ExitCode != 0 {
		t.Fatalf("beat: %s", r.Stdout)
	}
	if out, err := m.client.Command(t.Context(), "ping", "-q", "-i0.01", "-c300", "10.0.0.2").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	await(t, func() bool { return len(beats.Frames()) == beatCount })
	var off, took []time.Duration
	for i, f := range beats.Frames()[1:] {
		off = append(off, (f.Time.Sub(beats.Frames()[i].Time) - beatInterval).Abs())
	}
	const icmpType = 34
	var asked time.Time
	for _, f := range echo.Frames() {
		switch f.Data[icmpType] {
		case 8:
			asked = f.Time
		case 0:
			took = append(took, f.Time.Sub(asked))
		}
	}
	for what, d := range map[string][]time.Duration{"off a pace of 10 ms by": off, "answers a ping within": took} {
		slices.Sort(d)
		t.Logf("%s p50 %v, p99 %v, max %v", what, d[len(d)/2], d[len(d)*99/100], d[len(d)-1])
	}
}
