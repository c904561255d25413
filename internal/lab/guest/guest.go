// Package guest is what a test kernel and the lab outside of it say to each other: the specification that its init
// reads at boot, and the frames by which it runs commands.
package guest

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"time"
)

// EnvSpec names the kernel command-line word, and so init's environment variable, with the path of the Spec.
const EnvSpec = "LAB_SPEC"

// OutputDelay is how long the output of a program that has ended is still taken from the daemons it left.
const OutputDelay = time.Second

// Spec is what a test kernel makes of itself at boot.
type Spec struct {
	Hostname   string
	Modules    []string
	Sysctls    map[string]string
	NICs       []NIC
	Routes     []Route
	Management Management
}

// NIC is a network card: the kernel's device and what it shall be.
type NIC struct {
	Device    string // vec0, vec1, …
	Name      string
	MTU       int
	Addresses []netip.Prefix
}

// Route is a way to Destination, the default route if that is zero, through a gateway.
type Route struct {
	Destination netip.Prefix
	Via         netip.Addr
}

// Management is the network card of the agent, in a network namespace of its own, so that tests do not see it.
type Management struct {
	Device  string
	Address netip.Prefix
	Listen  netip.AddrPort // where the agent takes commands
	Ready   netip.AddrPort // what the agent connects to when all is done
}

// Ready is what the agent says when all is done, or what went wrong.
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
