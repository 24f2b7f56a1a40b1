package requestreply

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/internal/logqueue"
	"github.com/liftoff-mq/liftoff/internal/words"
)

// StepName is the name of the step in the pipeline.
const StepName = "request-reply"

// The errors of requests, besides those of sends. They are causes of a *[core.SendError], whose
// certainty says what became of the request's message.
var (
	// ErrNoReply is a request whose message was sent, or may have been, and that ended without
	// a reply. The other cause says by what: [core.ErrTimeout], the context, the shutdown.
	ErrNoReply = errors.New("requestreply: no reply")
	// ErrBadReply is a request whose reply cannot be read.
	ErrBadReply = errors.New("requestreply: the reply cannot be read")
)

// Reply is the reply to a request. It is the caller's own.
type Reply struct {
	Body []byte
	// Properties are those of the reply's message under RocketMQ's names, the replier's own
	// among them. They were said by the replier.
	Properties map[string]string
	// CorrelationID is that of request and reply.
	CorrelationID string
	// Request says where the request's message is stored. If the reply came before the
	// broker's acknowledgement, which then was not waited for, it has the queue alone.
	Request core.Result
}

// Requester makes requests with one producer, which it is a step of. It is safe for concurrent
// use. It has no goroutine but those of RequestAsync.
type Requester struct {
	cfg Config

	mu       sync.Mutex
	producer *core.Producer
	started  bool
	closed   bool
	table    map[string]*wait // by correlation id
	stats    Snapshot
}

var (
	_ core.Interceptor          = (*Requester)(nil)
	_ core.Attacher             = (*Requester)(nil)
	_ core.Service              = (*Requester)(nil)
	_ core.Requirer             = (*Requester)(nil)
	_ core.Describer            = (*Requester)(nil)
	_ core.Claimer              = (*Requester)(nil)
	_ core.ServerRequestHandler = (*Requester)(nil)
)

// waits holds the request that a call is.
var waits = core.NewSlot[*wait](StepName)

// IsRequest reports whether a call is a request, for steps and listeners that tell requests
// from sends.
func IsRequest(call *core.Call) bool {
	_, is := waits.Get(call)
	return is
}

// ReplyOf is the reply that a call has got; nil where it is no request or has none yet.
func ReplyOf(call *core.Call) *Reply {
	w, is := waits.Get(call)
	if !is {
		return nil
	}
	return w.got()
}

// New makes a requester. It reports all mistakes in cfg at once.
func New(cfg Config) (*Requester, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("requestreply: %w", err)
	}
	return &Requester{cfg: cfg, table: map[string]*wait{}}, nil
}

// Step places the requester in the shape stage of message scope, under the name
// [StepName], inside of the namespace. Calls that are no requests pass it.
func (r *Requester) Step() core.Step {
	return core.CallStep(StepName, core.StageShape, r).After("namespace?")
}

// Requires asks for a transport that brings replies.
func (r *Requester) Requires() core.Requirements {
	return core.Requirements{Features: []core.Feature{core.FeatureReply}}
}

// Describe gives the limits of the requests under way.
func (r *Requester) Describe() core.Description {
	unpacks := "packed ones are refused"
	if r.cfg.Unpack != nil {
		unpacks = "unpacked"
	}
	return core.Description{Summary: "requests that wait for a reply", Settings: []core.Setting{
		{Name: "requests", Value: fmt.Sprintf("%d under way, with bodies of %s; beyond that one fails at once", r.cfg.MaxWaiting, words.Size(r.cfg.MaxWaitingBytes))},
		{Name: "replies", Value: fmt.Sprintf("at most %s, %s", words.Size(r.cfg.MaxReplyBytes), unpacks)},
	}}
}

// Attach makes p the producer of the requests; see [core.Attacher]. Each producer needs a
// requester of its own.
func (r *Requester) Attach(p *core.Producer) (map[core.ServerRequestKind]core.ServerRequestHandler, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.producer != nil {
		return nil, fmt.Errorf("the requester belongs to a producer of group %q: each producer needs its own", r.producer.Group())
	}
	r.producer = p
	return map[core.ServerRequestKind]core.ServerRequestHandler{core.RequestReply: r}, nil
}

// Start is called by the producer.
func (r *Requester) Start(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.started {
		return errors.New("requestreply: the requester is started already: each producer needs its own")
	}
	r.started = true
	return nil
}

// Shutdown is called by the producer when its calls have ended, requests among them, and the
// functions of RequestAsync have returned. It waits until the log handler has had every line.
func (r *Requester) Shutdown(ctx context.Context) error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	if logqueue.Flush(ctx, r.cfg.Logger) != nil {
		return fmt.Errorf("requestreply: shutdown: the log handler did not return: %w", core.ContextError(ctx))
	}
	return nil
}

// Request sends msg and waits for the reply. The options are those of a send: with
// [core.SendTimeout] the request has so much time, from the send to the reply, without it that
// of the policy for the topic. The end of ctx ends it at once. msg is not written to.
//
// Every failure is a *[core.SendError]. Where there was no reply, although the message was sent
// or may have been, it wraps [ErrNoReply], and its certainty is Stored or MaybeStored: somebody
// may have executed the request, or may do so later.
func (r *Requester) Request(ctx context.Context, msg *core.Message, opts ...core.SendOption) (*Reply, error) {
	w, p, err := r.open(msg)
	if err != nil {
		return nil, err
	}
	defer r.close(w)
	return r.exchange(ctx, p, w, msg, opts)
}

// RequestAsync is Request on another goroutine, which calls done with the outcome: exactly once
// and after RequestAsync has begun, on every path. The end of ctx ends the request also after
// RequestAsync has returned. A panic in done is recovered and logged. How many of these goroutines
// there are is bounded by [Config].MaxWaiting and by how long done takes.
//
// The producer's Flush and Shutdown wait until done has returned, as they do for
// [core.Producer.SendAsync]. So done may make requests and sends, but must not call Flush or
// Shutdown with a context that does not end. A request to a producer that does not run fails, and
// its Shutdown does not wait for done.
func (r *Requester) RequestAsync(ctx context.Context, msg *core.Message, done func(*Reply, error), opts ...core.SendOption) {
	opts = slices.Clone(opts)
	release := r.hold()
	w, p, err := r.open(msg)
	go func() {
		defer release()
		var reply *Reply
		defer func() { r.tell(done, reply, err) }() // a step may end the goroutine
		if err != nil {
			return
		}
		defer r.close(w)
		err = failed(msg, core.MaybeStored, fmt.Errorf("%w: a step ended the goroutine", core.ErrContract))
		reply, err = r.exchange(ctx, p, w, msg, opts)
	}()
}

// hold counts an asynchronous request among what its producer waits for.
func (r *Requester) hold() (release func()) {
	r.mu.Lock()
	p := r.producer
	r.mu.Unlock()
	if p != nil {
		if release, err := p.Hold(); err == nil {
			return release
		}
	}
	return func() {} // the request fails, and says why
}

// tell calls done and keeps its panic.
func (r *Requester) tell(done func(*Reply, error), reply *Reply, err error) {
	if done == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			r.cfg.Logger.Error("done function of a request panicked", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	done(reply, err)
}

// exchange makes the call.
func (r *Requester) exchange(ctx context.Context, p *core.Producer, w *wait, msg *core.Message, opts []core.SendOption) (*Reply, error) {
	opts = append(slices.Clip(opts), waits.With(w))
	res, err := p.Send(ctx, msg, opts...)
	if err != nil {
		return nil, err
	}
	reply := w.got()
	if reply == nil {
		return nil, failed(msg, core.Stored, fmt.Errorf("%w: %w: the step %q is not in the pipeline of the topic's policy", ErrNoReply, core.ErrContract, StepName))
	}
	reply.Request = res
	return reply, nil
}

// Intercept makes the call of a request wait for its reply.
func (r *Requester) Intercept(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
	w, ok := waits.Get(call)
	if !ok || w.of != r {
		return next(ctx, call)
	}
	client := call.ClientID()
	if client == "" {
		return nil, fmt.Errorf("%w: a reply, without an id of the client that is to get it", core.ErrUnsupported)
	}
	r.announce(ctx, call)
	out := call.Outgoing()
	out.SetProperty(rocketmq.PropertyCorrelationID, w.id)
	out.SetProperty(rocketmq.PropertyReplyToClient, client)
	out.SetProperty(rocketmq.PropertyTTL, strconv.FormatInt(max(1, left(call).Milliseconds()), 10))
	sending, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w.arm(cancel)
	res, err := next(sending, call)
	if !w.over() {
		switch {
		case err != nil && core.CertaintyOf(err).Safe():
			return nil, err
		case err != nil && ctx.Err() != nil:
			e := sent(call, core.CertaintyOf(err), fmt.Errorf("%w: %w", ErrNoReply, err))
			e.Class = core.ClassOf(err)
			return nil, e
		case err != nil:
			// The message may have arrived, so the reply may come. The connection that it would
			// come over is perhaps the one that was lost.
			r.announce(sending, call)
			if why := r.await(ctx, sending, call, w); why != nil {
				e := sent(call, core.MaybeStored, fmt.Errorf("%w: %w; the send: %w", ErrNoReply, why, err))
				e.Class = core.ClassOf(why)
				return nil, e
			}
		default:
			if why := r.await(ctx, sending, call, w); why != nil {
				return nil, sent(call, core.Stored, fmt.Errorf("%w: %w", ErrNoReply, why))
			}
		}
	}
	if w.bad != nil {
		return nil, sent(call, core.Stored, w.bad)
	}
	if res == nil { // who replied has the message
		queue, _ := call.Last()
		res = &core.Result{Status: core.SendOK, MessageID: call.MessageID(), Queue: queue}
	}
	return res, nil
}

// sent is the error of a call whose message was sent, or may have been.
func sent(call *core.Call, certainty core.Certainty, cause error) *core.SendError {
	err := failed(call.Message(), certainty, cause)
	err.MessageID = call.MessageID()
	return err
}

// failed is the error of a request.
func failed(msg *core.Message, certainty core.Certainty, cause error) *core.SendError {
	err := &core.SendError{Class: core.ClassOf(cause), Certainty: certainty, Cause: cause}
	if msg != nil {
		err.Topic = msg.Topic
	}
	return err
}
