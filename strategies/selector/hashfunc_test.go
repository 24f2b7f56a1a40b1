package selector_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/selector"
)

// of is a selector that hashes *key, whatever the message is.
func of(tb testing.TB, f selector.HashFunc, key *string) core.SelectorFactory {
	return made(tb)(selector.NewHash(selector.HashConfig{Function: f, Key: func(*core.Message) string { return *key }}))
}

// made fails the test where a selector could not be made.
func made(tb testing.TB) func(core.SelectorFactory, error) core.SelectorFactory {
	return func(f core.SelectorFactory, err error) core.SelectorFactory {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return f
	}
}

// places gives the queue of each key.
func places(tb testing.TB, f selector.HashFunc, routes core.RouteSource, keys []string) []core.Queue {
	tb.Helper()
	var key string
	s := of(tb, f, &key).ForTopic("T")
	out := make([]core.Queue, 0, len(keys))
	in(tb, situation{routes: routes}, func(ctx context.Context, sel *core.Selection) {
		for _, key = range keys {
			out = append(out, sel.Queue(pick(tb, ctx, s, sel)))
		}
	})
	return out
}

// The numbers of "go" were made by hash/fnv with the Go client's arithmetic, those of "v5" and
// "proxy" by Guava 32.0.1 on a JDK 17, as the v5 client for Java and the proxy call it.
func TestQueuesOfOtherClients(t *testing.T) {
	sizes := []int{1, 7, 8, 64, 1000}
	keys := []string{"hello", "polygenelubricants", "order-42", "日本", "😀", "a😀b\uFFFD", "Straße", "\x00x", "order-0123456789abcdef", "k1", "k2", "k3"}
	for f, want := range map[selector.HashFunc][][5]int{
		selector.HashGo: {
			{0, 2, 3, 43, 723},
			{0, 5, 7, 39, 87},
			{0, 4, 4, 52, 252},
			{0, 1, 1, 17, 721},
			{0, 3, 0, 8, 256},
			{0, 6, 6, 62, 774},
			{0, 1, 0, 56, 616},
			{0, 1, 5, 37, 349},
			{0, 0, 6, 6, 918},
			{0, 6, 1, 1, 489},
			{0, 5, 0, 8, 632},
			{0, 3, 3, 27, 251},
		},
		selector.HashV5: {
			{0, 0, 1, 1, 937},
			{0, 0, 2, 42, 890},
			{0, 0, 5, 45, 429},
			{0, 1, 1, 17, 193},
			{0, 4, 5, 45, 429},
			{0, 1, 7, 23, 919},
			{0, 3, 3, 3, 123},
			{0, 6, 4, 28, 100},
			{0, 4, 2, 26, 346},
			{0, 2, 1, 57, 473},
			{0, 6, 1, 41, 969},
			{0, 1, 6, 62, 982},
		},
		selector.HashProxy: {
			{0, 4, 4, 17, 577},
			{0, 2, 2, 58, 185},
			{0, 3, 3, 25, 753},
			{0, 5, 5, 32, 573},
			{0, 4, 4, 31, 748},
			{0, 5, 5, 17, 536},
			{0, 1, 1, 22, 339},
			{0, 4, 4, 36, 36},
			{0, 5, 5, 5, 783},
			{0, 2, 2, 2, 289},
			{0, 1, 7, 23, 269},
			{0, 5, 5, 30, 30},
		},
	} {
		for k, n := range sizes {
			for i, q := range places(t, f, coretest.Routes(n, "a"), keys) {
				if q.ID != want[i][k] {
					t.Errorf("%v: key %q is in queue %d of %d, want %d", f, keys[i], q.ID, n, want[i][k])
				}
			}
		}
	}
}

// Of every function the key decides alone: neither health nor attempts move it, and other
// messages do not.
func TestEveryFunctionIsConsistent(t *testing.T) {
	for f := selector.HashJava; f <= selector.HashRendezvous; f++ {
		msg := coretest.Message("x")
		msg.ShardingKey = "order-42"
		s := made(t)(selector.NewHash(selector.HashConfig{Function: f})).ForTopic("T")
		var want core.Queue
		for i, sit := range []situation{{msg: msg}, {msg: msg, health: map[string]core.Health{"a": down, "b": down, "c": down}}, {msg: msg, tried: 2}} {
			in(t, sit, func(ctx context.Context, sel *core.Selection) {
				if got := sel.Queue(pick(t, ctx, s, sel)); i == 0 {
					want = got
				} else if got != want {
					t.Errorf("%v: %v, then %v", f, want, got)
				}
			})
		}
		cs, ok := s.(core.ConsistentSelector)
		if !ok || !cs.RequiresConsistency(msg) || cs.RequiresConsistency(coretest.Message("x")) {
			t.Errorf("%v does not say when it is consistent", f)
		}
	}
}

func numbered(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("order-%d", i)
	}
	return keys
}

// A broker leaves, and comes back. Consistent hashes move the keys of its queues and no other,
// rendezvous for whichever broker, jump for the last.
func TestConsistentHashesMoveLittle(t *testing.T) {
	keys := numbered(20000)
	for _, f := range []selector.HashFunc{selector.HashJump, selector.HashProxy, selector.HashRendezvous} {
		for _, size := range []struct{ brokers, queues int }{{2, 1}, {3, 4}, {5, 8}, {16, 4}} {
			all := brokers(size.brokers)
			leaving := []int{size.brokers - 1}
			if f == selector.HashRendezvous {
				leaving = []int{0, size.brokers / 2, size.brokers - 1}
			}
			before := places(t, f, coretest.Routes(size.queues, all...), keys)
			for _, gone := range leaving {
				left := append(append([]string(nil), all[:gone]...), all[gone+1:]...)
				after := places(t, f, coretest.Routes(size.queues, left...), keys)
				moved := map[core.Queue]int{}
				n := 0
				for i := range keys {
					switch {
					case before[i].Broker == all[gone]:
						n++
						moved[after[i]]++
					case before[i] != after[i]:
						t.Fatalf("%v, %v without %s: key %s moved from %v to %v", f, size, all[gone], keys[i], before[i], after[i])
					}
				}
				t.Logf("%v, %v without %s: %.2f%% of the keys move, theory says %.2f%%", f, size, all[gone], 100*float64(n)/float64(len(keys)), 100/float64(size.brokers))
				checkShare(t, fmt.Sprint(f, size, " keys that move"), n, len(keys), 1/float64(size.brokers))
				for q, m := range moved {
					checkShare(t, fmt.Sprint(f, size, " keys that move to ", q), m, n, 1/float64(len(left)*size.queues))
				}
			}
		}
	}
}

// checkShare fails where n of all is further from the share p than six standard deviations,
// which chance does once in a thousand million times.
func checkShare(tb testing.TB, what string, n, all int, p float64) {
	tb.Helper()
	mean := float64(all) * p
	if off := math.Abs(float64(n) - mean); off > 6*math.Sqrt(mean*(1-p))+1 {
		tb.Errorf("%s: %d of %d, want about %.0f", what, n, all, mean)
	}
}

// More queues at the end of the list: jump moves their share, rendezvous too, and remainders
// move most.
func TestMoreQueues(t *testing.T) {
	keys := numbered(20000)
	for f := selector.HashJava; f <= selector.HashRendezvous; f++ {
		before, after := places(t, f, coretest.Routes(8, "a"), keys), places(t, f, coretest.Routes(10, "a"), keys)
		moved, old := 0, 0
		for i := range keys {
			if before[i] != after[i] {
				moved++
				if after[i].ID < 8 {
					old++
				}
			}
		}
		if f >= selector.HashProxy {
			checkShare(t, fmt.Sprint(f, " moves"), moved, len(keys), 0.2)
			if old > 0 {
				t.Errorf("%v: %d keys moved between old queues", f, old)
			}
		} else if moved < len(keys)*7/10 { // the doc says most: 4/5
			t.Errorf("%v moves %d of %d keys only", f, moved, len(keys))
		}
	}
}

// A queue of a static topic keeps its keys when another broker takes it over.
func TestRendezvousInAStaticTopic(t *testing.T) {
	static := func(leader string) core.RouteSource {
		var queues []core.Queue
		for id := range 6 {
			queues = append(queues, core.Queue{Broker: []string{"a", leader}[id%2], ID: id})
		}
		r, err := core.NewStaticRoute(queues, []core.Broker{{Name: "a", Addr: "a:1"}, {Name: leader, Addr: leader + ":1"}})
		return coretest.RouteFunc(func(context.Context, string) (*core.Route, error) { return r, err })
	}
	keys := numbered(2000)
	before, after := places(t, selector.HashRendezvous, static("b"), keys), places(t, selector.HashRendezvous, static("c"), keys)
	for i := range keys {
		if before[i].ID != after[i].ID {
			t.Fatalf("key %s moved from queue %d to %d", keys[i], before[i].ID, after[i].ID)
		}
	}
}

func TestHashFuncNames(t *testing.T) {
	for f, name := range map[selector.HashFunc]string{
		selector.HashJava: "java", selector.HashGo: "go", selector.HashV5: "v5", selector.HashProxy: "proxy",
		selector.HashJump: "jump", selector.HashRendezvous: "rendezvous",
	} {
		text, err := f.MarshalText()
		var back selector.HashFunc
		if err != nil || string(text) != name || f.String() != name || back.UnmarshalText(text) != nil || back != f {
			t.Errorf("%v: %q, %v, back %v", f, text, err, back)
		}
	}
	var f selector.HashFunc
	if err := f.UnmarshalText([]byte("md5")); err == nil || !strings.Contains(err.Error(), `"md5" is not known; there are java, go, v5, proxy, jump, rendezvous`) {
		t.Errorf("an unknown name: %v", err)
	}
}

func TestHashConfig(t *testing.T) {
	_, err := selector.NewHash(selector.HashConfig{Function: 6, Rest: core.SelectorFactoryFunc(nil)})
	for _, want := range []string{"selector hash: ", "Function is unknown(6); there are java, go,", "Rest is a nil core.SelectorFactoryFunc"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	var cfg selector.HashConfig
	if err := json.Unmarshal([]byte(`{"function": "jump"}`), &cfg); err != nil || cfg.Function != selector.HashJump {
		t.Errorf("%v, %v", cfg.Function, err)
	}
	if text, err := json.Marshal(cfg); err != nil || string(text) != `{"function":"jump"}` {
		t.Errorf("%s, %v", text, err)
	}
	if err := json.Unmarshal([]byte(`{"funktion": "jump"}`), &cfg); err == nil {
		t.Error("an unknown member was accepted")
	}
}

// Messages without a key go by the selector for the rest, and it hears.
func TestHashRest(t *testing.T) {
	inner := selfish{&listening{}} // the first queue
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Selector = made(t)(selector.NewHash(selector.HashConfig{Function: selector.HashJump, Rest: inner}))
	p := coretest.Start(t, cfg)
	for range 3 {
		if res, err := p.Send(t.Context(), coretest.Message("x")); err != nil || res.Queue.String() != "broker-a/0" {
			t.Errorf("%v, %v", res.Queue, err)
		}
	}
	keyed := coretest.Message("x")
	keyed.ShardingKey = "k"
	if _, err := p.Send(t.Context(), keyed); err != nil {
		t.Fatal(err)
	}
	if inner.attempts != 4 {
		t.Errorf("it heard %d attempts, want 4", inner.attempts)
	}
	noKey := ""
	rest := made(t)(selector.NewHash(selector.HashConfig{Key: func(*core.Message) string { return noKey }, Rest: selector.Hash()}))
	if s := rest.ForTopic("T").(core.ConsistentSelector); !s.RequiresConsistency(keyed) || s.RequiresConsistency(coretest.Message("x")) {
		t.Error("the rest's consistency was lost")
	}
}
