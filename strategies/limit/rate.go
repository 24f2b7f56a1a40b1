package limit

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

const (
	// firstSweep is how many topics a Rate knows before it looks for idle ones.
	firstSweep = 64
	// sweepGap is the time between two such looks.
	sweepGap = time.Second
	// maxTopics is how many topics have a bucket of their own.
	maxTopics = 16_384
)

// Rate lets so many messages of each topic pass in a second, in every mode: a token bucket for
// each topic, made with golang.org/x/time/rate. The topic is the one of the user's message,
// whatever steps make of it.
//
// A call passes once, with all its attempts, and costs one token for each message. A batch
// that is larger than the burst passes when the bucket is full, and later calls wait until
// what it had too much is made up for. So no batch is too large, and the rate holds.
//
// Calls of one topic that wait do so in the order in which they came, and a large batch is
// not overtaken. A call whose turn would come after its time fails at once: waiting could
// not help it. The error is a [*RateError].
//
// An asynchronous send that waits keeps its worker (see core's Config.MaxWorkers): a producer
// whose calls wait most of the time sends other topics late. [Refuse] does not wait.
//
// It is safe for concurrent use, also by several producers at once, which then share the rate.
// It has no goroutine and costs a call that passes no allocation. A topic whose bucket has filled
// up is forgotten: a new one is no different. Beyond 16,384 topics with a bucket the others
// share one.
type Rate struct {
	cfg     RateConfig
	waiters sync.Pool // of *turn

	mu      sync.Mutex
	topics  map[string]*bucket
	rest    *bucket // of topics beyond maxTopics
	sweepAt int     // so many topics are worth a look for idle ones
	swept   time.Time
}

var (
	_ core.Interceptor = (*Rate)(nil)
	_ core.Describer   = (*Rate)(nil)
)

// NewRate makes a rate limit whose buckets are full. It reports all mistakes in cfg at once.
func NewRate(cfg RateConfig) (*Rate, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("limit: rate: %w", err)
	}
	return &Rate{
		cfg: cfg, topics: map[string]*bucket{}, sweepAt: firstSweep,
		waiters: sync.Pool{New: func() any { return &turn{ready: make(chan struct{}, 1)} }},
	}, nil
}

// Step places the limit in the guard stage of message scope, under the name "limit.rate". It
// stands within the steps that check messages: one that is refused there costs no token.
func (r *Rate) Step() core.Step {
	return core.CallStep("limit.rate", core.StageGuard, r).After("validate?", "sendrules?")
}

// Intercept implements [core.Interceptor].
func (r *Rate) Intercept(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
	if err := r.pass(ctx, call); err != nil {
		return nil, err
	}
	return next(ctx, call)
}

// pass takes the tokens of a call, or says why it cannot.
func (r *Rate) pass(ctx context.Context, call *core.Call) error {
	topic, n := call.Message().Topic, call.Len()
	now := time.Now()
	r.mu.Lock()
	b := r.bucket(topic, now)
	if b.line.Len() == 0 && b.take(now, n) {
		r.mu.Unlock()
		return nil
	}
	after := b.after(now, n)
	if r.cfg.Excess == Refuse || after >= call.Deadline().Sub(now) {
		r.mu.Unlock()
		return r.exceeded(topic, n, after, core.ErrTooManyInFlight)
	}
	t := r.waiters.Get().(*turn)
	defer r.waiters.Put(t)
	t.n = n
	b.queue(t, now)
	r.mu.Unlock()
	if why := call.Wait(ctx, t.ready); why != nil {
		r.giveUp(b, t)
		return r.exceeded(topic, n, after, why)
	}
	return nil
}

// giveUp takes a call out of its line. If it had its turn at the same moment its tokens are
// spent.
func (r *Rate) giveUp(b *bucket, t *turn) {
	r.mu.Lock()
	listed := b.line.Remove(&t.node)
	if listed {
		b.waiting -= t.n
		b.advance(time.Now())
	}
	r.mu.Unlock()
	if !listed {
		<-t.ready
	}
}

func (r *Rate) exceeded(topic string, n int, after time.Duration, why error) error {
	return &RateError{Topic: topic, Messages: n, PerSecond: r.cfg.PerSecond, Burst: r.cfg.Burst, After: after, Err: why}
}

// bucket finds or makes the bucket of a topic.
func (r *Rate) bucket(topic string, now time.Time) *bucket {
	if b := r.topics[topic]; b != nil {
		return b
	}
	if len(r.topics) >= r.sweepAt && now.Sub(r.swept) >= sweepGap {
		r.sweep(now)
	}
	if len(r.topics) >= maxTopics {
		if r.rest == nil {
			r.rest = r.newBucket()
		}
		return r.rest
	}
	b := r.newBucket()
	r.topics[strings.Clone(topic)] = b // it may be part of something large
	return b
}

// sweep forgets the topics whose buckets are full.
func (r *Rate) sweep(now time.Time) {
	for topic, b := range r.topics {
		if b.idle(now) {
			delete(r.topics, topic)
		}
	}
	r.swept, r.sweepAt = now, max(firstSweep, 2*len(r.topics))
	if r.sweepAt > maxTopics {
		r.sweepAt = maxTopics
	}
}
