package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"syscall"
)

// isJournal reports whether w is the stream that systemd connected to the journal. JOURNAL_STREAM contains the stream's
// device and inode (systemd.exec(5)); it stays set in processes whose standard error is redirected.
func isJournal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	var dev, inode uint64
	if n, err := fmt.Sscanf(os.Getenv("JOURNAL_STREAM"), "%d:%d", &dev, &inode); n != 2 || err != nil {
		return false
	}
	info, err := file.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && uint64(stat.Dev) == dev && stat.Ino == inode
}

// journalPrefix returns the priority prefix that the journal parses (sd-daemon(3)).
func journalPrefix(level slog.Level) string {
	switch {
	case level >= slog.LevelError:
		return "<3>"
	case level >= slog.LevelWarn:
		return "<4>"
	case level >= slog.LevelInfo:
		return "<6>"
	}
	return "<7>"
}

// journalHandler prefixes each record of its inner handler with a priority.
type journalHandler struct {
	slog.Handler
	line *prefixedLine
}

// prefixedLine adds a prefix to each write; the lock must be held.
type prefixedLine struct {
	mu     sync.Mutex
	w      io.Writer
	prefix string
}

func newJournalHandler(w io.Writer, form func(io.Writer) slog.Handler) slog.Handler {
	line := &prefixedLine{w: w}
	return journalHandler{form(line), line}
}

// Write implements io.Writer; a handler writes each record with one call.
func (l *prefixedLine) Write(text []byte) (int, error) {
	_, err := l.w.Write(append([]byte(l.prefix), text...))
	return len(text), err
}

// Handle implements slog.Handler.
func (h journalHandler) Handle(ctx context.Context, r slog.Record) error {
	h.line.mu.Lock()
	defer h.line.mu.Unlock()
	h.line.prefix = journalPrefix(r.Level)
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return journalHandler{h.Handler.WithAttrs(attrs), h.line}
}

// WithGroup implements slog.Handler.
func (h journalHandler) WithGroup(name string) slog.Handler {
	return journalHandler{h.Handler.WithGroup(name), h.line}
}
