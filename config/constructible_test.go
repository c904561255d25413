package config

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/lvs-ha/lvs-ha/healthcheck"
)

// check returns a configuration with one health check.
func check(kind, inner string) string {
	return fmt.Sprintf("virtual_service \"a\" {\n  address = \"192.0.2.1:80\"\n  health_check %q {\n%s\n  }\n  real_server \"192.0.2.2\" {}\n}\n", kind, inner)
}

// construct builds the director's objects from a configuration.
func construct(c *Config) error {
	for _, in := range c.VRRP {
		if errs := in.Validate(); len(errs) > 0 {
			return fmt.Errorf("instance %s: %v", in.Name, errs)
		}
	}
	for _, service := range c.Services {
		specs := service.Checks
		for _, server := range service.RealServers {
			specs = append(specs, server.Checks...)
		}
		for _, spec := range specs {
			if _, err := healthcheck.NewProbe(spec); err != nil {
				return err
			}
		}
	}
	return nil
}

// A valid configuration can be constructed; one that cannot be constructed has an error with its position.
func TestValidChecksCanBeConstructed(t *testing.T) {
	lines := map[string]func(string) string{
		"path": line("path = %q"), "host": line("host = %q"), "body": line("body = %q"), "method": line("method = %q"),
		"header":      func(text string) string { return fmt.Sprintf("    headers = { %q = \"x\" }\n", text) },
		"header's":    func(text string) string { return fmt.Sprintf("    headers = { X-Name = %q }\n", text) },
		"status":      func(text string) string { return fmt.Sprintf("    status = [%q]\n", text) },
		"server_name": func(text string) string { return fmt.Sprintf("    tls { server_name = %q }\n", text) },
	}
	for name, render := range lines {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				text := rapid.OneOf(
					rapid.SampledFrom([]string{"/", "/gesundü", "Content-Length", "content-length", "Transfer-Encoding", "Host", "*", "/%zz", "a:b:c",
						"[::1]", "[::1]:80", "HEAD", "GET", "OPTIONS", "200", "299-200", "(", "a{1000}", "x{1,1000}y{1000}", "/a#b", "/a?b", "a b", "", "."}),
					rapid.StringMatching(`[ -~]{0,20}`), rapid.String(),
				).Draw(t, "text")
				kind := rapid.SampledFrom([]string{"http", "https"}).Draw(t, "kind")
				cfg, _ := LoadText("a.hcl", []byte(check(kind, render(text))), asLB1())
				if cfg == nil {
					return
				}
				if err := construct(cfg); err != nil {
					t.Fatalf("%q passes, but %v", text, err)
				}
			})
		})
	}
}

func line(format string) func(string) string {
	return func(text string) string { return "    " + fmt.Sprintf(format, text) + "\n" }
}

func TestInvalidChecksHavePositions(t *testing.T) {
	for text, summary := range map[string]string{
		`path = "/gesundü"`:                       "Invalid path",
		`headers = { Content-Length = "5" }`:      "Invalid headers",
		`headers = { "Transfer-Encoding" = "x" }`: "Invalid headers",
		`host = "bücher.example"`:                 "Invalid host",
		`body = "a{1000}b{1000}c{1000}"`:          "Invalid body",
		`method = "DELETE"`:                       "Invalid method",
	} {
		_, diags := LoadText("a.hcl", []byte(check("http", text)), asLB1())
		shown, _ := diags.Findings()
		if len(shown) != 1 || shown[0].Summary != summary || shown[0].Line != 4 {
			t.Errorf("%s: got %+v", text, shown)
		}
	}
}

// Each example and each valid configuration can be constructed.
func TestExamplesCanBeConstructed(t *testing.T) {
	for _, path := range append(paths(t, "testdata/valid/*.hcl"), paths(t, "../examples/*.hcl")...) {
		cfg, diags := Load(path, asLB1())
		if diags.HasErrors() {
			t.Fatal(printed(t, diags))
		}
		if err := construct(cfg); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}
