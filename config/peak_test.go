//go:build linux && !race

// The race detector multiplies memory.

package config

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// maxPeak is what a process that loads any configuration of 8 MiB may take.
const maxPeak = 256 // MiB

// largest are the configurations that take the most memory of those that are accepted or refused late: at each of the
// limits, and beyond them where the fault is found at the end.
func largest() map[string]func() string {
	return map[string]func() string{
		"unknown names":     in("a = [" + chain(120_000, "x%d,") + "]"),
		"numbers, too many": in("a = [for x in range(1000) : range(1000)]\nb = [for x in range(1000) : range(1000)]"),
		"made objects":      in("a = [for x in range(400) : [for y in range(1000) : { a = {} }]]"),
		"triples":           in("a = setproduct(range(70), range(70), range(70))"),
		"elements of JSON":  in(`a = jsondecode("[` + strings.Repeat("1,", 320_000) + `1]")`),
		"services":          func() string { return chain(149_000, "virtual_service \"a%d\" {\n}\n") },
		"real servers":      servers(`real_server "10.%d.%d.%d" {}`, 149_000),
		"made real servers": func() string {
			return "locals {\n  a = range(1000)\n}\nvirtual_service \"a\" {\n  address = \"192.0.2.1:80\"\n" + chain(60, "dynamic \"real_server\" {\n"+
				"for_each = local.a\nlabels = [cidrhost(\"10.0.0.0/8\", real_server.value + 1000 * %d)]\ncontent {\nhealth_check \"http\" {}\n}\n}\n") + "}\n"
		},
		"addresses": func() string {
			return chain(6, "vrrp \"a%d\" {\naddresses = ["+strings.Repeat(`"10.0.0.1/8",`, 49_000)+"]\n}\n")
		},
		"long arguments": func() string {
			return "vrrp \"a\" {\n" + chain(240, "a%d = ["+strings.Repeat("1,", 2400)+"]\n") + "}\n"
		},
		"blocks in a dynamic": func() string { return "dynamic \"virtual_service\" {\n" + strings.Repeat("b {}\n", 299_000) + "}\n" },
		"40,000 made servers": func() string { return roomy["40,000 real servers in a dynamic block"] },
	}
}

func servers(block string, n int) func() string {
	return func() string {
		var b strings.Builder
		b.WriteString("virtual_service \"a\" {\naddress = \"192.0.2.1:80\"\n")
		for i := range n {
			fmt.Fprintf(&b, block+"\n", i>>16, i>>8&255, i&255)
		}
		b.WriteString("}\n")
		return b.String()
	}
}

// Each is loaded by a process of its own, as validate does it.
func TestPeakOfALoad(t *testing.T) {
	const variable = "LVS_HA_TEST_LOAD"
	if path := os.Getenv(variable); path != "" {
		_, diags := Load(path, asLB1())
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(regexp.MustCompile(`VmHWM:\s+(\d+)`).FindString(string(status)), diags.Err())
		return
	}
	for name, text := range largest() {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.hcl")
			if err := os.WriteFile(path, []byte(text()), 0o600); err != nil {
				t.Fatal(err)
			}
			child := exec.Command(os.Args[0], "-test.run=^TestPeakOfALoad$")
			child.Env = append(os.Environ(), variable+"="+path)
			out, err := child.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			var kib int
			if _, err := fmt.Sscanf(string(out), "VmHWM: %d", &kib); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			peak := kib >> 10
			t.Logf("%d MiB, %s: %.80s", peak, child.ProcessState.UserTime()+child.ProcessState.SystemTime(), out)
			if peak > maxPeak {
				t.Errorf("loading it takes %d MiB", peak)
			}
		})
	}
}
