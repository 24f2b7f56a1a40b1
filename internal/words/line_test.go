package words_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/internal/words"
)

func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		"":                           "",
		"broker busy":                "broker busy",
		"a\nb\r\n\tc":                "a b c",
		"\x01later\x1b[31m\n":        "later [31m",
		"a\u2028b\u2029c":            "a b c",
		"bad \xff byte":              "bad \ufffd byte",
		"\n\n":                       "",
		"csi \u009b31m":              "csi 31m", // U+009B is ESC [ to some terminals
		"gpj.\u202eexe":              "gpj. exe",
		"del\x7f":                    "del",
		strings.Repeat("x", 20):      strings.Repeat("x", 20),
		strings.Repeat("x", 21):      strings.Repeat("x", 17) + "...",
		strings.Repeat("\u20ac", 7):  strings.Repeat("\u20ac", 5) + "...",
		"Z\u00fcrich \u4e2d\u6587 x": "Z\u00fcrich \u4e2d\u6587 x",
	} {
		if got := words.Line(in, 20); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"":                              `""`,
		"orders":                        `"orders"`,
		"a\x1b[31m\u009b\xff":           `"a\x1b[31m\u009b\xff"`,
		strings.Repeat("x", 128):        `"` + strings.Repeat("x", 128) + `"`,
		strings.Repeat("x", 129):        `"` + strings.Repeat("x", 128) + `"...`,
		"xx" + strings.Repeat("€", 50):  `"xx` + strings.Repeat("€", 42) + `"...`,
		"xxx" + strings.Repeat("€", 50): `"xxx` + strings.Repeat("€", 41) + `"...`,
		strings.Repeat("\xbf", 200):     `"` + strings.Repeat(`\xbf`, 124) + `"...`,
		strings.Repeat("x", 300<<10):    `"` + strings.Repeat("x", 128) + `"...`,
	} {
		if got := words.Quote(in); got != want {
			t.Errorf("%.40q: got %s, want %s", in, got, want)
		}
	}
}

func TestIsName(t *testing.T) {
	for in, want := range map[string]bool{
		"":                                   false,
		"broker-a":                           true,
		"my broker":                          true,
		"中文":                                 true,
		"[fd00::2%eth0]:10911":               true,
		"a\x1b[31m":                          false,
		"a\x7f":                              false,
		"a\n":                                false,
		"a\u009b":                            false,
		"é\x1b":                              false,
		"a\u202e":                            false,
		"a\xff":                              false,
		strings.Repeat("x", words.MaxName):   true,
		strings.Repeat("x", words.MaxName+1): false,
	} {
		if got := words.IsName(in); got != want {
			t.Errorf("%q: got %v", in, got)
		}
	}
}

func TestErr(t *testing.T) {
	if got := words.Err(errors.Join(errors.New("one\x1b[2J"), errors.New("two"))); got != "one [2J; two" {
		t.Errorf("got %q", got)
	}
	if n := len(words.Err(errors.New(strings.Repeat("x", 1<<20)))); n != 4<<10 {
		t.Errorf("%d bytes", n)
	}
}
