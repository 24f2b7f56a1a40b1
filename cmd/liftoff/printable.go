package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/liftoff-mq/liftoff/internal/words"
)

// printable is a writer of lines for people. What cannot be printed does not get through: an
// escape sequence in an argument or in a server's words would rewrite the terminal. Each Write
// is of whole characters.
type printable struct{ w io.Writer }

func (p printable) Write(text []byte) (int, error) {
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		body, ended := strings.CutSuffix(line, "\n")
		// What a line begins with may be blanks that mean something.
		rest := strings.TrimLeft(body, " ")
		b.WriteString(body[:len(body)-len(rest)])
		b.WriteString(words.Line(rest, maxPrinted))
		if ended {
			b.WriteByte('\n')
		}
	}
	if _, err := io.WriteString(p.w, b.String()); err != nil {
		return 0, err
	}
	return len(text), nil
}

// maxPrinted is the most bytes of one line on standard error.
const maxPrinted = 64 << 10

// printableJSON escapes what cannot be printed and encoding/json leaves as it is, such as
// U+009B, which is the beginning of an escape sequence to some terminals.
func printableJSON(text []byte) []byte {
	for at := 0; at < len(text); {
		r, n := utf8.DecodeRune(text[at:])
		if !unicode.IsPrint(r) {
			return escapeFrom(text, at)
		}
		at += n
	}
	return text
}

func escapeFrom(text []byte, at int) []byte {
	out := append([]byte(nil), text[:at]...)
	for _, r := range string(text[at:]) {
		switch {
		case unicode.IsPrint(r):
			out = utf8.AppendRune(out, r)
		case r > 0xffff:
			r -= 0x10000
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}
