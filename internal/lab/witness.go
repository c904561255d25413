package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Sight is an observation of a witness, with the local time.
type Sight struct {
	At     time.Time
	Kind   string // alive, stall, state, api: see internal/lab/witness
	Fields []string
}

// Length returns a field in nanoseconds.
func (s Sight) Length(field int) time.Duration {
	if field >= len(s.Fields) {
		return 0
	}
	n, _ := strconv.ParseInt(s.Fields[field], 10, 64)
	return time.Duration(n)
}

// LeastStall is the shortest stall that a machine's witness reports.
const LeastStall = 2 * time.Millisecond

// WatchStalls reports stalls of one of the host's CPUs. It looks as often as the shortest stall is long that it reports.
func (h *Node) WatchStalls(ctx context.Context, cpu int, least time.Duration, take func(Sight)) error {
	path, err := program("witness")
	if err != nil {
		return err
	}
	cmd := h.Command(ctx, path, "-stalls", strconv.Itoa(cpu), "-least", least.String())
	cmd.Stdout = newWitness(take)
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }()
	return nil
}

// WatchStalls reports stalls of the machine's only CPU.
func (m *Machine) WatchStalls(ctx context.Context, take func(Sight)) error {
	return Watch(ctx, m, take, "-stalls", "0", "-least", LeastStall.String())
}

// Watch starts a witness on a director, with arguments.
func Watch(ctx context.Context, d Director, take func(Sight), args ...string) error {
	path, err := program("witness")
	if err != nil {
		return err
	}
	var stderr tail
	p, err := d.Spawn(ctx, Command{Argv: append([]string{path}, args...), Stdout: newWitness(take), Stderr: &stderr})
	if err != nil {
		return fmt.Errorf("watch %s: %w", d.Name(), err)
	}
	select {
	case <-p.Done():
		_, err := p.Wait(ctx)
		return fmt.Errorf("watch %s: it ended at once: %w", d.Name(), errors.Join(err, errors.New(stderr.String())))
	case <-time.After(50 * time.Millisecond):
		return nil
	}
}

// witness reads a witness's lines. It derives the clock difference from the line that arrived fastest.
type witness struct {
	take func(Sight)
	now  func() time.Time
	rest []byte

	zero  time.Time // when the machine's clock was 0
	known bool
}

func newWitness(take func(Sight)) io.Writer { return &witness{take: take, now: time.Now} }

func (w *witness) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		line, rest, ok := bytes.Cut(w.rest, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		w.line(string(line))
		w.rest = rest
	}
}

func (w *witness) line(text string) {
	fields := strings.Fields(text)
	if len(fields) < 2 {
		return
	}
	n, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return
	}
	// An API answer has the time of its request, so it is not used to measure the delay of lines.
	if zero := w.now().Add(-time.Duration(n)); !w.known || zero.Before(w.zero) {
		w.zero, w.known = zero, true
	}
	w.take(Sight{At: w.zero.Add(time.Duration(n)), Kind: fields[1], Fields: fields[2:]})
}
