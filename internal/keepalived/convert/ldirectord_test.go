package convert

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// TestLdirectord converts lines of ldirectord's configuration.
func TestLdirectord(t *testing.T) {
	virtual := func(lines ...string) string {
		return "virtual = 10.0.0.9:80\n\treal = 10.0.1.2:80 gate\n\t" + strings.Join(lines, "\n\t") + "\n"
	}
	for _, c := range []struct {
		text, word string
		fate       Fate
		has        string // in the result
	}{
		{virtual(), "virtual", Same, `scheduler  = "wrr"`},
		{virtual(), "real", Same, `health_check "http" {`},
		{virtual(), "virtual", Same, `timeout  = "30s"`},
		{virtual(), "virtual", Same, `director { on_stop = "remove" }`},
		{"cleanstop = no\n" + virtual(), "cleanstop", Same, "# a\n"},
		{"checktimeout = 3\ncheckinterval = 4\n" + virtual("checktype = connect"), "checktimeout", Same, `timeout  = "3s"`},
		{"fork = yes\n" + virtual("checkinterval = 7"), "checkinterval", Same, `interval = "7s"`},
		{virtual("real = 10.4.0.1->10.4.3.255:80 gate"), "real", Same, `real_server "10.4.3.255"`},
		{virtual("real = 10.4.0.1->10.8.0.0:80 gate"), "real", Differs, `real_server "10.4.4.0"`},
		{virtual("checkinterval = 7"), "checkinterval", Ignored, `interval = "10s"`},
		{virtual("failurecount = 4"), "failurecount", Same, "fall     = 4"},
		{virtual("checktype = ping", "checkcount = 2", "failurecount = 3"), "checkcount", Equivalent, "fall     = 6"},
		{virtual("checktype = 5", "checktimeout = 2"), "checktype", Equivalent, `interval = "1m"`},
		{virtual("checktype = on"), "checktype", Same, `real_server "10.0.1.2" {}`},
		{virtual("checktype = off"), "checktype", Equivalent, `real_server "10.0.1.2" { weight = 0 }`},
		{virtual("checktype = external", `checkcommand = "/c"`), "checkcommand", Same, `"/c", "10.0.0.9", "80"]`},
		{virtual("checktype = external-perl", "checkcommand = /c"), "checktype", Equivalent, "exec perl"},
		{virtual("protocol = udp", "checktype = connect", "ops = yes"), "ops", Same, "one_packet = true"},
		{virtual("request = \"a.html\"", "receive = \"x+\"", "virtualhost = w.example", "httpmethod = head"), "httpmethod", Same, `method   = "HEAD"`},
		{virtual("receive = \"x\"", "httpmethod = HEAD"), "receive", Differs, ""},
		{virtual(`receive = "x+"`), "receive", Same, `body     = "x+"`},
		{virtual(`receive = "(?=x)"`), "receive", Missing, ""},
		{virtual("service = https", "checkport = 8443"), "checkport", Same, "tls { skip_verify = true }"},
		{virtual("service = simpletcp", `request = "a\nb"`, `receive = "^c"`), "service", Same, `expect   = "(?m)^c"`},
		{virtual("service = imaps", `login = "u"`), "service", Differs, `expect   = "^\\* (OK|PREAUTH)"`},
		{virtual("service = mysql", `request = "SELECT 1"`), "service", Differs, `health_check "tcp" {`},
		{virtual("service = mysql", `request = "SELECT 1"`), "request", Differs, "# ldirectord's request: The check does not use it."},
		{virtual("service = mysql", `receive = "1"`), "receive", Ignored, ""},
		{virtual("service = ftp", `receive = "hello"`), "receive", Differs, "# ldirectord's receive: The check does not use it."},
		{virtual("service = smtp", `request = "x"`), "request", Ignored, ""},
		{virtual("checktype = ping", `request = "x"`), "request", Ignored, ""},
		{"virtual = 10.0.0.9:8088\n\treal = 10.0.1.2 gate\n", "virtual", Equivalent, `real_server "10.0.1.2" {}`},
		{"virtual = 10.0.0.9:8088\n\treal = 10.0.1.2 gate\n\tservice = none\n", "virtual", Same, `real_server "10.0.1.2" {}`},
		{virtual("service = smtp"), "service", Same, `health_check "smtp" {`},
		{"virtual = 10.0.0.9:domain\n\treal = 10.0.1.2:53 masq\n\trequest = \"10.0.0.1\"\n", "virtual", Same, `name     = "1.0.0.10.in-addr.arpa"`},
		{virtual("quiescent = yes"), "quiescent", Same, `on_failure = "weight"`},
		{"fallback = 127.0.0.1:80\n" + virtual(), "fallback", Same, `sorry_server "127.0.0.1" {}`},
		{virtual("fallback = 10.0.1.9:81 masq"), "fallback", Same, `sorry_server "10.0.1.9:81" { forwarding = "nat" }`},
		{virtual("fallback = 10.0.1.2:80 gate"), "fallback", Missing, `real_server "10.0.1.2" {}`},
		{virtual(`fallbackcommand = "/f"`), "fallbackcommand", Equivalent, `["/f", "start", "10.0.0.9:80", "tcp"]`},
		{virtual("service = https"), "service", Differs, "skip_verify = true"},
		{virtual(`fallbackcommand = "/bin/sh /f x"`), "fallbackcommand", Equivalent, `["/bin/sh", "/f", "x", "start", "10.0.0.9:80", "tcp"]`},
		{virtual(`fallbackcommand = "/f >/dev/null"`), "fallbackcommand", Equivalent, `["/bin/sh", "-c", "/f >/dev/null start 10.0.0.9:80 tcp"]`},
		{virtual("persistent = 60", "netmask = 255.255.255.0"), "persistent", Same, `netmask = "255.255.255.0"`},
		{virtual("netmask = 255.255.255.0"), "netmask", Ignored, ""},
		{virtual("scheduler = sh", "schedflags = sh-port,sh-fallback"), "schedflags", Same, `["sh-port", "sh-fallback"]`},
		{virtual("scheduler = none"), "scheduler", Differs, `scheduler  = "wrr"`},
		{virtual("servicename = The web"), "servicename", Same, `virtual_service "The_web" {`},
		{virtual("real = 10.0.1.3->10.0.1.5:81 masq 7 l:1 u:9"), "real", Same, `real_server "10.0.1.5:81" {`},
		{virtual(`real = 10.0.1.3:80 gate 2 "a", "b"`), "real", Same, `body     = "b"`},
		{virtual(`real = 10.0.1.3:80 gate "http://10.0.1.4:82/a", "b"`), "real", Same, `address  = "10.0.1.4"`},
		{virtual("receive = \"x\"", `real = 10.0.1.3:80 gate 2 "/a", "b" l:1 u:9`), "real", Ignored, `real_server "10.0.1.3" { weight = 2 }`},
		{virtual(`receive = "a[$]\$b$|c$"`), "receive", Same, `body     = "a[$]\\$b\\n?$|c\\n?$"`},
		{virtual("real = 10.0.1.3:8080 gate"), "real", Same, "port     = 8080"},
		{"virtual = 10.0.0.9:8088\n\treal = 10.0.1.2 gate\n\tservice = http\n", "real", Same, "port     = 80"},
		{"virtual = 10.0.0.9:8088\n\treal = 10.0.1.2 gate\n\tchecktype = connect\n", "real", Differs, `real_server "10.0.1.2" {}`},
		{virtual("real = 10.0.1.3:81 gate", "checktype = external", "checkcommand = /c"), "real", Same, `\"$LVS_HA_ADDRESS\" 81`},
		{virtual("checktype = off", "fallback = 127.0.0.1"), "fallback", Same, `sorry_server "127.0.0.1" {}`},
		{virtual("service = dns"), "service", Differs, `health_check "dns"`},
		{"fallback = 127.0.0.1\nvirtual = 7\n\treal = 10.0.1.2:80 gate\n\tservice = http\n", "virtual", Differs, `sorry_server "127.0.0.1" {}`},
		{"virtual6 = [fd00::9]:80\n\treal6 = [fd00::2]:80 gate\n\tchecktype = ping\n", "checktype", Differs, `health_check "ping"`},
		{virtual("real = host:80 gate"), "real", Missing, ""},
		{virtual("real = 10.0.1.3:80 nat"), "real", Differs, ""},
		{virtual("real = 10.0.1.2:81 gate"), "real", Ignored, ""},
		{virtual("real = 10.0.0.9:80 gate"), "real", Missing, ""},
		{virtual("no_such_word = 1"), "no_such_word", Differs, ""},
		{"virtual = 7\n\treal = 10.0.1.2:80 gate\n\tservice = http\n", "virtual", Same, "mark       = 7"},
		{"virtual6 = 7\n\treal6 = [fd00::2]:80 ipip\n", "real6", Same, `family     = "ipv6"`},
		{"virtual6 = [fd00::9]:80\n\treal6 = [fd00::2]:80 gate\n\tfallback6 = [fd00::3]\n", "fallback6", Same, `sorry_server "fd00::3" {}`},
		{"virtual = host:80\n\treal = 10.0.1.2:80 gate\n", "virtual", Missing, ""},
		{virtual() + "\n" + virtual(), "virtual", Differs, ""},
		{"emailalert = \"a@b.example, c\"\nsmtp = 10.0.0.7\nemailalertfrom = d\n" + virtual(), "emailalert", Same, `["a@b.example", "c@localhost"]`},
		{"emailalert = a\n" + virtual(), "emailalert", Equivalent, `smtp   = "localhost:25"`},
		{"maintenancedir = /d\n" + virtual(), "maintenancedir", Missing, ""},
		{"autoreload = no\n" + virtual(), "autoreload", Same, ""},
		{"checkinterval = 1 # c\n" + virtual(), "checkinterval", Same, "# c\n"},
		{"    timeout = 3\n" + virtual(), "timeout", Differs, ""},
		{virtual("service = ours"), "service", Differs, "Use a script check for more.\n  health_check \"tcp\" {"},
		{virtual("checktype = on", "service = ours"), "service", Differs, "Use a script check for more.\n}"},
		{virtual("service = ours", "checktype = connect"), "service", Differs, `health_check "tcp" {`},
		{virtual(`service = "imap"`), "service", Same, `expect   = "^\\* (OK|PREAUTH)"`},
		{virtual("checktype = tcp"), "checktype", Differs, `health_check "http" {`},
		{virtual("protocol = sctp"), "protocol", Differs, `address    = "10.0.0.9:80"`},
		{virtual("quiescent = maybe"), "quiescent", Differs, ""},
		{"fork = 1\n" + virtual(), "fork", Differs, ""},
		{"  virtual = 10.0.0.9:80\n      real = 10.0.1.2:80 gate\n", "virtual", Differs, `real_server "10.0.1.2" {}`},
		{"  virtual = 10.0.0.9:80\n  real = 10.0.1.2:80 gate\n", "real", Same, `real_server "10.0.1.2" {}`},
		{virtual() + "  virtual = 10.0.0.8:80\n    real = 10.0.1.3:80 gate\n", "virtual", Differs, `real_server "10.0.1.3" {}`},
	} {
		r, err := Ldirectord("f", []byte("# a\n"+c.text))
		if err != nil {
			t.Fatal(err)
		}
		valid(t, r.HCL)
		i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Word == c.word && f.Fate == c.fate })
		if i < 0 {
			t.Errorf("%s\n%s is not %s: %+v", c.text, c.word, c.fate, r.Findings)
		}
		if !strings.Contains(string(r.HCL), c.has) {
			t.Errorf("%s\nbecame\n%s\nwant %s", c.text, r.HCL, c.has)
		}
	}
	for _, other := range []string{"# nothing\n\n", "#!/bin/sh\nipvsadm -C\n"} {
		if _, err := Ldirectord("f", []byte(other)); err == nil {
			t.Errorf("%q was converted", other)
		}
	}
}

// TestCommentsOfLdirectord: comments stand at what their lines became.
func TestCommentsOfLdirectord(t *testing.T) {
	const in = `# The shop.

# Both names.
virtual = 10.0.0.9:80
	# old
	real = 10.0.1.2:80 gate
	checktype = negotiate # all of it
	request = "up.html"   # no login
	receive = "OK"
	checktimeout = 3      # slow
	comment = the web
	scheduler = rr
	fallback = 127.0.0.1  # sorry
	#real = 10.0.1.3:80 gate
# next
virtual = 10.0.0.8:80
	real = 10.0.1.2:80 gate
	checktype = on
`
	const want = `# The shop.

director { on_stop = "remove" }

# Both names.
# the web
virtual_service "10.0.0.9:80" {
  address    = "10.0.0.9:80"
  scheduler  = "rr"
  forwarding = "dr"

  health_check "http" {   # all of it
    path     = "/up.html" # no login
    body     = "OK"
    interval = "10s"
    timeout  = "3s" # slow
    rise     = 1
    fall     = 1
  }

  # old
  real_server "10.0.1.2" {}
  # real = 10.0.1.3:80 gate
  sorry_server "127.0.0.1" {} # sorry
}

# next
virtual_service "10.0.0.8:80" {
  address    = "10.0.0.8:80"
  scheduler  = "wrr"
  forwarding = "dr"

  real_server "10.0.1.2" {}
}
`
	r, err := Ldirectord("f", []byte(in))
	if err != nil {
		t.Fatal(err)
	}
	valid(t, r.HCL)
	if string(r.HCL) != want {
		t.Errorf("it became\n%s", r.HCL)
	}
}

// FuzzLdirectord: what comes out is HCL, whatever goes in.
func FuzzLdirectord(f *testing.F) {
	for _, s := range []string{
		"virtual=10.0.0.9:80\n\treal=10.0.1.2->10.0.1.4:80 gate 3 \"a\", \"b\" l:1\n\tfallback=127.0.0.1:80 gate\n\tservicename=a ${b}\n",
		"checkinterval=2\nemailalert=\"a\"\nvirtual6=7\n    real6=[::1]:8 masq\n    checktype=3\n    service=dns\n    request=\"::1\" # c\n",
		"virtual=1\n\treal=1.2.3.4 gate\n\tchecktype=external\n\tcheckcommand=\"/c\xff${\"\n\tfallbackcommand=%{\n",
		"virtual=10.0.0.9:1\n\treal=10.0.1.2:2 masq\n\tservice=https\n\trequest=\"https://a:1/%\"\n\treceive=\"(\"\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := Ldirectord("f", []byte(s))
		if err != nil {
			return
		}
		if _, diags := hclsyntax.ParseConfig(r.HCL, "out.hcl", hcl.InitialPos); diags.HasErrors() {
			t.Fatalf("%v\n%s", diags, r.HCL)
		}
		if canonical := hclwrite.Format(r.HCL); string(canonical) != string(r.HCL) {
			t.Fatalf("not in the canonical layout:\n%s\nwant\n%s", r.HCL, canonical)
		}
	})
}

// TestEveryWordOfLdirectord: the words of its manual have a fate.
func TestEveryWordOfLdirectord(t *testing.T) {
	for level, list := range map[string]string{
		ldGlobal: `virtual virtual6 checktimeout negotiatetimeout checkinterval checkcount failurecount autoreload callback fallback fallback6
			fallbackcommand logfile emailalert emailalertfrom emailalertfreq emailalertstatus smtp execute supervised fork quiescent
			readdquiescent cleanstop maintenancedir`,
		ldVirtual: `real real6 checktype service checkcommand checkport request receive httpmethod virtualhost login passwd database secret
			load scheduler persistent netmask protocol ops schedflags servicename comment monitorfile checktimeout negotiatetimeout
			checkinterval checkcount failurecount fallback fallback6 fallbackcommand quiescent cleanstop emailalert emailalertfreq
			emailalertstatus smtp`,
	} {
		for _, word := range strings.Fields(list) {
			if ldirectordWords[level][word].fate == "" {
				t.Errorf("%s: %s has no fate", level, word)
			}
		}
	}
}

// TestLdirectordIsValid: what random configurations become is valid.
func TestLdirectordIsValid(t *testing.T) {
	seed, _ := lab.Seed(t, 1)
	r := rand.New(rand.NewPCG(seed, 3))
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	for range 200 {
		var b strings.Builder
		for _, line := range []string{
			pick("checktimeout", "negotiatetimeout", "checkinterval", "checkcount", "failurecount") + pick("=1", " = 30", "=99999999"),
			"quiescent=" + pick("yes", "no"), "fork=" + pick("yes", "no"), "cleanstop=" + pick("yes", "no"), "smtp=" + pick("mail", "10.0.0.7"),
			"fallback=127.0.0.1" + pick("", ":80", ":81") + pick("", " gate", " masq"), "fallback6=[::1]" + pick("", ":80"),
			"emailalert=" + pick("a", `"a@b.example, c"`), "fallbackcommand=/f",
		} {
			b.WriteString(pick("", line+"\n"))
		}
		for i := range 1 + r.IntN(4) {
			six := ""
			address := func(n int) string { return fmt.Sprintf("10.0.%d.%d", i, n) }
			if r.IntN(3) == 0 {
				six = "6"
				address = func(n int) string { return fmt.Sprintf("[fd00::%d:%d]", i, n) }
			}
			port := pick("21", "25", "53", "80", "http", "443", "3306", "5060", "8080")
			fmt.Fprintf(&b, "virtual%s=%s\n", six, pick(address(250)+":"+port, address(250)+":"+port, fmt.Sprint(i+1)))
			for n := range r.IntN(4) {
				fmt.Fprintf(&b, "\treal%s=%s%s %s%s%s%s\n", six, address(n+1), pick("", ":"+port, ":81"), pick("gate", "masq", "ipip"),
					pick("", " 0", " 7", " 65535"), pick("", ` "a", "b"`, ` "http://10.0.0.1:82/", "x"`), pick("", " l:3 u:9"))
			}
			for _, line := range []string{
				"checktype=" + pick("connect", "negotiate", "ping", "on", "off", "external", "external-perl", "3"),
				"service=" + pick("dns", "ftp", "http", "https", "http_proxy", "imap", "imaps", "ldap", "mysql", "nntp", "none", "pops", "radius", "sip", "simpletcp", "smtp"),
				"protocol=" + pick("tcp", "udp"), "checkport=" + pick("1", "99"), `request="` + pick("a", "/a?b=c", "10.0.0.1", "fd00::1", "SELECT 1", `a\nb`, "ä b") + `"`,
				`receive="` + pick("a", "^b+$", "(", "[a-z]{3}") + `"`, "httpmethod=" + pick("GET", "HEAD"), `virtualhost="` + pick("w.example", "w.example:81", "10.0.0.1") + `"`,
				"scheduler=" + pick("rr", "sh", "mh", "none"), "schedflags=" + pick("sh-port", "mh-port,mh-fallback", "flag-1", "x"), "persistent=" + pick("1", "600", "9999999"),
				"netmask=" + pick("255.255.255.0", "255.255.0.255", "64", "x"), "ops=" + pick("yes", "no"), "servicename=" + pick("a b", "w", "é\"${x}"),
				"checkcommand=" + pick("/c", `"c d"`, `""`), "checktimeout=9", "failurecount=2000", "fallback" + six + "=" + address(1) + pick("", ":80") + pick("", " masq"), "comment=a",
			} {
				b.WriteString(pick("", "\t"+line+"\n"))
			}
		}
		res, err := Ldirectord("f", []byte(b.String()))
		if err != nil {
			t.Fatal(err)
		}
		if valid(t, res.HCL); t.Failed() {
			t.Fatalf("seed %d\n%s", seed, b.String())
		}
	}
}
