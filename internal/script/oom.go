package script

import (
	"bytes"
	"os"
	"strconv"
)

// oomProtection is this process's protection from the kernel's OOM killer (proc_pid_oom_score_adj(5)). A script inherits the
// value that this process has when it forks, and must not have it: a script that uses up the memory would be killed last.
type oomProtection struct {
	file  *os.File
	value []byte
}

const oomFile = "/proc/self/oom_score_adj"

// openOOMProtection returns nil if this process has no protection, or could not restore it (CAP_SYS_RESOURCE).
func openOOMProtection(path string) *oomProtection {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil
	}
	text := make([]byte, 16)
	n, _ := f.ReadAt(text, 0)
	value := bytes.TrimSpace(text[:n])
	if number, err := strconv.Atoi(string(value)); err == nil && number < 0 {
		if _, err := f.WriteAt(value, 0); err == nil {
			return &oomProtection{f, value}
		}
	}
	f.Close()
	return nil
}

// without calls f without the protection.
func (p *oomProtection) without(f func()) {
	if p == nil {
		f()
		return
	}
	_, _ = p.file.WriteAt([]byte("0"), 0)
	f()
	_, _ = p.file.WriteAt(p.value, 0)
}

func (p *oomProtection) close() {
	if p != nil {
		p.file.Close()
	}
}
