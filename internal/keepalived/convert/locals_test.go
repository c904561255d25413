package convert

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/keepalived"
	"github.com/lvs-ha/lvs-ha/internal/keepalived/keepalivedtest"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// TestDefinitionsBecomeLocals converts the files of a pair that differ only in their definitions.
func TestDefinitionsBecomeLocals(t *testing.T) {
	const in = `# the shop

# edit these
$ME=192.0.2.%d      # this director
$PRIORITY=%d
$VIP=192.0.2.80
$SERVICE=443
$NIC=eth1
$UNUSED=7           # for later
vrrp_script up {
    script "/usr/bin/up --on $ME --port ${SERVICE}"
}
vrrp_instance shop {
    interface eth0
    virtual_router_id 7
    priority ${PRIORITY}
    unicast_src_ip $ME
    virtual_ipaddress {
        ${VIP}/24
        192.0.2.81 dev $NIC
    }
}
virtual_server $VIP $SERVICE {
    protocol TCP
    real_server 10.0.0.1 8443 {
        TCP_CHECK {
            connect_port $SERVICE
        }
    }
}
`
	const want = `# the shop
locals {
  # edit these
  me       = { lb1 = "192.0.2.1", lb2 = "192.0.2.2" }[node.name] # this director
  priority = { lb1 = 101, lb2 = 100 }[node.name]
  vip      = "192.0.2.80"
  service  = 443
  nic      = "eth1"
  # $UNUSED=7 # for later
}

track_script "up" {
  command = ["/usr/bin/up", "--on", local.me, "--port", "443"]
  user    = "root"
}

vrrp "shop" {
  interface         = "eth0"
  virtual_router_id = 7
  version           = 2
  priority          = local.priority
  source_address    = local.me
  addresses         = ["${local.vip}/24"]

  address "192.0.2.81/32" { interface = local.nic }
  track_interface "eth1" {}
}

director { on_stop = "remove" }

virtual_service "192.0.2.80:443" {
  address    = "${local.vip}:${local.service}"
  forwarding = "nat"
  init       = "up"

  real_server "10.0.0.1:8443" {
    health_check "tcp" {
      port           = local.service
      interval       = "1m"
      timeout        = "5s"
      rise           = 1
      fall           = 2
      retry_interval = "1s"
    }
  }
}
`
	pairBecomes(t, fmt.Sprintf(in, 1, 101), fmt.Sprintf(in, 2, 100), want)
}

// TestLocalsMeanTheSame puts definitions in place of words of random configurations: what they become is the same.
func TestLocalsMeanTheSame(t *testing.T) {
	seed, times := lab.Seed(t, 60)
	r := rand.New(rand.NewPCG(seed, 8))
	lastWord := regexp.MustCompile(`(?m)^( +[a-z_]+ )([A-Za-z0-9_.:/@+-]+)$`)
	used := 0
	for range times {
		plain := keepalivedtest.Config(r)
		names, definitions := map[string]string{}, ""
		defined := lastWord.ReplaceAllStringFunc(plain, func(line string) string {
			m := lastWord.FindStringSubmatch(line)
			if r.IntN(2) == 0 {
				return line
			}
			if names[m[2]] == "" {
				names[m[2]] = fmt.Sprintf("V%d", len(names))
				definitions += "$" + names[m[2]] + "=" + m[2] + "\n"
			}
			return m[1] + "${" + names[m[2]] + "}"
		})
		var loaded [2]string
		for i, in := range []string{plain, definitions + defined} {
			c, err := keepalived.Read("f", keepalived.Options{Node: "lb1", Files: text(in)})
			if err != nil {
				t.Fatal(err)
			}
			out := Convert([]Source{{Config: c}}, Options{WithoutFiles: true}).HCL
			valid(t, out)
			cfg, diags := config.LoadText("lvs-ha.hcl", out, config.Options{Node: "lb1"})
			if cfg == nil {
				t.Fatal(diags.Err())
			}
			j, err := json.Marshal(cfg)
			if err != nil {
				t.Fatal(err)
			}
			loaded[i] = string(j)
			used += strings.Count(string(out), "local.")
		}
		if loaded[0] != loaded[1] {
			t.Fatalf("%s\nbecame\n%s\n%s", definitions+defined, loaded[0], loaded[1])
		}
	}
	if t.Logf("%d uses", used); used == 0 {
		t.Error("no definition became a local value")
	}
}
