package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"iter"
	"time"
)

// Duration is encoded as in a configuration: "100ms".
type Duration time.Duration

// String returns the encoded duration.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	parsed, err := time.ParseDuration(string(b))
	*d = Duration(parsed)
	return err
}

// write writes the status, with the services, as JSON.
func (s Status) write(w io.Writer, services iter.Seq[*Service]) error {
	s.Services = nil
	head, err := json.Marshal(s)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w) // keeps the first error for Flush
	_, _ = out.Write(bytes.TrimSuffix(head, []byte("}")))
	separator := `,"services":[`
	for service := range services {
		encoded, err := json.Marshal(service)
		if err != nil {
			return err
		}
		_, _ = out.WriteString(separator)
		if _, err := out.Write(encoded); err != nil {
			return err
		}
		separator = `,`
	}
	if separator == `,` {
		_ = out.WriteByte(']')
	}
	_, _ = out.WriteString("}\n")
	return out.Flush()
}
