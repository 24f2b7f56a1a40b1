// Package coretest helps to test steps and strategies: a scripted transport, a
// fixed route source and a producer made of them. It depends on nothing but core
// and the standard library, so that plugin authors can use it in any module.
package coretest

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/refusal"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// TB is the part of testing.TB that this package uses.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// Transport is a scripted transport. The zero value acknowledges every attempt.
// It is safe for concurrent use.
type Transport struct {
	// Do answers an attempt; nil means Ack. An attempt is marked as written
	// before, unless Unwritten is true.
	Do func(ctx context.Context, at *core.Attempt) (*core.Result, error)
	// Unwritten leaves MarkWritten to Do.
	Unwritten bool
	// Forget keeps no record of the attempts, for benchmarks.
	Forget bool

	offset   atomic.Int64
	mu       sync.Mutex
	attempts []Sent
}

// Sent is what the transport saw of one attempt.
type Sent struct {
	Number     int
	Queue      core.Queue
	Addr       string
	Mode       core.Mode
	Answer     bool // an answer was wanted
	MessageID  core.MessageID
	Topic      string
	Body       string
	Codec      string        // that packed the body
	Properties string        // "name=value;" each, in the order in which they are sent
	Messages   int           // 1, or the batch's size
	Time       time.Duration // the attempt's time, from now to its deadline
}

// RoundTrip records the attempt and answers it.
func (t *Transport) RoundTrip(ctx context.Context, at *core.Attempt) (*core.Result, error) {
	if !t.Forget {
		out := at.Call().Outgoing()
		s := Sent{
			Number: at.Number(), Queue: at.Queue(), Addr: at.Addr(), Mode: at.Call().Mode(), Answer: at.WantsAnswer(),
			MessageID: out.MessageID(), Topic: out.Topic(), Body: string(out.Body()),
			Codec: out.Codec(), Properties: properties(out), Messages: at.Call().Len(),
			Time: time.Until(at.Deadline()),
		}
		t.mu.Lock()
		t.attempts = append(t.attempts, s)
		t.mu.Unlock()
	}
	if !t.Unwritten {
		at.MarkWritten()
	}
	if t.Do != nil {
		return t.Do(ctx, at)
	}
	return t.Ack(at), nil
}

// ReplyingTransport is a [Transport] that brings a reply with the body "reply" to each request
// that it acknowledges, before the request's send returns. The zero value is ready.
type ReplyingTransport struct {
	Transport
	// Properties are those of each reply beside the one that names its request.
	Properties map[string]string

	inbox atomic.Pointer[core.Inbox]
}

// ClientID implements [core.GroupRegistrar].
func (t *ReplyingTransport) ClientID() string { return "client@1" }

// RegisterGroup keeps the group's inbox. Replies go to the group that came last.
func (t *ReplyingTransport) RegisterGroup(_ context.Context, r core.Registration) error {
	t.inbox.Store(r.Inbox)
	return nil
}

// UnregisterGroup implements [core.GroupRegistrar].
func (t *ReplyingTransport) UnregisterGroup(context.Context, string) error { return nil }

// RoundTrip answers as [Transport.RoundTrip] does, and then replies.
func (t *ReplyingTransport) RoundTrip(ctx context.Context, at *core.Attempt) (*core.Result, error) {
	res, err := t.Transport.RoundTrip(ctx, at)
	id, isRequest := at.Call().Outgoing().Property(rocketmq.PropertyCorrelationID)
	if err != nil || !isRequest {
		return res, err
	}
	properties := map[string]string{}
	maps.Copy(properties, t.Properties)
	properties[rocketmq.PropertyCorrelationID] = id
	if err := t.inbox.Load().Deliver(&core.ServerRequest{Kind: core.RequestReply, Body: []byte("reply"), Properties: properties}); err != nil {
		return nil, err
	}
	return res, nil
}

// Ack is the result of a stored message, or of a written one where no answer is
// wanted.
func (t *Transport) Ack(at *core.Attempt) *core.Result {
	r := at.Result()
	r.Queue = at.Queue()
	if !at.WantsAnswer() {
		r.Status = core.Written
		return r
	}
	r.Status = core.SendOK
	r.QueueOffset = t.offset.Add(int64(at.Call().Len())) - int64(at.Call().Len())
	r.RegionID = "DefaultRegion"
	r.TraceOn = true
	return r
}

// Attempts are the attempts seen so far, in order of their arrival.
func (t *Transport) Attempts() []Sent {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Sent(nil), t.attempts...)
}

// properties is what out sends, for people.
func properties(out *core.Outgoing) string {
	var b []byte
	for name, value := range out.Properties() {
		b = append(b, name...)
		b = append(b, '=')
		b = append(value.AppendTo(b), ';')
	}
	return string(b)
}

// Refuse answers with a broker's code, which means to core what it means to the client of
// real clusters.
func Refuse(at *core.Attempt, code rocketmq.ResponseCode, remark string) error {
	return refusal.Of(code, remark, at.Addr())
}

// Hang waits until the attempt has to end, and says why as a transport does.
func Hang(ctx context.Context, at *core.Attempt) error {
	return at.Wait(ctx, nil)
}

// Routes is a source that gives every topic the same queues: queues per broker
// on each of brokers, whose addresses are "NAME:10911".
func Routes(queues int, brokers ...string) core.RouteSource {
	var qs []core.Queue
	var bs []core.Broker
	for _, b := range brokers {
		bs = append(bs, core.Broker{Name: b, Addr: b + ":10911", Cluster: "DefaultCluster"})
		for i := range queues {
			qs = append(qs, core.Queue{Broker: b, ID: i})
		}
	}
	route, err := core.NewRoute(qs, bs)
	return RouteFunc(func(context.Context, string) (*core.Route, error) { return route, err })
}

// RouteFunc is a function that is a route source.
type RouteFunc func(ctx context.Context, topic string) (*core.Route, error)

// Route calls f.
func (f RouteFunc) Route(ctx context.Context, topic string) (*core.Route, error) {
	return f(ctx, topic)
}

// InOrder is a selector that takes the first queue whose broker this call has
// not tried, and the first of all when there is none. It makes tests predictable.
func InOrder() core.SelectorFactory {
	return core.SelectorFactoryFunc(func(string) core.QueueSelector {
		return core.QueueSelectorFunc(func(_ context.Context, s *core.Selection) (int, error) {
			for i := range s.Len() {
				if !s.Tried(i) {
					return i, nil
				}
			}
			return 0, nil
		})
	})
}

// NoRetry is a policy that gives up at once, Retry one that makes n attempts
// whatever happened.
func NoRetry() core.RetryPolicy { return Retry(1) }

// Retry is a policy that makes up to n attempts whatever happened, without a pause.
func Retry(n int) core.RetryPolicy {
	return core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
		return core.Decision{Retry: f.Err != nil && f.Attempt < n}
	})
}

// Config is a complete configuration around t: group "test", two brokers with
// two queues each, the selector InOrder and no retries. Change it at will.
func Config(t core.Transport, steps ...core.Step) core.Config {
	return core.Config{
		Group: "test", Transport: t, Routes: Routes(2, "broker-a", "broker-b"),
		Selector: InOrder(), Retry: NoRetry(), Steps: steps,
	}
}

// Start makes and starts a producer, and shuts it down when the test ends.
func Start(tb TB, cfg core.Config) *core.Producer {
	tb.Helper()
	p, err := core.NewProducer(cfg)
	if err != nil {
		tb.Fatalf("new producer: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := p.Start(ctx); err != nil {
		tb.Fatalf("start producer: %v", err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := p.Shutdown(ctx); err != nil {
			tb.Errorf("shut producer down: %v", err)
		}
	})
	return p
}

// Message makes a message of topic "T" with the given body.
func Message(body string) *core.Message {
	return &core.Message{Topic: "T", Body: []byte(body)}
}

// String shows an attempt in one line.
func (s Sent) String() string {
	return fmt.Sprintf("#%d %s %v %q", s.Number, s.Topic, s.Queue, s.Body)
}
