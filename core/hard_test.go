package core_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// troupe is a user's whole code around a producer: each function that a user can give does
// what its role was told to do, and then its work.
type troupe struct {
	coretest.Transport
	producer *core.Producer
	inbox    *core.Inbox
	failing  atomic.Int64 // attempts that are still to fail
	released chan struct{}

	mu    sync.Mutex
	roles map[string]func() // what is to be done in each
	acted map[string]int    // how often it was
}

// roles are the functions.
var roles = []string{
	"log", "StateChanged", "RouteChanged", "CallDone", "AttemptDone", "RetryScheduled",
	"Intercept", "InterceptAttempt", "Drain", "option", "done",
	"Policy", "ForTopic", "Select", "RequiresConsistency", "Next", "Withdraw", "Deposit", "Health",
	"Route", "RoundTrip", "UnregisterGroup", "HandleServerRequest", "Shutdown",
	"Describe", "BrokerReport",
}

func (tr *troupe) act(role string) {
	tr.mu.Lock()
	f := tr.roles[role]
	if f != nil {
		tr.acted[role]++
	}
	tr.mu.Unlock()
	if f != nil {
		f()
	}
}

// tell gives roles something to do.
func (tr *troupe) tell(f func(), names ...string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, n := range names {
		tr.roles[n] = f
	}
}

func (tr *troupe) did(role string) int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.acted[role]
}

func (tr *troupe) Enabled(context.Context, slog.Level) bool         { return true }
func (tr *troupe) WithAttrs([]slog.Attr) slog.Handler               { return tr }
func (tr *troupe) WithGroup(string) slog.Handler                    { return tr }
func (tr *troupe) Handle(context.Context, slog.Record) error        { tr.act("log"); return nil }
func (tr *troupe) StateChanged(*core.StateReport)                   { tr.act("StateChanged") }
func (tr *troupe) RouteChanged(*core.RouteReport)                   { tr.act("RouteChanged") }
func (tr *troupe) CallDone(context.Context, *core.CallReport)       { tr.act("CallDone") }
func (tr *troupe) AttemptDone(context.Context, *core.AttemptReport) { tr.act("AttemptDone") }
func (tr *troupe) RetryScheduled(context.Context, *core.RetryReport) {
	tr.act("RetryScheduled")
}

func (tr *troupe) Intercept(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
	tr.act("Intercept")
	return next(ctx, c)
}

func (tr *troupe) InterceptAttempt(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
	tr.act("InterceptAttempt")
	return next(ctx, at)
}
func (tr *troupe) Drain() { tr.act("Drain") }
func (tr *troupe) Policy(topic string) *core.Policy {
	tr.act("Policy")
	return troupePolicy
}

var troupePolicy = &core.Policy{Name: "only"}

func (tr *troupe) Policies() []core.TopicPolicy {
	return []core.TopicPolicy{{Topics: "every topic", Policy: troupePolicy}}
}

func (tr *troupe) ForTopic(string) core.QueueSelector {
	tr.act("ForTopic")
	return tr
}

func (tr *troupe) Select(_ context.Context, s *core.Selection) (int, error) {
	tr.act("Select")
	for i := range s.Len() {
		if !s.Tried(i) {
			return i, nil
		}
	}
	return 0, nil
}

func (tr *troupe) RequiresConsistency(*core.Message) bool {
	tr.act("RequiresConsistency")
	return false
}

func (tr *troupe) Next(f *core.Failure) core.Decision {
	tr.act("Next")
	return core.Decision{Retry: f.Err != nil && f.Attempt < 2}
}
func (tr *troupe) Withdraw(*core.Failure) bool { tr.act("Withdraw"); return true }
func (tr *troupe) Deposit()                    { tr.act("Deposit") }
func (tr *troupe) Health(core.Broker) core.Health {
	tr.act("Health")
	return core.HealthGood
}

func (tr *troupe) Route(ctx context.Context, topic string) (*core.Route, error) {
	tr.act("Route")
	return coretest.Routes(2, "broker-a", "broker-b").Route(ctx, topic)
}

func (tr *troupe) RoundTrip(ctx context.Context, at *core.Attempt) (*core.Result, error) {
	tr.act("RoundTrip")
	if tr.failing.Add(-1) >= 0 {
		return nil, core.ErrConnect
	}
	return tr.Transport.RoundTrip(ctx, at)
}

func (tr *troupe) RegisterGroup(_ context.Context, r core.Registration) error {
	tr.inbox = r.Inbox
	return nil
}

func (tr *troupe) UnregisterGroup(context.Context, string) error {
	tr.act("UnregisterGroup")
	return nil
}

func (tr *troupe) HandleServerRequest(context.Context, *core.ServerRequest) {
	tr.act("HandleServerRequest")
}
func (tr *troupe) Start(context.Context) error { return nil }
func (tr *troupe) Shutdown(context.Context) error {
	tr.act("Shutdown")
	return nil
}

func (tr *troupe) Describe() core.Description {
	tr.act("Describe")
	return core.Description{Summary: "a troupe"}
}

func (tr *troupe) BrokerReport(core.Broker) []core.Setting {
	tr.act("BrokerReport")
	return nil
}

// newTroupe starts a producer all of whose functions are the troupe's.
func newTroupe(t *testing.T) *troupe {
	t.Helper()
	tr := &troupe{roles: map[string]func(){}, acted: map[string]int{}, released: make(chan struct{})}
	cfg := coretest.Config(tr, core.CallStep("troupe", core.StageGuard, tr).WithAttempt(core.AttemptGuard, tr))
	cfg.Routes, cfg.Selector, cfg.Retry, cfg.Budget, cfg.Health = tr, tr, tr, tr, tr
	cfg.Policies, cfg.Logger = tr, slog.New(tr)
	cfg.Handlers = handlers{core.RequestTransactionCheck: tr}
	cfg.RouteRefresh = 20 * time.Millisecond
	cfg.Timeout = time.Second
	p, err := core.NewProducer(cfg)
	if err == nil {
		err = p.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	tr.producer = p
	return tr
}

// play uses the producer in every way, each on a goroutine of its own, and returns at once.
// The counts are those of callbacks.
func (tr *troupe) play(t *testing.T, wg *sync.WaitGroup) (done *atomic.Int64) {
	done = new(atomic.Int64)
	p := tr.producer
	tr.failing.Store(2)
	callback := func(core.Result, error) {
		done.Add(1)
		tr.act("done")
	}
	option := core.SendOptionFunc(func(*core.CallOptions) { tr.act("option") })
	for i := range playAsync {
		m := coretest.Message("x")
		m.Topic = fmt.Sprintf("T%d", i%3)
		wg.Go(func() { p.SendAsync(t.Context(), m, callback, option) })
	}
	wg.Go(func() { _, _ = p.Send(t.Context(), coretest.Message("x")) })
	wg.Go(func() { _ = p.SendOneway(t.Context(), coretest.Message("x")) })
	wg.Go(func() { _, _ = p.SendBatch(t.Context(), []*core.Message{coretest.Message("x"), coretest.Message("y")}) })
	wg.Go(func() {
		time.Sleep(10 * time.Millisecond) // when there are routes
		_ = p.Snapshot()
	})
	wg.Go(func() { _ = p.Pipeline().String() })
	_ = tr.inbox.Deliver(request("x"))
	return done
}

const playAsync = 20

// Whatever of the user's code blocks, Shutdown returns with its context, or 50 ms later. When
// the code goes on, every callback has run once, and nothing is left.
func TestShutdownWhileCodeBlocks(t *testing.T) {
	const grace = 50 * time.Millisecond
	for _, role := range append(slices.Clone(roles), "all") {
		for how, end := range map[string]struct {
			ctx func(context.Context) (context.Context, context.CancelFunc)
			at  time.Duration
		}{
			"deadline": {func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, 2*time.Second)
			}, 2 * time.Second},
			"short": {func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, 20*time.Millisecond)
			}, 20 * time.Millisecond},
			"cancelled": {func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(300*time.Millisecond, cancel)
				return ctx, cancel
			}, 300 * time.Millisecond},
			"ended": {func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(ctx)
				cancel()
				return ctx, cancel
			}, 0},
		} {
			t.Run(role+" "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					tr := newTroupe(t)
					block := func() { <-tr.released }
					if role == "all" {
						tr.tell(block, roles...)
					} else {
						tr.tell(block, role)
					}
					var wg sync.WaitGroup
					done := tr.play(t, &wg)
					time.Sleep(100 * time.Millisecond)
					ctx, cancel := end.ctx(t.Context())
					defer cancel()
					start := time.Now()
					err := tr.producer.Shutdown(ctx)
					if took := time.Since(start); took > end.at+grace {
						t.Errorf("Shutdown took %v with a context of %v", took, end.at)
					}
					var se *core.ShutdownError
					if err != nil && !errors.As(err, &se) {
						t.Errorf("shutdown: %v", err)
					}
					if role == "all" && len(se.Left) < 5 {
						t.Errorf("left is %q", se.Left)
					}
					if role != "all" && tr.did(role) == 0 {
						t.Errorf("%s was never called", role)
					}
					close(tr.released)
					synctest.Wait()
					wg.Wait()
					if done.Load() != playAsync {
						t.Errorf("%d callbacks, want %d", done.Load(), playAsync)
					}
					if n := tr.producer.Snapshot().InFlight.Sends; n != 0 {
						t.Errorf("%d sends are in flight", n)
					}
				})
			})
		}
	}
}

// Code that panics or ends its goroutine costs nobody else anything: every callback runs once,
// sends afterwards work, and Shutdown ends.
func TestCodeThatBreaks(t *testing.T) {
	for name, breaks := range map[string]func(){"panic": func() { panic("boom") }, "goexit": runtime.Goexit} {
		for _, role := range append(slices.Clone(roles), "all") {
			t.Run(name+" "+role, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					tr := newTroupe(t)
					if role == "all" {
						tr.tell(breaks, roles...)
					} else {
						tr.tell(breaks, role)
					}
					var wg sync.WaitGroup
					done := tr.play(t, &wg)
					wg.Wait()
					time.Sleep(2 * time.Second)
					if done.Load() != playAsync {
						t.Errorf("%d callbacks, want %d", done.Load(), playAsync)
					}
					atEnd := []string{"UnregisterGroup", "Shutdown", "StateChanged", "Drain"}
					if role != "all" && role != "log" && !slices.Contains(atEnd, role) && tr.did(role) == 0 {
						t.Errorf("%s was never called", role)
					}
					tr.tell(nil, slices.DeleteFunc(slices.Clone(roles), func(r string) bool { return slices.Contains(atEnd, r) })...)
					tr.failing.Store(0)
					m := coretest.Message("after")
					m.Topic = "after"
					if _, err := tr.producer.Send(t.Context(), m); err != nil {
						t.Errorf("a send afterwards: %v", err)
					}
					// Routes are still looked up again and again.
					looks := make(chan struct{}, 1)
					tr.tell(func() {
						select {
						case looks <- struct{}{}:
						default:
						}
					}, "Route")
					select {
					case <-looks:
					case <-time.After(time.Second):
						t.Error("no route is looked up any more")
					}
					err := tr.producer.Shutdown(t.Context())
					if err != nil && !strings.Contains(err.Error(), "boom") && !errors.Is(err, core.ErrContract) {
						t.Errorf("shutdown: %v", err)
					}
					if tr.producer.State() != core.StateShutdown {
						t.Errorf("the producer is %v", tr.producer.State())
					}
				})
			})
		}
	}
}

// Code that uses the same producer stalls nothing.
func TestCodeThatUsesItsProducer(t *testing.T) {
	for _, role := range append(slices.Clone(roles), "all") {
		t.Run(role, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := newTroupe(t)
				var more, inner atomic.Int64
				use := func() {
					if more.Add(1) > 20 {
						return
					}
					p := tr.producer
					_ = p.State()
					_ = p.Snapshot()
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
					defer cancel()
					_, _ = p.Send(ctx, coretest.Message("inner"))
					p.SendAsync(ctx, coretest.Message("inner"), func(core.Result, error) { inner.Add(1) })
					_ = p.Flush(ctx)
					_ = p.SetPolicies(ctx, tr)
					_ = p.Shutdown(ctx)
				}
				if role == "all" {
					tr.tell(use, roles...)
				} else {
					tr.tell(use, role)
				}
				var wg sync.WaitGroup
				done := tr.play(t, &wg)
				time.Sleep(time.Minute)
				wg.Wait()
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				_ = tr.producer.Shutdown(ctx)
				if took := time.Since(start); took > 2050*time.Millisecond {
					t.Errorf("Shutdown took %v", took)
				}
				if done.Load() != playAsync || tr.producer.State() != core.StateShutdown {
					t.Errorf("%d callbacks, %v", done.Load(), tr.producer.State())
				}
			})
		})
	}
}
