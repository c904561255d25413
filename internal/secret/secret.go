// Package secret has a string type for passwords and authorization headers that is masked when printed.
package secret

import (
	"fmt"
	"io"
	"log/slog"
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
