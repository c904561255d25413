package healthcheck

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Spec is the configuration of a check: plain values, validated by package config.
type Spec struct {
	Interval time.Duration `json:"interval"`         // from start to start
	Timeout  time.Duration `json:"timeout"`          // of the whole probe, at most Interval
	Rise     int           `json:"rise"`             // good results in a row that bring a server up, at least 1
	Fall     int           `json:"fall"`             // bad results in a row that take it down, at least 1
	Address  netip.Addr    `json:"address,omitzero"` // probed in place of the server's
	Port     uint16        `json:"port,omitempty"`   // probed in place of the server's
	Check    Check         `json:"-"`                // encoded next to the other fields, with its kind: see MarshalJSON
}

// Kind is the kind of the spec's check; "" if it has none.
func (s Spec) Kind() Kind {
	if s.Check == nil {
		return ""
	}
	return s.Check.Kind()
}

// Redacted returns a copy without secrets.
func (s Spec) Redacted() Spec {
	if s.Check != nil {
		s.Check = s.Check.Redacted()
	}
	return s
}

// plainSpec is Spec without its methods.
type plainSpec Spec

// kindAndSpec is what all kinds have in JSON.
type kindAndSpec struct {
	Kind Kind `json:"kind"`
	plainSpec
}

// EncodedTypes are the types whose fields MarshalJSON encodes: those of Spec and of each kind.
func EncodedTypes() []reflect.Type {
	types := []reflect.Type{reflect.TypeFor[kindAndSpec]()}
	for _, kind := range slices.Sorted(maps.Keys(Kinds)) {
		types = append(types, reflect.TypeOf(Kinds[kind]()))
	}
	return types
}

// MarshalJSON implements json.Marshaler: one object with the kind, the spec's fields and those of the kind.
func (s Spec) MarshalJSON() ([]byte, error) {
	object, err := json.Marshal(kindAndSpec{s.Kind(), plainSpec(s)})
	if err != nil || s.Check == nil {
		return object, err
	}
	parameters, err := json.Marshal(s.Check)
	if err != nil || string(parameters) == "{}" {
		return object, err
	}
	return append(append(object[:len(object)-1], ','), parameters[1:]...), nil
}

// UnmarshalJSON implements json.Unmarshaler. The kind decides what other fields there are; one that is not in Kinds is
// an error.
func (s *Spec) UnmarshalJSON(data []byte) error {
	var read kindAndSpec
	if err := json.Unmarshal(data, &read); err != nil {
		return err
	}
	parameters, ok := Kinds[read.Kind]
	if !ok {
		return unknownKind(read.Kind)
	}
	read.Check = parameters()
	if err := json.Unmarshal(data, read.Check); err != nil {
		return fmt.Errorf("%s check: %w", read.Kind, err)
	}
	*s = Spec(read.plainSpec)
	return nil
}

func unknownKind(kind Kind) Fault {
	return fault("kind", "%s is not a kind of check. Write one of %s.", quote(string(kind)), strings.Join(KindNames(), ", "))
}
