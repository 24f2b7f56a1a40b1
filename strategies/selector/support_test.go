package selector_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// situation is what a selector has to choose in.
type situation struct {
	routes core.RouteSource
	health map[string]core.Health
	tried  int // brokers that have failed in the call, in the route's order
	msg    *core.Message
}

// in hands a real selection of that situation to f.
func in(tb testing.TB, s situation, f func(ctx context.Context, sel *core.Selection)) {
	tb.Helper()
	if s.routes == nil {
		s.routes = coretest.Routes(4, "a", "b", "c")
	}
	if s.msg == nil {
		s.msg = coretest.Message("x")
	}
	tr := &coretest.Transport{Forget: true}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		if at.Number() <= s.tried {
			return nil, core.ErrConnectionLost
		}
		return tr.Ack(at), nil
	}
	cfg := coretest.Config(tr)
	cfg.Routes = s.routes
	cfg.Retry = coretest.Retry(s.tried + 1)
	if s.health != nil {
		cfg.Health = healthMap(s.health)
	}
	ran := false
	inner := coretest.InOrder().ForTopic("T")
	cfg.Selector = factory(func(ctx context.Context, sel *core.Selection) (int, error) {
		if sel.Attempt() == s.tried+1 {
			ran = true
			f(ctx, sel)
		}
		return inner.Select(ctx, sel)
	})
	p := coretest.Start(tb, cfg)
	if _, err := p.Send(tb.Context(), s.msg); err != nil {
		tb.Fatal(err)
	}
	if !ran {
		tb.Fatal("no selection was made")
	}
}

type healthMap map[string]core.Health

func (h healthMap) Health(b core.Broker) core.Health { return h[b.Name] }

func factory(f core.QueueSelectorFunc) core.SelectorFactory {
	return core.SelectorFactoryFunc(func(string) core.QueueSelector { return f })
}

// pick chooses and fails the test on an error or an index that is out of range.
func pick(tb testing.TB, ctx context.Context, s core.QueueSelector, sel *core.Selection) int {
	tb.Helper()
	i, err := s.Select(ctx, sel)
	if err != nil {
		tb.Fatal(err)
	}
	if i < 0 || i >= sel.Len() {
		tb.Fatalf("index %d of %d", i, sel.Len())
	}
	return i
}

// interleaved is a route source whose brokers take turns in the list of queues.
func interleaved(queues int, brokers ...string) core.RouteSource {
	var qs []core.Queue
	var bs []core.Broker
	for i := range queues {
		for _, b := range brokers {
			qs = append(qs, core.Queue{Broker: b, ID: i})
		}
	}
	for _, b := range brokers {
		bs = append(bs, core.Broker{Name: b, Addr: b + ":10911"})
	}
	r, err := core.NewRoute(qs, bs)
	return coretest.RouteFunc(func(context.Context, string) (*core.Route, error) { return r, err })
}

func brokers(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("broker-%03d", i)
	}
	return names
}

// countingHealth counts how often it is asked; brokers are down from a name on.
type countingHealth struct {
	asked  atomic.Int64
	isDown func(broker string) bool
}

func (h *countingHealth) Health(b core.Broker) core.Health {
	h.asked.Add(1)
	if h.isDown != nil && h.isDown(b.Name) {
		return core.HealthDown
	}
	return core.HealthGood
}
