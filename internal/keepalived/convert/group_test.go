package convert

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/keepalived"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

const (
	repeatedBody  = "protocol TCP\nlb_algo wrr\nreal_server 10.0.1.1 PORT {\nweight 2 # fast\nTCP_CHECK {\n}\n}\nreal_server 10.0.1.2 PORT {\nTCP_CHECK {\n}\n}\n}\n"
	commentedPeer = "protocol TCP\nreal_server 10.0.1.1 PORT {\nweight 1 # first\nTCP_CHECK {\nretry 2 # twice\n}\n}\nreal_server 10.0.1.2 PORT {\nweight 1 # second\nTCP_CHECK {\nretry 2 # twice\n}\n}\n}\n"
)

func at(port int, body string) string { return strings.ReplaceAll(body, "PORT", fmt.Sprint(port)) }

// TestRepeatedServices: three or more services in a row that differ only in their address become one block.
func TestRepeatedServices(t *testing.T) {
	in := "# the ports of the game\nvirtual_server 192.0.2.9 81 {\n" + at(81, repeatedBody) + "virtual_server 192.0.2.9 82 { # the new one\n" + at(82, repeatedBody) +
		"# since May\nvirtual_server 192.0.2.9 83 {\n" + at(83, repeatedBody)
	const want = `director { on_stop = "remove" }

# the ports of the game
dynamic "virtual_service" {
  for_each = [
    "192.0.2.9:81",
    "192.0.2.9:82", # the new one
    # since May
    "192.0.2.9:83",
  ]
  labels = [virtual_service.value]

  content {
    address    = virtual_service.value
    forwarding = "nat"
    scheduler  = "wrr"
    init       = "up"

    health_check "tcp" {
      interval       = "1m"
      timeout        = "5s"
      rise           = 1
      fall           = 2
      retry_interval = "1s"
    }

    real_server "10.0.1.1" {
      weight = 2 # fast
    }

    real_server "10.0.1.2" {}
  }
}
`
	if r := convertText(t, in); string(r.HCL) != want {
		t.Errorf("it became\n%s", r.HCL)
	}
}

// TestCommentsOfRepeatedChecks: checks that differ only in their comments are one; what is said of a server stays there.
func TestCommentsOfRepeatedChecks(t *testing.T) {
	r := convertText(t, "virtual_server 192.0.2.9 81 {\n"+at(81, commentedPeer))
	valid(t, r.HCL)
	const want = "fall           = 3 # twice\n    retry_interval = \"1s\"\n  }\n\n  # weight 1 # first\n  real_server \"10.0.1.1\" {}\n  # weight 1 # second\n  real_server \"10.0.1.2\" {}\n"
	if out := string(r.HCL); !strings.Contains(out, want) || strings.Count(out, "health_check") != 1 {
		t.Errorf("it became\n%s", out)
	}
}

// TestGroupsMeanTheSame: services in groups are those that they were.
func TestGroupsMeanTheSame(t *testing.T) {
	seed, times := lab.Seed(t, 60)
	r := rand.New(rand.NewPCG(seed, 7))
	groups := 0
	for range times {
		var in strings.Builder
		bodies := []string{repeatedBody, commentedPeer, "real_server 10.0.1.1 PORT {\n}\n}\n"}
		for i := range 12 {
			head := fmt.Sprintf([]string{"192.0.2.9 %d", "192.0.2.%[1]d %[1]d", "fwmark %d"}[r.IntN(3)], 1+i)
			comment := []string{"", " # behind", "\n# inside", "\n# inside too\n"}[r.IntN(4)]
			fmt.Fprintf(&in, "%svirtual_server %s {%s\n%s", []string{"", "# above\n"}[r.IntN(2)], head, comment, at(1+i, bodies[r.IntN(r.IntN(3)+1)]))
		}
		c, err := keepalived.Read("f", keepalived.Options{Files: text(in.String())})
		if err != nil {
			t.Fatal(err)
		}
		root, _ := convert(c, Options{})
		short, _ := group(root)
		var loaded [2]string
		for i, b := range []*block{root, short} {
			hcl := b.print()
			valid(t, hcl)
			cfg, diags := config.LoadText("lvs-ha.hcl", hcl, config.Options{Node: "lb1"})
			if diags.HasErrors() {
				t.Fatal(diags.Err())
			}
			j, err := json.Marshal(cfg.Services)
			if err != nil {
				t.Fatal(err)
			}
			loaded[i] = string(j)
			groups += i * strings.Count(string(hcl), "dynamic")
		}
		if loaded[0] != loaded[1] {
			t.Fatalf("%s\nbecame\n%s\n%s\n%s", in.String(), short.print(), loaded[0], loaded[1])
		}
	}
	if groups == 0 {
		t.Error("no groups")
	}
}
