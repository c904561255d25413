package config

import (
	"slices"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/secret"
)

// Redacted returns a copy without secrets, which is safe to show as JSON. Packages fmt and log/slog hide secrets
// themselves; encoding/json does not, because the last valid configuration is stored with it.
func (c *Config) Redacted() *Config {
	shown := *c
	shown.VRRP = slices.Clone(c.VRRP)
	for i := range shown.VRRP {
		shown.VRRP[i].AuthPass = hidden(shown.VRRP[i].AuthPass)
	}
	shown.Services = slices.Clone(c.Services)
	for i := range shown.Services {
		s := &shown.Services[i]
		s.Checks = redactChecks(s.Checks)
		s.RealServers = slices.Clone(s.RealServers)
		for j := range s.RealServers {
			s.RealServers[j].Checks = redactChecks(s.RealServers[j].Checks)
		}
	}
	return &shown
}

func redactChecks(checks []healthcheck.Spec) []healthcheck.Spec {
	checks = slices.Clone(checks)
	for i := range checks {
		checks[i] = checks[i].Redacted()
	}
	return checks
}

func hidden(text secret.Text) secret.Text {
	if text == "" {
		return ""
	}
	return secret.Hidden
}
