package healthcheck_test

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	. "github.com/lvs-ha/lvs-ha/healthcheck"
)

func fullSpec() Spec {
	return Spec{
		Interval: 2 * time.Second, Timeout: time.Second, Rise: 2, Fall: 3,
		Weight: &Weight{Header: "X-Weight", Unit: Percent},
		Check: &HTTPS{
			Request: Request{
				Method: "GET", Path: "/healthz", Host: "www.example.com", Body: "ok",
				Header: []Header{{Name: "Authorization", Value: "Basic c2VjcmV0"}},
				Status: []StatusRange{{First: 200, Last: 299}},
			},
			TLS: &TLS{ServerName: "www.example.com", CAFile: "/etc/ca.pem"},
		},
	}
}

func TestEqualTargetsHaveEqualKeys(t *testing.T) {
	address := netip.MustParseAddr("192.0.2.1")
	want := NewTarget(address, 443, fullSpec()).Key()
	if again := NewTarget(address, 443, fullSpec()).Key(); again != want {
		t.Errorf("two keys for the same: %s, %s", want, again)
	}
	if mapped := NewTarget(netip.MustParseAddr("::ffff:192.0.2.1"), 443, fullSpec()).Key(); mapped != want {
		t.Errorf("the mapped address has the key %s, want %s", mapped, want)
	}
	elsewhere := fullSpec()
	elsewhere.Address, elsewhere.Port = address, 443
	other := netip.MustParseAddrPort("192.0.2.99:80")
	if got := NewTarget(other.Addr(), other.Port(), elsewhere).Key(); got != want {
		t.Errorf("a server that is checked at the same address and port has the key %s, want %s", got, want)
	}
	if got := (Target{Endpoint: other, Spec: elsewhere}).Key(); got != want {
		t.Errorf("a target made by hand has the key %s, want %s", got, want)
	}
	target := Target{Endpoint: other, Spec: elsewhere}
	if got := target.AppendKey([]byte("before"), fullSpec().Identity()); string(got) != "before"+want {
		t.Errorf("the appended key is %q, want %q", got, want)
	}
	if strings.Contains(want, "c2VjcmV0") || !strings.HasPrefix(fmt.Sprint(NewTarget(address, 443, fullSpec())), "https 192.0.2.1:443") {
		t.Errorf("key %q, name %v", want, NewTarget(address, 443, fullSpec()))
	}
}

// TestKeyHasEveryField changes each field of a spec in turn, including fields added in the future.
func TestKeyHasEveryField(t *testing.T) {
	server := netip.MustParseAddrPort("192.0.2.1:443")
	seen := map[string]string{NewTarget(server.Addr(), server.Port(), fullSpec()).Key(): "unchanged"}
	spec := fullSpec()
	visit(t, "Spec", reflect.ValueOf(&spec).Elem(), func(name string) {
		key := NewTarget(server.Addr(), server.Port(), spec).Key()
		if other, dup := seen[key]; dup {
			t.Errorf("%s changed: the same key as with %s", name, other)
		}
		seen[key] = name
	})
	spec.Check = &HTTP{fullSpec().Check.(*HTTPS).Request}
	if key := NewTarget(server.Addr(), server.Port(), spec).Key(); seen[key] != "" {
		t.Errorf("another kind of check: the same key as with %s", seen[key])
	} else {
		seen[key] = "kind"
	}
	if len(seen) < 20 {
		t.Errorf("only %d fields were changed", len(seen))
	}
}

// visit calls f with each field under v changed, one at a time.
func visit(t *testing.T, name string, v reflect.Value, f func(name string)) {
	t.Helper()
	changed := func(new any) {
		old := reflect.ValueOf(v.Interface())
		v.Set(reflect.ValueOf(new).Convert(v.Type()))
		f(name)
		v.Set(old)
	}
	switch v.Interface().(type) {
	case netip.Addr:
		changed(netip.MustParseAddr("198.51.100.7"))
		return
	}
	switch v.Kind() {
	case reflect.String:
		changed(v.String() + "x")
	case reflect.Int, reflect.Int64:
		changed(v.Int() + 1)
	case reflect.Uint16, reflect.Uint32:
		changed(v.Uint() + 1)
	case reflect.Bool:
		changed(!v.Bool())
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			t.Fatalf("%s is nil: add it to fullSpec", name)
		}
		visit(t, name, v.Elem(), f)
	case reflect.Slice:
		if v.Len() == 0 {
			t.Fatalf("%s is empty: add it to fullSpec", name)
		}
		changed(reflect.Append(v, v.Index(0)).Interface())
		visit(t, name+"[0]", v.Index(0), f)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("json") == "-" && v.Field(i).Kind() != reflect.Interface {
				continue // derived from another field; a changed file changes the target's probe, not its key
			}
			visit(t, name+"."+v.Type().Field(i).Name, v.Field(i), f)
		}
	default:
		t.Fatalf("%s: teach this test about %s", name, v.Kind())
	}
}

func BenchmarkKey(b *testing.B) {
	target := NewTarget(netip.MustParseAddr("192.0.2.1"), 443, fullSpec())
	b.ReportAllocs()
	for b.Loop() {
		_ = target.Key()
	}
}
