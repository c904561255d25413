package migrate

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclwrite"

	"github.com/lvs-ha/lvs-ha/config"
)

// FuzzFromRules checks that rules are either rejected or converted, and that every line of a service is in the
// configuration or reported as lost.
func FuzzFromRules(f *testing.F) {
	for _, seed := range []string{
		"-A -t 192.0.2.1:80 -s rr\n-a -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 2\n",
		"-A -f 5 -6 -s sh -b sh-port -p 60 -M 64\n-a -f 5 -6 -r [fd::1]:0 -i --tun-type gue --tun-port 6080 --tun-csum\n",
		"-A -u 192.0.2.1:53 -o\n-E -u 192.0.2.1:53 -s mh\n-D -u 192.0.2.1:53\n-C\n--set 1 2 3\n-Z\n-L\n",
		"--start-daemon master --mcast-interface eth0 --syncid 5\n# comment\n\n-A -t 192.0.2.1:0 -p -s none\n",
		"-A -t 1.1.1.1:1 -s {x}*\\n\n-A -t 1.1.1.1:2 -s \x01\xff\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, rules string) {
		text, lost, err := FromRules(t.Context(), strings.NewReader(rules), noNames{})
		if err != nil {
			if text != nil || lost != nil {
				t.Error("an error, and a result")
			}
			return
		}
		if _, problems := config.LoadText("import.hcl", text, config.Options{Node: "lb1"}); problems.Err() != nil {
			t.Errorf("%v\n%s", problems.Err(), text)
		}
		if !bytes.Equal(hclwrite.Format(text), text) {
			t.Errorf("not in the canonical layout:\n%s", text)
		}
		for _, l := range lost {
			if l.Line == 0 || l.Text == "" || l.Why == "" {
				t.Errorf("a loss without line or reason: %+v", l)
			}
			if first, _, _ := strings.Cut(printable(l.String()), "\n"); !strings.Contains(string(text), "# "+first+"\n") {
				t.Errorf("not in the text: %s", l)
			}
		}
	})
}
