package core_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// A policy sees of each failed attempt what there is to see, and nothing of the one before.
func TestWhatAPolicySees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boom := errors.New("boom")
		busy := &core.BrokerError{Code: rocketmq.CodeSystemBusy, Class: core.ClassBusy, Certainty: core.NotStored}
		unsure := &core.BrokerError{Class: core.ClassUnavailable}
		tr := &coretest.Transport{Unwritten: true}
		var prev []error
		tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
			time.Sleep(100 * time.Millisecond)
			prev = append(prev, at.Prev())
			if at.Number() != 3 {
				at.MarkWritten()
			}
			r := tr.Ack(at)
			switch at.Number() {
			case 1:
				return nil, fmt.Errorf("it said: %w", busy)
			case 2:
				return nil, core.ErrConnectionLost
			case 3:
				return nil, boom
			case 4:
				return nil, unsure
			case 5:
				r.Status = core.FlushSlaveTimeout
			}
			return r, nil
		}
		cfg := coretest.Config(tr)
		cfg.Routes = coretest.Routes(1, "broker-a", "broker-b", "broker-c", "broker-d")
		var seen []core.Failure
		cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
			if f.Message.Topic == "T" {
				seen = append(seen, *f)
			}
			return core.Decision{Retry: true, Restore: true, After: 50 * time.Millisecond}
		})
		p := coretest.Start(t, cfg)
		m := coretest.Message("x")
		res, err := p.Send(t.Context(), m, core.SendTimeout(time.Second))
		if err != nil || res.Status != core.SendOK || res.Attempts != 6 || !res.MaybeDuplicate {
			t.Fatalf("%+v, %v", res, err)
		}
		want := []core.Failure{
			{Err: busy, Class: core.ClassBusy, Answered: true, Code: rocketmq.CodeSystemBusy, Certainty: core.NotStored, Untried: 3},
			{Err: core.ErrConnectionLost, Class: core.ClassNetwork, Certainty: core.MaybeStored, Untried: 2},
			{Err: boom, Class: core.ClassUnknown, Certainty: core.NotSent, Untried: 1},
			{Err: unsure, Class: core.ClassUnavailable, Answered: true, Certainty: core.MaybeStored},
			{Status: core.FlushSlaveTimeout, Certainty: core.Stored},
		}
		if len(seen) != len(want) {
			t.Fatalf("asked %d times", len(seen))
		}
		for i, w := range want {
			got := seen[i]
			if !errors.Is(got.Err, w.Err) || (got.Err == nil) != (w.Err == nil) {
				t.Errorf("failure %d: %v, want %v", i+1, got.Err, w.Err)
			}
			w.Attempt, w.Err, w.Mode, w.Message = i+1, got.Err, core.Sync, m
			if i > 0 {
				w.Paused = 50 * time.Millisecond
			}
			w.Elapsed = time.Duration(i)*150*time.Millisecond + 100*time.Millisecond
			w.Remaining = time.Second - w.Elapsed
			if got != w {
				t.Errorf("failure %d: %+v\nwant %+v", i+1, got, w)
			}
		}
		for i, err := range prev {
			// A success that was not enough is no error.
			if want := seen[max(0, min(i, 4)-1)].Err; i == 0 && err != nil || i > 0 && err != want {
				t.Errorf("before attempt %d came %v, want %v", i+1, err, want)
			}
		}
	})
}

// In the other modes a policy sees the mode, and whether the queue is fixed.
func TestWhatAPolicySeesOfModes(t *testing.T) {
	var seen []core.Failure
	cfg := coretest.Config(&coretest.Transport{Unwritten: true, Do: func(context.Context, *core.Attempt) (*core.Result, error) { return nil, core.ErrConnect }})
	cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
		if f.Message.Topic == "T" {
			seen = append(seen, *f)
		}
		return core.Decision{}
	})
	p := coretest.Start(t, cfg)
	_ = p.SendOneway(t.Context(), coretest.Message("x"))
	done := make(chan error)
	p.SendAsync(t.Context(), coretest.Message("x"), func(_ core.Result, err error) { done <- err })
	<-done
	fixed := coretest.Message("x")
	fixed.Queue = &core.Queue{Broker: "broker-a"}
	_, _ = p.Send(t.Context(), fixed)
	for i, want := range []core.Failure{{Mode: core.Oneway}, {Mode: core.Async}, {Mode: core.Sync, Consistent: true}} {
		if got := seen[i]; got.Mode != want.Mode || got.Consistent != want.Consistent || got.Certainty != core.NotSent {
			t.Errorf("%d: %+v, want %+v", i, got, want)
		}
	}
}

// A transport may return a result of its own, which arrives whole; the call's id stays.
func TestTransportsOwnResult(t *testing.T) {
	own := &core.Result{
		Status: core.SendOK, OffsetMessageID: "offset", QueueOffset: 7, TransactionID: "tx", RegionID: "region", RecallHandle: "handle",
		TraceOn: true, Queue: core.Queue{Broker: "elsewhere", ID: 9}, Attempts: 77, MaybeDuplicate: true, MessageID: core.MessageID{1},
	}
	before := *own
	p := coretest.Start(t, coretest.Config(&coretest.Transport{Do: func(context.Context, *core.Attempt) (*core.Result, error) { return own, nil }}))
	res, err := p.Send(t.Context(), coretest.Message("x"))
	want := before
	want.Attempts, want.MaybeDuplicate, want.MessageID = 1, false, res.MessageID
	if err != nil || res != want || res.MessageID == before.MessageID || *own != before {
		t.Errorf("%+v, %v, and the transport's is %+v", res, err, *own)
	}
}

// A transport that only writes acknowledges nothing, in no mode, and is not asked again.
func TestTransportThatOnlyWrites(t *testing.T) {
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		r := at.Result()
		r.Status = core.Written
		return r, nil
	}
	cfg := coretest.Config(tr)
	cfg.Retry = core.RetryPolicyFunc(func(*core.Failure) core.Decision { return core.Decision{Retry: true, Restore: true} })
	res, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x"))
	if err != nil || res.Acked() || res.Status != core.Written || len(tr.Attempts()) != 1 {
		t.Errorf("%+v, %v after %d attempts", res, err, len(tr.Attempts()))
	}
}

// What a broker has confirmed is not sent again, whatever a step makes of it.
func TestConfirmedIsFinal(t *testing.T) {
	boom := errors.New("boom")
	tr := &coretest.Transport{}
	cfg := coretest.Config(tr, core.AttemptStep("after", core.AttemptGuard, core.AttemptInterceptorFunc(
		func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
			_, _ = next(ctx, at)
			return nil, boom
		})))
	cfg.Retry = coretest.Retry(5)
	_, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x"))
	if se := sendError(t, err); !errors.Is(err, boom) || se.Stop != core.StopFinal || se.Certainty != core.Stored || len(tr.Attempts()) != 1 {
		t.Errorf("%+v after %d attempts", se, len(tr.Attempts()))
	}
}

// A breaker is asked about each broker once and about one more as the last resort, and once
// where no other broker may take the message. A refusal of the transport is another thing: it
// is an attempt.
func TestHowOftenABreakerIsAsked(t *testing.T) {
	for _, tt := range []struct {
		name     string
		fixed    bool
		within   bool // the transport says it
		asked    int
		attempts int
	}{
		{"any queue", false, false, 4, 0},
		{"fixed queue", true, false, 1, 0},
		{"by the transport", false, true, 2, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked := 0
			open := core.AttemptInterceptorFunc(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
				asked++
				if tt.within {
					return next(ctx, at)
				}
				return nil, core.ErrCircuitOpen
			})
			tr := &coretest.Transport{Do: func(context.Context, *core.Attempt) (*core.Result, error) { return nil, core.ErrCircuitOpen }}
			cfg := coretest.Config(tr, core.AttemptStep("open", core.AttemptProtect, open))
			cfg.Routes, cfg.Retry = coretest.Routes(1, "broker-a", "broker-b", "broker-c"), coretest.Retry(2)
			m := coretest.Message("x")
			if tt.fixed {
				m.Queue = &core.Queue{Broker: "broker-a"}
			}
			_, err := coretest.Start(t, cfg).Send(t.Context(), m)
			if se := sendError(t, err); se.Class != core.ClassCircuitOpen || len(se.Attempts) != tt.attempts || asked != tt.asked {
				t.Errorf("asked %d times, %+v", asked, se)
			}
		})
	}
}

// The same queue again is asked for once where a breaker refuses even a last resort: the
// message must not go to another one instead.
func TestBreakerThatRefusesTheSameQueue(t *testing.T) {
	asked := 0
	open := core.AttemptInterceptorFunc(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
		if asked++; asked > 1 {
			return nil, core.ErrCircuitOpen
		}
		return next(ctx, at)
	})
	tr := &coretest.Transport{Do: func(context.Context, *core.Attempt) (*core.Result, error) { return nil, core.ErrConnect }}
	cfg := coretest.Config(tr, core.AttemptStep("open", core.AttemptProtect, open))
	cfg.Retry = again(3)
	_, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x"))
	if se := sendError(t, err); se.Class != core.ClassCircuitOpen || len(se.Attempts) != 1 || asked != 2 {
		t.Errorf("asked %d times, %+v", asked, se)
	}
}

// ledger is a budget that notes what it is asked, a view in which some brokers are down.
type ledger struct {
	down    map[string]bool
	outages []bool
}

func (l *ledger) Withdraw(f *core.Failure) bool {
	l.outages = append(l.outages, f.Outage)
	return true
}
func (*ledger) Deposit() {}
func (l *ledger) Health(b core.Broker) core.Health {
	if l.down[b.Name] {
		return core.HealthDown
	}
	return core.HealthSuspect
}

// The budget hears of an outage where every broker is down that may take the message.
func TestOutage(t *testing.T) {
	for _, tt := range []struct {
		name  string
		down  []string
		queue string // the broker of a fixed queue
		view  bool
		want  bool
	}{
		{"none is down", nil, "", true, false},
		{"one of two", []string{"broker-a"}, "", true, false},
		{"the other one", []string{"broker-b"}, "", true, false},
		{"both", []string{"broker-a", "broker-b"}, "", true, true},
		{"its own", []string{"broker-a"}, "broker-a", true, true},
		{"not its own", []string{"broker-b"}, "broker-a", true, false},
		{"without a view", []string{"broker-a", "broker-b"}, "", false, false},
		{"one is absent, the other down", []string{"broker-a"}, "", true, true},
		{"one is absent, the other well", nil, "", true, false},
		{"its own is absent", nil, "broker-b", false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := &ledger{down: map[string]bool{}}
			for _, name := range tt.down {
				l.down[name] = true
			}
			cfg := coretest.Config(&coretest.Transport{Do: func(context.Context, *core.Attempt) (*core.Result, error) { return nil, core.ErrConnect }})
			cfg.Retry, cfg.Budget = coretest.Retry(3), l
			if strings.Contains(tt.name, "absent") {
				routes := &halfThere{}
				routes.absent.Store(true)
				cfg.Routes = routes
			}
			if tt.view {
				cfg.Health = l
			}
			var policy []bool
			cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
				if f.Message.Topic == "T" {
					policy = append(policy, f.Outage)
				}
				return core.Decision{Retry: f.Attempt < 3}
			})
			m := coretest.Message("x")
			if tt.queue != "" {
				m.Queue = &core.Queue{Broker: tt.queue}
			}
			if _, err := coretest.Start(t, cfg).Send(t.Context(), m); !errors.Is(err, core.ErrConnect) {
				t.Error(err)
			}
			if !slices.Equal(l.outages, []bool{tt.want, tt.want}) || !slices.Equal(policy, []bool{tt.want, tt.want, tt.want}) {
				t.Errorf("the budget heard %v and the policy %v, want %v", l.outages, policy, tt.want)
			}
		})
	}
}

// scribbler is a listener that writes into results.
type scribbler struct{}

func (scribbler) AttemptDone(_ context.Context, r *core.AttemptReport) { scribble(r.Result) }
func (scribbler) CallDone(_ context.Context, r *core.CallReport)       { scribble(r.Result) }

func scribble(r *core.Result) {
	if r != nil {
		*r = core.Result{Status: core.FlushDiskTimeout, Queue: core.Queue{Broker: "scribbled"}}
	}
}

// What a listener writes into a report reaches neither the caller nor the engine.
func TestListenersGetCopies(t *testing.T) {
	own := &core.Result{Status: core.SendOK, RegionID: "region"}
	for name, do := range map[string]func(at *core.Attempt) *core.Result{
		"the call's": func(at *core.Attempt) *core.Result { at.Result().RegionID = "region"; return at.Result() },
		"its own":    func(*core.Attempt) *core.Result { return own },
	} {
		tr := &coretest.Transport{Do: func(_ context.Context, at *core.Attempt) (*core.Result, error) { return do(at), nil }}
		p := coretest.Start(t, coretest.Config(tr, core.ListenerStep("scribbler", scribbler{})))
		res, err := p.Send(t.Context(), coretest.Message("x"))
		batch, batchErr := p.SendBatch(t.Context(), messages("1", "2"))
		if err != nil || batchErr != nil {
			t.Fatal(err, batchErr)
		}
		for _, r := range []core.Result{res, batch.At(0), *own} {
			if r.Status != core.SendOK || r.RegionID != "region" || r.Queue.Broker == "scribbled" {
				t.Errorf("%s: %+v", name, r)
			}
		}
	}
}
