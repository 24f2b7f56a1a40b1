package core

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// PolicyTable is a [PolicySource] that chooses by the topic's name: by the whole name, else by
// the longest prefix, else by the first pattern that fits, else the default.
type PolicyTable struct {
	// Default serves every topic that nothing else fits. It is required. Where such topics
	// are sent as the [Config] says, it is &Policy{Name: "default"}.
	Default *Policy
	// ByTopic has the policies of single topics.
	ByTopic map[string]*Policy
	// ByPrefix has the policies of topics that begin alike.
	ByPrefix map[string]*Policy
	// ByPattern has the policies of topics that fit a pattern, tried in order.
	ByPattern []PatternPolicy
}

// PatternPolicy is the policy of the topics that fit a pattern.
type PatternPolicy struct {
	// Pattern is one of [path.Match]: * stands for any characters, ? for one, [a-c] for one
	// of a range.
	Pattern string
	Policy  *Policy
}

// Policy implements [PolicySource]. It takes a map access for the name, and one for each prefix
// of the name if there are any. A producer asks once for each topic.
func (t *PolicyTable) Policy(topic string) *Policy {
	if p, ok := t.ByTopic[topic]; ok {
		return p
	}
	if len(t.ByPrefix) > 0 {
		for n := len(topic); n >= 0; n-- {
			if p, ok := t.ByPrefix[topic[:n]]; ok {
				return p
			}
		}
	}
	for _, p := range t.ByPattern {
		if fits, err := path.Match(p.Pattern, topic); err == nil && fits {
			return p.Policy
		}
	}
	return t.Default
}

// Policies implements [PolicySource]: the topics of one policy share a line, by name; then come
// the prefixes, the longest first, and the patterns.
func (t *PolicyTable) Policies() []TopicPolicy {
	topics := map[*Policy][]string{}
	for topic, p := range t.ByTopic {
		topics[p] = append(topics[p], topic)
	}
	var out []TopicPolicy
	for p, names := range topics {
		slices.Sort(names)
		out = append(out, TopicPolicy{strings.Join(names, ", "), p})
	}
	slices.SortFunc(out, func(a, b TopicPolicy) int { return strings.Compare(a.Topics, b.Topics) })
	prefixes := slices.SortedFunc(maps.Keys(t.ByPrefix), func(a, b string) int {
		return cmp.Or(len(b)-len(a), strings.Compare(a, b))
	})
	for _, prefix := range prefixes {
		out = append(out, TopicPolicy{fmt.Sprintf("topics that begin with %q", prefix), t.ByPrefix[prefix]})
	}
	for _, p := range t.ByPattern {
		out = append(out, TopicPolicy{fmt.Sprintf("topics like %q", p.Pattern), p.Policy})
	}
	rest := "every topic"
	if len(out) > 0 {
		rest = "every other topic"
	}
	return append(out, TopicPolicy{rest, t.Default})
}

// check finds patterns that are none, and such as no topic reaches.
func (t *PolicyTable) check() []error {
	var errs []error
	seen := map[string]bool{}
	for _, p := range t.ByPattern {
		if _, err := path.Match(p.Pattern, ""); err != nil {
			errs = append(errs, fmt.Errorf("policies: pattern %q: %w", p.Pattern, err))
		}
		if seen[p.Pattern] {
			errs = append(errs, fmt.Errorf("policies: pattern %q is there twice", p.Pattern))
		}
		seen[p.Pattern] = true
	}
	return errs
}
