package faulttest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"runtime"
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
	"github.com/liftoff-mq/liftoff/hooks/forbid"
	"github.com/liftoff-mq/liftoff/hooks/sendhook"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/transport/embedded"
)

// bad is user code that misbehaves while on is set.
type bad struct{ on atomic.Bool }

func (b *bad) act() {
	if b.on.Load() {
		panic("user code is broken")
	}
}

// The user code of every extension point.
type (
	badCall     struct{ *bad }
	badAttempt  struct{ *bad }
	badSelector struct{ *bad }
	badRetry    struct{ *bad }
	badBudget   struct{ *bad }
	badHealth   struct{ *bad }
	badCodec    struct{ *bad }
	badListener struct{ *bad }
)

func (b badCall) Intercept(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
	b.act()
	return next(ctx, c)
}

func (b badAttempt) InterceptAttempt(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
	b.act()
	return next(ctx, at)
}

func (b badSelector) ForTopic(string) core.QueueSelector { return b }

func (b badSelector) Select(context.Context, *core.Selection) (int, error) {
	b.act()
	return 0, nil
}

func (b badRetry) Next(*core.Failure) core.Decision {
	b.act()
	return core.Decision{}
}

func (b badBudget) Withdraw(*core.Failure) bool { b.act(); return true }
func (b badBudget) Deposit()                    { b.act() }

func (b badHealth) Health(core.Broker) core.Health { b.act(); return core.HealthGood }

func (badCodec) Name() string { return "zlib" }

func (b badCodec) Append(dst, src []byte) ([]byte, error) {
	b.act()
	return append(dst, src...), nil
}

func (b badListener) CallDone(context.Context, *core.CallReport)        { b.act() }
func (b badListener) AttemptDone(context.Context, *core.AttemptReport)  { b.act() }
func (b badListener) RetryScheduled(context.Context, *core.RetryReport) { b.act() }
func (b badListener) RouteChanged(*core.RouteReport)                    { b.act() }
func (b badListener) StateChanged(*core.StateReport)                    { b.act() }

// userStep makes the step of badCall and badAttempt.
func userStep(use any) core.Step {
	if i, ok := use.(core.Interceptor); ok {
		return core.CallStep("user.step", core.StageGuard, i)
	}
	return core.AttemptStep("user.step", core.AttemptGuard, use.(core.AttemptInterceptor))
}

// Row 33: user code panics, at every extension point. The send fails typed and
// names the culprit, the caller lives, the breaker does not blame the broker, and
// once the code behaves everything works again.
func TestFault33UserCodePanics(t *testing.T) {
	type setup struct {
		name  string
		opt   func(b *bad) liftoff.Option
		says  string // what names the culprit; "" where the send succeeds all the same
		fault bool   // it takes a failing broker to get there
	}
	for _, s := range []setup{
		{"interceptor", func(b *bad) liftoff.Option { return liftoff.WithSteps(userStep(badCall{b})) }, "user.step", false},
		{"attempt interceptor", func(b *bad) liftoff.Option { return liftoff.WithSteps(userStep(badAttempt{b})) }, "user.step", false},
		{"selector", func(b *bad) liftoff.Option { return liftoff.WithSelector(badSelector{b}) }, "selector", false},
		{"retry policy", func(b *bad) liftoff.Option { return liftoff.WithRetry(badRetry{b}) }, "retry policy", true},
		{"retry budget, deposit", func(b *bad) liftoff.Option { return liftoff.WithBudget(badBudget{b}) }, "", false},
		{"retry budget, withdraw", func(b *bad) liftoff.Option { return liftoff.WithBudget(badBudget{b}) }, "retry budget", true},
		{"health view", func(b *bad) liftoff.Option { return liftoff.WithHealth(badHealth{b}) }, "health view", false},
		{"compressor", func(b *bad) liftoff.Option { return liftoff.WithCompressor(badCodec{b}) }, "compress.zlib", false},
		{"listener", func(b *bad) liftoff.Option {
			return liftoff.WithSteps(core.ListenerStep("user.listener", badListener{b}))
		}, "", false},
		{"forbid hook", func(b *bad) liftoff.Option {
			h, err := forbid.New(forbid.Func("mine", func(context.Context, *forbid.Context) error { b.act(); return nil }))
			if err != nil {
				panic(err)
			}
			return liftoff.WithSteps(h.Step())
		}, "forbid.mine", false},
	} {
		sub(t, s.name, func(t *testing.T) {
			w := newWorld(t, 2)
			b := &bad{}
			p := w.start(t, s.opt(b))
			big := func() *core.Message { return &core.Message{Topic: "T", Body: slices.Repeat([]byte("x"), 5000)} }
			send := func(mode core.Mode) error {
				after, err := sendIn(mode, p, bg, big())
				wantAtMost(t, "the send", after, 100*time.Millisecond)
				return err
			}
			if err := send(core.Sync); err != nil {
				t.Fatal(err)
			}
			b.on.Store(true)
			if s.fault {
				w.on("", embedded.Reply(rocketmq.CodeSystemBusy, "busy"))
			}
			before := w.StoredCount("T")
			for _, mode := range []core.Mode{core.Sync, core.Async} {
				err := send(mode)
				if s.says == "" {
					if err != nil {
						t.Errorf("%v: %v", mode, err)
					}
					continue
				}
				certainty := core.NotSent
				if s.fault {
					certainty = core.NotStored
				}
				wantFailure(t, err, core.ClassPlugin, certainty)
				var pe *core.PanicError
				if !errors.As(err, &pe) || !strings.Contains(pe.Step, s.says) || len(pe.Stack) == 0 {
					t.Errorf("%v: the culprit %q is not in %v", mode, s.says, err)
				}
			}
			if s.says != "" {
				want(t, "stored", w.StoredCount("T"), before)
			}
			want(t, "breaker a", p.breaker("broker-a"), breaker.Closed)
			want(t, "breaker b", p.breaker("broker-b"), breaker.Closed)
			b.on.Store(false)
			if !s.fault {
				if err := send(core.Sync); err != nil {
					t.Error(err)
				}
			}
		})
	}
	sub(t, "done", func(t *testing.T) {
		w := newWorld(t, 1)
		p := w.start(t)
		for range 10 {
			p.SendAsync(bg, msg("x"), func(core.Result, error) { panic("user code is broken") })
		}
		if err := p.Flush(bg); err != nil {
			t.Fatal(err)
		}
		want(t, "stored", w.StoredCount("T"), 10)
		p.ok(t, "afterwards")
	})
	sub(t, "goexit", func(t *testing.T) {
		w := newWorld(t, 1)
		var exit atomic.Bool
		p := w.start(t, liftoff.WithSteps(core.AttemptStep("user.exit", core.AttemptGuard, core.AttemptInterceptorFunc(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
			if exit.Load() {
				runtime.Goexit()
			}
			return next(ctx, at)
		}))))
		p.ok(t, "x")
		exit.Store(true)
		var load async
		for range 10 {
			load.send(bg, p.Producer, msg("x"))
		}
		for _, o := range load.wait() {
			wantFailure(t, o.err, core.ClassPlugin, core.MaybeStored)
		}
		exit.Store(false)
		p.ok(t, "afterwards")
		want(t, "breaker", p.breaker("broker-a"), breaker.Closed)
	})
}

// Row 33: user code blocks. Only its own send waits; others go on, and Shutdown
// ends all the same and says what blocks.
func TestFault33UserCodeBlocks(t *testing.T) {
	for _, name := range []string{"interceptor", "attempt interceptor", "done"} {
		sub(t, name, func(t *testing.T) {
			w := newWorld(t, 2)
			release := make(chan struct{})
			block := func(m *core.Message) {
				if string(m.Body) == "block" {
					<-release
				}
			}
			p := w.make(t, liftoff.Config{}, liftoff.WithSteps(
				core.CallStep("user.call", core.StageGuard, core.InterceptorFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
					if name == "interceptor" {
						block(c.Message())
					}
					return next(ctx, c)
				})),
				core.AttemptStep("user.attempt", core.AttemptGuard, core.AttemptInterceptorFunc(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
					if name == "attempt interceptor" {
						block(at.Call().Message())
					}
					return next(ctx, at)
				}))))
			if err := p.Start(bg); err != nil {
				t.Fatal(err)
			}
			var done sync.WaitGroup
			done.Add(1)
			p.SendAsync(bg, msg("block"), func(core.Result, error) {
				if name == "done" {
					<-release
				}
				done.Done()
			})
			synctest.Wait()
			for i := range 100 {
				wantTook(t, "another send", took(func() { p.ok(t, fmt.Sprint(i)) }), 0)
			}
			ctx, cancel := context.WithTimeout(bg, 5*time.Second)
			defer cancel()
			var err error
			d := took(func() { err = p.Shutdown(ctx) })
			wantAtMost(t, "shutdown", d, 5*time.Second+50*time.Millisecond)
			wantText(t, err, "a step, a done function or a local transaction blocks")
			close(release)
			done.Wait()
		})
	}
}

// Row 33: hooks change everything that they may, in the outgoing message. The
// user's own stays as it was, and each attempt and each send starts from it.
func TestFault33UserCodeChangesTheMessage(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newWorld(t, 2)
		if err := w.CreateTopic("other", 4); err != nil {
			t.Fatal(err)
		}
		late, err := sendhook.New(sendhook.Funcs("late", func(_ context.Context, c *sendhook.Context) error {
			// Too late, and refused: the message is frozen in attempt scope.
			if c.Message().Tag == "late" {
				c.Call().Outgoing().SetProperty("late", "yes")
			}
			return nil
		}, nil))
		if err != nil {
			t.Fatal(err)
		}
		p := w.start(t, liftoff.WithSteps(late.Step(), core.CallStep("user.shape", core.StageShape, core.InterceptorFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			for out := range c.All() {
				out.SetTopic("other")
				out.SetBody(append([]byte("changed "), out.Body()...))
				out.SetProperty("TAGS", "changed")
				out.SetProperty("user", "changed")
			}
			return next(ctx, c)
		}))))
		m := &core.Message{
			Topic: "T", Body: []byte("body"), Tag: "tag", Keys: []string{"k1", "k2"},
			Properties: map[string]string{"user": "mine", "more": "x"}, Flag: 7,
		}
		before := clone(m)
		for range 3 {
			if _, err := p.Send(bg, m); err != nil {
				t.Fatal(err)
			}
		}
		if !reflect.DeepEqual(m, before) {
			t.Errorf("the message became %+v", m)
		}
		stored := w.Stored("other")
		want(t, "stored", len(stored), 3)
		for _, s := range stored {
			want(t, "body", string(s.Body), "changed body")
			want(t, "tag", s.Property("TAGS"), "changed")
			want(t, "property", s.Property("user"), "changed")
			want(t, "other property", s.Property("more"), "x")
		}
		m.Tag = "late"
		_, err = p.Send(bg, m)
		wantFailure(t, err, core.ClassPlugin, core.NotSent)
		if !errors.Is(err, core.ErrFrozen) {
			t.Errorf("got %v", err)
		}
	})
}

// clone copies a message deeply.
func clone(m *core.Message) *core.Message {
	c := *m
	c.Body = slices.Clone(m.Body)
	c.Keys = slices.Clone(m.Keys)
	c.Properties = maps.Clone(m.Properties)
	return &c
}
