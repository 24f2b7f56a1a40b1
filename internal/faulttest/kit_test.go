package faulttest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

var bg = context.Background()

// world is an embedded cluster on a network of its own.
type world struct {
	*embedded.Cluster
	net *embedded.Network // nil on loopback
}

// virtual runs a test in virtual time. Nothing waits for the wall clock, every
// goroutine has to end, and waits of which nothing can come are found.
func virtual(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// sub is virtual as a sub-test.
func sub(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// newWorld starts a cluster of so many brokers: broker-a, broker-b and so on. All
// brokers know the topic T with 4 queues.
func newWorld(t testing.TB, brokers int) *world {
	t.Helper()
	return newWorldOf(t, embedded.Config{Brokers: embedded.BrokerNames(brokers), Network: embedded.NewNetwork()})
}

func newWorldOf(t testing.TB, cfg embedded.Config) *world {
	t.Helper()
	w := &world{embedded.New(t, cfg), cfg.Network}
	if err := w.CreateTopic("T", 4); err != nil {
		t.Fatal(err)
	}
	return w
}

// count is how many single sends have reached brokers.
func (w *world) count() int { return w.RequestCount(wire.SendMessageV2) }

// nodes are the names of the brokers that the single sends have reached, in order.
func (w *world) nodes() []string {
	var out []string
	for _, r := range w.Requests(wire.SendMessageV2) {
		out = append(out, r.Node)
	}
	return out
}

// on makes a rule for the single sends that reach a broker; "" is every broker.
func (w *world) on(node string, a embedded.Action) (remove func()) {
	return w.Control(wire.SendMessageV2, func(r *embedded.Request) embedded.Action {
		if node != "" && r.Node != node {
			return embedded.Pass()
		}
		return a
	})
}

// routeIs makes every name server answer every topic with this route.
func (w *world) routeIs(r *wire.RouteData) (remove func()) {
	return w.routeBody(wire.AppendRoute(nil, r, wire.StandardKeys))
}

func (w *world) routeBody(body []byte) (remove func()) {
	a := embedded.ReplyWith(wire.Command{Body: body})
	return w.Control(wire.GetRouteInfoByTopic, func(*embedded.Request) embedded.Action { return a })
}

// routeTo is a route of one queue on each of the addresses, whose brokers are
// named peer-0, peer-1 and so on.
func routeTo(addrs ...string) *wire.RouteData {
	r := &wire.RouteData{}
	for i, addr := range addrs {
		name := fmt.Sprintf("peer-%d", i)
		r.Brokers = append(r.Brokers, wire.BrokerData{Cluster: "C", BrokerName: name, Addrs: map[int64]string{rocketmq.MasterID: addr}})
		r.Queues = append(r.Queues, wire.QueueData{BrokerName: name, ReadQueueNums: 1, WriteQueueNums: 1, Perm: rocketmq.PermRead | rocketmq.PermWrite})
	}
	return r
}

// sender is a running default producer with what tests look at.
type sender struct {
	*core.Producer
	client   *remoting.Client
	breakers *breaker.Breakers
	log      *attemptLog
}

// stats are the client's numbers once every goroutine has come to rest.
func (s *sender) stats() remoting.Stats {
	synctest.Wait()
	return s.client.Stats()
}

// start makes a default producer for the cluster, changed by opts, and shuts it
// down when the test ends.
func (w *world) start(t testing.TB, opts ...liftoff.Option) *sender {
	t.Helper()
	return w.startWith(t, liftoff.Config{}, opts...)
}

func (w *world) startWith(t testing.TB, cfg liftoff.Config, opts ...liftoff.Option) *sender {
	t.Helper()
	s := w.make(t, cfg, opts...)
	s.begin(t)
	return s
}

// make is startWith without the start.
func (w *world) make(t testing.TB, cfg liftoff.Config, opts ...liftoff.Option) *sender {
	t.Helper()
	if cfg.Group == "" {
		cfg.Group = "faults"
	}
	if cfg.NameServers == nil {
		cfg.NameServers = w.NameServers()
	}
	if cfg.Client.Dial == nil {
		cfg.Client.Dial = w.Dial
	}
	b, err := breaker.New(breaker.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s := &sender{breakers: b, log: &attemptLog{}}
	c, err := liftoff.Defaults(cfg, append([]liftoff.Option{
		liftoff.WithBreaker(b),
		liftoff.WithSteps(core.ListenerStep("log", s.log)),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	s.client, _ = c.Transport.(*remoting.Client)
	if s.Producer, err = core.NewProducer(c); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *sender) begin(t testing.TB) {
	t.Helper()
	if err := s.Start(bg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(bg, time.Minute)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
}

// ok sends a message, which has to be stored.
func (s *sender) ok(t testing.TB, body string) core.Result {
	t.Helper()
	res, err := s.Send(bg, msg(body))
	if err != nil {
		t.Fatalf("send %q: %v", body, err)
	}
	return res
}

// warm sends until every broker of T has got a message, so that routes are known,
// connections open and heartbeats sent.
func (s *sender) warm(t testing.TB, w *world) {
	t.Helper()
	for range 4 * len(w.Brokers()) {
		s.ok(t, "warm")
	}
	synctest.Wait()
}

// breaker gives the state of a broker's breaker.
func (s *sender) breaker(name string) breaker.State {
	for _, st := range s.breakers.States() {
		if st.Broker == name {
			return st.State
		}
	}
	return breaker.Closed
}

// attempt is what an attempt's end was reported as.
type attempt struct {
	broker             string
	err                error
	class              core.Class
	latency            time.Duration
	written, abandoned bool
}

// attemptLog collects attempts and finished calls.
type attemptLog struct {
	off      atomic.Bool
	mu       sync.Mutex
	attempts []attempt
	calls    int
}

func (l *attemptLog) AttemptDone(_ context.Context, r *core.AttemptReport) {
	if l.off.Load() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attempts = append(l.attempts, attempt{r.Attempt.Broker().Name, r.Err, r.Class, r.Latency, r.Written, r.Abandoned})
}

func (l *attemptLog) CallDone(context.Context, *core.CallReport) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
}

// take returns the attempts since the last take.
func (l *attemptLog) take() []attempt {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.attempts
	l.attempts = nil
	return out
}

func msg(body string) *core.Message { return &core.Message{Topic: "T", Body: []byte(body)} }

// once is the retry policy of tests that look at one attempt.
func once() core.RetryPolicy {
	return core.RetryPolicyFunc(func(*core.Failure) core.Decision { return core.Decision{} })
}

// wantFailure checks what a send's error says.
func wantFailure(t testing.TB, err error, class core.Class, certainty core.Certainty) *core.SendError {
	t.Helper()
	var se *core.SendError
	if !errors.As(err, &se) {
		t.Fatalf("got %v, want a *core.SendError", err)
	}
	if se.Class != class || se.Certainty != certainty {
		t.Errorf("got %v, %v; want %v, %v: %v", se.Class, se.Certainty, class, certainty, err)
	}
	return se
}

// took runs f and returns how long that took.
func took(f func()) time.Duration {
	began := time.Now()
	f()
	return time.Since(began)
}

// wantTook checks a time exactly, which virtual time allows.
func wantTook(t testing.TB, what string, got, want time.Duration) {
	t.Helper()
	if got != want {
		t.Errorf("%s took %v, want %v", what, got, want)
	}
}

// wantAtMost checks a time's bound.
func wantAtMost(t testing.TB, what string, got, most time.Duration) {
	t.Helper()
	if got > most {
		t.Errorf("%s took %v, want at most %v", what, got, most)
	}
}

func want[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// outcome is what an asynchronous send ended with.
type outcome struct {
	res   core.Result
	err   error
	after time.Duration
}

// async starts asynchronous sends and collects their ends.
type async struct {
	mu   sync.Mutex
	done []outcome
	wg   sync.WaitGroup
}

func (a *async) send(ctx context.Context, p *core.Producer, m *core.Message, opts ...core.SendOption) {
	a.wg.Add(1)
	began := time.Now()
	p.SendAsync(ctx, m, func(res core.Result, err error) {
		a.mu.Lock()
		a.done = append(a.done, outcome{res, err, time.Since(began)})
		a.mu.Unlock()
		a.wg.Done() // a second call panics
	}, opts...)
}

// wait returns all outcomes once there are as many as sends.
func (a *async) wait() []outcome {
	a.wg.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.done)
}

// ended is how many have ended so far.
func (a *async) ended() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.done)
}

// wantText checks that an error says something.
func wantText(t testing.TB, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want an error with %q", err, text)
	}
}

// watchDials is the cluster's dial function; seen is called for an address.
func (w *world) watchDials(addr string, seen func()) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, a string) (net.Conn, error) {
		if a == addr {
			seen()
		}
		return w.Dial(ctx, network, a)
	}
}
