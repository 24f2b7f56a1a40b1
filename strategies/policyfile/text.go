package policyfile

import (
	"slices"
	"strconv"
	"strings"
)

// String writes a node in one line, in one way for all ways of writing the same: keys in order,
// and what was asked for as a time, a size or a number in one form. It can be read again as YAML.
func (n *node) String() string {
	var b strings.Builder
	n.write(&b)
	return b.String()
}

func (n *node) write(b *strings.Builder) {
	switch n.kind {
	case nothing:
		b.WriteString("{}")
	case scalar:
		b.WriteString(n.canonical())
	case list:
		b.WriteByte('[')
		for i, item := range n.items {
			if i > 0 {
				b.WriteString(", ")
			}
			item.write(b)
		}
		b.WriteByte(']')
	case mapping:
		b.WriteByte('{')
		for i, k := range n.sorted() {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(quote(n.keys[k].name))
			b.WriteString(": ")
			n.items[k].write(b)
		}
		b.WriteByte('}')
	}
}

// sorted are the indices of a mapping's keys by their names.
func (n *node) sorted() []int {
	order := make([]int, len(n.keys))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(n.keys[a].name, n.keys[b].name) })
	return order
}

// canonical writes a scalar.
func (n *node) canonical() string {
	switch {
	case n.same != "":
		return n.same
	case !n.quoted && (n.text == "true" || n.text == "false" || isNumber(n.text)):
		return n.text
	}
	return quote(n.text)
}

// sizeText writes a size with the largest unit that divides it.
func sizeText(n int) string {
	for _, unit := range []string{"GiB", "MiB", "KiB"} {
		if f := units[unit]; n >= f && n%f == 0 {
			return strconv.Itoa(n/f) + unit
		}
	}
	return strconv.Itoa(n) + "B"
}

// quote writes a text so that YAML reads it as text and no variable is found in it.
func quote(s string) string {
	s = strings.ReplaceAll(s, "$", "$$")
	if isWord(s) && !isNumber(s) && !slices.Contains([]string{"true", "false", "null"}, strings.ToLower(s)) && (s[0] < '0' || s[0] > '9') && s[0] != '-' {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c < ' ' || c == '\x7f' || c >= '\x80' && c < '\xa0' || c == '\ufeff':
			b.WriteString(`\u`)
			const digits = 4
			hex := strconv.FormatInt(int64(c), 16)
			b.WriteString(strings.Repeat("0", digits-len(hex)) + hex)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// isWord reports whether s is of letters, digits, "_" and "-", and not empty.
func isWord(s string) bool {
	for _, c := range s {
		if !isWordChar(c) {
			return false
		}
	}
	return s != ""
}

func isWordChar(c rune) bool {
	return c == '_' || c == '-' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
