package ipvsadm

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// checkResult fails the test if a result is invalid for every command line.
func checkResult(t *testing.T, input string, r result) {
	t.Helper()
	if !slices.Contains([]int{0, 1, 2, 255}, r.Status) {
		t.Errorf("%q: status %d", input, r.Status)
	}
	if r.Status != 0 && r.Stderr == "" {
		t.Errorf("%q: status %d without a word", input, r.Status)
	}
}

// FuzzCommandLine runs a command line whose arguments are separated by NUL.
func FuzzCommandLine(f *testing.F) {
	for _, line := range []string{
		"-A -t 1.2.3.4:80 -s rr -p 300 -M 255.255.255.0", "-A -u [fd00::1]:53 -o --pe sip", "-E -f 5 -6 -b sh-port -s sh",
		"-a -t 1.2.3.4:80 -r 10.0.0.1:81 -m -w 5 -x 3 -y 2", "-a -f 1 -r [fd00::2]:0 -i --tun-type gue --tun-port 5 --tun-csum",
		"-d -t 1.2.3.4:80 -r 10.0.0.1", "-D -f 1", "-Lnc --persistent-conn", "-L --stats --exact", "--set 1 2 3", "-S -n",
		"--start-daemon master --mcast-interface eth0 --mcast-group ff02::81 --syncid 5", "--stop-daemon=backup", "-h", "-v", "-- -L", "-Q",
	} {
		f.Add(strings.Join(strings.Fields(line), "\x00"))
	}
	f.Fuzz(func(t *testing.T, line string) {
		r := newFake().run(t, "-A -f 1\n", strings.Split(line, "\x00")...)
		checkResult(t, line, r)
	})
}

// FuzzRules restores a rule file, saves the result, and restores that.
func FuzzRules(f *testing.F) {
	f.Add("-A -t 1.2.3.4:80 -s rr\n-a -t 1.2.3.4:80 -r 10.0.0.1:80 -m -w 1\n")
	f.Add("ipvsadm -C\n\n  -A -f 1 -6\r\n-a -f 1 -6 -r [fd00::1]:0 -g\n-Z\n-L\n-D -f 1\n")
	f.Add("-A\n-A -f\n-R\n")
	f.Add("-A -u vip:tftp -p 5 -M 255.0.0.0 -o -b flag-1 --pe sip\n-v\n-A -f 3")
	f.Fuzz(func(t *testing.T, rules string) {
		k := newFake()
		checkResult(t, rules, k.run(t, rules, "-R"))
		saved := k.run(t, "", "-S", "-n").Stdout
		for line := range strings.Lines(saved) {
			// ipvsadm cannot parse its own negative marks and flags without a name.
			if strings.Contains(line, "-f -") || strings.HasSuffix(line, "-b \n") {
				return
			}
		}
		again := newFake()
		if r := again.run(t, saved, "-R"); r.Status != 0 || r.Stderr != "" {
			t.Fatalf("restoring what was saved:\n%s\ngave %+v", saved, r)
		}
	})
}

func FuzzEndpoint(f *testing.F) {
	for _, text := range []string{"1.2.3.4:80", "[fd00::1]:http", "fd00::1", "vip:80", "10.1:0x5", "[1.2.3.4]:80", "08.1", "1.2.3.4 x:80", "[::ffff:1.2.3.4]:1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, ok := parseEndpoint(text, ipvs.TCP, fakeNames{})
		if !ok {
			return
		}
		printed := string(printer{numeric: true}.endpoint(nil, e.address, e.port, ipvs.TCP))
		if again, ok := parseEndpoint(printed, ipvs.TCP, fakeNames{}); !ok || again != e {
			t.Errorf("%q is %v, printed as %s, read again as %v, %v", text, e, printed, again, ok)
		}
		if e.address.Zone() != "" || e.address == (netip.Addr{}) {
			t.Errorf("%q has address %v", text, e.address)
		}
	})
}
