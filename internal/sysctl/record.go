package sysctl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/lvs-ha/lvs-ha/internal/statefile"
	"golang.org/x/sys/unix"
)

// Saved is a parameter's value before it was set, and what it was set to.
type Saved struct {
	Before    string            `json:"before"`
	Set       string            `json:"set"`
	Disturbed map[string]string `json:"disturbed,omitempty"` // what else the kernel changed with it, as it was before
}

// record is what the state file holds.
type record struct {
	Kernel string           `json:"kernel"`
	Values map[string]Saved `json:"values"`
}

// Identity names this boot of the kernel and the calling thread's network namespace. What was remembered under
// another identity is gone together with the kernel it was true of.
func Identity() (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the kernel's boot id: %w", err)
	}
	namespace, err := namespaceID()
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(boot)) + "/" + namespace, nil
}

// namespaceID is the network namespace's cookie, which is never used twice (Linux 5.14), or else its inode.
func namespaceID() (string, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("identify the network namespace: %w", err)
	}
	defer unix.Close(fd)
	if cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE); err == nil {
		return fmt.Sprint(cookie), nil
	}
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		return "", fmt.Errorf("identify the network namespace: %w", err)
	}
	return fmt.Sprintf("inode-%d", st.Ino), nil
}

// recordFormat is that of the state file, which describes a kernel that a power failure ends as well.
var recordFormat = statefile.Format{Kind: "kernel-parameters", Version: 1, Limit: 64 << 20,
	Older: map[int]statefile.Migration{0: statefile.Unchanged}}

// load reads the state file. A missing one, and one of another kernel, is empty. So is one that cannot be read, with an
// error, and differs from any other record, so that it is replaced.
func load(file, identity string) (record, error) {
	empty := record{Kernel: identity, Values: map[string]Saved{}}
	var r record
	err := recordFormat.ReadOrSetAside(file, &r)
	if errors.Is(err, fs.ErrNotExist) {
		return empty, nil
	}
	if err != nil {
		return record{Values: empty.Values}, fmt.Errorf("read the previous values of kernel parameters: starting a new record; "+
			"parameters set until now are not restored: %w", err)
	}
	if r.Kernel != identity || r.Values == nil {
		return empty, nil
	}
	return r, nil
}

// replace makes the state file, which holds old, hold r. Called every few seconds, it seldom has to write.
func (r record) replace(old record, file string) error {
	if reflect.DeepEqual(r, old) {
		return nil
	}
	return r.save(file)
}

// save writes the state file, or removes it if there is nothing to remember.
func (r record) save(file string) error {
	if len(r.Values) == 0 {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the record of kernel parameters: %w", err)
		}
		return nil
	}
	err := os.MkdirAll(filepath.Dir(file), 0o755)
	if err == nil {
		err = recordFormat.Write(file, r)
	}
	if err != nil {
		return fmt.Errorf("record the previous values of kernel parameters: %w", err)
	}
	return nil
}
