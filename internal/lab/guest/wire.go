package guest

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// FrameType is the type of a frame.
type FrameType uint8

// The frames of one command, each on a separate connection. The first is Command, the last Exit. PowerOff is sent alone.
const (
	FrameCommand  FrameType = 1 + iota // to the agent: Command as JSON
	FrameStdin                         // to the agent: input; empty at end of file
	FrameSignal                        // to the agent: one byte, to the process group
	FrameStarted                       // to the lab
	FrameStdout                        // to the lab
	FrameStderr                        // to the lab
	FrameExit                          // to the lab: Exit as JSON
	FramePowerOff                      // to the agent: send SIGTERM to all processes, then power off
)

// maxFrame bounds a payload; senders stay far below it.
const maxFrame = 1 << 20

// Command is a program to run. The agent kills it when the connection ends.
type Command struct {
	Argv []string
	Env  []string // added to the agent's own
	Dir  string
}

// Exit is how a command ended: Code is -1 if it was ended by a signal. Error says why it could not be run.
type Exit struct {
	Code   int
	Signal int
	Error  string
}

// Frame is one message.
type Frame struct {
	Type    FrameType
	Payload []byte
}

// ReadFrame reads one frame.
func ReadFrame(r io.Reader) (Frame, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return Frame{}, err
	}
	size := binary.BigEndian.Uint32(head[1:])
	if size > maxFrame {
		return Frame{}, fmt.Errorf("read frame: %d bytes are more than the %d allowed", size, maxFrame)
	}
	f := Frame{Type: FrameType(head[0]), Payload: make([]byte, size)}
	if _, err := io.ReadFull(r, f.Payload); err != nil {
		return Frame{}, fmt.Errorf("read frame: %w", io.ErrUnexpectedEOF)
	}
	return f, nil
}

// Writer writes frames, one at a time.
type Writer struct {
	mu sync.Mutex
	w  io.Writer
}

// NewWriter returns a writer of frames to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Write writes one frame.
func (w *Writer) Write(t FrameType, payload []byte) error {
	buf := make([]byte, 5, 5+len(payload))
	buf[0] = byte(t)
	binary.BigEndian.PutUint32(buf[1:], uint32(len(payload)))
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := w.w.Write(append(buf, payload...))
	return err
}

// WriteJSON writes one frame with a value as JSON.
func (w *Writer) WriteJSON(t FrameType, v any) error {
	payload, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.Write(t, payload)
}

// Stream is an io.Writer whose bytes become frames of one type.
func (w *Writer) Stream(t FrameType) io.Writer { return stream{w, t} }

type stream struct {
	w *Writer
	t FrameType
}

func (s stream) Write(p []byte) (int, error) {
	const chunk = 64 << 10
	for n := 0; n < len(p); n += chunk {
		if err := s.w.Write(s.t, p[n:min(n+chunk, len(p))]); err != nil {
			return n, err
		}
	}
	return len(p), nil
}
