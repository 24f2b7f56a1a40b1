package policyfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/liftoff-mq/liftoff/internal/confjson"
)

// Into decodes all options that were not asked for into the struct that cfg points to, by its
// tags "json". Its times are written with their units. A constructor that refuses the struct's
// values names its fields, which gives the mistakes their places.
func (o *Options) Into(cfg any) {
	members := confjson.Members(cfg)
	for _, m := range members {
		if o.knows(m.Name) {
			continue
		}
		v := o.find(m.Name, shapeOf(m))
		if v == nil || !o.b.fits(v, &m, join(o.path, m.Name)) {
			continue
		}
		data, err := json.Marshal(map[string]any{m.Name: plain(v, &m)})
		if err == nil {
			err = confjson.Unmarshal(data, cfg)
		}
		if err != nil {
			o.Fail(m.Name, errors.New(strings.TrimPrefix(err.Error(), m.Name+": ")))
		}
	}
}

// fits reports whether a value is of the sort of a member, and notes what is wrong with it.
func (b *builder) fits(n *node, m *confjson.Member, path string) bool {
	fail := func(format string, args ...any) bool {
		b.add(n.place, path, format, args...)
		return false
	}
	want := func(k kind, what string) bool {
		return n.kind == k || n.kind != broken && fail("it is %s, want %s", kindNames[n.kind], what)
	}
	each := func(sort confjson.Sort, what string) bool {
		ok := want(list, what)
		if ok {
			for i, item := range n.items {
				ok = b.fits(item, &confjson.Member{Sort: sort, Words: m.Words}, fmt.Sprintf("%s[%d]", path, i)) && ok
			}
		}
		return ok
	}
	number := func(what string, is func() bool) bool {
		switch {
		case !want(scalar, what):
			return false
		case n.quoted:
			return fail("%q is a text, want %s", n.text, what)
		}
		return is() || fail("%q is not %s", n.text, what)
	}
	switch m.Sort {
	case confjson.Duration:
		if !want(scalar, "a time with its unit, such as 1.5s") {
			return false
		}
		d, err := parseDuration(n.text)
		if err != nil {
			return fail("%v", err)
		}
		n.same = d.String()
		return true
	case confjson.Durations:
		return each(confjson.Duration, "a list of times, such as [50ms, 1s]")
	case confjson.Bool:
		return number("true or false", func() bool { return n.text == "true" || n.text == "false" })
	case confjson.Whole:
		return number("a whole number, such as 1", func() bool { return isNumber(n.text) && !strings.ContainsAny(n.text, ".eE") })
	case confjson.Number:
		return number("a number, such as 0.1", func() bool { return isNumber(n.text) })
	case confjson.Text:
		return want(scalar, "a text")
	case confjson.Texts:
		return each(confjson.Text, "a list, such as [a, b]")
	case confjson.Word:
		return want(scalar, "one of "+strings.Join(m.Words, ", ")) && (slices.Contains(m.Words, n.text) || fail("%q is not known%s", n.text, meant(n.text, m.Words)))
	case confjson.Words:
		return each(confjson.Word, "a list of "+strings.Join(m.Words, ", "))
	case confjson.Numbers:
		return want(mapping, "numbers by their names") && b.fitEach(n, path, func(string) *confjson.Member { return &confjson.Member{Sort: confjson.Whole} }, nil)
	case confjson.Object:
		var known []string
		for _, below := range m.Below {
			known = append(known, below.Name)
		}
		return want(mapping, "a mapping of "+strings.Join(known, ", ")) && b.fitEach(n, path, func(name string) *confjson.Member {
			if i := slices.Index(known, name); i >= 0 {
				return &m.Below[i]
			}
			return nil
		}, known)
	}
	return n.kind != broken
}

// fitEach looks at the values of a mapping, by what their keys are.
func (b *builder) fitEach(n *node, path string, of func(name string) *confjson.Member, known []string) bool {
	ok := true
	for i, k := range n.keys {
		if m := of(k.name); m != nil {
			ok = b.fits(n.items[i], m, join(path, k.name)) && ok
			continue
		}
		b.add(k.place, join(path, k.name), "unknown key%s", meant(k.name, known))
		ok = false
	}
	return ok
}

// plain is a value that fits, as encoding/json knows it.
func plain(n *node, m *confjson.Member) any {
	switch m.Sort {
	case confjson.Bool:
		return n.text == "true"
	case confjson.Whole, confjson.Number:
		return json.Number(n.text)
	case confjson.Duration, confjson.Text, confjson.Word:
		return n.text
	case confjson.Durations, confjson.Texts, confjson.Words:
		out := make([]string, len(n.items))
		for i, item := range n.items {
			out[i] = item.text
		}
		return out
	case confjson.Numbers, confjson.Object:
		out := map[string]any{}
		for i, k := range n.keys {
			below := &confjson.Member{Sort: confjson.Whole}
			if j := slices.IndexFunc(m.Below, func(b confjson.Member) bool { return b.Name == k.name }); j >= 0 {
				below = &m.Below[j]
			}
			out[k.name] = plain(n.items[i], below)
		}
		return out
	}
	return loose(n)
}

// loose is a value of a sort that is not known.
func loose(n *node) any {
	switch n.kind {
	case scalar:
		switch {
		case n.quoted:
			return n.text
		case n.text == "true", n.text == "false":
			return n.text == "true"
		case isNumber(n.text):
			return json.Number(n.text)
		}
		return n.text
	case list:
		out := make([]any, len(n.items))
		for i, item := range n.items {
			out[i] = loose(item)
		}
		return out
	case mapping:
		out := map[string]any{}
		for i, k := range n.keys {
			out[k.name] = loose(n.items[i])
		}
		return out
	}
	return nil
}
