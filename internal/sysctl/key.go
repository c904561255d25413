package sysctl

import (
	"fmt"
	"strings"
)

// Setting is a kernel parameter with the value it should have.
type Setting struct {
	// Key is as sysctl(8) writes it: dots between the parts, a dot in an interface's name as a slash. A Keeper takes a *
	// for any one part: every parameter that matches is to have the value.
	Key    string   `json:"key"`
	Value  string   `json:"value"`
	Accept []string `json:"accept,omitempty"` // other values that do as well and are left alone
	Why    string   `json:"why,omitempty"`
	// Disturbs are other parameters that the kernel changes together with this one; a * stands for any one part.
	Disturbs []string `json:"disturbs,omitempty"`
}

// Good reports whether a value read from the kernel will do.
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

// Command is the shell command that makes the setting.
func (s Setting) Command() string { return Command(s.Key, s.Value) }

// Command is the shell command that sets a parameter.
func Command(key, value string) string {
	if strings.ContainsAny(value, " \t") {
		return fmt.Sprintf("sysctl -w %s='%s'", key, value)
	}
	return fmt.Sprintf("sysctl -w %s=%s", key, value)
}

// Same reports whether two values are equal but for white space: the kernel separates the numbers of a vector by tabs.
func Same(a, b string) bool { return normal(a) == normal(b) }

func normal(value string) string { return strings.Join(strings.Fields(value), " ") }

// Conf is the key of an interface's parameter. The interface may also be "all" or "default"; family is "ipv4" or "ipv6".
func Conf(family, iface, name string) string {
	return "net." + family + ".conf." + strings.ReplaceAll(iface, ".", "/") + "." + name
}

// Effective is the greater of an IPv4 parameter's values for all devices and for one, which is what the kernel goes by
// for arp_ignore, arp_announce and rp_filter (IN_DEV_MAXCONF, include/linux/inetdevice.h). It is "" if neither is known.
func Effective(values map[string]string, iface, name string) string {
	all, one := values[Conf("ipv4", "all", name)], values[Conf("ipv4", iface, name)]
	if Greater(one, all) {
		return one
	}
	return all
}

// Greater compares numbers as the kernel writes them. Any is greater than "".
func Greater(a, b string) bool { return len(a) > len(b) || len(a) == len(b) && a > b }

var swapSeparators = strings.NewReplacer(".", "/", "/", ".")

// path is where the key is below /proc/sys.
func path(key string) (string, error) {
	p := swapSeparators.Replace(key)
	for part := range strings.SplitSeq(p, "/") {
		if part == "" || part == "." || part == ".." {
			return "", fmt.Errorf("kernel parameter %q: not a name such as net.ipv4.ip_forward", key)
		}
	}
	return p, nil
}

// keyOf is the key of a path below /proc/sys.
func keyOf(path string) string { return swapSeparators.Replace(path) }
