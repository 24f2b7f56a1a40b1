package policyfile

import (
	"strings"
)

// substitute puts the values of variables into a scalar: ${NAME}, or ${NAME:-default} for one
// that is not set or empty, and $$ for a dollar sign. The tree is made already, so a value is
// one value whatever is in it.
func (r *reader) substitute(n *node, path string) {
	if !strings.Contains(n.text, "$") {
		return
	}
	var out strings.Builder
	rest := n.text
	for {
		before, after, found := strings.Cut(rest, "$")
		out.WriteString(before)
		if !found {
			break
		}
		var value string
		switch {
		case strings.HasPrefix(after, "$"):
			value, rest = "$", after[1:]
		case strings.HasPrefix(after, "{"):
			inner, behind, closed := strings.Cut(after[1:], "}")
			if !closed {
				r.add(n.place, path, `"${" has no "}"`)
				return
			}
			value, rest = r.variable(n, path, inner), behind
			n.quoted = false // a number may have come
		default:
			r.add(n.place, path, "a variable is written ${NAME}, a dollar sign $$")
			return
		}
		out.WriteString(value)
	}
	n.text = out.String()
}

// variable is the value of what stands between the braces.
func (r *reader) variable(n *node, path, inner string) string {
	name, def, hasDefault := strings.Cut(inner, ":-")
	if !isVariable(name) {
		r.add(n.place, path, "%q is no name of a variable; those are written ${NAME} or ${NAME:-default}", name)
		return ""
	}
	value, set := r.lookup(name)
	switch {
	case hasDefault && value == "":
		return def
	case !set:
		r.add(n.place, path, "the variable %s is not set, and there is no default: ${%s:-default}", name, name)
	}
	return value
}

// isVariable reports whether a name can be an environment variable's in a shell.
func isVariable(name string) bool {
	for i, c := range name {
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}
