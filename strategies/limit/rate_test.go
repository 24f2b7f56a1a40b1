package limit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/limit"
)

// record notes when messages were sent.
type record struct {
	coretest.Transport
	start time.Time
	mu    sync.Mutex
	sent  []string // "body@ms"
}

func newRecord() *record {
	l := &record{start: time.Now()}
	l.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.sent = append(l.sent, fmt.Sprintf("%s@%d", at.Call().Message().Body, time.Since(l.start).Milliseconds()))
		return l.Ack(at), nil
	}
	return l
}

func (l *record) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.sent, " ")
}

func batch(n int, body string) []*core.Message {
	return slices.Repeat([]*core.Message{coretest.Message(body)}, n)
}

// Calls beyond the rate wait for their turn, in order, in every mode; a batch costs its
// messages, and one that is larger than the burst goes when the bucket is full and leaves a
// debt. Topics do not touch each other.
func TestRateWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newRecord()
		p := coretest.Start(t, patient(l, newRate(t, limit.RateConfig{PerSecond: 10, Burst: 3}).Step()))
		var all sync.WaitGroup
		check := func(err error) {
			if err != nil {
				t.Error(err)
			}
		}
		for _, send := range []func(){
			func() { _, err := p.Send(bg, coretest.Message("a")); check(err) },
			func() { check(p.SendOneway(bg, coretest.Message("b"))) },
			func() { check(async(p, coretest.Message("c"))) },
			func() { _, err := p.Send(bg, coretest.Message("d")); check(err) },
			func() { _, err := p.SendBatch(bg, batch(2, "e")); check(err) },
			func() { _, err := p.SendBatch(bg, batch(7, "f")); check(err) },
			func() { _, err := p.Send(bg, coretest.Message("g")); check(err) },
			func() { m := coretest.Message("h"); m.Topic = "U"; _, err := p.Send(bg, m); check(err) },
		} {
			all.Go(send)
			synctest.Wait()
		}
		all.Wait()
		// 3 tokens at once; d has one at 100 ms, e two at 300, f three at 600, and owes 4 then.
		if got, want := l.all(), "a@0 b@0 c@0 h@0 d@100 e@300 f@600 g@1100"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func TestRateRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, r := newRecord(), newRate(t, limit.RateConfig{PerSecond: 10, Burst: 2, Excess: limit.Refuse})
		p := coretest.Start(t, patient(l, r.Step()))
		for _, tt := range []struct {
			n     int
			after time.Duration // -1 for none
		}{{1, -1}, {2, 100 * ms}, {5, 100 * ms}, {1, -1}, {1, 100 * ms}} {
			_, err := p.SendBatch(bg, batch(tt.n, "x"))
			var e *limit.RateError
			if (err == nil) != (tt.after < 0) || err != nil && !errors.As(err, &e) {
				t.Fatalf("%d messages: %v", tt.n, err)
			}
			if err == nil {
				continue
			}
			want := limit.RateError{Topic: "T", Messages: tt.n, PerSecond: 10, Burst: 2, After: tt.after, Err: core.ErrTooManyInFlight}
			if *e != want || core.ClassOf(err) != core.ClassInFlight || core.CertaintyOf(err) != core.NotSent {
				t.Errorf("got %+v, %v", e, err)
			}
		}
		time.Sleep(50 * ms)
		_, err := p.Send(bg, coretest.Message("x"))
		if want := `limit: topic "T" may have 10 messages a second; room for 1 more comes in 50ms: rocketmq: too many sends in flight`; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v", err)
		}
		time.Sleep(50 * ms)
		if _, err := p.Send(bg, coretest.Message("x")); err != nil {
			t.Error(err)
		}
		// A batch that is larger than the burst goes with a full bucket.
		time.Sleep(200 * ms)
		if _, err := p.SendBatch(bg, batch(5, "x")); err != nil {
			t.Error(err)
		}
		want := []limit.RateStatus{{Topic: "T", Tokens: -3}}
		if got := r.States(); !slices.Equal(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// A call that would wait for longer than it has fails at once; one that has just enough waits.
func TestRateFailsAtOnceWithoutTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, r := newRecord(), newRate(t, limit.RateConfig{PerSecond: 10, Burst: 1})
		p := coretest.Start(t, patient(l, r.Step()))
		var all sends
		all.start(bg, p, coretest.Message("a"))
		synctest.Wait()
		all.start(bg, p, coretest.Message("b"))
		synctest.Wait()
		start := time.Now()
		_, err := p.Send(bg, coretest.Message("c"), core.SendTimeout(200*ms)) // its turn is its end
		var e *limit.RateError
		if !errors.As(err, &e) || e.After != 200*ms || core.ClassOf(err) != core.ClassInFlight || time.Since(start) != 0 {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		if _, err := p.Send(bg, coretest.Message("d"), core.SendTimeout(201*ms)); err != nil {
			t.Error(err)
		}
		all.wg.Wait()
		if got, want := l.all(), "a@0 b@100 d@200"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

// A call that leaves the line gives its turn to those behind it.
func TestRateWaitEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		cause error
		class core.Class
	}{
		"cancel":   {context.Canceled, core.ClassCanceled},
		"deadline": {context.DeadlineExceeded, core.ClassInFlight},
		"shutdown": {core.ErrAborted, core.ClassClosed},
	} {
		for _, who := range []int{1, 2} {
			t.Run(fmt.Sprint(name, who), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l, r := newRecord(), newRate(t, limit.RateConfig{PerSecond: 10, Burst: 1})
					p, err := core.NewProducer(patient(l, r.Step()))
					if err != nil {
						t.Fatal(err)
					}
					if err := p.Start(bg); err != nil {
						t.Fatal(err)
					}
					ctx, cancel := context.WithCancelCause(bg)
					var leaves, others sends
					for i := range 4 {
						if i == who {
							// The call's own deadline is far: the context's cause says what it is.
							leaves.start(ctx, p, coretest.Message("leaves"))
						} else {
							others.start(bg, p, coretest.Message(fmt.Sprint(i)))
						}
						synctest.Wait()
					}
					want := "0@0 "
					switch name {
					case "cancel":
						cancel(nil)
					case "deadline":
						cancel(context.DeadlineExceeded)
					case "shutdown":
						over, stop := context.WithTimeout(bg, 50*ms)
						defer stop()
						_ = p.Shutdown(over)
						want = "0@0"
					}
					leaves.wg.Wait()
					_, errs := leaves.ended()
					var e *limit.RateError
					if len(errs) != 1 || !errors.Is(errs[0], tt.cause) || !errors.As(errs[0], &e) || core.CertaintyOf(errs[0]) != core.NotSent {
						t.Fatalf("got %v", errs)
					}
					if got := core.ClassOf(e); got != tt.class {
						t.Errorf("class %v, want %v", got, tt.class)
					}
					others.wg.Wait()
					if name != "shutdown" {
						want += map[int]string{1: "2@100 3@200", 2: "1@100 3@200"}[who]
					}
					if got := l.all(); got != want {
						t.Errorf("got %q, want %q", got, want)
					}
					if got := r.States(); len(got) != 1 || got[0].Waiting != 0 {
						t.Errorf("%+v", got)
					}
					cancel(nil)
					_ = p.Shutdown(bg)
				})
			})
		}
	}
}

// A large batch is not overtaken by calls for which there would be a token, and when it leaves
// they need not wait for what it would have taken.
func TestLargeBatchInFront(t *testing.T) {
	for _, stays := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			l := newRecord()
			p := coretest.Start(t, patient(l, newRate(t, limit.RateConfig{PerSecond: 10, Burst: 3}).Step()))
			if _, err := p.SendBatch(bg, batch(3, "a")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(200 * ms) // two tokens
			ctx, cancel := context.WithCancel(bg)
			var all sync.WaitGroup
			all.Go(func() { _, _ = p.SendBatch(ctx, batch(3, "b")) })
			synctest.Wait()
			all.Go(func() { _, _ = p.SendBatch(bg, batch(2, "c")) })
			synctest.Wait()
			want := "a@0 b@300 c@500"
			if !stays {
				cancel()
				want = "a@0 c@200"
			}
			all.Wait()
			if got := l.all(); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			cancel()
		})
	}
}

// Retries cost nothing more: what is limited are messages.
func TestRateCountsCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &coretest.Transport{Do: func(context.Context, *core.Attempt) (*core.Result, error) { return nil, core.ErrConnect }}
		r := newRate(t, limit.RateConfig{PerSecond: 1, Burst: 5})
		cfg := patient(tr, r.Step())
		cfg.Retry = coretest.Retry(4)
		p := coretest.Start(t, cfg)
		_, _ = p.Send(bg, coretest.Message("x"))
		if got := r.States(); len(tr.Attempts()) != 4 || got[0].Tokens != 4 {
			t.Errorf("%d attempts, %+v", len(tr.Attempts()), got)
		}
	})
}

// Topics that are not sent to are forgotten, and memory has an end.
func TestRateForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRate(t, limit.RateConfig{PerSecond: 10, Burst: 2})
		p := coretest.Start(t, patient(&coretest.Transport{Forget: true}, r.Step()))
		send := func(topic string) {
			m := coretest.Message("x")
			m.Topic = topic
			if _, err := p.Send(bg, m); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 1000 {
			send(fmt.Sprint("old", i))
		}
		if got := len(r.States()); got != 1000 {
			t.Errorf("%d topics are known, want 1000", got)
		}
		time.Sleep(time.Second)
		send("new")
		if got := r.States(); len(got) != 1 || got[0].Topic != "new" || got[0].Tokens != 1 {
			t.Errorf("%d topics are known: %+v", len(got), got[0])
		}
		// One whose bucket is not full stays, and so does one with calls in line.
		var all sends
		m := coretest.Message("x")
		m.Topic = "waits"
		for range 40 {
			all.start(bg, p, m)
		}
		synctest.Wait()
		for i := range 100 {
			send(fmt.Sprint("other", i))
		}
		time.Sleep(time.Second + ms)
		send("last")
		var left []string
		for _, s := range r.States() {
			left = append(left, s.Topic)
		}
		if want := []string{"last", "waits"}; !slices.Equal(left, want) {
			t.Errorf("left are %v, want %v", left, want)
		}
		all.wg.Wait()
	})
}

// Whatever is sent, no more passes in any time than the burst, what comes in meanwhile, and
// what the last batch had too much. No call waits for longer than that takes.
func TestRateHolds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		perSecond := rapid.Float64Range(0.5, 2000).Draw(rt, "rate")
		burst := rapid.IntRange(1, 20).Draw(rt, "burst")
		type job struct {
			wait, leave time.Duration
			n           int
		}
		jobs := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) job {
			return job{
				time.Duration(rapid.IntRange(0, 300).Draw(rt, "pause")) * ms,
				time.Duration(rapid.SampledFrom([]int{0, 0, 1, 50}).Draw(rt, "leaves after")) * ms,
				rapid.IntRange(1, 40).Draw(rt, "messages"),
			}
		}), 1, 30).Draw(rt, "calls")
		synctest.Test(t, func(t *testing.T) {
			type passed struct {
				at time.Duration
				n  int
			}
			var mu sync.Mutex
			var list []passed
			start := time.Now()
			tr := &coretest.Transport{Forget: true}
			tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
				mu.Lock()
				defer mu.Unlock()
				list = append(list, passed{time.Since(start), at.Call().Len()})
				return tr.Ack(at), nil
			}
			cfg := patient(tr, newRate(t, limit.RateConfig{PerSecond: perSecond, Burst: burst}).Step())
			cfg.Timeout = 20 * time.Hour
			p := coretest.Start(t, cfg)
			var all sync.WaitGroup
			total := 0
			for _, j := range jobs {
				time.Sleep(j.wait)
				ctx, cancel := context.WithCancel(bg)
				if j.leave > 0 {
					time.AfterFunc(j.leave, cancel)
				} else {
					total += j.n
				}
				all.Go(func() {
					defer cancel()
					_, err := p.SendBatch(ctx, batch(j.n, "x"))
					if err != nil && j.leave == 0 {
						rt.Errorf("%v", err)
					}
				})
			}
			last := time.Since(start)
			all.Wait()
			sent := 0
			for _, e := range list {
				sent += e.n
			}
			if sent < total {
				rt.Errorf("%d messages were sent, %d stayed", sent, total)
			}
			for i := range list {
				n := 0
				for j := i; j < len(list); j++ {
					// The batch at j needs no more than a full bucket.
					most := float64(burst) + perSecond*(list[j].at-list[i].at).Seconds() + 0.001
					if need := n + min(list[j].n, burst); float64(need) > most {
						rt.Errorf("from %v to %v: %d messages, at most %v", list[i].at, list[j].at, need, most)
					}
					n += list[j].n
				}
			}
			// The bucket was empty, or all had passed, from the last call on.
			if most := last.Seconds() + float64(sent+burst)/perSecond + 0.001; time.Since(start).Seconds() > most {
				rt.Errorf("it took %v, at most %v s were needed", time.Since(start), most)
			}
		})
	})
}
