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
	Disturbed map[string]string `json:"disturbed,omitempty"` // previous values of the parameters that the kernel changed with it
}

// record is the contents of the state file.
type record struct {
	Kernel string           `json:"kernel"`
	Values map[string]Saved `json:"values"`
}

// Identity identifies this boot of the kernel and the calling thread's network namespace. A record with another identity
// describes a kernel that no longer exists.
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

// namespaceID returns the network namespace's cookie, which is never reused (Linux 5.14), or else its inode.
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

// recordFormat is the format of the state file. It need not be durable: a power failure also ends the kernel that it
// describes.
var recordFormat = statefile.Format{Kind: "kernel-parameters", Version: 1, Limit: 64 << 20,
	Older: map[int]statefile.Migration{0: statefile.Unchanged}}

// load reads the state file. If it is missing or describes another kernel, the record is empty. If it cannot be read, load
// returns an error and a record without a kernel, which differs from any other, so that the file is replaced.
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

// replace writes r to the state file unless it is the same as the file's contents, old: it is called every few seconds.
func (r record) replace(old record, file string) error {
	if reflect.DeepEqual(r, old) {
		return nil
	}
	return r.save(file)
}

// save writes the state file, or removes it if the record is empty.
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
