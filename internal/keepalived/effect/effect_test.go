package effect

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/keepalived"
	"github.com/lvs-ha/lvs-ha/internal/keepalived/convert"
	"github.com/lvs-ha/lvs-ha/internal/keepalived/keepalivedtest"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

type text string

func (s text) Read(string) ([]byte, error) { return []byte(s), nil }
func (text) Glob(string) ([]string, error) { return nil, nil }

// TestTrackOfLaterBlock: keepalived ignores the track of a script that is defined only later, and its weight.
func TestTrackOfLaterBlock(t *testing.T) {
	const script = "vrrp_script s {\nscript /bin/true\nweight 20\n}\n"
	const instance = "vrrp_instance V {\ninterface eth0\nvirtual_router_id 7\nvirtual_ipaddress {\n10.0.0.1\n}\ntrack_script {\ns\n}\n}\n"
	for in, priority := range map[string]string{script + instance: "priority 120", instance + script: "priority 100"} {
		c, result := converted(t, in)
		cfg, diags := config.LoadText("lvs-ha.hcl", result.HCL, config.Options{Node: "lb1"})
		if cfg == nil {
			t.Fatal(diags.Err())
		}
		for _, effect := range []*Effect{LVSHA(cfg, noInterfaces), Keepalived(c, noInterfaces)} {
			if got := strings.Join(effect.Adverts, "\n"); !strings.Contains(got, priority) {
				t.Errorf("%s\nmakes\n%s\nwant %s", in, got, priority)
			}
		}
	}
}

// TestServersThatAreTheSame: without NAT, real servers that differ only in their port are one.
func TestServersThatAreTheSame(t *testing.T) {
	c, result := converted(t, "virtual_server 10.0.0.9 80 {\nlb_kind DR\nprotocol TCP\nreal_server 10.0.1.1 8000 {\nweight 2\n}\nreal_server 10.0.1.1 80 {\n}\n}\n")
	cfg, diags := config.LoadText("lvs-ha.hcl", result.HCL, config.Options{Node: "lb1"})
	if cfg == nil {
		t.Fatal(diags.Err())
	}
	for _, d := range Compare(Keepalived(c, noInterfaces).Rules, LVSHA(cfg, noInterfaces).Rules) {
		if d.Mark != ' ' {
			t.Errorf("%c %s", d.Mark, d.Text)
		}
	}
}

// TestKeepalivedMakes: what keepalived makes of configurations that the model and the import could misread in the same way.
func TestKeepalivedMakes(t *testing.T) {
	const strict = "global_defs {\nvrrp_strict\n}\n"
	instance := func(lines string) string {
		return "vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\n" + lines + "\n}\n"
	}
	address := func(line string) string { return instance("virtual_ipaddress {\n" + line + "\n}") }
	const v4 = "virtual_ipaddress {\n10.0.0.1/24\n}\n"
	for _, c := range []struct {
		in   string
		want []string // parts of what it makes; none: nothing
	}{
		{instance("unicast_src_ip 10.0.0.3/24\nunicast_peer {\n10.0.0.4/24\n}\n" + v4), []string{"from 10.0.0.3", "to 10.0.0.4: "}},
		{"virtual_server 10.0.0.9/32 80 {\nprotocol TCP\nreal_server 10.0.1.2/24 80 {\n}\n}\n", []string{"-A -t 10.0.0.9:80", "-r 10.0.1.2:80"}},
		{"virtual_server 10.0.0.9-11 80 {\nprotocol TCP\nreal_server 10.0.1.2-7 80 {\n}\n}\n", []string{"-A -t 10.0.0.9:80", "-r 10.0.1.2:80"}},
		{strict + instance("authentication {\nauth_type PASS\nauth_pass 1\n}\n"+v4), []string{"version 2, priority 100, every 1s, TTL 255, for"}},
		{strict + instance("unicast_peer {\n10.0.0.4\n}\n"+v4), nil},
		{strict + instance(""), nil},
		{instance("unicast_fault_no_peer\nunicast_peer {\nPEER\n}\n" + v4), nil},
		{strict + instance("version 2\nvirtual_ipaddress {\nfd00::1/64\n}"), []string{"IPv6 router 1: version 3"}},
		{instance("use_vmac\nvirtual_ipaddress {\n10.0.0.1/24 dev eth0\n}"), []string{"10.0.0.1/24 dev vrrp.1"}},
		{address("fe80::1\n2001:db8:1::1/64") + "vrrp_instance B {\ninterface eth1\nvirtual_router_id 1\nvirtual_ipaddress {\nfe80::1\n}\nvirtual_ipaddress_excluded {\nfe80::1 dev eth2\n}\n}\n",
			[]string{"fe80::1/128 dev eth0", "fe80::1/128 dev eth1", "fe80::1/128 dev eth2"}},
	} {
		k, result := converted(t, c.in)
		cfg, diags := config.LoadText("lvs-ha.hcl", result.HCL, config.Options{Node: "lb1"})
		if cfg == nil {
			t.Fatal(diags.Err())
		}
		theirs, ours := Keepalived(k, noInterfaces), LVSHA(cfg, noInterfaces)
		all := ""
		for _, s := range Sections {
			for _, d := range Compare(s.Of(theirs), s.Of(ours)) {
				if all += d.Text + "\n"; d.Mark != ' ' {
					t.Errorf("%s\n%c %s", c.in, d.Mark, d.Text)
				}
			}
		}
		for _, w := range c.want {
			if !strings.Contains(all, w) {
				t.Errorf("%s\nmakes\n%s\nwant %s", c.in, all, w)
			}
		}
		if len(c.want) == 0 && all != "" {
			t.Errorf("%s\nmakes\n%s", c.in, all)
		}
	}
}

// TestResultMeansTheSame removes from random configurations all lines that are said to differ or to be missing: what is left has the
// same effect with both programs.
func TestResultMeansTheSame(t *testing.T) {
	seed, times := lab.Seed(t, 100)
	r := rand.New(rand.NewPCG(seed, 6))
	objects := 0
	for i := range times {
		in := keepalivedtest.Config(r)
		for {
			c, result := converted(t, in)
			lossy := map[int]bool{}
			for _, f := range result.Findings {
				if f.Fate.Lossy() {
					lossy[f.Line] = true
				}
			}
			if len(lossy) > 0 {
				rest := without(in, lossy)
				if rest == in {
					t.Fatalf("seed %d, configuration %d: lossy without a line: %+v\n%s", seed, i, lossy, in)
				}
				in = rest
				continue
			}
			cfg, diags := config.LoadText("lvs-ha.hcl", result.HCL, config.Options{Node: "lb1"})
			if cfg == nil {
				t.Fatal(diags.Err())
			}
			ours, theirs := LVSHA(cfg, noInterfaces), Keepalived(c, noInterfaces)
			for _, s := range Sections {
				for _, d := range Compare(s.Of(theirs), s.Of(ours)) {
					if objects++; d.Mark != ' ' {
						t.Errorf("%c %s", d.Mark, d.Text)
					}
				}
			}
			if t.Failed() {
				t.Fatalf("seed %d, configuration %d\n%s\n%s", seed, i, in, result.HCL)
			}
			break
		}
	}
	t.Logf("%d objects of %d configurations", objects, times)
}

func converted(t *testing.T, in string) (*keepalived.Config, *convert.Result) {
	t.Helper()
	c, err := keepalived.Read("f", keepalived.Options{Node: "lb1", Files: text(in)})
	if err != nil {
		t.Fatal(err)
	}
	return c, convert.Convert([]convert.Source{{Config: c}}, convert.Options{WithoutFiles: true})
}

// without removes lines, with the blocks that begin there. A block begins at the end of its line or in the next one.
func without(in string, lines map[int]bool) string {
	var out []string
	all := strings.Split(in, "\n")
	for i := 0; i < len(all); i++ {
		if !lines[i+1] {
			out = append(out, all[i])
			continue
		}
		depth := 0
		for {
			code, _, _ := strings.Cut(strings.ReplaceAll(all[i], "#", "!"), "!")
			code = strings.TrimSpace(code)
			switch {
			case strings.HasSuffix(code, "{"):
				depth++
			case code == "}":
				depth--
			}
			opens := depth == 0 && i+1 < len(all) && strings.TrimSpace(all[i+1])+" " != " " && strings.HasPrefix(strings.TrimSpace(all[i+1]), "{")
			if depth == 0 && !opens || i+1 == len(all) {
				break
			}
			i++
		}
	}
	return strings.Join(out, "\n")
}

func noInterfaces(string) []netip.Addr { return nil }

// TestInstancesThatDoNotRun: keepalived makes nothing of them.
func TestInstancesThatDoNotRun(t *testing.T) {
	const lines = "{\ninterface eth0\nvirtual_router_id 7\nversion 3\n"
	for in, adverts := range map[string]int{
		"vrrp_instance V " + lines + "}\n":                                     0,
		"vrrp_instance V " + lines + "virtual_ipaddress {\n10.0.0.1\n}\n}\n":   1,
		"vrrp_instance V x " + lines + "virtual_ipaddress {\n10.0.0.1\n}\n}\n": 0,
		"vrrp_instance V " + lines + "no_virtual_ipaddress\n}\n":               1,
	} {
		c, _ := converted(t, in)
		if got := Keepalived(c, noInterfaces).Adverts; len(got) != adverts {
			t.Errorf("%s\nmakes %q", in, got)
		}
	}
}

// TestNumbersWithMore: keepalived uses a number whatever follows it.
func TestNumbersWithMore(t *testing.T) {
	c, result := converted(t, "vrrp_script s {\nscript /bin/true\nweight 20;\n}\nvrrp_instance V {\ninterface eth0\nvirtual_router_id 7\nvirtual_ipaddress {\n10.0.0.1/33\n}\ntrack_script {\ns\n}\n}\n"+
		"virtual_server 10.0.0.9 80 {\nprotocol TCP\nreal_server 10.0.1.1 80 {\nweight 4%\n}\n}\n")
	cfg, diags := config.LoadText("lvs-ha.hcl", result.HCL, config.Options{Node: "lb1"})
	if cfg == nil {
		t.Fatal(diags.Err())
	}
	for _, effect := range []*Effect{LVSHA(cfg, noInterfaces), Keepalived(c, noInterfaces)} {
		for _, want := range []struct {
			of   []string
			text string
		}{{effect.Adverts, "priority 120"}, {effect.Addresses, "10.0.0.1/32"}, {effect.Rules, "-w 4"}} {
			if got := strings.Join(want.of, "\n"); !strings.Contains(got, want.text) {
				t.Errorf("%s\nwant %s", got, want.text)
			}
		}
	}
}
