package doctor_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/doctor"
	"github.com/lvs-ha/lvs-ha/internal/doctor/doctortest"
)

func TestApplyFixes(t *testing.T) {
	m := &doctortest.Machine{Now: *healthy(), Fail: map[doctor.Fix]error{}}
	m.Now.IPVS, m.Now.Modules.Loaded = false, nil
	m.Now.Sysctls["net.ipv4.ip_forward"] = "0"
	m.Now.Sysctls["net.ipv4.vs.sync_version"] = "0"
	m.Now.Sysctls["net.ipv4.vs.expire_nodest_conn"] = "0" // advice, which is not applied automatically
	cfg := load(t, natConfig)
	m.Now.Adverts[0].Advert.Addresses = append(m.Now.Adverts[0].Advert.Addresses, addr("192.168.10.254"))
	refused := errors.New("refused")
	m.Fail[doctor.Fix{Key: "net.ipv4.vs.sync_version", Value: "1"}] = refused

	findings := doctor.Examine(cfg, m.Observe(t.Context(), cfg))
	if got := doctor.ExitStatus(findings); got != doctor.ExitErrors {
		t.Errorf("exit status %d before", got)
	}
	findings = doctor.ApplyFixes(t.Context(), m, findings)
	want := []doctor.Fix{{Module: "ip_vs"}, {Module: "ip_vs_rr"}, {Key: "net.ipv4.ip_forward", Value: "1"}}
	if !slices.Equal(m.Done, want) {
		t.Errorf("it made %v, want %v", m.Done, want)
	}
	if got := doctor.ExitStatus(findings); got != doctor.ExitWarnings {
		t.Errorf("exit status %d with a warning that could not be fixed", got)
	}
	i := slices.IndexFunc(findings, func(f doctor.Finding) bool { return f.Code == "sync-version" })
	if f := findings[i]; f.Fixed || f.FixError != "refused" {
		t.Errorf("the fix that failed: %+v", f)
	}
	delete(m.Fail, doctor.Fix{Key: "net.ipv4.vs.sync_version", Value: "1"})
	findings = doctor.ApplyFixes(t.Context(), m, doctor.Examine(cfg, m.Observe(t.Context(), cfg)))
	if got := doctor.ExitStatus(findings); got != doctor.ExitOK {
		t.Errorf("exit status %d in the end: %q", got, report(findings))
	}
}

func TestExitStatus(t *testing.T) {
	f := func(s doctor.Severity, fixed bool) doctor.Finding { return doctor.Finding{Severity: s, Fixed: fixed} }
	for _, c := range []struct {
		findings []doctor.Finding
		want     int
	}{
		{nil, 0},
		{[]doctor.Finding{f(doctor.OK, false), f(doctor.Info, false)}, 0},
		{[]doctor.Finding{f(doctor.Warning, false), f(doctor.Info, false)}, 2},
		{[]doctor.Finding{f(doctor.Warning, false), f(doctor.Error, false)}, 1},
		{[]doctor.Finding{f(doctor.Error, true), f(doctor.Warning, false)}, 2},
		{[]doctor.Finding{f(doctor.Error, true), f(doctor.Warning, true)}, 0},
	} {
		if got := doctor.ExitStatus(c.findings); got != c.want {
			t.Errorf("%v: %d, want %d", c.findings, got, c.want)
		}
	}
}
