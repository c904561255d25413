package migrate

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/ipvsadm"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// tableOf imports rules and exports the result as rules again.
func tableOf(t *testing.T, rules string) string {
	t.Helper()
	text, lost, err := FromRules(t.Context(), strings.NewReader(rules), noNames{})
	if err != nil || len(lost) > 0 {
		t.Fatalf("lost %v, error %v", lost, err)
	}
	cfg, problems := config.LoadText("import.hcl", text, config.Options{Node: "lb1"})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := ipvsadm.WriteRules(&b, Entries(cfg)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestRulesAreAppliedInOrder(t *testing.T) {
	for _, tt := range []struct{ name, rules, want string }{
		{"an edit replaces everything",
			"-A -t 192.0.2.1:80 -s rr -p 60\n-E -t 192.0.2.1:80 -s wlc\n",
			"-A -t 192.0.2.1:80 -s wlc\n"},
		{"so does one of a server",
			"-A -t 192.0.2.1:80\n-a -t 192.0.2.1:80 -r 10.0.0.1 -m -w 5\n-e -t 192.0.2.1:80 -r 10.0.0.1 -g\n",
			"-A -t 192.0.2.1:80 -s wlc\n-a -t 192.0.2.1:80 -r 10.0.0.1:80 -g -w 1\n"},
		{"what is deleted is gone, and may come again",
			"-A -t 192.0.2.1:80\n-a -t 192.0.2.1:80 -r 10.0.0.1\n-d -t 192.0.2.1:80 -r 10.0.0.1\n-a -t 192.0.2.1:80 -r 10.0.0.1 -w 2\n" +
				"-A -f 1\n-D -f 1\n-A -f 1 -s rr\n",
			"-A -t 192.0.2.1:80 -s wlc\n-a -t 192.0.2.1:80 -r 10.0.0.1:80 -g -w 2\n-A -f 1 -s rr\n"},
		{"-C empties the table",
			"-A -t 192.0.2.1:80\n-C\n-A -t 192.0.2.1:80 -s rr\n",
			"-A -t 192.0.2.1:80 -s rr\n"},
		{"names are looked up",
			"-A -t web.example:http\n-a -t web.example:http -r web.example:8080 -m\n-d -t web.example:80 -r 10.0.0.7:8080\n",
			"-A -t 10.0.0.7:80 -s wlc\n"},
		{"with NAT alone the port can be another",
			"-A -t 192.0.2.1:80\n-a -t 192.0.2.1:80 -r 10.0.0.1:8080 -g\n-a -t 192.0.2.1:80 -r 10.0.0.2:8080 -m\n",
			"-A -t 192.0.2.1:80 -s wlc\n-a -t 192.0.2.1:80 -r 10.0.0.1:80 -g -w 1\n-a -t 192.0.2.1:80 -r 10.0.0.2:8080 -m -w 1\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tableOf(t, tt.rules)); diff != "" {
				t.Errorf("the table differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAllInvalidRulesAreReported(t *testing.T) {
	rules := "-A -t 192.0.2.1:80\n-d -t 192.0.2.1:80 -r 10.0.0.1\n-D -f 3\n" + strings.Repeat("x", maxLine+1) + "\n"
	text, lost, err := FromRules(t.Context(), strings.NewReader(rules), noNames{})
	wantLines(t, err, [][]string{{"line 2: ", "-d -t 192.0.2.1:80 -r 10.0.0.1"}, {"line 3: ", "-D -f 3"}, {"line 4: ", "65536"}})
	if text != nil || lost != nil {
		t.Errorf("got %q, lost %v", text, lost)
	}
}

// wantLines checks that an error has lines that contain these words.
func wantLines(t *testing.T, err error, want [][]string) {
	t.Helper()
	got := strings.Split(fmt.Sprint(err), "\n")
	if len(got) != len(want) {
		t.Fatalf("got %d lines, want %d:\n%v", len(got), len(want), err)
	}
	for i, words := range want {
		for _, word := range words {
			if !strings.Contains(got[i], word) {
				t.Errorf("%q is not in %q", word, got[i])
			}
		}
	}
}

func TestRulesInAShellScript(t *testing.T) {
	const script = `#!/bin/bash
# Web farm, as of 2009
/sbin/ipvsadm -C                     # forget the old
 /usr/sbin/ipvsadm	-A -t 192.0.2.1:80 -s rr	# web
ipvsadm -a -t 192.0.2.1:80 \
        -r 10.0.0.1 -m
	#/sbin/ipvsadm -a -t 192.0.2.1:80 -r 10.0.0.2 -m
`
	const want = "-A -t 192.0.2.1:80 -s rr\n-a -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 1\n"
	if diff := cmp.Diff(want, tableOf(t, script)); diff != "" {
		t.Errorf("the table differs (-want +got):\n%s", diff)
	}
	const needsAShell = "VIP=192.0.2.1\n\n/sbin/ipvsadm -A \\\n -t $VIP:80\necho done\nipvsadm -A -f 1 -s \"rr\"\nipvsadm -A -f 2;ipvsadm -A -f 3\n"
	const remedy = "`ipvsadm -S -n`"
	_, _, err := FromRules(t.Context(), strings.NewReader(needsAShell), noNames{})
	wantLines(t, err, [][]string{{"line 1: ", "VIP=192.0.2.1"}, {"line 3: ", remedy, "/sbin/ipvsadm -A -t $VIP:80"}, {"line 5: ", "echo done"},
		{"line 6: ", remedy, `ipvsadm -A -f 1 -s "rr"`}, {"line 7: ", remedy, "ipvsadm -A -f 2;ipvsadm -A -f 3"}})
}

func TestByteOrderMark(t *testing.T) {
	if got := tableOf(t, "\ufeff-A -f 1 -s rr\r\n"); got != "-A -f 1 -s rr\n" {
		t.Errorf("got %q", got)
	}
}

// The kernel distinguishes an IPv4-mapped address from the IPv4 address; a configuration does not.
func TestIPv4MappedAddress(t *testing.T) {
	const rules = "-A -t 192.0.2.1:80\n-A -t [::ffff:192.0.2.1]:80\n-a -t [::ffff:192.0.2.1]:80 -r [fd00::1]:80\n"
	text, lost, err := FromRules(t.Context(), strings.NewReader(rules), noNames{})
	if err != nil || len(lost) != 2 || lost[0].Line != 2 || lost[1].Line != 3 || strings.Contains(lost[0].Why, "netmask") {
		t.Errorf("lost %v, error %v, of\n%s", lost, err, text)
	}
}

func TestErrorsForUnrelatedFileAreLimited(t *testing.T) {
	_, _, err := FromRules(t.Context(), strings.NewReader(strings.Repeat(strings.Repeat("\x1b\xff ", 500)+"\n", 1000)), noNames{})
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != maxErrors+1 || !strings.HasPrefix(lines[maxErrors], "980 ") || len(lines[0]) > 1000 || strings.Contains(lines[0], "\x1b") {
		t.Errorf("%d lines, from %q to %q", len(lines), lines[0], lines[len(lines)-1])
	}
}

func TestEmptyInputIsAnError(t *testing.T) {
	for _, rules := range []string{"", "\n# none\n"} {
		if _, _, err := FromRules(t.Context(), strings.NewReader(rules), noNames{}); err == nil || !strings.Contains(err.Error(), "no rules found") {
			t.Errorf("%q: error %v", rules, err)
		}
	}
	if text, _, err := FromRules(t.Context(), strings.NewReader("-C\n"), noNames{}); err != nil || len(text) == 0 {
		t.Errorf("an emptied table: %v", err)
	}
}

func TestServiceNamesAreShortAndUnique(t *testing.T) {
	at := func(p ipvs.Protocol, s string) ipvs.ServiceKey { return ipvs.ServiceAt(p, netip.MustParseAddrPort(s)) }
	for _, tt := range []struct {
		keys []ipvs.ServiceKey
		want []string
	}{
		{[]ipvs.ServiceKey{at(ipvs.TCP, "192.0.2.1:80"), at(ipvs.TCP, "192.0.2.1:443"), at(ipvs.TCP, "192.0.2.1:81"), at(ipvs.TCP, "192.0.2.1:0")},
			[]string{"http", "https", "port-81", "all-ports"}},
		{[]ipvs.ServiceKey{at(ipvs.TCP, "192.0.2.1:53"), at(ipvs.UDP, "192.0.2.1:53")}, []string{"dns-tcp", "dns-udp"}},
		{[]ipvs.ServiceKey{at(ipvs.TCP, "192.0.2.1:80"), at(ipvs.TCP, "[2001:db8::1]:80")}, []string{"http-192.0.2.1", "http-2001:db8::1"}},
		{[]ipvs.ServiceKey{at(ipvs.TCP, "192.0.2.1:53"), at(ipvs.UDP, "192.0.2.1:53"), at(ipvs.UDP, "192.0.2.2:53")},
			[]string{"dns-tcp-192.0.2.1", "dns-udp-192.0.2.1", "dns-udp-192.0.2.2"}},
		{[]ipvs.ServiceKey{ipvs.ServiceByMark(ipvs.IPv4, 1), ipvs.ServiceByMark(ipvs.IPv4, 2), ipvs.ServiceByMark(ipvs.IPv6, 2)},
			[]string{"mark-1", "mark-2-ipv4", "mark-2-ipv6"}},
	} {
		names := nameServices(tt.keys)
		for i, key := range tt.keys {
			if names[key] != tt.want[i] {
				t.Errorf("%s is %q, want %q", key, names[key], tt.want[i])
			}
		}
	}
}

func TestDurationsUseLargestUnits(t *testing.T) {
	for seconds, want := range map[uint32]string{1: "1s", 60: "1m", 90: "1m30s", 600: "10m", 3600: "1h", 5400: "1h30m", 3601: "1h0m1s", 36000: "10h"} {
		if got := duration(seconds); got != want {
			t.Errorf("%d seconds are %q, want %q", seconds, got, want)
		}
	}
}
