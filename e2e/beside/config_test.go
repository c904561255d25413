package beside

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// settings are those of a router, for both programs.
type settings struct {
	instances []instance
	priority  int
	interval  time.Duration // of adverts
	group     bool          // one sync group of all instances
	trackFile string        // a number other than 0 is a fault
	tracked   bool          // whether the instances, or the group, track it
	scripts   int           // track scripts that are run every second
	servers   int           // real servers without checks
}

// instance is a virtual router with one address.
type instance struct {
	iface    string
	id       int
	address  netip.Prefix
	inside   string // interface of a second address; empty: none
	insideAt netip.Prefix
}

func (in instance) name() string { return fmt.Sprintf("%s-%d", in.iface, in.id) }

const serversPerService = 100

func hcl(s settings) string {
	var b strings.Builder
	scripts := func() {
		for i := range s.scripts {
			fmt.Fprintf(&b, "  track \"script%d\" {}\n", i)
		}
	}
	track := "  track \"file\" {}\n"
	for i, in := range s.instances {
		fmt.Fprintf(&b, "vrrp %q {\n  interface = %q\n  virtual_router_id = %d\n  priority = %d\n  advertise_interval = %q\n  addresses = [%q]\n",
			in.name(), in.iface, in.id, s.priority, s.interval, in.address)
		if in.inside != "" {
			fmt.Fprintf(&b, "  address %q {\n    interface = %q\n    excluded = true\n  }\n", in.insideAt, in.inside)
		}
		if s.tracked && !s.group {
			b.WriteString(track)
		}
		if i == 0 {
			scripts()
		}
		b.WriteString("}\n")
	}
	if s.group {
		b.WriteString("sync_group \"all\" {\n  instances = [")
		for _, in := range s.instances {
			fmt.Fprintf(&b, "%q, ", in.name())
		}
		b.WriteString("]\n")
		if s.tracked {
			b.WriteString(track)
		}
		b.WriteString("}\n")
	}
	if s.tracked {
		fmt.Fprintf(&b, "track_file \"file\" {\n  path = %q\n  weight = 0\n}\n", s.trackFile)
	}
	for i := range s.scripts {
		fmt.Fprintf(&b, "track_script \"script%d\" {\n  command = [\"/bin/true\"]\n  interval = \"1s\"\n  weight = 1\n  user = \"root\"\n}\n", i)
	}
	for i := range s.servers / serversPerService {
		fmt.Fprintf(&b, "virtual_service \"s%d\" {\n  address = \"10.77.1.1:%d\"\n  forwarding = \"nat\"\n", i, 1+i)
		for j := range serversPerService {
			fmt.Fprintf(&b, "  real_server \"10.78.%d.%d:80\" {}\n", i%250, 1+j)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

func keepalivedConf(s settings) string {
	var b strings.Builder
	b.WriteString("global_defs {\n  vrrp_garp_master_refresh 0\n  script_user root\n}\n")
	track := "  track_file {\n    file weight 0\n  }\n"
	if s.tracked {
		fmt.Fprintf(&b, "track_file file {\n  file %q\n  weight 0\n}\n", s.trackFile)
	}
	for i := range s.scripts {
		fmt.Fprintf(&b, "vrrp_script script%d {\n  script /bin/true\n  interval 1\n  weight 1\n}\n", i)
	}
	for i, in := range s.instances {
		fmt.Fprintf(&b, "vrrp_instance %s {\n  state BACKUP\n  interface %s\n  version 3\n  virtual_router_id %d\n  priority %d\n  advert_int %g\n",
			in.name(), in.iface, in.id, s.priority, s.interval.Seconds())
		fmt.Fprintf(&b, "  virtual_ipaddress {\n    %s\n  }\n", in.address)
		if in.inside != "" {
			fmt.Fprintf(&b, "  virtual_ipaddress_excluded {\n    %s dev %s\n  }\n", in.insideAt, in.inside)
		}
		if s.tracked && !s.group {
			b.WriteString(track)
		}
		if i == 0 && s.scripts > 0 {
			b.WriteString("  track_script {\n")
			for i := range s.scripts {
				fmt.Fprintf(&b, "    script%d\n", i)
			}
			b.WriteString("  }\n")
		}
		b.WriteString("}\n")
	}
	if s.group {
		b.WriteString("vrrp_sync_group all {\n  group {\n")
		for _, in := range s.instances {
			fmt.Fprintf(&b, "    %s\n", in.name())
		}
		b.WriteString("  }\n")
		if s.tracked {
			b.WriteString(track)
		}
		b.WriteString("}\n")
	}
	for i := range s.servers / serversPerService {
		fmt.Fprintf(&b, "virtual_server 10.77.1.1 %d {\n  lvs_sched rr\n  lvs_method NAT\n  protocol TCP\n", 1+i)
		for j := range serversPerService {
			fmt.Fprintf(&b, "  real_server 10.78.%d.%d 80 {\n    weight 1\n  }\n", i%250, 1+j)
		}
		b.WriteString("}\n")
	}
	return b.String()
}
