package ipvs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"
)

// The layout of an attribute (include/uapi/linux/netlink.h, struct nlattr): length including this header, type with two
// flags, then the value, padded to four bytes.
const (
	attributeHeader = 4
	attributeType   = 0x3fff
)

var errAttribute = errors.New("an attribute's length is not that of its message")

// eachAttribute calls fn with the type and the value of each attribute. It does not allocate, since lists have tens of
// attributes per entry.
func eachAttribute(b []byte, fn func(typ uint16, value []byte) error) error {
	for len(b) >= attributeHeader {
		length := int(binary.NativeEndian.Uint16(b))
		if length < attributeHeader || length > len(b) {
			return errAttribute
		}
		if err := fn(binary.NativeEndian.Uint16(b[2:])&attributeType, b[attributeHeader:length:length]); err != nil {
			return err
		}
		b = b[min((length+3)&^3, len(b)):]
	}
	if len(b) > 0 {
		return errAttribute
	}
	return nil
}

// eachNested calls fn with the attributes within the wanted attribute, which must exist.
func eachNested(b []byte, wanted uint16, fn func(typ uint16, value []byte) error) error {
	found := false
	err := eachAttribute(b, func(typ uint16, value []byte) error {
		if typ != wanted {
			return nil
		}
		found = true
		return eachAttribute(value, fn)
	})
	if err == nil && !found {
		err = fmt.Errorf("attribute %d is missing", wanted)
	}
	return err
}

// readNumber reads a number of the field's size.
func readNumber[T ~uint8 | ~uint16 | ~uint32](field *T, value []byte) error {
	if len(value) != int(unsafe.Sizeof(*field)) {
		return fmt.Errorf("a number of %d bytes, want %d", len(value), unsafe.Sizeof(*field))
	}
	switch len(value) {
	case 1:
		*field = T(value[0])
	case 2:
		*field = T(binary.NativeEndian.Uint16(value))
	case 4:
		*field = T(binary.NativeEndian.Uint32(value))
	}
	return nil
}

// readString reads a NUL-terminated string.
func readString(value []byte) string {
	for i, c := range value {
		if c == 0 {
			return string(value[:i])
		}
	}
	return string(value)
}
