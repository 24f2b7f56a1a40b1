package policyfile

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// The limits of a file. A thousand policies have room.
const (
	// MaxSize is the largest file, in bytes.
	MaxSize = 256 << 10
	// maxDepth is how deep values may lie in each other. The parser's time grows with the square.
	maxDepth = 32
)

// place is where something stands in the file, from 1.
type place struct{ line, column int }

var start = place{1, 1}

// kind is what a node is.
type kind uint8

const (
	nothing kind = iota // null, or nothing behind the colon
	scalar
	list
	mapping
	broken // what is wrong with it has been told
)

var kindNames = [...]string{nothing: "nothing", scalar: "a single value", list: "a list", mapping: "a mapping", broken: "broken"}

// node is a value of the file. It is YAML's tree without what policies have no use for: tags,
// anchors, aliases and documents.
type node struct {
	place
	kind   kind
	text   string  // of a scalar, with its variables substituted
	quoted bool    // a scalar that is text, whatever it looks like
	same   string  // how all scalars are written that mean the same, once that is known
	keys   []key   // of a mapping, in the file's order
	items  []*node // of a list, and the values of a mapping
}

// key is a key of a mapping.
type key struct {
	place
	name string
}

// entry finds the value of a key.
func (n *node) entry(name string) (k key, v *node, ok bool) {
	if n == nil || n.kind != mapping {
		return key{}, nil, false
	}
	for i := range n.keys {
		if n.keys[i].name == name {
			return n.keys[i], n.items[i], true
		}
	}
	return key{}, nil, false
}

// reader makes the tree of a file.
type reader struct {
	*mistakes
	lookup func(name string) (string, bool)
}

// read gives the tree of a text that is one YAML document. It is nil if the text is none.
func (r *reader) read(data []byte) *node {
	if !r.plausible(data) {
		return nil
	}
	file, err := parseYAML(data)
	if err != nil {
		r.syntax(err)
		return nil
	}
	var body ast.Node
	for _, d := range file.Docs {
		switch {
		case d.Body == nil:
		case body != nil:
			r.add(placeOf(d.Body.GetToken()), "", "a second document begins here; a file has one")
			return nil
		default:
			body = d.Body
		}
	}
	if body == nil {
		r.add(start, "", "the file is empty; liftoff policy init prints one to start from")
		return nil
	}
	return r.convert(body, "", 0)
}

// plausible refuses what is no text, and what would take the parser long.
func (r *reader) plausible(data []byte) bool {
	if len(data) > MaxSize {
		r.add(start, "", "the file has %d bytes, at most %d are allowed", len(data), MaxSize)
		return false
	}
	at, depth := start, 0
	for i := 0; i < len(data); {
		c, size := utf8.DecodeRune(data[i:])
		switch {
		case c == utf8.RuneError && size == 1:
			r.add(at, "", "the file is not UTF-8")
			return false
		case c < ' ' && c != '\n' && c != '\r' && c != '\t', c == '\x7f', c == '\ufeff':
			r.add(at, "", "the character %U cannot be in a file of policies", c)
			return false
		case c == '[', c == '{':
			depth++
		case (c == ']' || c == '}') && depth > 0:
			depth--
		}
		if depth > maxDepth {
			r.add(at, "", "brackets lie more than %d deep in each other", maxDepth)
			return false
		}
		at.column++
		if c == '\n' {
			at = place{at.line + 1, 1}
		}
		i += size
	}
	return true
}

// parseYAML keeps the parser's panic: a file comes from outside.
func parseYAML(data []byte) (f *ast.File, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the YAML parser broke down: %v", v)
		}
	}()
	// Keys that are there twice are found later, beside the other mistakes.
	return parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
}

// syntax notes that the text is no YAML.
func (r *reader) syntax(err error) {
	wrong := (*yaml.SyntaxError)(nil)
	if !errors.As(err, &wrong) {
		r.add(start, "", "this is no YAML: %v", err)
		return
	}
	hint := ""
	switch {
	case strings.Contains(wrong.Message, "',' or '}'"):
		hint = "; within braces, text with a brace of its own, such as ${NAME}, stands in quotes"
	case strings.Contains(wrong.Message, "tab character"), strings.Contains(wrong.Message, "'\t'"):
		r.add(placeOf(wrong.Token), "", "this is no YAML: lines are indented with blanks, not with tabs")
		return
	case strings.Contains(wrong.Message, "mapping value is not allowed"):
		hint = "; text that has a colon and a blank stands in quotes, and keys of one mapping are indented alike"
	}
	r.add(placeOf(wrong.Token), "", "this is no YAML: %s%s", wrong.Message, hint)
}

// placeOf is the place of a token.
func placeOf(t *token.Token) place {
	if t == nil || t.Position == nil || t.Position.Line < 1 {
		return start
	}
	return place{t.Position.Line, max(1, t.Position.Column)}
}

// convert makes a node of the parser's. It is never nil.
func (r *reader) convert(n ast.Node, path string, depth int) *node {
	if n == nil {
		return &node{place: start}
	}
	out := &node{place: placeOf(n.GetToken())}
	before := len(r.list)
	if depth > maxDepth {
		out.kind = broken
		r.add(out.place, path, "it lies more than %d deep", maxDepth)
		return out
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		r.mapping(out, n.Values, path, depth)
	case *ast.MappingValueNode:
		r.mapping(out, []*ast.MappingValueNode{n}, path, depth)
	case *ast.SequenceNode:
		out.kind = list
		for i, v := range n.Values {
			out.items = append(out.items, r.convert(v, fmt.Sprintf("%s[%d]", path, i), depth+1))
		}
	case *ast.NullNode:
	case *ast.LiteralNode:
		out.kind, out.text, out.quoted = scalar, strings.TrimSuffix(n.Value.Value, "\n"), true
		r.substitute(out, path)
	case *ast.StringNode:
		t := n.GetToken().Type
		out.kind, out.text, out.quoted = scalar, n.Value, t == token.SingleQuoteType || t == token.DoubleQuoteType
		r.substitute(out, path)
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		out.kind, out.text = scalar, n.GetToken().Value
	case *ast.AnchorNode, *ast.AliasNode:
		r.add(out.place, path, `anchors and aliases ("&", "*") are not used here; "extends" takes over what another policy says`)
	case *ast.TagNode:
		r.add(out.place, path, `tags ("!") are not used here`)
	default:
		r.add(out.place, path, "a %v is not used here", n.Type())
	}
	if len(r.list) > before && out.kind != mapping && out.kind != list {
		out.kind = broken
	}
	return out
}

func (r *reader) mapping(out *node, values []*ast.MappingValueNode, path string, depth int) {
	out.kind = mapping
	if len(values) > 0 {
		out.place = placeOf(values[0].Key.GetToken())
	}
	for _, v := range values {
		k := key{placeOf(v.Key.GetToken()), v.Key.GetToken().Value}
		switch v.Key.(type) {
		case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		case *ast.MergeKeyNode:
			r.add(k.place, path, `"<<" is not used here; "extends" takes over what another policy says`)
			continue
		default:
			r.add(k.place, path, "a key is a name")
			continue
		}
		at := join(path, k.name)
		if first, _, twice := out.entry(k.name); twice {
			r.add(k.place, at, "it is there twice, first in line %d", first.line)
			continue
		}
		value := r.convert(v.Value, at, depth+1)
		if value.kind == nothing { // its place is behind the line
			value.place = k.place
		}
		out.keys, out.items = append(out.keys, k), append(out.items, value)
	}
}

// join makes the path of a key.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
