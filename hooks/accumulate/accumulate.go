// Package accumulate puts small sends of many callers together: messages for one
// topic that are sent at about the same time share one request, and each send
// still has its own result. A broker takes a batch for little more than it takes
// for one message, so many callers with small messages send several times as many.
//
// Give [Accumulator.Step] to the producer and send as before, with Send or
// SendAsync. A message waits for others at most the linger time, less when as many
// have come as last time, and not at all once the batch is full by number or bytes.
//
// Some messages are never accumulated and go out at once, as without the step:
// one-way sends and SendBatch; those with a delay, a sharding key or a body that
// was packed; those larger than half the byte limit; and those to retry topics.
//
// All messages of a batch are stored or none. If the outcome of the request is
// unknown, it is unknown for each of them, and a retry repeats them all, each
// under its own message id.
package accumulate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

// The defaults of a [Config].
const (
	DefaultLinger   = 5 * time.Millisecond
	DefaultMaxCount = 256
	DefaultMaxBytes = 256 << 10
)

// Config configures an [Accumulator]. Zero values mean the defaults.
type Config struct {
	// Linger is the longest that a message waits for others, 5 ms by default,
	// at most 30 s.
	Linger time.Duration
	// MaxCount is the most messages in a batch, 256 by default, at least 2.
	MaxCount int
	// MaxBytes is the most bytes in a batch, counted exactly as they go out:
	// bodies, properties and 22 bytes for each message. 256 KiB by default, at
	// most the 4 MiB that brokers take.
	MaxBytes int
}

const (
	maxLinger = 30 * time.Second
	maxBytes  = 4 << 20
)

func (c Config) withDefaults() (Config, error) {
	if c.Linger == 0 {
		c.Linger = DefaultLinger
	}
	if c.MaxCount == 0 {
		c.MaxCount = DefaultMaxCount
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	var errs []error
	if c.Linger < 0 || c.Linger > maxLinger {
		errs = append(errs, fmt.Errorf("linger %v is not between 0 and %v", c.Linger, maxLinger))
	}
	if c.MaxCount < 2 {
		errs = append(errs, fmt.Errorf("%d messages are no batch, at least 2 are", c.MaxCount))
	}
	if c.MaxBytes < 1024 || c.MaxBytes > maxBytes {
		errs = append(errs, fmt.Errorf("%d bytes are not between 1024 and %d", c.MaxBytes, maxBytes))
	}
	return c, errors.Join(errs...)
}

// Accumulator puts sends together. It belongs to one producer and is safe for
// concurrent use. It starts no goroutine of its own: a batch is sent by one that
// ends with it.
type Accumulator struct {
	cfg Config

	mu     sync.Mutex
	closed bool // no more waiting: the producer shuts down
	groups map[key]*group
	wait   sync.Pool // of *time.Timer
}

// key says which messages can share a batch.
type key struct {
	topic  string
	queue  core.Queue
	fixed  bool
	noWait bool // of the store: a batch has one setting
}

// group collects the messages of one key. The accumulator's lock guards it.
type group struct {
	open   *batch
	expect int // as many came last time: no need to wait for more
}

// batch is a batch with those who wait for it.
type batch struct {
	core     *core.Batch
	group    *group
	next     core.Handler
	ctx      context.Context
	deadline time.Time // the latest of its messages'
	linger   *time.Timer
	sealed   bool
	done     chan struct{}
	users    atomic.Int32
}

var (
	_ core.Interceptor   = (*Accumulator)(nil)
	_ core.StateListener = (*Accumulator)(nil)
)

// New makes an accumulator. It reports all mistakes in cfg at once.
func New(cfg Config) (*Accumulator, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("accumulate: %w", err)
	}
	return &Accumulator{cfg: cfg, groups: map[key]*group{}}, nil
}

// Step places the accumulator innermost in message scope, under the name
// "accumulate".
func (a *Accumulator) Step() core.Step {
	return core.Step{
		Name: "accumulate", Stage: core.StageEncode, Use: a,
		After: []string{"compress.zlib?", "compress.lz4?", "compress.zstd?"},
	}
}

// Intercept implements [core.Interceptor].
func (a *Accumulator) Intercept(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
	if !a.suits(call) {
		return next(ctx, call)
	}
	b, err := a.join(ctx, call, next)
	if err != nil {
		return nil, err
	}
	defer b.leave()
	if err := a.await(ctx, call, b); err != nil {
		return nil, err
	}
	res, err := b.core.Outcome(call.MessageID())
	if err != nil {
		return nil, err
	}
	return &res, nil
}

// suits reports whether the message may share a request.
func (a *Accumulator) suits(call *core.Call) bool {
	m, out := call.Message(), call.Outgoing()
	return !call.Batch() && call.Mode() != core.Oneway &&
		m.DelayLevel == 0 && m.DeliverAt.IsZero() && m.ShardingKey == "" &&
		out.SysFlag() == 0 && len(out.Body()) <= a.cfg.MaxBytes/2 &&
		!strings.HasPrefix(out.Topic(), "%RETRY%")
}

// join puts the message into the open batch of its key, or into a new one.
func (a *Accumulator) join(ctx context.Context, call *core.Call, next core.Handler) (*batch, error) {
	m := call.Message()
	k := key{topic: call.Outgoing().Topic(), fixed: m.Queue != nil, noWait: m.NoWaitStore}
	if k.fixed {
		k.queue = *m.Queue
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	g := a.group(k)
	for {
		b := g.open
		if b == nil {
			b = &batch{core: call.Producer().NewBatch(), group: g, next: next, ctx: context.WithoutCancel(ctx), done: make(chan struct{})}
		}
		ok, err := b.core.Add(call, a.cfg.MaxBytes)
		if err != nil {
			return nil, err // a new batch without a message is garbage
		}
		if !ok {
			a.seal(b)
			continue
		}
		b.users.Add(1)
		if d := call.Deadline(); d.After(b.deadline) {
			b.deadline = d
		}
		n := b.core.Len()
		switch {
		case n == a.cfg.MaxCount || n >= g.expect && g.expect > 1 || a.closed:
			g.open = b
			a.seal(b)
		case g.open == nil:
			g.open = b
			b.linger = time.AfterFunc(a.cfg.Linger, func() { a.expired(b) })
		}
		return b, nil
	}
}

// maxGroups is how many keys are remembered while nothing waits for them.
const maxGroups = 4096

func (a *Accumulator) group(k key) *group {
	g := a.groups[k]
	if g == nil {
		if len(a.groups) >= maxGroups {
			for k, g := range a.groups {
				if g.open == nil {
					delete(a.groups, k)
				}
			}
		}
		g = &group{}
		a.groups[k] = g
	}
	return g
}

// seal closes a batch to further messages and sends it. It is called with the
// lock held.
func (a *Accumulator) seal(b *batch) {
	g, n := b.group, b.core.Len()
	// Callers that wait for their results come back together, so as many are
	// worth waiting for again. One who stays away costs a linger time once; the
	// number then shrinks.
	g.expect = max(n, g.expect-g.expect/8)
	a.take(b)
	go b.send()
}

func (a *Accumulator) take(b *batch) {
	b.sealed = true
	b.group.open = nil
	if b.linger != nil {
		b.linger.Stop()
	}
}

// expired sends a batch whose time to wait is over.
func (a *Accumulator) expired(b *batch) {
	a.mu.Lock()
	if b.sealed {
		a.mu.Unlock()
		return
	}
	b.group.expect = b.core.Len()
	a.take(b)
	a.mu.Unlock()
	b.send()
}

// send sends the batch and tells everyone who waits.
func (b *batch) send() {
	defer close(b.done)
	b.core.Send(b.ctx, b.next, b.deadline)
}

// leave ends a message's use of its batch; the last one gives it back.
func (b *batch) leave() {
	if b.users.Add(-1) > 0 {
		return
	}
	select {
	case <-b.done:
		b.core.Release()
	default:
		// Every caller left early and the batch is still on its way: it is
		// garbage when it comes back.
	}
}

// await waits for the batch's outcome. A caller whose time ends first takes its
// message out again, or leaves it behind if it is on its way.
func (a *Accumulator) await(ctx context.Context, call *core.Call, b *batch) error {
	timer, _ := a.wait.Get().(*time.Timer)
	if timer == nil {
		timer = time.NewTimer(time.Until(call.Deadline()))
	} else {
		timer.Reset(time.Until(call.Deadline()))
	}
	defer func() {
		timer.Stop()
		a.wait.Put(timer)
	}()
	var why error
	select {
	case <-b.done:
		return nil
	case <-ctx.Done():
		why = ctx.Err()
		if cause := context.Cause(ctx); !errors.Is(cause, why) {
			why = fmt.Errorf("%w: %w", why, cause)
		}
	case <-timer.C:
		why = core.ErrTimeout
	case <-call.Aborted():
		why = core.ErrAborted
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !b.sealed {
		b.core.Drop(call.MessageID())
		return fmt.Errorf("waiting for a batch: %w", why)
	}
	return &core.SendError{
		Class: core.ClassOf(why), Certainty: core.MaybeStored, Topic: call.Message().Topic,
		MessageID: call.MessageID(), Cause: fmt.Errorf("in a batch on its way: %w", why),
	}
}

// StateChanged implements [core.StateListener]: when the producer shuts down,
// what waits is sent at once.
func (a *Accumulator) StateChanged(r *core.StateReport) {
	if r.New != core.StateShutdown {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	for _, g := range a.groups {
		if g.open != nil {
			a.seal(g.open)
		}
	}
}
