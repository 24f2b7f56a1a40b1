package faulttest_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/accumulate"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/strategies/health"
	"github.com/liftoff-mq/liftoff/strategies/pace"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/strategies/selector"
)

// The worlds of TestModel: how many, and the number of the first.
var (
	models     = flag.Int("models", 400, "worlds of TestModel")
	firstModel = flag.Uint64("first-model", 1, "number of the first world of TestModel")
)

// truth is a transport that knows what left the process and what is stored, in a
// world where anything may happen: refusals, silence, lost answers, weak statuses,
// panics and ended goroutines, in the transport and in steps.
type truth struct {
	t       *testing.T
	mu      sync.Mutex
	r       *rand.Rand
	healed  bool
	goexits bool
	batches bool
	again   map[string]bool
	tr      coretest.Transport
	written map[string]int
	stored  map[string]int
	bodyOf  map[core.MessageID]string
}

func (w *truth) roll(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.healed {
		return n
	}
	return w.r.IntN(n)
}

func (w *truth) each(at *core.Attempt, f func(body string)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for o := range at.Call().All() {
		b := string(o.Body())
		if old, ok := w.bodyOf[o.MessageID()]; ok && old != b {
			w.t.Errorf("id %v is %q and %q", o.MessageID(), old, b)
		}
		w.bodyOf[o.MessageID()] = b
		seen := map[string][]string{}
		for name, value := range o.Properties() {
			seen[name] = append(seen[name], value.String())
		}
		if fmt.Sprint(seen["own"], seen["mark"], seen["UNIQ_KEY"]) != fmt.Sprint([]string{b}, []string{b}, []string{o.MessageID().String()}) {
			w.t.Errorf("%q goes with properties %q", b, seen)
		}
		if string(o.Message().Body) != b || o.Message().Properties["own"] != b {
			w.t.Errorf("%q has message %q %v", b, o.Message().Body, o.Message().Properties)
		}
		f(b)
	}
}

func (w *truth) store(at *core.Attempt) { w.each(at, func(b string) { w.stored[b]++ }) }

func (w *truth) RoundTrip(ctx context.Context, at *core.Attempt) (*core.Result, error) {
	write := func() { w.each(at, func(b string) { w.written[b]++ }); at.MarkWritten() }
	pause := func(d time.Duration) error {
		timer := time.NewTimer(d)
		defer timer.Stop()
		end := time.NewTimer(time.Until(at.Deadline()))
		defer end.Stop()
		select {
		case <-timer.C:
			return nil
		case <-end.C:
			return core.ErrTimeout
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-at.Aborted():
			return core.ErrAborted
		}
	}
	if err := pause(time.Duration(w.roll(4)) * time.Millisecond); err != nil {
		return nil, err
	}
	switch w.roll(24) {
	case 0:
		return nil, core.ErrConnect
	case 1:
		panic("before the write")
	case 2:
		if w.goexits {
			runtime.Goexit()
		}
	}
	write()
	ok := func(s core.SendStatus) (*core.Result, error) {
		w.store(at)
		res := w.tr.Ack(at)
		if at.WantsAnswer() {
			res.Status = s
		}
		return res, nil
	}
	if !at.WantsAnswer() {
		if w.roll(2) == 0 {
			w.store(at)
		}
		if w.roll(20) == 0 {
			return nil, core.ErrConnectionLost
		}
		return w.tr.Ack(at), nil
	}
	if err := pause(time.Duration(w.roll(30)) * time.Millisecond); err != nil {
		if w.roll(2) == 0 {
			w.store(at)
		}
		return nil, err
	}
	switch w.roll(24) {
	case 0, 1:
		return nil, coretest.Refuse(at, rocketmq.CodeSystemBusy, "")
	case 2:
		return nil, coretest.Refuse(at, rocketmq.CodeMessageIllegal, "")
	case 3:
		if w.roll(2) == 0 {
			w.store(at)
		}
		return nil, coretest.Refuse(at, rocketmq.CodeSystemError, "?")
	case 4, 5:
		if w.roll(2) == 0 {
			w.store(at)
		}
		return nil, core.ErrConnectionLost
	case 6, 7:
		if w.roll(2) == 0 {
			w.store(at)
		}
		return nil, coretest.Hang(ctx, at)
	case 8, 9:
		return ok(core.SlaveNotAvailable)
	case 10:
		w.store(at)
		panic("after the store")
	case 11:
		w.store(at)
		if w.goexits {
			runtime.Goexit()
		}
		return nil, core.ErrConnectionLost
	case 12:
		return nil, coretest.Refuse(at, rocketmq.CodeNotLeaderForQueue, "")
	}
	return ok(core.SendOK)
}

// trouble is what a step may do, before or after next.
func (w *truth) trouble(n int) error {
	switch w.roll(n) {
	case 0:
		return errors.New("veto")
	case 1:
		panic("step")
	case 2:
		if w.goexits {
			runtime.Goexit()
		}
	case 3:
		return fmt.Errorf("mine: %w", core.ErrCircuitOpen)
	case 4:
		return coretest.Refuse(nowhere, rocketmq.CodeSystemBusy, "made up")
	}
	return nil
}

var nowhere = new(core.Attempt)

func (w *truth) call(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
	for o := range c.All() {
		o.SetProperty("mark", string(o.Body()))
	}
	if err := w.trouble(300); err != nil {
		return nil, err
	}
	res, err := next(ctx, c)
	if w.roll(20) == 0 { // once more
		w.mu.Lock()
		for o := range c.All() {
			w.again[string(o.Body())] = true
		}
		w.mu.Unlock()
		res, err = next(ctx, c)
	}
	if err2 := w.trouble(300); err2 != nil {
		return nil, err2
	}
	return res, err
}

func (w *truth) inner(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
	if err := w.trouble(300); err != nil {
		return nil, err
	}
	res, err := next(ctx, c)
	if err2 := w.trouble(300); err2 != nil {
		return nil, err2
	}
	return res, err
}

func (w *truth) attempt(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
	if err := w.trouble(150); err != nil {
		return nil, err
	}
	res, err := next(ctx, at)
	if err != nil && at.Prev() != nil && w.roll(2) == 0 {
		err = fmt.Errorf("%w (after %w)", err, at.Prev())
	}
	if err2 := w.trouble(150); err2 != nil {
		return nil, err2
	}
	return res, err
}

// Whatever happens, each send has one outcome, in time, and it is true: what is said
// not to be sent or stored is not, what may be there twice says so, nobody gets
// another's result or properties, and in the end every place is free again. A failing
// world comes again with -first-model N -models 1.
func TestModel(t *testing.T) {
	for i := range uint64(*models) {
		seed := *firstModel + i
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { model(t, seed) }) }) {
			t.Fatalf("seed %d", seed)
		}
	}
}

type ending struct {
	mode string
	res  core.Result
	err  error
	n    int // how often it came
}

func model(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 2))
	w := &truth{
		t: t, r: rand.New(rand.NewPCG(seed, 3)), goexits: r.IntN(2) == 0,
		again: map[string]bool{}, written: map[string]int{}, stored: map[string]int{}, bodyOf: map[core.MessageID]string{},
	}
	w.tr.Forget = true
	br, err := breaker.New(breaker.Config{OpenFor: time.Second, Probes: 1 + r.IntN(2)})
	if err != nil {
		t.Fatal(err)
	}
	pc, err := pace.New(pace.Config{MinWindow: 1 + r.IntN(4), MaxWindow: 8})
	if err != nil {
		t.Fatal(err)
	}
	steps := []core.Step{
		core.CallStep("mark", core.StageShape, core.InterceptorFunc(w.call)),
		core.AttemptStep("trouble", core.AttemptGuard, core.AttemptInterceptorFunc(w.attempt)),
		core.AttemptStep("wire", core.AttemptWire, core.AttemptInterceptorFunc(w.attempt)),
	}
	if r.IntN(4) > 0 {
		w.batches = true
		acc, err := accumulate.New(accumulate.Config{Linger: time.Duration(1+r.IntN(10)) * time.Millisecond, MaxCount: 2 + r.IntN(6), MaxBytes: 1024})
		if err != nil {
			t.Fatal(err)
		}
		steps = append(steps, acc.Step(),
			core.CallStep("inner", core.StageEncode, core.InterceptorFunc(w.inner)).After("accumulate"))
	}
	if r.IntN(3) > 0 {
		steps = append(steps, br.Step())
	}
	withPace := r.IntN(3) > 0
	if withPace {
		steps = append(steps, pc.Step())
	}
	cfg := coretest.Config(w, steps...)
	cfg.Routes = coretest.RouteFunc(func(ctx context.Context, topic string) (*core.Route, error) {
		time.Sleep(time.Millisecond)
		w.mu.Lock()
		n := 1 + w.r.IntN(3)
		w.mu.Unlock()
		return coretest.Routes(1+n%2, []string{"a", "b", "c"}[:n]...).Route(ctx, topic)
	})
	cfg.RouteRefresh = 50 * time.Millisecond
	cfg.Timeout = 400 * time.Millisecond
	cfg.AttemptTimeout = 100 * time.Millisecond
	cfg.MaxInFlight, cfg.MaxWorkers, cfg.MaxInFlightBytes = 2+r.IntN(12), 1+r.IntN(4), int64(8+r.IntN(100))
	var hv core.HealthView = br
	if r.IntN(2) == 0 {
		l, err := health.NewLatency(health.Config{})
		if err != nil {
			t.Fatal(err)
		}
		hv = health.Worst(br, l)
	}
	if r.IntN(3) > 0 {
		cfg.Health = hv
	}
	switch r.IntN(3) {
	case 0:
		cfg.Selector = selector.RoundRobin()
	case 1:
		cfg.Selector = coretest.InOrder()
	case 2:
		cfg.Selector = selector.Healthy(selector.Random())
	}
	safe := false
	switch r.IntN(4) {
	case 0:
		cfg.Retry, safe = retry.Safe(), true
	case 1:
		cfg.Retry = retry.AtLeastOnce()
	case 2:
		cfg.Retry = retry.AtLeastOnce(retry.RestoreWeak())
	case 3:
		cfg.Retry = retry.Java5(retry.RestoreWeak())
	}
	if r.IntN(2) == 0 {
		budget, err := retry.NewBudget(0.1, 5)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Budget = budget
	}
	p, err := core.NewProducer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}

	outs := map[string]*ending{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	record := func(body, mode string, res core.Result, err error) {
		mu.Lock()
		defer mu.Unlock()
		o := outs[body]
		o.n++
		o.mode, o.res, o.err = mode, res, err
	}
	message := func(body string) *core.Message {
		m := &core.Message{Topic: "T" + fmt.Sprint(len(body)%2), Body: []byte(body), Properties: map[string]string{"own": body}, Keys: []string{body}}
		mu.Lock()
		outs[body] = &ending{}
		mu.Unlock()
		return m
	}
	midway := r.IntN(4) == 0 // shut down in the middle
	for i := range 5 + r.IntN(25) {
		rr := rand.New(rand.NewPCG(seed, uint64(100+i)))
		wg.Go(func() {
			for j := range 6 {
				time.Sleep(time.Duration(rr.IntN(40)) * time.Millisecond / 2)
				body := fmt.Sprintf("m%d-%d%s", i, j, strings.Repeat("x", rr.IntN(4)))
				ctx, cancel := context.WithCancel(context.Background())
				var opts []core.SendOption
				limit := 400 * time.Millisecond // to the nanosecond: time is virtual
				d := time.Duration(1+rr.IntN(60)) * time.Millisecond
				switch rr.IntN(6) {
				case 0:
					limit = d
					time.AfterFunc(d, cancel)
				case 1:
					limit = d
					ctx, cancel = context.WithTimeout(ctx, d)
				case 2:
					limit = d
					opts = append(opts, core.SendTimeout(d))
				}
				_ = cancel
				if rr.IntN(8) == 0 {
					opts = append(opts, core.SendRetry(retry.Safe()))
				}
				m := message(body)
				copied := *m
				begun := time.Now()
				switch rr.IntN(6) {
				case 0, 1: // a goroutine of its own, for Goexit
					ended := make(chan struct{})
					go func() {
						defer close(ended)
						res, err := p.Send(ctx, m, opts...)
						record(body, "sync", res, err)
					}()
					<-ended
				case 2:
					ended := make(chan struct{})
					go func() {
						defer close(ended)
						err := p.SendOneway(ctx, m, opts...)
						record(body, "oneway", core.Result{}, err)
					}()
					<-ended
				case 3, 4:
					p.SendAsync(ctx, m, func(res core.Result, err error) {
						record(body, "async", res, err)
						if took := time.Since(begun); took > limit {
							t.Errorf("%s took %v of %v", body, took, limit)
						}
					}, opts...)
				case 5:
					second := message(body + "+")
					second.Topic = m.Topic
					ended := make(chan struct{})
					go func() {
						defer close(ended)
						br, err := p.SendBatch(ctx, []*core.Message{m, second}, opts...)
						for k, b := range []string{body, body + "+"} {
							var res core.Result
							if err == nil {
								res = br.At(k)
							}
							record(b, "batch", res, err)
						}
					}()
					<-ended
				}
				if took := time.Since(begun); took > limit {
					t.Errorf("%s took %v of %v", body, took, limit)
				}
				if !reflect.DeepEqual(copied, *m) {
					t.Errorf("%s was written to", body)
				}
			}
		})
	}
	var flushes sync.WaitGroup
	for range 2 {
		d := time.Duration(r.IntN(100)) * time.Millisecond
		flushes.Go(func() {
			time.Sleep(d)
			ctx, cancel := context.WithTimeout(context.Background(), d)
			defer cancel()
			_ = p.Flush(ctx) // the sends may not be over in time
		})
	}
	if midway {
		time.Sleep(time.Duration(r.IntN(80)) * time.Millisecond)
		for range 2 {
			d := time.Duration(r.IntN(40)) * time.Millisecond
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), d)
				defer cancel()
				var se *core.ShutdownError
				if err := p.Shutdown(ctx); err != nil && !errors.As(err, &se) && !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	flushes.Wait()
	if err := p.Flush(context.Background()); err != nil {
		t.Error(err)
	}
	time.Sleep(time.Second) // abandoned batches end
	mu.Lock()               // a refused SendAsync calls done on a goroutine that nobody joins
	w.check(outs, safe)
	mu.Unlock()
	w.mu.Lock()
	w.healed = true
	w.mu.Unlock()
	if !midway {
		heal(t, p, cfg, pc, withPace)
	}
	if err := p.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

func (w *truth) check(outs map[string]*ending, safe bool) {
	t := w.t
	w.mu.Lock()
	defer w.mu.Unlock()
	for body, o := range outs {
		if o.n > 1 || o.n == 0 && (!w.goexits || o.mode == "async") {
			t.Errorf("%s (%s): %d outcomes", body, o.mode, o.n)
		}
		if o.n == 0 {
			continue
		}
		written, stored := w.written[body], w.stored[body]
		if o.mode == "oneway" && written > 1 && !w.again[body] {
			t.Errorf("%s: one-way written %d times", body, written)
		}
		if safe && stored > 1 && !w.again[body] {
			t.Errorf("%s (%s): Safe, and stored %d times: %+v %v", body, o.mode, stored, o.res, o.err)
		}
		if o.err == nil {
			if o.mode == "oneway" {
				if written == 0 {
					t.Errorf("%s: one-way success, not written", body)
				}
				continue
			}
			if stored == 0 {
				t.Errorf("%s (%s): success, not stored: %+v", body, o.mode, o.res)
			}
			if stored > 1 && !o.res.MaybeDuplicate {
				t.Errorf("%s (%s): stored %d times: %+v", body, o.mode, stored, o.res)
			}
			if o.res.Attempts == 1 && o.res.MaybeDuplicate && !w.batches { // a batch left behind counts no attempt
				t.Errorf("%s (%s): one attempt, a duplicate: %+v", body, o.mode, o.res)
			}
			if b := w.bodyOf[o.res.MessageID]; b != body {
				t.Errorf("%s (%s): result of %q", body, o.mode, b)
			}
			continue
		}
		var se *core.SendError
		if !errors.As(o.err, &se) {
			t.Errorf("%s: %v", body, o.err)
			continue
		}
		switch c := se.Certainty; {
		case c == core.NotSent && written > 0:
			t.Errorf("%s (%s): written %d, stored %d times: %v", body, o.mode, written, stored, o.err)
		case c == core.NotStored && stored > 0:
			t.Errorf("%s (%s): written %d, stored %d times: %v", body, o.mode, written, stored, o.err)
		case c == core.Stored && stored == 0 && o.mode != "oneway":
			t.Errorf("%s (%s): said to be stored, is not: %v", body, o.mode, o.err)
		}
	}
}

// heal checks that nothing was lost for good.
func heal(t *testing.T, p *core.Producer, cfg core.Config, pc *pace.Pacer, withPace bool) {
	t.Helper()
	time.Sleep(20 * time.Second)
	for i := range 60 {
		m := &core.Message{Topic: "T0", Body: []byte(fmt.Sprintf("heal%d", i)), Properties: map[string]string{"own": fmt.Sprintf("heal%d", i)}}
		if _, err := p.Send(t.Context(), m); err != nil {
			t.Errorf("after healing: send %d: %v", i, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if withPace {
		for _, s := range pc.States() {
			if s.Waiting != 0 || s.Samples != 0 || s.Unconfirmed < 0 {
				t.Errorf("pace: %+v", s)
			}
		}
	}
	// All permits are there.
	var n, ended atomic.Int32
	for i := range cfg.MaxInFlight + 3 {
		body := fmt.Sprintf("p%d", i%3)
		m := &core.Message{Topic: "T0", Body: []byte(body[:1]), Properties: map[string]string{"own": body[:1]}}
		if p.TrySendAsync(t.Context(), m, func(core.Result, error) { ended.Add(1) }) == nil {
			n.Add(1)
		}
	}
	if want := min(cfg.MaxInFlight, int(cfg.MaxInFlightBytes)); int(n.Load()) < want {
		t.Errorf("%d of %d permits left", n.Load(), want)
	}
	if err := p.Flush(t.Context()); err != nil || n.Load() != ended.Load() {
		t.Error(err, n.Load(), ended.Load())
	}
}
