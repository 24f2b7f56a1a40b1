package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Start brings the producer into service: it starts the services it owns,
// registers the group, and begins to keep routes fresh. It returns an error,
// and leaves nothing running, if a service or the registration fails, or if the
// producer is not in StateCreated.
func (p *Producer) Start(ctx context.Context) error {
	if err := take(ctx, p.lifecycle); err != nil {
		return fmt.Errorf("producer %q: start: another start or shutdown is under way: %w", p.cfg.Group, err)
	}
	defer func() { <-p.lifecycle }()
	if s := p.State(); s != StateCreated {
		return fmt.Errorf("producer %q: cannot start: it is %v", p.cfg.Group, s)
	}
	for i, svc := range p.services {
		if err := startUp(ctx, svc); err != nil {
			p.setState(StateStartFailed)
			return fmt.Errorf("producer %q: start: %w", p.cfg.Group, errors.Join(err, undo(ctx, p.services[:i])))
		}
	}
	if r, ok := p.registrar(); ok {
		if err := r.RegisterGroup(ctx, Registration{Group: p.cfg.Group, Inbox: p.inbox}); err != nil {
			if !errors.Is(err, ErrGroupTaken) || len(p.services) > 0 {
				p.setState(StateStartFailed)
			}
			return fmt.Errorf("producer %q: start: %w", p.cfg.Group, errors.Join(err, undo(ctx, p.services)))
		}
	}
	p.engine.routes.begin()
	p.cfg.Logger.Debug("producer pipeline", "group", p.cfg.Group, "pipeline", p.Pipeline())
	p.setState(StateRunning)
	return nil
}

// registrar announces the producer's group: the transport or, where that is wrapped by
// something that hides it, the route source, which is usually the same client.
func (p *Producer) registrar() (GroupRegistrar, bool) {
	return find[GroupRegistrar](p.cfg.Transport, p.cfg.Routes)
}

// ShutdownError reports that Shutdown could not wait for every send.
type ShutdownError struct {
	// Undelivered is the number of sends and operations that failed with [ErrAborted], and
	// of those that had not returned when Shutdown did. What is still acknowledged after the
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
	for _, d := range p.drainers {
		p.drainStep(d)
	}
	errs, stuck := p.endCalls(ctx)
	// What is left needs a moment even if ctx has ended, and each part its own:
	// a broker that does not answer the unregistering must not take the time in
	// which its connection is closed.
	last := func(f func(context.Context) error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortGrace)
		defer cancel()
		errs = append(errs, f(ctx))
	}
	if r, ok := p.registrar(); ok {
		last(func(ctx context.Context) error { return r.UnregisterGroup(ctx, p.cfg.Group) })
	}
	if p.inbox.end(ctx) != nil {
		p.engine.abort() // the handlers' context ends
		last(p.inbox.end)
	}
	p.engine.abort()
	last(p.engine.routes.end)
	p.workers.stop()
	if stuck == 0 {
		p.workers.join()
	}
	last(p.retired.join)
	last(func(ctx context.Context) error { return shutDown(ctx, slices.Concat(p.services, p.retired.left())) })
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("producer %q: %w", p.cfg.Group, err)
	}
	return nil
}

// drainStep tells a step to let go of the calls that it holds back. A panic in it is logged: the
// calls still have their deadlines.
func (p *Producer) drainStep(d namedPart) {
	defer func() {
		if v := recover(); v != nil {
			p.cfg.Logger.Error("drain panicked", "group", p.cfg.Group, "step", d.name, "panic", v)
		}
	}()
	d.part.(Drainer).Drain()
}

// endCalls waits for the calls in flight, and aborts them when ctx ends. It gives the number
// of those that did not return even then.
func (p *Producer) endCalls(ctx context.Context) (errs []error, stuck int) {
	if err := p.inflight.drain(ctx); err != nil {
		close(p.engine.aborted)
		p.engine.abort()
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
	return errs, stuck
}

// endBatches waits for the batches that are left when every call is over. No call waits for
// them any more, so they were told to end.
func (p *Producer) endBatches(ctx context.Context) (stuck int) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortGrace)
	defer cancel()
	if p.batching.drain(ctx) != nil {
		stuck = p.batching.len()
	}
	return stuck
}
