package script

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestUnsafePaths checks that each path is refused, and that the error names the unsafe file or directory.
func TestUnsafePaths(t *testing.T) {
	top := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		path := filepath.Join(top, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	link := func(target, name string) {
		t.Helper()
		if err := os.Symlink(target, filepath.Join(top, name)); err != nil {
			t.Fatal(err)
		}
	}
	write("bin/good", "#!"+top+"/bin/binary\n", 0o755)
	write("bin/binary", "\x7fELF", 0o755)
	write("bin/written", "", 0o757)
	write("bin/plain", "", 0o644)
	write("bin/lost", "#! "+top+"/bin/nothing -x\n", 0o755)
	write("bin/borrowed", "#!"+top+"/open/good\n", 0o755)
	write("open/good", "", 0o755)
	write("sticky/good", "", 0o755)
	if err := errors.Join(os.Chmod(top+"/open", 0o777), os.Chmod(top+"/sticky", 0o777|os.ModeSticky),
		unix.Mkfifo(top+"/bin/fifo", 0o755), os.Mkdir(top+"/bin/dir", 0o755)); err != nil {
		t.Fatal(err)
	}
	link("bin/good", "link")
	link(top+"/bin/../link", "absolute")
	link("../open", "bin/indirect")
	link("loop", "loop")
	for _, tt := range []struct {
		path, fault string
		is          error
	}{
		{path: "bin/good"},
		{path: "link"},
		{path: "absolute"},
		{path: "bin/./..//bin/good"},
		{path: "bin/written", fault: "bin/written"},
		{path: "open/good", fault: "/open "},
		{path: "sticky/good", fault: "/sticky "},
		{path: "bin/indirect/good", fault: "/open "},
		{path: "open/../bin/good", fault: "/open "},
		{path: "bin/borrowed", fault: "/open "},
		{path: "bin/lost", fault: "interpreter"},
		{path: "bin/nothing", fault: "bin/nothing", is: fs.ErrNotExist},
		{path: "bin/good/more", fault: "bin/good/more", is: syscall.ENOTDIR},
		{path: "loop", fault: "loop", is: syscall.ELOOP},
		{path: "bin/dir", fault: "directory"},
		{path: "bin/fifo", fault: "regular"},
		{path: "bin/plain", fault: "chmod +x"},
	} {
		t.Run(tt.path, func(t *testing.T) {
			err := checkProgram(top, top+"/"+tt.path, uint32(os.Geteuid()))
			if tt.fault == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error()+" ", tt.fault) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("got %v", err)
			}
		})
	}
	if err := checkProgram("/", top+"/bin/good", uint32(os.Geteuid())); err == nil || !strings.Contains(err.Error(), os.TempDir()+" ") {
		t.Errorf("a program in %s: %v", os.TempDir(), err)
	}
}

func TestOwners(t *testing.T) {
	const self, user, other = 0, 1000, 1001
	for _, tt := range []struct {
		st   unix.Stat_t
		safe bool
	}{
		{unix.Stat_t{Uid: 0, Mode: 0o755}, true},
		{unix.Stat_t{Uid: user, Gid: user, Mode: 0o755}, true},
		{unix.Stat_t{Uid: self, Gid: other, Mode: 0o755}, true},
		{unix.Stat_t{Uid: other, Mode: 0o755}, false},
		{unix.Stat_t{Uid: 0, Gid: 0, Mode: 0o775}, true},
		{unix.Stat_t{Uid: 0, Gid: other, Mode: 0o775}, false},
		{unix.Stat_t{Uid: user, Gid: user, Mode: 0o775}, false},
		{unix.Stat_t{Uid: 0, Mode: 0o757}, false},
		{unix.Stat_t{Uid: 0, Mode: 0o1777}, false},
	} {
		if err := checkOwner("x", &tt.st, user, self); (err == nil) != tt.safe {
			t.Errorf("uid %d, gid %d, mode %o: %v", tt.st.Uid, tt.st.Gid, tt.st.Mode, err)
		} else if tt.st.Mode&unix.S_ISVTX != 0 && strings.Contains(err.Error(), "chmod") {
			t.Errorf("a sticky directory must stay open to all: %v", err)
		}
	}
}

// TestNotRun checks that a command that cannot be run has an error instead of an exit status.
func TestNotRun(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		command    Command
	}{
		{"empty", "empty", Command{Timeout: time.Second}},
		{"no timeout", "timeout", Command{Args: []string{"true"}}},
		{"relative", `"./x"`, Command{Args: []string{"./x"}, Timeout: time.Second}},
		{"NUL", "NUL", Command{Args: []string{"true", "\x00"}, Timeout: time.Second}},
		{"not in PATH", `"lvs-ha-nothing"`, Command{Args: []string{"lvs-ha-nothing"}, User: self, Timeout: time.Second}},
		{"missing", "/nothing", Command{Args: []string{"/nothing"}, User: self, Timeout: time.Second}},
		{"a directory", "/usr is a directory", Command{Args: []string{"/usr"}, User: self, Timeout: time.Second}},
		{"a device", "/dev/null", Command{Args: []string{"/dev/null"}, User: self, Timeout: time.Second}},
		{"unknown user", `"lvs-ha-nobody"`, Command{Args: []string{"true"}, User: "lvs-ha-nobody", Timeout: time.Second}},
		{"unknown group", `"lvs-ha-nobody"`, Command{Args: []string{"true"}, User: self, Group: "lvs-ha-nobody", Timeout: time.Second}},
		{"a user without a group", "group", Command{Args: []string{"true"}, User: "4000000000", Timeout: time.Second}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := newRunner(t).Run(t.Context(), tt.command)
			if got.OK() || got.NotRun == nil || !strings.Contains(got.Reason(), tt.want) {
				t.Errorf("got %+v", got)
			}
			if err := Check(tt.command); err == nil || err.Error() != got.NotRun.Error() {
				t.Errorf("Check says %v, Run %v", err, got.NotRun)
			}
		})
	}
	if err := Check(Command{Args: []string{"true"}, User: self, Timeout: time.Second}); err != nil {
		t.Error(err)
	}
}

func TestString(t *testing.T) {
	for want, c := range map[string]Command{
		"/usr/bin/pidof -s 'a b' '' 'it'\\''s'": {Args: []string{"/usr/bin/pidof", "-s", "a b", "", "it's"}},
		"/bin/sh -c 'a | b' sh MASTER":          {Args: []string{"a | b", "MASTER"}, Shell: true},
		"":                                      {},
	} {
		if got := c.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
