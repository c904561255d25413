package config

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestServerLists(t *testing.T) {
	server := func(at string, port uint16) ListedServer {
		return ListedServer{Address: netip.MustParseAddr(at), Port: port}
	}
	weighted := func(at string, port uint16, weight uint32) ListedServer {
		s := server(at, port)
		s.Weight, s.Weighted = weight, true
		return s
	}
	want := []ListedServer{server("10.0.0.5", 0), server("10.0.0.6", 8080), weighted("2001:db8::1", 80, 0), weighted("10.0.0.7", 0, 5)}
	for name, text := range map[string]string{
		"json": `[ "10.0.0.5", {"address": "10.0.0.6", "port": 8080}, {"address": "[2001:db8::1]:80", "weight": 0}, {"address": "10.0.0.7", "weight": 5} ]`,
		"hcl": `# written by a template
			real_server "10.0.0.5" {}
			real_server "10.0.0.6:8080" {}
			real_server "[2001:db8::1]:80" { weight = 0 }
			real_server "10.0.0.7" { weight = 5 }`,
	} {
		got, err := ParseServerList("/x/web."+name, []byte(text))
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
	for _, empty := range []string{"[]", " [ ] \n", "# nobody"} {
		if got, err := ParseServerList("web", []byte(empty)); err != nil || len(got) > 0 {
			t.Errorf("%q: %v, %v", empty, got, err)
		}
	}
}

func TestBadServerLists(t *testing.T) {
	for _, text := range []string{
		"", " \n", "[", `["10.0.0.5"`, `["10.0.0.5"]]`, `["10.0.0.5"] []`, `["web.example.com"]`, `[5]`, `[null]`, `[{}]`, `[{"address": "10.0.0.5", "weigth": 1}]`,
		`[{"address": "10.0.0.5:80", "port": 80}]`, `[{"address": "10.0.0.5", "port": 0}]`, `[{"address": "10.0.0.5", "weight": -1}]`, `["10.0.0.5", "10.0.0.5"]`,
		`{"servers": []}`, "[" + strings.Repeat("[", 100_000), "\xff", `real_server "10.0.0.5" {`, `real_server "10.0.0.5" { weight = x }`, `virtual_service "a" {}`,
		`locals { a = 1 }`, `real_server "10.0.0.5" { weight = env("HOME") }`, strings.Repeat(" ", MaxServerList+1),
		"[" + strings.Repeat(`"10.0.0.5",`, MaxListed+1) + `"10.0.0.6"]`, strings.Repeat("real_server \"10.0.0.5\" {}\n", MaxListed+1),
		`dynamic "real_server" { 
			for_each = [1]
			content {} 
		}`,
	} {
		got, err := ParseServerList("/etc/web", []byte(text))
		if err == nil {
			t.Errorf("%.60q gives %v", text, got)
		} else if !strings.HasPrefix(err.Error(), "/etc/web:") || len(err.Error()) > 1000 {
			t.Errorf("%.60q: the error is %q", text, err)
		}
	}
}

// FuzzServerList checks that no text takes long or crashes, and that a list survives encoding.
func FuzzServerList(f *testing.F) {
	for _, seed := range []string{`["10.0.0.5", {"address": "[::1]:80", "weight": 3}]`, "real_server \"10.0.0.5:80\" { weight = 5 }\n", "[", `{"a": [}`, "a = <<X\nX\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := ParseServerList("web", text)
		if err != nil {
			return
		}
		if len(list) > MaxListed {
			t.Fatalf("%d servers", len(list))
		}
		var elements []map[string]any
		for _, s := range list {
			if !s.Address.IsValid() || s.Address.Zone() != "" {
				t.Fatalf("%v", s)
			}
			e := map[string]any{"address": s.Address.String()}
			if s.Port > 0 {
				e["port"] = s.Port
			}
			if s.Weighted {
				e["weight"] = s.Weight
			}
			elements = append(elements, e)
		}
		if elements == nil {
			return
		}
		encoded, _ := json.Marshal(elements)
		again, err := ParseServerList("web", encoded)
		if diff := cmp.Diff(list, again, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); err != nil || diff != "" {
			t.Fatalf("%v\n%s", err, diff)
		}
	})
}
