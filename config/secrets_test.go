package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/secret"
)

// Each configuration has the secret "hunter22" and an error close to it.
var withSecrets = map[string]string{
	"in the value itself": `
vrrp "a" {
  interface         = "eth0"
  virtual_router_id = 51
  addresses         = ["192.0.2.1"]
  auth_pass         = "hunter22" # hunter22
}`,
	"too long":          vrrpWith(`version = 2`, `auth_pass = "x-hunter22-x"`),
	"of a wrong type":   vrrpWith(`version = 2`, `auth_pass = ["hunter22"]`),
	"in a wrong sum":    vrrpWith(`version = 2`, `auth_pass = "hunter22" + 1`),
	"in a wrong call":   vrrpWith(`version = 2`, `auth_pass = upper("hunter22", 1)`),
	"without quotes":    vrrpWith(`version = 2`, `auth_pass = hunter22`),
	"in a template":     vrrpWith(`version = 2`, `auth_pass = "${"hunter22"}${nothing}"`),
	"in a local":        vrrpWith(`version = 2`, `auth_pass = local.pass`) + "\nlocals { pass = \"hunter22\" + 1 }\n",
	"in locals in turn": vrrpWith(`version = 2`, `auth_pass = local.a`) + "\nlocals {\n a = local.b\n b = upper(\"hunter22\", 2)\n}\n",
	"in a variable":     vrrpWith(`version = 2`, `auth_pass = "${var.pass + 1}"`) + "\nvariable \"pass\" { default = \"hunter22\" }\n",
	"in a wrong default": vrrpWith(`version = 2`, `auth_pass = var.pass`) +
		"\nvariable \"pass\" {\n type = number\n default = \"hunter22\"\n}\n",
	"in a sensitive variable": "variable \"pass\" {\n sensitive = true\n default = \"hunter22\"\n}\n" +
		"director { grace = var.pass }\n",
	"given to a variable": vrrpWith(`version = 3`, `auth_pass = var.given`) + "\nvariable \"given\" {}\n" +
		"director { grace = \"${var.given}s\" }\n",
	"out of the environment": vrrpWith(`version = 3`, `auth_pass = env("PASS")`) + "director { grace = env(\"PASS\") }\n",
	"in a dynamic block": `
locals { routers = [{ id = 51, pass = "hunter22" }] }

dynamic "vrrp" {
  for_each = local.routers
  labels   = ["a"]

  content {
    interface         = "eth0"
    virtual_router_id = vrrp.value.id
    addresses         = ["192.0.2.1"]
    priority          = vrrp.value.pass
    auth_pass         = vrrp.value.pass
  }
}`,
	"in a header":                               headers(`{ "A B" = "x", Authorization = "hunter22" }`),
	"in a header's bad value":                   headers(`{ Authorization = "hunter22\n" }`),
	"in a header's sum":                         headers(`{ Authorization = "hunter22" + 1 }`),
	"in a merge of headers":                     headers(`merge({ X-Token = "hunter22" }, 5)`),
	"in a header with a name that is not known": headers(`{ (nothing) = "hunter22" }`),
	"beside an unknown argument":                vrrpWith(`version = 2`, `auth_pas = 1`) + "\nlocals { a = 1 }\n" + vrrpWith(`auth_pass = "hunter22"`, `x = 1`),
}

func vrrpWith(lines ...string) string {
	return "vrrp \"a\" {\n interface = \"eth0\"\n virtual_router_id = 51\n addresses = [\"192.0.2.1\"]\n " +
		strings.Join(lines, "\n ") + "\n}\n"
}

func headers(value string) string {
	return "virtual_service \"a\" {\n address = \"192.0.2.1:80\"\n health_check \"http\" { headers = " + value +
		" }\n real_server \"192.0.2.2\" {}\n}\n"
}

func TestDiagnosticsHideSecrets(t *testing.T) {
	for name, text := range withSecrets {
		t.Run(name, func(t *testing.T) {
			o := asLB1()
			o.LookupEnv = func(name string) (string, bool) { return "hunter22", name == "PASS" }
			if strings.Contains(text, "var.given") {
				o.Vars = map[string]string{"given": "hunter22"}
			}
			_, diags := Load(write(t, t.TempDir(), "a.hcl", text), o)
			if !diags.HasErrors() {
				t.Fatal("this has no error that could print the secret")
			}
			printed := printed(t, diags) + diags.Err().Error()
			var colored bytes.Buffer
			if err := diags.Write(&colored, true); err != nil {
				t.Fatal(err)
			}
			if all := printed + colored.String(); strings.Contains(all, "hunter22") {
				t.Errorf("the secret is in:\n%s", all)
			}
		})
	}
}

// At its position in the source, a secret is hidden even if it is short or escaped.
func TestDiagnosticsHideShortAndEscapedSecrets(t *testing.T) {
	for _, pass := range []string{`q7`, `\"q7\\`} {
		_, diags := Load(write(t, t.TempDir(), "a.hcl", vrrpWith(`version = 3`, `auth_pass = "`+pass+`"`)), asLB1())
		if text := printed(t, diags); strings.Contains(text, "q7") || !strings.Contains(text, "auth_pass = \"**") {
			t.Errorf("got %s", text)
		}
	}
}

// An error in a block with a webhook's URL or a password shows neither.
func TestDiagnosticsHideReceiversSecrets(t *testing.T) {
	for _, text := range []string{
		`notify_webhook "a" { url = "ftp://example.com/hunter22" }`,
		`notify_webhook "a" { url = "https://%example.com/hunter22" }`,
		`notify_email "a" {
  smtp     = "mail.example.com:25"
  from     = "a@example.com"
  to       = []
  password = "hunter22"
  password_file = "hunter22"
}`,
	} {
		_, diags := Load(write(t, t.TempDir(), "a.hcl", text), asLB1())
		if !diags.HasErrors() || strings.Contains(printed(t, diags), "hunter22") {
			t.Errorf("got %s", printed(t, diags))
		}
	}
}

func TestConfigNeverPrintsSecrets(t *testing.T) {
	text := vrrpWith(`version = 2`, `auth_pass = "hunter22"`) + headers(`{ Authorization = "Bearer hunter22" }`) + `
vrrp "b" {
  interface         = "eth0"
  virtual_router_id = 52
  addresses         = ["192.0.2.9"]
  auth_hmac {
    active_key = 1
    key "1" { secret = "hunter22hunter22hunter22hunter22" }
  }
}
notify_webhook "a" {
  url     = "https://192.0.2.7/hunter22"
  headers = { Authorization = "hunter22" }
}
notify_email "a" {
  smtp     = "mail.example.com:25"
  from     = "a@example.com"
  to       = ["b@example.com"]
  username = "a"
  password = "hunter22"
}
`
	cfg, diags := Load(write(t, t.TempDir(), "a.hcl", text), asLB1())
	if diags.HasErrors() {
		t.Fatal(printed(t, diags))
	}
	var logs bytes.Buffer
	slog.New(slog.NewTextHandler(&logs, nil)).Info("configured", "config", cfg, "vrrp", cfg.VRRP[0], "service", cfg.Services[0])
	shown, err := json.Marshal(cfg.Redacted())
	if err != nil {
		t.Fatal(err)
	}
	all := logs.String() + string(shown) + fmt.Sprintf("%v %+v %#v", cfg, cfg, cfg) + fmt.Sprint(*cfg, cfg.VRRP, cfg.Services[0].Checks[0].Check)
	if strings.Contains(all, "hunter22") || strings.Contains(all, fmt.Sprintf("%x", "hunter22")) {
		t.Errorf("the secret is in:\n%s", all)
	}
	if !strings.Contains(string(shown), secret.Hidden) {
		t.Errorf("nothing is said to be hidden in %s", shown)
	}
	if got := cfg.VRRP[0].AuthPass.Reveal() + " " + cfg.Services[0].Checks[0].Check.(*healthcheck.HTTP).Header[0].Value.Reveal(); got != "hunter22 Bearer hunter22" {
		t.Errorf("Redacted changed the original to %q", got)
	}
}

// A file that cannot be parsed has no values: texts that may be secret by their name are hidden.
func TestSyntaxErrorsHideSecrets(t *testing.T) {
	for _, text := range []string{
		vrrpWith(`version = 2`, `auth_pass = "hunter22" x`),
		vrrpWith(`version = 2`, `auth_pass = "hunter22`),
		vrrpWith(`version = 2`, `auth_pass "hunter22"`),
		vrrpWith(`version = 2`, `auth_pass: hunter22`),
		vrrpWith(`version = 2`, `auth_pass = hunter22 x`),
		vrrpWith(`version = 2`, `auth_pass = 1hunter22`),
		vrrpWith(`version = 2`, `auth_pass hunter22`),
		headers(`{ Authorization = "hunter22" x }`),
		headers(`{ "X-Token": "hunter22", ; }`),
	} {
		_, diags := Load(write(t, t.TempDir(), "a.hcl", text), asLB1())
		if all := printed(t, diags) + diags.Err().Error(); !diags.HasErrors() || strings.Contains(all, "hunter22") {
			t.Errorf("the secret is in:\n%s", all)
		}
	}
}

// TestCheckErrorsHideSecrets checks that a sensitive value in a check's setting is not shown in another form or in
// part.
func TestCheckErrorsHideSecrets(t *testing.T) {
	for name, value := range map[string]string{
		"escaped as a path":   `s3cr-é -token`,
		"escaped as a string": `s3cr-\"\t\n-token`,
		"long":                strings.Repeat("x", 250) + "s3cr-é-token" + strings.Repeat("y", 400),
	} {
		text := "variable \"token\" {\n sensitive = true\n default = \"" + value + "\"\n}\n" +
			check("http", "path = \"/?${var.token}\"\nhost = \"${var.token}\"\nbody = \"(${var.token}\"\nheaders = { (var.token) = \"x\" }\n")
		_, diags := LoadText("a.hcl", []byte(text), asLB1())
		said := printed(t, diags) + diags.Err().Error()
		if !strings.Contains(said, "Invalid path") || strings.Contains(said, "s3cr") || strings.Contains(said, "-token") ||
			strings.Contains(said, "%20-") {
			t.Errorf("%s: %s", name, said)
		}
	}
}

// TestDiagnosticsHideKeys: a key of auth_hmac is recognised wherever it was written by mistake.
func TestDiagnosticsHideKeys(t *testing.T) {
	const key = "hex:00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"
	block := func(key string) string { return vrrpWith("auth_hmac {\n  active_key = 1\n  " + key + "\n}") }
	for name, text := range map[string]string{
		"misspelt":              block(`key "1" { secrt = "` + key + `" }`),
		"under another name":    block(`key "1" { value = "` + key + `" }`),
		"as a file":             block(`key "1" { file = "` + key + `" }`),
		"as a label":            block(`key "1" "` + key + `" {}`),
		"as the label":          block(`key "` + key + `" {}`),
		"as a map":              block(`keys = { 1 = "` + key + `" }`),
		"in a broken heredoc":   block("key \"1\" {\n  secret = <<EOT\n" + key + "\nEOT\n  } }"),
		"in a long line":        block(`key "1" {` + strings.Repeat(" ", 150) + `value = "` + key + `" }`),
		"without hex:":          block(`key "1" { value = "` + key[4:] + `" }`),
		"after a value":         block(`key "1" { file = "x" "` + key + `" }`),
		"as a secret and wrong": block(`key "1" { secret = "` + key + `z" }`),
	} {
		t.Run(name, func(t *testing.T) {
			_, diags := Load(write(t, t.TempDir(), "a.hcl", text), asLB1())
			if !diags.HasErrors() {
				t.Fatal("this has no error that could print the key")
			}
			all := printed(t, diags) + diags.Err().Error() + fmt.Sprint(diags.Findings())
			for _, part := range []string{"00112233", "aabbccdd", "AABBCCDD"} {
				if strings.Contains(all, part) {
					t.Fatalf("a part of the key is in:\n%s", all)
				}
			}
		})
	}
}
