package healthcheck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// WordFile is a check that reads an agent's words from a file on this host. A number alone is a weight.
type WordFile struct {
	Path string `hcl:"path,attr" holds:"an absolute path" json:"path"` // {address} and {port} are the server's
}

func newFile() Check { return &WordFile{} }

// Kind implements Check.
func (*WordFile) Kind() Kind { return "file" }

// Faults implements Check.
func (c *WordFile) Faults() []Fault {
	if !filepath.IsAbs(c.Path) || strings.ContainsRune(c.Path, 0) {
		return []Fault{fault("path", "%s is not an absolute path. Write one such as \"/run/weights/{address}\".", quote(c.Path))}
	}
	return nil
}

// AppendIdentity implements Check.
func (c *WordFile) AppendIdentity(b []byte) []byte { return appendText(b, c.Path) }

// Redacted implements Check.
func (c *WordFile) Redacted() Check { return c }

// NeedsNoPort reports that the check works without a port.
func (*WordFile) NeedsNoPort() {}

// WatchedFile implements Watched.
func (c *WordFile) WatchedFile(server netip.AddrPort) string {
	return filepath.Clean(placed(c.Path, server))
}

// Probe implements Check. The file is the whole truth: what it does not mention is as configured.
func (c *WordFile) Probe(s Setup) (Probe, error) {
	return func(_ context.Context, server netip.AddrPort) Result {
		line, err := readFirstLine(placed(c.Path, server))
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
			return Result{OK: true, Complete: true, Decisive: true, Detail: "no file"}
		case err != nil:
			return notChecked(err.Error())
		case strings.TrimSpace(line) == "":
			return Result{OK: true, Complete: true, Decisive: true, Detail: "the file is empty"}
		}
		if s.Weight.unit() == Added {
			if r, ok := s.Weight.added(line); ok {
				return r
			}
		}
		said, err := parseWords([]byte(line))
		if err != nil {
			return notChecked("the file is not understood: " + err.Error())
		}
		if said.number {
			said.Unit = s.Weight.unit()
		}
		if said.health == "" {
			said.health = "up"
		}
		r := said.result("file")
		r.Complete = true
		return r
	}, nil
}

// added returns the result of a number that is added to the weight: with a sign or without, times the factor. It reports whether the line
// is such a number.
func (w *Weight) added(line string) (r Result, ok bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return Result{}, false
	}
	if w.Factor == 0 && n != 0 {
		return Result{Complete: true, Decisive: true, Reason: Told, Detail: "file: the number is not 0"}, true
	}
	r = words{health: "up", Advice: Advice{Unit: Added, Number: min(max(float64(n)*float64(w.Factor), -maxNumber), maxNumber)}}.result("file")
	r.Complete = true
	return r, true
}

// placed returns a text with the server's address and port in place of their names.
func placed(text string, server netip.AddrPort) string {
	return strings.NewReplacer("{address}", server.Addr().String(), "{port}", strconv.Itoa(int(server.Port()))).Replace(text)
}

// readFirstLine returns the beginning of a regular file. It does not wait for the writer of a pipe.
func readFirstLine(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // read only
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", errors.Join(err, fmt.Errorf("%s is not a regular file", path))
	}
	text, err := io.ReadAll(io.LimitReader(f, maxWords))
	line, _, _ := strings.Cut(string(text), "\n")
	return line, err
}
