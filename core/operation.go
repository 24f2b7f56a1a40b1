package core

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/internal/enum"
	"github.com/liftoff-mq/liftoff/internal/words"
)

// OperationKind says what an operation asks of a broker.
type OperationKind uint8

// The kinds.
const (
	OperationRecall           OperationKind = iota // take a timed message back before its time
	OperationEndTransaction                        // say what becomes of a half message
	OperationTransactionCheck                      // a broker asks what became of one; the checker answers
)

var operationNames = []string{"recall", "end-transaction", "transaction-check"}

// String gives the kind's name.
func (k OperationKind) String() string { return enum.Name(operationNames, int(k)) }

// MarshalText gives the name.
func (k OperationKind) MarshalText() ([]byte, error) {
	return enum.Marshal("operation", operationNames, int(k))
}

// UnmarshalText takes a name.
func (k *OperationKind) UnmarshalText(text []byte) error {
	return enum.Unmarshal("operation", operationNames, text, k)
}

// Operation is a request to one broker that is no send. It has one attempt: the broker is
// the one that knows the message, so no other can take its place. It is valid until its
// outcome. A transaction check is the other way round: the broker asks, the producer's
// checker answers, and attempt scope and transport have no part in it.
type Operation struct {
	engine   *engine
	policy   *policy
	kind     OperationKind
	topic    string // the user's
	target   string // as steps changed it
	broker   Broker
	start    time.Time
	deadline time.Time
	handle   string
	depth    int // how many steps it has come to
	entered  bool
	written  bool
	done     bool // the transport carried it out
	refusal  *BrokerError
	latency  time.Duration
	// recalled is the outcome of a recall.
	recalled string
	// end is that of a half message; check and checker are for questions about one.
	end     *TransactionEnd
	check   *TransactionCheck
	checker TransactionChecker
}

// OperationHandler makes one operation.
type OperationHandler func(ctx context.Context, op *Operation) error

// OperationInterceptor runs once per operation. A step whose interceptor or attempt
// interceptor implements it as well is found by itself: it runs in the step's place, where
// message scope lies outside of attempt scope as it does for sends. The broker is known in
// attempt scope only. A value that is placed in both runs once, in message scope.
//
// The rules are those of [AttemptInterceptor]: next is called at most once, on the goroutine
// that called, and an error returned without it is a veto.
type OperationInterceptor interface {
	InterceptOperation(ctx context.Context, op *Operation, next OperationHandler) error
}

// Kind is what is asked.
func (o *Operation) Kind() OperationKind { return o.kind }

// Group is the producer's group.
func (o *Operation) Group() string { return o.engine.cfg.Group }

// ClientID is the id under which servers know the transport's client ([Identified]); "" if
// they know none.
func (o *Operation) ClientID() string { return o.engine.clientID }

// Transaction is the end of a half message that the operation tells or, for a check, finds:
// its Decision is known when next has returned. It is nil for other kinds, and for reading only.
func (o *Operation) Transaction() *TransactionEnd { return o.end }

// Handle names the message that a recall takes back, as the user gave it; "" for other kinds.
func (o *Operation) Handle() string { return o.handle }

// Topic is the topic as the user named it.
func (o *Operation) Topic() string { return o.topic }

// Target is the topic as brokers know it.
func (o *Operation) Target() string { return o.target }

// SetTarget changes the topic as brokers know it. It is for interceptors in message scope;
// later it changes nothing.
func (o *Operation) SetTarget(topic string) {
	if o.broker.Addr == "" {
		o.target = topic
	}
}

// Broker is the broker that is asked; zero in message scope before next was called.
func (o *Operation) Broker() Broker { return o.broker }

// Addr is the broker's address, likewise.
func (o *Operation) Addr() string { return o.broker.Addr }

// Start is when the user called, Deadline when the operation ends.
func (o *Operation) Start() time.Time { return o.start }

// Deadline is when the operation ends, whatever it is doing.
func (o *Operation) Deadline() time.Time { return o.deadline }

// Aborted is closed when the producer gives the operation up at the end of Shutdown.
func (o *Operation) Aborted() <-chan struct{} { return o.engine.aborted }

// Bound gives a context that ends with ctx, at the deadline and with an abort. The caller
// has to call cancel.
func (o *Operation) Bound(ctx context.Context) (bound context.Context, cancel context.CancelFunc) {
	return o.engine.bound(ctx, o.deadline)
}

// Entered reports whether the transport was asked.
func (o *Operation) Entered() bool { return o.entered }

// Written reports whether bytes of the request may have left the process.
func (o *Operation) Written() bool { return o.written }

// MarkWritten is for transports, as [Attempt.MarkWritten] is.
func (o *Operation) MarkWritten() { o.written = true }

// Latency is the time at the transport; zero before its answer.
func (o *Operation) Latency() time.Duration { return o.latency }

// Recaller is implemented by transports that can take timed messages back.
type Recaller interface {
	// Recall asks op's broker to take back the message of a handle
	// ([Result].RecallHandle) and gives the message's unique id. What [Transport] says of
	// deadlines, contexts, MarkWritten and *[BrokerError] holds for it too.
	Recall(ctx context.Context, op *Operation, handle string) (messageID string, err error)
}

// OperationError is what every failed operation returns.
type OperationError struct {
	Kind  OperationKind
	Topic string // the user's
	Addr  string // of the broker that was asked; "" if none was
	Class Class
	// Certainty says what became of the request: NotSent, NotStored where the broker
	// refused it, MaybeStored where it may have been carried out.
	Certainty Certainty
	Cause     error
}

// Error gives the operation, the class, the certainty and the cause.
func (e *OperationError) Error() string {
	at := ""
	if e.Addr != "" {
		at = " at " + e.Addr
	}
	said := "it may have been carried out"
	if e.Certainty.Safe() {
		said = "it was not carried out"
	}
	return fmt.Sprintf("%v in topic %s%s: %v, %s: %s", e.Kind, words.Quote(e.Topic), at, e.Class, said, textOf(e.Cause))
}

// Unwrap gives the cause.
func (e *OperationError) Unwrap() error { return e.Cause }

// ErrorClass is Class.
func (e *OperationError) ErrorClass() Class { return e.Class }

// ErrorType is a low-cardinality name for metrics and spans.
func (e *OperationError) ErrorType() string {
	var be *BrokerError
	if errors.As(e.Cause, &be) {
		return be.ErrorType()
	}
	return classType(e.Class)
}

// Recall takes a timed message back before its time: a message that was sent with DeliverAt
// to brokers from 5.3.2 on, which name it by a handle ([Result].RecallHandle). It gives the
// message's unique id. Brokers take recalls only where recallMessageEnable is set. They refuse
// one whose message's time has come, as [ClassRejected]. That the message was still there they
// do not say: one that was recalled before, or was never stored, is recalled with success too
// (Java: RecallMessageProcessor).
//
// It takes no longer than the topic's policy gives a send, and obeys ctx. The message is at
// one broker, so there is no other to go to: the request is made once. An open breaker of that
// broker refuses it before it is sent. Every failure is an *[OperationError].
func (p *Producer) Recall(ctx context.Context, topic, handle string) (messageID string, err error) {
	e := p.engine
	op := &Operation{engine: e, kind: OperationRecall, topic: topic, target: topic, handle: handle, start: time.Now()}
	if ctx == nil {
		return "", op.failed(fmt.Errorf("%w: context is nil", ErrInvalidMessage))
	}
	g, err := p.admit()
	if err != nil {
		return "", op.failed(err)
	}
	defer p.inflight.leave(g)
	if err := e.perform(ctx, op); err != nil {
		return "", err
	}
	return op.recalled, nil
}

// perform takes an operation through the whole chain to its outcome. Its time is that of its
// policy, unless it has a deadline already, and of ctx. Every failure is an *[OperationError].
func (e *engine) perform(ctx context.Context, op *Operation) (err error) {
	if op.policy == nil {
		op.policy = e.policies.Load().serve(op.topic).policy
	}
	if op.deadline.IsZero() {
		op.deadline = op.start.Add(op.policy.Timeout)
	}
	if d, ok := ctx.Deadline(); ok && d.Before(op.deadline) {
		op.deadline = d
	}
	// A step may end the goroutine; the operation has an outcome then too.
	err = errGoexit
	defer func() { e.totals.operation(err) }()
	if err = op.policy.operation(ctx, op); err == nil {
		return nil
	}
	if errors.Is(err, ErrAborted) {
		e.producer.undelivered.Add(1)
	}
	return op.failed(err)
}

// locate stands between the two scopes of operations: it finds the broker.
func (e *engine) locate(inner OperationHandler) OperationHandler {
	return func(ctx context.Context, op *Operation) error {
		if op.kind == OperationTransactionCheck {
			op.broker.Addr = op.check.Addr
			return op.answer(ctx)
		}
		ctx, cancel := op.Bound(ctx)
		defer cancel()
		var err error
		switch op.kind {
		case OperationRecall:
			op.broker, err = e.recallFrom(ctx, op)
		case OperationEndTransaction:
			op.broker, err = e.holderOf(ctx, op)
		}
		if err != nil {
			return err
		}
		if err := ContextError(ctx); err != nil {
			return err
		}
		return inner(ctx, op)
	}
}

// recallFrom is the broker that the handle of a recall names.
func (e *engine) recallFrom(ctx context.Context, op *Operation) (Broker, error) {
	if _, err := e.recaller(); err != nil {
		return Broker{}, err
	}
	h, err := rocketmq.ParseRecallHandle(op.handle)
	if err != nil {
		return Broker{}, fmt.Errorf("%w: %w", ErrInvalidMessage, err)
	}
	if h.Topic != op.target {
		return Broker{}, fmt.Errorf("%w: the handle is of topic %s, not %s", ErrInvalidMessage, words.Quote(h.Topic), words.Quote(op.target))
	}
	return e.brokerOf(ctx, op.target, h.Broker)
}

// recaller is the transport as one that can recall messages.
func (e *engine) recaller() (Recaller, error) {
	r, ok := find[Recaller](e.cfg.Transport)
	if !ok || e.lacks.has(FeatureRecall) {
		return nil, fmt.Errorf("%w: %v", ErrUnsupported, OperationRecall)
	}
	return r, nil
}

// brokerOf finds a broker by name in the topic's route. Where the route in use does not
// have it, the route is looked up again.
func (e *engine) brokerOf(ctx context.Context, name, broker string) (Broker, error) {
	t := e.routes.topic(name)
	t.used.mark()
	if r := t.route.Load(); r != nil {
		if b, ok := r.named(broker); ok {
			return b, nil
		}
	}
	until, _ := ctx.Deadline()
	look := e.routes.lookUp(t, refreshGap, until)
	select {
	case <-look.done:
	case <-ctx.Done():
		return Broker{}, look.unfinished(name, ContextError(ctx))
	}
	if look.err != nil {
		return Broker{}, look.err
	}
	if b, ok := look.route.named(broker); ok {
		return b, nil
	}
	return Broker{}, fmt.Errorf("%w: broker %s is not in the route of %s", ErrNoRoute, words.Quote(broker), words.Quote(name))
}

// operate is the innermost handler of operations: the transport.
func (e *engine) operate(ctx context.Context, op *Operation) (err error) {
	outer, inner := op.policy.pipeline.outer, op.policy.pipeline.inner
	caller := callerOf(inner, len(inner))
	if len(inner) == 0 {
		caller = callerOf(outer, len(outer))
	}
	if err := op.descend(len(outer)+len(inner), caller); err != nil {
		return err
	}
	op.entered = true
	start := time.Now()
	defer func() { op.latency = time.Since(start) }()
	defer containPanic("transport", &err)
	if err = e.carryOut(ctx, op); err == nil {
		op.done, op.written = true, true
	}
	checkError(err)
	errors.As(err, &op.refusal)
	return withContext(ctx, err)
}

// carryOut asks the transport.
func (e *engine) carryOut(ctx context.Context, op *Operation) error {
	if op.kind == OperationEndTransaction {
		t, err := e.ender()
		if err != nil {
			return err
		}
		return t.EndTransaction(ctx, op)
	}
	r, err := e.recaller()
	if err != nil {
		return err
	}
	op.recalled, err = r.Recall(ctx, op, op.handle)
	return err
}

// failed makes the operation's error. An error of another operation, which a step passed on,
// counts as well: what that one does not know this one does not know either.
func (o *Operation) failed(err error) error {
	oe := &OperationError{Kind: o.kind, Topic: o.topic, Addr: o.broker.Addr, Class: ClassOf(err), Certainty: NotSent, Cause: err}
	switch {
	case o.refusal != nil:
		oe.Certainty = o.refusal.Certainty.orMaybe()
	case o.written:
		oe.Certainty = MaybeStored
	}
	if other := (*OperationError)(nil); errors.As(err, &other) {
		oe.Certainty = max(oe.Certainty, other.Certainty.orMaybe())
	}
	return oe
}
