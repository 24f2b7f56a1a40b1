package core

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/internal/absent"
	"github.com/liftoff-mq/liftoff/internal/words"
)

// Policy is how calls to a topic are sent. It is immutable once a producer has it. A zero
// field means what the producer's [Config] says, so a policy names what differs.
type Policy struct {
	// Name is what descriptions and errors call the policy. Required, and unique among
	// the policies of a source.
	Name string
	// Timeout is the time of one call, all attempts included. [Config] says how long it should
	// be for brokers that wait for a disk or a slave.
	Timeout time.Duration
	// AttemptTimeout caps one attempt as long as another broker could still take the
	// message.
	AttemptTimeout time.Duration
	// Selector, Retry, Budget and Health are the strategies. One that is a listener, a
	// [Service] or a [Describer] is used as such.
	Selector SelectorFactory
	Retry    RetryPolicy
	Budget   RetryBudget
	Health   HealthView
	// Steps are run by calls of this policy beside the producer's. One with the name of a
	// step of the producer's takes its place. Where [Config].Order is given, it has to list
	// them too.
	Steps []Step
	// Without names steps of the producer's that calls of this policy do not run. A name that
	// ends in "?" may be absent.
	Without []string
	// Require names steps that calls of this policy have to run. A producer or a change of
	// policies without them is refused, so a hook that a team relies on cannot get lost.
	Require []string
}

// PolicySource says which policy serves which topic.
//
// Policy is asked at the first send to a topic, and what it says holds until the source is
// replaced ([Producer.SetPolicies]). Topics are the user's names, before a namespace or
// another step changes them. Nil, and a policy that is not among Policies, is an error of
// every send to the topic. Both methods are called by several goroutines at once.
type PolicySource interface {
	// Policy is the policy of a topic.
	Policy(topic string) *Policy
	// Policies are all policies with the topics that they serve, for descriptions, in the
	// order in which they are tried, the default last.
	Policies() []TopicPolicy
}

// TopicPolicy is a policy with the topics that it serves, in words: "Payments", "Orders*",
// "every other topic".
type TopicPolicy struct {
	Topics string
	Policy *Policy
}

// policy is a policy with its gaps filled and everything about it that a send asks.
type policy struct {
	Policy
	*chains
	topics    string    // that it serves, in words
	listeners listeners // of its steps and strategies
	capped    capTable
}

// policySet is all policies at one time. It is immutable but for its cache. A producer
// replaces the whole set at once, so no call ever sees parts of two.
type policySet struct {
	source   PolicySource
	policies map[*Policy]*policy
	order    []*policy // as the source lists them
	// listeners are those of all steps and policies, each value once, for events that belong to
	// no call.
	listeners listeners
	none      *served // of calls that are refused before they have a policy

	recent [recentTopics]atomic.Pointer[served] // topics found without the lock

	mu     sync.RWMutex
	topics map[string]*served
}

// recentTopics is how many topics are found without a lock. Most producers send to fewer.
const recentTopics = 16

// recentOf is where a topic is remembered: two topics may share a place.
func (s *policySet) recentOf(topic string) *atomic.Pointer[served] {
	n := len(topic)
	if n > 0 {
		n += int(topic[n-1])
	}
	return &s.recent[n%recentTopics]
}

// served is a topic with the policy that serves it.
type served struct {
	topic    string // the user's name
	policy   *policy
	selector *topicSelector
	wire     atomic.Pointer[topic] // the route of the topic that was last sent to
	used     usage
	gone     atomic.Bool // it is no longer in the set
	err      error       // why no call can be sent
}

// newPolicySet fills the gaps of every policy of source with the configuration's, composes its
// steps and checks everything. listed is what the source lists.
func (e *engine) newPolicySet(source PolicySource, listed []TopicPolicy) (*policySet, error) {
	log := e.cfg.Logger
	s := &policySet{
		source: source, policies: map[*Policy]*policy{}, topics: map[string]*served{}, listeners: e.chains.pipeline.listeners.with(log),
	}
	var errs []error
	names := map[string]bool{}
	if len(listed) == 0 {
		errs = append(errs, errors.New("policies: the source has none"))
	}
	known := stepNames(e.cfg.Steps, listed)
	table, _ := source.(*PolicyTable)
	if table != nil {
		errs = append(errs, table.check()...)
	}
	_, own := source.(*ownPolicy)
	for i, tp := range listed {
		switch {
		case tp.Policy == nil && table != nil && i == len(listed)-1: // its default is the last row
			errs = append(errs, errors.New(`policies: PolicyTable.Default is nil: set it, such as &Policy{Name: "default"}`))
			continue
		case tp.Policy == nil:
			errs = append(errs, fmt.Errorf("policies: the policy of %s is nil", tp.Topics))
			continue
		case s.policies[tp.Policy] != nil: // another row of the same policy
			s.policies[tp.Policy].topics += ", " + tp.Topics
			continue
		case tp.Policy.Name == "":
			errs = append(errs, fmt.Errorf("policies: the policy of %s has no name", tp.Topics))
		case names[tp.Policy.Name]:
			errs = append(errs, fmt.Errorf("policy %q: the name is used twice", tp.Policy.Name))
		}
		names[tp.Policy.Name] = true
		p := &policy{Policy: *tp.Policy, chains: e.chains, topics: tp.Topics}
		errs = append(errs, p.fill(e.cfg.policy(), own)...)
		errs = append(errs, p.place(e, known)...)
		p.listeners = p.pipeline.listeners.with(log)
		p.listeners.subscribe(&p.Policy, stepParts(p.pipeline.steps))
		s.policies[tp.Policy] = p
		s.order = append(s.order, p)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	told := stepParts(e.cfg.Steps)
	for _, p := range s.order {
		p.capped = newCapTable(p.Retry)
		told = s.listeners.subscribeSteps(p.Policy.Steps, told)
		told = s.listeners.subscribe(&p.Policy, told)
	}
	s.none = s.without("", ErrContract)
	return s, nil
}

func listPolicies(source PolicySource) (listed []TopicPolicy, err error) {
	defer containPanic("policy source", &err)
	return source.Policies(), nil
}

// fill fills the gaps with def's, the configuration's, and reports what is wrong. The time-outs of
// def are checked already. own says that the policy is all gaps, made for a configuration
// without policies.
func (p *policy) fill(def Policy, own bool) []error {
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("policy %q: "+format, append([]any{p.Name}, args...)...))
	}
	fillTimeout(&p.Timeout, def.Timeout, "Timeout", fail)
	fillTimeout(&p.AttemptTimeout, def.AttemptTimeout, "AttemptTimeout", fail)
	given := p.Policy
	if p.Selector == nil {
		p.Selector = def.Selector
	}
	if p.Retry == nil {
		p.Retry = def.Retry
	}
	if p.Budget == nil {
		p.Budget = def.Budget
	}
	if p.Health == nil {
		p.Health = def.Health
	}
	for _, part := range []struct {
		name         string
		given, value any
		required     bool
	}{
		{"Selector", given.Selector, p.Selector, true},
		{"Retry", given.Retry, p.Retry, true},
		{"Budget", given.Budget, p.Budget, false},
		{"Health", given.Health, p.Health, false},
	} {
		switch {
		case !absent.Is(part.value), part.value == nil && !part.required:
		case own:
			errs = append(errs, fmt.Errorf("%s is nil", "Config."+part.name))
		case part.given == nil:
			fail("%s is nil, and so is Config.%s", part.name, part.name)
		default:
			fail("%s is nil", part.name)
		}
	}
	return errs
}

// fillTimeout fills the gap of a time-out, or checks the policy's own.
func fillTimeout(d *time.Duration, def time.Duration, name string, fail func(format string, args ...any)) {
	if *d == 0 {
		*d = def
	} else if err := checkTimeout(*d); err != nil {
		fail("%s %w", name, err)
	}
}

// strategies are the parts of the policy with the names that reports use.
func (p *Policy) strategies() []namedPart {
	all := []namedPart{{"selector", p.Selector}, {"retry", p.Retry}, {"budget", p.Budget}, {"health", p.Health}}
	return slices.DeleteFunc(all, func(n namedPart) bool { return absent.Is(n.part) })
}

// namedPart is a step's or a strategy's value with its name.
type namedPart struct {
	name string
	part any
}

// subscribe makes listeners of the strategies of p that are any, but for those among told,
// which hear already. One value may be several strategies, or a step as well, like a
// breaker: it is told once. The result is told with the values that it now holds too.
func (ls *listeners) subscribe(p *Policy, told []any) []any {
	for _, s := range p.strategies() {
		told = ls.subscribePart(s.name, s.part, told)
	}
	return told
}

// subscribeSteps does the same for steps.
func (ls *listeners) subscribeSteps(steps []Step, told []any) []any {
	for i := range steps {
		for _, part := range steps[i].Parts() {
			told = ls.subscribePart(steps[i].name, part, told)
		}
	}
	return told
}

func (ls *listeners) subscribePart(name string, part any, told []any) []any {
	if slices.ContainsFunc(told, func(t any) bool { return same(t, part) }) {
		return told
	}
	ls.add(name, part)
	return append(told, part)
}

// maxCachedTopic is the longest topic, in bytes, whose entry is kept. Longer ones are no
// topics: validation refuses their messages.
const maxCachedTopic = 255

// serve finds or makes the entry of a topic.
func (s *policySet) serve(topic string) *served {
	place := s.recentOf(topic)
	t := place.Load()
	if t == nil || t.topic != topic || t.gone.Load() {
		s.mu.RLock()
		t = s.topics[topic]
		s.mu.RUnlock()
		if t == nil {
			t = s.add(topic)
		}
		if len(topic) <= maxCachedTopic {
			place.Store(t)
		}
	}
	t.used.mark()
	return t
}

func (s *policySet) add(topic string) *served {
	made := s.make(topic)
	if len(topic) > maxCachedTopic {
		return made
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.topics[topic]; t != nil {
		return t
	}
	s.topics[made.topic] = made
	return made
}

func (s *policySet) make(topic string) *served {
	topic = strings.Clone(topic) // it may be part of something large
	p, err := s.choose(topic)
	if err != nil {
		return s.without(topic, err)
	}
	return &served{topic: topic, policy: p, selector: newTopicSelector()}
}

// without is what serves a topic that has no policy: reports and listeners need one all the
// same.
func (s *policySet) without(topic string, why error) *served {
	out := &served{topic: topic, policy: s.order[len(s.order)-1], selector: newTopicSelector(), err: why}
	out.selector.set(nil, why)
	return out
}

// choose asks the source, and keeps its panic and its nonsense.
func (s *policySet) choose(topic string) (p *policy, err error) {
	defer containPanic("policy source", &err)
	chosen := s.source.Policy(topic)
	if p = s.policies[chosen]; p == nil {
		return nil, fmt.Errorf("%w: the policy source gave topic %s a policy that it does not list", ErrContract, words.Quote(topic))
	}
	return p, nil
}

// forget drops the topics that were not used for idlePolls polls, and at the first poll
// without a use those that have no route: anybody can think of such a name.
func (s *policySet) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.topics, func(_ string, t *served) bool {
		idle, wire := t.used.age(), t.wire.Load()
		gone := idle >= idlePolls || idle > 0 && (wire == nil || wire.route.Load() == nil)
		if gone {
			t.gone.Store(true)
		}
		return gone
	})
}

// topicSelector is the selector of one topic and policy. The first call that needs it has it
// made; the others wait for that as they wait for everything, so that a factory which blocks
// or uses the producer holds no call beyond its time.
type topicSelector struct {
	made  atomic.Pointer[madeSelector]
	begun atomic.Bool
	ready chan struct{} // closed when made is set
}

type madeSelector struct {
	s   QueueSelector
	err error
}

func newTopicSelector() *topicSelector { return &topicSelector{ready: make(chan struct{})} }

func (ts *topicSelector) set(s QueueSelector, err error) {
	ts.made.Store(&madeSelector{s, err})
	close(ts.ready)
}

// get gives the selector of the topic that serves c.
func (ts *topicSelector) get(ctx context.Context, c *Call) (QueueSelector, error) {
	if m := ts.made.Load(); m != nil {
		return m.s, m.err
	}
	if ts.begun.CompareAndSwap(false, true) {
		ts.make(c.served.policy.Selector, c.served.topic)
	} else if err := c.Wait(ctx, ts.ready); err != nil {
		return nil, fmt.Errorf("selector of %q: %w", c.served.topic, err)
	}
	m := ts.made.Load()
	return m.s, m.err
}

// make asks the factory, which may end the goroutine.
func (ts *topicSelector) make(f SelectorFactory, topic string) {
	var s QueueSelector
	err := fmt.Errorf("%w: the selector factory ended its goroutine", ErrContract)
	defer func() { ts.set(s, err) }()
	s, err = makeSelector(f, topic)
}

// makeSelector calls the user's factory and keeps its panic.
func makeSelector(f SelectorFactory, topic string) (s QueueSelector, err error) {
	defer containPanic("selector factory", &err)
	if s = f.ForTopic(topic); absent.Is(s) {
		return nil, fmt.Errorf("%w: selector factory gave no selector for topic %s", ErrContract, words.Quote(topic))
	}
	return s, nil
}
