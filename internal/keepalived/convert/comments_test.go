package convert

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

// TestCommentsStandWhereTheyStood: those of lines that become nothing keep the line that they are about.
func TestCommentsStandWhereTheyStood(t *testing.T) {
	const in = `# The pair of the shop.

global_defs {
    router_id shop-1          # unique
    smtp_alert
    notification_email_from lb@shop.example # nobody reads it
    notification_email {
        ops@shop.example      # the team
    }
    smtp_server 192.0.2.25    # the relay
}

vrrp_instance shop {          # the only one
    state BACKUP              # on both
    # the public side
    interface eth0
    virtual_router_id 7
    # not below 5.4
    use_vmac shop0
    authentication {          # see the wiki
        auth_type PASS        # not AH
        auth_pass secret      # 8 bytes
    } # as on the peer
    virtual_ipaddress {       # two
        192.0.2.80/24         # www
        # unused
        192.0.2.81/24
    }
    notify /etc/a             # to the pager
}

# old: virtual_server 192.0.2.9 80

virtual_server 192.0.2.80 80 {
    protocol TCP
    real_server 10.0.0.1 80 {
        HTTP_GET {
            url {
                path /up      # no login
            }
            connect_timeout 3 # it is slow
            nb_get_retry 2    # twice
        }
    }
}
`
	const want = `# The pair of the shop.

# router_id shop-1 # unique
notify_email "operators" {
  smtp = "192.0.2.25:25"   # the relay
  from = "lb@shop.example" # nobody reads it
  # ops@shop.example # the team
  to  = ["ops@shop.example"]
  tls = "none"
}

vrrp "shop" { # the only one
  # state BACKUP # on both
  # the public side
  interface         = "eth0"
  virtual_router_id = 7
  version           = 2
  # see the wiki
  # auth_type PASS # not AH
  auth_pass = "secret" # 8 bytes
  # as on the peer
  addresses = [      # two
    "192.0.2.80/24", # www
    # unused
    "192.0.2.81/24",
  ]

  notify {
    all  = ["/etc/a"] # to the pager
    user = "root"
  }

  # not below 5.4
  vmac { interface = "shop0" }
}

director { on_stop = "remove" }

# old: virtual_server 192.0.2.9 80

virtual_service "192.0.2.80:80" {
  address    = "192.0.2.80:80"
  forwarding = "nat"
  init       = "up"

  real_server "10.0.0.1" {
    health_check "http" {
      path           = "/up" # no login
      interval       = "1m"
      timeout        = "3s" # it is slow
      rise           = 1
      fall           = 3 # twice
      retry_interval = "3s"
    }
  }
}
`
	source, err := keepalived.Read("f", keepalived.Options{Node: "lb1", Files: text(in)})
	if err != nil {
		t.Fatal(err)
	}
	r := Convert([]Source{{Config: source}}, Options{})
	valid(t, r.HCL)
	if string(r.HCL) != want {
		t.Errorf("it became\n%s", r.HCL)
	}
}

// TestCommentsAtTheirResult: what is commented out at the end of a block, and what is said about lines that become nothing.
func TestCommentsAtTheirResult(t *testing.T) {
	const in = `# The pair.

virtual_server 192.0.2.80 80 {
    protocol TCP
    delay_loop 3
    alpha
    real_server 10.0.0.1 80 {
        TCP_CHECK {
            connect_timeout 3
            # between tries
            delay_before_retry 3
        }
    }
    real_server 10.0.0.2 80 {
        TCP_CHECK {
            retry 0
            delay_before_retry 3 # unused
        }
    }
}

vrrp_instance shop {
    interface eth0
    virtual_router_id 7
    garp_master_delay 2
    garp_master_refresh_repeat 2
    virtual_ipaddress {
        192.0.2.80/24
        #192.0.2.81/24
    }
    unicast_peer {
        192.0.2.2
        #192.0.2.3
    }
    track_interface {
        eth1
        #eth2
    }
    promote_secondaries
    # no longer: virtual_routes
    notify_master /etc/a # to the pager
    notify_backup /etc/b
}
`
	const want = `# The pair.

director { on_stop = "remove" }

virtual_service "192.0.2.80:80" {
  address    = "192.0.2.80:80"
  forwarding = "nat"

  real_server "10.0.0.1" {
    health_check "tcp" {
      interval = "3s"
      timeout  = "3s"
      rise     = 1
      fall     = 2
      # between tries
      retry_interval = "3s"
    }
  }

  real_server "10.0.0.2" {
    health_check "tcp" {
      interval = "3s" # unused
      timeout  = "5s"
      rise     = 1
      fall     = 1
    }
  }
}

vrrp "shop" {
  interface         = "eth0"
  virtual_router_id = 7
  version           = 2
  addresses = [
    "192.0.2.80/24",
    # 192.0.2.81/24
  ]
  unicast_peers = [
    "192.0.2.2",
    # 192.0.2.3
  ]
  unicast_min_ttl = 1

  track_interface "eth1" {}
  # eth2

  # keepalived's promote_secondaries: Set the kernel parameter promote_secondaries yourself.
  # no longer: virtual_routes
  notify {
    master = ["/etc/a"] # to the pager
    backup = ["/etc/b"]
    user   = "root"
  }

  # keepalived's garp_master_refresh_repeat: A refresh has as many announcements as announce.count.
  announce { repeat_after = "2s" }
}
`
	r := convertText(t, in)
	valid(t, r.HCL)
	if string(r.HCL) != want {
		t.Errorf("it became\n%s", r.HCL)
	}
}

// TestCommentsOfAPair: what only one of the files says has its node's name; the same lists with other comments stay one list.
func TestCommentsOfAPair(t *testing.T) {
	const rest = "interface eth0\nvirtual_router_id 7\nvirtual_ipaddress {\n192.0.2.80/24\n192.0.2.81/24 # www%s\n}\n}\n"
	files := map[string]string{
		"lb1": "# the shop\nvrrp_instance shop {\nstate MASTER # first\npriority 101\nunicast_peer {\n192.0.2.2 # lb2\n}\n" + fmt.Sprintf(rest, ""),
		"lb2": "# the shop\nvrrp_instance shop {\nstate BACKUP # second\npriority 100\nunicast_peer {\n192.0.2.1 # lb1\n}\n" + fmt.Sprintf(rest, ", too"),
	}
	const want = `# the shop
vrrp "shop" {
  # lb1: state MASTER # first
  # lb2: state BACKUP # second
  priority = { lb1 = 101, lb2 = 100 }[node.name]
  # lb1: lb2
  # lb2: lb1
  unicast_peers     = { lb1 = ["192.0.2.2"], lb2 = ["192.0.2.1"] }[node.name]
  unicast_min_ttl   = 1
  interface         = "eth0"
  virtual_router_id = 7
  version           = 2
  addresses = [
    "192.0.2.80/24",
    # lb1: www
    # lb2: www, too
    "192.0.2.81/24",
  ]
}
`
	pairBecomes(t, files["lb1"], files["lb2"], want)
}

// pairBecomes converts the configurations of lb1 and lb2 together.
func pairBecomes(t *testing.T, lb1, lb2, want string) {
	t.Helper()
	var sources []Source
	for _, s := range []struct{ node, text string }{{"lb1", lb1}, {"lb2", lb2}} {
		c, err := keepalived.Read("f", keepalived.Options{Node: s.node, Files: text(s.text)})
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, Source{s.node, c})
	}
	r := Convert(sources, Options{})
	valid(t, r.HCL)
	if string(r.HCL) != want {
		t.Errorf("it became\n%s", r.HCL)
	}
}

// TestEndOfListOfAPair: what is commented out at the end of a list stays there, also in a list of both nodes.
func TestEndOfListOfAPair(t *testing.T) {
	const text = "vrrp_instance shop {\ninterface eth0\nvirtual_router_id 7\nvirtual_ipaddress {\n192.0.2.80/24\n%s}\n}\n"
	const head = "vrrp \"shop\" {\n  interface         = \"eth0\"\n  virtual_router_id = 7\n  version           = 2\n"
	pairBecomes(t, fmt.Sprintf(text, "#192.0.2.81/24\n"), fmt.Sprintf(text, "#192.0.2.81/24\n"), head+`  addresses = [
    "192.0.2.80/24",
    # 192.0.2.81/24
  ]
}
`)
	pairBecomes(t, fmt.Sprintf(text, "#192.0.2.81/24\n"), fmt.Sprintf(text, "#192.0.2.82/24\n"), head+`  addresses = [
    "192.0.2.80/24",
    # lb1: 192.0.2.81/24
    # lb2: 192.0.2.82/24
  ]
}
`)
	pairBecomes(t, fmt.Sprintf(text, "#192.0.2.81/24\n"), fmt.Sprintf(text, ""), head+`  addresses = [
    "192.0.2.80/24",
    # 192.0.2.81/24
  ]
}
`)
}

// TestCommentsOfOneCheck: those that only one real server has at its check stand at the check of all; what stands above the check may be
// about the server. What keepalived does not read of a line stands above its block.
func TestCommentsOfOneCheck(t *testing.T) {
	const in = `virtual_server 192.0.2.80 80 dev eth0 {
    real_server 192.0.2.1 80 {
        weight 1                  # all alike
        TCP_CHECK {               # connects
            connect_timeout 3     # for slow ones
            nb_get_retry 3        # enough
        }
    }
    real_server 192.0.2.2 80 {
        TCP_CHECK {
            connect_timeout 3
        }
    }
}
`
	const want = `# virtual_server: keepalived reads only two words and ignores "dev eth0".
virtual_service "192.0.2.80:80" {
  address    = "192.0.2.80:80"
  protocol   = "udp" # keepalived's default
  forwarding = "nat"
  init       = "up"

  health_check "tcp" { # connects
    interval       = "1m"
    timeout        = "3s" # for slow ones
    rise           = 1
    fall           = 2
    retry_interval = "1s"
    # nb_get_retry 3 # enough
  }

  # weight 1 # all alike
  real_server "192.0.2.1" {}
  real_server "192.0.2.2" {}
}
`
	if _, got, _ := strings.Cut(string(convertText(t, in).HCL), "\n\n"); got != want {
		t.Errorf("it became\n%s", got)
	}
}
