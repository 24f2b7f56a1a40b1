package core_test

import (
	"context"
	"errors"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// confirm asks for an answer to every attempt whose number is in the list.
func confirm(numbers ...int) core.Step {
	return core.AttemptStep("confirm", core.AttemptProtect, core.AttemptInterceptorFunc(
		func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
			for _, n := range numbers {
				if at.Number() == n {
					at.Confirm()
				}
			}
			res, err := next(ctx, at)
			at.Confirm() // too late
			return res, err
		}))
}

// outcomes collects what attempts and calls end with.
type outcomes struct {
	attempts []core.AttemptReport
	results  []core.Result
	certain  []core.Certainty
}

func (o *outcomes) AttemptDone(_ context.Context, r *core.AttemptReport) {
	o.attempts = append(o.attempts, *r)
}

func (o *outcomes) CallDone(_ context.Context, r *core.CallReport) {
	if r.Result != nil {
		o.results = append(o.results, *r.Result)
	}
	o.certain = append(o.certain, core.CertaintyOf(r.Err))
}

// A one-way attempt that wants an answer ends as the broker says, and is sent once.
func TestConfirmedOneway(t *testing.T) {
	for name, tt := range map[string]struct {
		do        func(tr *coretest.Transport, at *core.Attempt) (*core.Result, error)
		status    core.SendStatus // if it is a result
		class     core.Class
		certainty core.Certainty
	}{
		"stored": {
			do:     func(tr *coretest.Transport, at *core.Attempt) (*core.Result, error) { return tr.Ack(at), nil },
			status: core.SendOK,
		},
		"stored with a weaker status": {
			do: func(tr *coretest.Transport, at *core.Attempt) (*core.Result, error) {
				r := tr.Ack(at)
				r.Status = core.FlushDiskTimeout
				return r, nil
			},
			status: core.FlushDiskTimeout,
		},
		"refused": {
			do: func(_ *coretest.Transport, at *core.Attempt) (*core.Result, error) {
				return nil, coretest.Refuse(at, rocketmq.CodeSystemBusy, "busy")
			},
			class: core.ClassBusy, certainty: core.NotStored,
		},
		"without an answer": {
			do: func(*coretest.Transport, *core.Attempt) (*core.Result, error) {
				return nil, core.ErrTimeout
			},
			class: core.ClassTimeout, certainty: core.MaybeStored,
		},
		"by a transport that cannot": {
			do: func(_ *coretest.Transport, at *core.Attempt) (*core.Result, error) {
				return at.Result(), nil
			},
			status: core.Written,
		},
	} {
		t.Run(name, func(t *testing.T) {
			tr, seen := &coretest.Transport{}, &outcomes{}
			tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
				if !at.WantsAnswer() {
					t.Error("the transport does not learn that an answer is wanted")
				}
				return tt.do(tr, at)
			}
			cfg := coretest.Config(tr, confirm(1), core.ListenerStep("seen", seen))
			cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
				return core.Decision{Retry: f.Attempt < 3, Restore: true}
			})
			err := coretest.Start(t, cfg).SendOneway(t.Context(), coretest.Message("x"))
			if n := len(tr.Attempts()); n != 1 {
				t.Errorf("%d attempts, want 1", n)
			}
			if core.ClassOf(err) != tt.class || core.CertaintyOf(err) != tt.certainty {
				t.Errorf("got %v", err)
			}
			if be := (*core.BrokerError)(nil); errors.As(err, &be) != (tt.class == core.ClassBusy) {
				t.Errorf("got %v", err)
			}
			if err == nil && (len(seen.results) != 1 || seen.results[0].Status != tt.status || seen.results[0].Acked() != (tt.status != core.Written)) {
				t.Errorf("results %+v", seen.results)
			}
		})
	}
}

// What was asked for one attempt is not asked for the next, and not after next.
func TestConfirmIsForOneAttempt(t *testing.T) {
	tr := &coretest.Transport{Unwritten: true}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		if at.Number() < 3 {
			return nil, core.ErrConnect
		}
		return tr.Ack(at), nil
	}
	seen := &outcomes{}
	cfg := coretest.Config(tr, confirm(2), core.ListenerStep("seen", seen))
	cfg.Retry = coretest.Retry(3)
	if err := coretest.Start(t, cfg).SendOneway(t.Context(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	for i, a := range tr.Attempts() {
		if want := i == 1; a.Answer != want {
			t.Errorf("attempt %d: answer wanted: %v, want %v", i+1, a.Answer, want)
		}
	}
	if len(seen.results) != 1 || seen.results[0].Status != core.Written || seen.results[0].Attempts != 3 {
		t.Errorf("results %+v", seen.results)
	}
}

func TestOtherModesAlwaysWantAnAnswer(t *testing.T) {
	tr := &coretest.Transport{}
	p := coretest.Start(t, coretest.Config(tr, confirm(1)))
	if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := p.SendBatch(t.Context(), []*core.Message{coretest.Message("x"), coretest.Message("y")}); err != nil {
		t.Fatal(err)
	}
	plain := coretest.Start(t, coretest.Config(tr))
	if _, err := plain.Send(t.Context(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	for i, a := range tr.Attempts() {
		if !a.Answer {
			t.Errorf("send %d wants no answer", i)
		}
	}
}

// A step that fails an attempt which the broker has confirmed cannot make the
// message unsent.
func TestConfirmedAndFailedByAStep(t *testing.T) {
	cause := errors.New("no")
	fail := core.AttemptStep("after", core.AttemptGuard, core.AttemptInterceptorFunc(
		func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
			if _, err := next(ctx, at); err != nil {
				return nil, err
			}
			return nil, cause
		}))
	for want, steps := range map[core.Certainty][]core.Step{
		core.Stored:      {fail, confirm(1)},
		core.MaybeStored: {fail},
	} {
		tr := &coretest.Transport{}
		err := coretest.Start(t, coretest.Config(tr, steps...)).SendOneway(t.Context(), coretest.Message("x"))
		if !errors.Is(err, cause) || core.CertaintyOf(err) != want || len(tr.Attempts()) != 1 {
			t.Errorf("got %v after %d attempts, want certainty %v", err, len(tr.Attempts()), want)
		}
	}
}
