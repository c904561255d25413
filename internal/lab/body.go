package lab

import (
	"encoding/binary"
	"fmt"
	"io"
)

// fillBody writes the part of the test body that starts at offset: each 8 bytes contain their own offset, so that lost,
// repeated and foreign bytes are detected.
func fillBody(p []byte, offset int64) {
	var word [8]byte
	for i := range p {
		at := offset + int64(i)
		if i == 0 || at%8 == 0 {
			binary.BigEndian.PutUint64(word[:], uint64(at&^7)*0x9e3779b97f4a7c15)
		}
		p[i] = word[at%8]
	}
}

// bodyReader reads a test body of a given size, for servers.
type bodyReader struct {
	offset, size int64
}

func (b *bodyReader) Read(p []byte) (int, error) {
	if b.offset == b.size {
		return 0, io.EOF
	}
	n := min(int64(len(p)), b.size-b.offset)
	fillBody(p[:n], b.offset)
	b.offset += n
	return int(n), nil
}

// bodyChecker is an io.Writer that accepts only the test body.
type bodyChecker struct {
	offset int64
	want   []byte
}

func (b *bodyChecker) Write(p []byte) (int, error) {
	if len(b.want) < len(p) {
		b.want = make([]byte, len(p))
	}
	fillBody(b.want[:len(p)], b.offset)
	for i := range p {
		if p[i] != b.want[i] {
			return i, fmt.Errorf("byte %d is %#02x, want %#02x", b.offset+int64(i), p[i], b.want[i])
		}
	}
	b.offset += int64(len(p))
	return len(p), nil
}
