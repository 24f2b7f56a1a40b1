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
// The permit is given back before done runs, so done may send. It must not call
// Flush or Shutdown. A panic in done is recovered and logged.
func (p *Producer) SendAsync(ctx context.Context, msg *Message, done func(Result, error), opts ...SendOption) {
	g, err := p.enter(ctx, msg)
	if err != nil {
		go p.finish(done, Result{}, err)
		return
	}
	c := p.newCall(ctx, Async, opts)
	c.outs = c.one[:]
	c.outs[0].reset(c, msg, p.ids.take(c.start, 1))
	weight := p.weight(msg)
	if !p.tryAcquire(weight) {
		if err := p.acquire(ctx, c, weight); err != nil {
			p.workers.run(taskFunc(func() { p.noRoom(ctx, c, g, err, done) }))
			return
		}
	}
	p.begin(ctx, c, g, weight, done)
}

// noRoom ends an asynchronous send that found no room in flight, on a worker, since
// a listener may end the goroutine.
func (p *Producer) noRoom(ctx context.Context, c *Call, generation uint32, why error, done func(Result, error)) {
	defer p.inflight.leave(generation)
	var err error = &SendError{Class: ClassPlugin, Topic: c.Message().Topic, Cause: errGoexit}
	defer func() { p.finish(done, Result{}, err) }()
	_, err = p.outcome(ctx, c, nil, fmt.Errorf("%w: %w", ErrTooManyInFlight, why))
	p.release(c)
}

// TrySendAsync is SendAsync where there is room at once. Otherwise, and when the
// producer is not running or msg is nil, it returns an error, and done is never
// called.
func (p *Producer) TrySendAsync(ctx context.Context, msg *Message, done func(Result, error), opts ...SendOption) error {
	g, err := p.enter(ctx, msg)
	if err != nil {
		return err
	}
	weight := p.weight(msg)
	if !p.tryAcquire(weight) {
		p.inflight.leave(g)
		return &SendError{Class: ClassInFlight, Topic: msg.Topic, Cause: ErrTooManyInFlight}
	}
	c := p.newCall(ctx, Async, opts)
	c.outs = c.one[:]
	c.outs[0].reset(c, msg, p.ids.take(c.start, 1))
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
}

// begin gives a call that has its permits to a worker.
func (p *Producer) begin(ctx context.Context, c *Call, generation uint32, weight int64, done func(Result, error)) {
	c.async = asyncSend{ctx, done, generation, weight}
	p.workers.send(c)
}

// run is the worker's side of an asynchronous send. Every exit, also one by
// runtime.Goexit in a step, gives the permits back first and then calls done.
func (c *Call) run() {
	p, a, topic := c.producer, c.async, c.Message().Topic
	defer p.inflight.leave(a.generation)
	var res Result
	err := errGoexit
	defer func() {
		if err == errGoexit {
			err = &SendError{Class: ClassPlugin, Certainty: MaybeStored, Topic: topic, Cause: errGoexit}
		}
		p.bytes.Release(a.weight)
		p.slots.Release(1)
		p.finish(a.done, res, err)
	}()
	res, err = p.run(a.ctx, c)
	p.release(c)
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
	return true
}

// acquire waits for room until the call ends.
func (p *Producer) acquire(ctx context.Context, c *Call, weight int64) error {
	ctx, cancel := context.WithDeadlineCause(ctx, c.deadline, ErrTimeout)
	defer cancel()
	stop := context.AfterFunc(p.life, cancel)
	defer stop()
	err := p.slots.Acquire(ctx, 1)
	if err == nil {
		if err = p.bytes.Acquire(ctx, weight); err != nil {
			p.slots.Release(1)
		}
	}
	switch {
	case err == nil:
		return nil
	case p.life.Err() != nil:
		return ErrAborted
	default:
		return ContextError(ctx)
	}
}
