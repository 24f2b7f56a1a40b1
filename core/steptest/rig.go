package steptest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// rig is a real producer with the step in it. Its parts stand in the chain behind others of
// the kit, which see all that core would not pass on: what a part returned, and how often it
// called next.
type rig struct {
	k    *kit
	step Step

	call      core.Interceptor
	attempt   core.AttemptInterceptor
	outer     core.OperationInterceptor // in message scope
	inner     core.OperationInterceptor // in attempt scope
	parts     []any
	services  []core.Service
	slot      core.Slot[*visit]
	opsLock   sync.Mutex
	ops       map[*core.Operation]*visit
	sent      atomic.Int64
	told      telling
	p         *core.Producer
	closeOnce sync.Once
}

// rig makes and starts a producer. Change alters its configuration.
func (k *kit) rig(s Step, change ...func(cfg *core.Config)) *rig {
	r := &rig{k: k, step: s, parts: s.Step.Parts(), slot: core.NewSlot[*visit]("steptest"), ops: map[*core.Operation]*visit{}}
	for _, part := range r.parts {
		if i, ok := part.(core.Interceptor); ok && r.call == nil {
			r.call = i
		}
		if i, ok := part.(core.AttemptInterceptor); ok {
			r.attempt = i
		}
		if svc, ok := part.(core.Service); ok {
			r.services = append(r.services, svc)
		}
	}
	// As in core: a value in both scopes runs around operations once, in message scope.
	if op, ok := r.call.(core.OperationInterceptor); ok {
		r.outer = op
	}
	if op, ok := r.attempt.(core.OperationInterceptor); ok && any(r.attempt) != any(r.call) {
		r.inner = op
	}
	cfg := core.Config{
		Group: "steptest", Transport: (*carrier)(r), Routes: coretest.Routes(1, brokerName), Selector: coretest.InOrder(),
		Retry: coretest.NoRetry(), Timeout: k.Limit, RouteRefresh: 24 * time.Hour,
		Steps: []core.Step{
			core.CallStep("steptest", core.StageGuard, (*outside)(r)).WithAttempt(core.AttemptGuard, (*inside)(r)),
			core.ListenerStep("steptest.listener", (*listening)(r)),
		},
	}
	for _, f := range change {
		f(&cfg)
	}
	if s.Config != nil {
		k.call("Config", func() { s.Config(&cfg) })
	}
	p, err := core.NewProducer(cfg)
	if err == nil {
		r.p = p
		err = p.Start(k.Expired())
	}
	if err != nil {
		k.Fatalf("a producer with the step does not start: %v", err)
	}
	k.mu.Lock()
	k.rigs = append(k.rigs, r)
	k.mu.Unlock()
	for _, svc := range r.services {
		ctx := k.Expired()
		k.call(fmt.Sprintf("%T.Start", svc), func() { err = svc.Start(ctx) })
		if err != nil {
			k.Fatalf("%T.Start: %v", svc, err)
		}
	}
	return r
}

const brokerName = "steptest-broker"

// close ends the producer and the step's services. What is wrong with that is I15's business,
// and given to tell; other rules only note it.
func (r *rig) close(tell func(format string, args ...any)) {
	r.closeOnce.Do(func() {
		ctx := r.k.Expired()
		r.told.mu.Lock()
		r.told.look = false
		r.told.mu.Unlock()
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = r.p.Shutdown(ctx) // which tells why it is late
		}()
		<-done
		for _, svc := range r.services {
			if wrong := r.k.tries(fmt.Sprintf("%T.Shutdown", svc), func() { _ = svc.Shutdown(ctx) }); wrong != "" {
				tell("%s", wrong)
			}
		}
	})
}

// abort makes the producer give up what is under way.
func (r *rig) abort() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	go func() { _ = r.p.Shutdown(ctx) }() // it is bounded, and close waits for it
}

// needs skips the check if the step has no part in a scope.
func (r *rig) needs(sc scope) {
	if !r.has(sc) {
		r.k.Skipf("%s", sc.lacks())
	}
}

func (r *rig) has(sc scope) bool {
	switch sc {
	case inMessage:
		return r.call != nil
	case inAttempt:
		return r.attempt != nil
	default:
		return r.outer != nil || r.inner != nil
	}
}

// outside is the kit's place in message scope, around the step's part there.
type outside rig

func (o *outside) Intercept(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
	r := (*rig)(o)
	v := visitOf(ctx)
	if v == nil { // a call of the step's own making, such as a batch
		return next(ctx, c)
	}
	r.slot.Set(c, v)
	v.saw(c)
	switch {
	case r.call == nil:
		return next(ctx, c)
	case v.sc != inMessage:
		return r.call.Intercept(ctx, c, next)
	}
	if v.how.packed {
		out := c.Outgoing()
		out.SetPacked(packedBody, packedCodec)
	}
	ask := func() (*core.Result, error) {
		return v.around(func(st *stay) (*core.Result, error) {
			return r.call.Intercept(ctx, c, func(ctx context.Context, in *core.Call) (*core.Result, error) {
				if in != c {
					return next(ctx, in)
				}
				return st.next(ctx, func() []sent { return sentBy(c) }, func(f fate) (*core.Result, error) {
					if v.how.through {
						return next(ctx, c)
					}
					return f.answer(&core.Result{MessageID: c.MessageID(), Attempts: 1}, v)
				})
			})
		})
	}
	res, err := ask()
	if v.how.again {
		res, err = ask()
	}
	return res, err
}

// InterceptOperation implements [core.OperationInterceptor].
func (o *outside) InterceptOperation(ctx context.Context, op *core.Operation, next core.OperationHandler) error {
	r := (*rig)(o)
	v := visitOf(ctx)
	r.opsLock.Lock()
	r.ops[op] = v
	r.opsLock.Unlock()
	defer func() {
		r.opsLock.Lock()
		defer r.opsLock.Unlock()
		delete(r.ops, op)
	}()
	v.saw(op)
	if r.outer == nil {
		return next(ctx, op)
	}
	return v.aroundOperation(ctx, r.outer, op, func(_ context.Context, f fate) error {
		_, err := f.answer(&core.Result{}, v)
		return err
	})
}

// Attach implements [core.Attacher].
func (o *outside) Attach(p *core.Producer) (map[core.ServerRequestKind]core.ServerRequestHandler, error) {
	handlers := map[core.ServerRequestKind]core.ServerRequestHandler{}
	for _, part := range o.parts {
		a, ok := part.(core.Attacher)
		if !ok {
			continue
		}
		own, err := a.Attach(p)
		if err != nil {
			return nil, err
		}
		maps.Copy(handlers, own)
	}
	return handlers, nil
}

// Drain implements [core.Drainer].
func (o *outside) Drain() {
	for _, part := range o.parts {
		if d, ok := part.(core.Drainer); ok {
			d.Drain()
		}
	}
}

// Finish implements [core.Finisher].
func (o *outside) Finish(ctx context.Context) {
	for _, part := range o.parts {
		if f, ok := part.(core.Finisher); ok {
			f.Finish(ctx)
		}
	}
}

// inside is the kit's place in attempt scope.
type inside rig

func (i *inside) InterceptAttempt(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
	r := (*rig)(i)
	v, _ := r.slot.Get(at.Call())
	if v != nil && v.how.vetoed {
		return nil, core.ErrForbidden
	}
	if r.attempt == nil {
		return next(ctx, at)
	}
	if v == nil || v.sc != inAttempt {
		return r.attempt.InterceptAttempt(ctx, at, next)
	}
	return v.around(func(st *stay) (*core.Result, error) {
		return r.attempt.InterceptAttempt(ctx, at, func(ctx context.Context, in *core.Attempt) (*core.Result, error) {
			return st.next(ctx, func() []sent { return sentBy(at.Call()) }, func(f fate) (*core.Result, error) {
				v.fate.Store(&f)
				return next(ctx, at)
			})
		})
	})
}

// InterceptOperation implements [core.OperationInterceptor].
func (i *inside) InterceptOperation(ctx context.Context, op *core.Operation, next core.OperationHandler) error {
	r := (*rig)(i)
	v := r.operation(op)
	if r.inner == nil || r.outer != nil {
		return next(ctx, op)
	}
	return v.aroundOperation(ctx, r.inner, op, func(ctx context.Context, f fate) error {
		v.fate.Store(&f)
		return next(ctx, op)
	})
}

func (r *rig) operation(op *core.Operation) *visit {
	r.opsLock.Lock()
	defer r.opsLock.Unlock()
	return r.ops[op]
}

// carrier is the rig's transport.
type carrier rig

// RoundTrip does with an attempt what its visit wants, and acknowledges all others.
func (t *carrier) RoundTrip(ctx context.Context, at *core.Attempt) (*core.Result, error) {
	at.MarkWritten()
	v, _ := t.slot.Get(at.Call())
	if v == nil {
		return fate{}.answer(at.Result(), nil)
	}
	return v.fateBelow(ctx).answer(at.Result(), v)
}

// ClientID implements [core.Registrar].
func (t *carrier) ClientID() string { return "steptest" }

// RegisterGroup implements [core.Registrar]. No server asks anything.
func (t *carrier) RegisterGroup(context.Context, core.Registration) error { return nil }

// UnregisterGroup implements [core.Registrar].
func (t *carrier) UnregisterGroup(context.Context, string) error { return nil }

// Recall is the same for operations.
func (t *carrier) Recall(ctx context.Context, op *core.Operation, _ string) (string, error) {
	op.MarkWritten()
	v := (*rig)(t).operation(op)
	if _, err := v.fateBelow(ctx).answer(&core.Result{}, v); err != nil {
		return "", err
	}
	return "steptest", nil
}

// fate is what becomes of a message below the step. The zero value stores it.
type fate struct {
	status core.SendStatus
	err    error
}

var errKit = errors.New("steptest: what is below the step fails")

// answer fills a result in, or gives the error.
func (f fate) answer(res *core.Result, v *visit) (*core.Result, error) {
	if f.err != nil {
		return nil, f.err
	}
	if f.status != core.StatusNone {
		res.Status = f.status
	} else if res.Status == core.StatusNone {
		res.Status = core.SendOK
	}
	if v != nil {
		res.QueueOffset, res.RegionID, res.OffsetMessageID = v.number, "steptest-region", fmt.Sprintf("steptest-%d", v.number)
	}
	return res, nil
}

// handle is a recall handle of the kit's broker.
func handle(topic string) string {
	return rocketmq.RecallHandle{Topic: topic, Broker: brokerName, DeliverAt: time.UnixMilli(1764000000123), MessageID: "AC11"}.String()
}

// The body with which messages come that a codec has packed.
const packedCodec = "zlib"

var packedBody = []byte("steptest: a body that a codec has packed")
