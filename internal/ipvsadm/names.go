package ipvsadm

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// Names translates host and port names.
type Names interface {
	// Address returns a host's IPv4 address.
	Address(host string) (netip.Addr, bool)
	// Host returns an address's name, or "" if it has none.
	Host(a netip.Addr) string
	// Port returns the number of a port by name or alias.
	Port(name string, p ipvs.Protocol) (uint16, bool)
	// Service returns a port's name, or "" if it has none.
	Service(port uint16, p ipvs.Protocol) string
}

// lookupTimeout limits one DNS lookup. After a lookup that timed out, addresses are printed as numbers.
const lookupTimeout = 5 * time.Second

// SystemNames are the names in /etc/hosts, DNS and /etc/services.
func SystemNames(ctx context.Context) Names {
	return &systemNames{ctx: ctx, hosts: map[netip.Addr]string{}, servicesFile: "/etc/services"}
}

type systemNames struct {
	ctx          context.Context
	hosts        map[netip.Addr]string
	mute         bool // the resolver does not respond
	servicesFile string
	ports        map[string]uint16 // by name/protocol
	services     map[string]string // by port/protocol
}

func (s *systemNames) Address(host string) (netip.Addr, bool) {
	if host == "" {
		return netip.Addr{}, false
	}
	ctx, cancel := context.WithTimeout(s.ctx, lookupTimeout)
	defer cancel()
	if list, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host); err == nil && len(list) > 0 {
		return list[0].Unmap(), true
	}
	// As in the C library, a name that has only ::1, such as Debian's ip6-localhost, also means 127.0.0.1.
	list, err := net.DefaultResolver.LookupNetIP(ctx, "ip6", host)
	if err == nil && slices.Contains(list, netip.IPv6Loopback()) {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), true
	}
	return netip.Addr{}, false
}

func (s *systemNames) Host(a netip.Addr) string {
	if name, known := s.hosts[a]; known || s.mute {
		return name
	}
	ctx, cancel := context.WithTimeout(s.ctx, lookupTimeout)
	defer cancel()
	list, err := net.DefaultResolver.LookupAddr(ctx, a.String())
	s.mute = ctx.Err() != nil
	name := ""
	if err == nil && len(list) > 0 {
		name = strings.TrimSuffix(list[0], ".")
	}
	s.hosts[a] = name
	return name
}

func (s *systemNames) Port(name string, p ipvs.Protocol) (uint16, bool) {
	s.load()
	port, ok := s.ports[name+"/"+p.String()]
	return port, ok
}

func (s *systemNames) Service(port uint16, p ipvs.Protocol) string {
	s.load()
	return s.services[fmt.Sprintf("%d/%s", port, p)]
}

// load reads the services file on its first call. Without the file there are no names.
func (s *systemNames) load() {
	if s.ports != nil {
		return
	}
	s.ports, s.services = map[string]uint16{}, map[string]string{}
	f, err := os.Open(s.servicesFile)
	if err != nil {
		return
	}
	defer f.Close()
	s.read(f)
}

// read parses services(5). The first entry of a name or port applies.
func (s *systemNames) read(r io.Reader) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		number, protocol, _ := strings.Cut(fields[1], "/")
		port, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			continue
		}
		setFirst(s.services, fmt.Sprintf("%d/%s", port, protocol), fields[0])
		setFirst(s.ports, fields[0]+"/"+protocol, uint16(port))
		for _, alias := range fields[2:] {
			setFirst(s.ports, alias+"/"+protocol, uint16(port))
		}
	}
}

func setFirst[V any](m map[string]V, key string, v V) {
	if _, ok := m[key]; !ok {
		m[key] = v
	}
}
