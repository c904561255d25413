package convert

import (
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
