// Package secret has string types that are masked when printed: passwords, authorization headers, and URLs that may contain a
// token.
package secret

import (
	"fmt"
	"io"
	"log/slog"
	"net/url"
)

// Hidden is printed instead of a secret.
const Hidden = "(hidden)"

// Text is a secret. Packages fmt and log/slog print Hidden instead, at any depth in another value, or nothing if it is
// empty. Reveal and encoding/json return the secret itself: a configuration is passed whole through files and sockets, which
// only their owner may read.
type Text string

// Reveal returns the secret itself.
func (t Text) Reveal() string { return string(t) }

// Format implements fmt.Formatter for every verb.
func (t Text) Format(s fmt.State, _ rune) {
	if t != "" {
		_, _ = io.WriteString(s, Hidden)
	}
}

// LogValue implements slog.LogValuer.
func (t Text) LogValue() slog.Value {
	if t == "" {
		return slog.StringValue("")
	}
	return slog.StringValue(Hidden)
}

// URL is a URL of which only scheme and host print: the path and the query of a webhook's URL often contain a token.
type URL string

// Reveal returns the URL itself.
func (u URL) Reveal() string { return string(u) }

// Redacted returns the URL without its secrets.
func (u URL) Redacted() URL {
	if u == "" {
		return ""
	}
	parsed, err := url.Parse(string(u))
	if err != nil || parsed.Host == "" {
		return Hidden
	}
	text := parsed.Scheme + "://" + parsed.Host
	if rest := (url.URL{Scheme: parsed.Scheme, Host: parsed.Host}); rest.String() != string(u) {
		text += "/" + Hidden
	}
	return URL(text)
}

// Format implements fmt.Formatter for every verb.
func (u URL) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, string(u.Redacted())) }

// LogValue implements slog.LogValuer.
func (u URL) LogValue() slog.Value { return slog.StringValue(string(u.Redacted())) }
