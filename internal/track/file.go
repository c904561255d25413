package track

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// fileInterval is how often a file is read.
const fileInterval = 250 * time.Millisecond

// watchFile reads a file at intervals. What cannot be read keeps the last number.
func watchFile(ctx context.Context, path string, r *reporter) {
	for {
		began := time.Now()
		number, err := readNumber(path)
		switch {
		case err == nil:
			r.put(ctx, Result{State: Good, Number: number, Reason: strconv.Itoa(number)})
		case errors.Is(err, fs.ErrNotExist):
			r.put(ctx, Result{State: Good, Reason: "there is no file"})
		default:
			r.put(ctx, Result{State: Good, Number: r.last.Number, Reason: err.Error()})
		}
		if !pause(ctx, began.Add(fileInterval)) {
			return
		}
	}
}

// maxNumber is how much of a file is read.
const maxNumber = 64

// readNumber reads the number in a file; an empty one counts as 0.
func readNumber(path string) (int, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return 0, errors.Join(fmt.Errorf("%s is not a regular file", path), err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxNumber))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) == 0 {
		return 0, nil
	}
	number, err := strconv.ParseInt(fields[0], 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%s begins with %q, which is not a number", path, fields[0])
	}
	return int(number), nil
}
