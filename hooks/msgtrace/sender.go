package msgtrace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/internal/logqueue"
)

const (
	// maxBytes bounds the body of a trace message (Java: AsyncTraceDispatcher.maxMsgSize).
	maxBytes = 128_000
	// maxKeyBytes bounds its keys, so that its properties stay what brokers take.
	maxKeyBytes = 24 << 10
	// sendTimeout is the time of a trace message (Java: 5000).
	sendTimeout = 5 * time.Second
	// maxInFlight is how many trace messages are under way. Beyond that records wait.
	maxInFlight = 8
	// maxAttempts is how often a trace message is tried (Java: retryTimesWhenSendAsyncFailed).
	maxAttempts = 3
	groupPrefix = "_INNER_TRACE_PRODUCER-"
)

// producers counts the producers of traces: each needs a group of its own at a shared client.
var producers atomic.Int64

// groupOf is the group of the producer that sends a group's records (Java: genGroupNameForTrace).
// A long name is cut.
func groupOf(group string) string {
	end := "-PRODUCE-" + strconv.FormatInt(producers.Add(1), 10)
	return groupPrefix + group[:min(len(group), rocketmq.MaxGroupLength-len(groupPrefix)-len(end))] + end
}

// Attach makes p the producer that is traced; see [core.Attacher]. Each producer needs a trace
// of its own.
func (t *Trace) Attach(p *core.Producer) (map[core.ServerRequestKind]core.ServerRequestHandler, error) {
	own, err := p.Companion(core.Config{
		Group: groupOf(p.Group()), Timeout: sendTimeout, AttemptTimeout: sendTimeout / maxAttempts, MaxInFlight: maxInFlight,
		Selector: core.SelectorFactoryFunc(newSelector), Retry: core.RetryPolicyFunc(again),
	})
	if err != nil {
		return nil, fmt.Errorf("msgtrace: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.producer != nil {
		return nil, fmt.Errorf("the trace belongs to a producer of group %q: each producer needs its own", t.group)
	}
	t.producer, t.group = own, bare(p.Group())
	return nil, nil
}

// newSelector takes the queues in turn, and one at another broker after a failure.
func newSelector(string) core.QueueSelector {
	var turn atomic.Uint64
	return core.QueueSelectorFunc(func(_ context.Context, s *core.Selection) (int, error) {
		first := int(turn.Add(1) % uint64(s.Len()))
		for i := range s.Len() {
			if k := (first + i) % s.Len(); !s.Tried(k) {
				return k, nil
			}
		}
		return first, nil
	})
}

// again wants another attempt whatever happened: a record that is stored twice does no harm.
func again(f *core.Failure) core.Decision {
	return core.Decision{Retry: f.Err != nil && f.Attempt < maxAttempts}
}

// Start is called by the producer. It starts the one that sends the records.
func (t *Trace) Start(ctx context.Context) error {
	t.mu.Lock()
	p, used := t.producer, t.used
	t.used = true
	t.mu.Unlock()
	switch {
	case used:
		return errors.New("msgtrace: the trace is started already: each producer needs its own")
	case p == nil:
		return errors.New("msgtrace: the trace is no step of a producer")
	}
	if err := p.Start(ctx); err != nil {
		return fmt.Errorf("msgtrace: %w", err)
	}
	t.mu.Lock()
	t.running = true
	t.mu.Unlock()
	go t.run(p)
	return nil
}

// Finish is called by the producer when its calls have ended; see [core.Finisher]. It sends what
// waits, as long as ctx lasts, but no longer than a trace message may take: a trace topic that
// hangs must not use up the time of a shutdown.
func (t *Trace) Finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	p := t.end(ctx)
	if p == nil {
		return
	}
	select {
	case <-t.done:
	case <-ctx.Done():
		return
	}
	_ = p.Flush(ctx) // Shutdown aborts the trace messages that are still under way after this
}

// end takes no further records and makes run send what waits. It gives the producer that does
// so; nil if there is none, or nothing left to do.
func (t *Trace) end(ctx context.Context) *core.Producer {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.running {
		return nil
	}
	t.running = false
	until, _ := ctx.Deadline()
	t.left = max(time.Until(until), maxAttempts*time.Millisecond) // less is no time of a send
	close(t.stop)
	return t.producer
}

// Shutdown is called by the producer after Finish, or instead of it where a policy with the trace
// is replaced. What is not sent when ctx ends has failed. That is no error: no message of the
// producer is lost.
func (t *Trace) Shutdown(ctx context.Context) error {
	t.Finish(ctx)
	select {
	case <-t.stop:
	default:
		return nil // it was not started
	}
	err := t.producer.Shutdown(ctx) // which ends what still sends
	<-t.done
	if err != nil {
		t.cfg.Logger.Warn("the end of the message trace was not sent", "err", err)
	}
	if logqueue.Flush(ctx, t.cfg.Logger) != nil {
		return fmt.Errorf("msgtrace: shutdown: the log handler did not return: %w", core.ContextError(ctx))
	}
	return nil
}

// run sends records until it is stopped and none is left.
func (t *Trace) run(p *core.Producer) {
	defer close(t.done)
	linger := time.NewTimer(t.cfg.Linger)
	defer linger.Stop()
	linger.Stop()
	var room []Record
	for stopped := false; !stopped; {
		var opts []core.SendOption
		select {
		case <-t.wake:
			t.mu.Lock()
			full := len(t.queue) >= t.cfg.MaxCount
			t.mu.Unlock()
			if !full {
				linger.Reset(t.cfg.Linger)
				continue
			}
		case <-linger.C:
		case <-t.stop:
			stopped = true
			t.mu.Lock()
			// Another broker is to have its turn in the time that is left.
			opts = []core.SendOption{core.SendTimeout(t.left), core.SendAttemptTimeout(t.left / maxAttempts)}
			t.mu.Unlock()
		}
		linger.Stop()
		room = t.flush(p, room, opts)
	}
}

// flush sends the records that wait, and gives the room that they took, for the next ones.
func (t *Trace) flush(p *core.Producer, room []Record, opts []core.SendOption) []Record {
	t.mu.Lock()
	records := t.queue
	t.queue = room[:0]
	t.mu.Unlock()
	// By topic, as in Java, and in their order.
	slices.SortStableFunc(records, func(a, b Record) int {
		switch {
		case a.Topic < b.Topic:
			return -1
		case a.Topic > b.Topic:
			return 1
		}
		return 0
	})
	var m message
	for i := range records {
		r := &records[i]
		if m.count > 0 && (records[i-1].Topic != r.Topic || !m.has(r, t.cfg.MaxCount)) {
			t.send(p, &m, opts)
			m = message{}
		}
		m.add(r)
	}
	if m.count > 0 {
		t.send(p, &m, opts)
	}
	clear(records)
	return records
}

// message is a trace message in the making.
type message struct {
	body     []byte
	keys     []string
	known    map[string]bool
	keyBytes int
	count    int
	scratch  []byte
}

// has reports whether there is room for one more record.
func (m *message) has(r *Record, most int) bool {
	m.scratch = r.AppendTo(m.scratch[:0])
	return m.count < most && len(m.body)+len(m.scratch) <= maxBytes && m.keyBytes+len(r.Keys) <= maxKeyBytes
}

func (m *message) add(r *Record) {
	m.body = r.AppendTo(m.body)
	m.count++
	if m.known == nil {
		m.known = map[string]bool{}
	}
	for i, key := range r.AllKeys() {
		if m.known[key] || i > 0 && m.keyBytes+len(key) >= maxKeyBytes {
			continue // it is found by the id
		}
		m.known[key] = true
		m.keys = append(m.keys, key)
		m.keyBytes += len(key) + 1
	}
}

// send sends a trace message. Where too many are under way it waits.
func (t *Trace) send(p *core.Producer, m *message, opts []core.SendOption) {
	n := int64(m.count)
	p.SendAsync(context.Background(), &core.Message{Topic: t.cfg.Topic, Body: m.body, Keys: m.keys}, func(_ core.Result, err error) {
		t.mu.Lock()
		turned := t.failing != (err != nil)
		t.failing = err != nil
		if err != nil {
			t.stats.Failed += n
		} else {
			t.stats.Sent += n
		}
		t.mu.Unlock()
		switch {
		case turned && err != nil:
			t.cfg.Logger.Warn("the message trace loses records", "topic", t.cfg.Topic, "err", err)
		case turned:
			t.cfg.Logger.Info("the message trace is sent again", "topic", t.cfg.Topic)
		}
	}, opts...)
}
