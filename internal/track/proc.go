package track

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const procDir = "/proc"

// processes is the table of this host's processes, shared by the tracks.
type processes struct {
	dir string // /proc

	mu      sync.Mutex
	read    time.Time
	entries []processEntry
	buffer  [maxCommandLine]byte
}

type processEntry struct {
	pid     int
	name    string // at most 15 bytes (TASK_COMM_LEN)
	command []byte // its arguments, each with a NUL; read on demand
	known   bool   // command has been read
}

const (
	maxName        = 15
	maxCommandLine = 4 << 10 // compare only this much of a longer one
	shareTable     = processPoll / 2
)

// processPattern is what a track searches for: a name, or the beginning of a command line.
type processPattern struct {
	name   string
	prefix []byte // the arguments, each with a NUL; if empty, compare the name
}

func newProcessPattern(name string, command []string) processPattern {
	s := processPattern{name: name[:min(len(name), maxName)]}
	for _, argument := range command {
		s.prefix = append(append(s.prefix, argument...), 0)
	}
	s.prefix = s.prefix[:min(len(s.prefix), maxCommandLine)]
	return s
}

// matching returns the matching processes, except zombies. It uses a recently read table, unless fresh is set.
func (p *processes) matching(s processPattern, fresh bool) ([]int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); fresh || now.Sub(p.read) > shareTable {
		if err := p.scan(); err != nil {
			return nil, err
		}
		p.read = now
	}
	var pids []int
	for i := range p.entries {
		if p.matches(&p.entries[i], s) {
			pids = append(pids, p.entries[i].pid)
		}
	}
	return pids, nil
}

// all reports whether all of the processes still match.
func (p *processes) all(pids []int, s processPattern) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pid := range pids {
		if !p.matches(&processEntry{pid: pid, name: p.name(pid)}, s) {
			return false
		}
	}
	return true
}

func (p *processes) matches(e *processEntry, s processPattern) bool {
	if len(s.prefix) == 0 {
		return e.name == s.name && p.alive(e.pid)
	}
	if !e.known {
		e.command, e.known = bytes.Clone(p.file(e.pid, "cmdline")), true
	}
	return bytes.HasPrefix(e.command, s.prefix) && p.alive(e.pid)
}

// name returns the name of a process, or "" if the process has exited.
func (p *processes) name(pid int) string {
	return string(bytes.TrimSuffix(p.file(pid, "comm"), []byte("\n")))
}

// scan reads the names of all processes.
func (p *processes) scan() error {
	dir, err := os.Open(p.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	p.entries = p.entries[:0]
	for _, text := range names {
		pid, err := strconv.Atoi(text)
		if err != nil {
			continue
		}
		if name := p.name(pid); name != "" {
			p.entries = append(p.entries, processEntry{pid: pid, name: name})
		}
	}
	return nil
}

// file returns the beginning of a file of a process, or nothing if the process has exited.
func (p *processes) file(pid int, name string) []byte {
	fd, err := unix.Open(p.dir+"/"+strconv.Itoa(pid)+"/"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, p.buffer[:])
	if err != nil {
		return nil
	}
	return p.buffer[:n]
}

// alive checks the state, which follows the name in /proc/PID/stat (proc(5)).
func (p *processes) alive(pid int) bool {
	stat := p.file(pid, "stat")
	end := bytes.LastIndexByte(stat, ')')
	return end >= 0 && len(stat) > end+2 && !slices.Contains([]byte("ZXx"), stat[end+2])
}

// maxExits is the number of processes of a track whose exit is watched. The exit of others is detected by the next count.
const maxExits = 64

// exits reports the exit of processes.
type exits struct {
	changed chan struct{}
	watched map[int]*os.File // pidfds by process ID
}

// watch watches the given processes instead of the previous ones.
func (e *exits) watch(pids []int) {
	for pid, file := range e.watched {
		if !slices.Contains(pids, pid) {
			file.Close()
			delete(e.watched, pid)
		}
	}
	for _, pid := range pids {
		if e.watched[pid] != nil || len(e.watched) >= maxExits {
			continue
		}
		fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
		if err != nil {
			continue // it has exited, or the kernel is older than 5.10; polling suffices
		}
		file := os.NewFile(uintptr(fd), "pidfd")
		if e.watched == nil {
			e.watched = map[int]*os.File{}
		}
		e.watched[pid] = file
		go e.await(file)
	}
}

// await waits until a process exits or is no longer watched.
func (e *exits) await(file *os.File) {
	raw, err := file.SyscallConn()
	if err != nil {
		return
	}
	err = raw.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return n > 0 || err != nil && err != unix.EINTR
	})
	if err != nil {
		return // closed
	}
	select {
	case e.changed <- struct{}{}:
	default:
	}
}

func (e *exits) close() { e.watch(nil) }
