package breaker_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/refusal"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = time.Millisecond

// brokerA is the first broker of coretest.Config.
var brokerA = core.Broker{Name: "broker-a", Addr: "broker-a:10911", Cluster: "DefaultCluster"}

// behaviour is what a broker does with an attempt.
type behaviour func(ctx context.Context, at *core.Attempt) error

func ok(context.Context, *core.Attempt) error { return nil }

// refuse is what a broker does that answers with a code.
func refuse(code rocketmq.ResponseCode, remark string) behaviour {
	return fail(refusal.Of(code, remark, brokerA.Addr))
}

func fail(err error) behaviour {
	return func(context.Context, *core.Attempt) error { return err }
}

func hang(ctx context.Context, at *core.Attempt) error { return coretest.Hang(ctx, at) }

func after(d time.Duration, b behaviour) behaviour {
	return func(ctx context.Context, at *core.Attempt) error {
		time.Sleep(d)
		return b(ctx, at)
	}
}

// needs is what a broker does that answers after d, unless the attempt ends before.
func needs(d time.Duration) behaviour {
	return func(ctx context.Context, at *core.Attempt) error {
		answer := make(chan struct{})
		timer := time.AfterFunc(d, func() { close(answer) })
		defer timer.Stop()
		return at.Wait(ctx, answer)
	}
}

var refused = fail(core.ErrConnect)

// world is a producer with breakers and two brokers whose behaviour can be set.
type world struct {
	testing.TB
	breakers *breaker.Breakers
	p        *core.Producer
	tr       *coretest.Transport

	mu      sync.Mutex
	brokers map[string]behaviour
}

func newWorld(tb testing.TB, cfg breaker.Config, change func(*core.Config)) *world {
	tb.Helper()
	b, err := breaker.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	w := &world{TB: tb, breakers: b, tr: &coretest.Transport{Unwritten: true}, brokers: map[string]behaviour{}}
	w.tr.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
		at.MarkWritten()
		if err := w.behaviour(at.Queue().Broker)(ctx, at); err != nil {
			return nil, err
		}
		return w.tr.Ack(at), nil
	}
	c := coretest.Config(w.tr, b.Step())
	c.Health = b
	if change != nil {
		change(&c)
	}
	w.p = coretest.Start(tb, c)
	return w
}

// inBubble runs f in virtual time.
func inBubble(t *testing.T, cfg breaker.Config, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newWorld(t, cfg, nil)) })
}

func (w *world) behaviour(broker string) behaviour {
	w.mu.Lock()
	defer w.mu.Unlock()
	if b := w.brokers[broker]; b != nil {
		return b
	}
	return ok
}

func (w *world) set(broker string, b behaviour) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.brokers[broker] = b
}

// chooseA chooses broker-a, whatever its health.
var chooseA = core.QueueSelectorFunc(func(_ context.Context, sel *core.Selection) (int, error) {
	return sel.Index(core.Queue{Broker: "broker-a"}), nil
})

// toA is an option by which a send keeps choosing broker-a, though another broker may take
// its message. So the attempt is no last resort, as it would be with a fixed queue.
var toA = core.SendSelector(chooseA)

// toB is toA for broker-b.
var toB = core.SendSelector(core.QueueSelectorFunc(func(_ context.Context, sel *core.Selection) (int, error) {
	return sel.Index(core.Queue{Broker: "broker-b"}), nil
}))

// sendA makes one attempt at broker-a, and at no other.
func (w *world) sendA(ctx context.Context) error {
	_, err := w.p.Send(ctx, coretest.Message("x"), toA)
	return err
}

// times sends n messages to broker-a, whatever comes of them.
func (w *world) times(n int, b behaviour) {
	w.set("broker-a", b)
	for range n {
		_ = w.sendA(w.Context())
	}
}

// expect checks broker-a's state.
func (w *world) expect(want breaker.State) {
	w.Helper()
	if got := w.state(); got != want {
		w.Fatalf("broker-a's breaker is %v, want %v (%+v)", got, want, w.breakers.States())
	}
}

func (w *world) state() breaker.State {
	for _, s := range w.breakers.States() {
		if s.Broker == "broker-a" {
			return s.State
		}
	}
	return breaker.Closed
}

// open opens broker-a's breaker.
func (w *world) open() {
	w.Helper()
	w.times(5, refused)
	w.expect(breaker.Open)
}

// halfOpen opens it and waits until it is half-open.
func (w *world) halfOpen() {
	w.Helper()
	w.open()
	time.Sleep(breaker.DefaultOpenFor + ms)
	w.expect(breaker.HalfOpen)
}

// journal collects state changes.
type journal struct {
	mu   sync.Mutex
	list []string
}

func (j *journal) add(b core.Broker, from, to breaker.State) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.list = append(j.list, fmt.Sprintf("%s %v>%v", b.Name, from, to))
}

func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]string(nil), j.list...)
}
