package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

// watched returns what a watcher writes in three and a half seconds.
func watched(t *testing.T, w watcher) string {
	t.Helper()
	var out strings.Builder
	n := 0
	w.out, w.interval = &out, time.Second
	w.page = func(context.Context) string { n++; return fmt.Sprintf("page %d\n", n) }
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
		defer cancel()
		if err := w.run(ctx); err != nil {
			t.Error(err)
		}
	})
	return out.String()
}

func TestWatchedPages(t *testing.T) {
	if got, want := watched(t, watcher{}), "page 1\n\npage 2\n\npage 3\n\npage 4\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := watched(t, watcher{lines: true}), "page 1\npage 2\npage 3\npage 4\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	got := watched(t, watcher{size: func() (int, int) { return 80, 24 }})
	if !strings.HasPrefix(got, screenBegin) || !strings.HasSuffix(got, screenEnd) || strings.Count(got, screenHome) != 4 || strings.Contains(strings.TrimSuffix(got, screenEnd), "\n") {
		t.Errorf("%q", got)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestWatchEndsWithItsOutput(t *testing.T) {
	w := watcher{out: fullDisk{}, interval: time.Hour, page: func(context.Context) string { return "page\n" }}
	if err := w.run(t.Context()); err == nil {
		t.Error("the output has failed without an error")
	}
}

func TestFrames(t *testing.T) {
	page := "lvs-ha on lb1: \x1b[31mDEGRADED\x1b[0m\n" + strings.Repeat("ä very long line that does not fit\n", 9)
	for _, size := range [][2]int{{0, 0}, {20, 5}, {1, 1}, {200, 10}, {20, 100}} {
		columns, rows := size[0], size[1]
		got := strings.TrimSuffix(strings.TrimPrefix(frame(page, columns, rows), screenHome), screenRest)
		lines := strings.Split(got, "\r\n")
		if rows > 1 && len(lines) > rows {
			t.Errorf("%v: %d lines", size, len(lines))
		}
		for _, line := range lines {
			shown := strings.NewReplacer("\x1b[31m", "", "\x1b[0m", "", lineRest, "").Replace(line)
			if columns > 0 && utf8.RuneCountInString(shown) > columns {
				t.Errorf("%v: the line %q is too long", size, shown)
			}
		}
		if strings.Count(lines[0], "\x1b[") != 3 {
			t.Errorf("%v: a colour has no end: %q", size, lines[0])
		}
	}
	if got := frame(page, 80, 5); !strings.Contains(got, "6 more lines") {
		t.Errorf("%q", got)
	}
}
