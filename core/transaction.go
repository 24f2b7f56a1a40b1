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

// TransactionDecision is what becomes of a half message (Java: LocalTransactionState).
type TransactionDecision uint8

// The decisions.
const (
	TransactionUnknown  TransactionDecision = iota // it is not known yet; the broker asks later
	TransactionCommit                              // consumers get the message
	TransactionRollback                            // nobody gets it
)

var decisionNames = []string{"unknown", "commit", "rollback"}

// String gives "unknown", "commit" or "rollback".
func (d TransactionDecision) String() string { return enum.Name(decisionNames, int(d)) }

// MarshalText gives the name.
func (d TransactionDecision) MarshalText() ([]byte, error) {
	return enum.Marshal("transaction decision", decisionNames, int(d))
}

// UnmarshalText takes a name.
func (d *TransactionDecision) UnmarshalText(text []byte) error {
	return enum.Unmarshal("transaction decision", decisionNames, text, d)
}

// LocalTransaction is what a program does between the half message and its end, such as a
// transaction of its database. Half is the stored half message. Its MessageID is what a
// checker will be asked about, so it belongs into that transaction.
type LocalTransaction func(ctx context.Context, half *Result) (TransactionDecision, error)

// TransactionResult is what became of a transaction.
type TransactionResult struct {
	Result // of the half message; zero if it was not stored
	// Decision is what the local transaction decided.
	Decision TransactionDecision
}

// TransactionError is a transaction whose half message is stored and that did not end as it
// should. Brokers ask the checkers of the group about a half message whose end they did not
// hear, so only the end of it is open, and the message is not to be sent again.
type TransactionError struct {
	Topic     string
	MessageID MessageID
	Decision  TransactionDecision
	// Told says whether the broker acknowledged the decision. If not, a check decides.
	Told  bool
	Class Class
	// Certainty is NotStored where the broker has acknowledged a rollback: nobody gets the
	// message. Else it is MaybeStored. What is known of a request that should have told the
	// decision is in the Certainty of the *[OperationError] in Cause.
	Certainty Certainty
	// Cause is the local transaction's error, that of telling the broker, or both.
	Cause error
}

// Error gives the message, the decision, who decides now, and the cause.
func (e *TransactionError) Error() string {
	next := "the broker was not told and will ask the checker"
	oe := (*OperationError)(nil)
	switch {
	case e.Told:
		next = "the broker knows it"
	case e.Decision == TransactionUnknown:
		next = "the broker will ask the checker"
	case errors.As(e.Cause, &oe) && !oe.Certainty.Safe():
		next = "the broker may have been told, else it will ask the checker"
	}
	return fmt.Sprintf("transaction of message %s in topic %s: the half message is stored, the decision is %v, %s: %s",
		e.MessageID, words.Quote(e.Topic), e.Decision, next, textOf(e.Cause))
}

// Unwrap gives the cause.
func (e *TransactionError) Unwrap() error { return e.Cause }

// ErrorClass is Class.
func (e *TransactionError) ErrorClass() Class { return e.Class }

// ErrWeakHalf is a half message that was stored with a weaker status than SEND_OK: it was
// rolled back, and the local transaction did not run.
var ErrWeakHalf = errors.New("rocketmq: half message stored with a weak status, rolled back")

// SendTransaction sends msg as a half message, which no consumer sees, runs local on the
// caller's goroutine, and tells the broker what local decided.
//
//   - The half message is a send like others, in every respect. If it fails, the error is a
//     *[SendError], and local does not run. One that is stored with a weaker status than
//     SEND_OK is rolled back, and local does not run ([ErrWeakHalf]; Java does the same).
//   - An error or a panic of local leaves the decision unknown, unless it comes with
//     TransactionRollback: what the local transaction did may be done, so a check decides
//     (Java does the same). It is the cause of a *[TransactionError].
//   - The end goes to the broker that has the half message, within the time that the topic's
//     policy gives a send, and ctx. It is tried again as the policy says, while that is
//     safe: a broker stores the message once for each commit that it gets, so a commit that
//     may have been carried out is not repeated. A rollback may be. What goes wrong is a
//     *[TransactionError]: the half message is stored, the decision stands, and the broker
//     will ask. The result is filled then too.
//   - An unknown decision is told one-way, as in Java: brokers note it and answer nothing.
//
// Options are those of the half message. Messages with a delay are refused, as brokers of 5.5
// and Java do; older ones would deliver them at once. A transaction cannot be asynchronous,
// one-way or a batch.
//
// The producer needs a checker ([Config].TransactionChecker): without one a half message whose
// end is lost would never end. Shutdown waits for transactions as for sends.
func (p *Producer) SendTransaction(ctx context.Context, msg *Message, local LocalTransaction, opts ...SendOption) (TransactionResult, error) {
	g := p.inflight.enter() // Shutdown waits for all of it; the half is refused after that
	defer p.inflight.leave(g)
	half, err := p.half(ctx, msg, local, opts)
	if err != nil {
		return TransactionResult{}, err
	}
	out := TransactionResult{Result: half}
	var cause error
	if half.Status == SendOK {
		out.Decision, cause = runLocal(ctx, local, half)
	} else {
		out.Decision, cause = TransactionRollback, fmt.Errorf("%w: %v", ErrWeakHalf, half.Status)
	}
	endErr := p.tellEnd(ctx, &TransactionEnd{
		Decision: out.Decision, Message: msg, MessageID: half.MessageID.String(), TransactionID: half.TransactionID,
		OffsetMessageID: half.OffsetMessageID, QueueOffset: half.QueueOffset, broker: half.Queue.Broker,
	}, msg.Topic)
	if out.Decision == TransactionUnknown {
		endErr = nil // a broker that did not hear it does what one does that heard it: it asks
	}
	if cause == nil && endErr == nil {
		return out, nil
	}
	return out, transactionError(msg.Topic, out, cause, endErr)
}

// half sends the half message. Its send has a place in flight of its own.
func (p *Producer) half(ctx context.Context, msg *Message, local LocalTransaction, opts []SendOption) (Result, error) {
	p.decided.Add(1)
	defer p.decided.Add(-1)
	return p.one(ctx, Sync, msg, append(opts[:len(opts):len(opts)], SendOptionFunc(func(o *CallOptions) {
		if o.call.half = true; local == nil {
			o.fail(errors.New("the local transaction is nil"))
		}
	})))
}

func transactionError(topic string, r TransactionResult, cause, endErr error) error {
	e := &TransactionError{
		Topic: topic, MessageID: r.MessageID, Decision: r.Decision, Told: endErr == nil && r.Decision != TransactionUnknown,
		Certainty: MaybeStored, Cause: errors.Join(cause, endErr),
	}
	if cause == nil || endErr == nil { // no list of one
		e.Cause = cause
		if cause == nil {
			e.Cause = endErr
		}
	}
	if e.Told && e.Decision == TransactionRollback {
		e.Certainty = NotStored
	}
	e.Class = ClassOf(e.Cause)
	return e
}

// runLocal runs the local transaction, and keeps its panic.
func runLocal(ctx context.Context, local LocalTransaction, half Result) (d TransactionDecision, err error) {
	defer func() {
		if err != nil && d != TransactionRollback {
			d = TransactionUnknown
		}
	}()
	defer containPanic("local transaction", &err)
	d, err = local(ctx, &half)
	if d > TransactionRollback {
		return TransactionUnknown, fmt.Errorf("%w: the local transaction decided %v", ErrContract, d)
	}
	return d, err
}

// TransactionEnd is the end of a half message, as brokers are told it.
type TransactionEnd struct {
	Decision TransactionDecision
	// FromCheck says that the broker asked.
	FromCheck bool
	// Message is the half message as the user gave it; for a check, as the broker keeps it.
	Message *Message
	// These name the half message, as the broker gave them with it.
	MessageID       string // the unique id
	TransactionID   string
	OffsetMessageID string
	QueueOffset     int64 // in the queue of half messages
	// Region is that of the [TransactionCheck] where the broker asked. Else it is "", as in Java,
	// whose message does not name one before a broker has stored it.
	Region string

	broker string // the name of the one that has it
	addr   string // of the one that asked
}

// TransactionEnder is implemented by transports that carry transactions.
type TransactionEnder interface {
	// EndTransaction tells op's broker the end of a half message ([Operation.Transaction]).
	// An unknown decision is told without waiting for an answer. What [Transport] says of
	// deadlines, contexts, MarkWritten and *[BrokerError] holds for it too.
	EndTransaction(ctx context.Context, op *Operation) error
	// ParseCheck reads what a broker asks: a request of kind [RequestTransactionCheck]. It
	// fails if the request names no half message.
	ParseCheck(r *ServerRequest) (*TransactionCheck, error)
}

// delayNames are the properties that brokers do not honour in half messages.
var delayNames = [...]string{
	rocketmq.PropertyDelay, rocketmq.PropertyTimerDeliverMS, rocketmq.PropertyTimerDelayMS, rocketmq.PropertyTimerDelaySec,
	rocketmq.PropertyPriority, rocketmq.PropertyLiteTopic,
}

// prepareHalf makes the call's message a half message, before its first step.
func (c *Call) prepareHalf() error {
	e := c.engine
	if e.cfg.TransactionChecker == nil {
		return fmt.Errorf("%w: a transaction needs a checker, for the broker's question what became of it: liftoff.WithTransactions, transactionfx.Module or Config.TransactionChecker of core", ErrInvalidMessage)
	}
	out := &c.outs[0]
	out.SetProperty(rocketmq.PropertyTransactionPrepared, "true")
	out.SetProperty(rocketmq.PropertyProducerGroup, e.cfg.Group)
	return nil
}

// checkHalf refuses what brokers would ignore in a half message.
func (o *Outgoing) checkHalf() error {
	for _, name := range delayNames {
		if _, ok := o.Property(name); ok {
			return fmt.Errorf("%w: property %q in a transaction: brokers ignore or refuse it there", ErrInvalidMessage, name)
		}
	}
	return nil
}

// ender is the transport as one that carries transactions.
func (e *engine) ender() (TransactionEnder, error) {
	t, ok := find[TransactionEnder](e.cfg.Transport)
	if !ok || e.lacks.has(FeatureTransaction) {
		return nil, fmt.Errorf("%w: %v", ErrUnsupported, FeatureTransaction)
	}
	return t, nil
}

// holderOf is the broker that has the half message: the one that asked, else the one that
// took it, by its name.
func (e *engine) holderOf(ctx context.Context, op *Operation) (Broker, error) {
	if _, err := e.ender(); err != nil {
		return Broker{}, err
	}
	if op.end.addr == "" {
		return e.brokerOf(ctx, op.target, op.end.broker)
	}
	for _, b := range e.routes.known(op.target) {
		if b.Addr == op.end.addr {
			return b, nil
		}
	}
	return Broker{Name: op.end.broker, Addr: op.end.addr}, nil
}

// tellEnd tells the broker the end of a half message, and tells it again while the policy of
// the topic wants that and it is safe.
func (p *Producer) tellEnd(ctx context.Context, end *TransactionEnd, topic string) error {
	e := p.engine
	start := time.Now()
	pol := e.policies.Load().serve(topic).policy
	f := Failure{Mode: Sync, Type: TransactionMessage, Message: end.Message, Consistent: true}
	var deadline time.Time
	known := NotSent // of all attempts: one of them may have been carried out
	for {
		op := &Operation{
			engine: e, kind: OperationEndTransaction, topic: topic, target: topic, start: time.Now(), end: end, policy: pol, deadline: deadline,
		}
		err := e.perform(ctx, op)
		if deadline = op.deadline; err == nil {
			return nil
		}
		oe := err.(*OperationError)
		known = max(known, oe.Certainty)
		f.Attempt++
		f.Elapsed, f.Remaining = time.Since(start), time.Until(deadline)
		var again bool
		if f.Paused, again = pol.tellAgain(end.Decision, op, oe, &f); !again {
			oe.Certainty = known
			return oe
		}
		if why := e.pause(ctx, f.Paused); why != nil {
			if why == ErrAborted {
				p.undelivered.Add(1)
			}
			oe = op.failed(fmt.Errorf("%w: %w", why, f.Err)).(*OperationError)
			oe.Certainty = known
			return oe
		}
		e.totals.retries.Add(1)
	}
}

// tellAgain decides whether an end is told again, and after which pause.
func (p *policy) tellAgain(decision TransactionDecision, op *Operation, oe *OperationError, f *Failure) (pause time.Duration, again bool) {
	f.Err, f.Class, f.Certainty = oe.Cause, oe.Class, oe.Certainty
	if f.Answered, f.Code = op.refusal != nil, nil; f.Answered {
		f.Code = op.refusal.Code
	}
	switch {
	case f.final(), decision == TransactionUnknown:
		return 0, false
	case !f.Certainty.Safe() && decision == TransactionCommit:
		return 0, false // if it was carried out, another one would store the message twice
	}
	d, err := decide(p.Retry, f)
	if d.After = max(0, d.After); err != nil || !d.Retry || d.After >= f.Remaining || f.Attempt >= maxAttempts {
		return 0, false
	}
	granted, err := withdraw(p.Budget, f)
	return d.After, granted && err == nil
}

// pause waits between two attempts at an end.
func (e *engine) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ContextError(ctx)
	case <-e.aborted:
		return ErrAborted
	}
}
