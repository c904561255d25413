package capability

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParse(t *testing.T) {
	for list, want := range map[string]Set{
		"":                           0,
		"CAP_NET_RAW":                Of(unix.CAP_NET_RAW),
		"net_raw, cap_chown":         Of(unix.CAP_NET_RAW, unix.CAP_CHOWN),
		"CHECKPOINT_RESTORE,SYSLOG":  Of(unix.CAP_CHECKPOINT_RESTORE, unix.CAP_SYSLOG),
		"all":                        All,
		"CAP_SETUID CAP_SETGID KILL": Of(unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_KILL),
	} {
		if got, err := Parse(list); got != want || err != nil {
			t.Errorf("%q: %v, %v; want %v", list, got, err, want)
		}
	}
	for _, list := range []string{"NET", "CAP_", "NET_RAW;CHOWN", "NET_RAW,nothing"} {
		if got, err := Parse(list); err == nil {
			t.Errorf("%q: %v", list, got)
		}
	}
}

// TestNames checks that the output of String can be parsed, and that the names are in the kernel's order.
func TestNames(t *testing.T) {
	for number := range names {
		if got, err := Parse(Of(number).String()); err != nil || got != Of(number) {
			t.Errorf("%d is %s, read as %v, %v", number, Of(number), got, err)
		}
	}
	for number, want := range map[int]string{
		unix.CAP_CHOWN: "CAP_CHOWN", unix.CAP_SETPCAP: "CAP_SETPCAP", unix.CAP_NET_ADMIN: "CAP_NET_ADMIN", unix.CAP_SYS_PTRACE: "CAP_SYS_PTRACE",
		unix.CAP_MKNOD: "CAP_MKNOD", unix.CAP_SYSLOG: "CAP_SYSLOG", unix.CAP_CHECKPOINT_RESTORE: "CAP_CHECKPOINT_RESTORE", 63: "capability 63",
	} {
		if got := Of(number).String(); got != want {
			t.Errorf("%d is %s, want %s", number, got, want)
		}
	}
}

// TestThread drops a capability that the thread cannot regain, and checks that it is dropped.
func TestThread(t *testing.T) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // not unlocked: the thread ends with the goroutine
		before, err := OfThread()
		if err != nil {
			t.Error(err)
			return
		}
		want := Thread{Permitted: before.Permitted &^ Of(unix.CAP_NET_RAW)}
		want.Effective = want.Permitted & Of(unix.CAP_KILL, unix.CAP_CHECKPOINT_RESTORE)
		if err := want.Apply(); err != nil {
			t.Error(err)
		}
		if got, err := OfThread(); err != nil || got != want {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
		if before.Permitted.Has(unix.CAP_NET_RAW) && before.Apply() == nil {
			t.Error("a dropped capability can be regained")
		}
	}()
	<-done
}

// TestOnOwnThread checks that no function runs on the main thread or on the thread of another function.
func TestOnOwnThread(t *testing.T) {
	const times = 50
	threads := make(chan int, times)
	release := make(chan struct{})
	for range times {
		OnOwnThread(func() {
			threads <- unix.Gettid()
			<-release
		})
	}
	seen := map[int]bool{unix.Getpid(): true}
	for range times {
		thread := <-threads
		if seen[thread] {
			t.Errorf("thread %d of process %d was given away already", thread, unix.Getpid())
		}
		seen[thread] = true
	}
	close(release)
}
