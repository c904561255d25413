// Package secret has a text that never prints: passwords and authorization headers are kept in it.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// Hidden is what prints in place of a secret.
const Hidden = "(hidden)"

// Text is a secret. Whatever prints it with package fmt or log/slog, however deep in another value, prints Hidden, or
// nothing where it is empty. Reveal and encoding/json give the secret itself: a configuration has to go whole through
// a file or a socket, which must then be readable by its owner only.
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
