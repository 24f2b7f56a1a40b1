package words

import (
	"bytes"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A stranger's text is one that somebody else chose: a broker's remark, a name in a route, a
// topic that a program takes from its own users. What of it is shown to people goes through
// this file. It then has no control characters, which could rewrite a terminal, and no length
// beyond what a line of a log can take.

// MaxName is the longest name, in bytes, that a server or broker can go by: a DNS name of 253
// bytes with its port fits.
const MaxName = 300

// IsName reports whether a name or an address can be taken over from a stranger as it is: 1
// to [MaxName] bytes of printable UTF-8. Blanks count as printable.
func IsName(s string) bool { return s != "" && len(s) <= MaxName && isLine(s) }

// maxQuoted is the most bytes of a name in quotes. The names of topics and groups have at
// most 127.
const maxQuoted = 128

// Quote puts a stranger's name into quotes, as strconv.Quote does, and cuts it after 128
// bytes, for which "..." stands behind the quotes.
func Quote(s string) string {
	if len(s) <= maxQuoted {
		return strconv.Quote(s)
	}
	cut := maxQuoted
	for cut > maxQuoted-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strconv.Quote(s[:cut]) + "..."
}

// Line makes a stranger's text fit for an error or a log line: what cannot be printed, such
// as control characters and line separators, becomes one space per run, invalid UTF-8 becomes
// U+FFFD, and what exceeds most bytes is replaced by "...". A text that is fine already is
// returned as it is.
func Line(s string, most int) string {
	if len(s) <= most && isLine(s) {
		return s
	}
	const dots = "..."
	b := make([]byte, 0, min(len(s), most)+utf8.UTFMax)
	for _, r := range s {
		if !unicode.IsPrint(r) {
			r = ' '
		}
		if r == ' ' && (len(b) == 0 || b[len(b)-1] == ' ') {
			continue
		}
		if b = utf8.AppendRune(b, r); len(b) > most {
			cut := most - len(dots)
			for !utf8.RuneStart(b[cut]) {
				cut--
			}
			return string(append(b[:cut], dots...))
		}
	}
	return string(bytes.TrimSuffix(b, []byte(" ")))
}

// isLine reports whether s is printable UTF-8.
func isLine(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= utf8.RuneSelf {
			return utf8.ValidString(s[i:]) && !hasUnprintable(s[i:])
		} else if c < ' ' || c == '\x7f' {
			return false
		}
	}
	return true
}

func hasUnprintable(s string) bool {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return true
		}
	}
	return false
}

// maxError is the most bytes of the text of an error that is told within another one, or to a
// log.
const maxError = 4 << 10

// Err gives the text of an error that may hold a stranger's words, such as those of a
// certificate, on one line of at most 4 KiB. Several lines, as errors.Join makes them, are
// separated by semicolons.
func Err(err error) string {
	text := err.Error()
	if strings.ContainsAny(text, "\r\n") {
		lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\r' || r == '\n' })
		text = strings.Join(lines, "; ")
	}
	return Line(text, maxError)
}
