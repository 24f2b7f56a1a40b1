package policyfile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/liftoff-mq/liftoff/core"
)

// Change is one difference between two files.
type Change struct {
	// What is changed: "policy payments", or "topic Payments", "prefix Orders", "pattern *-audit",
	// "every other topic".
	What string
	// Field is the key of the policy that differs, such as "retry". It is empty where a policy
	// comes or goes, and for targets.
	Field string
	// Old and New are what the files say, in one line; empty where one of them says nothing.
	Old, New string
}

// String says the change in a line.
func (c Change) String() string {
	what := c.What
	if c.Field != "" {
		what += ", " + c.Field
	}
	switch {
	case c.Old == "":
		return fmt.Sprintf("%s: added %s", what, c.New)
	case c.New == "":
		return fmt.Sprintf("%s: removed %s", what, c.Old)
	default:
		return fmt.Sprintf("%s: %s becomes %s", what, c.Old, c.New)
	}
}

// Diff says what changes when a producer goes from one file to another. It compares what the files
// mean: the order of keys, comments, the ways to write the same time, and whether a policy says
// something itself or took it over do not count. Of a target that names another policy the change
// is told; of one whose policy changes, the policy's.
func Diff(from, to *Policies) []Change {
	var out []Change
	a, b := from.byName(), to.byName()
	for _, name := range union(a, b) {
		out = append(out, fieldChanges("policy "+name, a[name], b[name])...)
	}
	targets := func(kind string, a, b map[string]*core.Policy) {
		for _, name := range union(a, b) {
			out = append(out, changed(kind+" "+name, nameOf(a[name]), nameOf(b[name]))...)
		}
	}
	targets("topic", from.table.ByTopic, to.table.ByTopic)
	targets("prefix", from.table.ByPrefix, to.table.ByPrefix)
	targets("pattern", patterns(from.table), patterns(to.table))
	if x, y := order(from.table), order(to.table); x != y && sorted(x) == sorted(y) {
		out = append(out, Change{What: "order of the patterns", Old: x, New: y})
	}
	return append(out, changed("every other topic", nameOf(from.table.Default), nameOf(to.table.Default))...)
}

// fieldChanges are the differences of one policy.
func fieldChanges(what string, a, b *policy) []Change {
	switch {
	case a == nil:
		return []Change{{What: what, New: b.line()}}
	case b == nil:
		return []Change{{What: what, Old: a.line()}}
	}
	var out []Change
	for _, field := range union(a.fields, b.fields) {
		old, now := meaning(a.fields[field]), meaning(b.fields[field])
		if old != now {
			out = append(out, Change{what, field, old, now})
		}
	}
	return out
}

// meaning is what a field says, the same for all ways to say it: "safe" and "{safe: {}}".
func meaning(n *node) string {
	if n != nil && n.kind == mapping && len(n.keys) == 1 && len(n.items[0].keys)+len(n.items[0].items) == 0 && n.items[0].kind != scalar {
		return quote(n.keys[0].name)
	}
	if n == nil {
		return ""
	}
	return n.String()
}

// line is a policy in one line.
func (p *policy) line() string {
	var list []string
	for _, field := range slices.Sorted(maps.Keys(p.fields)) {
		list = append(list, field+": "+meaning(p.fields[field]))
	}
	return "{" + strings.Join(list, ", ") + "}"
}

func (p *Policies) byName() map[string]*policy {
	out := map[string]*policy{}
	for _, pol := range p.list {
		out[pol.Name] = pol
	}
	return out
}

func changed(what, old, now string) []Change {
	if old == now {
		return nil
	}
	return []Change{{What: what, Old: old, New: now}}
}

func nameOf(p *core.Policy) string {
	if p == nil {
		return ""
	}
	return p.Name
}

func patterns(t *core.PolicyTable) map[string]*core.Policy {
	out := map[string]*core.Policy{}
	for _, p := range t.ByPattern {
		out[p.Pattern] = p.Policy
	}
	return out
}

// order are the patterns as they are tried.
func order(t *core.PolicyTable) string {
	var list []string
	for _, p := range t.ByPattern {
		list = append(list, p.Pattern)
	}
	return strings.Join(list, " ")
}

func sorted(words string) string {
	list := strings.Fields(words)
	slices.Sort(list)
	return strings.Join(list, " ")
}

// union are the keys of two maps in order.
func union[K cmp.Ordered, V any](a, b map[K]V) []K {
	all := slices.Concat(slices.Collect(maps.Keys(a)), slices.Collect(maps.Keys(b)))
	slices.Sort(all)
	return slices.Compact(all)
}
