package realserver

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// The states in /proc/net of a socket that accepts new clients: TCP_LISTEN, and TCP_CLOSE of an unconnected UDP socket
// (include/net/tcp_states.h).
const (
	tcpListen = "0A"
	udpBound  = "07"
)

// listeners returns the sockets of this network namespace that accept new clients.
func listeners() ([]Listener, error) {
	var out []Listener
	for _, table := range []struct{ file, network, state string }{
		{"tcp", "tcp", tcpListen}, {"tcp6", "tcp", tcpListen}, {"udp", "udp", udpBound}, {"udp6", "udp", udpBound},
	} {
		f, err := os.Open("/proc/thread-self/net/" + table.file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // no IPv6
		}
		if err != nil {
			return nil, fmt.Errorf("list sockets: %w", err)
		}
		found, err := readSockets(f, table.network, table.state)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("list sockets: %w", err)
		}
		out = append(out, found...)
	}
	return out, nil
}

// readSockets reads a table in the format of /proc/net/tcp (net/ipv4/tcp_ipv4.c, tcp4_seq_show).
func readSockets(r io.Reader, network, state string) ([]Listener, error) {
	var out []Listener
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || fields[3] != state {
			continue
		}
		address, err := parseSocketAddress(fields[1])
		if err != nil {
			return nil, err
		}
		out = append(out, Listener{Network: network, Address: address})
	}
	return out, lines.Err()
}

// parseSocketAddress reads hexadecimal words in the machine's byte order, a colon and a port: "0100007F:0016".
func parseSocketAddress(s string) (netip.AddrPort, error) {
	bad := fmt.Errorf("socket address %q: unexpected format", s)
	words, port, ok := strings.Cut(s, ":")
	raw, err := hex.DecodeString(words)
	number, portErr := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || portErr != nil || len(raw) != 4 && len(raw) != 16 {
		return netip.AddrPort{}, bad
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	a, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(a.Unmap(), uint16(number)), nil
}
