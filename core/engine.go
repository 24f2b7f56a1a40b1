package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/internal/words"
)

// engine carries calls: it finds routes, chooses queues, makes attempts and decides what
// comes after them. A Producer is the facade of one engine.
//
// A call goes through the phases below. advance takes it from one to the next and never
// blocks, but for the attempt itself; where a call has to wait, advance gives the wait
// back. Today deliver waits on the goroutine of the call. Because every wait is a value,
// something else can wait for it later without a goroutine.
//
//	routing ──route──► choosing ──queue──► attempting ──┬─ success, or no further attempt ──► over
//	                       ▲                             │
//	                       ├── a breaker refused ────────┤
//	                       │                             ▼
//	                       ├────────────────────────── pausing (the retry policy's pause)
//	                       │                             │ the route is outdated
//	                       └────────────────────────── refreshing
type engine struct {
	cfg      *Config
	producer *Producer
	chains   *chains // the producer's own steps
	routes   *routeCache
	policies atomic.Pointer[policySet]
	lacks    features // what the transport cannot carry
	clientID string   // by which servers know the transport's client
	ids      idMaker
	calls    sync.Pool
	totals   totals

	aborted chan struct{}   // closed when calls under way are given up
	life    context.Context // ends with aborted, for waits that need a context
	abort   context.CancelFunc
}

// phase is where a call stands.
type phase uint8

const (
	routing    phase = iota // it has no route yet
	choosing                // it needs a queue
	attempting              // it has a queue and is to be tried there
	pausing                 // it waits before the next attempt
	refreshing              // and for the topic's new route
	over                    // it has its outcome
)

// delivery is what the engine knows of a call between two advances.
type delivery struct {
	phase      phase
	topic      *topic
	look       *lookUp // that is waited for
	route      *Route
	index      int           // of the chosen queue
	consistent bool          // the queue carries meaning: no other may be used
	same       bool          // the policy wants the same queue again, which the route still has
	sought     bool          // the route was looked up because it lacks the message's own queue
	rejected   int           // attempts that breakers refused in this round
	paused     time.Duration // before the last attempt, by the policy's decision
	weak       Result        // stored with a weaker status, while the policy asks for more
	weakAnswer batchAnswer
	hasWeak    bool
	res        *Result // the outcome, once over
	err        error
}

// deliver is the innermost handler of message scope: it makes attempts until one succeeds,
// the retry policy gives up, or the call ends. Every failure is a *SendError.
func (e *engine) deliver(ctx context.Context, c *Call) (*Result, error) {
	if len(c.outs) == 0 {
		return nil, calledLate(e.chains.lastCall)
	}
	defer c.thaw()
	c.stop = StopNone
	if err := c.freeze(); err != nil {
		return nil, c.failed(err)
	}
	c.delivery = delivery{topic: e.routes.topicOf(c.served, c.outs[0].topic)}
	if c.half {
		c.topic.half.Store(true)
	}
	for {
		w := e.advance(ctx, c)
		if c.phase == over {
			return c.res, c.err
		}
		if err := c.await(ctx, w); err != nil {
			e.cut(c, err)
			return c.res, c.err
		}
	}
}

// advance takes the call on until it has to wait or is over.
func (e *engine) advance(ctx context.Context, c *Call) wait {
	for {
		switch c.phase {
		case routing:
			if w, must := e.findRoute(c); must {
				return w
			}
		case choosing:
			if w, must := e.choose(ctx, c); must {
				return w
			}
		case attempting:
			if w, must := e.attempt(ctx, c); must {
				return w
			}
		case pausing:
			if c.phase = choosing; c.look != nil {
				c.phase = refreshing
				until := time.Now().Add(refreshWait)
				if c.deadline.Before(until) {
					until = c.deadline
				}
				return wait{ready: c.look.done, until: until, pause: true}
			}
		case refreshing:
			e.refreshed(c)
		case over:
			return wait{}
		}
	}
}

// findRoute gives the call its route: from the cache, or by a look-up that it waits for.
func (e *engine) findRoute(c *Call) (w wait, must bool) {
	if r := c.topic.route.Load(); r != nil {
		c.route, c.phase = r, choosing
		return wait{}, false
	}
	if c.look == nil {
		c.look = e.routes.lookUp(c.topic, 0, c.deadline)
		return wait{ready: c.look.done, until: c.deadline}, true
	}
	look := c.look
	c.look = nil
	if look.err != nil {
		e.end(c, nil, look.err)
	} else {
		c.route, c.phase = look.route, choosing
	}
	return wait{}, false
}

// refreshed goes on after the route was looked up again, or where that takes too long. A
// look-up that failed leaves the old route in use, unless it said that the route is to be
// given up.
func (e *engine) refreshed(c *Call) {
	look := c.look
	c.look, c.phase = nil, choosing
	select {
	case <-look.done:
		if look.err != nil && c.topic.route.Load() == nil {
			e.end(c, nil, look.err)
		}
	default:
	}
}

// choose finds the queue of the next attempt. A route that lacks the queue which the message
// names is looked up again first, once for each call: its broker may have been away at the
// last look-up, and be back.
func (e *engine) choose(ctx context.Context, c *Call) (w wait, must bool) {
	if err := c.ended(ctx); err != nil {
		if err == ErrTimeout {
			err = fmt.Errorf("the call's %v were over before attempt %d: %w", c.deadline.Sub(c.start).Round(time.Millisecond), c.attempts+1, err)
		}
		e.end(c, nil, err)
		return wait{}, false
	}
	// A refresh may have brought a new route since the last attempt, or have given the old
	// one up.
	if c.route = c.topic.route.Load(); c.route == nil {
		c.phase = routing
		return wait{}, false
	}
	if q := c.Message().Queue; q != nil && !c.sought && c.route.Index(*q) < 0 {
		c.sought, c.phase = true, refreshing
		c.look = e.routes.lookUp(c.topic, refreshGap, c.deadline)
		return wait{ready: c.look.done, until: c.deadline}, true
	}
	var err error
	if c.index, c.consistent, err = e.chooseQueue(ctx, c); err != nil {
		e.end(c, nil, err)
		return wait{}, false
	}
	c.phase = attempting
	return wait{}, false
}

// attempt makes one attempt and does what is decided after it.
func (e *engine) attempt(ctx context.Context, c *Call) (w wait, must bool) {
	before := c.certainty // of all attempts, those of an earlier next included
	res, err := e.try(ctx, c)
	switch c.observe(res, err, before) {
	case succeed:
		e.end(c, &c.result, nil)
		return wait{}, false
	case giveUp:
		e.end(c, nil, err)
		return wait{}, false
	case nextBroker:
		c.addTried(c.at.broker.Name)
		c.phase = choosing
		return wait{}, false
	}
	c.addTried(c.at.broker.Name)
	c.look = e.refreshAfter(c)
	if c.final() {
		c.stop = StopFinal
		e.end(c, nil, err)
		return wait{}, false
	}
	d, r, broken := e.mayGoOn(c)
	if broken != nil {
		err = broken
	}
	if r == giveUp {
		e.end(c, nil, err)
		return wait{}, false
	}
	return e.retry(ctx, c, d)
}

// retry prepares the next attempt.
func (e *engine) retry(ctx context.Context, c *Call, d Decision) (w wait, must bool) {
	e.retryScheduled(ctx, c, d)
	c.same, c.paused = d.Reroute == SameQueue, d.After
	if d.Reroute == AnyQueue {
		c.tried, c.rejected = c.tried[:0], 0
	}
	c.phase = pausing
	if d.After > 0 {
		return wait{until: time.Now().Add(d.After), pause: true}, true
	}
	return wait{}, false
}

// cut ends a call whose wait ended early.
func (e *engine) cut(c *Call, why error) {
	if c.phase == routing {
		why = c.look.unfinished(c.topic.name, why)
	}
	e.end(c, nil, why)
}

// end gives the call its outcome: the result, else a weaker result of an earlier attempt,
// else the error.
func (e *engine) end(c *Call, res *Result, err error) {
	c.phase = over
	switch {
	case res != nil:
		e.deposit(c)
		c.res = res
	case c.hasWeak:
		e.deposit(c)
		c.result, c.answer = c.weak, c.weakAnswer
		c.result.Attempts = c.attempts
		// An attempt after it that got no answer may have stored the message too.
		c.result.MaybeDuplicate = c.weak.MaybeDuplicate ||
			slices.ContainsFunc(c.failures, func(f AttemptError) bool { return f.Certainty >= MaybeStored })
		c.res = &c.result
	default:
		c.err = c.failed(err)
	}
}

// refreshAfter looks the route up again where the failure means that it may be outdated.
// Where a retry makes no sense with the old route, it gives the look-up to wait for.
func (e *engine) refreshAfter(c *Call) *lookUp {
	switch c.failure.staleness() {
	case outdated:
		return e.routes.lookUp(c.topic, refreshGap, c.deadline)
	case doubtful:
		e.routes.doubt(c.topic)
	}
	return nil
}

// chooseQueue gives the next queue: the message's own, the same again, or the selector's.
func (e *engine) chooseQueue(ctx context.Context, c *Call) (index int, consistent bool, err error) {
	r := c.route
	if q := c.Message().Queue; q != nil {
		if index = r.Index(*q); index < 0 {
			return 0, true, fmt.Errorf("%w: %s has no writable queue %d of broker %s", ErrNoRoute, words.Quote(c.outs[0].topic), q.ID, words.Quote(q.Broker))
		}
		return index, true, nil
	}
	if c.same {
		if index = r.Index(c.at.queue); index >= 0 {
			return index, c.consistent, nil
		}
		c.same = false
	}
	return e.ask(ctx, c)
}

func (e *engine) ask(ctx context.Context, c *Call) (index int, consistent bool, err error) {
	s, err := c.queueSelector(ctx)
	if err != nil {
		return 0, false, err
	}
	defer func() {
		if v := recover(); v != nil {
			err = panicError(fmt.Sprintf("selector %T", s), v)
		}
	}()
	if cs, ok := s.(ConsistentSelector); ok {
		consistent = cs.RequiresConsistency(c.Message())
	}
	c.selection = Selection{route: c.route, call: c, health: c.served.policy.Health}
	index, err = s.Select(ctx, &c.selection)
	if err != nil {
		checkError(err)
		return 0, consistent, fmt.Errorf("select a queue: %w", err)
	}
	if index < 0 || index >= c.route.Len() {
		return 0, consistent, fmt.Errorf("%w: selector %T chose queue %d of %d", ErrContract, s, index, c.route.Len())
	}
	return index, consistent, nil
}

// try makes one attempt and reports its end exactly once, even if a step ends
// the goroutine. Where the broker is absent no step is asked: there is nothing to protect.
func (e *engine) try(ctx context.Context, c *Call) (res *Result, err error) {
	c.attempts++
	at := &c.at
	*at = Attempt{
		call: c, number: c.attempts, queue: c.route.queues[c.index], broker: c.route.Broker(c.index),
		prev: at.prev, deadline: c.deadline,
	}
	c.answer = batchAnswer{}
	c.result = Result{Queue: at.queue, Status: SendOK}
	if c.mode == Oneway {
		c.result.Status = Written
	}
	err = errGoexit
	defer func() { e.attemptDone(ctx, c, res, err) }()
	if at.broker.Absent() {
		return nil, fmt.Errorf("%w: no address of %s is known now, whose queue this is", ErrConnect, at.broker.Name)
	}
	if broken := e.limit(c); broken != nil {
		return nil, broken
	}
	res, err = c.served.policy.attempt(ctx, at)
	if err == nil && c.misuse != nil {
		return nil, c.misuse
	}
	return res, err
}

// limit sets the attempt's deadlines. They are capped while another broker may take the
// message and the policy would use it, or the call has an attempt timeout of its own: the
// one for sending if the policy goes elsewhere with a message that was not sent, the one for
// the answer if it does so even without knowing.
func (e *engine) limit(c *Call) (err error) {
	defer containPanic("health view", &err)
	at := &c.at
	others := !c.consistent && c.othersLeft()
	at.last = c.same || !others
	at.sendBy = at.deadline
	if !others {
		return nil
	}
	end := time.Now().Add(at.Cap())
	if !end.Before(at.deadline) {
		return nil
	}
	use := c.served.policy.capped.of(c.mode, c.attempts)
	if c.ownRetry {
		use = capUse(c.retry, c.mode, c.attempts)
	}
	if use.unsent {
		at.sendBy = end
	}
	if use.unanswered || c.attemptTimeout != 0 {
		at.sendBy, at.deadline = end, end
	}
	return nil
}

// othersLeft reports whether a broker other than the chosen one is there, untried and
// not down.
func (c *Call) othersLeft() bool {
	r := c.route
	for i := range r.brokers {
		b := &r.brokers[i]
		if b.Name != c.at.broker.Name && !slices.Contains(c.tried, b.Name) && !c.isDown(b) {
			return true
		}
	}
	return false
}

// carry is the innermost handler of attempt scope: the transport.
func (e *engine) carry(ctx context.Context, at *Attempt) (res *Result, err error) {
	if at.call == nil {
		return nil, calledLate(e.chains.lastAttempt)
	}
	own := at.call.served.policy.chains
	if err := at.descend(len(own.pipeline.attempt), own.lastAttempt); err != nil {
		return nil, err
	}
	if at.call.misuse != nil {
		return nil, at.call.misuse
	}
	at.entered = true
	start := time.Now()
	defer func() { at.latency = time.Since(start) }()
	defer containResult("transport", &res, &err)
	res, err = e.cfg.Transport.RoundTrip(ctx, at)
	if res != nil {
		at.written = true // whatever is wrong with it
	} else {
		errors.As(err, &at.refusal)
	}
	res, err = checkContract("transport", res, err)
	if c := at.call; err == nil && !c.batch && c.answer.refused > 0 {
		res, err = nil, c.answer.err(0) // the one message was refused
		errors.As(err, &at.refusal)
	}
	err = withContext(ctx, err)
	if err == nil {
		at.done = true
		at.acked = res.Acked()
		at.call.certainty = max(at.call.certainty, at.success(res))
	}
	return res, err
}

// deposit tells the budget of a success. A panic in it changes nothing about
// that, so it is logged like a listener's.
func (e *engine) deposit(c *Call) {
	b := c.served.policy.Budget
	if b == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			e.cfg.Logger.Error("retry budget panicked", "group", e.cfg.Group, "panic", v)
		}
	}()
	b.Deposit()
}

// attemptDone reports the end of an attempt to the listeners of the policy, and to the
// selector.
func (e *engine) attemptDone(ctx context.Context, c *Call, res *Result, err error) {
	e.totals.attempt(&c.at, err)
	ls := &c.served.policy.listeners
	own := c.selectorListener(ctx, ls)
	if len(ls.attempt) == 0 && own == nil {
		return
	}
	at := &c.at
	c.attemptReport = AttemptReport{
		Attempt: at, Result: c.report(res), Err: err, Class: ClassOf(err),
		Latency: at.latency, Written: at.written, Abandoned: !at.entered,
	}
	ls.attemptDone(ctx, &c.attemptReport)
	if own != nil {
		ls.guard("selector", "AttemptDone", func() { own.AttemptDone(ctx, &c.attemptReport) })
	}
}

// selectorListener is the call's selector, if it listens and is not told already as its own
// factory or as a step.
func (c *Call) selectorListener(ctx context.Context, told *listeners) AttemptListener {
	s, err := c.queueSelector(ctx)
	if err != nil {
		return nil
	}
	own, _ := s.(AttemptListener)
	if own == nil || told.has(own) {
		return nil
	}
	return own
}

func (e *engine) retryScheduled(ctx context.Context, c *Call, d Decision) {
	e.totals.retries.Add(1)
	ls := &c.served.policy.listeners
	if len(ls.retry) == 0 {
		return
	}
	r := &RetryReport{Call: c, Attempt: c.attempts, Err: c.failure.Err, Delay: max(0, d.After)}
	ls.retryScheduled(ctx, r)
}
