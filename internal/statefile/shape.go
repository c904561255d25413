package statefile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
)

// Shape identifies the JSON encoding of some types: the names, types and tags of all fields at every depth. Data of another
// shape would be decoded with new fields as zero. The contents of an interface are not part of its type: Shape returns the
// interfaces that it found, and the caller must include their implementations among the types.
func Shape(types ...reflect.Type) (shape string, interfaces []reflect.Type) {
	s := shaper{to: sha256.New(), seen: map[reflect.Type]bool{}}
	for _, t := range types {
		s.write(t)
	}
	return hex.EncodeToString(s.to.Sum(nil)[:12]), s.interfaces
}

type shaper struct {
	to interface {
		io.Writer
		Sum([]byte) []byte
	}
	seen       map[reflect.Type]bool
	interfaces []reflect.Type
}

var marshaler = reflect.TypeFor[json.Marshaler]()

func (s *shaper) write(t reflect.Type) {
	fmt.Fprintf(s.to, "%s.%s %s\n", t.PkgPath(), t.String(), t.Kind())
	if s.seen[t] {
		return
	}
	s.seen[t] = true
	switch t.Kind() {
	case reflect.Interface:
		s.interfaces = append(s.interfaces, t)
	case reflect.Map:
		s.write(t.Key())
		s.write(t.Elem())
	case reflect.Pointer, reflect.Slice, reflect.Array:
		s.write(t.Elem())
	case reflect.Struct:
		// The encoding of a type that encodes itself may include fields that are otherwise omitted.
		all := t.Implements(marshaler) || reflect.PointerTo(t).Implements(marshaler)
		for f := range t.Fields() {
			if tag := f.Tag.Get("json"); (all || tag != "-") && (f.IsExported() || f.Anonymous) {
				fmt.Fprintf(s.to, "%s %q %t\n", f.Name, tag, f.Anonymous)
				s.write(f.Type)
			}
		}
		fmt.Fprintln(s.to, "end")
	}
}
