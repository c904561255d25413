// Package statefile stores a process's state in files that are written atomically, have a kind and a version, and are
// checked when they are read.
package statefile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// The reasons why a file cannot be used. Both are wrapped in an *Error.
var (
	ErrDamaged = errors.New("is damaged")
	ErrNewer   = errors.New("was written by a newer version of lvs-ha")
)

// Error reports a file whose contents cannot be used.
type Error struct {
	Path    string
	Problem error // ErrDamaged or ErrNewer
	Cause   error
}

func (e *Error) Error() string   { return fmt.Sprintf("%s %v: %v", e.Path, e.Problem, e.Cause) }
func (e *Error) Unwrap() []error { return []error{e.Problem, e.Cause} }

// Migration converts the data of one version to the next.
type Migration func(json.RawMessage) (json.RawMessage, error)

// Unchanged is the Migration between versions whose data have the same format.
func Unchanged(data json.RawMessage) (json.RawMessage, error) { return data, nil }

// Format is the format of one kind of file. If the format or meaning of a field changes, increment Version and add a
// Migration.
type Format struct {
	Kind    string
	Version int
	Limit   int64 // maximum size of a file in bytes
	// Durable files survive a power failure. Others describe a kernel that does not survive it either.
	Durable bool
	// Older has a migration from each older version that can be read. Version 0 is a file without a header.
	Older map[int]Migration
}

// contents are the contents of a file. Data may be large, so it is decoded without copying.
type contents[T any] struct {
	Kind    string `json:"kind"`
	Version int    `json:"version"`
	Data    T      `json:"data"`
}

// present records whether a value is present.
type present bool

func (p *present) UnmarshalJSON([]byte) error { *p = true; return nil }

// Encode returns a file's contents.
func (f Format) Encode(value any) ([]byte, error) {
	out, err := json.Marshal(contents[any]{f.Kind, f.Version, value})
	if err == nil && int64(len(out)) >= f.Limit {
		err = fmt.Errorf("%d bytes are more than the %d that a file of kind %q may have", len(out)+1, f.Limit, f.Kind)
	}
	return append(out, '\n'), err
}

// Decode decodes the result of Encode. The error is an *Error.
func (f Format) Decode(raw []byte, into any) error { return f.decode(raw, into) }

// Write writes a file.
func (f Format) Write(path string, value any) error {
	raw, err := f.Encode(value)
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	return f.Replace(path, raw)
}

// Replace atomically replaces a file's contents with the result of Encode: a crash leaves the old file or the new one. A
// symbolic link is replaced, not followed. Only the owner can read the file.
func (f Format) Replace(path string, raw []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // O_EXCL and mode 0600
	if err != nil {
		return about(path, err)
	}
	_, err = tmp.Write(raw)
	if err == nil && f.Durable {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(about(path, err), os.Remove(tmp.Name()))
	}
	if f.Durable {
		return syncDirectory(filepath.Dir(path))
	}
	return nil
}

// about returns an error with the name of the file instead of the temporary one, so that its text is the same at each attempt.
func about(path string, err error) error {
	if at, ok := errors.AsType[*os.PathError](err); ok {
		return &os.PathError{Op: at.Op, Path: path, Err: at.Err}
	}
	if at, ok := errors.AsType[*os.LinkError](err); ok {
		return &os.PathError{Op: at.Op, Path: path, Err: at.Err}
	}
	return err
}

func syncDirectory(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Read decodes a file. The error is an *Error for a file that cannot be used, and fs.ErrNotExist for a missing one.
func (f Format) Read(path string, into any) error {
	raw, err := f.readAll(path)
	if err == nil {
		err = f.decode(raw, into)
	}
	if e, ok := errors.AsType[*Error](err); ok {
		e.Path = path
	}
	return err
}

// ReadOrSetAside is Read for a program that continues without a file that it cannot use. It renames such a file, so that the
// next write does not destroy it; a file that was renamed earlier is replaced.
func (f Format) ReadOrSetAside(path string, into any) error {
	err := f.Read(path, into)
	if _, unusable := errors.AsType[*Error](err); !unusable {
		return err
	}
	if failed := os.Rename(path, path+AsideSuffix); failed != nil {
		return errors.Join(err, failed)
	}
	return fmt.Errorf("%w (kept as %s)", err, path+AsideSuffix)
}

// AsideSuffix is the suffix of a file that was renamed by ReadOrSetAside.
const AsideSuffix = ".unusable"

func (f Format) readAll(path string) ([]byte, error) {
	// Open without blocking, in case the path is a FIFO.
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, damaged(errors.New("not a regular file"))
	}
	raw, err := io.ReadAll(io.LimitReader(file, f.Limit+1))
	if err == nil && int64(len(raw)) > f.Limit {
		err = damaged(fmt.Errorf("larger than %d bytes", f.Limit))
	}
	return raw, err
}

func (f Format) decode(raw []byte, into any) error {
	var header contents[present]
	if err := json.Unmarshal(raw, &header); err != nil {
		return damaged(err)
	}
	unlabelled := header.Kind == "" && header.Version == 0
	switch {
	case !unlabelled && header.Kind != f.Kind:
		return damaged(fmt.Errorf("its kind is %q, not %q", header.Kind, f.Kind))
	case !unlabelled && (header.Version <= 0 || !bool(header.Data)):
		return damaged(fmt.Errorf("version %d without data", header.Version))
	case header.Version > f.Version:
		return &Error{Problem: ErrNewer, Cause: fmt.Errorf("its version is %d; this lvs-ha reads up to %d", header.Version, f.Version)}
	case header.Version < f.Version:
		data, err := f.migrate(raw, header.Version)
		if err == nil {
			err = json.Unmarshal(data, into)
		}
		return damagedBy(err)
	}
	return damagedBy(json.Unmarshal(raw, &contents[any]{Data: into}))
}

func (f Format) migrate(raw []byte, version int) (json.RawMessage, error) {
	data := json.RawMessage(raw)
	if version > 0 {
		var c contents[json.RawMessage]
		if err := json.Unmarshal(raw, &c); err != nil {
			return nil, err
		}
		data = c.Data
	}
	for v := version; v < f.Version; v++ {
		migrate, ok := f.Older[v]
		if !ok {
			return nil, fmt.Errorf("version %d is no longer supported", v)
		}
		var err error
		if data, err = migrate(data); err != nil {
			return nil, fmt.Errorf("converting from version %d: %w", v, err)
		}
	}
	return data, nil
}

func damagedBy(err error) error {
	if err != nil {
		err = damaged(err)
	}
	return err
}

func damaged(cause error) error { return &Error{Problem: ErrDamaged, Cause: cause} }
