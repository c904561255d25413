package track

import (
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/config"
)

func TestPresence(t *testing.T) {
	type step struct {
		at    time.Duration
		count int
		want  State
		due   time.Duration // 0 if none
	}
	const s = time.Second
	for name, tt := range map[string]struct {
		p     config.TrackProcess
		steps []step
	}{
		"minimum":            {config.TrackProcess{Minimum: 2, Maximum: -1}, []step{{0, 2, Good, 0}, {s, 1, Bad, 0}, {2 * s, 9, Good, 0}}},
		"maximum":            {config.TrackProcess{Minimum: 1, Maximum: 2}, []step{{0, 2, Good, 0}, {s, 3, Bad, 0}, {2 * s, 0, Bad, 0}, {3 * s, 1, Good, 0}}},
		"none allowed":       {config.TrackProcess{Maximum: 0}, []step{{0, 0, Good, 0}, {s, 1, Bad, 0}}},
		"first without wait": {config.TrackProcess{Minimum: 1, Maximum: -1, DelayUp: s, DelayDown: s}, []step{{0, 0, Bad, 0}}},
		"delays": {config.TrackProcess{Minimum: 1, Maximum: -1, DelayUp: 3 * s, DelayDown: 2 * s}, []step{
			{0, 1, Good, 0}, {s, 0, Good, 2 * s}, {2 * s, 0, Good, s}, {3 * s, 0, Bad, 0},
			{4 * s, 1, Bad, 3 * s}, {5 * s, 0, Bad, 0}, {6 * s, 1, Bad, 3 * s}, {8 * s, 2, Bad, s}, {9 * s, 1, Good, 0},
			{10 * s, 0, Good, 2 * s}, {11 * s, 1, Good, 0}, {12 * s, 0, Good, 2 * s},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := presence{TrackProcess: tt.p}
			start := time.Unix(1000, 0)
			var last Result
			for _, step := range tt.steps {
				now := start.Add(step.at)
				r, due := p.note(step.count, now)
				if r.State != step.want || step.due != 0 && due != step.due || step.due == 0 && due < time.Minute {
					t.Errorf("after %v: %+v, due %v; want %+v", step.at, r, due, step)
				}
				if changed := r.State != last.State; changed != r.Since.Equal(now) {
					t.Errorf("after %v: since %v", step.at, r.Since)
				}
				last = r
			}
		})
	}
	p := presence{TrackProcess: config.TrackProcess{Minimum: 2, Maximum: 3}}
	for count, want := range map[int]string{1: "1 process, at least 2 required", 2: "2 processes", 4: "4 processes, at most 3 allowed"} {
		if r, _ := p.note(count, time.Time{}); r.Reason != want {
			t.Errorf("%q, want %q", r.Reason, want)
		}
	}
}

// TestProcesses starts and ends processes. An exit must be detected well before the next count.
func TestProcesses(t *testing.T) {
	results, stop := watched(t, config.Track{Name: "p", Process: &config.TrackProcess{Command: []string{"sleep", "98765.4321"}, Minimum: 2, Maximum: 2}})
	defer stop()
	expect(t, results, Bad, 0)
	start := func() *exec.Cmd {
		cmd := exec.Command("sleep", "98765.4321", "0")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
		return cmd
	}
	first := start()
	start()
	expect(t, results, Good, 0)
	// It becomes a zombie, since the test does not wait for it yet.
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	expect(t, results, Bad, 0)
	start()
	expect(t, results, Good, 0)
	start()
	expect(t, results, Bad, 0)
}

// TestEnough checks that while there are enough processes, an exit is detected immediately and additional ones do not matter.
func TestEnough(t *testing.T) {
	results, stop := watched(t, config.Track{Name: "p", Process: &config.TrackProcess{Command: []string{"sleep", "98765.9"}, Minimum: 1, Maximum: -1}})
	defer stop()
	expect(t, results, Bad, 0)
	for range 2 {
		cmd := exec.Command("sleep", "98765.9")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		expect(t, results, Good, 0)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		expect(t, results, Bad, 0)
		_ = cmd.Wait()
	}
}

// TestNames finds this process by its name, which the kernel truncates.
func TestNames(t *testing.T) {
	table := processes{dir: procDir}
	pids, err := table.matching(newProcessPattern("track.test", nil), true)
	if err != nil || len(pids) == 0 {
		t.Errorf("this process is not among %v, %v", pids, err)
	}
	if pids, err := table.matching(newProcessPattern("no such name", nil), false); err != nil || len(pids) != 0 {
		t.Errorf("got %v, %v", pids, err)
	}
}

// BenchmarkScan counts with 2,000 additional processes.
func BenchmarkScan(b *testing.B) {
	for range 2000 {
		cmd := exec.Command("sleep", "98765.4321")
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	}
	for name, command := range map[string][]string{"name": nil, "command": {"haproxy", "-f"}} {
		b.Run(name, func(b *testing.B) {
			table := processes{dir: procDir}
			before := processorTime(b)
			for b.Loop() {
				if _, err := table.matching(newProcessPattern("haproxy", command), true); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(table.entries)), "processes")
			b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
		})
	}
}

// processorTime returns the CPU time used by this process.
func processorTime(b *testing.B) time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
