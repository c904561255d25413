package ipvs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	moby "github.com/moby/ipvs"
)

// schedulers are all schedulers that any kernel version has had.
var schedulers = []string{
	moby.RoundRobin, moby.WeightedRoundRobin, moby.LeastConnection, moby.WeightedLeastConnection,
	"lblc", "lblcr", moby.DestinationHashing, moby.SourceHashing, "sed", "nq", "fo", "ovf", "mh", "twos",
}

// Schedulers returns the kernel's scheduling algorithms.
func Schedulers() []string { return slices.Clone(schedulers) }

// schedulerFlags are ipvsadm's names for FlagSched1 and following of each scheduler.
var schedulerFlags = map[string][]string{
	"sh": {"sh-fallback", "sh-port"},
	"mh": {"mh-fallback", "mh-port"},
}

var flagBits = []ServiceFlags{FlagSched1, FlagSched2, FlagSched3}

// ParseFlags parses a comma-separated list of a scheduler's flags as in ipvsadm's --sched-flags (sh-fallback, sh-port,
// mh-fallback, mh-port, flag-1, flag-2, flag-3), and ops.
func ParseFlags(scheduler, s string) (ServiceFlags, error) {
	var flags ServiceFlags
	for name := range strings.SplitSeq(s, ",") {
		bit, err := parseFlag(scheduler, strings.TrimSpace(name))
		if err != nil {
			return 0, err
		}
		flags |= bit
	}
	return flags, nil
}

func parseFlag(scheduler, name string) (ServiceFlags, error) {
	if name == "ops" {
		return FlagOnePacket, nil
	}
	for i, bit := range flagBits {
		if name == fmt.Sprintf("flag-%d", i+1) {
			return bit, nil
		}
	}
	if i := slices.Index(schedulerFlags[scheduler], name); i >= 0 {
		return flagBits[i], nil
	}
	known := append(slices.Clone(schedulerFlags[scheduler]), "ops")
	return 0, fmt.Errorf("unknown flag %q of scheduler %s: use %s", name, scheduler, strings.Join(known, ", "))
}

// FormatFlags formats a scheduler's flags and ops as ParseFlags accepts them, without persistence.
func FormatFlags(scheduler string, flags ServiceFlags) string {
	var list []string
	for i, bit := range flagBits {
		if flags&bit == 0 {
			continue
		}
		if known := schedulerFlags[scheduler]; i < len(known) {
			list = append(list, known[i])
		} else {
			list = append(list, fmt.Sprintf("flag-%d", i+1))
		}
	}
	if flags&FlagOnePacket != 0 {
		list = append(list, "ops")
	}
	return strings.Join(list, ",")
}

// flagNames are names of flags that do not depend on the scheduler.
var flagNames = []struct {
	flag ServiceFlags
	name string
}{
	{FlagPersistent, "persistent"}, {FlagHashed, "hashed"}, {FlagOnePacket, "ops"},
	{FlagSched1, "flag-1"}, {FlagSched2, "flag-2"}, {FlagSched3, "flag-3"},
}

// String returns names that do not depend on the scheduler: persistent, ops, flag-1 and so on, and unknown flags as a
// number.
func (f ServiceFlags) String() string {
	var list []string
	for _, n := range flagNames {
		if f&n.flag != 0 {
			list = append(list, n.name)
			f &^= n.flag
		}
	}
	if f != 0 {
		list = append(list, fmt.Sprintf("%#x", uint32(f)))
	}
	return strings.Join(list, ",")
}

// MarshalText writes the names.
func (f ServiceFlags) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText parses the output of String.
func (f *ServiceFlags) UnmarshalText(b []byte) error {
	*f = 0
	if len(b) == 0 {
		return nil
	}
	for name := range strings.SplitSeq(string(b), ",") {
		bit, err := parseFlagName(name)
		if err != nil {
			return err
		}
		*f |= bit
	}
	return nil
}

func parseFlagName(name string) (ServiceFlags, error) {
	for _, n := range flagNames {
		if n.name == name {
			return n.flag, nil
		}
	}
	bits, err := strconv.ParseUint(name, 0, 32)
	if err != nil {
		return 0, fmt.Errorf("unknown service flag %q", name)
	}
	return ServiceFlags(bits), nil
}
