package doctortest

import (
	"errors"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/doctor"
)

var _ doctor.Machine = (*Machine)(nil)

func TestFixes(t *testing.T) {
	refused := errors.New("refused")
	m := &Machine{Fail: map[doctor.Fix]error{{Key: "a.b", Value: "2"}: refused}}
	m.Now.Sysctls = map[string]string{"a.b": "0"}
	m.Now.Modules.Available = []string{"ip_vs"}
	seen := m.Observe(t.Context(), nil)
	if err := m.Fix(t.Context(), doctor.Fix{Key: "a.b", Value: "2"}); !errors.Is(err, refused) {
		t.Errorf("error %v, want the configured one", err)
	}
	for _, f := range []doctor.Fix{{Key: "a.c", Value: "1"}, {Module: "ip_vs_rr"}} {
		if err := m.Fix(t.Context(), f); err == nil {
			t.Errorf("%v was made", f)
		}
	}
	for _, f := range []doctor.Fix{{Key: "a.b", Value: "1"}, {Module: "ip_vs"}} {
		if err := m.Fix(t.Context(), f); err != nil {
			t.Error(err)
		}
	}
	now := m.Observe(t.Context(), nil)
	if now.Sysctls["a.b"] != "1" || !now.IPVS || !now.Modules.Has("ip_vs") || len(m.Done) != 2 {
		t.Errorf("after the fixes: %+v, done %v", now, m.Done)
	}
	if seen.Sysctls["a.b"] != "0" || seen.IPVS {
		t.Errorf("an earlier observation changed: %+v", seen)
	}
}
