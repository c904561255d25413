package track

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watched monitors a track and returns its results.
func watched(t *testing.T, one config.Track) (results chan Result, stop func()) {
	results = make(chan Result, 1000)
	w := New(Options{Report: func(_ string, r Result) { results <- r }, Logger: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.Run(ctx)
	}()
	w.Update([]config.Track{one})
	return results, func() {
		cancel()
		<-ended
	}
}

// expect waits for a result.
func expect(t *testing.T, results chan Result, state State, number int) Result {
	t.Helper()
	for late := time.After(time.Minute); ; {
		select {
		case r := <-results:
			if r.State == state && r.Number == number {
				return r
			}
			t.Logf("passing by %+v", r)
		case <-late:
			t.Fatalf("no result %q, %d", state, number)
		}
	}
}

func TestNumbers(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]struct {
		number int
		reason string
		bad    bool
	}{
		"":                       {0, "empty", false},
		"\n":                     {0, "empty", false},
		"5":                      {5, "5", false},
		" -20\n":                 {-20, "-20", false},
		"+3 # comment\nmore":     {3, "3", false},
		"99999999999999999999\n": {2147483647, "2147483647", false},
		"-99999999999":           {-2147483647, "-2147483647", false},
		"down":                   {0, "", true},
		"0x10":                   {0, "", true},
		"1.5":                    {0, "", true},
	} {
		path := filepath.Join(dir, "file")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if number, reason, err := readNumber(path); number != want.number || reason != want.reason || (err != nil) != want.bad {
			t.Errorf("%q: %d, %q, %v", text, number, reason, err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "fifo"), dir, "/dev/zero"} {
		if _, _, err := readNumber(path); err == nil {
			t.Errorf("%s was read", path)
		}
	}
	for _, name := range []string{"nothing", "nothing/below", "file/below"} {
		if number, reason, err := readNumber(filepath.Join(dir, name)); number != 0 || reason != "no file" || err != nil {
			t.Errorf("%s: %d, %q, %v", name, number, reason, err)
		}
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "below", "file")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	results, stop := watched(t, config.Track{Name: "f", File: &config.TrackFile{Path: path}})
	defer stop()
	expect(t, results, Good, 0) // not even a directory
	do(os.Mkdir(filepath.Dir(path), 0o755))
	write(path, "1\n")
	expect(t, results, Good, 1)
	write(path, "2\n")
	expect(t, results, Good, 2)
	write(path+".new", "3\n")
	do(os.Rename(path+".new", path))
	r := expect(t, results, Good, 3)
	write(path+".new", "nonsense")
	do(os.Rename(path+".new", path)) // written in place, it may be read while it is empty
	if bad := expect(t, results, Good, 3); bad.Reason == r.Reason || !bad.Since.Equal(r.Since) {
		t.Errorf("%+v after %+v", bad, r)
	}
	do(os.Remove(path))
	expect(t, results, Good, 0)
	do(errors.Join(os.Mkdir(dir+"/1", 0o755), os.Mkdir(dir+"/2", 0o755)))
	write(dir+"/1/file", "4")
	write(dir+"/2/file", "5")
	do(errors.Join(os.Symlink(dir+"/1", dir+"/now"), os.Symlink(dir+"/now/file", path)))
	expect(t, results, Good, 4)
	do(errors.Join(os.Symlink(dir+"/2", dir+"/then"), os.Rename(dir+"/then", dir+"/now"))) // not reported by inotify
	expect(t, results, Good, 5)
	do(os.RemoveAll(filepath.Dir(path)))
	expect(t, results, Good, 0)
	do(os.Mkdir(filepath.Dir(path), 0o755))
	write(path, "6")
	expect(t, results, Good, 6)
}
