package ipvs

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Connection is an entry of the kernel's connection table. Persistence templates are included: their client has port 0,
// and with a service by mark, the protocol is "IP" and the mark replaces the virtual address.
type Connection struct {
	Protocol    string // TCP, UDP, SCTP or IP
	Client      netip.AddrPort
	Virtual     netip.AddrPort
	Destination netip.AddrPort
	State       string
	Expires     time.Duration
	Engine      string // persistence engine
	EngineData  string
}

// ReadConnections reads /proc/net/ip_vs_conn and calls each with its entries in the kernel's order
// (net/netfilter/ipvs/ip_vs_conn.c). A process with threads in several network namespaces reads
// /proc/thread-self/net/ip_vs_conn.
func ReadConnections(r io.Reader, each func(Connection) error) error {
	lines := bufio.NewScanner(r)
	lines.Scan() // header
	for lines.Scan() {
		c, err := parseConnection(lines.Text())
		if err == nil {
			err = each(c)
		}
		if err != nil {
			return err
		}
	}
	return lines.Err()
}

// parseConnection parses protocol, three hexadecimal pairs of address and port, state, remaining seconds, and optionally
// a persistence engine with its data.
func parseConnection(line string) (Connection, error) {
	fields := strings.Fields(line)
	if len(fields) < 9 {
		return Connection{}, fmt.Errorf("reading the connection table: line %q has %d fields, want 9", line, len(fields))
	}
	c := Connection{Protocol: fields[0], State: fields[7]}
	for i, end := range []*netip.AddrPort{&c.Client, &c.Virtual, &c.Destination} {
		var err error
		if *end, err = parseHexEnd(fields[1+2*i], fields[2+2*i]); err != nil {
			return Connection{}, fmt.Errorf("reading the connection table: line %q: %w", line, err)
		}
	}
	seconds, err := strconv.ParseUint(fields[8], 10, 32)
	if err != nil {
		return Connection{}, fmt.Errorf("reading the connection table: line %q: %w", line, err)
	}
	c.Expires = time.Duration(seconds) * time.Second
	if len(fields) > 10 {
		c.Engine, c.EngineData = fields[9], fields[10]
	}
	return c, nil
}

// parseHexEnd parses an IPv4 address of eight digits or an IPv6 address, and a port.
func parseHexEnd(address, port string) (netip.AddrPort, error) {
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if strings.Contains(address, ":") {
		a, err := netip.ParseAddr(address)
		return netip.AddrPortFrom(a, uint16(n)), err
	}
	b, err := hex.DecodeString(address)
	if err != nil || len(b) != 4 {
		return netip.AddrPort{}, fmt.Errorf("address %q: want eight hexadecimal digits", address)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), uint16(n)), nil
}
