package words

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// Line makes a stranger's text fit for an error or a log line: control characters and line
// separators become one space per run, invalid UTF-8 becomes U+FFFD, and what exceeds most
// bytes is replaced by "...". A text that is fine already is returned as it is.
func Line(s string, most int) string {
	if len(s) <= most && isLine(s) {
		return s
	}
	const dots = "..."
	b := make([]byte, 0, min(len(s), most)+utf8.UTFMax)
	for _, r := range s {
		if isLineNoise(r) {
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

func isLineNoise(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
}

func isLine(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if isLineNoise(r) {
			return false
		}
	}
	return true
}
