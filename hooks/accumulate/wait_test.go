package accumulate_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/accumulate"
)

const ms = time.Millisecond

// Callers that send one message after the other end up in one request a round.
func TestCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers, rounds = 8, 10
		l := newLine(ms)
		p := coretest.Start(t, config(t, l, accumulate.Config{}))
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				for n := range rounds {
					if _, err := p.Send(t.Context(), coretest.Message(fmt.Sprint(i, "/", n))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		var sizes []int
		for _, r := range l.seen() {
			sizes = append(sizes, len(r.bodies))
		}
		// The first goes alone and has its last message before the others, who then
		// wait for it the linger time, once.
		if got, want := fmt.Sprint(sizes), "[1 8 8 8 8 8 8 8 8 8 7]"; got != want {
			t.Errorf("messages a request: %v, want %v", got, want)
		}
		if took, want := time.Since(l.begun), 11*ms+accumulate.DefaultLinger; took != want {
			t.Errorf("took %v, want %v", took, want)
		}
	})
}

// A lone caller never waits, and its sends are as without the step.
func TestLoneCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		ctx := context.WithValue(t.Context(), key{}, "mine")
		l := newLine(ms)
		p := coretest.Start(t, config(t, l, accumulate.Config{Linger: 30 * time.Second}, core.AttemptStep("look", core.AttemptWire, core.AttemptInterceptorFunc(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
			if ctx.Value(key{}) != "mine" {
				t.Error("the caller's context is gone")
			}
			return next(ctx, at)
		}))))
		for range 5 {
			if _, err := p.Send(ctx, coretest.Message("x")); err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(l.begun); took != 5*ms {
			t.Errorf("5 sends of 1 ms took %v", took)
		}
		for _, r := range l.seen() {
			if r.batch || r.mode != core.Sync {
				t.Errorf("request %v: batch %v, mode %v", r, r.batch, r.mode)
			}
		}
	})
}

// While another message is on its way a message waits for the linger time, or half
// of its own time if that is less; and it goes in plain form if nobody came.
func TestLinger(t *testing.T) {
	const linger = 100 * ms
	short := func(t *testing.T) context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 30*ms)
		t.Cleanup(cancel)
		return ctx
	}
	tests := []struct {
		name  string
		first func(*testing.T) (context.Context, []core.SendOption)
		next  func(*testing.T) (context.Context, []core.SendOption) // 10 ms after
		want  time.Duration                                         // of the request
		both  bool
	}{
		{"alone", func(t *testing.T) (context.Context, []core.SendOption) { return t.Context(), nil }, nil, linger, false},
		{"alone, little time", func(t *testing.T) (context.Context, []core.SendOption) {
			return t.Context(), []core.SendOption{core.SendTimeout(60 * ms)}
		}, nil, 30 * ms, false},
		{"alone, context with little time", func(t *testing.T) (context.Context, []core.SendOption) { return short(t), nil }, nil, 15 * ms, false},
		{
			"second with more time", func(t *testing.T) (context.Context, []core.SendOption) { return t.Context(), nil },
			func(t *testing.T) (context.Context, []core.SendOption) { return t.Context(), nil }, linger, true,
		},
		{
			"second with little time", func(t *testing.T) (context.Context, []core.SendOption) { return t.Context(), nil },
			func(t *testing.T) (context.Context, []core.SendOption) { return short(t), nil }, 25 * ms, true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLine(0)
				release := make(chan struct{})
				l.fate = func(n int, _ request) error {
					if n == 1 {
						<-release
					}
					return nil
				}
				p := coretest.Start(t, config(t, l, accumulate.Config{Linger: linger}))
				flying := send(t.Context(), p, coretest.Message("flying"))
				synctest.Wait()
				ctx, opts := tt.first(t)
				all := []*sending{flying, send(ctx, p, coretest.Message("first"), opts...)}
				synctest.Wait()
				if tt.next != nil {
					time.Sleep(10 * ms)
					ctx, opts := tt.next(t)
					all = append(all, send(ctx, p, coretest.Message("next"), opts...))
				}
				time.Sleep(time.Second)
				close(release)
				for _, s := range all {
					if _, err := s.wait(); err != nil {
						t.Error(err)
					}
				}
				rs := l.seen()
				if len(rs) != 2 || rs[1].at != tt.want || rs[1].batch != tt.both {
					t.Errorf("requests %v, want the second after %v, batch %v", rs, tt.want, tt.both)
				}
			})
		})
	}
}

// A caller who stays away costs the others one linger time, then they know.
func TestFewerCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(ms)
		p := coretest.Start(t, config(t, l, accumulate.Config{Linger: 50 * ms}))
		for _, s := range each(p, "a", "b", "c", "d") {
			if _, err := s.wait(); err != nil {
				t.Error(err)
			}
		}
		var ends []time.Duration
		begun := time.Now()
		for range 4 {
			if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
				t.Error(err)
			}
			ends = append(ends, time.Since(begun))
		}
		if got, want := fmt.Sprint(ends), fmt.Sprint([]time.Duration{51 * ms, 52 * ms, 53 * ms, 54 * ms}); got != want {
			t.Errorf("ends %v, want %v", got, want)
		}
	})
}

// waiting starts a message that stays on its way until the returned function is
// called, so that what follows waits.
func waiting(t *testing.T, l *line, p *core.Producer) (land func()) {
	t.Helper()
	release := make(chan struct{})
	fate := l.fate
	l.fate = func(n int, r request) error {
		if r.bodies[0] == "flying" {
			<-release
			return nil
		}
		if fate != nil {
			return fate(n, r)
		}
		return nil
	}
	s := send(context.Background(), p, coretest.Message("flying"))
	synctest.Wait()
	return func() {
		close(release)
		if _, err := s.wait(); err != nil {
			t.Error(err)
		}
	}
}

// A caller that gives up while it waits takes its message with it; the others go
// on. It may change the message at once.
func TestCancelWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(ms)
		p := coretest.Start(t, config(t, l, accumulate.Config{Linger: 50 * ms}))
		land := waiting(t, l, p)
		ctx, cancel := context.WithCancelCause(t.Context())
		all := each(p, "first")
		synctest.Wait()
		m := coretest.Message("gone")
		gone := send(ctx, p, m)
		synctest.Wait()
		all = append(all, each(p, "last")...)
		synctest.Wait()
		why := errors.New("the user closed the window")
		cancel(why)
		_, err := gone.wait()
		m.Body[0] = 'X'
		var se *core.SendError
		if !errors.As(err, &se) || se.Certainty != core.NotSent || se.Class != core.ClassCanceled || len(se.Attempts) != 0 ||
			!errors.Is(err, context.Canceled) || !errors.Is(err, why) {
			t.Errorf("cancelled while waiting: %v", err)
		}
		for _, s := range all {
			if _, err := s.wait(); err != nil {
				t.Error(err)
			}
		}
		land()
		rs := l.of("first", "last", "gone", "Xone")
		if len(rs) != 1 || fmt.Sprint(rs[0].bodies) != "[first last]" || rs[0].at != 50*ms {
			t.Errorf("requests %v, want one of first and last", rs)
		}
	})
}

// A caller whose context has ended before sends nothing.
func TestCancelledBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(ms)
		p := coretest.Start(t, config(t, l, accumulate.Config{MaxCount: 2}))
		land := waiting(t, l, p)
		all := each(p, "a")
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 20 {
			if _, err := p.Send(ctx, coretest.Message("x")); core.CertaintyOf(err) != core.NotSent || core.ClassOf(err) != core.ClassCanceled {
				t.Errorf("%v", err)
			}
		}
		if _, err := all[0].wait(); err != nil || len(l.of("x")) != 0 {
			t.Errorf("%v, requests %v", err, l.seen())
		}
		land()
	})
}

// When nobody is left a batch is none, and the next one has its full time.
func TestCancelTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(ms)
		p := coretest.Start(t, config(t, l, accumulate.Config{Linger: 50 * ms}))
		land := waiting(t, l, p)
		ctx, cancel := context.WithCancel(t.Context())
		gone := send(ctx, p, coretest.Message("gone"))
		time.Sleep(40 * ms)
		cancel()
		if _, err := gone.wait(); core.ClassOf(err) != core.ClassCanceled || core.CertaintyOf(err) != core.NotSent {
			t.Error(err)
		}
		if _, err := each(p, "after")[0].wait(); err != nil {
			t.Error(err)
		}
		if rs := l.of("after", "gone"); len(rs) != 1 || rs[0].batch || rs[0].at != 90*ms {
			t.Errorf("requests %v, want one at 90 ms", rs)
		}
		land()
	})
}

// A caller that gives up on a batch on its way cannot know what became of its
// message. It may change the message at once: the batch has a copy.
func TestCancelOnTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(20 * ms)
		var mu sync.Mutex
		var seen []string
		p := coretest.Start(t, config(t, l, accumulate.Config{Linger: 10 * ms}, core.AttemptStep("late", core.AttemptWire, core.AttemptInterceptorFunc(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
			res, err := next(ctx, at)
			mu.Lock()
			defer mu.Unlock()
			for o := range at.Call().All() {
				m := o.Message()
				seen = append(seen, fmt.Sprintf("%s%v%v%v", m.Body, m.Keys, m.Properties, *m.Queue))
			}
			return res, err
		}))))
		message := func(body string) *core.Message {
			return &core.Message{
				Topic: "T", Body: []byte(body), Keys: []string{"k"},
				Properties: map[string]string{"p": "1"}, Queue: &core.Queue{Broker: "broker-a"},
			}
		}
		send(t.Context(), p, message("flying"))
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		m := message("cancelled")
		cancelled, late, stays := send(ctx, p, m), send(t.Context(), p, message("late"), core.SendTimeout(25*ms)), send(t.Context(), p, message("stays"))
		time.Sleep(15 * ms) // they left after 10
		cancel()
		_, err := cancelled.wait()
		m.Body[0], m.Keys[0], m.Properties["p"], m.Queue.ID = 'X', "X", "X", 9
		var se *core.SendError
		if !errors.As(err, &se) || se.Certainty != core.MaybeStored || se.Class != core.ClassCanceled || !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		if _, err = late.wait(); !errors.As(err, &se) || se.Certainty != core.MaybeStored || se.Class != core.ClassTimeout || !errors.Is(err, core.ErrTimeout) {
			t.Errorf("late: %v", err)
		}
		if late.at != 25*ms {
			t.Errorf("the deadline is 25 ms, it ended after %v", late.at)
		}
		if _, err := stays.wait(); err != nil {
			t.Error(err)
		}
		if stays.at != 30*ms {
			t.Errorf("the last one ended after %v", stays.at)
		}
		want := "[cancelled[k]map[p:1]broker-a/0 flying[k]map[p:1]broker-a/0 late[k]map[p:1]broker-a/0 stays[k]map[p:1]broker-a/0]"
		slices.Sort(seen)
		if got := fmt.Sprint(seen); got != want {
			t.Errorf("hooks saw %v, want %v", got, want)
		}
	})
}

// Each call keeps its own deadline: the batch goes on for those with more time.
func TestDeadlines(t *testing.T) {
	for _, shortFirst := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			l := newLine(50 * ms)
			p := coretest.Start(t, config(t, l, accumulate.Config{MaxCount: 2}))
			send(t.Context(), p, coretest.Message("flying"))
			synctest.Wait()
			short := func() *sending {
				s := send(t.Context(), p, coretest.Message("short"), core.SendTimeout(30*ms))
				synctest.Wait()
				return s
			}
			var s *sending
			if shortFirst {
				s = short()
			}
			long := send(t.Context(), p, coretest.Message("long"), core.SendTimeout(60*ms))
			synctest.Wait()
			if !shortFirst {
				s = short()
			}
			if _, err := s.wait(); !errors.Is(err, core.ErrTimeout) || s.at != 30*ms {
				t.Errorf("after %v: %v", s.at, err)
			}
			if _, err := long.wait(); err != nil || long.at != 50*ms {
				t.Errorf("after %v: %v", long.at, err)
			}
			if rs := l.seen(); len(rs) != 2 {
				t.Errorf("requests %v", rs)
			}
		})
	}
}

// A batch that everybody left is given up, not carried on until its deadline.
func TestEverybodyLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(time.Minute)
		p := coretest.Start(t, config(t, l, accumulate.Config{MaxCount: 2}))
		ctx, cancel := context.WithCancel(t.Context())
		var all []*sending
		for i := range 3 {
			all = append(all, send(ctx, p, coretest.Message(fmt.Sprint(i))))
			synctest.Wait()
		}
		cancel()
		for _, s := range all {
			if _, err := s.wait(); core.ClassOf(err) != core.ClassCanceled || core.CertaintyOf(err) != core.MaybeStored {
				t.Error(err)
			}
		}
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(l.begun); took != 0 || len(l.seen()) != 2 {
			t.Errorf("%d requests; shut down after %v", len(l.seen()), took)
		}
	})
}

// Shutdown waits for a batch that everybody left, but not for ever.
func TestShutdownJoinsBatches(t *testing.T) {
	for _, takes := range []time.Duration{500 * ms, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			l := newLine(time.Minute)
			var ended atomic.Bool
			slow := core.AttemptInterceptorFunc(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
				res, err := next(ctx, at)
				if at.Call().Batch() {
					time.Sleep(takes)
					ended.Store(true)
				}
				return res, err
			})
			cfg := config(t, l, accumulate.Config{MaxCount: 2}, core.AttemptStep("slow", core.AttemptObserve, slow))
			p, err := core.NewProducer(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			var all []*sending
			for i := range 3 {
				all = append(all, send(ctx, p, coretest.Message(fmt.Sprint(i))))
				synctest.Wait()
			}
			cancel()
			for _, s := range all {
				s.wait()
			}
			err = p.Shutdown(t.Context())
			if takes > time.Second {
				if took := time.Since(l.begun); err == nil || !strings.Contains(err.Error(), "left behind 1 batches: a step blocks") || took != time.Second {
					t.Errorf("after %v: %v", took, err)
				}
			} else if err != nil || !ended.Load() || time.Since(l.begun) != takes {
				t.Errorf("after %v: ended %v, %v", time.Since(l.begun), ended.Load(), err)
			}
			time.Sleep(takes) // the goroutine ends with its step
		})
	}
}

// A call whose time a step outside has used up does not go out with others, who have
// time left.
func TestLateCallJoinsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(300 * ms)
		slow := core.InterceptorFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			if string(c.Message().Body) == "late" {
				time.Sleep(150 * ms)
			}
			return next(ctx, c)
		})
		p := coretest.Start(t, config(t, l, accumulate.Config{Linger: 20 * ms}, core.CallStep("slow", core.StageGuard, slow)))
		var wg sync.WaitGroup
		send := func(after time.Duration, body string, opts ...core.SendOption) (err error) {
			time.Sleep(after)
			_, err = p.Send(t.Context(), coretest.Message(body), opts...)
			return err
		}
		for body, after := range map[string]time.Duration{"flying": 0, "second": 50 * ms, "waiting": 145 * ms} {
			wg.Go(func() {
				if err := send(after, body); err != nil {
					t.Error(err)
				}
			})
		}
		err := send(0, "late", core.SendTimeout(100*ms))
		if !errors.Is(err, core.ErrTimeout) || core.CertaintyOf(err) != core.NotSent {
			t.Errorf("got %v", err)
		}
		wg.Wait()
		for _, r := range l.requests {
			if slices.Contains(r.bodies, "late") {
				t.Errorf("it went out: %v", r)
			}
		}
	})
}
