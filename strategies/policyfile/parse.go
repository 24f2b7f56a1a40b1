package policyfile

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// Version is the version of the file's form that this package reads.
const Version = 1

// The limits of what a file says.
const (
	maxName     = 64 // bytes of a policy's or a part's name
	maxPrefix   = 255
	leastTime   = time.Millisecond
	mostTime    = 24 * time.Hour
	defaultName = "default"
)

// Parse reads the text of a file. Name stands in the mistakes, of which the error has all, each a
// [*Mistake].
func Parse(name string, data []byte, opts ...Option) (*Policies, error) {
	c := newConfig(opts)
	if err := errors.Join(c.errs...); err != nil {
		return nil, fmt.Errorf("policyfile: %w", err)
	}
	return c.parse(name, data, nil)
}

// parse reads a text. Parts that old has for the same words are used on.
func (c *config) parse(name string, data []byte, old *Policies) (*Policies, error) {
	ms := &mistakes{file: name}
	b := &builder{mistakes: ms, config: c, parts: map[string]builtPart{}, made: map[string]*policy{}}
	if old != nil {
		b.reuse = old.parts
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	root := (&reader{mistakes: ms, lookup: c.lookup}).read(data)
	if root == nil {
		return nil, ms.err()
	}
	out := b.file(root)
	if err := ms.err(); err != nil {
		return nil, err
	}
	return out, nil
}

// builder makes policies of the tree.
type builder struct {
	*mistakes
	*config
	reuse        map[string]builtPart // the parts of the policies before, by place and words
	parts        map[string]builtPart // those of these
	steps        []core.Step          // of the health views of the part that is being built
	unregistered []string             // parts, in words
	policies     *node
	made         map[string]*policy // by name; nil while it is being made
}

// policy is a policy of the file with what its descendants take over.
type policy struct {
	core.Policy
	fields map[string]*node // what it says, with what it took over
	steps  [stepGroups]group
}

// group are the steps that one key of a policy makes, and those that it leaves out.
type group struct {
	steps   []core.Step
	without []string
}

// The keys of a policy that make steps.
const (
	healthSteps = iota
	compressionSteps
	limitSteps
	ruleSteps
	ownSteps
	stepGroups
)

func (b *builder) file(root *node) *Policies {
	if root.kind != mapping {
		b.add(root.place, "", `the file is %s, want a mapping with "version", "policies" and "targets"`, kindNames[root.kind])
		return nil
	}
	o := b.options(root, "")
	b.version(o)
	if b.policies = o.find("policies", policiesShape); b.policies != nil && b.policies.kind != mapping {
		o.Fail("policies", fmt.Errorf("it is %s, want policies by their names", kindNames[b.policies.kind]))
		b.policies = nil
	}
	if !o.Has("policies") {
		b.add(root.place, "policies", "it is missing: a file has policies by their names")
	}
	out := &Policies{parts: b.parts}
	for _, k := range b.keys() {
		if p := b.policy(k.name, nil); p != nil {
			out.list = append(out.list, p)
		}
	}
	out.table = b.targets(o)
	out.unregistered = b.unregistered
	o.finish()
	return out
}

// keys are the names of the policies.
func (b *builder) keys() []key {
	if b.policies == nil {
		return nil
	}
	return b.policies.keys
}

func (b *builder) version(o *Options) {
	version := 0
	o.ask("version", shape{"const": Version})
	o.Int("version", &version, 1, math.MaxInt32)
	switch {
	case !o.Has("version"):
		b.add(o.node.place, "version", "it is missing: a file begins with version: %d", Version)
	case version != Version && !o.wrong():
		o.Fail("version", fmt.Errorf("%d is not known, this program reads version %d", version, Version))
	}
}

// named is the policy of a name that a target or another policy gives; nil after a mistake.
func (b *builder) named(n *node, at string, heirs []string) *policy {
	if n.kind == broken {
		return nil
	}
	if n.kind != scalar {
		b.add(n.place, at, "it is %s, want the name of a policy", kindNames[n.kind])
		return nil
	}
	if _, _, ok := b.policies.entry(n.text); !ok {
		var known []string
		for _, k := range b.keys() {
			known = append(known, k.name)
		}
		b.add(n.place, at, "there is no policy %q%s", n.text, meant(n.text, known))
		return nil
	}
	if slices.Contains(heirs, n.text) {
		b.add(n.place, at, "a policy cannot extend itself: %s", strings.Join(append(heirs[slices.Index(heirs, n.text):], n.text), " extends "))
		return nil
	}
	return b.policy(n.text, heirs)
}

// policy makes the policy of a name, after the one that it extends. Heirs are those that extend
// it, from the outermost.
func (b *builder) policy(name string, heirs []string) *policy {
	if p, ok := b.made[name]; ok {
		return p
	}
	k, n, _ := b.policies.entry(name)
	at := join("policies", name)
	if !isName(name) {
		b.add(k.place, at, "the name of a policy is 1 to %d letters, digits and any of . _ -", maxName)
	}
	o := b.options(n, at)
	o.elsewhere = belowPolicy
	p := &policy{fields: map[string]*node{}}
	if base := o.find("extends", shapeText); base != nil {
		if parent := b.named(base, join(at, "extends"), append(slices.Clip(heirs), name)); parent != nil {
			*p = *parent
			p.fields = map[string]*node{}
			for field, value := range parent.fields {
				p.fields[field] = value
			}
		}
	}
	p.Name = name
	b.fill(p, o)
	o.finish()
	for i, k := range o.node.keys {
		if k.name != "extends" {
			p.fields[k.name] = o.node.items[i]
		}
	}
	p.finish()
	b.made[name] = p
	return p
}

// belowPolicy says where the keys stand that are easily written one level too high.
var belowPolicy = map[string]string{
	"rate": `in "limits"`, "bulkhead": `in "limits"`, "adaptive": `in "limits"`,
	"key": `in "rules"`, "ordered": `in "rules"`, "maxBody": `in "rules"`, "modes": `in "rules"`, "properties": `in "rules"`,
	"codec": `in "compression"`, "minSize": `in "compression"`,
}

// fill takes what the policy itself says.
func (b *builder) fill(p *policy, o *Options) {
	o.Duration("timeout", &p.Timeout, leastTime, mostTime)
	o.Duration("attemptTimeout", &p.AttemptTimeout, leastTime, mostTime)
	if p.Timeout > 0 && p.AttemptTimeout > p.Timeout && !o.wrong() {
		if o.Has("attemptTimeout") {
			o.Fail("attemptTimeout", fmt.Errorf("an attempt has %v, which is more than the whole call has, %v", p.AttemptTimeout, p.Timeout))
		} else {
			o.Fail("timeout", fmt.Errorf("the call has %v, but an attempt has %v, which the policy takes over; say attemptTimeout here too", p.Timeout, p.AttemptTimeout))
		}
	}
	o.Selector("selector", &p.Selector)
	o.Retry("retry", &p.Retry)
	o.Budget("budget", &p.Budget)
	b.steps = nil
	if o.Health("health", &p.Health); o.Has("health") {
		p.steps[healthSteps] = group{steps: b.steps}
	}
	b.compression(p, o)
	stepsOf(o, "limits", "limit", "{rate: {perSecond: 100}}", b.registry.limits, &p.steps[limitSteps])
	stepsOf(o, "steps", "step", "{acme.audit: {}}", b.registry.steps, &p.steps[ownSteps])
	b.rules(p, o)
	o.Texts("require", &p.Require)
	if slices.Contains(p.Require, "") {
		o.Fail("require", errors.New("the name of a step is empty"))
	}
}

// rules takes the rules for messages: one step, of which each policy has its own.
func (b *builder) rules(p *policy, o *Options) {
	const name = "rules"
	v := o.find(name, named(name))
	if v == nil {
		return
	}
	p.steps[ruleSteps] = group{}
	var part Stepper
	if at := join(o.path, name); construct(b, key{v.place, name}, v, at, name, map[string]build[Stepper]{name: buildRules}, &part) && len(v.keys) > 0 {
		p.steps[ruleSteps].steps = []core.Step{part.Step()}
	}
}

// stepsOf takes steps by their names, each with its options. Example is such a mapping.
func stepsOf(o *Options, name, what, example string, known map[string]build[Stepper], into *group) {
	v := o.find(name, named(what+"s"))
	switch {
	case v == nil:
		return
	case v.kind != mapping:
		o.Fail(name, fmt.Errorf("it is %s, want a mapping of %ss by their names, such as %s", kindNames[v.kind], what, example))
		return
	}
	*into = group{}
	for i, k := range v.keys {
		var part Stepper
		if construct(o.b, k, v.items[i], join(join(o.path, name), k.name), what, known, &part) {
			into.steps = append(into.steps, part.Step())
		}
	}
}

// finish puts the steps together.
func (p *policy) finish() {
	p.Steps, p.Without = nil, nil
	for _, g := range p.steps {
		p.Steps = append(p.Steps, g.steps...)
		p.Without = append(p.Without, g.without...)
	}
}

// isName reports whether a policy can have a name.
func isName(s string) bool {
	for _, c := range s {
		if !isWordChar(c) && c != '.' {
			return false
		}
	}
	return s != "" && len(s) <= maxName
}

// targets says which policy serves which topic.
func (b *builder) targets(root *Options) *core.PolicyTable {
	n := root.find("targets", shape{"$ref": "#/$defs/targets"})
	if n == nil {
		n = &node{place: root.node.place}
	}
	o := b.options(n, "targets")
	t := b.target(o)
	o.finish()
	return t
}

func (b *builder) target(o *Options) *core.PolicyTable {
	t := &core.PolicyTable{ByTopic: map[string]*core.Policy{}, ByPrefix: map[string]*core.Policy{}}
	b.byName(o, "topics", t.ByTopic, checkTopic)
	b.byName(o, "prefixes", t.ByPrefix, checkPrefix)
	b.byPattern(o, t)
	if v := o.find("default", shapeText); v != nil {
		if p := b.named(v, "targets.default", nil); p != nil {
			t.Default = &p.Policy
		}
	} else if p := b.made[defaultName]; p != nil {
		t.Default = &p.Policy
	} else {
		t.Default = &core.Policy{Name: defaultName}
	}
	return t
}

// byName takes policies by topics or prefixes.
func (b *builder) byName(o *Options, name string, into map[string]*core.Policy, check func(string) error) {
	v := o.find(name, shape{"type": "object", "additionalProperties": shapeText})
	switch {
	case v == nil:
		return
	case v.kind != mapping:
		o.Fail(name, fmt.Errorf("it is %s, want a mapping of %s to the names of policies", kindNames[v.kind], name))
		return
	}
	for i, k := range v.keys {
		at := join(join(o.path, name), k.name)
		if err := check(k.name); err != nil {
			b.add(k.place, at, "%v", err)
		}
		if p := b.named(v.items[i], at, nil); p != nil {
			into[k.name] = &p.Policy
		}
	}
}

func checkTopic(name string) error {
	if strings.ContainsAny(name, "*?[") {
		return errors.New(`this is a pattern; patterns stand under "patterns", with "match" and "policy"`)
	}
	switch fault := rocketmq.CheckTopic(name); fault {
	case rocketmq.NameOK:
		return nil
	case rocketmq.NameBadChar:
		return errors.New("no topic has this name: it has characters other than % | a-z A-Z 0-9 _ -")
	default:
		return fmt.Errorf("no topic has this name: %v", fault)
	}
}

func checkPrefix(name string) error {
	switch {
	case name == "*":
		return errors.New(`this fits every topic; that is "default"`)
	case name == "":
		return errors.New(`an empty prefix fits every topic; that is "default"`)
	case strings.ContainsAny(name, "*?["):
		if plain := strings.TrimSuffix(name, "*"); !strings.ContainsAny(plain, "*?[") {
			return fmt.Errorf(`a prefix has no wildcards: %q fits all names that begin with it`, plain)
		}
		return errors.New(`a prefix has no wildcards; patterns stand under "patterns"`)
	case len(name) > maxPrefix:
		return fmt.Errorf("it has %d bytes, topics have at most %d", len(name), maxPrefix)
	}
	return nil
}

// byPattern takes the list of patterns.
func (b *builder) byPattern(o *Options, t *core.PolicyTable) {
	const name = "patterns"
	v := o.find(name, listOf(shape{"$ref": "#/$defs/pattern"}))
	switch {
	case v == nil:
		return
	case v.kind != list:
		o.Fail(name, fmt.Errorf(`it is %s, want a list, because the first pattern that fits counts: [{match: "*-audit", policy: audit}]`, kindNames[v.kind]))
		return
	}
	seen := map[string]bool{}
	for i, item := range v.items {
		e := b.options(item, fmt.Sprintf("targets.patterns[%d]", i))
		var pattern string
		e.Text("match", &pattern)
		switch _, err := path.Match(pattern, ""); {
		case !e.Has("match"):
			b.add(item.place, e.path, `it needs "match", the pattern`)
		case pattern == "" && !e.wrong():
			e.Fail("match", errors.New("the pattern is empty"))
		case err != nil:
			e.Fail("match", fmt.Errorf("%q is no pattern: * stands for any characters, ? for one, [a-c] for one of a range, and \\ takes the meaning from the next", pattern))
		case seen[pattern]:
			e.Fail("match", fmt.Errorf("the pattern %q is there twice; only the first counts", pattern))
		}
		seen[pattern] = true
		if target := e.find("policy", shapeText); target != nil {
			if p := b.named(target, join(e.path, "policy"), nil); p != nil {
				t.ByPattern = append(t.ByPattern, core.PatternPolicy{Pattern: pattern, Policy: &p.Policy})
			}
		} else if !e.Has("policy") {
			b.add(item.place, e.path, `it needs "policy", the name of a policy`)
		}
		e.finish()
	}
}
