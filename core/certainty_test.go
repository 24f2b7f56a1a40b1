package core_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// around is a step in message scope.
func around(name string, f core.InterceptorFunc) core.Step {
	return core.CallStep(name, core.StageGuard, f)
}

// A *SendError of a step that says as much as the call knows is the call's own; one that says
// less is not.
func TestSendErrorOfAStep(t *testing.T) {
	for _, tt := range []struct {
		says core.Certainty
		lost bool // the call's own attempt
		own  bool
	}{
		{core.NotSent, false, true}, {core.MaybeStored, false, true}, {core.MaybeStored, true, true}, {core.NotSent, true, false},
	} {
		mine := &core.SendError{Class: core.ClassBusy, Certainty: tt.says, Cause: core.ErrConnect}
		p := coretest.Start(t, coretest.Config(&coretest.Transport{Do: func(context.Context, *core.Attempt) (*core.Result, error) {
			return nil, core.ErrConnectionLost
		}}, around("mine", func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			if tt.lost {
				_, _ = next(ctx, c)
			}
			return nil, mine
		})))
		_, err := p.Send(t.Context(), coretest.Message("x"))
		if want := max(tt.says, core.CertaintyOf(err)); (err == error(mine)) != tt.own || core.CertaintyOf(err) != want || !errors.Is(err, core.ErrConnect) {
			t.Errorf("%+v: %v", tt, err)
		}
		if tt.lost && core.CertaintyOf(err) != core.MaybeStored {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

// A broker that refuses a message because it has it already says that it is stored. A certainty that
// the transport leaves out, or that is none of core's, is not taken for certain.
func TestCertaintyThatABrokerStates(t *testing.T) {
	for says, want := range map[core.Certainty]core.Certainty{
		core.Stored: core.Stored, core.NotStored: core.NotStored, core.NotSent: core.NotSent,
		core.CertaintyUnknown: core.MaybeStored, core.Stored + 1: core.MaybeStored,
	} {
		p := coretest.Start(t, coretest.Config(&coretest.Transport{Do: func(context.Context, *core.Attempt) (*core.Result, error) {
			return nil, &core.BrokerError{Class: core.ClassBroker, Certainty: says}
		}}))
		if _, err := p.Send(t.Context(), coretest.Message("x")); core.CertaintyOf(err) != want {
			t.Errorf("%d: %v", says, err)
		}
	}
}

// A call says whether it has a strategy of its own, and whether its selector's queues carry
// meaning. A selector that cannot be asked counts as one.
func TestWhatACallHasOfItsOwn(t *testing.T) {
	plain := coretest.InOrder()
	for name, tt := range map[string]struct {
		selector        core.SelectorFactory
		opt             core.SendOption
		own, consistent bool
	}{
		"nothing":         {plain, nil, false, false},
		"time":            {plain, core.SendTimeout(time.Second), false, false},
		"attempt timeout": {plain, core.SendAttemptTimeout(time.Second), true, false},
		"retry":           {plain, core.SendRetry(coretest.NoRetry()), true, false},
		"selector":        {plain, core.SendSelector(plain.ForTopic("T")), true, false},
		"keyed":           {consistentIf(func() bool { return true }), nil, false, true},
		"not keyed":       {consistentIf(func() bool { return false }), nil, false, false},
		"panics":          {consistentIf(func() bool { panic("boom") }), nil, false, true},
		"no selector":     {core.SelectorFactoryFunc(func(string) core.QueueSelector { panic("boom") }), nil, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			asked := false
			cfg := coretest.Config(&coretest.Transport{}, around("ask", func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				asked = true
				if c.Own() != tt.own || c.Consistent() != tt.consistent {
					t.Errorf("own %v, consistent %v", c.Own(), c.Consistent())
				}
				return next(ctx, c)
			}))
			cfg.Selector = tt.selector
			var opts []core.SendOption
			if tt.opt != nil {
				opts = append(opts, tt.opt)
			}
			_, _ = coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x"), opts...)
			if !asked {
				t.Error("the step did not run")
			}
		})
	}
}

// keyedSelector says of each message what its function says.
type keyedSelector struct {
	core.QueueSelector
	consistent func() bool
}

func (s keyedSelector) RequiresConsistency(*core.Message) bool { return s.consistent() }

func consistentIf(consistent func() bool) core.SelectorFactory {
	return core.SelectorFactoryFunc(func(topic string) core.QueueSelector {
		return keyedSelector{coretest.InOrder().ForTopic(topic), consistent}
	})
}

// An option that finds its own value wrong fails the send; one that does not, does not.
func TestOptionThatFails(t *testing.T) {
	boom := errors.New("boom")
	for _, why := range []error{nil, boom} {
		tr := &coretest.Transport{}
		_, err := coretest.Start(t, coretest.Config(tr)).Send(t.Context(), coretest.Message("x"), core.SendOptionFunc(func(o *core.CallOptions) { o.Fail(why) }))
		if !errors.Is(err, why) || (len(tr.Attempts()) == 1) != (why == nil) {
			t.Errorf("%v, sent %v", err, tr.Attempts())
		}
	}
}

// A step that turns to another producer passes that one's error on. What this
// producer did counts as well: the message may be stored, or is.
func TestErrorOfAnotherProducer(t *testing.T) {
	unsent, err := core.NewProducer(coretest.Config(&coretest.Transport{})) // never started
	if err != nil {
		t.Fatal(err)
	}
	lost := func(context.Context, *core.Attempt) (*core.Result, error) { return nil, core.ErrConnectionLost }
	unsure := coretest.Start(t, coretest.Config(&coretest.Transport{Do: lost}))
	wrapped := func(err error) error { return fmt.Errorf("both clusters: %w", err) }
	for name, tt := range map[string]struct {
		here   func(context.Context, *core.Attempt) (*core.Result, error) // nil for success
		there  *core.Producer
		change func(error) error
		want   core.Certainty
	}{
		"stored here, not sent there":     {nil, unsent, func(err error) error { return err }, core.Stored},
		"unsure here, not sent there":     {lost, unsent, func(err error) error { return err }, core.MaybeStored},
		"unsure here, not sent, wrapped":  {lost, unsent, wrapped, core.MaybeStored},
		"unsure there":                    {refused, unsure, func(err error) error { return err }, core.MaybeStored},
		"unsure there, wrapped":           {refused, unsure, wrapped, core.MaybeStored},
		"refused here and not sent there": {refused, unsent, wrapped, core.NotStored},
	} {
		t.Run(name, func(t *testing.T) {
			p := coretest.Start(t, coretest.Config(&coretest.Transport{Do: tt.here}, around("fallback",
				func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
					_, _ = next(ctx, c)
					_, err := tt.there.Send(ctx, c.Message())
					return nil, tt.change(err)
				})))
			_, err := p.Send(t.Context(), coretest.Message("x"))
			if got := core.CertaintyOf(err); got != tt.want {
				t.Errorf("%v, want %v: %v", got, tt.want, err)
			}
		})
	}
}

func refused(_ context.Context, at *core.Attempt) (*core.Result, error) {
	return nil, coretest.Refuse(at, rocketmq.CodeServiceNotAvailable, "")
}

// What a broker said is what the transport returned: a step's error may tell of
// another attempt's refusal as well.
func TestRefusalOfAnotherAttempt(t *testing.T) {
	tr := &coretest.Transport{Do: func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
		if at.Number() == 1 {
			return refused(ctx, at)
		}
		return nil, core.ErrConnectionLost
	}}
	cfg := coretest.Config(tr, core.AttemptStep("explain", core.AttemptObserve, core.AttemptInterceptorFunc(
		func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
			res, err := next(ctx, at)
			if err != nil && at.Prev() != nil {
				err = fmt.Errorf("%w (after %w)", err, at.Prev())
			}
			return res, err
		})))
	cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
		return core.Decision{Retry: f.Certainty.Safe() && f.Attempt < 5}
	})
	_, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x"))
	if got := core.CertaintyOf(err); got != core.MaybeStored || len(tr.Attempts()) != 2 {
		t.Errorf("%d attempts, %v: %v", len(tr.Attempts()), got, err)
	}
}

// A transport that returns a result and a refusal says nothing.
func TestResultAndRefusal(t *testing.T) {
	tr := &coretest.Transport{}
	tr.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
		_, err := refused(ctx, at)
		return tr.Ack(at), err
	}
	_, err := coretest.Start(t, coretest.Config(tr)).Send(t.Context(), coretest.Message("x"))
	if got := core.CertaintyOf(err); got != core.MaybeStored {
		t.Errorf("%v: %v", got, err)
	}
}

// Stored weakly at one broker and perhaps at another: the result says both.
func TestWeaklyStoredAndPerhapsAgain(t *testing.T) {
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		if at.Number() > 1 {
			return nil, core.ErrConnectionLost
		}
		r := tr.Ack(at)
		r.Status = core.SlaveNotAvailable
		return r, nil
	}
	cfg := coretest.Config(tr)
	cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
		return core.Decision{Retry: f.Attempt < 3, Restore: true}
	})
	res, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x"))
	if err != nil || res.Status != core.SlaveNotAvailable || !res.MaybeDuplicate || res.Attempts != 3 {
		t.Errorf("%+v, %v", res, err)
	}
}

// A step that calls next again after a success stores the message twice.
func TestNextAgainAfterSuccess(t *testing.T) {
	for _, first := range []core.SendStatus{core.SendOK, core.FlushDiskTimeout} {
		tr := &coretest.Transport{}
		tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
			r := tr.Ack(at)
			if at.Number() == 1 {
				r.Status = first
			}
			return r, nil
		}
		p := coretest.Start(t, coretest.Config(tr, around("again",
			func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				if _, err := next(ctx, c); err != nil {
					return nil, err
				}
				return next(ctx, c)
			})))
		if res, err := p.Send(t.Context(), coretest.Message("x")); err != nil || !res.MaybeDuplicate || res.Attempts != 2 {
			t.Errorf("after %v: %+v, %v", first, res, err)
		}
	}
}

// A weaker result of a second run may be a duplicate of the first run's message, also where no
// attempt failed without an answer.
func TestWeakResultAfterSuccess(t *testing.T) {
	tr := &coretest.Transport{}
	tr.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
		if at.Number() == 3 {
			return refused(ctx, at)
		}
		r := tr.Ack(at)
		if at.Number() == 2 {
			r.Status = core.FlushDiskTimeout
		}
		return r, nil
	}
	cfg := coretest.Config(tr, around("again", func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
		if _, err := next(ctx, c); err != nil {
			return nil, err
		}
		return next(ctx, c)
	}))
	cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision { return core.Decision{Retry: f.Err == nil, Restore: true} })
	res, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x"))
	if err != nil || res.Status != core.FlushDiskTimeout || !res.MaybeDuplicate || res.Attempts != 3 {
		t.Errorf("%+v, %v", res, err)
	}
}

type counting struct{ deposits int }

func (*counting) Withdraw(*core.Failure) bool { return true }
func (c *counting) Deposit()                  { c.deposits++ }

// A send that is stored with a weaker status has succeeded, to the budget too.
func TestWeakSuccessIsDeposited(t *testing.T) {
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		r := tr.Ack(at)
		r.Status = core.SlaveNotAvailable
		return r, nil
	}
	budget := &counting{}
	cfg := coretest.Config(tr)
	cfg.Budget = budget
	p := coretest.Start(t, cfg)
	for range 10 {
		if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
			t.Fatal(err)
		}
	}
	if budget.deposits != 10 {
		t.Errorf("%d deposits for 10 sends", budget.deposits)
	}
}

// Each broker may refuse once in every round that a policy begins.
func TestRefusalsOfABreaker(t *testing.T) {
	tr := &coretest.Transport{}
	tr.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
		if at.Number() < 6 {
			return refused(ctx, at)
		}
		return tr.Ack(at), nil
	}
	cfg := coretest.Config(tr, core.AttemptStep("open", core.AttemptProtect, core.AttemptInterceptorFunc(
		func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
			if at.Broker().Name == "broker-a" && !at.LastResort() {
				return nil, core.ErrCircuitOpen
			}
			return next(ctx, at)
		})))
	cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
		return core.Decision{Retry: f.Attempt < 10, Reroute: core.AnyQueue}
	})
	if res, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x")); err != nil || res.Queue.Broker != "broker-b" {
		t.Errorf("%+v, %v", res, err)
	}
}
