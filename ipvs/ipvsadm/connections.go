package ipvsadm

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

const (
	connectionsHeader = "IPVS connection entries\npro expire state       source             virtual            destination"
	enginesHeader     = "        pe name          pe_data"
)

// listConnections prints the connection table, with the persistence engines' data if that is asked for.
func (s *session) listConnections(p printer, engines bool) *failure {
	f, err := s.env.Connections()
	if err != nil {
		return fail("cannot open file %s", connectionsFile)
	}
	defer f.Close()
	fmt.Fprint(s.out, connectionsHeader)
	if engines {
		fmt.Fprint(s.out, enginesHeader)
	}
	fmt.Fprintln(s.out)
	lines := bufio.NewScanner(f)
	lines.Scan() // the kernel's header
	for lines.Scan() {
		if text, ok := p.connection(lines.Text(), engines); ok {
			fmt.Fprintln(s.out, text)
		}
	}
	if err := lines.Err(); err != nil {
		return refused("reading the connection table: " + err.Error())
	}
	return nil
}

var connectionProtocols = map[string]ipvs.Protocol{"TCP": ipvs.TCP, "UDP": ipvs.UDP, "SCTP": ipvs.SCTP}

// connection turns a line of the kernel's (net/netfilter/ipvs/ip_vs_conn.c) into one of ipvsadm's: protocol, three pairs
// of address and port in hexadecimal, state, seconds left, and a persistence engine with its data.
func (p printer) connection(line string, engines bool) (string, bool) {
	fields := strings.Fields(line)
	if len(fields) < 9 {
		return "", false
	}
	protocol := connectionProtocols[fields[0]]
	var ends [3]string
	for i := range ends {
		a, ok := parseHexAddress(fields[1+2*i])
		port, err := strconv.ParseUint(fields[2+2*i], 16, 16)
		if !ok || err != nil {
			return "", false
		}
		ends[i] = string(p.endpoint(nil, a, uint16(port), protocol))
	}
	seconds, err := strconv.ParseUint(fields[8], 10, 32)
	if err != nil {
		return "", false
	}
	expires := fmt.Sprintf("%02d:%02d", seconds/60, seconds%60)
	text := fmt.Sprintf("%-3s %-6s %-11s %-18s %-18s ", fields[0], expires, fields[7], ends[0], ends[1])
	if engines && len(fields) > 10 {
		return text + fmt.Sprintf("%-16s %-18s %s", ends[2], fields[9], fields[10]), true
	}
	return text + ends[2], true
}

// parseHexAddress reads an IPv4 address of eight digits, or an IPv6 address.
func parseHexAddress(s string) (netip.Addr, bool) {
	if strings.Contains(s, ":") {
		return parseIPv6(s)
	}
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 4 {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte(b)), true
}
