package core_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// Every wait of an operation ends with its time, its caller or its producer.
func TestOperationEnds(t *testing.T) {
	hang := func(ctx context.Context, op *core.Operation, _ string) (string, error) {
		op.MarkWritten()
		<-ctx.Done()
		return "", context.Cause(ctx)
	}
	slowRoute := coretest.RouteFunc(func(ctx context.Context, _ string) (*core.Route, error) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	})
	waits := opStep(func(ctx context.Context, op *core.Operation, _ core.OperationHandler) error {
		ctx, cancel := op.Bound(ctx)
		defer cancel()
		<-ctx.Done()
		return core.ContextError(ctx)
	})
	boom := errors.New("boom")
	for where, place := range map[string]struct {
		change    func(*recaller, *core.Config)
		certainty core.Certainty
	}{
		"transport": {func(r *recaller, _ *core.Config) { r.recall = hang }, core.MaybeStored},
		"route":     {func(_ *recaller, c *core.Config) { c.Routes, c.RouteTimeout = slowRoute, time.Hour }, core.NotSent},
		"step":      {func(_ *recaller, c *core.Config) { c.Steps = append(c.Steps, waits.step("mine")) }, core.NotSent},
	} {
		for how, end := range map[string]struct {
			after time.Duration
			class core.Class
			is    error
		}{
			"policy":   {3 * time.Second, core.ClassTimeout, core.ErrTimeout},
			"deadline": {500 * time.Millisecond, core.ClassTimeout, context.DeadlineExceeded},
			"cancel":   {700 * time.Millisecond, core.ClassCanceled, boom},
			"ended":    {0, core.ClassCanceled, boom},
			"abort":    {time.Second, core.ClassClosed, core.ErrAborted},
		} {
			t.Run(where+" "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					tr := &recaller{}
					cfg := coretest.Config(tr)
					place.change(tr, &cfg)
					p, err := core.NewProducer(cfg)
					if err == nil {
						err = p.Start(t.Context())
					}
					if err != nil {
						t.Fatal(err)
					}
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					shutdown := make(chan error, 1)
					switch how {
					case "deadline":
						var stop context.CancelFunc
						ctx, stop = context.WithTimeout(ctx, end.after)
						defer stop()
					case "cancel":
						time.AfterFunc(end.after, func() { cancel(boom) })
					case "ended":
						cancel(boom)
					case "abort":
						time.AfterFunc(time.Millisecond, func() { // when the operation is under way
							ctx, stop := context.WithTimeout(context.Background(), end.after-time.Millisecond)
							defer stop()
							shutdown <- p.Shutdown(ctx)
						})
					}
					start := time.Now()
					_, err = p.Recall(ctx, "T", handleOf("T", "broker-a"))
					oe := opError(t, err)
					certainty := place.certainty
					if how == "ended" {
						certainty = core.NotSent
					}
					if oe.Class != end.class || oe.Certainty != certainty || !errors.Is(err, end.is) {
						t.Errorf("got %v: %v, %v", err, oe.Class, oe.Certainty)
					}
					if took := time.Since(start); took != end.after {
						t.Errorf("it took %v, want %v", took, end.after)
					}
					if how == "abort" {
						var se *core.ShutdownError
						if err := <-shutdown; !errors.As(err, &se) || se.Undelivered != 1 {
							t.Errorf("shutdown: %v", err)
						}
					}
					if err := p.Shutdown(t.Context()); err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}

// What a transport says of a connection counts also where the caller has left meanwhile.
func TestOperationFailsAfterItsCallerLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &recaller{recall: func(ctx context.Context, op *core.Operation, _ string) (string, error) {
			op.MarkWritten()
			<-ctx.Done()
			return "", core.ErrConnectionLost
		}}
		p := coretest.Start(t, coretest.Config(tr))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := p.Recall(ctx, "T", handleOf("T", "broker-a"))
		if oe := opError(t, err); oe.Class != core.ClassNetwork || oe.Certainty != core.MaybeStored {
			t.Errorf("got %v", err)
		}
	})
}

// An operation has the time of its policy, or of its caller where that is less, and its
// context ends with it. The time at the transport is its latency.
func TestTimeOfAnOperation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var within context.Context
		tr := &recaller{}
		tr.recall = func(ctx context.Context, _ *core.Operation, _ string) (string, error) {
			within = ctx
			time.Sleep(50 * time.Millisecond)
			return "id", nil
		}
		var got, latency time.Duration
		p := coretest.Start(t, coretest.Config(tr, opStep(func(ctx context.Context, op *core.Operation, next core.OperationHandler) error {
			time.Sleep(10 * time.Millisecond)
			got = op.Deadline().Sub(op.Start())
			err := next(ctx, op)
			latency = op.Latency()
			return err
		}).step("watch")))
		for limit, want := range map[time.Duration]time.Duration{time.Second: time.Second, time.Minute: core.DefaultTimeout} {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			if _, err := p.Recall(ctx, "T", handleOf("T", "broker-a")); err != nil || got != want || latency != 50*time.Millisecond {
				t.Errorf("%v: %v, it had %v, of which the transport took %v", limit, err, got, latency)
			}
			if within.Err() == nil {
				t.Error("the context of an operation outlives it")
			}
			cancel()
		}
	})
}

// A topic that is only used by operations is in use.
func TestTopicOfOperationsStaysFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &balance{count: map[string]int{}}
		p := coretest.Start(t, coretest.Config(&recaller{}, core.ListenerStep("balance", b)))
		for range 30 {
			if _, err := p.Recall(t.Context(), "T", handleOf("T", "broker-a")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(core.DefaultRouteRefresh)
			synctest.Wait()
			if b.of("broker-a") != 1 {
				t.Fatal("the route is forgotten")
			}
		}
	})
}

// Shutdown waits for operations as it does for sends.
func TestShutdownWaitsForOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &recaller{recall: func(context.Context, *core.Operation, string) (string, error) {
			time.Sleep(time.Second)
			return "id", nil
		}}
		p, err := core.NewProducer(coretest.Config(tr))
		if err != nil {
			t.Fatal(err)
		}
		recall := func() error { _, err := p.Recall(t.Context(), "T", handleOf("T", "broker-a")); return err }
		if err := recall(); !errors.Is(err, core.ErrNotRunning) || opError(t, err).Class != core.ClassClosed {
			t.Errorf("before Start: %v", err)
		}
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		var none context.Context
		if _, err := p.Recall(none, "T", handleOf("T", "broker-a")); opError(t, err).Class != core.ClassInvalid {
			t.Errorf("without a context: %v", err)
		}
		first, start := make(chan error, 1), time.Now()
		go func() { first <- recall() }()
		synctest.Wait()
		if n := p.Snapshot().InFlight.Sends; n != 1 {
			t.Errorf("%d in flight", n)
		}
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("Shutdown waited %v", took)
		}
		if err := <-first; err != nil {
			t.Error(err)
		}
		if err := recall(); !errors.Is(err, core.ErrClosed) || opError(t, err).Certainty != core.NotSent {
			t.Errorf("after Shutdown: %v", err)
		}
	})
}
