package accumulate

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/internal/words"
)

// Accumulator puts sends together. It belongs to one producer and is safe for
// concurrent use. It has no goroutine of its own: batches are sent by the
// producer's, which Shutdown joins.
type Accumulator struct {
	cfg   Config
	owner atomic.Pointer[core.Producer]

	mu       sync.Mutex // also of the groups and their open batches
	flushing int        // flushes under way; a shutdown is one that does not end
	groups   map[key]*group
}

// key says which messages can share a batch.
type key struct {
	topic string
	queue core.Queue
	fixed bool
	wait  string // for the store: a batch has one setting
	mode  core.Mode
	// policy differs for topics that are one on the wire only, and for calls that began
	// before and after the producer's policies were replaced. A batch goes by one.
	policy *core.Policy
}

// group is what is known of the sends of one key.
type group struct {
	open   *batch
	flying int // messages on their way
	expect int // how many messages are worth waiting for
}

// batch is a batch with the calls that wait for it.
type batch struct {
	core   *core.Batch
	group  *group
	next   core.Handler
	ctx    context.Context // of no single caller
	cancel context.CancelFunc
	timer  *time.Timer
	due    time.Time // when the batch goes
	sealed bool
	end    time.Time     // the first of the calls' deadlines
	over   chan struct{} // closed then
	rang   bool          // over is closed
	done   chan struct{}
	users  atomic.Int32
}

var (
	_ core.Interceptor = (*Accumulator)(nil)
	_ core.Drainer     = (*Accumulator)(nil)
	_ core.Flusher     = (*Accumulator)(nil)
	_ core.Requirer    = (*Accumulator)(nil)
	_ core.Describer   = (*Accumulator)(nil)
)

// New makes an accumulator. It reports all mistakes in cfg at once.
func New(cfg Config) (*Accumulator, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("accumulate: %w", err)
	}
	return &Accumulator{cfg: cfg, groups: map[key]*group{}}, nil
}

// Step places the accumulator in the encode stage of message scope, under the
// name "accumulate". Compression places itself outside of it.
func (a *Accumulator) Step() core.Step {
	return core.CallStep("accumulate", core.StageEncode, a)
}

// Requires asks for a transport that carries batches.
func (a *Accumulator) Requires() core.Requirements {
	return core.Requirements{Features: []core.Feature{core.FeatureBatch}}
}

// Describe gives the limits of a batch.
func (a *Accumulator) Describe() core.Description {
	return core.Description{Summary: "puts small sends together", Settings: []core.Setting{
		{Name: "linger", Value: "at most " + a.cfg.Linger.String()},
		{Name: "messages", Value: "at most " + strconv.Itoa(a.cfg.MaxCount)},
		{Name: "size", Value: "at most " + words.Size(a.cfg.MaxBytes)},
	}}
}

// Intercept implements [core.Interceptor].
func (a *Accumulator) Intercept(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
	if err := a.claim(call.Producer()); err != nil {
		return nil, err
	}
	// A call that is over must not find its message on the way with others'.
	if ctx.Err() != nil || !time.Now().Before(call.Deadline()) || !a.suits(call) {
		return next(ctx, call)
	}
	b, g, err := a.join(call, next)
	if err != nil {
		return nil, err
	}
	if b == nil {
		defer a.landed(g, 1)
		return next(ctx, call)
	}
	res, again, err := a.outcome(ctx, call, b)
	if again {
		return next(ctx, call)
	}
	return res, err
}

// claim makes the first producer that sends the only one.
func (a *Accumulator) claim(p *core.Producer) error {
	if owner := a.owner.Load(); owner == p || owner == nil && a.owner.CompareAndSwap(nil, p) {
		return nil
	}
	if owner := a.owner.Load(); owner != p {
		return fmt.Errorf("%w: this accumulator belongs to a producer of group %q, each producer needs its own",
			core.ErrContract, owner.Group())
	}
	return nil
}

// alone are the properties that a message of a batch must not have, besides those that
// [rocketmq.IsSingleProperty] names. Brokers do not honour them there: delays and
// transactions. A sharding key asks for a queue that the others may not share. Validation leaves most of them to the
// typed fields, but steps may set them.
var alone = [...]string{
	rocketmq.PropertyDelay, rocketmq.PropertyTimerDeliverMS, rocketmq.PropertyTimerDelayMS, rocketmq.PropertyTimerDelaySec,
	rocketmq.PropertyShardingKey, rocketmq.PropertyTransactionPrepared, rocketmq.PropertyProducerGroup,
}

// suits reports whether the message may share a request.
func (a *Accumulator) suits(call *core.Call) bool {
	if call.Batch() || call.Mode() == core.Oneway || call.Own() {
		return false
	}
	out := call.Outgoing()
	if out.Codec() != "" || len(out.Body()) > a.cfg.MaxBytes/2 || rocketmq.IsRetryTopic(out.Topic()) {
		return false
	}
	for _, name := range alone {
		if _, ok := out.Property(name); ok {
			return false
		}
	}
	for _, name := range rocketmq.SingleProperties() {
		if _, ok := out.Property(name); ok {
			return false
		}
	}
	return !call.Consistent()
}

// join puts the message into the open batch of its key, or into a new one. It
// returns no batch where no other message is to be waited for: this one goes by itself
// and counts as on its way.
func (a *Accumulator) join(call *core.Call, next core.Handler) (*batch, *group, error) {
	out := call.Outgoing()
	k := key{topic: out.Topic(), mode: call.Mode(), policy: call.Policy()}
	if v, ok := out.Property(rocketmq.PropertyWait); ok {
		k.wait = v
	}
	if q := call.Message().Queue; q != nil {
		k.fixed, k.queue = true, *q
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	g := a.group(k)
	if b := g.open; b != nil {
		ok, err := b.core.Add(call, a.cfg.MaxBytes)
		if err != nil {
			return nil, nil, err
		}
		if ok {
			a.joined(b, call)
			return b, g, nil
		}
		a.send(b)
	}
	g.expect = max(g.expect, g.flying+1)
	if g.expect == 1 {
		g.flying++
		return nil, g, nil
	}
	b := &batch{core: call.Producer().NewBatch(), group: g, next: next, over: make(chan struct{}), done: make(chan struct{})}
	if _, err := b.core.Add(call, a.cfg.MaxBytes); err != nil {
		b.core.Release()
		return nil, nil, err
	}
	// Hooks and transport must not find one caller's values with another's
	// message, nor end with one caller.
	b.ctx, b.cancel = context.WithCancel(context.Background())
	g.open = b
	a.joined(b, call)
	return b, g, nil
}

// joined decides how long a batch with one more message waits.
//
// Callers that wait for their results come back together with their next
// message. So it is worth to wait until as many have come as have lately been
// here at a time, on their way or waiting, but not for long: a caller that stays away
// costs the others the linger time once. A lone caller does not wait.
func (a *Accumulator) joined(b *batch, call *core.Call) {
	b.users.Add(1)
	g, n := b.group, b.core.Len()
	g.expect = max(g.expect, g.flying+n)
	if n == 1 || call.Deadline().Before(b.end) {
		b.end = call.Deadline()
	}
	if n >= g.expect || n >= a.cfg.MaxCount || b.core.Size() >= a.cfg.MaxBytes {
		a.send(b)
		return
	}
	// A message must not lose more than half of its time here. Usually the batch goes
	// before that, and the clock need not be read.
	if left := call.Deadline().Sub(call.Start()); b.timer != nil && !call.Start().Add(left/2).Before(b.due) {
		return
	}
	now := time.Now()
	wait := min(a.cfg.Linger, call.Deadline().Sub(now)/2)
	if a.flushing > 0 {
		wait = min(wait, lastLinger)
	}
	if due := now.Add(wait); b.timer == nil || due.Before(b.due) {
		b.due = due
		a.set(b, wait)
	}
}

// set makes the batch's only timer ring after d. While the batch is open that is
// when it goes; after that, when the time of the first of its calls ends: one timer
// for all of them is much cheaper than one for each.
func (a *Accumulator) set(b *batch, d time.Duration) {
	if b.timer == nil {
		b.timer = time.AfterFunc(d, func() { a.ring(b) })
	} else {
		b.timer.Reset(d)
	}
}

// ring is the timer's. It may come a little early, when the batch has just gone.
func (a *Accumulator) ring(b *batch) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case !b.sealed:
		b.group.expect = b.core.Len() // the others did not come
		a.send(b)
	case !b.rang:
		b.rang = true
		close(b.over)
	}
}

// lastLinger is the longest wait during a flush, and once the producer shuts down.
const lastLinger = time.Millisecond

// maxGroups is how many keys are remembered while no send uses them.
const maxGroups = 4096

func (a *Accumulator) group(k key) *group {
	g := a.groups[k]
	if g == nil {
		if len(a.groups) >= maxGroups {
			for k, g := range a.groups {
				if g.open == nil && g.flying == 0 {
					delete(a.groups, k)
				}
			}
		}
		g = &group{}
		a.groups[k] = g
	}
	return g
}

// send closes a batch to further messages and sends it.
func (a *Accumulator) send(b *batch) {
	a.close(b)
	n := b.core.Len()
	b.group.flying += n
	a.set(b, time.Until(b.end))
	b.core.Go(b.ctx, b.next, func() {
		b.timer.Stop()
		a.landed(b.group, n)
		close(b.done)
	})
}

// landed counts n messages of a group that are no longer on their way.
func (a *Accumulator) landed(g *group, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	g.flying -= n
}

func (a *Accumulator) close(b *batch) {
	b.sealed = true
	b.group.open = nil
	if b.timer != nil {
		b.timer.Stop()
	}
}

// outcome waits for what becomes of the message. It may have to go again, alone.
func (a *Accumulator) outcome(ctx context.Context, call *core.Call, b *batch) (res *core.Result, again bool, err error) {
	defer b.leave()
	if err := a.await(ctx, call, b); err != nil {
		return nil, false, err
	}
	res, err = b.core.Outcome(call)
	return res, err != nil && b.core.Len() > 1 && ofOne(err), err
}

// ofOne reports whether a refusal may be about one message of a batch only, so that the
// message may go again alone: the others must not suffer for it, and it may be refused for
// nothing but its company.
//
// The rule is the same whether the whole batch was refused, or this message alone of a batch
// whose others are stored. In both cases the message goes again only if it is certainly not
// stored. A failure that lies in no message, such as a busy broker, stays with the caller:
// the engine has asked the retry policy about it already, or must not send again because a
// part of the batch is stored.
func ofOne(err error) bool {
	if !core.CertaintyOf(err).Safe() || errors.Is(err, core.ErrFrozen) {
		return false
	}
	switch core.ClassOf(err) {
	case core.ClassInvalid, core.ClassRejected, core.ClassForbidden, core.ClassPlugin, core.ClassUnknown:
		return true
	}
	return false
}

// leave ends a call's use of its batch. The last one gives it back or, when it is
// still on its way, gives it up.
func (b *batch) leave() {
	if b.users.Add(-1) > 0 {
		return
	}
	b.cancel()
	select {
	case <-b.done:
		b.core.Release()
	default:
	}
}

// await waits until the batch has an outcome. A caller whose time ends first takes
// its message out again, or leaves it behind if it is on its way. The end of a shutdown
// ends the batch's own call, so calls that wait for it need not watch for that too.
//
// The batch's timer serves all its calls until the first of their deadlines. Only the few
// calls that are left then have a timer each.
func (a *Accumulator) await(ctx context.Context, call *core.Call, b *batch) error {
	select {
	case <-b.done:
		return nil
	case <-ctx.Done():
		return a.giveUp(call, b, core.ContextError(ctx))
	case <-b.over:
	}
	if err := call.Wait(ctx, b.done); err != nil {
		return a.giveUp(call, b, err)
	}
	return nil
}

// giveUp ends the wait of a call, unless the outcome is there by now. The reason may be an
// error of the user's, such as the cause of a context, so it is asked without the lock.
func (a *Accumulator) giveUp(call *core.Call, b *batch, why error) error {
	ended, onTheWay := a.takeOut(call, b)
	switch {
	case ended:
		return nil
	case onTheWay:
		return b.core.Leave(call, fmt.Errorf("in a batch on its way: %w", why))
	default:
		return fmt.Errorf("waiting for a batch: %w", why)
	}
}

// takeOut takes a call's message out of its batch, unless the batch has ended or is on its
// way.
func (a *Accumulator) takeOut(call *core.Call, b *batch) (ended, onTheWay bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-b.done:
		return true, false
	default:
	}
	if b.sealed {
		return false, true
	}
	b.core.Drop(call)
	if b.core.Len() == 0 {
		a.close(b)
		close(b.done)
	}
	return false, false
}

// Flush implements [core.Flusher]: what waits is sent at once, and until end is called what
// comes waits for hardly anything.
func (a *Accumulator) Flush() (end func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.flushing++
	for _, g := range a.groups {
		if g.open != nil {
			a.send(g.open)
		}
	}
	return sync.OnceFunc(func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.flushing--
	})
}

// Drain implements [core.Drainer]: the end of the producer is a flush that does not end.
func (a *Accumulator) Drain() { a.Flush() }
