// Package guest is the protocol between a test kernel and the lab outside of it: the specification that its init reads at
// boot, and the frames that run commands.
package guest

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"time"
)

// EnvSpec is the kernel command-line parameter, and so the environment variable of init, that has the path of the Spec.
const EnvSpec = "LAB_SPEC"

// OutputDelay is how long output from daemons left by a program is still read after the program has exited.
const OutputDelay = time.Second

// Spec is the configuration of a test kernel at boot.
type Spec struct {
	Hostname   string
	Modules    []string
	Sysctls    map[string]string
	NICs       []NIC
	Routes     []Route
	Management Management
}

// NIC is a network card: the kernel's device and its configuration.
type NIC struct {
	Device    string // vec0, vec1, …
	Name      string
	MTU       int
	Addresses []netip.Prefix
}

// Route is a route to Destination through a gateway. A zero Destination is the default route.
type Route struct {
	Destination netip.Prefix
	Via         netip.Addr
}

// Management is the agent's network card, in a separate network namespace that is invisible to tests.
type Management struct {
	Device  string
	Address netip.Prefix
	Listen  netip.AddrPort // the agent accepts commands here
	Ready   netip.AddrPort // the agent connects here when the machine is ready
}

// Ready is the agent's message that the machine is ready, or what went wrong.
type Ready struct {
	Error string
}

// ReadSpec reads a specification from a file.
func ReadSpec(path string) (*Spec, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read specification: %w", err)
	}
	var s Spec
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("parse specification %s: %w", path, err)
	}
	return &s, nil
}

// WriteFile writes the specification to a file.
func (s *Spec) WriteFile(path string) error {
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("write specification: %w", err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return fmt.Errorf("write specification: %w", err)
	}
	return nil
}
