package script

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const shell = "/bin/sh"

// program is the path of the program to execute. It refuses one that users other than root, this process's and
// the command's own could replace.
func (c Command) program(uid uint32) (string, error) {
	name := c.Args[0]
	if c.Shell {
		name = shell
	}
	path, err := lookUp(name)
	if err != nil {
		return "", err
	}
	if err := checkProgram(path, uid); err != nil {
		return "", err
	}
	interpreter := interpreterOf(path)
	if interpreter == "" {
		return path, nil
	}
	switch err := checkProgram(interpreter, uid); {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("the interpreter of %s does not exist: its first line names %q", path, interpreter)
	case err != nil:
		return "", fmt.Errorf("the interpreter of %s: %w", path, err)
	}
	return path, nil
}

// lookUp finds a program without a slash in Path.
func lookUp(name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, dir := range filepath.SplitList(Path) {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("no program %q in %s", name, Path)
}

// maxLinks is the kernel's own limit (path_resolution(7)).
const maxLinks = 40

// checkProgram follows a path from the root, and refuses it where others could put another program: in any directory
// that it goes through, also by symbolic links.
func checkProgram(path string, uid uint32) error {
	at, rest, links := "/", strings.Split(path, "/"), 0
	if err := checkOwner(at, uid, nil); err != nil {
		return err
	}
	var st unix.Stat_t
	for len(rest) > 0 {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, name)
		if err := unix.Lstat(next, &st); err != nil {
			return &fs.PathError{Op: "finding", Path: next, Err: err}
		}
		if st.Mode&unix.S_IFMT == unix.S_IFLNK {
			if links++; links > maxLinks {
				return &fs.PathError{Op: "finding", Path: path, Err: syscall.ELOOP}
			}
			target, err := os.Readlink(next)
			if err != nil {
				return err
			}
			if filepath.IsAbs(target) {
				at = "/"
			}
			rest = append(strings.Split(target, "/"), rest...)
			continue
		}
		if err := checkOwner(next, uid, &st); err != nil {
			return err
		}
		at = next
	}
	switch {
	case st.Mode&unix.S_IFMT == unix.S_IFDIR || at == "/":
		return fmt.Errorf("%s is a directory, not a program", path)
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return fmt.Errorf("%s is not a regular file", path)
	case st.Mode&0o111 == 0:
		return fmt.Errorf("%s is not executable (mode %04o): run `chmod +x %s`", path, st.Mode&0o7777, path)
	}
	return nil
}

// checkOwner refuses a file or directory that other users can change. A sticky directory such as /tmp is refused too:
// anybody may put a program there.
func checkOwner(path string, uid uint32, st *unix.Stat_t) error {
	if st == nil {
		st = new(unix.Stat_t)
		if err := unix.Lstat(path, st); err != nil {
			return &fs.PathError{Op: "finding", Path: path, Err: err}
		}
	}
	switch {
	case st.Uid != 0 && st.Uid != uid && st.Uid != uint32(os.Geteuid()):
		return fmt.Errorf("%s is not safe: it belongs to user %d; it must belong to root or to the script's user", path, st.Uid)
	case st.Mode&0o002 != 0, st.Mode&0o020 != 0 && st.Gid != 0: // some systems let root's group write
		return fmt.Errorf("%s is not safe: other users can write to it (mode %04o, group %d): move the script, or run `chmod go-w %s`",
			path, st.Mode&0o7777, st.Gid, path)
	}
	return nil
}

// interpreterOf is what the first line of a script names (execve(2)); empty if it is none, or cannot be read.
func interpreterOf(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	var head [256]byte // BINPRM_BUF_SIZE
	n, _ := f.Read(head[:])
	line, _, _ := strings.Cut(string(head[:n]), "\n")
	line, ok := strings.CutPrefix(line, "#!")
	if fields := strings.Fields(line); ok && len(fields) > 0 && filepath.IsAbs(fields[0]) {
		return fields[0]
	}
	return ""
}
