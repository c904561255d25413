package script

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkRun runs a script as another user, in a process with a heap as large as a director's with 40,000 real servers.
func BenchmarkRun(b *testing.B) {
	ballast := make([]byte, 150<<20)
	for i := 0; i < len(ballast); i += 4096 {
		ballast[i] = 1
	}
	user := DefaultUser
	if os.Geteuid() != 0 {
		user = self
	}
	for _, bb := range []struct {
		name string
		args []string
	}{{"true", []string{"true"}}, {"sh", []string{"/bin/sh", "-c", ":"}}} {
		b.Run(bb.name, func(b *testing.B) {
			r := NewRunner(16)
			defer r.Close()
			before := processorTime(b)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if got := r.Run(b.Context(), Command{Args: bb.args, User: user, Timeout: time.Minute}); !got.OK() {
						b.Fatal(got.Reason())
					}
				}
			})
			b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(b.N), "own-cpu-µs/op")
		})
	}
	ballast[0] = 2
}

// processorTime returns the CPU time used by this process without its children.
func processorTime(b *testing.B) time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
