package ipvsnl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mdlayher/netlink"

	"github.com/lvs-ha/lvs-ha/internal/ipvsnl/ipvsnltest"
)

// faults are errors that a system call may return once.
var faults = []syscall.Errno{syscall.EINTR, syscall.EAGAIN, syscall.EBUSY, syscall.ENOBUFS, syscall.ENOMEM, syscall.EMFILE, ipvsnltest.Lost}

// converged is the time limit for recovering from a single fault.
const converged = 500 * time.Millisecond

// once makes the nth system call from now on fail.
func once(k *ipvsnltest.Kernel, n int, fault syscall.Errno) {
	base := k.SystemCalls()
	k.Fault = func(call int, _ ipvsnltest.Op) syscall.Errno {
		if call == base+n {
			return fault
		}
		return 0
	}
}

// eachFault runs a story with each fault at each of its system calls.
func eachFault(t *testing.T, story func(t *testing.T, kernel *ipvsnltest.Kernel, n int, fault syscall.Errno)) {
	for _, fault := range faults {
		for n := range 10 { // opening a socket, resolving the family, a request, and the calls added by a fault
			t.Run(fmt.Sprintf("%d at %d", fault, n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					kernel := ipvsnltest.New(func(c ipvsnltest.Call) ipvsnltest.Answer {
						if c.Command == CmdGetService || c.Command == CmdGetInfo {
							return ipvsnltest.Answer{Messages: [][]byte{{8, 0, 1, 0, 1, 0, 0, 0}}}
						}
						return ipvsnltest.Answer{}
					})
					story(t, kernel, n, fault)
				})
			})
		}
	}
}

func TestReadSurvivesAnyFault(t *testing.T) {
	eachFault(t, func(t *testing.T, kernel *ipvsnltest.Kernel, n int, fault syscall.Errno) {
		once(kernel, n, fault)
		start := time.Now()
		c, err := OpenWith(t.Context(), kernel.Dial)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if list, err := c.Dump(t.Context(), Request{Command: CmdGetService}); err != nil || len(list) != 1 {
			t.Errorf("a list: got %v, %v", list, err)
		}
		if answer, err := c.Get(t.Context(), Request{Command: CmdGetInfo}); err != nil || len(answer) == 0 {
			t.Errorf("an answer: got %v, %v", answer, err)
		}
		if took := time.Since(start); took > converged {
			t.Errorf("took %v", took)
		}
	})
}

func TestChangeIsMadeOnceOrUnknown(t *testing.T) {
	eachFault(t, func(t *testing.T, kernel *ipvsnltest.Kernel, n int, fault syscall.Errno) {
		c, err := OpenWith(t.Context(), kernel.Dial)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		once(kernel, n, fault)
		start := time.Now()
		errs := c.Batch(t.Context(), numbered(2))
		errs = append(errs, c.Do(t.Context(), Request{Command: CmdFlush}))
		for i, err := range errs {
			if err != nil && !IsTransient(err) {
				t.Errorf("request %d: got error %v, want one that is worth another try", i, err)
			}
		}
		if calls := len(kernel.Calls()); calls > len(errs) {
			t.Errorf("%d requests were carried out, want each once at most", calls)
		}
		if took := time.Since(start); took > converged {
			t.Errorf("took %v", took)
		}
		kernel.Fault = nil
		for _, err := range c.Batch(t.Context(), numbered(2)) {
			if err != nil {
				t.Errorf("the next time: %v", err)
			}
		}
	})
}

// If every other read fails, lists are still read, and no change whose error may be lost counts as done.
func TestEveryOtherReadFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel := ipvsnltest.New(func(c ipvsnltest.Call) ipvsnltest.Answer {
			if c.Command == CmdNewDest {
				return ipvsnltest.Answer{Errno: syscall.EEXIST}
			}
			return ipvsnltest.Answer{Messages: [][]byte{{8, 0, 1, 0, 1, 0, 0, 0}}}
		})
		reads := 0
		kernel.Fault = func(_ int, op ipvsnltest.Op) syscall.Errno {
			if op == ipvsnltest.Receive {
				if reads++; reads%2 == 1 {
					return syscall.ENOBUFS
				}
			}
			return 0
		}
		start := time.Now()
		c, err := OpenWith(t.Context(), kernel.Dial)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for range 5 {
			if list, err := c.Dump(t.Context(), Request{Command: CmdGetService}); err != nil || len(list) != 1 {
				t.Errorf("got %v, %v", list, err)
			}
		}
		for _, err := range c.Batch(t.Context(), numbered(3)) {
			if !errors.Is(err, ErrUnknownOutcome) {
				t.Errorf("got error %v, want %v", err, ErrUnknownOutcome)
			}
		}
		if took := time.Since(start); took > converged {
			t.Errorf("took %v", took)
		}
	})
}

func TestPersistentFaultIsAnError(t *testing.T) {
	for _, fault := range faults {
		synctest.Test(t, func(t *testing.T) {
			kernel := ipvsnltest.New(func(ipvsnltest.Call) ipvsnltest.Answer { return ipvsnltest.Answer{} })
			kernel.Fault = func(int, ipvsnltest.Op) syscall.Errno { return fault }
			start := time.Now()
			_, err := OpenWith(t.Context(), kernel.Dial)
			if !IsTransient(err) {
				t.Errorf("%d: got error %v, want one that is worth another try", fault, err)
			}
			if took := time.Since(start); took > 3*time.Second || kernel.SystemCalls() > 500 {
				t.Errorf("%d: %d system calls in %v", fault, kernel.SystemCalls(), took)
			}
		})
	}
}

func TestIsTransient(t *testing.T) {
	refusal := func(errno syscall.Errno) error {
		return Explain(&netlink.OpError{Op: "receive", Err: errno, Sequence: 1}, nil)
	}
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{refusal(syscall.EBUSY), true},
		{refusal(syscall.ENOBUFS), true},
		{refusal(syscall.ENOENT), false},
		{refusal(syscall.ENOMEM), false},
		{refusal(syscall.EPERM), false},
		{ErrDumpInterrupted, true},
		{&linkError{ErrNoAnswer}, true},
		{fmt.Errorf("%w: %w", ErrUnknownOutcome, &linkError{syscall.EPIPE}), true},
		{ErrNoIPVS, false},
		{ErrClosed, false},
	} {
		if got := IsTransient(tt.err); got != tt.want {
			t.Errorf("%v: got %v, want %v", tt.err, got, tt.want)
		}
	}
}

// A module that was removed and loaded again gets another family number.
func TestFamilyIsResolvedAgain(t *testing.T) {
	removed := false
	c, kernel := openFake(t, func(ipvsnltest.Call) ipvsnltest.Answer {
		if removed {
			removed = false
			return ipvsnltest.Answer{Errno: syscall.ENOENT} // the kernel's answer to an unknown number
		}
		return ipvsnltest.Answer{}
	})
	removed = true
	before := kernel.SystemCalls()
	if _, err := c.Dump(t.Context(), Request{Command: CmdGetService}); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("got error %v, want ENOENT", err)
	}
	if _, err := c.Dump(t.Context(), Request{Command: CmdGetService}); err != nil {
		t.Error(err)
	}
	if calls := kernel.SystemCalls() - before; calls != 6 || kernel.Sockets() != 1 {
		t.Errorf("%d system calls, %d sockets, want 6, one pair of them for the family, on one", calls, kernel.Sockets())
	}
}

func TestKernelMessageIsReported(t *testing.T) {
	ae := netlink.NewAttributeEncoder()
	ae.String(1, "Invalid service")
	attributes, err := ae.Encode()
	if err != nil {
		t.Fatal(err)
	}
	errno := binary.NativeEndian.AppendUint32(nil, ^uint32(syscall.EINVAL)+1)
	request := binary.NativeEndian.AppendUint32(nil, 20)
	for name, tt := range map[string]struct {
		flags   netlink.HeaderFlags
		request []byte
		want    string
	}{
		"none":         {0, append(request, make([]byte, 16)...), ""},
		"whole":        {netlink.AcknowledgeTLVs, append(request, make([]byte, 16)...), "Invalid service"},
		"capped":       {netlink.AcknowledgeTLVs | netlink.Capped, append(request, make([]byte, 12)...), "Invalid service"},
		"out of range": {netlink.AcknowledgeTLVs, append([]byte{255, 255, 255, 255}, make([]byte, 12)...), ""},
	} {
		data := append(append(append([]byte(nil), errno...), tt.request...), attributes...)
		err := status(netlink.Header{Type: netlink.Error, Flags: tt.flags, Sequence: 1}, data)
		op, ok := errors.AsType[*netlink.OpError](err)
		if !ok || op.Message != tt.want || !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%s: got error %v, want EINVAL with %q", name, err, tt.want)
		}
	}
}
