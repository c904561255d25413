package config

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/secret"
)

// banner is a check kind defined by this test, with everything that a kind requires.
type banner struct {
	Greeting string                    `hcl:"greeting,attr" json:"greeting"`
	Codes    []healthcheck.StatusRange `hcl:"codes,optional" unset:"all" json:"codes,omitempty"`
	Words    []string                  `hcl:"words,optional" unset:"none" json:"words,omitempty"`
	Quiet    time.Duration             `hcl:"quiet,optional" default:"50ms" range:"1ms..1s" json:"quiet"`
	Lines    int                       `hcl:"lines,optional" default:"3" range:"1..10" json:"lines"`
	Strict   bool                      `hcl:"strict,optional" default:"false" json:"strict,omitempty"`
	From     netip.Addr                `hcl:"from,optional" unset:"any" json:"from,omitzero"`
	Login    *login                    `hcl:"login,block" json:"login,omitempty"`
}

type login struct {
	User     string           `hcl:"user,optional" unset:"none" json:"user,omitempty"`
	Password secret.Text      `hcl:"password,optional" unset:"none" json:"password,omitempty"`
	KeyFile  healthcheck.File `hcl:"key_file,optional" unset:"none" json:"key_file,omitempty"`
}

func (*banner) Kind() healthcheck.Kind { return "banner" }

func (b *banner) Faults() []healthcheck.Fault {
	var faults []healthcheck.Fault
	if i := slices.Index(b.Words, ""); i >= 0 {
		faults = append(faults, healthcheck.Fault{Setting: "words", Item: i, Text: "A word is empty."})
	}
	if b.Login != nil && b.Login.User == "root" {
		faults = append(faults, healthcheck.Fault{Setting: "login.user", Text: "Do not log in as root."})
	}
	return faults
}

func (b *banner) Probe(healthcheck.Setup) (healthcheck.Probe, error) {
	return func(context.Context, netip.AddrPort) healthcheck.Result {
		return healthcheck.Result{OK: true, Advice: healthcheck.Advice{MaxConn: b.Lines}, Detail: b.Greeting}
	}, nil
}

func (b *banner) AppendIdentity(to []byte) []byte {
	encoded, _ := json.Marshal(b)
	return append(to, encoded...)
}

func (b *banner) Redacted() healthcheck.Check {
	shown := *b
	if b.Login != nil {
		hidden := *b.Login
		hidden.Password = secret.Hidden
		shown.Login = &hidden
	}
	return &shown
}

// registerBanner adds the kind for one test.
func registerBanner(t *testing.T) {
	healthcheck.Kinds["banner"] = func() healthcheck.Check { return &banner{Words: []string{"ready"}} }
	t.Cleanup(func() { delete(healthcheck.Kinds, "banner") })
}

const greeting = `greeting = "220"`

// TestRegisteredKindIsComplete takes a new check kind from the configuration to its probe.
func TestRegisteredKindIsComplete(t *testing.T) {
	registerBanner(t)
	cfg, diags := LoadText("/etc/lvs-ha/a.hcl", []byte(check("banner", greeting+`
		fall = 5
		codes = ["220", "250-259"]
		strict = true
		from = "192.0.2.1"
		login {
			user = "probe"
			password = "hunter22"
			key_file = "/etc/key.pem"
		}`)), asLB1())
	if diags.HasErrors() {
		t.Fatal(diags.Err())
	}
	spec := cfg.Services[0].Checks[0]
	want := healthcheck.Spec{
		Interval: 2 * time.Second, Timeout: time.Second, Rise: 2, Fall: 5,
		Check: &banner{
			Greeting: "220", Codes: []healthcheck.StatusRange{{First: 220, Last: 220}, {First: 250, Last: 259}}, Words: []string{"ready"},
			Quiet: 50 * time.Millisecond, Lines: 3, Strict: true, From: netip.MustParseAddr("192.0.2.1"),
			Login: &login{User: "probe", Password: "hunter22", KeyFile: "/etc/key.pem"},
		},
	}
	if diff := cmp.Diff(want, spec, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("the spec differs (-want +got):\n%s", diff)
	}

	other := spec
	changed := *spec.Check.(*banner)
	changed.Lines = 4
	other.Check = &changed
	if !spec.Equal(want) || spec.Equal(other) || spec.Equal(healthcheck.Spec{Check: &healthcheck.TCP{}}) {
		t.Error("the identity does not follow the parameters")
	}
	probe, err := healthcheck.NewProbe(spec)
	if err != nil {
		t.Fatal(err)
	}
	if r := probe(t.Context(), netip.AddrPort{}); !r.OK || r.Advice.MaxConn != 3 || r.Detail != "220" {
		t.Errorf("the probe gives %+v", r)
	}
	if got := spec.Redacted().Check.(*banner).Login.Password; got != secret.Hidden {
		t.Error("the password is shown")
	}

	encoded, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var decoded Config
	if err := json.Unmarshal(encoded, &decoded); err != nil || !decoded.Services[0].Checks[0].Equal(spec) {
		t.Errorf("%v, or another check was read from %s", err, encoded)
	}
	delete(healthcheck.Kinds, "banner")
	if err := json.Unmarshal(encoded, &decoded); err == nil {
		t.Error("an unknown kind was read from JSON")
	}
}

// TestKindErrorsHavePositions checks that an error in a kind's parameters is reported at its attribute or element,
// and that unknown names are reported.
func TestKindErrorsHavePositions(t *testing.T) {
	registerBanner(t)
	for text, want := range map[string]struct {
		summary string
		line    int
	}{
		"words = [\n\"ready\",\n\"\",\n]": {"Invalid words", 7},
		"codes = [\n\"220\",\n\"x\",\n]":  {"Invalid codes", 7},
		"login {\n  user = \"root\"\n}":   {"Invalid user", 6},
		"lines = 11":                      {"Invalid lines", 5},
		"quiet = \"2s\"":                  {"Invalid quiet", 5},
		"path = \"/\"":                    {"Unsupported argument", 5},
		"tls {}":                          {"Unsupported block type", 5},
		"login {\n  colour = 1\n}":        {"Unsupported argument", 6},
		"login {}\nlogin {}":              {"Duplicate login block", 6},
	} {
		_, diags := LoadText("a.hcl", []byte(check("banner", greeting+"\n"+text)), asLB1())
		shown, _ := diags.Findings()
		if len(shown) != 1 || shown[0].Summary != want.summary || shown[0].Line != want.line {
			t.Errorf("%s: got %+v", text, shown)
		}
	}
	_, diags := LoadText("a.hcl", []byte(check("banner", "")), asLB1())
	wantProblem(t, diags, "Missing greeting", 3)
}

// TestSchemaIncludesKinds checks that hints and the reference include the parameters of each kind.
func TestSchemaIncludesKinds(t *testing.T) {
	registerBanner(t)
	found := false
	walkSchema(Schema(), func(b Block) {
		found = found || b.Type == "health_check" && slices.Contains(b.Attributes, Attribute{Name: "lines", Type: "number", Default: "3", Range: "1 to 10"}) &&
			slices.ContainsFunc(b.Blocks, func(inner Block) bool { return inner.Type == "login" })
	})
	if !found {
		t.Error("the schema does not have the kind's parameters")
	}
}

// TestKindsDoNotRedefineCommonParameters checks that no kind redefines a common parameter, in the language or in JSON.
func TestKindsDoNotRedefineCommonParameters(t *testing.T) {
	common, err := json.Marshal(healthcheck.Spec{Address: netip.IPv4Unspecified(), Port: 1})
	if err != nil {
		t.Fatal(err)
	}
	for kind, parameters := range healthcheck.Kinds {
		var all, own map[string]any
		encoded, _ := json.Marshal(parameters())
		if err := json.Unmarshal(common, &all); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(encoded, &own); err != nil {
			t.Fatal(err)
		}
		for name := range own {
			if _, dup := all[name]; dup {
				t.Errorf("%s: %s is in JSON twice", kind, name)
			}
		}
		taken := map[string]bool{}
		b := &healthCheckBlock{Kind: attr[checkKind]{value: checkKind(kind), state: written}}
		added := b.variant().Type()
		for _, tag := range slices.Concat(tagsOf(healthCheckType), tagsOf(added)) {
			if tag.Name != "" && taken[tag.Name] {
				t.Errorf("%s: %s is an attribute or a block twice", kind, tag.Name)
			}
			taken[tag.Name] = true
		}
		if parameters().Kind() != kind {
			t.Errorf("%s calls itself %s", kind, parameters().Kind())
		}
	}
}
