package selector_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/selector"
)

const ms = time.Millisecond

func powerOfTwo(tb testing.TB, cfg selector.PowerOfTwoConfig) core.SelectorFactory {
	return made(tb)(selector.NewPowerOfTwo(cfg))
}

// world is a cluster in virtual time whose brokers answer after a time of their own.
type world struct {
	*testing.T
	mu     sync.Mutex
	delay  map[string]time.Duration
	err    map[string]error
	counts map[string]int
	p      *core.Producer
}

// newWorld has the brokers a, b and c with two queues each.
func newWorld(t *testing.T, f core.SelectorFactory) *world {
	w := &world{T: t, delay: map[string]time.Duration{}, err: map[string]error{}, counts: map[string]int{}}
	tr := &coretest.Transport{Forget: true}
	tr.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
		w.mu.Lock()
		b := at.Broker().Name
		w.counts[b]++
		delay, err := w.delay[b], w.err[b]
		w.mu.Unlock()
		if delay > 0 {
			answered := make(chan struct{})
			answer := time.AfterFunc(delay, func() { close(answered) })
			defer answer.Stop()
			if err := at.Wait(ctx, answered); err != nil {
				return nil, err
			}
		}
		if err != nil {
			return nil, err
		}
		return tr.Ack(at), nil
	}
	cfg := coretest.Config(tr)
	cfg.Routes, cfg.Selector = coretest.Routes(2, "a", "b", "c"), f
	w.p = coretest.Start(t, cfg)
	return w
}

func (w *world) set(delays map[string]time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.delay = delays
}

// run has callers send one message after the other for a time, and counts the brokers.
func (w *world) run(callers int, d time.Duration) map[string]int {
	w.mu.Lock()
	w.counts = map[string]int{}
	w.mu.Unlock()
	end := time.Now().Add(d)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for time.Now().Before(end) {
				_, _ = w.p.Send(context.Background(), coretest.Message("x"))
			}
		})
	}
	wg.Wait()
	return w.counts
}

// share is a broker's part of counts.
func share(counts map[string]int, broker string) float64 {
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return float64(counts[broker]) / float64(sum)
}

func (w *world) wantShare(counts map[string]int, broker string, from, to float64) {
	w.Helper()
	if s := share(counts, broker); s < from || s > to {
		w.Errorf("%s got %.1f%% of %v, want %.1f%% to %.1f%%", broker, 100*s, counts, 100*from, 100*to)
	}
}

// A broker that is ten times as slow has as many attempts under way as the others, and so gets a
// tenth of what each of them gets.
func TestLeastInFlightFollowsSpeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, selector.LeastInFlight())
		w.set(map[string]time.Duration{"a": 2 * ms, "b": 2 * ms, "c": 20 * ms})
		w.wantShare(w.run(30, time.Second), "c", 0.03, 0.08) // 1/21 is 4.8%
		w.set(map[string]time.Duration{"a": 2 * ms, "b": 2 * ms, "c": 2 * ms})
		counts := w.run(30, time.Second)
		for _, b := range []string{"a", "b", "c"} {
			w.wantShare(counts, b, 0.32, 0.35)
		}
	})
}

// Of one caller nothing is under way at a choice: brokers are alike.
func TestLeastInFlightOfOneCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, selector.LeastInFlight())
		w.set(map[string]time.Duration{"a": ms, "b": ms, "c": 2 * ms})
		counts := w.run(1, 4*time.Second)
		n := counts["a"] + counts["b"] + counts["c"]
		for b, c := range counts {
			checkShare(t, b, c, n, 1./3)
		}
	})
}

// All topics of a factory count together.
func TestLeastInFlightCountsAllTopics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, selector.LeastInFlight())
		w.set(map[string]time.Duration{"a": time.Second / 2, "b": time.Second / 2, "c": time.Second / 2})
		var wg sync.WaitGroup
		for _, topic := range []string{"T", "U", "V"} {
			wg.Go(func() {
				m := coretest.Message("x")
				m.Topic = topic
				_, _ = w.p.Send(t.Context(), m)
			})
			synctest.Wait()
		}
		wg.Wait()
		if len(w.counts) != 3 {
			t.Errorf("three topics with one attempt each under way: %v", w.counts)
		}
	})
}

func TestPowerOfTwoAvoidsASlowBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, powerOfTwo(t, selector.PowerOfTwoConfig{}))
		healthy := map[string]time.Duration{"a": 2 * ms, "b": 2 * ms, "c": 2 * ms}
		w.set(healthy)
		counts := w.run(30, time.Second)
		for _, b := range []string{"a", "b", "c"} {
			w.wantShare(counts, b, 0.30, 0.37)
		}
		w.set(map[string]time.Duration{"a": 2 * ms, "b": 2 * ms, "c": 500 * ms})
		w.run(30, time.Second) // c is found to be slow
		w.wantShare(w.run(30, 5*time.Second), "c", 0, 0.001)
		w.set(healthy)
		w.run(30, 15*time.Second) // 3 s * ln(500/2) is 16.6 s, less what is under way at the others
		counts = w.run(30, time.Second)
		for _, b := range []string{"a", "b", "c"} {
			w.wantShare(counts, b, 0.25, 0.42)
		}
	})
}

// A single caller tells brokers apart by latency alone.
func TestPowerOfTwoOfOneCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, powerOfTwo(t, selector.PowerOfTwoConfig{Decay: time.Minute}))
		w.set(map[string]time.Duration{"a": 2 * ms, "b": 2 * ms, "c": 20 * ms})
		w.run(1, time.Second)
		w.wantShare(w.run(1, 2*time.Second), "c", 0, 0.001)
	})
}

// One that fails at once looks fast and idle, and is not.
func TestPowerOfTwoAvoidsABrokerThatFailsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, powerOfTwo(t, selector.PowerOfTwoConfig{}))
		w.set(map[string]time.Duration{"a": 2 * ms, "b": 2 * ms, "c": 0})
		w.err["c"] = core.ErrConnect
		w.wantShare(w.run(30, 5*time.Second), "c", 0, 0.01)
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.counts["c"] == 0 {
			t.Error("c was never tried: it cannot show that it is well again")
		}
	})
}

// One that hangs is avoided from the first time-out on, and before that by what is under way.
func TestPowerOfTwoAvoidsABrokerThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, powerOfTwo(t, selector.PowerOfTwoConfig{}))
		w.set(map[string]time.Duration{"a": 2 * ms, "b": 2 * ms, "c": time.Hour})
		// At first nothing is known of any, and each gets ten.
		if counts := w.run(30, 2*time.Second); counts["c"] == 0 || counts["c"] > 16 {
			t.Errorf("a broker that hangs got %v", counts)
		}
		if counts := w.run(30, 8*time.Second); counts["c"] > 2 {
			t.Errorf("a broker that hung got %v", counts)
		}
	})
}

// What says nothing of the broker is not learnt: what a hook refuses at once is no fast answer.
func TestPowerOfTwoLearnsFromTheBrokerAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		veto := true
		w := &world{T: t, counts: map[string]int{}}
		tr := &coretest.Transport{Forget: true}
		tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
			w.counts[at.Broker().Name]++
			time.Sleep(map[string]time.Duration{"a": 2 * ms, "b": ms}[at.Broker().Name])
			return tr.Ack(at), nil
		}
		cfg := coretest.Config(tr, core.AttemptStep("veto", core.AttemptProtect, core.AttemptInterceptorFunc(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
			if veto && at.Broker().Name == "a" {
				return nil, core.ErrForbidden
			}
			return next(ctx, at)
		})))
		cfg.Routes, cfg.Selector = coretest.Routes(2, "a", "b"), powerOfTwo(t, selector.PowerOfTwoConfig{Decay: time.Hour})
		w.p = coretest.Start(t, cfg)
		for range 50 {
			_, _ = w.p.Send(t.Context(), coretest.Message("x"))
		}
		if w.counts["b"] > 1 {
			t.Errorf("b, which answers, got %d, and a, of which nothing is known, should be tried", w.counts["b"])
		}
		veto = false
		for range 50 { // one-way sends say nothing either
			if err := w.p.SendOneway(t.Context(), coretest.Message("x")); err != nil {
				t.Fatal(err)
			}
		}
		if w.counts["b"] > 1 {
			t.Errorf("after one-way sends b got %d", w.counts["b"])
		}
		for range 50 {
			_, _ = w.p.Send(t.Context(), coretest.Message("x"))
		}
		if w.counts["b"] < 49 {
			t.Errorf("b is twice as fast and got %d of 50", w.counts["b"])
		}
	})
}

// A caller's short time says that the broker needs as long at least, and no more.
func TestPowerOfTwoAndAnImpatientCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, powerOfTwo(t, selector.PowerOfTwoConfig{Decay: time.Hour}))
		w.set(map[string]time.Duration{"a": 20 * ms, "b": 20 * ms, "c": 20 * ms})
		w.run(3, time.Second)
		// c's attempts time out after 5 ms: it must look neither fast nor ill.
		for _, b := range []string{"a", "b", "c"} {
			for range 20 {
				m := coretest.Message("x")
				m.Queue = &core.Queue{Broker: b}
				ctx, cancel := context.WithTimeout(t.Context(), 5*ms)
				if _, err := w.p.Send(ctx, m); (err == nil) || b != "c" {
					cancel()
					if b != "c" {
						break
					}
					t.Fatal("no time-out")
				}
				cancel()
			}
		}
		counts := w.run(9, 4*time.Second)
		for _, b := range []string{"a", "b", "c"} {
			w.wantShare(counts, b, 0.25, 0.42)
		}
	})
}

func TestPowerOfTwoConfig(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  selector.PowerOfTwoConfig
		want []string // in the error
	}{
		"zero":      {},
		"small":     {cfg: selector.PowerOfTwoConfig{Decay: 10 * ms, Penalty: ms}},
		"large":     {cfg: selector.PowerOfTwoConfig{Decay: time.Hour, Penalty: time.Hour}},
		"negative":  {selector.PowerOfTwoConfig{Decay: -1, Penalty: -1}, []string{"Decay is negative", "Penalty is negative"}},
		"no unit":   {selector.PowerOfTwoConfig{Decay: 3000, Penalty: 1000}, []string{"Decay is 3µs, at least 10ms is needed", "Penalty is 1µs, at least 1ms is needed"}},
		"too large": {selector.PowerOfTwoConfig{Decay: 2 * time.Hour, Penalty: 2 * time.Hour}, []string{"Decay is 2h, at most 1h", "Penalty is 2h, at most 1h"}},
	} {
		f, err := selector.NewPowerOfTwo(tt.cfg)
		if (err == nil) != (tt.want == nil) || (f == nil) != (err != nil) {
			t.Errorf("%s: got %v, %v", name, f, err)
		}
		for _, w := range append(tt.want, "selector power of two: ") {
			if err != nil && !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q is not in %v", name, w, err)
			}
		}
	}
	var cfg selector.PowerOfTwoConfig
	if err := json.Unmarshal([]byte(`{"decay": "5s", "penalty": "200ms"}`), &cfg); err != nil || cfg.Decay != 5*time.Second || cfg.Penalty != 200*ms {
		t.Errorf("%+v, %v", cfg, err)
	}
	if text, err := json.Marshal(selector.PowerOfTwoConfig{Decay: time.Second}); err != nil || string(text) != `{"decay":"1s"}` {
		t.Errorf("%s, %v", text, err)
	}
}
