package core_test

import (
	"context"
	"slices"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

func TestSubset(t *testing.T) {
	whole, err := core.NewRoute(
		[]core.Queue{{Broker: "a", ID: 0}, {Broker: "a", ID: 1}, {Broker: "b", ID: 0}, {Broker: "c", ID: 0}, {Broker: "c", ID: 1}},
		[]core.Broker{{Name: "a", Addr: "a:1"}, {Name: "b", Addr: "b:1"}, {Name: "c", Cluster: "absent"}, {Name: "d", Addr: "d:1"}},
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		indices []int
		queues  []core.Queue
		brokers []string
	}{
		{[]int{0, 1, 2, 3, 4}, []core.Queue{{Broker: "a", ID: 0}, {Broker: "a", ID: 1}, {Broker: "b", ID: 0}, {Broker: "c", ID: 0}, {Broker: "c", ID: 1}}, []string{"a", "b", "c"}},
		{[]int{4, 1, 3}, []core.Queue{{Broker: "c", ID: 1}, {Broker: "a", ID: 1}, {Broker: "c", ID: 0}}, []string{"c", "a"}},
		{[]int{2}, []core.Queue{{Broker: "b", ID: 0}}, []string{"b"}},
		{nil, nil, nil},
	} {
		sub := whole.Subset(tt.indices)
		var queues []core.Queue
		for i := range sub.Len() {
			queues = append(queues, sub.Queue(i))
			if got, want := sub.Broker(i), whole.Broker(tt.indices[i]); got != want {
				t.Errorf("%v: queue %d is at %v, want %v", tt.indices, i, got, want)
			}
		}
		var brokers []string
		for _, b := range sub.Brokers() {
			brokers = append(brokers, b.Name)
		}
		if !slices.Equal(queues, tt.queues) || !slices.Equal(brokers, tt.brokers) {
			t.Errorf("%v: queues %v of brokers %v, want %v of %v", tt.indices, queues, brokers, tt.queues, tt.brokers)
		}
		if sub.Static() {
			t.Errorf("%v: it is static", tt.indices)
		}
	}
	if whole.Len() != 5 || len(whole.Brokers()) != 4 {
		t.Errorf("the route has become %v", whole)
	}
	static, err := logical("abab")
	if err != nil {
		t.Fatal(err)
	}
	if !static.Static() || whole.Static() {
		t.Error("which route is static is not said")
	}
	if sub := static.Subset([]int{3, 2}); !sub.Static() || sub.Index(core.Queue{ID: 2}) != 1 {
		t.Errorf("a static route's subset finds queue 2 at %d, want 1", sub.Index(core.Queue{ID: 2}))
	}
}

// A selection over some of the queues is one of the same call.
func TestSelectionOver(t *testing.T) {
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		if at.Number() == 1 {
			return nil, core.ErrConnectionLost
		}
		return tr.Ack(at), nil
	}
	cfg := coretest.Config(tr)
	cfg.Retry, cfg.Health = coretest.Retry(2), brokerHealth{"broker-b": core.HealthSuspect}
	cfg.Routes = coretest.Routes(2, "broker-a", "broker-b", "broker-c")
	var routes []*core.Route
	cfg.Selector = core.SelectorFactoryFunc(func(string) core.QueueSelector {
		return core.QueueSelectorFunc(func(_ context.Context, whole *core.Selection) (int, error) {
			routes = append(routes, whole.Route())
			if whole.Attempt() == 1 {
				return 0, nil // broker-a, which fails
			}
			sel := whole.Over(whole.Route().Subset([]int{3, 1})) // broker-b/1 and broker-a/1
			if sel.Len() != 2 || sel.Brokers() != 2 || sel.Queue(0) != whole.Queue(3) || sel.Index(whole.Queue(1)) != 1 {
				t.Errorf("%d queues of %d brokers, the first is %v", sel.Len(), sel.Brokers(), sel.Queue(0))
			}
			if sel.Tried(0) || !sel.Tried(1) || sel.Health(0) != core.HealthSuspect || sel.Health(1) != core.HealthGood {
				t.Errorf("tried %v, %v and health %v, %v", sel.Tried(0), sel.Tried(1), sel.Health(0), sel.Health(1))
			}
			if sel.Call() != whole.Call() || sel.Attempt() != 2 || sel.Message() != whole.Message() || sel.Topic() != "T" {
				t.Error("it is of another call")
			}
			return 3, nil
		})
	})
	if _, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	if len(routes) != 2 || routes[0] != routes[1] || routes[0].Len() != 6 {
		t.Errorf("the route is another value at each attempt: %v", routes)
	}
}

type brokerHealth map[string]core.Health

func (h brokerHealth) Health(b core.Broker) core.Health { return h[b.Name] }
