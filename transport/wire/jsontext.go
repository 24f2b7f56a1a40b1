package wire

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// appendJSONString appends s as a JSON string. Control characters, which separate properties
// and so occur in every send request, become \u00XX. Invalid UTF-8 becomes U+FFFD, one for
// each bad byte, as encoding/json does: JSON has no way to carry it.
func appendJSONString[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			// A conversion of at most UTFMax bytes stays on the stack.
			r, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, s[start:i]...)
				dst = append(dst, "\uFFFD"...)
				start = i + 1
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// span is the content of a JSON token in the scanned bytes. Plain content is its own value;
// other content holds escapes or invalid UTF-8 and goes through unescape.
type span struct {
	lo, hi int
	plain  bool
}

// value returns the bytes of a string token, without copying where they are plain.
func (p span) value(b []byte) []byte {
	if p.plain || p.lo == p.hi {
		return b[p.lo:p.hi]
	}
	return appendUnescaped(make([]byte, 0, p.hi-p.lo), b[p.lo:p.hi])
}

// str returns the token's value as a part of s, the string form of the scanned bytes.
func (p span) str(s string) string {
	if p.plain {
		return s[p.lo:p.hi]
	}
	return string(appendUnescaped(make([]byte, 0, p.hi-p.lo), []byte(s[p.lo:p.hi])))
}

// appendUnescaped appends the value of a string token's content, which has passed the scanner.
func appendUnescaped(dst, raw []byte) []byte {
	for i := 0; i < len(raw); {
		c := raw[i]
		switch {
		case c == '\\':
			i++
			switch c = raw[i]; c {
			case 'b':
				c = '\b'
			case 'f':
				c = '\f'
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			case 'u':
				r := rune(hex4(raw[i+1:]))
				i += 5
				if utf16.IsSurrogate(r) {
					// A low half must follow; a lone half becomes U+FFFD.
					pair := rune(utf8.RuneError)
					if i+6 <= len(raw) && raw[i] == '\\' && raw[i+1] == 'u' {
						pair = utf16.DecodeRune(r, rune(hex4(raw[i+2:])))
					}
					if pair != utf8.RuneError {
						i += 6
					}
					r = pair
				}
				dst = utf8.AppendRune(dst, r)
				continue
			}
			dst = append(dst, c)
			i++
		case c < utf8.RuneSelf:
			dst = append(dst, c)
			i++
		default:
			r, size := utf8.DecodeRune(raw[i:])
			dst = utf8.AppendRune(dst, r)
			i += size
		}
	}
	return dst
}

func hex4(b []byte) int {
	n := 0
	for _, c := range b[:4] {
		n = n<<4 | hexValue(c)
	}
	return n
}

func hexValue(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// maxJSONDepth bounds the nesting of values; a header's own need is two.
const maxJSONDepth = 32

// scanner reads JSON tokens from b without allocating. Methods return false at the first byte
// that breaks the grammar; i then is near it.
type scanner struct {
	b []byte
	i int
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

// peek skips white space and returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	s.space()
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

// take consumes c if it is the next byte after white space.
func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.i++
	return true
}

// member begins the next member of an object: it consumes the separator, the name and the
// colon. At the closing brace, which it consumes, more is false.
func (s *scanner) member(first bool) (name span, more, ok bool) {
	if s.take('}') {
		return span{}, false, true
	}
	if !first && !s.take(',') {
		return span{}, false, false
	}
	if name, ok = s.text(); !ok || !s.take(':') {
		return span{}, false, false
	}
	return name, true, true
}

// text reads a string.
func (s *scanner) text() (span, bool) {
	if !s.take('"') {
		return span{}, false
	}
	p := span{lo: s.i, plain: true}
	ascii := true
	for i := s.i; i < len(s.b); i++ {
		for len(s.b)-i >= 8 {
			n := bits.TrailingZeros64(special(binary.LittleEndian.Uint64(s.b[i:]))) / 8
			i += n
			if n < 8 {
				break
			}
			if i-p.lo == longText {
				i += plain32(s.b[i:])
			}
		}
		if i == len(s.b) {
			break
		}
		c := s.b[i]
		switch {
		case c == '"':
			p.hi, s.i = i, i+1
			if !ascii && p.plain {
				p.plain = utf8.Valid(s.b[p.lo:p.hi])
			}
			return p, true
		case c == '\\':
			p.plain = false
			i++
			if i == len(s.b) {
				s.i = i
				return span{}, false
			}
			switch s.b[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				for range 4 {
					i++
					if i == len(s.b) || hexValue(s.b[i]) < 0 {
						s.i = i
						return span{}, false
					}
				}
			default:
				s.i = i
				return span{}, false
			}
		case c < ' ':
			s.i = i
			return span{}, false
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	s.i = len(s.b)
	return span{}, false
}

// longText is from where a string is taken for a long one, such as the ids of a batch.
const longText = 64

// plain32 counts the bytes at the start of b that need no closer look, in steps of 32.
func plain32(b []byte) int {
	n := 0
	for ; len(b)-n >= 32; n += 32 {
		w := b[n : n+32]
		if special(binary.LittleEndian.Uint64(w))|special(binary.LittleEndian.Uint64(w[8:]))|
			special(binary.LittleEndian.Uint64(w[16:]))|special(binary.LittleEndian.Uint64(w[24:])) != 0 {
			break
		}
	}
	return n
}

// special has the high bit of each byte of w set that ends a string or needs a closer look: a
// quote, a backslash, a control character, a part of a longer character. The high bit of (x-1)&^x
// shows a zero byte of x. Bytes above one that shows may show for nothing, for the borrow, but
// the lowest is always right.
func special(w uint64) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	quote, slash := w^'"'*ones, w^'\\'*ones
	return (w | (w - ' '*ones) | (quote-ones)&^quote | (slash-ones)&^slash) & highs
}

// number reads a number of any form.
func (s *scanner) number() (span, bool) {
	s.space()
	p := span{lo: s.i, plain: true}
	if s.i < len(s.b) && s.b[s.i] == '-' {
		s.i++
	}
	switch {
	case s.i < len(s.b) && s.b[s.i] == '0':
		s.i++
	case s.digits() == 0:
		return span{}, false
	}
	if s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		if s.digits() == 0 {
			return span{}, false
		}
	}
	if s.i < len(s.b) && (s.b[s.i] == 'e' || s.b[s.i] == 'E') {
		s.i++
		if s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		if s.digits() == 0 {
			return span{}, false
		}
	}
	p.hi = s.i
	return p, true
}

func (s *scanner) digits() int {
	lo := s.i
	for s.i < len(s.b) && '0' <= s.b[s.i] && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i - lo
}

func (s *scanner) literal(word string) bool {
	s.space()
	if len(s.b)-s.i < len(word) || string(s.b[s.i:s.i+len(word)]) != word {
		return false
	}
	s.i += len(word)
	return true
}

// skip reads any value whose nesting stays below maxJSONDepth.
func (s *scanner) skip(depth int) bool {
	if depth >= maxJSONDepth {
		return false
	}
	switch s.peek() {
	case '"':
		_, ok := s.text()
		return ok
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	case '{':
		s.i++
		for first := true; ; first = false {
			_, more, ok := s.member(first)
			if !ok || !more {
				return ok
			}
			if !s.skip(depth + 1) {
				return false
			}
		}
	case '[':
		s.i++
		if s.take(']') {
			return true
		}
		for {
			if !s.skip(depth + 1) {
				return false
			}
			if s.take(']') {
				return true
			}
			if !s.take(',') {
				return false
			}
		}
	}
	_, ok := s.number()
	return ok
}

// parseInt reads a decimal integer as strconv.ParseInt does, but from bytes and without
// allocating. It refuses a plus sign, which Java accepts and never writes.
func parseInt[T string | []byte](s T) (int64, bool) {
	i, neg := 0, false
	if len(s) > 0 && s[0] == '-' {
		i, neg = 1, true
	}
	if i == len(s) {
		return 0, false
	}
	var n uint64
	for ; i < len(s); i++ {
		d := s[i] - '0'
		if d > 9 || n > (1<<63)/10 {
			return 0, false
		}
		n = n*10 + uint64(d)
	}
	if neg {
		return -int64(n), n <= 1<<63
	}
	return int64(n), n < 1<<63
}

// parseInt32 is parseInt for Java's int.
func parseInt32[T string | []byte](s T) (int32, bool) {
	n, ok := parseInt(s)
	if int64(int32(n)) != n {
		return 0, false
	}
	return int32(n), ok
}
