package msgtrace

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/namespace"
)

// StepName is the name of the step in the pipeline.
const StepName = "msgtrace"

// Trace is the step that records what its producer does. Each producer needs its own. It is
// safe for concurrent use.
type Trace struct {
	cfg Config

	mu       sync.Mutex
	producer *core.Producer // that sends the records
	group    string         // of the traced producer, without a namespace
	running  bool
	used     bool
	queue    []Record
	stats    Snapshot
	failing  bool          // the last trace message was not sent
	left     time.Duration // that the last trace messages have, once it is stopping

	wake chan struct{}
	stop chan struct{}
	done chan struct{}
}

var (
	_ core.AttemptInterceptor   = (*Trace)(nil)
	_ core.OperationInterceptor = (*Trace)(nil)
	_ core.Attacher             = (*Trace)(nil)
	_ core.Service              = (*Trace)(nil)
	_ core.Finisher             = (*Trace)(nil)
	_ core.Describer            = (*Trace)(nil)
)

// Snapshot counts records. Each one that was made is waiting, under way, or in one of Sent,
// Dropped and Failed.
type Snapshot struct {
	Sent    int64 // in trace messages that brokers acknowledged
	Dropped int64 // there was no room for them
	Failed  int64 // their trace message was not sent
	Waiting int   // now
}

// New makes the step. It reports all mistakes in cfg at once.
func New(cfg Config) (*Trace, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("msgtrace: %w", err)
	}
	return &Trace{
		cfg: cfg, wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}, nil
}

// Step places the step in the observe stage of attempt scope, inside the attempt's span.
func (t *Trace) Step() core.Step {
	return core.AttemptStep(StepName, core.AttemptObserve, t).After("otel.trace?")
}

// Describe gives the topic and the limits.
func (t *Trace) Describe() core.Description {
	return core.Description{Summary: "RocketMQ's message trace", Settings: []core.Setting{
		{Name: "topic", Value: t.cfg.Topic},
		{Name: "records", Value: fmt.Sprintf("at most %d in a message, after %v; %d wait, beyond that they are dropped", t.cfg.MaxCount, t.cfg.Linger, t.cfg.MaxQueued)},
	}}
}

// Snapshot counts the records so far.
func (t *Trace) Snapshot() Snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.stats
	s.Waiting = len(t.queue)
	return s
}

// InterceptAttempt records the attempt.
func (t *Trace) InterceptAttempt(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
	start := time.Now()
	res, err := next(ctx, at)
	if !at.Entered() || !at.WantsAnswer() || t.own(at.Call().Outgoing().Topic()) || err == nil && !res.TraceOn {
		return res, err
	}
	r := Record{
		Kind: Pub, Time: start, Region: defaultRegion, StoreHost: at.Addr(), Cost: time.Since(start),
		Success: err == nil && res.Status == core.SendOK,
	}
	call := at.Call()
	if err == nil {
		if res.RegionID != "" {
			r.Region = res.RegionID
		}
		if !call.Batch() {
			r.OffsetMessageID = res.OffsetMessageID
		}
	}
	for out := range call.All() {
		m := out.Message()
		r.Topic, r.MessageID, r.BodyLength = bare(m.Topic), out.MessageID(), len(out.Body())
		r.Tag, _ = out.Property(rocketmq.PropertyTags)
		r.Keys, _ = out.Property(rocketmq.PropertyKeys)
		switch {
		case m.Delayed():
			r.Type = typeDelay
		case call.Type() == core.TransactionMessage:
			r.Type = typeHalf
		default:
			r.Type = typeNormal
		}
		t.add(&r)
	}
	return res, err
}

// InterceptOperation records ends of transactions and recalls.
func (t *Trace) InterceptOperation(ctx context.Context, op *core.Operation, next core.OperationHandler) error {
	start := time.Now()
	err := next(ctx, op)
	if !op.Entered() || t.own(op.Target()) {
		return err
	}
	r := Record{Time: start, Region: defaultRegion, Topic: bare(op.Topic()), StoreHost: op.Addr(), Success: err == nil}
	switch op.Kind() {
	case core.OperationRecall:
		handle, wrong := rocketmq.ParseRecallHandle(op.Handle())
		if wrong != nil {
			return err // core refuses it before the transport is asked
		}
		r.Kind, r.ID = Recall, handle.MessageID
	case core.OperationEndTransaction:
		end := op.Transaction()
		r.Kind, r.Type, r.ID = EndTransaction, typeCommit, end.MessageID
		r.TransactionID, r.Decision, r.FromCheck = end.TransactionID, end.Decision, end.FromCheck
		r.Tag, r.Keys = end.Message.Tag, strings.Join(end.Message.Keys, rocketmq.KeySeparator)
		if end.Region != "" {
			r.Region = end.Region
		}
	default:
		return err
	}
	t.add(&r)
	return err
}

// own reports whether a topic is the trace's (Java: SendMessageTraceHookImpl).
func (t *Trace) own(topic string) bool { return strings.HasPrefix(topic, t.cfg.Topic) }

// bare is a topic or group without its namespace.
func bare(name string) string { return namespace.Unwrap(namespace.Of(name), name) }

// add puts a record into the queue, if there is room.
func (t *Trace) add(r *Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.running || len(t.queue) >= t.cfg.MaxQueued {
		t.stats.Dropped++
		return
	}
	r.Group = t.group
	t.queue = append(t.queue, *r)
	if n := len(t.queue); n == 1 || n == t.cfg.MaxCount {
		select {
		case t.wake <- struct{}{}:
		default:
		}
	}
}
