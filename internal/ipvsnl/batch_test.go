package ipvsnl

import (
	"context"
	"encoding/binary"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mdlayher/netlink"
	"pgregory.net/rapid"

	"github.com/lvs-ha/lvs-ha/internal/ipvsnl/ipvsnltest"
)

func numbered(n int) []Request {
	requests := make([]Request, n)
	for i := range requests {
		requests[i] = Request{Command: CmdNewDest, Attributes: binary.NativeEndian.AppendUint32(nil, uint32(i))}
	}
	return requests
}

func TestBatch(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, 3*pieceRequests+1).Draw(rt, "n")
		refused := rapid.SliceOfDistinct(rapid.IntRange(0, max(n-1, 0)), rapid.ID).Draw(rt, "refused")
		want := make([]error, n)
		for _, i := range refused {
			if i < n {
				want[i] = syscall.EEXIST
			}
		}
		var order []int
		acknowledged := 0
		kernel := ipvsnltest.New(func(c ipvsnltest.Call) ipvsnltest.Answer {
			i := int(binary.NativeEndian.Uint32(c.Attributes))
			order = append(order, i)
			if c.Flags&netlink.Acknowledge != 0 {
				acknowledged++
			}
			errno, _ := want[i].(syscall.Errno)
			return ipvsnltest.Answer{Errno: errno}
		})
		defer kernel.Release()
		c, err := OpenWith(t.Context(), kernel.Dial)
		if err != nil {
			rt.Fatal(err)
		}
		defer c.Close()
		got := c.Batch(t.Context(), numbered(n))
		if len(got) != n {
			rt.Fatalf("got %d errors, want %d", len(got), n)
		}
		for i := range got {
			if !errors.Is(got[i], want[i]) || (want[i] == nil && got[i] != nil) {
				rt.Errorf("request %d: got error %v, want %v", i, got[i], want[i])
			}
			if order[i] != i {
				rt.Fatalf("request %d was sent as number %d", order[i], i)
			}
		}
		if pieces := (n + pieceRequests - 1) / pieceRequests; acknowledged != pieces {
			rt.Errorf("%d requests asked for an acknowledgement, want one for each of %d pieces", acknowledged, pieces)
		}
	})
}

func TestPieceLength(t *testing.T) {
	big := Request{Attributes: make([]byte, pieceBytes)}
	small := Request{Attributes: make([]byte, 100)}
	for _, tt := range []struct {
		name     string
		requests []Request
		want     int
	}{
		{"one", []Request{small}, 1},
		{"one that is too big", []Request{big, small}, 1},
		{"big one after a small one", []Request{small, big}, 1},
		{"many", numbered(1000), pieceRequests},
	} {
		if got := pieceLength(tt.requests); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestBatchOfUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 2*pieceRequests + 5
		c, kernel := openFake(t, func(call ipvsnltest.Call) ipvsnltest.Answer {
			i := binary.NativeEndian.Uint32(call.Attributes)
			return ipvsnltest.Answer{Lost: i == 2*pieceRequests-1}
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		errs := c.Batch(ctx, numbered(n))
		for i, err := range errs {
			want := error(nil)
			if i >= pieceRequests {
				want = context.DeadlineExceeded
			}
			if !errors.Is(err, want) {
				t.Fatalf("request %d: got error %v, want %v", i, err, want)
			}
			if unknown := i >= pieceRequests && i < 2*pieceRequests; errors.Is(err, ErrUnknownOutcome) != unknown {
				t.Errorf("request %d: got error %v; of unknown outcome: want %v", i, err, unknown)
			}
		}
		if sent := len(kernel.Calls()); sent != 2*pieceRequests {
			t.Errorf("%d requests were sent after a lost answer, want %d", sent, 2*pieceRequests)
		}
	})
}
