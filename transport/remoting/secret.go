package remoting

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// hidden stands for the text of a secret wherever one is shown.
const hidden = "[hidden]"

// Secret is a text that is not shown: fmt with any verb, log/slog and encoders write "[hidden]"
// in its place. Its zero value is the empty text, which is shown as "". A Secret can be decoded
// from JSON, YAML, flags and environment variables, as text.
//
// Two secrets of the same text are not equal by ==: see [Secret.Equal].
type Secret struct {
	// A pointer, because fmt shows the fields of another package's struct without asking them,
	// but follows no pointers there.
	text *string
}

// NewSecret makes a secret of its text.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{&text}
}

// Reveal returns the text.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero reports whether the text is empty.
func (s Secret) IsZero() bool { return s.text == nil }

// Equal reports whether both have the same text.
func (s Secret) Equal(o Secret) bool { return s.text == o.text || s.Reveal() == o.Reveal() }

// String is "[hidden]", or "" for the empty text.
func (s Secret) String() string {
	if s.text == nil {
		return ""
	}
	return hidden
}

// Format implements [fmt.Formatter]: every verb shows what String gives.
func (s Secret) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, s.String()) // fmt has nowhere to report it
}

// LogValue implements [slog.LogValuer].
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText gives what String gives: what is written can be shown, but not read again.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes the text. It refuses "[hidden]", which is what MarshalText left of some
// other secret.
func (s *Secret) UnmarshalText(text []byte) error {
	if string(text) == hidden {
		return errors.New("a secret that was hidden when it was written: give the secret itself")
	}
	*s = NewSecret(string(text))
	return nil
}
