package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
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

// String gives "created", "running", "start failed" or "shut down".
func (s State) String() string {
	return nameOf([]string{"created", "running", "start failed", "shut down"}, int(s))
}

// Producer sends messages through a pipeline. Make it with [NewProducer], start
// it, and shut it down at the end. It is safe for concurrent use.
type Producer struct {
	cfg          Config
	pipeline     *Pipeline
	listeners    listeners
	callChain    Handler
	attemptChain AttemptHandler
	routes       *routeCache
	ids          idMaker
	calls        sync.Pool
	batches      sync.Pool

	lifecycle chan struct{} // holds a token during Start and Shutdown
	state     atomic.Uint32
	inflight  inflight
	batching  inflight            // batches under way; who began one is in flight
	slots     *semaphore.Weighted // asynchronous sends, by number
	bytes     *semaphore.Weighted // and by bytes
	workers   *workers
	aborted   chan struct{}
	// undelivered counts the sends that failed because they were aborted.
	undelivered atomic.Int64
	life        context.Context // ends with aborted, for waits that need a context
	abort       context.CancelFunc
}

// NewProducer makes a producer. It does no I/O and starts no goroutine. All
// mistakes in cfg are reported at once.
func NewProducer(cfg Config) (*Producer, error) {
	cfg.Steps = slices.Clone(cfg.Steps)
	cfg.Own = slices.Clone(cfg.Own)
	cfg, cfgErr := cfg.withDefaults()
	pipeline, pipeErr := Resolve(cfg.Order, cfg.Steps...)
	if err := errors.Join(cfgErr, pipeErr); err != nil {
		return nil, fmt.Errorf("producer %q: %w", cfg.Group, err)
	}
	p := &Producer{
		cfg: cfg, pipeline: pipeline,
		slots:     semaphore.NewWeighted(int64(cfg.MaxInFlight)),
		bytes:     semaphore.NewWeighted(cfg.MaxInFlightBytes),
		lifecycle: make(chan struct{}, 1),
		inflight:  newInflight(),
		batching:  newInflight(),
		workers:   newWorkers(cfg.MaxWorkers),
		aborted:   make(chan struct{}),
	}
	p.listeners = pipeline.listeners.clone(cfg.Logger)
	// One value may be several of these, or a step as well, like a breaker: it is
	// told once.
	told := make([]any, 0, len(cfg.Steps)+4)
	for i := range cfg.Steps {
		told = append(told, cfg.Steps[i].Use)
	}
	for _, s := range []struct {
		name string
		use  any
	}{{"selector", cfg.Selector}, {"retry", cfg.Retry}, {"budget", cfg.Budget}, {"health", cfg.Health}} {
		if !slices.ContainsFunc(told, func(t any) bool { return same(t, s.use) }) {
			told = append(told, s.use)
			p.listeners.add(s.name, s.use)
		}
	}
	p.routes = newRouteCache(&cfg, &p.listeners)
	p.callChain = composeCall(p.deliver, pipeline.call)
	p.attemptChain = composeAttempt(p.carry, pipeline.attempt)
	p.calls.New = func() any { return &Call{producer: p} }
	p.batches.New = func() any { return &Batch{p: p} }
	return p, nil
}

// same reports whether a and b are one value. Values that cannot be compared are
// not.
func same(a, b any) bool {
	return a != nil && b != nil && reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

// Pipeline is the resolved chain.
func (p *Producer) Pipeline() *Pipeline { return p.pipeline }

// Group is the producer group.
func (p *Producer) Group() string { return p.cfg.Group }

// State is the service state now.
func (p *Producer) State() State { return State(p.state.Load()) }

func (p *Producer) setState(s State) {
	old := State(p.state.Swap(uint32(s)))
	p.cfg.Logger.Info("producer state", "group", p.cfg.Group, "old", old.String(), "new", s.String())
	p.listeners.stateChanged(&StateReport{Group: p.cfg.Group, Old: old, New: s})
}

// Start brings the producer into service: it starts the services it owns,
// registers the group, and begins to keep routes fresh. It returns an error,
// and leaves nothing running, if a service or the registration fails, or if the
// producer is not in StateCreated.
func (p *Producer) Start(ctx context.Context) error {
	// A channel and not a mutex, so that tests in virtual time see the wait.
	if err := take(ctx, p.lifecycle); err != nil {
		return fmt.Errorf("producer %q: start: another start or shutdown is under way: %w", p.cfg.Group, err)
	}
	defer func() { <-p.lifecycle }()
	if s := p.State(); s != StateCreated {
		return fmt.Errorf("producer %q: cannot start: it is %v", p.cfg.Group, s)
	}
	for i, svc := range p.cfg.Own {
		if err := svc.Start(ctx); err != nil {
			p.setState(StateStartFailed)
			return fmt.Errorf("producer %q: start: %w", p.cfg.Group, errors.Join(err, p.stopOwn(ctx, i)))
		}
	}
	if r := p.registrar(); r != nil {
		if err := r.RegisterGroup(ctx, p.cfg.Group); err != nil {
			if !errors.Is(err, ErrGroupTaken) || len(p.cfg.Own) > 0 {
				p.setState(StateStartFailed)
			}
			return fmt.Errorf("producer %q: start: %w", p.cfg.Group, errors.Join(err, p.stopOwn(ctx, len(p.cfg.Own))))
		}
	}
	p.life, p.abort = context.WithCancel(context.Background())
	p.routes.begin()
	p.cfg.Logger.Debug("producer pipeline", "group", p.cfg.Group, "pipeline", p.pipeline.String())
	p.setState(StateRunning)
	return nil
}

// registrar is who announces the producer's group, if anybody does.
func (p *Producer) registrar() GroupRegistrar {
	if r, ok := p.cfg.Transport.(GroupRegistrar); ok {
		return r
	}
	r, _ := p.cfg.Routes.(GroupRegistrar)
	return r
}

// stopOwn shuts the first n owned services down, last one first.
func (p *Producer) stopOwn(ctx context.Context, n int) error {
	var errs []error
	for i := n - 1; i >= 0; i-- {
		errs = append(errs, p.cfg.Own[i].Shutdown(ctx))
	}
	return errors.Join(errs...)
}

// Flush waits until every send that was accepted before it has its outcome and,
// if it is asynchronous, its done has returned. It returns the end of ctx if
// that comes first. Calling it from a done function deadlocks until ctx ends.
func (p *Producer) Flush(ctx context.Context) error {
	return p.inflight.drain(ctx)
}

// ShutdownError reports that Shutdown could not wait for every send.
type ShutdownError struct {
	// Undelivered is the number of sends that failed with [ErrAborted], and of those
	// that had not returned when Shutdown did. What is still acknowledged after the
	// abort is not among them.
	Undelivered int
	Cause       error // why Shutdown stopped waiting
}

// Error gives the number and the cause.
func (e *ShutdownError) Error() string {
	return fmt.Sprintf("shutdown aborted %d sends in flight: %v", e.Undelivered, e.Cause)
}

// Unwrap gives the cause.
func (e *ShutdownError) Unwrap() error { return e.Cause }

// abortGrace bounds the wait for aborted sends to come back. They do at once,
// unless a step or a done function of the user's does not return.
const abortGrace = time.Second

// Shutdown takes the producer out of service: it refuses new sends with
// [ErrClosed], waits until those in flight have their outcome, and when ctx ends
// first aborts the rest, which then fail with [ErrAborted]; that is reported as
// a *[ShutdownError]. Then it unregisters the group, shuts the owned services
// down, and joins every goroutine. A second call does nothing.
func (p *Producer) Shutdown(ctx context.Context) error {
	if err := take(ctx, p.lifecycle); err != nil {
		return fmt.Errorf("producer %q: shutdown: another one is under way: %w", p.cfg.Group, err)
	}
	defer func() { <-p.lifecycle }()
	old := p.State()
	if old == StateShutdown {
		return nil
	}
	p.setState(StateShutdown)
	if old != StateRunning {
		return nil
	}
	var errs []error
	stuck := 0
	if err := p.inflight.drain(ctx); err != nil {
		close(p.aborted)
		p.abort()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortGrace)
		if p.inflight.drain(grace) != nil {
			stuck = p.inflight.len()
		}
		cancel()
		if n := int(p.undelivered.Load()) + stuck; n > 0 {
			errs = append(errs, &ShutdownError{Undelivered: n, Cause: err})
		}
		if stuck > 0 {
			errs = append(errs, fmt.Errorf("%d sends did not return after the abort: a step or done function blocks", stuck))
		}
	}
	if n := p.endBatches(ctx); n > 0 && stuck == 0 {
		stuck = n
		errs = append(errs, fmt.Errorf("%d batches did not return: a step blocks", n))
	}
	// What is left needs a moment even if ctx has ended, and each part its own:
	// a broker that does not answer the unregistering must not take the time in
	// which its connection is closed.
	last := func(f func(context.Context) error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortGrace)
		defer cancel()
		errs = append(errs, f(ctx))
	}
	p.abort()
	last(p.routes.end)
	p.workers.stop()
	if stuck == 0 {
		p.workers.join()
	}
	if r := p.registrar(); r != nil {
		last(func(ctx context.Context) error { return r.UnregisterGroup(ctx, p.cfg.Group) })
	}
	last(func(ctx context.Context) error { return p.stopOwn(ctx, len(p.cfg.Own)) })
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("producer %q: %w", p.cfg.Group, err)
	}
	return nil
}

// endBatches waits for the batches that are left when every call is over. Nobody
// waits for them any more, so they were told to end.
func (p *Producer) endBatches(ctx context.Context) (stuck int) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortGrace)
	defer cancel()
	if p.batching.drain(ctx) != nil {
		stuck = p.batching.len()
	}
	return stuck
}

func (ls *listeners) clone(log *slog.Logger) listeners {
	return listeners{
		call: slices.Clone(ls.call), attempt: slices.Clone(ls.attempt), retry: slices.Clone(ls.retry),
		route: slices.Clone(ls.route), state: slices.Clone(ls.state), log: log,
	}
}
