package words_test

import (
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/internal/words"
)

func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "",
		"broker busy":               "broker busy",
		"a\nb\r\n\tc":               "a b c",
		"\x01later\x1b[31m\n":       "later [31m",
		"a\u2028b\u2029c":           "a b c",
		"bad \xff byte":             "bad \ufffd byte",
		"\n\n":                      "",
		strings.Repeat("x", 20):     strings.Repeat("x", 20),
		strings.Repeat("x", 21):     strings.Repeat("x", 17) + "...",
		strings.Repeat("\u20ac", 7): strings.Repeat("\u20ac", 5) + "...",
	} {
		if got := words.Line(in, 20); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
