package discovery

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
)

// Limits of resolv.conf(5).
const (
	maxResolvConf  = 64 << 10 // bytes that are read
	maxNameservers = 3        // MAXNS of the C library
)

// configuredResolvers returns the name servers of a resolv.conf(5). It is read before each question, so that changes apply at once.
func configuredResolvers(path string) ([]netip.AddrPort, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("no resolvers: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxResolvConf))
	if err != nil {
		return nil, fmt.Errorf("no resolvers: %w", err)
	}
	list := nameservers(string(text))
	if len(list) == 0 {
		return nil, fmt.Errorf("no resolvers: %s has no nameserver", path)
	}
	return list, nil
}

func nameservers(text string) []netip.AddrPort {
	var list []netip.AddrPort
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" || len(list) == maxNameservers {
			continue
		}
		if address, err := netip.ParseAddr(words[1]); err == nil {
			list = append(list, netip.AddrPortFrom(address, 53))
		}
	}
	return list
}
