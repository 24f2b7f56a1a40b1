package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"github.com/liftoff-mq/liftoff/internal/absent"
	"github.com/liftoff-mq/liftoff/internal/enum"
)

// State is a producer's service state (Java: ServiceState).
type State uint8

// The states. A producer goes from created to running to shut down, and no way
// back. A failed start ends it too, except where only the group was taken and
// the producer owns no services: then it stays created and can be started again.
const (
	StateCreated State = iota
	StateRunning
	StateStartFailed
	StateShutdown
)

var stateNames = []string{"created", "running", "start failed", "shut down"}

// String gives "created", "running", "start failed" or "shut down".
func (s State) String() string { return enum.Name(stateNames, int(s)) }

// MarshalText gives the name.
func (s State) MarshalText() ([]byte, error) { return enum.Marshal("state", stateNames, int(s)) }

// UnmarshalText takes a name.
func (s *State) UnmarshalText(text []byte) error { return enum.Unmarshal("state", stateNames, text, s) }

// Producer sends messages through a pipeline. Make it with [NewProducer], start
// it, and shut it down at the end. It is safe for concurrent use.
type Producer struct {
	cfg       Config
	engine    *engine
	inbox     *Inbox
	services  []Service // in the order in which they start
	drainers  []namedPart
	finishers []namedPart
	attached  []any // steps that know this producer
	batches   sync.Pool
	// capabilities are what the transport said when the producer was made.
	capabilities Capabilities

	lifecycle chan struct{} // holds a token during Start, Shutdown and SetPolicies
	state     atomic.Uint32
	inflight  inflight
	batching  inflight            // batches under way; the call that began one is in flight
	slots     *semaphore.Weighted // asynchronous sends, by number
	bytes     *semaphore.Weighted // and by bytes
	held      atomic.Int64        // bytes taken
	workers   *workers
	// undelivered counts the sends and operations that failed because they were aborted.
	undelivered atomic.Int64
	// decided counts the places of inflight that wait for no outcome, or whose outcome another place
	// waits for: done functions that run, what Hold gave, transactions whose half is under way.
	decided atomic.Int64
	retired retirements  // services of replaced policies
	changes stateChanges // of which listeners are still to hear
}

// NewProducer makes a producer. It does no I/O and starts no goroutine. All
// mistakes in cfg are reported at once.
func NewProducer(cfg Config) (*Producer, error) {
	p, policies, feed, err := draft(cfg)
	if err != nil {
		return nil, fmt.Errorf("producer %q: %w", cfg.Group, err)
	}
	p.engine.policies.Store(policies)
	if errs := p.attach(policies); len(errs) > 0 {
		return nil, fmt.Errorf("producer %q: %w", cfg.Group, errors.Join(errs...))
	}
	p.engine.routes.kept = keptTopics{p.cfg.Topics, p.keeper()}
	p.services = p.findServices(policies)
	p.findEnds(policies)
	p.inbox = newInbox(&p.cfg, func() context.Context { return p.engine.life })
	p.batches.New = func() any { return &Batch{p: p} }
	if err := p.follow(feed); err != nil {
		return nil, fmt.Errorf("producer %q: policies: %w", cfg.Group, err)
	}
	return p, nil
}

// Check finds the mistakes that [NewProducer] would report, but for those of steps that are
// attached ([Attacher]) and of a feed of policies: neither hears of it.
func (c Config) Check() error {
	_, _, _, err := draft(c)
	return err
}

// draft makes a producer of which no step and no feed of policies knows yet.
func draft(cfg Config) (*Producer, *policySet, PolicyFeed, error) {
	cfg.Steps = slices.Clone(cfg.Steps)
	cfg.Own = slices.Clone(cfg.Own)
	cfg.Topics = slices.Clone(cfg.Topics)
	cfg, cfgErr := cfg.withDefaults()
	feed, listErr := cfg.feed()
	var listed []TopicPolicy
	if listErr == nil {
		listed, listErr = listPolicies(cfg.Policies)
	}
	pipeline, pipeErr := Resolve(cfg.Order.of(cfg.Steps, stepNames(cfg.Steps, listed)), cfg.Steps...)
	if pipeErr != nil {
		pipeline = &Pipeline{} // to find what else is wrong
	}
	p := &Producer{
		cfg:       cfg,
		slots:     semaphore.NewWeighted(int64(max(0, cfg.MaxInFlight))),
		bytes:     semaphore.NewWeighted(max(0, cfg.MaxInFlightBytes)),
		lifecycle: make(chan struct{}, 1),
		inflight:  newInflight(),
		batching:  newInflight(),
		workers:   newWorkers(cfg.MaxWorkers),
	}
	e := newEngine(p, pipeline)
	var policies *policySet
	policyErr := listErr
	if listErr == nil {
		policies, policyErr = e.newPolicySet(cfg.Policies, listed)
	}
	capErr := p.askCapabilities()
	checkErr := p.cfg.withChecks(p)
	return p, policies, feed, errors.Join(cfgErr, pipeErr, policyErr, capErr, checkErr, p.checkParts(policies))
}

func newEngine(p *Producer, own *Pipeline) *engine {
	e := &engine{cfg: &p.cfg, producer: p, aborted: make(chan struct{})}
	p.engine = e
	life, end := context.WithCancelCause(context.Background())
	e.life, e.abort = life, func() { end(ErrAborted) }
	e.routes = newRouteCache(&p.cfg, func() *listeners { return &e.policies.Load().listeners }, func() { e.policies.Load().forget() })
	e.chains = e.compose(own)
	e.calls.New = func() any { return &Call{engine: e} }
	return e
}

// parts are the steps' values and the strategies of all policies, each once. Without policies
// they are those of the steps.
func (p *Producer) parts(policies *policySet) []namedPart {
	var out []namedPart
	add := func(name string, part any) {
		if !slices.ContainsFunc(out, func(o namedPart) bool { return same(o.part, part) }) {
			out = append(out, namedPart{name, part})
		}
	}
	for _, s := range p.engine.chains.pipeline.steps {
		for _, part := range s.Parts() {
			add("step "+s.name, part)
		}
	}
	if policies == nil {
		return out
	}
	for _, pol := range policies.order {
		for _, s := range pol.Steps {
			for _, part := range s.Parts() {
				add(fmt.Sprintf("step %s of policy %q", s.name, pol.Name), part)
			}
		}
		for _, s := range pol.strategies() {
			add(fmt.Sprintf("%s of policy %q", s.name, pol.Name), s.part)
		}
	}
	return out
}

// askCapabilities asks the transport, once, what it cannot carry and by which id servers know
// its client.
func (p *Producer) askCapabilities() (err error) {
	if absent.Is(p.cfg.Transport) {
		return nil // reported already
	}
	p.capabilities, err = capabilities(p.cfg.Transport)
	p.engine.lacks = p.capabilities.set()
	id, idErr := clientID(p.cfg.Transport)
	p.engine.clientID = id
	return errors.Join(err, idErr)
}

// checkParts compares what the parts need with what the transport can carry, and finds
// services that could be started twice because nobody can tell them from themselves.
func (p *Producer) checkParts(policies *policySet) error {
	parts := p.parts(policies)
	errs := p.capabilities.missing(parts)
	for _, part := range parts {
		if s, ok := part.part.(Service); ok && !same(s, s) {
			errs = append(errs, fmt.Errorf("%s: %T is a service that cannot be compared: give a pointer to it", part.name, s))
		}
	}
	return errors.Join(errs...)
}

// findServices are the owned services, then the parts that are services.
func (p *Producer) findServices(policies *policySet) []Service {
	out := slices.Clone(p.cfg.Own)
	for _, part := range p.parts(policies) {
		s, ok := part.part.(Service)
		if ok && !slices.ContainsFunc(out, func(o Service) bool { return same(o, s) }) {
			out = append(out, s)
		}
	}
	return out
}

// findEnds finds the steps that are told of a shutdown, each once.
func (p *Producer) findEnds(policies *policySet) {
	steps := p.stepsOf(policies)
	p.drainers, p.finishers = stepsThatAre[Drainer](steps), stepsThatAre[Finisher](steps)
}

// stepsOf are the producer's steps and then those of the policies.
func (p *Producer) stepsOf(policies *policySet) []Step {
	steps := p.engine.chains.pipeline.steps
	for _, pol := range policies.order {
		steps = slices.Concat(steps, pol.Steps)
	}
	return steps
}

// stepsThatAre are the steps' values of a kind, each once.
func stepsThatAre[T any](steps []Step) (out []namedPart) {
	for _, s := range steps {
		for _, part := range s.Parts() {
			_, is := part.(T)
			if is && !slices.ContainsFunc(out, func(o namedPart) bool { return same(o.part, part) }) {
				out = append(out, namedPart{s.name, part})
			}
		}
	}
	return out
}

// Pipeline is the producer's resolved chain with the policies as they are now.
func (p *Producer) Pipeline() *Pipeline {
	out := *p.engine.chains.pipeline
	out.cfg = &p.cfg
	out.policies = p.engine.policies.Load().order
	return &out
}

// PipelineFor is the resolved chain of the sends to a topic, by the user's name of it: with the
// steps of the policy that serves the topic now, and with that policy alone. The error is the
// policy source's, of which every send to the topic would tell.
func (p *Producer) PipelineFor(topic string) (*Pipeline, error) {
	pol, err := p.engine.policies.Load().choose(topic)
	if err != nil {
		return nil, err
	}
	out := *pol.pipeline
	out.cfg = &p.cfg
	out.policies = []*policy{pol}
	return &out, nil
}

// Group is the producer group.
func (p *Producer) Group() string { return p.cfg.Group }

// State is the service state now.
func (p *Producer) State() State { return State(p.state.Load()) }

// SetPolicies replaces the policies of a running producer, or of one that was not started
// yet. Calls under way end by the policies that they began with; every later call goes by
// the new ones; no call sees some of each. A source with mistakes changes nothing: they are
// all in the error.
//
// Strategies that are services are started before the change. Those that only the old
// policies had are shut down when the last call that uses them has ended. A producer that was
// shut down takes none: [ErrClosed].
func (p *Producer) SetPolicies(ctx context.Context, source PolicySource) error {
	n, err := p.setPolicies(ctx, source)
	if err != nil {
		return fmt.Errorf("producer %q: set policies: %w", p.cfg.Group, err)
	}
	p.cfg.Logger.Info("producer policies replaced", "group", p.cfg.Group, "policies", n)
	return nil
}

// setPolicies gives the number of policies.
func (p *Producer) setPolicies(ctx context.Context, source PolicySource) (int, error) {
	if err := take(ctx, p.lifecycle); err != nil {
		return 0, fmt.Errorf("another start, shutdown or change is under way: %w", err)
	}
	defer func() { <-p.lifecycle }()
	if absent.Is(source) {
		return 0, errors.New("the source is nil")
	}
	if s := p.State(); s != StateCreated && s != StateRunning {
		return 0, fmt.Errorf("it is %v: %w", s, ErrClosed)
	}
	e := p.engine
	listed, err := listPolicies(source)
	if err != nil {
		return 0, err
	}
	policies, err := e.newPolicySet(source, listed)
	if err != nil {
		return 0, err
	}
	if err := errors.Join(p.checkParts(policies), p.unattached(policies)); err != nil {
		return 0, err
	}
	old, services := p.services, p.findServices(policies)
	if p.State() == StateRunning {
		if err := p.employ(ctx, without(services, old)); err != nil {
			return 0, err
		}
	}
	e.routes.replace(func() *listeners {
		added := policies.listeners.without(&e.policies.Load().listeners)
		e.policies.Store(policies)
		return added
	})
	p.services = services
	p.findEnds(policies)
	if p.State() == StateRunning {
		p.retire(without(old, services))
	}
	return len(policies.order), nil
}
