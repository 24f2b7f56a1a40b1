package core_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// recaller is a transport that takes messages back.
type recaller struct {
	coretest.Transport
	lacks  []core.Feature
	recall func(ctx context.Context, op *core.Operation, handle string) (string, error)
	asked  []string // the brokers' addresses and the handles
}

func (r *recaller) Capabilities() core.Capabilities { return core.Capabilities{Lacks: r.lacks} }

func (r *recaller) Recall(ctx context.Context, op *core.Operation, handle string) (string, error) {
	r.asked = append(r.asked, op.Addr()+" "+handle)
	if r.recall == nil {
		op.MarkWritten()
		return "id", nil
	}
	return r.recall(ctx, op, handle)
}

func handleOf(topic, broker string) string {
	return rocketmq.RecallHandle{Topic: topic, Broker: broker, DeliverAt: time.UnixMilli(1764000000123), MessageID: "AC11"}.String()
}

func opError(t *testing.T, err error) *core.OperationError {
	t.Helper()
	var oe *core.OperationError
	if !errors.As(err, &oe) {
		t.Fatalf("got %T %v, want an *OperationError", err, err)
	}
	return oe
}

func TestRecall(t *testing.T) {
	tr := &recaller{}
	p := coretest.Start(t, coretest.Config(tr))
	handle := handleOf("T", "broker-b")
	id, err := p.Recall(t.Context(), "T", handle)
	if err != nil || id != "id" || !slices.Equal(tr.asked, []string{"broker-b:10911 " + handle}) {
		t.Errorf("%q, %v, asked %q", id, err, tr.asked)
	}
	if s := p.Snapshot().Totals; s.Operations != 1 || s.FailedOperations != 0 || s.Attempts != 0 || s.Messages != 0 {
		t.Errorf("totals %+v", s)
	}
}

// What goes wrong is told with its class, with what became of the request, and counted.
func TestRecallFails(t *testing.T) {
	boom := errors.New("boom")
	says := func(err error, written bool) func(*recaller, *core.Config) {
		return func(r *recaller, _ *core.Config) {
			r.recall = func(_ context.Context, op *core.Operation, _ string) (string, error) {
				if written {
					op.MarkWritten()
				}
				return "id", err
			}
		}
	}
	step := func(f opStep) func(*recaller, *core.Config) {
		return func(_ *recaller, c *core.Config) { c.Steps = append(c.Steps, f.step("mine")) }
	}
	refusal := func(c core.Certainty) error {
		return fmt.Errorf("it said: %w", &core.BrokerError{Code: rocketmq.CodeIllegalOperation, Class: core.ClassRejected, Certainty: c})
	}
	noRoute := coretest.RouteFunc(func(context.Context, string) (*core.Route, error) { return nil, core.ErrNoRoute })
	for _, tt := range []struct {
		name      string
		topic     string
		handle    string
		change    func(*recaller, *core.Config)
		class     core.Class
		certainty core.Certainty
		is        error
		says      string
		addr      string
		asked     int
	}{
		{name: "no handle", handle: "-", class: core.ClassInvalid, certainty: core.NotSent, is: core.ErrInvalidMessage, says: "recall handle"},
		{name: "bad handle", handle: "djI=", class: core.ClassInvalid, certainty: core.NotSent, is: rocketmq.ErrRecallHandle},
		{name: "another topic", topic: "U", class: core.ClassInvalid, certainty: core.NotSent, is: core.ErrInvalidMessage, says: `the handle is of topic "T", not "U"`},
		{name: "unknown topic", change: func(_ *recaller, c *core.Config) { c.Routes = noRoute }, class: core.ClassNoRoute, certainty: core.NotSent, is: core.ErrNoRoute},
		{name: "unknown broker", handle: handleOf("T", "broker-z"), class: core.ClassNoRoute, certainty: core.NotSent, is: core.ErrNoRoute, says: `broker "broker-z" is not in the route of "T"`},
		{name: "a transport that cannot", change: func(r *recaller, c *core.Config) { c.Transport = &r.Transport }, class: core.ClassUnsupported, certainty: core.NotSent, is: core.ErrUnsupported, says: "recall"},
		{name: "a transport that cannot, and a handle that it does not know", handle: "MAILBOX-7", change: func(r *recaller, c *core.Config) { c.Transport = &r.Transport }, class: core.ClassUnsupported, certainty: core.NotSent, is: core.ErrUnsupported, says: "recall"},
		{name: "servers that cannot", change: func(r *recaller, _ *core.Config) { r.lacks = []core.Feature{core.FeatureRecall} }, class: core.ClassUnsupported, certainty: core.NotSent, is: core.ErrUnsupported},
		{name: "never sent", change: says(core.ErrConnect, false), class: core.ClassNetwork, certainty: core.NotSent, is: core.ErrConnect, addr: "broker-a:10911", asked: 1},
		{name: "lost", change: says(core.ErrConnectionLost, true), class: core.ClassNetwork, certainty: core.MaybeStored, is: core.ErrConnectionLost, addr: "broker-a:10911", asked: 1, says: "it may have been carried out"},
		{name: "refused", change: says(refusal(core.NotStored), true), class: core.ClassRejected, certainty: core.NotStored, addr: "broker-a:10911", asked: 1, says: "it was not carried out"},
		{name: "refused, unsure", change: says(refusal(core.CertaintyUnknown), true), class: core.ClassRejected, certainty: core.MaybeStored, addr: "broker-a:10911", asked: 1},
		{name: "an error that panics", change: says((*core.BrokerError)(nil), true), class: core.ClassPlugin, certainty: core.MaybeStored, addr: "broker-a:10911", asked: 1, says: "panic in transport"},
		{
			name: "transport panics", class: core.ClassPlugin, certainty: core.MaybeStored, addr: "broker-a:10911", asked: 1, is: boom, says: "panic in transport",
			change: func(r *recaller, _ *core.Config) {
				r.recall = func(_ context.Context, op *core.Operation, _ string) (string, error) { op.MarkWritten(); panic(boom) }
			},
		},
		{name: "veto", change: step(func(context.Context, *core.Operation, core.OperationHandler) error { return core.ErrForbidden }), class: core.ClassForbidden, certainty: core.NotSent, is: core.ErrForbidden},
		{name: "step panics", change: step(func(context.Context, *core.Operation, core.OperationHandler) error { panic(boom) }), class: core.ClassPlugin, certainty: core.NotSent, is: boom, says: "panic in mine"},
		{
			name: "a step fails what was carried out", class: core.ClassUnknown, certainty: core.MaybeStored, is: boom, asked: 1, addr: "broker-a:10911",
			change: step(func(ctx context.Context, op *core.Operation, next core.OperationHandler) error {
				if err := next(ctx, op); err != nil {
					return err
				}
				return boom
			}),
		},
		{
			name: "a step fails what was carried out unmarked", class: core.ClassUnknown, certainty: core.MaybeStored, is: boom, asked: 1, addr: "broker-a:10911",
			change: func(r *recaller, c *core.Config) {
				r.recall = func(context.Context, *core.Operation, string) (string, error) { return "id", nil }
				step(func(ctx context.Context, op *core.Operation, next core.OperationHandler) error {
					_ = next(ctx, op)
					return boom
				})(r, c)
			},
		},
		{name: "a success of a step alone", change: step(func(context.Context, *core.Operation, core.OperationHandler) error { return nil }), class: core.ClassPlugin, certainty: core.NotSent, is: core.ErrContract, says: `gave an operation a success that the transport did not make`},
		{
			name: "a failure that a step hides", class: core.ClassPlugin, certainty: core.MaybeStored, is: core.ErrContract, asked: 1, addr: "broker-a:10911",
			change: func(r *recaller, c *core.Config) {
				says(core.ErrConnectionLost, true)(r, c)
				step(func(ctx context.Context, op *core.Operation, next core.OperationHandler) error {
					_ = next(ctx, op)
					return nil
				})(r, c)
			},
		},
		{
			name: "next twice", class: core.ClassPlugin, certainty: core.MaybeStored, is: core.ErrNextTwice, asked: 1, addr: "broker-a:10911", says: "called twice: by step",
			change: step(func(ctx context.Context, op *core.Operation, next core.OperationHandler) error {
				if err := next(ctx, op); err != nil {
					return err
				}
				return next(ctx, op)
			}),
		},
		{
			name: "another operation's error", class: core.ClassTimeout, certainty: core.MaybeStored, is: core.ErrTimeout,
			change: step(func(context.Context, *core.Operation, core.OperationHandler) error {
				return fmt.Errorf("the other cluster: %w", &core.OperationError{Class: core.ClassTimeout, Cause: core.ErrTimeout})
			}),
		},
		{
			name: "another producer's error", class: core.ClassClosed, certainty: core.MaybeStored, is: core.ErrNotRunning, asked: 1, addr: "broker-a:10911",
			change: func(r *recaller, c *core.Config) {
				says(core.ErrConnectionLost, true)(r, c)
				step(func(ctx context.Context, op *core.Operation, next core.OperationHandler) error {
					_ = next(ctx, op)
					other, err := core.NewProducer(coretest.Config(&recaller{}))
					if err == nil {
						_, err = other.Recall(ctx, op.Topic(), handleOf("T", "broker-a"))
					}
					return err
				})(r, c)
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := &recaller{}
			cfg := coretest.Config(tr)
			if tt.change != nil {
				tt.change(tr, &cfg)
			}
			p := coretest.Start(t, cfg)
			topic, handle := "T", handleOf("T", "broker-a")
			if tt.topic != "" {
				topic = tt.topic
			}
			if tt.handle != "" {
				handle = strings.TrimPrefix(tt.handle, "-")
			}
			id, err := p.Recall(t.Context(), topic, handle)
			oe := opError(t, err)
			if oe.Class != tt.class || oe.Certainty != tt.certainty || oe.Topic != topic || oe.Addr != tt.addr || oe.Kind != core.OperationRecall || id != "" {
				t.Errorf("got %+v, id %q; want %v, %v, address %q", oe, id, tt.class, tt.certainty, tt.addr)
			}
			if tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want one that is %v and says %q", err, tt.is, tt.says)
			}
			if core.ClassOf(err) != tt.class || len(tr.asked) != tt.asked {
				t.Errorf("class %v, asked %q", core.ClassOf(err), tr.asked)
			}
			if s := p.Snapshot().Totals; s.Operations != 1 || s.FailedOperations != 1 {
				t.Errorf("totals %+v", s)
			}
		})
	}
}

// opStep runs around operations. Placed in message scope or in attempt scope it does nothing
// around sends.
type opStep func(ctx context.Context, op *core.Operation, next core.OperationHandler) error

type (
	opCall struct {
		onion
		opStep
	}
	opAttempt struct {
		ring
		opStep
	}
	opBoth struct {
		passing
		opStep
	}
)

func (f opStep) InterceptOperation(ctx context.Context, op *core.Operation, next core.OperationHandler) error {
	return f(ctx, op, next)
}

func (f opStep) step(name string) core.Step {
	return core.CallStep(name, core.StageGuard, opCall{opStep: f})
}

func (f opStep) attemptStep(name string) core.Step {
	return core.AttemptStep(name, core.AttemptGuard, opAttempt{opStep: f})
}

// Steps run in the order of the pipeline, message scope outside of attempt scope, which
// alone knows the broker. A value in both scopes runs once, outside.
func TestStepsAroundOperations(t *testing.T) {
	var log []string
	note := func(name string) opStep {
		return func(ctx context.Context, op *core.Operation, next core.OperationHandler) error {
			log = append(log, name+" "+op.Addr())
			if op.Kind() != core.OperationRecall || op.Group() != "test" || op.Topic() != "T" || op.Deadline().Sub(op.Start()) != core.DefaultTimeout {
				t.Errorf("%s sees %+v", name, op)
			}
			if op.Entered() || op.Written() || op.Latency() != 0 {
				t.Errorf("%s sees an operation that was made already", name)
			}
			err := next(ctx, op)
			if !op.Entered() || !op.Written() || op.Broker().Name != "broker-a" {
				t.Errorf("%s sees an operation that was not made", name)
			}
			log = append(log, name)
			return err
		}
	}
	both := &opBoth{opStep: note("both")}
	one, other := &opCall{opStep: note("one half")}, &opAttempt{opStep: note("the other half")}
	p := coretest.Start(t, coretest.Config(&recaller{},
		note("d.inner").attemptStep("d"),
		core.AttemptStep("c", core.AttemptObserve, opAttempt{opStep: note("c.inner")}),
		note("z.outer").step("z"),
		core.CallStep("y", core.StageObserve, opCall{opStep: note("y.outer")}),
		core.CallStep("both", core.StageShape, both).WithAttempt(core.AttemptWire, both),
		core.CallStep("two", core.StageEncode, one).WithAttempt(core.AttemptWire, other),
		core.CallStep("plain", core.StageEncode, onion{}).WithAttempt(core.AttemptWire, ring{}),
	))
	if _, err := p.Recall(t.Context(), "T", handleOf("T", "broker-a")); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"y.outer ", "z.outer ", "both ", "one half ", "c.inner broker-a:10911", "d.inner broker-a:10911", "the other half broker-a:10911",
		"the other half", "d.inner", "c.inner", "one half", "both", "z.outer", "y.outer",
	}
	if !slices.Equal(log, want) {
		t.Errorf("ran %q\nwant %q", log, want)
	}
}

// A step in message scope names the topic that brokers know; later it is too late.
func TestTargetOfAnOperation(t *testing.T) {
	tr := &recaller{}
	p := coretest.Start(t, coretest.Config(tr,
		opStep(func(ctx context.Context, op *core.Operation, next core.OperationHandler) error {
			op.SetTarget("ns%" + op.Topic())
			return next(ctx, op)
		}).step("namespace"),
		opStep(func(ctx context.Context, op *core.Operation, next core.OperationHandler) error {
			op.SetTarget("other")
			if op.Target() != "ns%T" || op.Topic() != "T" {
				t.Errorf("target %q of topic %q", op.Target(), op.Topic())
			}
			return next(ctx, op)
		}).attemptStep("late")))
	if _, err := p.Recall(t.Context(), "T", handleOf("ns%T", "broker-a")); err != nil {
		t.Error(err)
	}
	_, err := p.Recall(t.Context(), "T", handleOf("T", "broker-a"))
	if oe := opError(t, err); oe.Topic != "T" || oe.Class != core.ClassInvalid || len(tr.asked) != 1 {
		t.Errorf("got %v, asked %q", err, tr.asked)
	}
}

// A step may try again with another target, as long as no broker was asked.
func TestOperationLocatedAgain(t *testing.T) {
	p := coretest.Start(t, coretest.Config(&recaller{}, opStep(
		func(ctx context.Context, op *core.Operation, next core.OperationHandler) error {
			if err := next(ctx, op); !errors.Is(err, core.ErrInvalidMessage) {
				t.Errorf("got %v", err)
			}
			op.SetTarget("ns%T")
			return next(ctx, op)
		}).step("again")))
	if id, err := p.Recall(t.Context(), "T", handleOf("ns%T", "broker-a")); err != nil || id != "id" {
		t.Errorf("%q, %v", id, err)
	}
}

// Whoever ends the goroutine of an operation leaves it counted as failed, and holds up no
// Shutdown.
func TestGoexitInAnOperation(t *testing.T) {
	for name, change := range map[string]func(*recaller, *core.Config){
		"transport": func(r *recaller, _ *core.Config) {
			r.recall = func(context.Context, *core.Operation, string) (string, error) { runtime.Goexit(); return "", nil }
		},
		"step": func(_ *recaller, c *core.Config) {
			c.Steps = append(c.Steps, opStep(func(context.Context, *core.Operation, core.OperationHandler) error { runtime.Goexit(); return nil }).step("mine"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			tr := &recaller{}
			cfg := coretest.Config(tr)
			change(tr, &cfg)
			p := coretest.Start(t, cfg)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_, err := p.Recall(context.Background(), "T", handleOf("T", "broker-a"))
				t.Errorf("it returned %v", err)
			}()
			<-ended
			if err := p.Flush(t.Context()); err != nil {
				t.Error(err)
			}
			if s := p.Snapshot(); s.Totals.Operations != 1 || s.Totals.FailedOperations != 1 || s.InFlight.Sends != 0 {
				t.Errorf("totals %+v, in flight %+v", s.Totals, s.InFlight)
			}
		})
	}
}

// A broker that the route in use does not have is looked for in a fresh one.
func TestRecallLooksTheRouteUpAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{give: func(call int) (*core.Route, error) {
			if call == 1 {
				return routeTo("broker-a"), nil
			}
			return routeTo("broker-a", "broker-b"), nil
		}}
		tr := &recaller{}
		cfg := coretest.Config(tr)
		cfg.Routes = src
		p := coretest.Start(t, cfg)
		if _, err := p.Recall(t.Context(), "T", handleOf("T", "broker-a")); err != nil || src.count() != 1 {
			t.Errorf("%v after %d look-ups", err, src.count())
		}
		if _, err := p.Recall(t.Context(), "T", handleOf("T", "broker-a")); err != nil || src.count() != 1 {
			t.Errorf("by the route in use: %v after %d look-ups", err, src.count())
		}
		if _, err := p.Recall(t.Context(), "T", handleOf("T", "broker-b")); err != nil || src.count() != 2 {
			t.Errorf("a new broker: %v after %d look-ups", err, src.count())
		}
		start := time.Now()
		for range 3 {
			if _, err := p.Recall(t.Context(), "T", handleOf("T", "broker-z")); !errors.Is(err, core.ErrNoRoute) {
				t.Errorf("got %v", err)
			}
		}
		if took := time.Since(start); src.count() != 5 || took != 300*time.Millisecond {
			t.Errorf("an unknown broker: %d look-ups in %v", src.count(), took)
		}
	})
}

// The text and the type of an operation's error, for people and for metrics.
func TestOperationError(t *testing.T) {
	lost := &core.OperationError{Topic: "T", Addr: "a:1", Class: core.ClassNetwork, Certainty: core.MaybeStored, Cause: core.ErrConnectionLost}
	if got, want := lost.Error(), `recall in topic "T" at a:1: network, it may have been carried out: rocketmq: connection lost`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	refused := &core.OperationError{Topic: "T", Class: core.ClassBusy, Certainty: core.NotStored, Cause: &core.BrokerError{Code: rocketmq.CodeSystemBusy, Addr: "a:1"}}
	if got, want := refused.Error(), `recall in topic "T": busy, it was not carried out: broker a:1: SYSTEM_BUSY (2)`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if lost.ErrorType() != "network" || refused.ErrorType() != "SYSTEM_BUSY" || core.ClassOf(fmt.Errorf("x: %w", refused)) != core.ClassBusy || !errors.Is(lost, core.ErrConnectionLost) {
		t.Errorf("types %q and %q", lost.ErrorType(), refused.ErrorType())
	}
	if unknown := (&core.OperationError{Cause: core.ErrTimeout}); !strings.Contains(unknown.Error(), "may have been") {
		t.Errorf("what is not known reads as safe: %v", unknown)
	}
}
