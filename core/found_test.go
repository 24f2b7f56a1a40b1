package core_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// Faults that a reading of the engine found, a test each.

// keyed is a selector whose choice carries meaning: the first queue.
type keyed struct{ asked atomic.Int64 }

func (k *keyed) Select(context.Context, *core.Selection) (int, error) {
	k.asked.Add(1)
	return 0, nil
}

func (k *keyed) RequiresConsistency(*core.Message) bool { return true }

// Symptom: after a policy asked for the same queue again, the queue no longer counted as fixed,
// so that an attempt was capped and a breaker's refusal led to another queue.
func TestSameQueueStaysConsistent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &coretest.Transport{}
		tr.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
			if at.Number() == 1 {
				return nil, coretest.Refuse(at, rocketmq.CodeSystemBusy, "")
			}
			return nil, coretest.Hang(ctx, at)
		}
		var consistent []bool
		cfg := coretest.Config(tr)
		cfg.Selector = core.SelectorFactoryFunc(func(string) core.QueueSelector { return &keyed{} })
		cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
			if f.Message.Topic == "T" {
				consistent = append(consistent, f.Consistent)
			}
			return core.Decision{Retry: f.Attempt < 2, Reroute: core.SameQueue}
		})
		p := coretest.Start(t, cfg)
		_, err := p.Send(t.Context(), coretest.Message("x"))
		sent := tr.Attempts()
		if len(sent) != 2 || sent[1].Time != core.DefaultTimeout || sent[0].Queue != sent[1].Queue {
			t.Errorf("attempts %v, %v", sent, err)
		}
		if len(consistent) != 2 || !consistent[0] || !consistent[1] {
			t.Errorf("consistent %v", consistent)
		}
		if se := sendError(t, err); se.Stop != core.StopPolicy {
			t.Errorf("stop %v", se.Stop)
		}
	})
}

// Symptom: a batch that was stored with a weaker status, and whose next attempt failed, had the
// places of the messages of that next attempt.
func TestWeakBatchKeepsItsPlaces(t *testing.T) {
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		if at.Number() > 1 {
			return nil, core.ErrConnect
		}
		at.SetMessage(0, core.MessageResult{OffsetMessageID: "A", QueueOffset: 76})
		at.SetMessage(1, core.MessageResult{OffsetMessageID: "B", QueueOffset: 99})
		res := tr.Ack(at)
		res.Status = core.FlushDiskTimeout
		return res, nil
	}
	cfg := coretest.Config(tr)
	cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision { return core.Decision{Retry: f.Attempt < 2, Restore: true} })
	b, err := coretest.Start(t, cfg).SendBatch(t.Context(), []*core.Message{coretest.Message("x"), coretest.Message("y")})
	if err != nil || b.At(1).OffsetMessageID != "B" || b.At(1).QueueOffset != 99 || b.At(1).Status != core.FlushDiskTimeout || len(tr.Attempts()) != 2 {
		t.Errorf("%+v, %v", b, err)
	}
}

// Symptom: a topic whose queues became read-only was written to by the call that learned of it,
// to the end of its attempts.
func TestRouteThatIsGivenUpIsNotUsed(t *testing.T) {
	for name, refuse := range map[string]func(context.Context, *core.Attempt) error{
		"the call waits for the new route": code(rocketmq.CodeNoPermission, "sending is forbidden"),
		"the look-up runs beside it":       code(rocketmq.CodeServiceNotAvailable, ""),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &source{give: func(n int) (*core.Route, error) {
					if n == 1 {
						return routeTo("old"), nil
					}
					return nil, core.ErrNotWritable
				}}
				tr := &coretest.Transport{}
				failOn(tr, "old", refuse)
				cfg := coretest.Config(tr)
				cfg.Routes = src
				cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
					return core.Decision{Retry: f.Attempt < 5, After: 200 * time.Millisecond}
				})
				_, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x"))
				if !errors.Is(err, core.ErrNotWritable) {
					t.Error(err)
				}
				// Beside a look-up one attempt may still go out before it has its answer.
				if n := len(tr.Attempts()); n > 2 {
					t.Errorf("%d attempts", n)
				}
			})
		})
	}
}

// Symptom: refusals of breakers added up over the retries of a call, so that a call ended as
// circuit-open although its policy wanted to go on and a broker was there.
func TestRefusalsDoNotAddUpOverRetries(t *testing.T) {
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		if len(tr.Attempts()) < 4 {
			return nil, coretest.Refuse(at, rocketmq.CodeSystemBusy, "")
		}
		return tr.Ack(at), nil
	}
	refuseA := core.AttemptStep("refuse", core.AttemptProtect, core.AttemptInterceptorFunc(
		func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
			if at.Broker().Name == "broker-a" {
				return nil, core.ErrCircuitOpen
			}
			return next(ctx, at)
		}))
	cfg := coretest.Config(tr, refuseA)
	// The selector takes the brokers in turn: A is refused before each attempt at B.
	cfg.Selector = core.SelectorFactoryFunc(func(string) core.QueueSelector {
		turn := 0
		return core.QueueSelectorFunc(func(_ context.Context, s *core.Selection) (int, error) {
			turn++
			return s.Spread(turn % 2), nil
		})
	})
	cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
		return core.Decision{Retry: f.Attempt < 10}
	})
	res, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x"))
	if err != nil || res.Attempts != 4 {
		t.Errorf("%d attempts, %v", res.Attempts, err)
	}
}

// A negative pause is none.
func TestNegativePause(t *testing.T) {
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		if at.Number() == 1 {
			return nil, coretest.Refuse(at, rocketmq.CodeSystemBusy, "")
		}
		return tr.Ack(at), nil
	}
	cfg := coretest.Config(tr)
	cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
		return core.Decision{Retry: f.Attempt < 2, After: -time.Second}
	})
	if res, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x")); err != nil || res.Attempts != 2 {
		t.Errorf("%d attempts, %v", res.Attempts, err)
	}
}
