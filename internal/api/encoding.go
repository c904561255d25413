package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"time"
)

// Duration is written as in a configuration: "100ms".
type Duration time.Duration

// String returns the duration as it is written.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText writes the duration.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a duration.
func (d *Duration) UnmarshalText(b []byte) error {
	parsed, err := time.ParseDuration(string(b))
	*d = Duration(parsed)
	return err
}

// write writes the status as JSON. A service at a time is encoded: those of 40,000 real servers have 30 MB.
func (s Status) write(w io.Writer) error {
	services := s.Services
	s.Services = nil
	head, err := json.Marshal(s)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w) // keeps the first error for Flush
	_, _ = out.Write(bytes.TrimSuffix(head, []byte("}")))
	for i, service := range services {
		encoded, err := json.Marshal(service)
		if err != nil {
			return err
		}
		separator := `,`
		if i == 0 {
			separator = `,"services":[`
		}
		_, _ = out.WriteString(separator)
		_, _ = out.Write(encoded)
	}
	if len(services) > 0 {
		_ = out.WriteByte(']')
	}
	_, _ = out.WriteString("}\n")
	return out.Flush()
}
