package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// deliver is the innermost handler of message scope: it finds the route and
// makes attempts until one succeeds, the retry policy gives up, or the call
// ends. Every failure is a *SendError.
func (p *Producer) deliver(ctx context.Context, c *Call) (*Result, error) {
	defer c.thaw()
	if err := c.freeze(); err != nil {
		return nil, c.failed(err)
	}

	t := p.routes.topic(c.outs[0].topic)
	route, err := p.route(ctx, c, t)
	if err != nil {
		return nil, c.failed(err)
	}
	selector, err := t.selector()
	if err != nil {
		return nil, c.failed(err)
	}
	var (
		weak     Result // stored with a weaker status, while the policy asks for more
		hasWeak  bool
		same     bool // the policy wants the same queue again
		rejected int  // attempts that breakers refused
		retry    = c.retry
	)
	for {
		if err := p.ended(ctx, c); err != nil {
			return c.settle(&weak, hasWeak, err)
		}
		// A refresh may have brought a new route since the last attempt.
		if r := t.route.Load(); r != nil {
			route = r
		}
		index, consistent, err := p.choose(ctx, c, selector, route, same)
		if err != nil {
			return c.settle(&weak, hasWeak, err)
		}
		before := c.certainty // of all attempts, those of an earlier next included
		res, err := p.try(ctx, c, selector, route, index, consistent)
		at := &c.at

		f := &c.failure
		*f = Failure{Code: CodeNone}
		if err == nil {
			if res != &c.result {
				c.result = *res
				res = &c.result
			}
			res.MessageID = c.outs[0].id
			res.Attempts = c.attempts
			res.MaybeDuplicate = before >= MaybeStored
			// A one-way message is sent once, however weakly it is stored.
			if res.Status == SendOK || c.mode == Oneway || res.Status == Written {
				p.deposit()
				return res, nil
			}
			weak, hasWeak = *res, true
			f.Status, f.Certainty = res.Status, Stored
		} else {
			f.Err, f.Class = err, ClassOf(err)
			f.Certainty = at.certainty()
			c.certainty = max(c.certainty, f.Certainty)
			if f.Class == ClassCircuitOpen && !at.entered {
				// Not an attempt: nothing was asked of the broker. Each broker
				// is refused at most once a call, so this ends.
				c.attempts--
				if rejected++; consistent || rejected > len(route.brokers) {
					return c.settle(&weak, hasWeak, err)
				}
				c.addTried(at.broker.Name)
				same = false
				continue
			}
			c.failures = append(c.failures, AttemptError{
				Number: at.number, Queue: at.queue, Addr: at.broker.Addr, Duration: at.latency,
				Class: f.Class, Certainty: f.Certainty, Err: err,
			})
			at.prev = err
			var be *BrokerError
			if at.answer != nil && errors.As(err, &be) {
				f.Code = be.Code
			}
		}
		c.addTried(at.broker.Name)
		fresh := p.refreshAfter(t, f)
		if err != nil && final(c, f) {
			return c.settle(&weak, hasWeak, err)
		}

		f.Attempt, f.Mode, f.Message, f.Consistent = c.attempts, c.mode, c.Message(), consistent
		f.Elapsed = time.Since(c.start)
		f.Remaining = time.Until(c.deadline)
		f.Untried = c.untried(route)
		d, perr := decide(retry, f)
		if perr != nil {
			return c.settle(&weak, hasWeak, perr)
		}
		if !d.Retry || err == nil && !d.Restore || d.After >= f.Remaining || c.attempts >= maxAttempts {
			return c.settle(&weak, hasWeak, err)
		}
		if granted, perr := p.withdraw(); perr != nil {
			return c.settle(&weak, hasWeak, perr)
		} else if !granted {
			c.denied = true
			return c.settle(&weak, hasWeak, err)
		}
		if len(p.listeners.retry) > 0 {
			p.listeners.retryScheduled(ctx, &RetryReport{Call: c, Attempt: c.attempts, Err: err, Delay: max(0, d.After)})
		}
		if d.After > 0 {
			if err := p.wait(ctx, c, c.until(d.After), nil); err != nil && err != errTimer {
				return c.settle(&weak, hasWeak, err)
			}
		}
		if fresh != nil {
			if err := p.wait(ctx, c, c.until(time.Until(c.deadline)), fresh.done); err != nil {
				if err == errTimer {
					err = ErrTimeout
				}
				return c.settle(&weak, hasWeak, err)
			}
		}
		same = d.Reroute == SameQueue
		if d.Reroute == AnyQueue {
			c.tried = c.tried[:0]
			rejected = 0
		}
	}
}

// maxAttempts ends a call whose policy never does: without a pause between them
// millions of attempts would fit into its time, and each is kept for its error.
const maxAttempts = 1000

// settle ends a call whose attempts are over: with the weaker result if there
// is one, else with the error.
func (c *Call) settle(weak *Result, hasWeak bool, err error) (*Result, error) {
	if hasWeak {
		c.result = *weak
		c.result.Attempts = c.attempts
		// An attempt after it that nobody answered may have stored the message too.
		c.result.MaybeDuplicate = weak.MaybeDuplicate ||
			slices.ContainsFunc(c.failures, func(f AttemptError) bool { return f.Certainty >= MaybeStored })
		c.producer.deposit()
		return &c.result, nil
	}
	return nil, c.failed(err)
}

// failed makes the call's *SendError, unless err is one already. One that says less
// than the call knows is another call's, which a step passed on.
func (c *Call) failed(err error) error {
	if se, ok := err.(*SendError); ok && se.Certainty >= c.certainty {
		return se
	}
	se := &SendError{
		Class: ClassOf(err), Certainty: max(c.certainty, CertaintyOf(err)), Cause: err,
		Attempts: slices.Clone(c.failures), BudgetSpent: c.denied,
	}
	if len(c.outs) > 0 {
		se.Topic, se.MessageID = c.outs[0].msg.Topic, c.outs[0].id
	}
	return se
}

// ended says why the call must not go on, or nil.
func (p *Producer) ended(ctx context.Context, c *Call) error {
	select {
	case <-ctx.Done():
		return ContextError(ctx)
	case <-p.aborted:
		return ErrAborted
	default:
	}
	if !time.Now().Before(c.deadline) {
		return ErrTimeout
	}
	return nil
}

// final reports whether a retry could not be right, whatever the policy says.
func final(c *Call, f *Failure) bool {
	switch f.Class {
	case ClassInvalid, ClassCanceled, ClassClosed, ClassPlugin:
		return true
	}
	return f.Certainty == Stored || c.mode == Oneway && f.Certainty != NotSent
}

// route gives the topic's route, from the cache or, bounded by the call, from
// its look-up.
func (p *Producer) route(ctx context.Context, c *Call, t *topic) (*Route, error) {
	if r := t.route.Load(); r != nil {
		return r, nil
	}
	f := p.routes.lookUp(t, 0)
	if err := p.wait(ctx, c, c.until(time.Until(c.deadline)), f.done); err != nil {
		if err == errTimer {
			err = ErrTimeout
		}
		return nil, fmt.Errorf("route of %q: %w", t.name, err)
	}
	return f.route, f.err
}

// refreshAfter looks the route up again where the failure means that it may be
// outdated. Where a retry makes no sense with the old route, it returns the
// look-up to wait for.
func (p *Producer) refreshAfter(t *topic, f *Failure) *flight {
	switch {
	case f.Class == ClassAuth:
		return nil
	case f.Code == rocketmq.CodeTopicNotExist, f.Code == rocketmq.CodeInvalidParameter,
		f.Code == rocketmq.CodeNoPermission, f.Class == ClassStale:
		return p.routes.lookUp(t, refreshGap)
	case f.Code == rocketmq.CodeServiceNotAvailable, f.Class == ClassNetwork:
		p.routes.lookUp(t, refreshGap)
	}
	return nil
}

// choose asks for the next queue.
func (p *Producer) choose(ctx context.Context, c *Call, s QueueSelector, r *Route, same bool) (index int, consistent bool, err error) {
	if q := c.Message().Queue; q != nil {
		if index = r.Index(*q); index < 0 {
			return 0, true, fmt.Errorf("%w: %q has no writable queue %v", ErrNoRoute, c.outs[0].topic, *q)
		}
		return index, true, nil
	}
	if same {
		if index = r.Index(c.at.queue); index >= 0 {
			return index, false, nil
		}
	}
	return p.ask(ctx, c, s, r)
}

func (p *Producer) ask(ctx context.Context, c *Call, s QueueSelector, r *Route) (index int, consistent bool, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicError(fmt.Sprintf("selector %T", s), v)
		}
	}()
	if cs, ok := s.(ConsistentSelector); ok {
		consistent = cs.RequiresConsistency(c.Message())
	}
	c.selection = Selection{route: r, call: c, health: p.cfg.Health}
	index, err = s.Select(ctx, &c.selection)
	if err != nil {
		checkError(err)
		return 0, consistent, fmt.Errorf("select a queue: %w", err)
	}
	if index < 0 || index >= r.Len() {
		return 0, consistent, fmt.Errorf("%w: selector %T chose queue %d of %d", ErrContract, s, index, r.Len())
	}
	return index, consistent, nil
}

// try makes one attempt and reports its end exactly once, even if a step ends
// the goroutine.
func (p *Producer) try(ctx context.Context, c *Call, s QueueSelector, r *Route, index int, consistent bool) (res *Result, err error) {
	c.attempts++
	at := &c.at
	*at = Attempt{call: c, number: c.attempts, queue: r.queues[index], broker: r.Broker(index), prev: at.prev, deadline: c.deadline}
	c.result = Result{Queue: at.queue, Status: SendOK}
	if c.mode == Oneway {
		c.result.Status = Written
	}
	err = errGoexit
	defer func() { p.attemptDone(ctx, c, s, res, err) }()
	if err = p.bound(c, r, consistent); err != nil {
		return nil, err
	}
	res, err = p.attemptChain(ctx, at)
	switch {
	case err != nil:
	case c.misuse != nil:
		res, err = nil, c.misuse
	case !at.done:
		res, err = nil, fmt.Errorf("%w: an attempt succeeded that the transport did not make", ErrContract)
	}
	return res, err
}

// bound sets the attempt's deadline, which is capped while another broker is left.
func (p *Producer) bound(c *Call, r *Route, consistent bool) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicError("health view", v)
		}
	}()
	at := &c.at
	alone := !p.othersLeft(c, r, at.broker.Name)
	at.last = alone && (!consistent || len(r.brokers) == 1)
	if !alone && !consistent {
		if cap := time.Now().Add(p.cfg.AttemptTimeout); cap.Before(at.deadline) {
			at.deadline = cap
		}
	}
	return nil
}

// within gives a context that ends with ctx, at the deadline and with an abort.
func (p *Producer) within(ctx context.Context, deadline time.Time) (context.Context, context.CancelFunc) {
	ctx, over := context.WithDeadlineCause(ctx, deadline, ErrTimeout)
	ctx, end := context.WithCancelCause(ctx)
	stop := context.AfterFunc(p.life, func() { end(ErrAborted) })
	return ctx, func() {
		stop()
		end(nil)
		over()
	}
}

// errGoexit stands in the report of an attempt whose goroutine ended under it.
var errGoexit = fmt.Errorf("%w: a step ended the goroutine", ErrContract)

// othersLeft reports whether a broker other than the chosen one is untried and
// not down.
func (p *Producer) othersLeft(c *Call, r *Route, chosen string) bool {
	for i := range r.brokers {
		name := r.brokers[i].Name
		if name != chosen && !slices.Contains(c.tried, name) &&
			(p.cfg.Health == nil || p.cfg.Health.Health(name) != HealthDown) {
			return true
		}
	}
	return false
}

func (p *Producer) attemptDone(ctx context.Context, c *Call, s QueueSelector, res *Result, err error) {
	own, _ := s.(AttemptListener)
	if own != nil && p.listeners.has(own) {
		own = nil // its factory is the same value, or a step is
	}
	if len(p.listeners.attempt) == 0 && own == nil {
		return
	}
	at := &c.at
	c.attemptReport = AttemptReport{
		Attempt: at, Result: res, Err: err, Class: ClassOf(err),
		Latency: at.latency, Written: at.written, Abandoned: !at.entered,
	}
	p.listeners.attemptDone(ctx, &c.attemptReport)
	if own != nil {
		p.listeners.guard("selector", "AttemptDone", func() { own.AttemptDone(ctx, &c.attemptReport) })
	}
}

// carry is the innermost handler of attempt scope: the transport.
func (p *Producer) carry(ctx context.Context, at *Attempt) (res *Result, err error) {
	if at.entered {
		return nil, ErrNextTwice
	}
	if at.call.misuse != nil {
		return nil, at.call.misuse
	}
	at.entered = true
	start := time.Now()
	defer func() { at.latency = time.Since(start) }()
	defer recoverStep("transport", &res, &err)
	res, err = p.cfg.Transport.RoundTrip(ctx, at)
	if res != nil {
		at.written = true // whatever is wrong with it
	} else {
		errors.As(err, &at.answer)
	}
	res, err = checkContract("transport", res, err)
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		err = ContextError(ctx) // a cause alone does not show that the context ended
	}
	if err == nil {
		at.done = true
		at.acked = at.call.mode != Oneway || res.Acked()
		at.call.certainty = max(at.call.certainty, at.success(res))
	}
	return res, err
}

// success is what a result says about the message: a one-way send was only written.
func (a *Attempt) success(res *Result) Certainty {
	if res.Acked() {
		return Stored
	}
	return MaybeStored
}

// certainty is what the attempt's failure says about the message.
func (a *Attempt) certainty() Certainty {
	switch {
	case !a.entered:
		return NotSent // a veto, whatever error it brought along
	case a.acked:
		return Stored // a step failed the attempt after the broker had confirmed it
	case a.answer != nil: // the transport's word: a step's error may tell of other attempts
		return a.answer.Certainty()
	case a.written:
		return MaybeStored
	default:
		return NotSent
	}
}

func decide(p RetryPolicy, f *Failure) (d Decision, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicError("retry policy", v)
		}
	}()
	return p.Next(f), nil
}

// withdraw asks the budget for a retry.
func (p *Producer) withdraw() (granted bool, err error) {
	if p.cfg.Budget == nil {
		return true, nil
	}
	defer func() {
		if v := recover(); v != nil {
			err = panicError("retry budget", v)
		}
	}()
	return p.cfg.Budget.Withdraw(), nil
}

// deposit tells the budget of a success. A panic in it changes nothing about
// that, so it is logged like a listener's.
func (p *Producer) deposit() {
	if p.cfg.Budget == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			p.cfg.Logger.Error("retry budget panicked", "group", p.cfg.Group, "panic", v)
		}
	}()
	p.cfg.Budget.Deposit()
}

// errTimer tells wait's callers that the timer ended the wait.
var errTimer = errors.New("timer")

// wait waits until ready is closed (nil error), the timer fires (errTimer), or
// the call ends.
func (p *Producer) wait(ctx context.Context, c *Call, timer <-chan time.Time, ready <-chan struct{}) error {
	defer c.timer.Stop()
	select {
	case <-ready:
		return nil
	case <-timer:
		return errTimer
	case <-ctx.Done():
		return ContextError(ctx)
	case <-p.aborted:
		return ErrAborted
	}
}

// until starts the call's timer.
func (c *Call) until(d time.Duration) <-chan time.Time {
	if c.timer == nil {
		c.timer = time.NewTimer(d)
	} else {
		c.timer.Reset(d)
	}
	return c.timer.C
}

func (c *Call) addTried(broker string) {
	if !slices.Contains(c.tried, broker) {
		c.tried = append(c.tried, broker)
	}
}

func (c *Call) untried(r *Route) int {
	n := 0
	for i := range r.brokers {
		if !slices.Contains(c.tried, r.brokers[i].Name) {
			n++
		}
	}
	return n
}

// freeze ends message scope: the properties get their wire form, once for all
// attempts, and have to fit the protocol.
func (c *Call) freeze() error {
	b := c.properties[:0]
	for i := range c.outs {
		o := &c.outs[i]
		if o.prepared {
			o.frozen = true
			continue
		}
		for _, p := range o.props {
			if err := p.check(); err != nil {
				return err
			}
		}
		from := len(b)
		b = o.appendProperties(b)
		o.encoded = b[from:len(b):len(b)] // stays where it is when b moves
		if len(o.encoded) > rocketmq.MaxPropertiesLength {
			return fmt.Errorf("%w: properties take %d bytes encoded, at most %d are allowed",
				ErrInvalidMessage, len(o.encoded), rocketmq.MaxPropertiesLength)
		}
		o.frozen = true
	}
	c.properties = b
	return nil
}

func (c *Call) thaw() {
	for i := range c.outs {
		c.outs[i].frozen = false
	}
}
