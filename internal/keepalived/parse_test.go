package keepalived

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
)

// mapped are files in memory.
type mapped map[string]string

func (m mapped) Read(name string) ([]byte, error) {
	s, ok := m[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return []byte(s), nil
}

func (m mapped) Glob(pattern string) (found []string, err error) {
	for name := range m {
		if ok, err := path.Match(pattern, name); err != nil {
			return nil, err
		} else if ok {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found, nil
}

func read(t *testing.T, m mapped) *Config {
	t.Helper()
	c, err := Read("keepalived.conf", Options{Node: "lb1", Files: m})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// show prints a configuration on one line: blocks in braces, values in brackets.
func show(nodes []*Node) string {
	var parts []string
	for _, n := range nodes {
		s := strings.Join(append([]string{n.Keyword}, n.Args...), " ")
		if len(n.Children) > 0 {
			s += " {" + show(n.Children) + "}"
		}
		if len(n.Values) > 0 {
			var values []string
			for _, v := range n.Values {
				values = append(values, strings.Join(v.Words, " "))
			}
			s += " [" + strings.Join(values, "; ") + "]"
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, "; ")
}

func problems(c *Config) string {
	var parts []string
	for _, p := range c.Problems {
		parts = append(parts, fmt.Sprintf("%d %s %s", p.Line, p.Code, p.Subject))
	}
	return strings.Join(parts, "; ")
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name, text, want, problems string
	}{
		{"an ordinary file", `
! Configuration File
global_defs {
   notification_email {
     a@example.com   # Alice
     b@example.com
   }
   router_id LVS_1
}
vrrp_instance VI_1
{
    state MASTER
    virtual_ipaddress { 10.0.0.1/24 dev eth0 }
    authentication { auth_type PASS
        auth_pass "with blank" }
}
`, "global_defs {notification_email [a@example.com; b@example.com]; router_id LVS_1}; " +
			"vrrp_instance VI_1 {state MASTER; virtual_ipaddress [10.0.0.1/24 dev eth0]; authentication {auth_type PASS; auth_pass with blank}}", ""},
		{"an unknown block ends the one it is in", `
vrrp_instance V {
  nonsense {
    priority 7
  }
  state MASTER
}
static_routes { 10.1.0.0/16 via 10.0.0.9 }
`, "vrrp_instance V {priority 7}; static_routes [10.1.0.0/16 via 10.0.0.9]", "3 unknown-keyword nonsense; 3 unexpected-brace {; 6 unknown-keyword state; 7 extra-brace }"},
		{"a block without its brace", "vrrp_instance V\n priority 7\n}\n", "vrrp_instance V {priority 7}", "2 missing-brace priority"},
		{"an end that is missing", "vrrp_instance V {\n priority 7\n", "vrrp_instance V {priority 7}", "2 missing-end }"},
		{"CRLF, tabs and a non-breaking space", "vrrp_instance\tV {\r\n\tpriority 7\r\n\u00a0 state MASTER\r\n}\r\n", "vrrp_instance V {priority 7}", "3 unknown-keyword \u00a0"},
		{"a byte order mark belongs to the first word", "\ufeffglobal_defs {\n router_id x\n}\n", "", "1 unknown-keyword \ufeffglobal_defs; 1 unexpected-brace {; 2 unknown-keyword router_id; 3 extra-brace }"},
		{"an unmatched quote", "vrrp_instance V {\n interface \"eth0\n priority 7\n}\n", "vrrp_instance V {interface; priority 7}", "2 unmatched-quote interface \"eth0; 2 unmatched-quote interface \"eth0"},
		{"escaped comment marks", `vrrp_script a { script "/bin/x # no" # yes
 user \#me! }
}`, "vrrp_script a {script /bin/x # no; user #me}", ""},
		{"variables", `
$IF=eth0
$NET= 10.0.0
$LIST=\
  $NET.1 dev $IF \

$TWO=one \
     two three
vrrp_instance $IF { interface ${IF}.5
 virtual_ipaddress {
  ${NET}.2/24 dev $IF
  $UNKNOWN/24
  $IFX
 }
 mcast_src_ip a$TWO
}
`, "vrrp_instance eth0 {interface eth0.5; virtual_ipaddress [10.0.0.2/24 dev eth0; $UNKNOWN/24; $IFX]; mcast_src_ip aone}", "15 unknown-keyword two"},
		{"keepalived's own variables need no definition in the file", "vrrp_instance ${_INSTANCE} {\n mcast_src_ip ${_HASH}${_BANG} $x\n}\n", "vrrp_instance lb1 {mcast_src_ip}", ""},
		{"conditions", "vrrp_instance V {\n @lb1 priority 1\n @lb2 priority 2\n @^lb2 state MASTER\n @^lb1 state BACKUP\n @lb1\n}\n",
			"vrrp_instance V {priority 1; state MASTER}", "3 other-node @lb2 priority 2; 5 other-node @^lb1 state BACKUP; 6 other-node @lb1"},
		{"repetitions", `vrrp_instance V { virtual_ipaddress {
~SEQ(i, 9, 11) 10.0.0.$i dev eth0
~SEQx(h, 8, 8, 24) fd00::$h
~SEQ(j, 2) ~SEQ(k, 3, 1) 10.${j}.0.$k
~SEQ(n, 0) 10.9.0.$n
~LST({a, b}, {1, x}, {2}) 10.1.0.$a $b
~LST(c, 5, 6) 10.2.0.$c
~SEQ(z, 1, 0, 2) 1.1.1.1
} }`, "vrrp_instance V {virtual_ipaddress [10.0.0.9 dev eth0; 10.0.0.10 dev eth0; 10.0.0.11 dev eth0; fd00::8; fd00::10; fd00::18; " +
			"10.1.0.3; 10.1.0.2; 10.1.0.1; 10.2.0.3; 10.2.0.2; 10.2.0.1; 10.9.0.1; 10.9.0.0; 10.1.0.1 x; 10.1.0.2; 10.2.0.5; 10.2.0.6]}",
			"8 invalid-sequence ~SEQ(z, 1, 0, 2) 1.1.1.1"},
		{"a virtual server", `virtual_server 10.0.0.1 80 {
 lvs_sched rr
 real_server 10.0.0.2 80 { weight 1
   HTTP_GET { url { path / status_code 200 } connect_timeout 3 } }
}
virtual_server_group G { 10.0.0.1-3 80
 fwmark 7 }
`, "virtual_server 10.0.0.1 80 {lvs_sched rr; real_server 10.0.0.2 80 {weight 1; HTTP_GET {url {path / status_code 200}; connect_timeout 3}}}; " +
			"virtual_server_group G [10.0.0.1-3 80; fwmark 7]", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := read(t, mapped{"keepalived.conf": c.text})
			if s := show(got.Nodes); s != c.want {
				t.Errorf("read\n%s\nwant\n%s", s, c.want)
			}
			if s := problems(got); s != c.problems {
				t.Errorf("problems\n%s\nwant\n%s", s, c.problems)
			}
		})
	}
}

func TestIncludes(t *testing.T) {
	c := read(t, mapped{
		"keepalived.conf": "include conf.d/*.conf\nvrrp_instance V {\n includer common\n include absent/*\n}\n",
		"conf.d/b.conf":   "include ../common2\n",
		"conf.d/a.conf":   "vrrp_script a { interval 2 }\n",
		"common":          "state MASTER\npriority 7 # high",
		"common2":         "vrrp_script b { interval 3 }",
	})
	if got, want := show(c.Nodes), "vrrp_script a {interval 2}; vrrp_script b {interval 3}; vrrp_instance V {state MASTER; priority 7}"; got != want {
		t.Errorf("read\n%s\nwant\n%s", got, want)
	}
	if got, want := problems(c), "4 include-failed absent/*: file does not exist"; got != want {
		t.Errorf("problems %s", got)
	}
	priority := c.Nodes[2].Last("priority")
	if priority.Position != (Position{"common", 2}) || priority.Trailing != "high" {
		t.Errorf("priority %+v", priority)
	}
	if got := strings.Join(c.Files, " "); got != "keepalived.conf conf.d/b.conf conf.d/a.conf common2 common" {
		t.Errorf("read %s", got)
	}
}

func TestIncludesThatNeverEnd(t *testing.T) {
	c := read(t, mapped{"keepalived.conf": "include keepalived.conf\n"})
	if len(c.Problems) == 0 || c.Problems[0].Code != IncludeFailed {
		t.Errorf("problems %s", problems(c))
	}
	c, err := Read("keepalived.conf", Options{
		Files: mapped{"keepalived.conf": "static_routes {\n~SEQ(i, 0, 0x7fffffffffffffff) $i\n}\n"}, lines: 1000,
	})
	if err != nil || len(c.Problems) == 0 || c.Problems[0].Code != TooMuch || len(c.Nodes[0].Values) < 990 {
		t.Errorf("problems %s", problems(c))
	}
}

func TestComments(t *testing.T) {
	c := read(t, mapped{"keepalived.conf": "# head\n\n! first\nvrrp_instance V { # the pair\n  # why\n  priority 7   ! high\n  virtual_ipaddress {\n   # one\n   10.0.0.1 # web\n  }\n}\n# end\n"})
	v := c.Nodes[0]
	priority, address := v.Children[0], v.Children[1].Values[0]
	got := fmt.Sprintf("%q %q|%q %q|%q %q|%q", v.Above, v.Trailing, priority.Above, priority.Trailing, address.Above, address.Trailing, c.End)
	if want := `["head" "" "first"] "the pair"|["why"] "high"|["one"] "web"|["end"]`; got != want {
		t.Errorf("comments %s", got)
	}
}

func TestParseScript(t *testing.T) {
	for line, want := range map[string]string{
		`notify "/bin/x a  b" root wheel`:      `["/bin/x" "a" "b"] ["root" "wheel"]`,
		`script killall -0 haproxy`:            `["killall"] ["-0" "haproxy"]`,
		`script "/bin/x 'a b' \"c d\""`:        `["/bin/x" "a b" "\"c" "d\""] []`,
		`script '/bin/x "a b"'`:                `["/bin/x" "a b"] []`,
		`script "/bin/x \x41\102\cA \\n a\ b"`: `["/bin/x" "AB\x01" "\\n" "a b"] []`,
		`script "echo | cat > /tmp/x"`:         `["echo" "|" "cat" ">" "/tmp/x"] []`,
		`script`:                               `[] []`,
		`script ""`:                            `[] []`,
	} {
		if s, ok := ParseScript(line); !ok || fmt.Sprintf("%q %q", s.Command, s.Rest) != want {
			t.Errorf("%s: %q %q, %v", line, s.Command, s.Rest, ok)
		}
	}
	for _, line := range []string{`script "a`, `script a\`, `script "'a"`} {
		if s, ok := ParseScript(line); ok {
			t.Errorf("%s: %q", line, s)
		}
	}
}
