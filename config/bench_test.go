package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkLoad loads 10,000 real servers in 100 services, each with its own check: written out, and as dynamic blocks.
func BenchmarkLoad(b *testing.B) {
	const services, servers = 100, 100
	var static, dynamic strings.Builder
	for s := range services {
		head := fmt.Sprintf("virtual_service \"s%d\" {\n  address = \"192.0.2.1:%d\"\n  health_check \"http\" { path = \"/healthz\" }\n", s, s+1)
		static.WriteString(head)
		for n := range servers {
			fmt.Fprintf(&static, "  real_server \"10.0.%d.%d\" {\n    weight = %d\n    health_check \"tcp\" { interval = \"5s\" }\n  }\n", s, n, n)
		}
		static.WriteString("}\n")
		fmt.Fprintf(&dynamic, "%s  dynamic \"real_server\" {\n    for_each = range(%d)\n    labels = [cidrhost(\"10.0.%d.0/24\", real_server.value)]\n"+
			"    content {\n      weight = real_server.key\n      health_check \"tcp\" { interval = \"5s\" }\n    }\n  }\n}\n", head, servers, s)
	}
	for name, text := range map[string]string{"static": static.String(), "dynamic": dynamic.String()} {
		b.Run(name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "a.hcl")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, diags := Load(path, asLB1()); diags.HasErrors() {
					b.Fatal(diags.Err())
				}
			}
		})
	}
}
