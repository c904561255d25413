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
