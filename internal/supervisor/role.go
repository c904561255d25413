package supervisor

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A role belongs to one process in a network namespace, which has bound an abstract Unix socket of that name. The kernel
// allows each name once per namespace and releases it when the process ends. The process does not listen, so nobody can
// connect.
//
// A process of any user can bind the name. Such a process is recognized by its user, and ignored.
type role struct {
	program string // "lvs-ha", or a unique name in tests
	name    string
}

const parentRole = "parent"

func (r role) address() string { return "@" + r.program + "/" + r.name }

// holder is the process that has a role.
type holder struct {
	uid     uint32
	pid     int // 0: not visible from here
	parent  int
	command string
}

var errHeld = errors.New("held by another process")

// bind acquires the role. The error is errHeld if another process has it.
func (r role) bind() (fd int, err error) {
	fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("taking the role %s: %w", r.name, err)
	}
	if err = unix.Bind(fd, &unix.SockaddrUnix{Name: r.address()}); err == nil {
		return fd, nil
	}
	unix.Close(fd)
	if errors.Is(err, unix.EADDRINUSE) {
		return -1, errHeld
	}
	return -1, fmt.Errorf("taking the role %s: %w", r.name, err)
}

const (
	roleRetry = 5 * time.Millisecond
	roleWait  = 2 * time.Second // for a killed process to disappear
)

// acquire acquires the role. Another user's process with that name is ignored; the descriptor is then -1.
func (r role) acquire(log *slog.Logger) (fd int, err error) {
	for deadline := time.Now().Add(roleWait); ; time.Sleep(roleRetry) {
		fd, err := r.bind()
		if !errors.Is(err, errHeld) {
			return fd, err
		}
		h, err := r.holder()
		switch {
		case err != nil:
			return -1, err
		case h == nil:
		case h.foreign():
			log.Warn("another user's process holds lvs-ha's socket name: a second lvs-ha would go undetected",
				"name", r.address(), "uid", h.uid)
			return -1, nil
		case time.Now().After(deadline):
			return -1, fmt.Errorf("another %s is running in this network namespace: %s", r.name, h)
		}
	}
}

func (h *holder) foreign() bool { return h.uid != uint32(os.Geteuid()) }

func (h *holder) String() string {
	if h.pid == 0 {
		return "a process that is not visible from here (in another container?)"
	}
	return fmt.Sprintf("process %d", h.pid)
}

// holder finds the process that has the role. It returns none if the role is free. A process that was just forked has a copy of the
// socket until it executes its program: it is not the holder, its parent is.
func (r role) holder() (*holder, error) {
	inode, err := r.inode()
	if err != nil || inode == "" {
		return nil, err
	}
	uid, err := socketOwner(inode)
	if err != nil {
		uid = uint32(os.Geteuid()) // owner unknown
	}
	h := &holder{uid: uid}
	if h.foreign() {
		return h, nil
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	found := map[int]*holder{}
	for _, process := range processes {
		one := &holder{uid: uid}
		if hasSocket(process, inode) && one.read(process) == nil {
			found[one.pid] = one
		}
	}
	if one := forebear(found); one != nil {
		return one, nil
	}
	if inode, err := r.inode(); err != nil || inode == "" {
		return nil, err // it has ended meanwhile
	}
	return h, nil
}

// forebear returns the process whose parent is none of the others; nil if there are none.
func forebear(processes map[int]*holder) *holder {
	for _, h := range processes {
		if processes[h.parent] == nil {
			return h
		}
	}
	return nil
}

// inode returns the inode of the socket with the role's name; empty if there is none.
func (r role) inode() (string, error) {
	f, err := os.Open("/proc/self/net/unix")
	if err != nil {
		return "", fmt.Errorf("looking for another lvs-ha: %w", err)
	}
	defer f.Close()
	// Num RefCount Protocol Flags Type St Inode Path (net/unix/af_unix.c, unix_seq_show)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) == 8 && fields[7] == r.address() {
			return fields[6], nil
		}
	}
	return "", nil
}

func hasSocket(process, inode string) bool { return descriptor(process, "socket:["+inode+"]") != "" }

// descriptor returns the path of a process's descriptor of a target; empty if there is none or access is denied.
func descriptor(process, target string) string {
	files, err := os.ReadDir(filepath.Join(process, "fd"))
	if err != nil {
		return ""
	}
	for _, f := range files {
		path := filepath.Join(process, "fd", f.Name())
		if found, err := os.Readlink(path); err == nil && found == target {
			return path
		}
	}
	return ""
}

// open opens a file that the holder has open; nil if there is none.
func (h *holder) open(target string) *os.File {
	path := descriptor(fmt.Sprintf("/proc/%d", h.pid), target)
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil
	}
	return f
}

func (h *holder) read(process string) error {
	command, parent, err := commandAndParent(process)
	if err != nil {
		return err
	}
	h.pid, err = strconv.Atoi(filepath.Base(process))
	h.command, h.parent = command, parent
	return err
}

// commandAndParent parses "pid (comm) state ppid …" of /proc/PID/stat (proc(5)); comm may contain any character.
func commandAndParent(process string) (command string, parent int, err error) {
	raw, err := os.ReadFile(filepath.Join(process, "stat"))
	if err != nil {
		return "", 0, err
	}
	open, end := bytes.IndexByte(raw, '('), bytes.LastIndexByte(raw, ')')
	if open < 0 || end < open {
		return "", 0, fmt.Errorf("%s/stat: %q", process, raw)
	}
	fields := strings.Fields(string(raw[end+1:]))
	if len(fields) < 2 {
		return "", 0, fmt.Errorf("%s/stat: %q", process, raw)
	}
	parent, err = strconv.Atoi(fields[1])
	return string(raw[open+1 : end]), parent, err
}

// orphaned reports whether h's parent has died, so that h has been reparented, or was another version in this process.
func (h *holder) orphaned() bool {
	if h.parent == os.Getpid() {
		return true
	}
	command, _, err := commandAndParent(fmt.Sprintf("/proc/%d", h.parent))
	return err != nil || command != h.command
}

// orphan finds a worker with this role whose parent has died; nil if there is none.
func (r role) orphan() (*holder, error) {
	h, err := r.holder()
	switch {
	case err != nil || h == nil || h.foreign():
		return nil, err
	case h.pid == 0 || !h.orphaned():
		return nil, fmt.Errorf("another lvs-ha is running in this network namespace, its %s is %s: stop it first", r.name, h)
	}
	return h, nil
}

// takeOver ends a worker whose parent has died, and returns when the role is free. A process that is ending closes its
// files before its socket is released, so the holder cannot be found for a moment.
func (r role) takeOver(ctx context.Context, log *slog.Logger) error {
	killed := 0
	for deadline := time.Now().Add(roleWait); ; time.Sleep(roleRetry) {
		h, err := r.orphan()
		if err == nil && h == nil {
			return nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return errors.Join(err, fmt.Errorf("the %s of an earlier lvs-ha did not exit", r.name))
		}
		if err != nil {
			continue
		}
		if killed != h.pid {
			killed = h.pid
			log.Warn("taking over from a worker whose parent process died", "worker", r.name, "pid", h.pid)
		}
		if err := r.kill(h.pid); err != nil {
			return err
		}
	}
}

// kill kills the process that has the role, but not another process that reuses its pid.
func (r role) kill(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("stopping the %s of an earlier lvs-ha: %w", r.name, err)
	}
	defer unix.Close(fd)
	inode, err := r.inode()
	if err != nil || inode == "" || !hasSocket(fmt.Sprintf("/proc/%d", pid), inode) {
		return err
	}
	if err := unix.PidfdSendSignal(fd, syscall.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("stopping the %s of an earlier lvs-ha, process %d: %w", r.name, pid, err)
	}
	return nil
}
