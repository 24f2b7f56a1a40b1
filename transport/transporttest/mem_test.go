package transporttest_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/transport/transporttest"
)

// mem is a transport and a route source that keep every rule, without a network between
// them and the far end. The field bug makes it break one: the places where it matters ask
// for it by name.
type mem struct {
	bug  string
	far  transporttest.Handler
	over chan struct{} // closed by Shutdown

	turn    chan struct{} // of attempts, one at a time, for a bug
	offset  atomic.Int64
	hung    chan struct{} // closed when nobody answers about routes any more
	asked   atomic.Int64
	asking  atomic.Int64
	mu      sync.Mutex
	held    []func()           // what a bug does later
	waiting []chan<- memAnswer // of attempts without an answer
}

type memAnswer struct {
	offset  int64
	refusal *core.BrokerError
	refused []int // of a batch
	lost    bool
}

func newMem(bug string) *mem {
	if bug == "has a goroutine that nobody ends" {
		go time.Sleep(time.Hour)
	}
	return &mem{bug: bug, over: make(chan struct{}), hung: make(chan struct{}), turn: make(chan struct{}, 1)}
}

func (m *mem) has(bug string) bool { return m.bug == bug }

func (m *mem) Start(context.Context) error { return nil }

func (m *mem) Shutdown(context.Context) error {
	if m.has("works after Shutdown") {
		return nil
	}
	close(m.over)
	return nil
}

// The addresses at which something is wrong.
const (
	refusing  = "nobody:1"
	silent    = "silence:1"
	hangingUp = "moody:1"
	deaf      = "deaf:1"
)

func (m *mem) RoundTrip(ctx context.Context, at *core.Attempt) (*core.Result, error) {
	select {
	case <-m.over:
		return nil, fmt.Errorf("mem: %w", core.ErrClosed)
	default:
	}
	if err := ctx.Err(); err != nil && !m.has("does not look at ctx first") {
		return nil, core.ContextError(ctx)
	}
	if m.has("makes one attempt at a time") {
		m.turn <- struct{}{}
		defer func() { <-m.turn }()
	}
	if m.has("marks before it has a connection") {
		at.MarkWritten()
	}
	switch at.Addr() {
	case refusing:
		if m.has("has no error for a missing connection") {
			return nil, core.ErrNoRoute
		}
		return nil, fmt.Errorf("mem: %w", core.ErrConnect)
	case silent:
		until := at.SendBy()
		if m.has("does not know SendBy") {
			until = at.Deadline()
		}
		_, err := m.wait(ctx, at, until, nil)
		return nil, err
	case hangingUp:
		at.MarkWritten()
		return nil, fmt.Errorf("mem: %w", core.ErrConnectionLost)
	case deaf:
		at.MarkWritten()
		if m.has("cannot be stopped while it writes") {
			ctx = context.WithoutCancel(ctx)
		}
		_, err := m.wait(ctx, at, at.Deadline(), nil)
		return nil, err
	}
	return m.exchange(ctx, at)
}

// exchange makes the request at a far end that is there.
func (m *mem) exchange(ctx context.Context, at *core.Attempt) (*core.Result, error) {
	if m.has("panics at some queues") && at.Queue().ID > 0 {
		panic("mem: no such queue")
	}
	answer := make(chan memAnswer, 1)
	send := func() { m.deliver(m.request(at), answer) }
	if m.has("reads a message after its time") && !at.WantsAnswer() {
		body, r := at.Call().Outgoing().Body(), m.request(at)
		m.later(func() {
			r.Messages[0].Body = bytes.Clone(body)
			m.deliver(r, answer)
		})
		send = func() {}
	} else {
		m.catchUp()
	}
	if !m.has("forgets MarkWritten") && !m.has("marks only what is answered") {
		at.MarkWritten()
	}
	send()
	if m.has("writes into the body") {
		at.Call().Outgoing().Body()[0] ^= 0x20
	}
	if m.has("leaves a goroutine for each answer") {
		go time.Sleep(time.Hour)
	}
	switch {
	case !at.WantsAnswer() && m.has("waits for an answer to one-way messages"):
	case !at.WantsAnswer(), at.Call().Mode() == core.Oneway && m.has("does not know Confirm"):
		if at.WantsAnswer() {
			at.Result().Status = core.Written
		}
		return at.Result(), nil
	}
	a, err := m.wait(ctx, at, at.Deadline(), answer)
	if err != nil {
		return nil, err
	}
	if m.has("marks only what is answered") {
		at.MarkWritten()
	}
	return m.result(at, a)
}

// result is what an answer means.
func (m *mem) result(at *core.Attempt, a memAnswer) (*core.Result, error) {
	switch {
	case a.lost:
		return nil, m.lost(at)
	case a.refusal != nil && a.refused == nil:
		a.refusal.Addr = at.Addr()
		switch {
		case m.has("returns a result and an error"):
			return at.Result(), a.refusal
		case m.has("returns neither"):
			return nil, nil
		case m.has("takes every refusal for a busy broker"):
			a.refusal.Class = core.ClassBusy
		case m.has("is sure of every refusal"):
			a.refusal.Certainty = core.NotStored
		case m.has("tells no address"):
			a.refusal.Addr = ""
		case m.has("is silent about the code"):
			a.refusal.Code = nil
		}
		return nil, a.refusal
	}
	n := int64(at.Call().Len())
	res := at.Result()
	res.Status, res.QueueOffset = core.SendOK, a.offset
	if m.has("gives the last offset of a batch") {
		res.QueueOffset += n - 1
	}
	for _, i := range a.refused {
		if m.has("takes a part for the whole") {
			break
		}
		for j := range int(n) {
			if _, there := slices.BinarySearch(a.refused, j); !there {
				at.SetMessage(j, core.MessageResult{QueueOffset: a.offset + int64(j)})
			}
		}
		refusal := *a.refusal
		refusal.Addr = at.Addr()
		at.SetMessage(i, core.MessageResult{Err: &refusal})
	}
	return res, nil
}

func (m *mem) lost(at *core.Attempt) error {
	switch {
	case m.has("says NotStored of a lost connection"):
		return fmt.Errorf("%w: %w", core.ErrConnectionLost, &core.BrokerError{Class: core.ClassUnavailable, Certainty: core.NotStored, Addr: at.Addr()})
	case m.has("has no error for a lost connection"):
		return fmt.Errorf("mem: end of file")
	default:
		return fmt.Errorf("mem: %w", core.ErrConnectionLost)
	}
}

// wait waits for an answer and everything that ends an attempt.
func (m *mem) wait(ctx context.Context, at *core.Attempt, until time.Time, answer <-chan memAnswer) (memAnswer, error) {
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	done, aborted, deadline, over := ctx.Done(), at.Aborted(), t.C, m.over
	switch m.bug {
	case "ignores the deadline":
		deadline = nil
	case "ignores ctx":
		done = nil
	case "ignores the abort":
		aborted = nil
	case "leaves attempts alone in Shutdown":
		over = nil
	}
	if m.has("does not look at ctx first") && ctx.Err() != nil {
		done = nil
	}
	select {
	case a := <-answer:
		return a, nil
	case <-deadline:
		if m.has("has an error of its own for the deadline") {
			return memAnswer{}, fmt.Errorf("mem: no answer in time")
		}
		return memAnswer{}, core.ErrTimeout
	case <-done:
		if m.has("keeps the cause of ctx to itself") {
			return memAnswer{}, ctx.Err()
		}
		return memAnswer{}, core.ContextError(ctx)
	case <-aborted:
		return memAnswer{}, core.ErrAborted
	case <-over:
		return memAnswer{}, fmt.Errorf("mem: %w", core.ErrClosed)
	}
}

// request is what goes to the far end.
func (m *mem) request(at *core.Attempt) transporttest.Request {
	r := transporttest.Request{Addr: at.Addr(), Queue: at.Queue(), Topic: at.Call().Outgoing().Topic()}
	switch m.bug {
	case "names the first queue only":
		r.Queue.ID = 0
	case "goes to the first broker only":
		r.Addr = "mem-a:1"
	case "takes the user's topic":
		r.Topic = at.Call().Message().Topic
	}
	for o := range at.Call().All() {
		msg := transporttest.Message{Body: bytes.Clone(o.Body()), Flag: o.Flag(), Codec: o.Codec(), Properties: map[string]string{}}
		for name, value := range o.Properties() {
			if m.has("loses the keys") && name == "KEYS" {
				continue
			}
			msg.Properties[name] = value.String()
		}
		switch m.bug {
		case "loses the codec":
			msg.Codec = ""
		case "loses the flag's sign":
			msg.Flag &= 1<<31 - 1
		case "ends bodies at a zero byte":
			if end := bytes.IndexByte(msg.Body, 0); end >= 0 {
				msg.Body = msg.Body[:end]
			}
		}
		r.Messages = append(r.Messages, msg)
	}
	if m.has("sorts batches") {
		slices.SortFunc(r.Messages, func(a, b transporttest.Message) int { return bytes.Compare(a.Body, b.Body) })
	}
	return r
}

// later keeps something for the next attempt, or for a moment.
func (m *mem) later(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = append(m.held, f)
	time.AfterFunc(100*time.Microsecond, m.catchUp)
}

func (m *mem) catchUp() {
	m.mu.Lock()
	held := m.held
	m.held = nil
	m.mu.Unlock()
	for _, f := range held {
		f()
	}
}

// deliver is the far end: it takes a request and sends the answer.
func (m *mem) deliver(r transporttest.Request, answer chan<- memAnswer) {
	var reply transporttest.Reply
	if m.far != nil {
		reply = m.far(r)
	}
	m.mu.Lock()
	m.waiting = append(m.waiting, answer)
	if m.has("gives an answer to whoever waits longest") && reply.Kind != transporttest.Hang {
		answer = m.waiting[0]
		m.waiting = m.waiting[1:]
	}
	m.mu.Unlock()
	var a memAnswer
	n := int64(len(r.Messages))
	switch reply.Kind {
	case transporttest.Hang:
		return
	case transporttest.Cut:
		a.lost = true
	case transporttest.Refuse, transporttest.RefuseSome:
		x := reply.Refusal
		a.refusal = &core.BrokerError{Code: x.Code, Class: x.Class, Certainty: x.Certainty, Remark: x.Remark}
		if reply.Kind == transporttest.RefuseSome {
			a.refused = reply.Refused
		}
		fallthrough
	default:
		a.offset = m.offset.Add(n) - n
	}
	if reply.Kind == transporttest.StoreLate {
		time.AfterFunc(reply.After, func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			if m.has("gives a late answer to whoever waits") {
				answer = m.waiting[len(m.waiting)-1]
			}
			answer <- a
		})
		return
	}
	answer <- a
}

func (m *mem) Route(ctx context.Context, topic string) (*core.Route, error) {
	m.asking.Add(1)
	defer m.asking.Add(-1)
	switch topic {
	case "T":
	case "read-only":
		if m.has("does not know read-only topics") {
			return nil, fmt.Errorf("mem: %w: %s", core.ErrNoRoute, topic)
		}
		return nil, fmt.Errorf("mem: %w: %s", core.ErrNotWritable, topic)
	default:
		if m.has("has an error of its own for unknown topics") {
			return nil, fmt.Errorf("mem: topic %s does not exist", topic)
		}
		if m.has("does not name unknown topics") {
			return nil, core.ErrNoRoute
		}
		return nil, fmt.Errorf("mem: %w: %s", core.ErrNoRoute, topic)
	}
	select {
	case <-m.hung:
		done := ctx.Done()
		if m.has("ignores ctx in Route") {
			done = m.over
		}
		<-done
		return nil, core.ContextError(ctx)
	default:
	}
	queues := []core.Queue{{Broker: "mem-a"}, {Broker: "mem-a", ID: 1}, {Broker: "mem-b"}, {Broker: "mem-b", ID: 1}}
	brokers := []core.Broker{{Name: "mem-a", Addr: "mem-a:1"}, {Name: "mem-b", Addr: "mem-b:1"}}
	n := m.asked.Add(1)
	switch {
	case m.has("gives a route without queues"):
		queues = nil
	case m.has("gives the queues in any order") && n%2 == 0:
		slices.Reverse(queues)
	case m.has("answers one look-up at a time"):
		time.Sleep(time.Millisecond)
		if m.asking.Load() > 1 {
			return nil, fmt.Errorf("mem: busy with another look-up")
		}
	}
	return core.NewRoute(queues, brokers)
}

// word is the code of a protocol whose answers are words.
type word string

func (w word) String() string { return string(w) }

// world is a world with nothing missing.
func world(tb transporttest.TB, bug string) transporttest.World {
	m := newMem(bug)
	return transporttest.World{
		Transport: m, Routes: m, Topic: "T",
		Serve: func(h transporttest.Handler) { m.far = h },
		Refusals: []transporttest.Refusal{
			{Code: word("BUSY"), Remark: "later", Class: core.ClassBusy, Certainty: core.NotStored},
			{Code: word("DENIED"), Class: core.ClassAuth, Certainty: core.NotStored},
			{Code: word("OOPS"), Class: core.ClassBroker, Certainty: core.MaybeStored},
		},
		Refusing: refusing, Silent: silent, HangingUp: hangingUp, Deaf: deaf,
		UnknownTopic: "unknown", ReadOnlyTopic: "read-only",
		HangRoutes: func() { close(m.hung) },
		Late:       time.Millisecond,
	}
}

// recorder takes what rules report instead of a test.
type recorder struct {
	mu                      sync.Mutex
	failures, skipped, logs []string
}

func (r *recorder) Helper()        {}
func (r *recorder) Cleanup(func()) {}
func (r *recorder) Logf(format string, args ...any) {
	r.note(&r.logs, format, args)
}
func (r *recorder) Errorf(format string, args ...any) { r.note(&r.failures, format, args) }
func (r *recorder) Fatalf(format string, args ...any) { r.note(&r.failures, format, args) }
func (r *recorder) Skipf(format string, args ...any)  { r.note(&r.skipped, format, args) }

func (r *recorder) note(list *[]string, format string, args []any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*list = append(*list, fmt.Sprintf(format, args...))
}
