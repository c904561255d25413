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
	Retry    time.Duration `json:"retry,omitempty"`  // instead of Interval while the state is in doubt; 0: Interval
	Jitter   time.Duration `json:"jitter,omitempty"` // a check may start so much earlier, at random; 0: a twentieth of the interval
	Timeout  time.Duration `json:"timeout"`          // of the whole probe; the next one starts after its end
	Rise     int           `json:"rise"`             // consecutive good results that change a server to up, at least 1
	Fall     int           `json:"fall"`             // consecutive bad results that change it to down, at least 1
	Address  netip.Addr    `json:"address,omitzero"` // probed instead of the server's
	Port     uint16        `json:"port,omitempty"`   // probed instead of the server's
	Source   Source        `json:"source,omitzero"`
	Weight   *Weight       `json:"weight,omitempty"`
	Check    Check         `json:"-"` // encoded with its kind along with the other fields: see MarshalJSON
}

// Source is where a check's packets come from. What is unset is the kernel's choice.
type Source struct {
	Address   netip.Addr `json:"address,omitzero"`
	Interface string     `json:"interface,omitempty"` // of the host: packets leave through it
	Mark      uint32     `json:"mark,omitempty"`      // of the packets, for the host's rules (fwmark)
}

// Kind returns the kind of the spec's check, or "" if it has none.
func (s Spec) Kind() Kind {
	if s.Check == nil {
		return ""
	}
	return s.Check.Kind()
}

// Vetoes reports that the check must pass, however many others do: an agent says what its server wants.
func (s Spec) Vetoes() bool { return s.Kind() == "agent" || s.Kind() == "file" }

// Redacted returns a copy without secrets.
func (s Spec) Redacted() Spec {
	if s.Check != nil {
		s.Check = s.Check.Redacted()
	}
	return s
}

// plainSpec is Spec without its methods.
type plainSpec Spec

// kindAndSpec has the JSON fields common to all kinds.
type kindAndSpec struct {
	Kind Kind `json:"kind"`
	plainSpec
}

// EncodedTypes returns the types whose fields MarshalJSON encodes: Spec and each kind.
func EncodedTypes() []reflect.Type {
	types := []reflect.Type{reflect.TypeFor[kindAndSpec]()}
	for _, kind := range slices.Sorted(maps.Keys(Kinds)) {
		types = append(types, reflect.TypeOf(Kinds[kind]()))
	}
	return types
}

// MarshalJSON implements json.Marshaler. It encodes the kind, the spec's fields and the fields of the kind as one object.
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

// UnmarshalJSON implements json.Unmarshaler. The kind determines the other fields; one that is not in Kinds is an error.
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
