package discovery

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// wantAnswer asks until there is something new, at most twice: the second look confirms a change.
func wantAnswer(t *testing.T, f *fileSource, want string, ok bool) {
	t.Helper()
	for range 2 {
		a, err := f.ask(t.Context())
		if a.same {
			continue
		}
		if (err == nil) != ok || list(a.servers) != want {
			t.Errorf("%q, %v; want %q", list(a.servers), err, want)
		}
		return
	}
	t.Errorf("nothing new, want %q", want)
}

func wantNothing(t *testing.T, f *fileSource) {
	t.Helper()
	for range 3 {
		if a, err := f.ask(t.Context()); !a.same {
			t.Errorf("%v, %v", a, err)
		}
	}
}

func TestFileChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web.json")
	f := &fileSource{path: path}
	wantAnswer(t, f, "", false) // missing
	wantNothing(t, f)
	write(t, path, `["10.0.0.5"]`)
	wantAnswer(t, f, "10.0.0.5", true)
	wantNothing(t, f)
	write(t, path, `["10.0.0.6", "10.0.0.5"]`)
	wantAnswer(t, f, "10.0.0.5 10.0.0.6", true)
	write(t, path, `["10.0.0.6"`)
	wantAnswer(t, f, "", false)
	wantNothing(t, f)
	write(t, path, `real_server "10.0.0.6" {}`)
	wantAnswer(t, f, "10.0.0.6", true)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, f, "", false)
	wantNothing(t, f)
	write(t, path, `real_server "10.0.0.6" {}`)
	wantAnswer(t, f, "10.0.0.6", true)
}

// TestFileInMotion checks that a file is not read between two writes, as when a program writes it in place.
func TestFileInMotion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web.hcl")
	write(t, path, "real_server \"10.0.0.5\" {}\nreal_server \"10.0.0.6\" {}\n")
	f := &fileSource{path: path}
	wantAnswer(t, f, "10.0.0.5 10.0.0.6", true)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, line := range []string{"real_server \"10.0.0.5\" {}\n", "real_server \"10.0.0.6\" {}\n", "real_server \"10.0.0.7\" {}\n"} {
		if _, err := file.WriteString(line); err != nil {
			t.Fatal(err)
		}
		if a, err := f.ask(t.Context()); !a.same || err != nil {
			t.Errorf("after %q: %v, %v", line, a, err)
		}
	}
	wantAnswer(t, f, "10.0.0.5 10.0.0.6 10.0.0.7", true)
}

func TestNotAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{path, t.TempDir(), "/dev/zero"} {
		if _, err := (&fileSource{path: bad}).ask(t.Context()); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}
