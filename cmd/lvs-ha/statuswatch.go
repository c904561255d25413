package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// minWatch is the shortest interval of a watched status: the kernel's table is read each time.
const minWatch = 100 * time.Millisecond

// Control sequences of terminals (ECMA-48, and DEC's private modes).
const (
	screenBegin = "\x1b[?1049h\x1b[?25l" // the alternate screen, without a cursor
	screenEnd   = "\x1b[?25h\x1b[?1049l"
	screenHome  = "\x1b[H"
	lineRest    = "\x1b[K" // erase it
	screenRest  = "\x1b[J" // erase it
)

// watcher shows a page again and again.
type watcher struct {
	out      io.Writer
	interval time.Duration
	page     func(ctx context.Context) string
	size     func() (columns, rows int) // of the terminal; nil if out is none
	lines    bool                       // pages are lines: nothing separates them
}

// watchStatus shows a page until the user ends it: in place on a terminal, otherwise, and if pages are lines, one after the other.
func watchStatus(ctx context.Context, out *os.File, interval time.Duration, lines bool, page func(context.Context) string) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	w := watcher{out: out, interval: interval, page: page, lines: lines}
	if isTerminal(out) && os.Getenv("TERM") != "dumb" && !lines {
		w.size = func() (columns, rows int) {
			size, err := unix.IoctlGetWinsize(int(out.Fd()), unix.TIOCGWINSZ)
			if err != nil {
				return 0, 0
			}
			return int(size.Col), int(size.Row)
		}
	}
	return w.run(ctx)
}

// run shows the page until ctx ends.
func (w *watcher) run(ctx context.Context) (err error) {
	if w.size != nil {
		if _, err := io.WriteString(w.out, screenBegin); err != nil {
			return err
		}
		defer func() { _, _ = io.WriteString(w.out, screenEnd) }()
	}
	tick := time.NewTicker(w.interval)
	defer tick.Stop()
	for first := true; ; first = false {
		text := w.page(ctx)
		if ctx.Err() != nil {
			return nil
		}
		switch {
		case w.size != nil:
			columns, rows := w.size()
			text = frame(text, columns, rows)
		case !first && !w.lines:
			text = "\n" + text
		}
		if _, err := io.WriteString(w.out, text); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// frame returns what replaces the screen by a page: its first lines, if it is too long, each as far as it fits. A size of 0 is not known.
func frame(page string, columns, rows int) string {
	lines := strings.Split(strings.TrimSuffix(page, "\n"), "\n")
	if rows > 1 && len(lines) > rows {
		more := len(lines) - (rows - 1)
		lines = append(lines[:rows-1:rows-1], "… "+counted(more, "more line"))
	}
	var b bytes.Buffer
	b.WriteString(screenHome)
	for i, line := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(fit(line, columns) + lineRest)
	}
	b.WriteString(screenRest)
	return b.String()
}

// fit cuts a line to a number of columns. Control sequences take none.
func fit(line string, columns int) string {
	if columns <= 0 || len(line) <= columns {
		return line
	}
	var b strings.Builder
	for used := 0; line != ""; {
		if end := strings.IndexByte(line, 'm'); strings.HasPrefix(line, "\x1b[") && end > 0 {
			b.WriteString(line[:end+1])
			line = line[end+1:]
			continue
		}
		_, size := utf8.DecodeRuneInString(line)
		if used < columns {
			b.WriteString(line[:size])
		}
		line, used = line[size:], used+1
	}
	return b.String()
}
