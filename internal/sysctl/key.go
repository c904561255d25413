package sysctl

import (
	"fmt"
	"strings"
)

// Setting is a kernel parameter with the value it should have.
type Setting struct {
	// Key has the syntax of sysctl(8): dots between the parts, and a slash for a dot in an interface's name. For a Keeper, a
	// * stands for any one part: all parameters that match get the value.
	Key    string   `json:"key"`
	Value  string   `json:"value"`
	Accept []string `json:"accept,omitempty"` // other values that are kept
	Why    string   `json:"why,omitempty"`
	// Disturbs are other parameters that the kernel changes together with this one; a * stands for any one part.
	Disturbs []string `json:"disturbs,omitempty"`
}

// Good reports whether a value read from the kernel satisfies the setting.
func (s Setting) Good(value string) bool {
	if Same(value, s.Value) {
		return true
	}
	for _, a := range s.Accept {
		if Same(value, a) {
			return true
		}
	}
	return false
}

// Command returns the shell command that applies the setting.
func (s Setting) Command() string { return Command(s.Key, s.Value) }

// Command returns the shell command that sets a parameter.
func Command(key, value string) string {
	if strings.ContainsAny(value, " \t") {
		return fmt.Sprintf("sysctl -w %s='%s'", key, value)
	}
	return fmt.Sprintf("sysctl -w %s=%s", key, value)
}

// Same reports whether two values are equal except for white space: the kernel separates the numbers of a vector by tabs.
func Same(a, b string) bool { return normal(a) == normal(b) }

func normal(value string) string { return strings.Join(strings.Fields(value), " ") }

// Conf returns the key of an interface's parameter. The interface may also be "all" or "default"; family is "ipv4" or "ipv6".
func Conf(family, iface, name string) string {
	return "net." + family + ".conf." + strings.ReplaceAll(iface, ".", "/") + "." + name
}

// Effective returns the greater of an IPv4 parameter's values for all devices and for one, which the kernel uses for
// arp_ignore, arp_announce and rp_filter (IN_DEV_MAXCONF, include/linux/inetdevice.h). It is "" if neither is known.
func Effective(values map[string]string, iface, name string) string {
	all, one := values[Conf("ipv4", "all", name)], values[Conf("ipv4", iface, name)]
	if Greater(one, all) {
		return one
	}
	return all
}

// Greater compares numbers in the kernel's notation. Any number is greater than "".
func Greater(a, b string) bool { return len(a) > len(b) || len(a) == len(b) && a > b }

var swapSeparators = strings.NewReplacer(".", "/", "/", ".")

// path returns the path of a key below /proc/sys.
func path(key string) (string, error) {
	p := swapSeparators.Replace(key)
	for part := range strings.SplitSeq(p, "/") {
		if part == "" || part == "." || part == ".." {
			return "", fmt.Errorf("kernel parameter %q: not a name such as net.ipv4.ip_forward", key)
		}
	}
	return p, nil
}

// keyOf returns the key of a path below /proc/sys.
func keyOf(path string) string { return swapSeparators.Replace(path) }
