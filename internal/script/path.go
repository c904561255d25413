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

// program returns the path of the program to execute. It refuses a program that could be replaced by users other than root,
// the user of this process and the user of the command.
func (c Command) program(uid uint32) (string, error) {
	name := c.Args[0]
	if c.Shell {
		name = shell
	}
	path, err := lookUp(name)
	if err != nil {
		return "", err
	}
	return path, checkProgram("/", path, uid)
}

// checkProgram checks a program below a safe directory, and its interpreter.
func checkProgram(top, path string, uid uint32) error {
	if err := checkPath(top, path, uid); err != nil {
		return err
	}
	interpreter := interpreterOf(path)
	if interpreter == "" {
		return nil
	}
	switch err := checkPath(top, interpreter, uid); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the interpreter of %s does not exist: its first line names %q", path, interpreter)
	case err != nil:
		return fmt.Errorf("the interpreter of %s: %w", path, err)
	}
	return nil
}

// lookUp looks up a program without a slash in Path.
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

// maxLinks is the kernel's limit (path_resolution(7)).
const maxLinks = 40

// checkPath resolves a path from the root, and refuses it if other users could replace the program, by way of any directory
// on the path, including those reached by symbolic links.
func checkPath(top, path string, uid uint32) error {
	at, rest := start(top, path)
	var st unix.Stat_t
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == "" || name == "." {
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
			more := strings.Split(target, "/")
			if filepath.IsAbs(target) {
				at, more = start(top, target)
			}
			rest = append(more, rest...)
			continue
		}
		if err := checkOwner(next, &st, uid, uint32(os.Geteuid())); err != nil {
			return err
		}
		at = next
	}
	switch {
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return fmt.Errorf("%s is a directory, not a program", path)
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return fmt.Errorf("%s is not a regular file", path)
	case st.Mode&0o111 == 0:
		return fmt.Errorf("%s is not executable (mode %04o): run `chmod +x %s`", path, st.Mode&0o7777, path)
	}
	return nil
}

// start returns where to start resolving an absolute path, and the remaining elements. The root directory is safe.
func start(top, path string) (at string, rest []string) {
	if below, ok := strings.CutPrefix(path, top); ok {
		return top, strings.Split(below, "/")
	}
	return "/", strings.Split(path, "/")
}

// checkOwner refuses a file or directory that can be changed by users other than root, uid and self. It also refuses sticky
// directories such as /tmp, in which any user can create a program.
func checkOwner(path string, st *unix.Stat_t, uid, self uint32) error {
	switch {
	case st.Uid != 0 && st.Uid != uid && st.Uid != self:
		return fmt.Errorf("%s is not safe: it belongs to user %d; it must belong to root or to the script's user", path, st.Uid)
	case st.Mode&unix.S_ISVTX != 0 && st.Mode&0o002 != 0: // other programs rely on its mode, so do not suggest changing it
		return fmt.Errorf("%s is not safe: other users can write to it (mode %04o): move the program, for example to /usr/local/sbin", path, st.Mode&0o7777)
	case st.Mode&0o002 != 0, st.Mode&0o020 != 0 && st.Gid != 0: // some systems let root's group write
		return fmt.Errorf("%s is not safe: other users can write to it (mode %04o, group %d): move the script, or run `chmod go-w %s`",
			path, st.Mode&0o7777, st.Gid, path)
	}
	return nil
}

// interpreterOf returns the interpreter in the first line of a script (execve(2)), or "" if there is none or the file cannot
// be read.
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
