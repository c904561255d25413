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
		v := &shown.VRRP[i]
		v.AuthPass = hidden(v.AuthPass)
		if v.AuthHMAC != nil {
			auth := *v.AuthHMAC
			auth.Keys = slices.Clone(auth.Keys)
			for j := range auth.Keys {
				auth.Keys[j].Secret = hidden(auth.Keys[j].Secret)
			}
			v.AuthHMAC = &auth
		}
	}
	shown.NotifyWebhooks = slices.Clone(c.NotifyWebhooks)
	for i := range shown.NotifyWebhooks {
		w := &shown.NotifyWebhooks[i]
		w.URL = w.URL.Redacted()
		w.Headers = slices.Clone(w.Headers)
		for j := range w.Headers {
			w.Headers[j].Value = hidden(w.Headers[j].Value)
		}
	}
	shown.NotifyEmails = slices.Clone(c.NotifyEmails)
	for i := range shown.NotifyEmails {
		shown.NotifyEmails[i].Password = hidden(shown.NotifyEmails[i].Password)
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
