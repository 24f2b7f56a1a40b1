package core

import (
	"context"
	"fmt"
)

// SendAsync sends msg and calls done with its outcome: exactly once, on another
// goroutine, after SendAsync has begun, on every path. It returns when the send
// is under way; where the in-flight limits are reached it waits for room, bounded
// by the call's time and ctx. Sends of one goroutine may overtake each other.
//
// The end of ctx ends the send also after SendAsync has returned. The context of a request,
// such as [net/http.Request.Context], ends when its handler returns, and with it every send
// that is still under way. For a send that is to outlive the request pass
// [context.WithoutCancel] of its context: that keeps its values, such as a trace, and the send
// has the time of its policy.
//
// done runs on a goroutine of its own and holds nothing that another send needs: it may send,
// and wait for what it sent. Nothing bounds how many of them run at a time: where each takes
// longer than the next sends come in, their goroutines pile up. It must not call Flush or
// Shutdown with a context that does not end: they wait for it. A panic in done is recovered and logged.
func (p *Producer) SendAsync(ctx context.Context, msg *Message, done func(Result, error), opts ...SendOption) {
	g, err := p.enter(ctx, msg)
	if err != nil {
		go p.refuseAsync(ctx, msg, err, done)
		return
	}
	prepared := false
	defer unlessReturned(&prepared, func() { // the policy source or an option ended the goroutine
		p.inflight.leave(g)
		go p.refuseAsync(ctx, msg, &SendError{Class: ClassPlugin, Certainty: NotSent, Topic: msg.Topic, Cause: errGoexit}, done)
	})
	c := p.engine.newCall(ctx, Async, msg)
	wrong := c.applyOptionsIn(ctx, opts)
	prepared = true
	weight := p.weight(msg)
	if wrong == nil && !p.tryAcquire(weight) {
		if err := p.acquire(ctx, c, weight); err != nil {
			wrong = fmt.Errorf("%w: %w", ErrTooManyInFlight, err)
		}
	}
	if wrong != nil {
		p.workers.run(taskFunc(func() { p.notBegun(ctx, c, g, wrong, done) }))
		return
	}
	p.begin(ctx, c, g, weight, done)
}

// refuseAsync tells of an asynchronous send that never began. A listener may end the
// goroutine; done runs all the same.
func (p *Producer) refuseAsync(ctx context.Context, msg *Message, why error, done func(Result, error)) {
	err := why
	defer func() { p.finish(done, Result{}, err) }()
	err = p.refuse(ctx, Async, why, msg)
}

// notBegun ends an asynchronous send that found no room in flight or has wrong options, on
// a worker, since a listener may end the goroutine.
func (p *Producer) notBegun(ctx context.Context, c *Call, generation uint32, why error, done func(Result, error)) {
	defer p.inflight.leave(generation)
	err := c.exit()
	defer func() { p.decide(done, Result{}, err) }()
	_, err = p.engine.outcome(ctx, c, nil, why)
	p.engine.release(c)
}

// TrySendAsync is SendAsync where there is room at once. Otherwise, and when the
// producer is not running, msg is nil or an option is wrong, it returns an error, and done
// is never called.
func (p *Producer) TrySendAsync(ctx context.Context, msg *Message, done func(Result, error), opts ...SendOption) error {
	g, err := p.enter(ctx, msg)
	if err != nil {
		return p.refuse(ctx, Async, err, msg)
	}
	weight := p.weight(msg)
	room := p.tryAcquire(weight)
	var c *Call
	begun := false
	defer unlessReturned(&begun, func() {
		if room {
			p.release(weight)
		}
		p.inflight.leave(g)
	})
	returned := false
	defer unlessReturned(&returned, func() { p.exited(ctx, Async, c, msg) }) // an option or the policy source ended the goroutine
	c = p.engine.newCall(ctx, Async, msg)
	var wrong error
	if !room {
		wrong = ErrTooManyInFlight
	} else {
		wrong = c.applyOptionsIn(ctx, opts)
	}
	if wrong != nil {
		_, err := p.engine.outcome(ctx, c, nil, wrong)
		returned = true
		p.engine.release(c)
		return err
	}
	begun, returned = true, true
	p.begin(ctx, c, g, weight, done)
	return nil
}

// asyncSend is what a call carries to its worker. It lies in the pooled call, so
// that a send allocates nothing for the way there.
type asyncSend struct {
	ctx        context.Context
	done       func(Result, error)
	generation uint32
	weight     int64
	expired    bool // its time ended while it waited for a worker
}

// begin gives a call that has its permits to a worker.
func (p *Producer) begin(ctx context.Context, c *Call, generation uint32, weight int64, done func(Result, error)) {
	c.async = asyncSend{ctx: ctx, done: done, generation: generation, weight: weight}
	p.workers.send(c)
}

// run is the worker's side of an asynchronous send. Every exit, also one by
// runtime.Goexit in a step or listener, gives back first what another send may need, permits
// and the worker's place, and then calls done.
func (c *Call) run() {
	p, a := c.engine.producer, c.async
	defer p.inflight.leave(a.generation)
	var res Result
	err := errGoexit
	defer func() { p.decide(a.done, res, err) }()
	defer func() {
		p.release(a.weight)
		p.workers.leave(a.expired, err)
	}()
	returned := false
	defer unlessReturned(&returned, func() {
		err = c.exit()
		if !c.told {
			_, _ = p.engine.outcome(a.ctx, c, nil, err)
		}
	})
	res, err = p.engine.run(a.ctx, c, nil)
	p.engine.release(c)
	returned = true
}

// decide calls done for a send that keeps its place in flight until done returns.
func (p *Producer) decide(done func(Result, error), res Result, err error) {
	p.decided.Add(1)
	defer p.decided.Add(-1)
	p.finish(done, res, err)
}

// finish calls done and keeps its panic.
func (p *Producer) finish(done func(Result, error), res Result, err error) {
	if done == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			p.cfg.Logger.Error("done function panicked", "group", p.cfg.Group, "panic", v)
		}
	}()
	done(res, err)
}

// weight is what a message takes of the bytes in flight: its body, and never
// more than there is, so that a large message waits for an empty line instead of
// for ever.
func (p *Producer) weight(m *Message) int64 {
	return min(max(int64(len(m.Body)), 1), p.cfg.MaxInFlightBytes)
}

func (p *Producer) tryAcquire(weight int64) bool {
	if !p.slots.TryAcquire(1) {
		return false
	}
	if !p.bytes.TryAcquire(weight) {
		p.slots.Release(1)
		return false
	}
	p.held.Add(weight)
	return true
}

// release gives the room of an asynchronous send back.
func (p *Producer) release(weight int64) {
	p.held.Add(-weight)
	p.bytes.Release(weight)
	p.slots.Release(1)
}

// acquire waits for room until the call ends.
func (p *Producer) acquire(ctx context.Context, c *Call, weight int64) error {
	ctx, cancel := p.engine.bound(ctx, c.deadline)
	defer cancel()
	if p.slots.Acquire(ctx, 1) != nil {
		return ContextError(ctx)
	}
	if p.bytes.Acquire(ctx, weight) != nil {
		p.slots.Release(1)
		return ContextError(ctx)
	}
	p.held.Add(weight)
	return nil
}
