package api

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

func TestStatusIsWrittenAsAConfiguration(t *testing.T) {
	text, err := json.Marshal(Status{Node: "lb1", VRRP: []Instance{{
		Name: "web", Family: "ipv6", State: vrrp.Backup,
		AdvertiseInterval: Duration(100 * time.Millisecond), SkewTime: Duration(60937500), MasterDownInterval: Duration(3609375 * time.Microsecond),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"node":"lb1"`, `"name":"web"`, `"family":"ipv6"`, `"advertise_interval":"100ms"`, `"skew_time":"60.9375ms"`, `"master_down_interval":"3.609375s"`,
	} {
		if strings.Count(string(text), want) != 1 {
			t.Errorf("not once %s in %s", want, text)
		}
	}
	for _, bad := range []string{`{"vrrp":[{"skew_time":"soon"}]}`, `{"vrrp":[{"skew_time":1}]}`} {
		if err := json.Unmarshal([]byte(bad), new(Status)); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}

func TestStatusRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.Custom(func(t *rapid.T) Instance {
			span := rapid.Map(rapid.Int64(), func(n int64) Duration { return Duration(n) })
			return Instance{
				Name:   rapid.StringMatching("[a-z]*").Draw(t, "name"),
				Family: rapid.SampledFrom([]string{"ipv4", "ipv6"}).Draw(t, "family"),
				State:  vrrp.Master, Priority: rapid.Uint8().Draw(t, "priority"),
				AdvertiseInterval: span.Draw(t, "interval"), SkewTime: span.Draw(t, "skew"), MasterDownInterval: span.Draw(t, "down"),
			}
		})
		want := Status{Node: "lb1", Problems: []Problem{{What: "ipvs"}}, VRRP: rapid.SliceOf(some).Draw(t, "instances")}
		want.Services = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Service {
			return Service{Name: rapid.String().Draw(t, "service"), Servers: make([]Server, rapid.IntRange(0, 2).Draw(t, "servers"))}
		}), 0, 3).Draw(t, "services")
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var streamed strings.Builder
		if err := want.write(&streamed, each(want)); err != nil {
			t.Fatal(err)
		}
		if len(want.VRRP) == 0 {
			want.VRRP = nil
		}
		if len(want.Services) == 0 {
			want.Services = nil
		}
		for name, text := range map[string]string{"whole": string(text), "in pieces": streamed.String()} {
			var got Status
			if err := json.Unmarshal([]byte(text), &got); err != nil {
				t.Fatalf("%s: %v in %s", name, err, text)
			}
			if diff := cmp.Diff(want, got, exactly); diff != "" {
				t.Fatalf("%s: the status differs (-want +got):\n%s", name, diff)
			}
		}
	})
}

// exactly compares values with unexported fields.
var exactly = cmp.Options{
	cmp.Comparer(func(a, b ServiceKey) bool { return a == b }), cmp.Comparer(func(a, b ServerKey) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
}
