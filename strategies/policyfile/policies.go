package policyfile

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/filewatch"
)

// Policies are the policies of a file. They are a [core.PolicySource] and do not change.
type Policies struct {
	table        *core.PolicyTable
	list         []*policy // in the file's order
	parts        map[string]builtPart
	unregistered []string
}

var _ core.PolicySource = (*Policies)(nil)

// Load reads a regular file of at most [MaxSize] bytes. Its errors are those of package os and of [Parse].
func Load(file string, opts ...Option) (*Policies, error) {
	data, err := filewatch.Read(file, MaxSize)
	if err != nil {
		return nil, err
	}
	return Parse(file, data, opts...)
}

// Policy implements [core.PolicySource]: by the whole name, else the longest prefix, else the
// first pattern that fits, else the default.
func (p *Policies) Policy(topic string) *core.Policy { return p.table.Policy(topic) }

// Policies implements [core.PolicySource]. A policy that serves no topic is not there.
func (p *Policies) Policies() []core.TopicPolicy { return p.table.Policies() }

// Target says which target of the file a topic has: "topic Payments", "prefix Orders",
// "pattern *-audit", "default".
func (p *Policies) Target(topic string) string {
	if _, ok := p.table.ByTopic[topic]; ok {
		return "topic " + topic
	}
	prefix := ""
	for candidate := range p.table.ByPrefix {
		if len(candidate) > len(prefix) && strings.HasPrefix(topic, candidate) {
			prefix = candidate
		}
	}
	if prefix != "" {
		return "prefix " + prefix
	}
	for _, pattern := range p.table.ByPattern {
		if fits, err := path.Match(pattern.Pattern, topic); err == nil && fits {
			return "pattern " + pattern.Pattern
		}
	}
	return "default"
}

// Unregistered are the parts that [AcceptUnregistered] accepted, each with its kind, in the order
// of the policies.
func (p *Policies) Unregistered() []string { return slices.Clone(p.unregistered) }

// Names are the names of all policies of the file, in its order.
func (p *Policies) Names() []string {
	var out []string
	for _, pol := range p.list {
		out = append(out, pol.Name)
	}
	return out
}

// Unused are the names of the policies that serve no topic. Those that others extend are among
// them.
func (p *Policies) Unused() []string {
	used := map[*core.Policy]bool{}
	for _, tp := range p.Policies() {
		used[tp.Policy] = true
	}
	var out []string
	for _, pol := range p.list {
		if !used[&pol.Policy] {
			out = append(out, pol.Name)
		}
	}
	return out
}

// String writes the file as it was understood: variables substituted, each policy with what it
// took over, keys in order, times and sizes in one form. Read again it gives the same policies.
func (p *Policies) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "version: %d\npolicies:", Version)
	if len(p.list) == 0 {
		b.WriteString(" {}")
	}
	for _, pol := range p.list {
		fmt.Fprintf(&b, "\n  %s:", quote(pol.Name))
		if len(pol.fields) == 0 {
			b.WriteString(" {}")
		}
		for _, name := range slices.Sorted(maps.Keys(pol.fields)) {
			fmt.Fprintf(&b, "\n    %s: %s", name, pol.fields[name])
		}
	}
	b.WriteString("\ntargets:")
	begun := b.Len()
	byName := func(key string, policies map[string]*core.Policy) {
		if len(policies) == 0 {
			return
		}
		fmt.Fprintf(&b, "\n  %s:", key)
		for _, name := range slices.Sorted(maps.Keys(policies)) {
			fmt.Fprintf(&b, "\n    %s: %s", quote(name), quote(policies[name].Name))
		}
	}
	byName("topics", p.table.ByTopic)
	byName("prefixes", p.table.ByPrefix)
	if len(p.table.ByPattern) > 0 {
		b.WriteString("\n  patterns:")
	}
	for _, pattern := range p.table.ByPattern {
		fmt.Fprintf(&b, "\n    - {match: %s, policy: %s}", quote(pattern.Pattern), quote(pattern.Policy.Name))
	}
	if slices.ContainsFunc(p.list, func(pol *policy) bool { return &pol.Policy == p.table.Default }) {
		fmt.Fprintf(&b, "\n  default: %s", quote(p.table.Default.Name))
	}
	if b.Len() == begun {
		b.WriteString(" {}")
	}
	b.WriteByte('\n')
	return b.String()
}
