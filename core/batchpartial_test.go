package core_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// partly is a transport whose broker stores each message of a batch for itself: it refuses
// those whose body begins with "bad" and does not know about those that begin with "odd".
func partly(status core.SendStatus) *coretest.Transport {
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		r := tr.Ack(at)
		r.Status = status
		i := 0
		for o := range at.Call().All() {
			m := core.MessageResult{OffsetMessageID: "id of " + string(o.Body()), QueueOffset: int64(100 + 10*i)}
			switch {
			case strings.HasPrefix(string(o.Body()), "bad"):
				m = core.MessageResult{Err: coretest.Refuse(at, rocketmq.CodeMessageIllegal, string(o.Body()))}
			case strings.HasPrefix(string(o.Body()), "odd"):
				m = core.MessageResult{Err: &core.BrokerError{Class: core.ClassBroker}}
			}
			at.SetMessage(i, m)
			i++
		}
		return r, nil
	}
	return tr
}

func messages(bodies ...string) []*core.Message {
	var out []*core.Message
	for _, b := range bodies {
		out = append(out, coretest.Message(b))
	}
	return out
}

// Of a batch that is stored in part the caller learns what became of each message, and the
// listeners that it failed. Nothing of it is sent again.
func TestSendBatchStoredInPart(t *testing.T) {
	for _, tt := range []struct {
		bodies  []string
		status  core.SendStatus
		refused []int
		class   core.Class
	}{
		{[]string{"1", "bad 2", "3"}, core.SendOK, []int{1}, core.ClassRejected},
		{[]string{"bad 1", "2", "odd 3"}, core.SendOK, []int{0, 2}, core.ClassRejected},
		{[]string{"odd 1", "2", "bad 3"}, core.FlushDiskTimeout, []int{0, 2}, core.ClassBroker},
		{[]string{"1", "odd 2"}, core.SlaveNotAvailable, []int{1}, core.ClassBroker},
		{[]string{"bad"}, core.SendOK, []int{0}, core.ClassRejected},
		{[]string{"1", "2"}, core.SendOK, nil, core.ClassNone},
	} {
		t.Run(fmt.Sprint(tt.bodies, tt.status), func(t *testing.T) {
			tr, seen, own := partly(tt.status), &outcomes{}, &counting{}
			cfg := coretest.Config(tr, core.ListenerStep("seen", seen))
			cfg.Budget = own
			cfg.Retry = core.RetryPolicyFunc(func(*core.Failure) core.Decision { return core.Decision{Retry: true, Restore: true} })
			p := coretest.Start(t, cfg)
			res, err := p.SendBatch(t.Context(), messages(tt.bodies...))
			if len(tr.Attempts()) != 1 || res.Len() != len(tt.bodies) {
				t.Fatalf("%d attempts, %d results, %v", len(tr.Attempts()), res.Len(), err)
			}
			var be *core.BatchError
			if errors.As(err, &be) != (tt.refused != nil) || (err == nil) != (tt.refused == nil) {
				t.Fatalf("got %v", err)
			}
			if err != nil {
				se := sendError(t, err)
				if se.Class != tt.class || se.Certainty != core.MaybeStored || se.Stop != core.StopFinal || se.MessageID != res.At(0).MessageID || se.Topic != "T" {
					t.Errorf("got %+v", se)
				}
				if fmt.Sprint(be.Refused) != fmt.Sprint(tt.refused) || len(be.Errs) != len(tt.refused) {
					t.Errorf("refused %v, %v", be.Refused, be.Errs)
				}
			}
			ids := map[core.MessageID]bool{}
			for i, r := range res.All() {
				ids[r.MessageID] = true
				if good := res.Err(i) == nil; good != !strings.ContainsAny(tt.bodies[i], "bdo") {
					t.Errorf("message %d: %v", i, res.Err(i))
				} else if good && (r.Status != tt.status || r.OffsetMessageID != "id of "+tt.bodies[i] || r.QueueOffset != int64(100+10*i)) ||
					!good && (r.Status != core.StatusNone || r.Acked() || r.OffsetMessageID != "") {
					t.Errorf("message %d: %+v", i, r)
				}
			}
			if len(ids) != len(tt.bodies) {
				t.Errorf("ids %v", ids)
			}
			s := p.Snapshot().Totals
			if failed := uint64(min(len(tt.refused), 1)); s.Failed != failed || s.Maybe != failed || len(seen.results) != 1-int(failed) ||
				len(seen.certain) != 1 || seen.certain[0] != core.CertaintyOf(err) || own.deposits != 1 {
				t.Errorf("totals %+v, outcomes %+v, %d deposits", s, seen.certain, own.deposits)
			}
		})
	}
}

// Each of separate calls in one request has its own outcome.
func TestSeparateCallsStoredInPart(t *testing.T) {
	seen := &lockedOutcomes{}
	bodies := []string{"1", "bad 2", "3", "odd 4"}
	g := &gatherer{n: len(bodies), limit: 1 << 20}
	p := coretest.Start(t, coretest.Config(partly(core.SendOK), core.CallStep("gather", core.StageEncode, g), core.ListenerStep("seen", seen)))
	var wg sync.WaitGroup
	for _, body := range bodies {
		wg.Go(func() {
			res, err := p.Send(context.Background(), coretest.Message(body))
			switch {
			case strings.HasPrefix(body, "bad"):
				if se := sendError(t, err); se.Class != core.ClassRejected || se.Certainty != core.NotStored || se.Stop != core.StopFinal || !strings.Contains(err.Error(), body) {
					t.Errorf("%s: %+v", body, se)
				}
			case strings.HasPrefix(body, "odd"):
				if se := sendError(t, err); se.Class != core.ClassBroker || se.Certainty != core.MaybeStored {
					t.Errorf("%s: %+v", body, se)
				}
			case err != nil || res.OffsetMessageID != "id of "+body || res.QueueOffset < 100 || res.Status != core.SendOK || res.Attempts != 1:
				t.Errorf("%s: %+v, %v", body, res, err)
			}
		})
	}
	wg.Wait()
	if s := p.Snapshot().Totals; s.Failed != 2 || s.Maybe != 1 || s.Messages != 4 || s.Attempts != 1 {
		t.Errorf("totals %+v", s)
	}
}

// lockedOutcomes collects the outcomes of calls that run beside each other.
type lockedOutcomes struct {
	mu sync.Mutex
	outcomes
}

func (o *lockedOutcomes) AttemptDone(context.Context, *core.AttemptReport) {}

func (o *lockedOutcomes) CallDone(ctx context.Context, r *core.CallReport) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.outcomes.CallDone(ctx, r)
}

// What one attempt said of the messages does not stand for the next one.
func TestMessageResultsAreAnAttempts(t *testing.T) {
	second := partly(core.SendOK)
	tr := &coretest.Transport{}
	tr.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
		if at.Number() == 1 {
			_, _ = second.Do(ctx, at)
			return nil, core.ErrConnectionLost
		}
		at.SetOffsetIDs("A,B", idIn)
		r := tr.Ack(at)
		r.QueueOffset = 7
		return r, nil
	}
	cfg := coretest.Config(tr)
	cfg.Retry = coretest.Retry(2)
	res, err := coretest.Start(t, cfg).SendBatch(t.Context(), messages("1", "bad 2"))
	if err != nil || res.At(1).OffsetMessageID != "B" || res.At(1).QueueOffset != 8 || !res.At(1).MaybeDuplicate || res.Err(1) != nil {
		t.Errorf("%+v, %v", res, err)
	}
}

// A batch that failed as a whole has no results, also where a broker had said something of
// its messages.
func TestBatchFailedAsAWhole(t *testing.T) {
	boom := errors.New("boom")
	p := coretest.Start(t, coretest.Config(partly(core.SendOK), around("fail", func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
		_, _ = next(ctx, c)
		return nil, boom
	})))
	res, err := p.SendBatch(t.Context(), messages("1", "bad 2"))
	if res.Len() != 0 || !errors.Is(err, boom) || core.CertaintyOf(err) != core.Stored {
		t.Errorf("%d results, %v", res.Len(), err)
	}
	for _, f := range []func(){func() { res.At(0) }, func() { res.At(-1) }, func() { _ = res.Err(0) }} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("a message that does not exist has a result")
				}
			}()
			f()
		}()
	}
}

// A transport that says of a single message that it was refused is heard: it is a failed
// attempt like any other.
func TestSingleMessageRefused(t *testing.T) {
	tr := partly(core.SendOK)
	cfg := coretest.Config(tr)
	var seen []core.Failure
	cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
		if f.Message.Topic == "T" {
			seen = append(seen, *f)
		}
		return core.Decision{Retry: f.Attempt < 2}
	})
	p := coretest.Start(t, cfg)
	res, err := p.Send(t.Context(), coretest.Message("bad"))
	se := sendError(t, err)
	var be *core.BatchError
	if se.Class != core.ClassRejected || se.Certainty != core.NotStored || len(se.Attempts) != 2 || res.Status != core.StatusNone || errors.As(err, &be) {
		t.Errorf("%+v, %v", res, err)
	}
	if len(seen) != 2 || !seen[0].Answered || seen[0].Code != rocketmq.CodeMessageIllegal {
		t.Errorf("the policy saw %+v", seen)
	}
	if _, err := p.Send(t.Context(), coretest.Message("1")); err != nil {
		t.Error(err)
	}
}

// What a transport says of the whole attempt counts for more than what it said of a message
// before.
func TestSingleMessageRefusedAndLost(t *testing.T) {
	tr := &coretest.Transport{Do: func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		at.SetMessage(0, core.MessageResult{Err: coretest.Refuse(at, rocketmq.CodeMessageIllegal, "")})
		return nil, core.ErrConnectionLost
	}}
	_, err := coretest.Start(t, coretest.Config(tr)).Send(t.Context(), coretest.Message("x"))
	if se := sendError(t, err); se.Class != core.ClassNetwork || se.Certainty != core.MaybeStored {
		t.Errorf("got %v", err)
	}
}

// An error of a message that panics when it is asked is the transport's mistake, and there it
// is found. So is a message that does not exist.
func TestMessageResultsOfABadTransport(t *testing.T) {
	for name, set := range map[string]func(at *core.Attempt){
		"error": func(at *core.Attempt) { at.SetMessage(0, core.MessageResult{Err: (*core.BrokerError)(nil)}) },
		"index": func(at *core.Attempt) { at.SetMessage(2, core.MessageResult{}) },
	} {
		tr := &coretest.Transport{}
		tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) { set(at); return tr.Ack(at), nil }
		_, err := coretest.Start(t, coretest.Config(tr)).SendBatch(t.Context(), messages("1", "2"))
		var pe *core.PanicError
		if !errors.As(err, &pe) || pe.Step != "transport" || core.CertaintyOf(err) != core.MaybeStored {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBatchErrorText(t *testing.T) {
	e := &core.BatchError{}
	for i := range 6 {
		e.Refused, e.Errs = append(e.Refused, 2*i), append(e.Errs, fmt.Errorf("no %d", i))
	}
	e.Errs[0] = core.ErrForbidden
	want := "6 messages of the batch were refused; message 0: rocketmq: send forbidden; message 2: no 1; message 4: no 2; message 6: no 3; 2 more"
	if e.Error() != want || e.ErrorClass() != core.ClassForbidden || !errors.Is(e, core.ErrForbidden) || len(e.Unwrap()) != 6 {
		t.Errorf("%v, %v", e, e.ErrorClass())
	}
	if none := (&core.BatchError{}); core.ClassOf(none) != core.ClassUnknown || none.Error() == "" {
		t.Errorf("%v, %v", none, core.ClassOf(none))
	}
}

// A step that tried to change a body too late does not have it sent by the back door of a
// batch: what was to be encrypted would go out in clear.
func TestMistakesDoNotJoinABatch(t *testing.T) {
	tr := &coretest.Transport{}
	g := &gatherer{n: 1, limit: 1 << 20}
	p := coretest.Start(t, coretest.Config(tr,
		core.CallStep("compress", core.StageEncode, core.InterceptorFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			c.Outgoing().SetPacked([]byte("packed"), "zlib")
			return next(ctx, c)
		})),
		core.CallStep("encrypt", core.StageEncode, core.InterceptorFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			c.Outgoing().SetBody([]byte("secret"))
			return next(ctx, c)
		})),
		core.CallStep("gather", core.StageEncode, g).After("encrypt")))
	_, err := p.Send(t.Context(), coretest.Message("x"))
	if !errors.Is(err, core.ErrEncoded) || core.CertaintyOf(err) != core.NotSent || len(tr.Attempts()) != 0 {
		t.Errorf("%v, sent %v", err, tr.Attempts())
	}
}

// Messages that are sent by different policies do not go together.
func TestBatchIsOfOnePolicy(t *testing.T) {
	tr := &coretest.Transport{}
	g := &gatherer{n: 2, limit: 1 << 20, joined: make(chan struct{}, 2)}
	cfg := coretest.Config(tr, core.CallStep("gather", core.StageEncode, g), core.CallStep("topic", core.StageShape, core.InterceptorFunc(
		func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			c.Outgoing().SetTopic("one")
			return next(ctx, c)
		})))
	cfg.Policies = &core.PolicyTable{Default: &core.Policy{Name: "default"}, ByTopic: map[string]*core.Policy{"A": {Name: "a"}}}
	p := coretest.Start(t, cfg)
	send := func(topic string) error {
		_, err := p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("x")})
		return err
	}
	first := make(chan error, 1)
	go func() { first <- send("A") }()
	<-g.joined
	if err := send("B"); err == nil || !strings.Contains(err.Error(), "does not fit") {
		t.Errorf("got %v", err)
	}
	if err := send("A"); err != nil {
		t.Error(err)
	}
	if err := <-first; err != nil || len(tr.Attempts()) != 1 || tr.Attempts()[0].Messages != 2 {
		t.Errorf("%v, sent %v", err, tr.Attempts())
	}
}

// A batch on its way uses its policy although its callers have left: the services of that
// policy run until the batch has ended.
func TestServicesRunForBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, hold := &journal{}, make(chan struct{})
		tr := &coretest.Transport{}
		tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) { <-hold; return tr.Ack(at), nil }
		cfg := coretest.Config(tr, core.CallStep("batch", core.StageEncode, core.InterceptorFunc(
			func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				b := c.Producer().NewBatch()
				if _, err := b.Add(c, 1<<20); err != nil {
					return nil, err
				}
				b.Go(context.Background(), next, func() { j.write("batch") })
				err := c.Wait(ctx, nil)
				return nil, b.Leave(c, err)
			})))
		cfg.Timeout = time.Second
		cfg.Policies = tableOf(&unit{name: "a", journal: j})
		p, err := core.NewProducer(cfg)
		if err == nil {
			err = p.Start(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Send(t.Context(), coretest.Message("x")); !errors.Is(err, core.ErrTimeout) || core.CertaintyOf(err) != core.MaybeStored {
			t.Errorf("got %v", err)
		}
		if err := p.SetPolicies(t.Context(), tableOf(&unit{name: "b", journal: j})); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		j.expect(t, "a batch is on its way", "start a, start b")
		if s := p.Snapshot().InFlight; s.Batches != 1 || s.Sends != 0 {
			t.Errorf("in flight %+v", s)
		}
		close(hold)
		synctest.Wait()
		j.expect(t, "the batch is over", "batch, stop a")
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A handler that breaks its contract on the producer's goroutine ends no program.
func TestBatchHandlerReturnsNothing(t *testing.T) {
	p := coretest.Start(t, coretest.Config(&coretest.Transport{}, core.CallStep("batch", core.StageEncode, core.InterceptorFunc(
		func(ctx context.Context, c *core.Call, _ core.Handler) (*core.Result, error) {
			b := c.Producer().NewBatch()
			defer b.Release()
			if _, err := b.Add(c, 1); err != nil {
				return nil, err
			}
			done := make(chan struct{})
			b.Go(ctx, func(context.Context, *core.Call) (*core.Result, error) { return nil, nil }, func() { close(done) })
			<-done
			return b.Outcome(c)
		}))))
	if _, err := p.Send(t.Context(), coretest.Message("x")); !errors.Is(err, core.ErrContract) {
		t.Errorf("got %v", err)
	}
}

// An error that a step makes of a batch's says as much as the batch's own.
func TestWrappedErrorOfABatch(t *testing.T) {
	g := &gatherer{n: 1, limit: 1 << 20}
	p := coretest.Start(t, coretest.Config(&coretest.Transport{Do: refused}, core.CallStep("gather", core.StageEncode, g), around("wrap",
		func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			_, err := next(ctx, c)
			return nil, fmt.Errorf("mine: %w", err)
		})))
	_, err := p.Send(t.Context(), coretest.Message("x"))
	if se := sendError(t, err); se.Stop != core.StopPolicy || len(se.Attempts) != 1 || se.Certainty != core.NotStored || se.Class != core.ClassUnavailable {
		t.Errorf("%+v", se)
	}
}
