package scene

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// parseConnections parses /proc/net/ip_vs_conn: "TCP CB633B0A C3F2 …", address and port in hexadecimal.
func parseConnections(table string) (map[netip.AddrPort]bool, error) {
	found := map[netip.AddrPort]bool{}
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[0] != "TCP" {
			continue
		}
		address, err := hex.DecodeString(fields[1])
		if err != nil {
			return nil, fmt.Errorf("connection table: address in %q: %w", line, err)
		}
		port, err := strconv.ParseUint(fields[2], 16, 16)
		if err != nil {
			return nil, fmt.Errorf("connection table: port in %q: %w", line, err)
		}
		a, ok := netip.AddrFromSlice(address)
		if !ok {
			return nil, fmt.Errorf("connection table: address in %q has %d bytes", line, len(address))
		}
		found[netip.AddrPortFrom(a, uint16(port))] = true
	}
	return found, nil
}
