package core_test

import (
	"context"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// The policies of these tests, by what they do after a failed attempt.
var (
	// safely goes to another broker only with a message that surely is not stored.
	safely = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
		return core.Decision{Retry: f.Err != nil && f.Attempt < 3 && f.Certainty.Safe()}
	})
	// eagerly goes to another broker whatever happened.
	eagerly = coretest.Retry(3)
	// patiently tries the same queue again.
	patiently = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
		return core.Decision{Retry: f.Err != nil && f.Attempt < 3, Reroute: core.SameQueue}
	})
	// doubtful goes elsewhere only with a message that may be stored, which is odd.
	doubtful = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
		return core.Decision{Retry: f.Err != nil && f.Attempt < 3 && !f.Certainty.Safe()}
	})
	// panicky cannot be asked beforehand.
	panicky = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
		if f.Message.Topic != "T" {
			panic("whose message is this?")
		}
		return core.Decision{Retry: true}
	})
	// once goes elsewhere after the first attempt alone.
	once = coretest.Retry(2)
)

// limits are what an attempt is given, from the start of the call.
type limits struct{ sendBy, deadline time.Duration }

// The cap of an attempt is there where the policy would use it, and nowhere else.
func TestCapOfAnAttempt(t *testing.T) {
	const second, whole = time.Second, core.DefaultTimeout
	fixed := func(m *core.Message) { m.Queue = &core.Queue{Broker: "broker-a", ID: 1} }
	for _, tt := range []struct {
		name   string
		retry  core.RetryPolicy
		change func(*core.Config)
		msg    func(*core.Message)
		oneway bool
		opts   []core.SendOption
		want   limits
	}{
		{name: "never", retry: coretest.NoRetry(), want: limits{whole, whole}},
		{name: "safely", retry: safely, want: limits{second, whole}},
		{name: "eagerly", retry: eagerly, want: limits{second, second}},
		{name: "at the same queue", retry: patiently, want: limits{whole, whole}},
		{name: "doubtful", retry: doubtful, want: limits{whole, whole}},
		{name: "a policy that panics", retry: panicky, want: limits{whole, whole}},
		{name: "one-way, safely", retry: safely, oneway: true, want: limits{second, whole}},
		{name: "one-way, eagerly", retry: eagerly, oneway: true, want: limits{second, whole}},
		{name: "one-way, never", retry: coretest.NoRetry(), oneway: true, want: limits{whole, whole}},
		{name: "fixed queue", retry: eagerly, msg: fixed, want: limits{whole, whole}},
		{name: "consistent", retry: eagerly, want: limits{whole, whole}, change: func(c *core.Config) {
			c.Selector = core.SelectorFactoryFunc(func(string) core.QueueSelector { return sticky{} })
		}},
		{name: "one broker", retry: eagerly, want: limits{whole, whole}, change: func(c *core.Config) { c.Routes = coretest.Routes(4, "broker-a") }},
		{name: "the other is down", retry: eagerly, want: limits{whole, whole}, change: func(c *core.Config) { c.Health = down("broker-b") }},
		{name: "this one is down", retry: eagerly, want: limits{second, second}, change: func(c *core.Config) { c.Health = down("broker-a") }},
		{name: "a cap beyond the deadline", retry: eagerly, want: limits{whole, whole}, change: func(c *core.Config) { c.AttemptTimeout = whole }},
		{name: "the policy's own cap", retry: eagerly, want: limits{second / 2, second / 2}, change: func(c *core.Config) {
			c.Policies = &core.PolicyTable{Default: &core.Policy{Name: "own", AttemptTimeout: second / 2}}
		}},
		{name: "the call's cap", retry: coretest.NoRetry(), opts: []core.SendOption{core.SendAttemptTimeout(second / 4)}, want: limits{second / 4, second / 4}},
		{name: "the call's longer cap", retry: safely, opts: []core.SendOption{core.SendAttemptTimeout(2 * second)}, want: limits{2 * second, 2 * second}},
		{name: "the call's cap, one-way", retry: coretest.NoRetry(), oneway: true, opts: []core.SendOption{core.SendAttemptTimeout(second / 4)}, want: limits{second / 4, second / 4}},
		{name: "the call's cap at a fixed queue", retry: eagerly, msg: fixed, opts: []core.SendOption{core.SendAttemptTimeout(second / 4)}, want: limits{whole, whole}},
		{name: "the call's policy", retry: coretest.NoRetry(), opts: []core.SendOption{core.SendRetry(eagerly)}, want: limits{second, second}},
		{name: "the call's policy is safe", retry: eagerly, opts: []core.SendOption{core.SendRetry(safely)}, want: limits{second, whole}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := &coretest.Transport{}
				var got limits
				tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
					got = limits{at.SendBy().Sub(at.Call().Start()), at.Deadline().Sub(at.Call().Start())}
					return tr.Ack(at), nil
				}
				cfg := coretest.Config(tr)
				cfg.Retry = tt.retry
				if tt.change != nil {
					tt.change(&cfg)
				}
				m := coretest.Message("x")
				if tt.msg != nil {
					tt.msg(m)
				}
				p := coretest.Start(t, cfg)
				var err error
				if tt.oneway {
					err = p.SendOneway(t.Context(), m, tt.opts...)
				} else {
					_, err = p.Send(t.Context(), m, tt.opts...)
				}
				if err != nil || got != tt.want {
					t.Errorf("%+v, %v; want %+v", got, err, tt.want)
				}
			})
		})
	}
}

// sticky is a selector whose choice carries meaning.
type sticky struct{}

func (sticky) Select(context.Context, *core.Selection) (int, error) { return 0, nil }
func (sticky) RequiresConsistency(*core.Message) bool               { return true }

// down is a view of health in which one broker is down.
type down string

func (d down) Health(b core.Broker) core.Health {
	if b.Name == string(d) {
		return core.HealthDown
	}
	return core.HealthGood
}

// The cap follows the attempts: a policy that goes elsewhere once caps the first alone, and
// a broker that is the last gets the time that is left.
func TestCapOfLaterAttempts(t *testing.T) {
	for _, tt := range []struct {
		name  string
		retry core.RetryPolicy
		opts  []core.SendOption
		want  []time.Duration // of the attempts, each from its own start to its deadline
	}{
		{"three brokers", coretest.Retry(4), nil, []time.Duration{time.Second, time.Second, time.Second}},
		{"one retry", once, nil, []time.Duration{time.Second, 2 * time.Second}},
		{"one retry, of the call", coretest.NoRetry(), []core.SendOption{core.SendRetry(once)}, []time.Duration{time.Second, 2 * time.Second}},
		{"shorter cap", coretest.Retry(4), []core.SendOption{core.SendAttemptTimeout(100 * time.Millisecond)}, []time.Duration{100 * time.Millisecond, 100 * time.Millisecond, 2800 * time.Millisecond}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := &coretest.Transport{Do: func(ctx context.Context, at *core.Attempt) (*core.Result, error) { return nil, coretest.Hang(ctx, at) }}
				cfg := coretest.Config(tr)
				cfg.Routes, cfg.Retry = coretest.Routes(1, "broker-a", "broker-b", "broker-c"), tt.retry
				_, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x"), tt.opts...)
				if core.ClassOf(err) != core.ClassTimeout {
					t.Errorf("got %v", err)
				}
				sent := tr.Attempts()
				for i, a := range sent {
					if i >= len(tt.want) || a.Time != tt.want[i] {
						t.Errorf("attempt %d has %v, want %v", i+1, a.Time, tt.want)
					}
				}
				if len(sent) != len(tt.want) {
					t.Errorf("%d attempts, want %d", len(sent), len(tt.want))
				}
			})
		})
	}
}

// A policy is asked beforehand about sixteen attempts; what comes later is as the last.
func TestCapBeyondTheTable(t *testing.T) {
	for name, n := range map[string]int{"within": 15, "the last": 16, "one beyond": 17, "beyond": 40} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := &coretest.Transport{Unwritten: true, Do: func(context.Context, *core.Attempt) (*core.Result, error) { return nil, core.ErrConnect }}
				cfg := coretest.Config(tr)
				cfg.Timeout = time.Minute
				cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
					return core.Decision{Retry: f.Attempt < n, Reroute: core.AnyQueue}
				})
				cfg.Selector = core.SelectorFactoryFunc(func(string) core.QueueSelector {
					return core.QueueSelectorFunc(func(context.Context, *core.Selection) (int, error) { return 0, nil })
				})
				_, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x"))
				if len(sendError(t, err).Attempts) != n {
					t.Fatalf("got %v", err)
				}
				for i, a := range tr.Attempts() {
					want := time.Second
					if i+1 == n && n <= 16 {
						want = time.Minute // the policy would give up after it
					}
					if a.Time != want {
						t.Errorf("attempt %d has %v, want %v", i+1, a.Time, want)
					}
				}
			})
		})
	}
}

// What a policy is asked beforehand is a time-out at one of two brokers, of a message that it
// can look at, and nothing else.
func TestPolicyIsAskedBeforehand(t *testing.T) {
	asked := map[core.Mode]map[core.Certainty]int{}
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
		if asked[f.Mode] == nil {
			asked[f.Mode] = map[core.Certainty]int{}
		}
		asked[f.Mode][f.Certainty]++
		if f.Err != core.ErrTimeout || f.Class != core.ClassTimeout || f.Answered || f.Code != nil || f.Status != core.StatusNone ||
			f.Message == nil || f.Untried != 1 || f.Consistent || f.Remaining < time.Minute || f.Attempt < 1 || f.Attempt > 16 {
			t.Errorf("asked about %+v", f)
		}
		return core.Decision{Retry: true}
	})
	must(core.NewProducer(cfg))
	want := map[core.Mode]map[core.Certainty]int{
		core.Sync: {core.NotSent: 16, core.MaybeStored: 16}, core.Async: {core.NotSent: 16, core.MaybeStored: 16}, core.Oneway: {core.NotSent: 16},
	}
	if !reflect.DeepEqual(asked, want) {
		t.Errorf("asked %v, want %v", asked, want)
	}
}

// A slow answer is an answer: with a policy that sends nothing twice a broker that needs 1.5
// of 3 s succeeds, while one that cannot be reached is left in time for another.
func TestSlowAnswerOfASafePolicy(t *testing.T) {
	const slow = 1500 * time.Millisecond
	for _, tt := range []struct {
		name    string
		retry   core.RetryPolicy
		written bool
		broker  string
		took    time.Duration
		tries   int
	}{
		{"safe, answers slowly", safely, true, "broker-a", slow, 1},
		{"safe, cannot be reached", safely, false, "broker-b", time.Second, 2},
		{"eager, answers slowly", eagerly, true, "broker-b", time.Second, 2},
		{"never, cannot be reached soon", coretest.NoRetry(), false, "broker-a", slow, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := &coretest.Transport{Unwritten: true}
				tr.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
					if at.Broker().Name == "broker-a" {
						if tt.written {
							at.MarkWritten()
						}
						ready := make(chan struct{})
						timer := time.AfterFunc(slow, func() { close(ready) })
						defer timer.Stop()
						if err := at.Wait(ctx, ready); err != nil {
							return nil, err
						}
					}
					at.MarkWritten()
					return tr.Ack(at), nil
				}
				cfg := coretest.Config(tr)
				cfg.Retry = tt.retry
				start := time.Now()
				res, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x"))
				if err != nil || res.Queue.Broker != tt.broker || res.Attempts != tt.tries {
					t.Errorf("%+v, %v", res, err)
				}
				if took := time.Since(start); took != tt.took {
					t.Errorf("it took %v, want %v", took, tt.took)
				}
			})
		})
	}
}

// A one-way message that has left is not sent again, so nothing is won by giving up on the
// answer that a step asked for.
func TestSlowConfirmation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &coretest.Transport{}
		tr.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
			ready := make(chan struct{})
			time.AfterFunc(2*time.Second, func() { close(ready) })
			if err := at.Wait(ctx, ready); err != nil {
				return nil, err
			}
			return tr.Ack(at), nil
		}
		cfg := coretest.Config(tr, confirm(1))
		cfg.Retry = eagerly
		if err := coretest.Start(t, cfg).SendOneway(t.Context(), coretest.Message("x")); err != nil {
			t.Error(err)
		}
	})
}

// A step that waits before it calls next waits no longer than the attempt may take to be
// sent: the message can still go elsewhere.
func TestWaitBeforeSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &coretest.Transport{}
		cfg := coretest.Config(tr, core.AttemptStep("full", core.AttemptProtect, core.AttemptInterceptorFunc(
			func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
				if at.Broker().Name == "broker-a" {
					if err := at.Wait(ctx, nil); err != nil {
						return nil, err
					}
				}
				return next(ctx, at)
			})))
		cfg.Retry = safely
		start := time.Now()
		res, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x"))
		if took := time.Since(start); err != nil || res.Queue.Broker != "broker-b" || took != time.Second {
			t.Errorf("%+v, %v after %v", res, err, took)
		}
	})
}
