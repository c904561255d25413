package migrate

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// block is a virtual_service before layout.
type block struct {
	name     string
	identity string // the attribute that identifies the service
	value    string // value of that attribute
	options  string
	servers  []serverBlock
	nat      bool // NAT is the default forwarding method
}

// serverBlock is a real_server.
type serverBlock struct {
	address string
	port    uint16
	own     bool // the port differs from the service's
	weight  uint32
	options string // settings other than the weight, one per line
}

func newBlock(s *service, name string) block {
	b := block{name: name, identity: "address", value: strconv.Quote(netip.AddrPortFrom(s.Address, s.Port).String())}
	if s.Mark != 0 {
		b.identity, b.value = "mark", fmt.Sprint(s.Mark)
	}
	forward := usualForward(s)
	b.nat = forward == ipvs.Masquerade
	b.options = serviceOptions(s.Service, forward)
	for _, d := range s.servers {
		b.servers = append(b.servers, serverBlock{
			address: d.Address.String(), port: d.Port, own: d.Port != s.Port, weight: d.Weight,
			options: serverOptions(d.Destination, forward),
		})
	}
	return b
}

// usualForward returns the most frequent forwarding method of a service's servers.
func usualForward(s *service) ipvs.ForwardMethod {
	usual, count := ipvs.DirectRoute, map[ipvs.ForwardMethod]int{}
	for _, d := range s.servers {
		count[d.Forward]++
		if count[d.Forward] > count[usual] {
			usual = d.Forward
		}
	}
	return usual
}

func serviceOptions(s ipvs.Service, forward ipvs.ForwardMethod) string {
	var b strings.Builder
	if s.Mark == 0 && s.Protocol != ipvs.TCP {
		fmt.Fprintf(&b, "protocol = %q\n", s.Protocol)
	}
	if s.Mark != 0 && s.Family == ipvs.IPv6 {
		fmt.Fprintf(&b, "family = %q\n", s.Family)
	}
	fmt.Fprintf(&b, "scheduler = %q\n", s.Scheduler)
	const schedulers = ipvs.FlagSched1 | ipvs.FlagSched2 | ipvs.FlagSched3
	if flags := ipvs.FormatFlags(s.Scheduler, s.Flags&schedulers); flags != "" {
		fmt.Fprintf(&b, "scheduler_flags = [\"%s\"]\n", strings.ReplaceAll(flags, ",", `", "`))
	}
	fmt.Fprintf(&b, "forwarding = %q\n", forward)
	if s.Flags&ipvs.FlagOnePacket != 0 {
		fmt.Fprint(&b, "one_packet = true\n")
	}
	if s.Flags&ipvs.FlagPersistent != 0 {
		fmt.Fprintf(&b, "\npersistence {\n%s}\n", persistenceOptions(s))
	}
	return b.String()
}

func persistenceOptions(s ipvs.Service) string {
	text := fmt.Sprintf("timeout = %q\n", duration(s.PersistenceTimeout))
	switch mask := s.NetmaskText(); {
	case mask == "":
	case s.Family == ipvs.IPv6:
		text += fmt.Sprintf("prefix = %s\n", mask)
	default:
		text += fmt.Sprintf("netmask = %q\n", mask)
	}
	if s.PersistenceEngine != "" {
		text += fmt.Sprintf("engine = %q\n", s.PersistenceEngine)
	}
	return text
}

// duration formats seconds with the largest units: "90s", "5m", "1h30m".
func duration(seconds uint32) string {
	text := (time.Duration(seconds) * time.Second).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func serverOptions(d ipvs.Destination, usual ipvs.ForwardMethod) string {
	var b strings.Builder
	if d.Forward != usual {
		fmt.Fprintf(&b, "forwarding = %q\n", d.Forward)
	}
	if d.UpperThreshold != 0 {
		fmt.Fprintf(&b, "upper_threshold = %d\n", d.UpperThreshold)
	}
	if d.LowerThreshold != 0 {
		fmt.Fprintf(&b, "lower_threshold = %d\n", d.LowerThreshold)
	}
	if d.Forward == ipvs.Tunnel && d.TunnelType != ipvs.TunnelIPIP {
		fmt.Fprintf(&b, "tunnel {\ntype = %q\n", d.TunnelType)
		if d.TunnelPort != 0 {
			fmt.Fprintf(&b, "port = %d\n", d.TunnelPort)
		}
		if d.TunnelFlags != ipvs.TunnelNoChecksum {
			fmt.Fprintf(&b, "checksum = %q\n", d.TunnelFlags)
		}
		fmt.Fprint(&b, "}\n")
	}
	return b.String()
}

// label names a server: by its address only, if that is unique and the port is the service's.
func (s serverBlock) label(withPort bool) string {
	if !withPort && !s.own {
		return s.address
	}
	address, _ := netip.ParseAddr(s.address)
	return netip.AddrPortFrom(address, s.port).String()
}

// text formats a real_server, with a single attribute on one line.
func (s serverBlock) text(withPort bool) string {
	content := s.options
	if s.weight != 1 {
		content = fmt.Sprintf("weight = %d\n", s.weight) + content
	}
	if lines := strings.Count(content, "\n"); lines == 0 {
		return fmt.Sprintf("real_server %q {}\n", s.label(withPort))
	} else if lines == 1 {
		return fmt.Sprintf("real_server %q { %s }\n", s.label(withPort), strings.TrimSpace(content))
	}
	return fmt.Sprintf("real_server %q {\n%s}\n", s.label(withPort), content)
}

// serverText formats all servers of a block.
func (b block) serverText(withPort bool) string {
	var text strings.Builder
	for _, s := range b.servers {
		text.WriteString(s.text(withPort))
	}
	return text.String()
}

// text formats the block with its already formatted servers.
func (b block) text(servers string) string {
	return fmt.Sprintf("virtual_service %q {\n%s = %s\n%s%s}\n", b.name, b.identity, b.value, b.options, afterEmptyLine(servers))
}

// afterEmptyLine prepends an empty line to non-empty text.
func afterEmptyLine(text string) string {
	if text == "" {
		return ""
	}
	return "\n" + text
}
