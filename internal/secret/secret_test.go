package secret

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestTextNeverPrints(t *testing.T) {
	type inner struct{ Pass Text }
	type outer struct {
		inner
		Many []inner
		Ptr  *inner
		Map  map[string]Text
	}
	value := outer{inner{"hunter2"}, []inner{{"hunter2"}}, &inner{"hunter2"}, map[string]Text{"x": "hunter2"}}
	var logs bytes.Buffer
	slog.New(slog.NewTextHandler(&logs, nil)).Info("configured", "pass", value.Pass, "all", value)
	slog.New(slog.NewJSONHandler(&logs, nil)).Info("configured", "pass", value.Pass)
	printed := logs.String()
	for _, format := range []string{"%v", "%+v", "%#v"} {
		printed += fmt.Sprintf(format, value) + fmt.Sprintf(format, value.Ptr)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		printed += fmt.Sprintf(format, value.Pass)
	}
	printed += fmt.Sprint(value, value.Pass) + fmt.Errorf("bad %w %v", fmt.Errorf("%q", value.Pass), value).Error()
	for _, leak := range []string{"hunter2", fmt.Sprintf("%x", "hunter2")} {
		if strings.Contains(printed, leak) {
			t.Errorf("the secret %q is in %s", leak, printed)
		}
	}
	if !strings.Contains(printed, Hidden) {
		t.Errorf("nothing says that something is hidden in %s", printed)
	}
}

func TestTextSurvivesJSON(t *testing.T) {
	encoded, err := json.Marshal(Text("hunter2"))
	if err != nil {
		t.Fatal(err)
	}
	var decoded Text
	if err := json.Unmarshal(encoded, &decoded); err != nil || decoded.Reveal() != "hunter2" {
		t.Errorf("got %q, %v", decoded.Reveal(), err)
	}
}

func TestURL(t *testing.T) {
	for u, want := range map[URL]string{
		"":                                "",
		"https://example.com":             "https://example.com",
		"http://[2001:db8::1]:8080/x":     "http://[2001:db8::1]:8080/(hidden)",
		"https://example.com/T0/B0/abc":   "https://example.com/(hidden)",
		"https://example.com?key=abc":     "https://example.com/(hidden)",
		"https://abc:abc@example.com":     "https://example.com/(hidden)",
		"https://example.com#abc":         "https://example.com/(hidden)",
		"https://example.com/%zz?key=abc": "(hidden)",
		"/abc":                            "(hidden)",
	} {
		var logged bytes.Buffer
		slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "url", u)
		for _, got := range []string{fmt.Sprint(u), fmt.Sprintf("%s", u), fmt.Sprintf("%v", u), string(u.Redacted())} {
			if got != want {
				t.Errorf("%q prints %q, want %q", u.Reveal(), got, want)
			}
		}
		if !strings.Contains(logged.String(), "url="+want) && want != "" || strings.Contains(logged.String(), "abc") {
			t.Errorf("%q is logged as %q", u.Reveal(), logged.String())
		}
	}
}
