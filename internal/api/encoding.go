package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// duration is written as in a configuration: "100ms".
type duration time.Duration

// MarshalText writes the duration.
func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads a duration.
func (d *duration) UnmarshalText(b []byte) error {
	parsed, err := time.ParseDuration(string(b))
	*d = duration(parsed)
	return err
}

// family is written as in a configuration: "ipv4".
type family vrrp.Family

// MarshalText writes ipv4 or ipv6.
func (f family) MarshalText() ([]byte, error) { return []byte(vrrp.Family(f).String()), nil }

// UnmarshalText reads ipv4 or ipv6.
func (f *family) UnmarshalText(b []byte) error {
	for _, known := range []vrrp.Family{vrrp.IPv4, vrrp.IPv6} {
		if known.String() == string(b) {
			*f = family(known)
			return nil
		}
	}
	return fmt.Errorf("unknown address family %q: use ipv4 or ipv6", b)
}

// instance is a virtual router's status as people and their programs read it. Its fields hide those of the same name.
type instance struct {
	vrrp.Status
	Family            family   `json:"family"`
	AdvertiseInterval duration `json:"advertise_interval"`
	SkewTime          duration `json:"skew_time"`
	MasterDownTime    duration `json:"master_down_interval"`
}

// plainStatus is a Status without its methods.
type plainStatus Status

// encodedStatus is a Status as it is written. VRRP hides the field of the same name.
type encodedStatus struct {
	*plainStatus
	VRRP []instance `json:"vrrp,omitempty"`
}

// MarshalJSON writes durations and address families as a configuration has them.
func (s Status) MarshalJSON() ([]byte, error) {
	encoded := encodedStatus{plainStatus: (*plainStatus)(&s)}
	for _, v := range s.VRRP {
		encoded.VRRP = append(encoded.VRRP, instance{
			v, family(v.Family), duration(v.AdvertiseInterval), duration(v.SkewTime), duration(v.MasterDownTime),
		})
	}
	return json.Marshal(encoded)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Status) UnmarshalJSON(b []byte) error {
	encoded := encodedStatus{plainStatus: (*plainStatus)(s)}
	if err := json.Unmarshal(b, &encoded); err != nil {
		return err
	}
	s.VRRP = nil
	for _, v := range encoded.VRRP {
		v.Status.Family, v.Status.AdvertiseInterval = vrrp.Family(v.Family), time.Duration(v.AdvertiseInterval)
		v.Status.SkewTime, v.Status.MasterDownTime = time.Duration(v.SkewTime), time.Duration(v.MasterDownTime)
		s.VRRP = append(s.VRRP, v.Status)
	}
	return nil
}

// write writes the status as MarshalJSON does, but for the order of its fields. A service at a time is encoded: those of
// 40,000 real servers have 30 MB.
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
