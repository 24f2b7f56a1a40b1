package selector_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/selector"
)

func sticky(tb testing.TB, cfg selector.StickyConfig) core.SelectorFactory {
	return made(tb)(selector.NewSticky(cfg))
}

// runs are the lengths of the runs of equal queues among n picks.
func runs(tb testing.TB, ctx context.Context, s core.QueueSelector, sel *core.Selection, n int) (lengths []int, queues []int) {
	tb.Helper()
	for range n {
		i := pick(tb, ctx, s, sel)
		if len(queues) > 0 && queues[len(queues)-1] == i {
			lengths[len(lengths)-1]++
		} else {
			lengths, queues = append(lengths, 1), append(queues, i)
		}
	}
	return lengths, queues
}

func TestStickyStaysForMessages(t *testing.T) {
	for _, n := range []int{1, 3, 100} {
		in(t, situation{}, func(ctx context.Context, sel *core.Selection) {
			s := sticky(t, selector.StickyConfig{Messages: n}).ForTopic("T")
			lengths, queues := runs(t, ctx, s, sel, 24*n)
			if len(lengths) != 24 || slices.Max(lengths) != n {
				t.Errorf("stays of %v messages, want 24 of %d", lengths, n)
			}
			slices.Sort(queues)
			if queues = slices.Compact(queues); len(queues) != 12 {
				t.Errorf("two laps went to the queues %v, want all 12", queues)
			}
		})
	}
}

func TestStickyStaysForATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in(t, situation{}, func(ctx context.Context, sel *core.Selection) {
			s := sticky(t, selector.StickyConfig{For: 100 * time.Millisecond}).ForTopic("T")
			first := pick(t, ctx, s, sel)
			time.Sleep(99 * time.Millisecond)
			if got := pick(t, ctx, s, sel); got != first {
				t.Errorf("after 99 ms it went from queue %d to %d", first, got)
			}
			time.Sleep(time.Millisecond)
			second := pick(t, ctx, s, sel)
			if second == first {
				t.Error("after 100 ms it stays")
			}
			time.Sleep(50 * time.Millisecond)
			if got := pick(t, ctx, s, sel); got != second {
				t.Errorf("after 50 ms it went from queue %d to %d", second, got)
			}
		})
	})
}

func TestStickyEndsWithTheEarlierOfBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in(t, situation{}, func(ctx context.Context, sel *core.Selection) {
			s := sticky(t, selector.StickyConfig{Messages: 5, For: time.Second}).ForTopic("T")
			if lengths, _ := runs(t, ctx, s, sel, 10); !slices.Equal(lengths, []int{5, 5}) {
				t.Errorf("stays of %v messages within a second, want 5 and 5", lengths)
			}
			first := pick(t, ctx, s, sel)
			time.Sleep(time.Second)
			if got := pick(t, ctx, s, sel); got == first {
				t.Error("it stays for longer than a second")
			}
		})
	})
}

// A queue is left early where its broker ails, and by all calls.
func TestStickyLeavesAnAilingBroker(t *testing.T) {
	s, routes := sticky(t, selector.StickyConfig{Messages: 1000}).ForTopic("T"), coretest.Routes(4, "a", "b", "c") // one route
	at := func(h map[string]core.Health, tried int) (q core.Queue) {
		in(t, situation{routes: routes, health: h, tried: tried}, func(ctx context.Context, sel *core.Selection) {
			q = sel.Queue(pick(t, ctx, s, sel))
			if again := sel.Queue(pick(t, ctx, s, sel)); again != q {
				t.Errorf("it went to %v, then to %v", q, again)
			}
		})
		return q
	}
	if q := at(map[string]core.Health{"a": down, "b": down}, 0); q.Broker != "c" {
		t.Errorf("it stays at %v, and only c is well", q)
	}
	for _, h := range []map[string]core.Health{{"a": suspect, "b": down}, {"b": suspect, "c": suspect}} {
		want := "c"
		if h["c"] != good {
			want = "a"
		}
		if q := at(h, 0); q.Broker != want {
			t.Errorf("it stays at %v, with %v", q, h)
		}
	}
	if q := at(map[string]core.Health{"b": down}, 1); q.Broker != "c" {
		t.Errorf("it stays at %v, and a was tried and b is down", q)
	}
}

// A new route begins a new stay: the old index may be another queue there, or none.
func TestStickyBeginsAnewWithTheRoute(t *testing.T) {
	s := sticky(t, selector.StickyConfig{Messages: 1_000_000_000}).ForTopic("T")
	for _, n := range []int{9, 1, 4} {
		in(t, situation{routes: coretest.Routes(n, "a")}, func(ctx context.Context, sel *core.Selection) {
			if lengths, _ := runs(t, ctx, s, sel, 5); len(lengths) != 1 {
				t.Errorf("of %d queues: stays of %v messages", n, lengths)
			}
		})
	}
}

// Errors of inner pass, and the next pick asks again.
func TestStickyAfterAnError(t *testing.T) {
	errInner, asked := errors.New("inner"), 0
	s := sticky(t, selector.StickyConfig{Messages: 2, Inner: factory(func(context.Context, *core.Selection) (int, error) {
		switch asked++; asked {
		case 1:
			return 0, errInner
		case 2:
			return 12, nil
		}
		return asked, nil
	})}).ForTopic("T")
	in(t, situation{}, func(ctx context.Context, sel *core.Selection) {
		if _, err := s.Select(ctx, sel); err != errInner {
			t.Errorf("got %v", err)
		}
		if i, err := s.Select(ctx, sel); i != 12 || err != nil {
			t.Errorf("got %d, %v, want 12, which is out of range", i, err)
		}
		if _, queues := runs(t, ctx, s, sel, 4); !slices.Equal(queues, []int{3, 4}) {
			t.Errorf("got %v, want twice 3, twice 4", queues)
		}
	})
}

// While one goroutine looks for the next queue the others stay on the old one.
func TestStickyChoosesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, wait, routes := 0, make(chan struct{}), coretest.Routes(4, "a", "b", "c")
		s := sticky(t, selector.StickyConfig{Messages: 1, Inner: factory(func(context.Context, *core.Selection) (int, error) {
			if asked++; asked == 2 {
				<-wait
			}
			return asked, nil
		})}).ForTopic("T")
		var wg sync.WaitGroup
		one := func(want int) {
			wg.Go(func() {
				in(t, situation{routes: routes}, func(ctx context.Context, sel *core.Selection) {
					if got := pick(t, ctx, s, sel); got != want {
						t.Errorf("got queue %d, want %d", got, want)
					}
				})
			})
			synctest.Wait()
		}
		one(1)
		one(2) // waits
		one(1)
		one(1)
		close(wait)
		synctest.Wait()
		one(3)
		wg.Wait()
	})
}

// A key goes where inner says, and does not count.
func TestStickyKeepsConsistency(t *testing.T) {
	s := sticky(t, selector.StickyConfig{Messages: 2, Inner: selector.Hash()}).ForTopic("T")
	keyed := coretest.Message("x")
	keyed.ShardingKey = "hello" // 99162322
	if cs, ok := s.(core.ConsistentSelector); !ok || !cs.RequiresConsistency(keyed) || cs.RequiresConsistency(coretest.Message("x")) {
		t.Fatal("inner's consistency was lost")
	}
	routes := coretest.Routes(4, "a", "b", "c")
	plain := func() (q int) {
		in(t, situation{routes: routes}, func(ctx context.Context, sel *core.Selection) { q = pick(t, ctx, s, sel) })
		return q
	}
	first := plain()
	in(t, situation{routes: routes, msg: keyed}, func(ctx context.Context, sel *core.Selection) {
		for range 5 {
			if got, want := pick(t, ctx, s, sel), 99162322%12; got != want {
				t.Errorf("chose %d, want %d", got, want)
			}
		}
	})
	if got := plain(); got != first {
		t.Errorf("after messages with a key it went from queue %d to %d", first, got)
	}
}

func TestStickyConfig(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  selector.StickyConfig
		want []string // in the error
	}{
		"messages":  {cfg: selector.StickyConfig{Messages: 1}},
		"time":      {cfg: selector.StickyConfig{For: time.Millisecond}},
		"long":      {cfg: selector.StickyConfig{Messages: 1_000_000_000, For: 24 * time.Hour}},
		"zero":      {want: []string{"Messages and For are 0"}},
		"no unit":   {selector.StickyConfig{For: 100}, []string{"For is 100ns, at least 1ms is needed"}},
		"all wrong": {selector.StickyConfig{Messages: -1, For: -1, Inner: core.SelectorFactoryFunc(nil)}, []string{"Messages is negative: -1", "For is negative", "Inner is a nil core.SelectorFactoryFunc"}},
		"too long":  {selector.StickyConfig{Messages: 1_000_000_001, For: 25 * time.Hour}, []string{"Messages is 1000000001, at most", "For is 25h, at most 24h"}},
	} {
		f, err := selector.NewSticky(tt.cfg)
		if (err == nil) != (tt.want == nil) || (f == nil) != (err != nil) {
			t.Errorf("%s: got %v, %v", name, f, err)
		}
		for _, w := range append(tt.want, "selector sticky: ") {
			if err != nil && !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q is not in %v", name, w, err)
			}
		}
	}
	var cfg selector.StickyConfig
	if err := json.Unmarshal([]byte(`{"messages": 10, "for": "1.5s"}`), &cfg); err != nil || cfg.Messages != 10 || cfg.For != 1500*time.Millisecond {
		t.Errorf("%+v, %v", cfg, err)
	}
	if text, err := json.Marshal(selector.StickyConfig{For: time.Second}); err != nil || string(text) != `{"for":"1s"}` {
		t.Errorf("%s, %v", text, err)
	}
}
