package core_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// logical is a static topic's route: queue i is led by the broker with that letter.
func logical(letters string) (*core.Route, error) {
	var queues []core.Queue
	var brokers []core.Broker
	for id, letter := range letters {
		name := "broker-" + string(letter)
		queues = append(queues, core.Queue{Broker: name, ID: id})
		if !strings.ContainsRune(letters[:id], letter) {
			brokers = append(brokers, core.Broker{Name: name, Addr: name + ":10911"})
		}
	}
	return core.NewStaticRoute(queues, brokers)
}

// A queue of a static topic was known by the broker that led it: when another broker took it over, sends to that very
// queue failed for good. Its number alone names it, and a key stays in it.
func TestSendsFollowALogicalQueueToAnotherBroker(t *testing.T) {
	for _, tt := range []struct {
		name string
		msg  func(m *core.Message)
		id   int
	}{
		{"fixed by the old broker's name", func(m *core.Message) { m.Queue = &core.Queue{Broker: "broker-a", ID: 2} }, 2},
		{"fixed by the name of Java's clients", func(m *core.Message) { m.Queue = &core.Queue{Broker: rocketmq.MockBrokerGlobal, ID: 2} }, 2},
		{"keyed", func(m *core.Message) { m.ShardingKey = "f" }, 'f' % 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var remapped atomic.Bool
			tr := &coretest.Transport{}
			tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
				if at.Broker().Name == "broker-a" && remapped.Load() {
					return nil, coretest.Refuse(at, rocketmq.CodeNotLeaderForQueue, "T-2 does not exit in request process of current broker broker-a")
				}
				return tr.Ack(at), nil
			}
			cfg := coretest.Config(tr)
			cfg.Selector, cfg.Retry = byFirstLetter(), coretest.Retry(2)
			cfg.Routes = coretest.RouteFunc(func(context.Context, string) (*core.Route, error) {
				if remapped.Load() {
					return logical("bbbb")
				}
				return logical("abab")
			})
			p := coretest.Start(t, cfg)
			send := func() (core.Result, error) {
				m := coretest.Message("x")
				tt.msg(m)
				return p.Send(t.Context(), m)
			}
			if res, err := send(); err != nil || res.Queue != (core.Queue{Broker: "broker-a", ID: tt.id}) {
				t.Fatalf("before: %v, %v", res.Queue, err)
			}
			remapped.Store(true)
			for i, attempts := range []int{2, 1} {
				res, err := send()
				if err != nil || res.Queue != (core.Queue{Broker: "broker-b", ID: tt.id}) || res.Attempts != attempts || res.MaybeDuplicate {
					t.Errorf("send %d afterwards: %+v, %v; want %d attempts", i, res, err, attempts)
				}
			}
		})
	}
}

func TestStaticRoute(t *testing.T) {
	r, err := logical("abba")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		q    core.Queue
		want int
	}{
		{core.Queue{Broker: "broker-a", ID: 3}, 3},
		{core.Queue{Broker: "broker-a", ID: 2}, 2},
		{core.Queue{Broker: "nobody", ID: 0}, 0},
		{core.Queue{Broker: "broker-a", ID: 4}, -1},
	} {
		if got := r.Index(tt.q); got != tt.want {
			t.Errorf("%v: queue %d, want %d", tt.q, got, tt.want)
		}
	}
	same, _ := logical("abba")
	moved, _ := logical("abbb")
	plain, err := core.NewRoute([]core.Queue{r.Queue(0), r.Queue(1), r.Queue(2), r.Queue(3)}, r.Brokers())
	if err != nil {
		t.Fatal(err)
	}
	if !r.Equal(same) || r.Equal(moved) || r.Equal(plain) || plain.Equal(r) {
		t.Error("routes are taken for each other")
	}
	if plain.Index(core.Queue{Broker: "broker-a", ID: 2}) != -1 {
		t.Error("the number alone names the queue of a topic that is not static")
	}
	if _, err := core.NewStaticRoute([]core.Queue{{Broker: "broker-a", ID: 1}, {Broker: "broker-b", ID: 1}}, r.Brokers()); err == nil ||
		!strings.Contains(err.Error(), "broker-b/1") {
		t.Errorf("a number twice: %v", err)
	}
	if _, err := core.NewStaticRoute([]core.Queue{{Broker: "nobody"}}, r.Brokers()); err == nil {
		t.Error("an unknown broker passes")
	}
}

func ExampleNewStaticRoute() {
	brokers := []core.Broker{{Name: "broker-a", Addr: "10.0.0.1:10911"}, {Name: "broker-b", Addr: "10.0.0.2:10911"}}
	route, err := core.NewStaticRoute([]core.Queue{{Broker: "broker-b", ID: 0}, {Broker: "broker-a", ID: 1}}, brokers)
	if err != nil {
		fmt.Println(err)
		return
	}
	// The message was for queue 0 when broker-a led it.
	i := route.Index(core.Queue{Broker: "broker-a", ID: 0})
	fmt.Println(route.Queue(i), "at", route.Broker(i).Addr)
	// Output: broker-b/0 at 10.0.0.2:10911
}

// In the order of Spread neighbours are on different brokers as long as that is possible.
func TestSpreadOfARoute(t *testing.T) {
	for _, tt := range []struct {
		queues []string // brokers
		want   string
	}{
		{[]string{"a", "a", "a", "b", "b", "b"}, "[0 3 1 4 2 5]"},
		{[]string{"a", "a", "a", "a", "b", "c"}, "[0 4 5 1 2 3]"},
		{[]string{"a", "b", "a", "a", "b"}, "[0 1 2 4 3]"},
		{[]string{"a"}, "[0]"},
	} {
		var queues []core.Queue
		for i, b := range tt.queues {
			queues = append(queues, core.Queue{Broker: b, ID: i})
		}
		route, err := core.NewRoute(queues, []core.Broker{{Name: "a", Addr: "a:1"}, {Name: "b", Addr: "b:1"}, {Name: "c", Addr: "c:1"}})
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		cfg := coretest.Config(&coretest.Transport{})
		cfg.Routes = coretest.RouteFunc(func(context.Context, string) (*core.Route, error) { return route, nil })
		cfg.Selector = core.SelectorFactoryFunc(func(string) core.QueueSelector {
			return core.QueueSelectorFunc(func(_ context.Context, s *core.Selection) (int, error) {
				for i := range s.Len() {
					got = append(got, s.Spread(i))
				}
				return 0, nil
			})
		})
		if _, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x")); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got) != tt.want {
			t.Errorf("%v: %v, want %s", tt.queues, got, tt.want)
		}
	}
}
