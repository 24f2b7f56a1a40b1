package sendhook_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/namespace"
	"github.com/liftoff-mq/liftoff/hooks/sendhook"
	"github.com/liftoff-mq/liftoff/internal/race"
)

// recorder is a hook that writes down what it sees.
type recorder struct {
	mu     sync.Mutex
	name   string
	events []string
	before func(ctx context.Context, c *sendhook.Context) error
	after  func(ctx context.Context, c *sendhook.Context)
}

func (r *recorder) Name() string {
	if r.name == "" {
		return "rec"
	}
	return r.name
}

func (r *recorder) log(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, fmt.Sprintf(format, args...))
}

func (r *recorder) Before(ctx context.Context, c *sendhook.Context) error {
	r.log("before %d", c.Number())
	if r.before != nil {
		return r.before(ctx, c)
	}
	return nil
}

func (r *recorder) After(ctx context.Context, c *sendhook.Context) {
	_, ok := c.Result()
	r.log("after %d %v", c.Number(), ok)
	if r.after != nil {
		r.after(ctx, c)
	}
}

func (r *recorder) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := strings.Join(r.events, ", ")
	r.events = nil
	return s
}

func step(tb testing.TB, h sendhook.Hook) core.Step {
	tb.Helper()
	o, err := sendhook.New(h)
	if err != nil {
		tb.Fatal(err)
	}
	return o.Step()
}

var modes = []string{"sync", "async", "oneway", "batch"}

func send(p *core.Producer, mode string, m *core.Message) error {
	ctx := context.Background()
	switch mode {
	case "sync":
		_, err := p.Send(ctx, m)
		return err
	case "async":
		ch := make(chan error, 1)
		p.SendAsync(ctx, m, func(_ core.Result, err error) { ch <- err })
		return <-ch
	case "oneway":
		return p.SendOneway(ctx, m)
	default:
		_, err := p.SendBatch(ctx, []*core.Message{m, m})
		return err
	}
}

func TestOncePerAttemptInEveryMode(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			rec := &recorder{}
			tr := &coretest.Transport{Unwritten: true} // so that one-way may retry
			tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
				if at.Number() < 3 {
					return nil, core.ErrConnect
				}
				return tr.Ack(at), nil
			}
			cfg := config(tr, step(t, rec))
			cfg.Retry = coretest.Retry(3)
			p := coretest.Start(t, cfg)
			if err := send(p, mode, coretest.Message("x")); err != nil {
				t.Fatal(err)
			}
			want := "before 1, after 1 false, before 2, after 2 false, before 3, after 3 true"
			if got := rec.take(); got != want {
				t.Errorf("got %s\nwant %s", got, want)
			}
		})
	}
}

func TestWhatTheContextShows(t *testing.T) {
	type view struct {
		Group, Topic, Namespace, Addr, Type string
		Mode                                core.Mode
		Queue                               core.Queue
		Messages                            int
		Tag                                 string
	}
	look := func(c *sendhook.Context) view {
		tag, _ := c.Property("TAGS")
		return view{
			c.Group(), c.Topic(), c.Namespace(), c.BrokerAddr(), c.Type().String(), c.Mode(), c.Queue(), c.Call().Len(), tag,
		}
	}
	ns, err := namespace.New("ns")
	if err != nil {
		t.Fatal(err)
	}
	for i, mode := range modes {
		want := view{"test", "ns%T", "ns", "broker-a:10911", "delay", core.Mode(i), core.Queue{Broker: "broker-a"}, 1, "tag"}
		if mode == "batch" {
			want.Mode, want.Messages = core.Sync, 2
		}
		rec := &recorder{}
		m := &core.Message{Topic: "T", Body: []byte("x"), Tag: "tag", DelayLevel: 1, Properties: map[string]string{"a": "b"}}
		rec.before = func(_ context.Context, c *sendhook.Context) error {
			if got := look(c); got != want {
				t.Errorf("%s: before sees %+v, want %+v", mode, got, want)
			}
			if res, ok := c.Result(); ok || res != (core.Result{}) || c.Err() != nil || c.Latency() != 0 || c.Value() != nil {
				t.Errorf("%s: before sees an outcome", mode)
			}
			c.SetValue("from before")
			return nil
		}
		rec.after = func(_ context.Context, c *sendhook.Context) {
			if got := look(c); got != want {
				t.Errorf("%s: after sees %+v, want %+v", mode, got, want)
			}
			res, ok := c.Result()
			if !ok || c.Err() != nil || res.Queue != want.Queue || res.Acked() == (mode == "oneway") {
				t.Errorf("%s: after sees %+v, %v, %v", mode, res, ok, c.Err())
			}
			if c.Value() != "from before" {
				t.Errorf("%s: after sees value %v", mode, c.Value())
			}
			id, _ := c.Property("UNIQ_KEY")
			if id != c.Call().MessageID().String() {
				t.Errorf("%s: unique id %q", mode, id)
			}
			props := maps.Collect(c.Properties())
			if want := map[string]string{"UNIQ_KEY": id, "TAGS": "tag", "DELAY": "1", "a": "b", "INSTANCE_ID": "ns"}; !maps.Equal(props, want) {
				t.Errorf("%s: properties %v, want %v", mode, props, want)
			}
			for range c.Properties() {
				break // must be allowed
			}
			if c.Attempt().Number() != c.Number() || c.Message() != m {
				t.Errorf("%s: attempt and message are not the call's", mode)
			}
		}
		p := coretest.Start(t, config(&coretest.Transport{}, step(t, rec), ns.Step()))
		if err := send(p, mode, m); err != nil {
			t.Fatal(err)
		}
		if got := rec.take(); got != "before 1, after 1 true" {
			t.Errorf("%s: %s", mode, got)
		}
	}
}

func TestTypes(t *testing.T) {
	for want, m := range map[core.MessageType]*core.Message{
		core.NormalMessage: {}, core.FIFOMessage: {ShardingKey: "s"}, core.DelayMessage: {DeliverAt: time.Unix(1, 0), ShardingKey: "s"},
		core.PriorityMessage: {Priority: new(0)}, core.LiteMessage: {LiteTopic: "l"},
	} {
		m.Topic, m.Body = "T", []byte("x")
		rec := &recorder{after: func(_ context.Context, c *sendhook.Context) {
			if c.Type() != want {
				t.Errorf("type %v, want %v", c.Type(), want)
			}
		}}
		p := coretest.Start(t, config(&coretest.Transport{}, step(t, rec)))
		if err := send(p, "sync", m); err != nil || rec.take() == "" {
			t.Fatal(err)
		}
	}
}

// A value of one attempt must not show up in another.
func TestValuesDoNotLeak(t *testing.T) {
	rec := &recorder{before: func(_ context.Context, c *sendhook.Context) error {
		if c.Value() != nil {
			t.Errorf("attempt %d begins with value %v", c.Number(), c.Value())
		}
		c.SetValue(c.Number())
		return nil
	}, after: func(_ context.Context, c *sendhook.Context) {
		if c.Value() != c.Number() {
			t.Errorf("attempt %d ends with value %v", c.Number(), c.Value())
		}
	}}
	tr := &coretest.Transport{Do: func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		return nil, coretest.Refuse(at, rocketmq.CodeSystemBusy, "")
	}}
	cfg := config(tr, step(t, rec))
	cfg.Retry = coretest.Retry(4)
	p := coretest.Start(t, cfg)
	if err := send(p, "sync", coretest.Message("x")); err == nil {
		t.Fatal("want a failure")
	}
}

func TestBeforeVetoes(t *testing.T) {
	cause := fmt.Errorf("policy: %w", context.DeadlineExceeded)
	for _, mode := range modes {
		rec := &recorder{before: func(context.Context, *sendhook.Context) error { return cause }}
		tr := &coretest.Transport{}
		p := coretest.Start(t, config(tr, step(t, rec)))
		err := send(p, mode, coretest.Message("x"))
		var e *sendhook.Error
		if !errors.As(err, &e) || e.Hook != "rec" || e.Queue.Broker != "broker-a" || !strings.Contains(err.Error(), "rec") {
			t.Errorf("%s: got %v", mode, err)
		}
		if !errors.Is(err, core.ErrForbidden) || !errors.Is(err, cause) || core.ClassOf(err) != core.ClassForbidden || core.CertaintyOf(err) != core.NotSent {
			t.Errorf("%s: got %v, class %v", mode, err, core.ClassOf(err))
		}
		if got := rec.take(); got != "before 1" || len(tr.Attempts()) != 0 {
			t.Errorf("%s: %s, %d attempts", mode, got, len(tr.Attempts()))
		}
	}
}

func TestAfterSeesEveryFailure(t *testing.T) {
	veto := errors.New("veto")
	for name, tt := range map[string]struct {
		do    func(ctx context.Context, at *core.Attempt) (*core.Result, error)
		inner core.AttemptInterceptorFunc
		is    func(err error) bool
	}{
		"broker": {
			do: func(_ context.Context, at *core.Attempt) (*core.Result, error) {
				return nil, coretest.Refuse(at, rocketmq.CodeSystemBusy, "")
			},
			is: func(err error) bool { return core.ClassOf(err) == core.ClassBusy },
		},
		"inner veto": {
			inner: func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) { return nil, veto },
			is:    func(err error) bool { return errors.Is(err, veto) },
		},
		"inner panic": {
			inner: func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) { panic("boom") },
			is:    func(err error) bool { var pe *core.PanicError; return errors.As(err, &pe) && pe.Step == "inner" },
		},
		"transport panic": {
			do: func(context.Context, *core.Attempt) (*core.Result, error) { panic("boom") },
			is: func(err error) bool { var pe *core.PanicError; return errors.As(err, &pe) && pe.Step == "transport" },
		},
	} {
		for _, mode := range modes {
			t.Run(name+"/"+mode, func(t *testing.T) {
				var seen error
				rec := &recorder{after: func(_ context.Context, c *sendhook.Context) { seen = c.Err() }}
				inner := tt.inner
				if inner == nil {
					inner = func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
						return next(ctx, at)
					}
				}
				p := coretest.Start(t, config(&coretest.Transport{Do: tt.do}, step(t, rec),
					core.AttemptStep("inner", core.AttemptGuard, inner)))
				err := send(p, mode, coretest.Message("x"))
				if !tt.is(seen) || !tt.is(err) {
					t.Errorf("the hook saw %v, the caller %v", seen, err)
				}
				if got := rec.take(); got != "before 1, after 1 false" {
					t.Errorf("got %s", got)
				}
			})
		}
	}
}

// A transport that ends the goroutine is the worst that can happen below.
func TestAfterRunsWhenTheGoroutineEnds(t *testing.T) {
	var seen error
	rec := &recorder{after: func(_ context.Context, c *sendhook.Context) { seen = c.Err() }}
	p := coretest.Start(t, config(&coretest.Transport{Do: func(context.Context, *core.Attempt) (*core.Result, error) {
		runtime.Goexit()
		return nil, nil
	}}, step(t, rec)))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = p.Send(context.Background(), coretest.Message("x"))
	}()
	<-done
	if got := rec.take(); got != "before 1, after 1 false" || !errors.Is(seen, sendhook.ErrNoOutcome) {
		t.Errorf("got %s, %v", got, seen)
	}
}

func TestPanicsNameTheStep(t *testing.T) {
	for name, rec := range map[string]*recorder{
		"before": {before: func(context.Context, *sendhook.Context) error { panic("boom") }},
		"after":  {after: func(context.Context, *sendhook.Context) { panic("boom") }},
	} {
		for _, mode := range modes {
			tr := &coretest.Transport{}
			p := coretest.Start(t, config(tr, step(t, rec)))
			err := send(p, mode, coretest.Message("x"))
			var pe *core.PanicError
			if !errors.As(err, &pe) || pe.Step != "sendhook.rec" || pe.Value != "boom" {
				t.Errorf("%s/%s: got %v", name, mode, err)
			}
			// What the broker confirmed stays confirmed in the error.
			if name == "after" && mode != "oneway" && core.CertaintyOf(err) != core.Stored {
				t.Errorf("%s/%s: certainty %v, want stored", name, mode, core.CertaintyOf(err))
			}
			if name == "before" && (len(tr.Attempts()) != 0 || core.CertaintyOf(err) != core.NotSent) {
				t.Errorf("%s/%s: %d attempts, certainty %v", name, mode, len(tr.Attempts()), core.CertaintyOf(err))
			}
		}
	}
}

func TestAfterCannotChangeTheResult(t *testing.T) {
	rec := &recorder{after: func(_ context.Context, c *sendhook.Context) {
		res, _ := c.Result()
		res.Status = core.FlushDiskTimeout
		res.QueueOffset = 99
	}}
	p := coretest.Start(t, config(&coretest.Transport{}, step(t, rec)))
	res, err := p.Send(context.Background(), coretest.Message("x"))
	if err != nil || res.Status != core.SendOK || res.QueueOffset != 0 {
		t.Errorf("got %+v, %v", res, err)
	}
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got time.Duration
		rec := &recorder{
			before: func(context.Context, *sendhook.Context) error { time.Sleep(time.Second / 2); return nil },
			after:  func(_ context.Context, c *sendhook.Context) { got = c.Latency() },
		}
		tr := &coretest.Transport{}
		tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
			time.Sleep(70 * time.Millisecond)
			return tr.Ack(at), nil
		}
		p := coretest.Start(t, config(tr, step(t, rec)))
		if _, err := p.Send(context.Background(), coretest.Message("x")); err != nil {
			t.Fatal(err)
		}
		if got != 70*time.Millisecond {
			t.Errorf("latency %v, want 70ms", got)
		}
	})
}

// Several hooks nest by name, inside the attempt's span.
func TestOrder(t *testing.T) {
	var events []string
	mk := func(name string) core.Step {
		return step(t, sendhook.Funcs(name,
			func(context.Context, *sendhook.Context) error { events = append(events, "+"+name); return nil },
			func(context.Context, *sendhook.Context) { events = append(events, "-"+name) }))
	}
	span := core.AttemptInterceptorFunc(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
		events = append(events, "+span")
		defer func() { events = append(events, "-span") }()
		return next(ctx, at)
	})
	p := coretest.Start(t, config(&coretest.Transport{}, mk("b"), mk("a"),
		core.AttemptStep("otel.trace", core.AttemptObserve, span)))
	if _, err := p.Send(context.Background(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	if want := []string{"+span", "+a", "+b", "-b", "-a", "-span"}; !slices.Equal(events, want) {
		t.Errorf("got %v, want %v", events, want)
	}
}

type pointerHook struct{ sendhook.Hook }

func TestNewRefusesBadHooks(t *testing.T) {
	var typedNil *pointerHook
	nop := func(context.Context, *sendhook.Context) {}
	for name, h := range map[string]sendhook.Hook{
		"nil": nil, "typed nil": typedNil, "no function": sendhook.Funcs("x", nil, nil),
		"no name": sendhook.Funcs("", nil, nop), "upper case": &recorder{name: "Audit"}, "blank": &recorder{name: "a b"},
	} {
		o, err := sendhook.New(h)
		if err == nil || o != nil || !strings.HasPrefix(err.Error(), "sendhook: ") {
			t.Errorf("%s: got %v, %v, want an error", name, o, err)
		}
	}
}

func TestPlaceAndDescription(t *testing.T) {
	p, err := core.Resolve(core.Order{}, step(t, &recorder{name: "audit.eu"}))
	if err != nil {
		t.Fatal(err)
	}
	want := []core.PlacedStep{{
		Name: "sendhook.audit.eu", Scope: "attempt", Stage: "observe",
		Description: core.Description{
			Summary:  "a hook before and after each attempt",
			Settings: []core.Setting{{Name: "hook", Value: "audit.eu"}},
		},
	}}
	if got := p.Steps(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// The properties come in the order in which they are sent, and as text whatever their kind.
func TestPropertiesAreTextInOrder(t *testing.T) {
	var seen, want []core.Property
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		for name, value := range at.Call().Outgoing().Properties() {
			want = append(want, core.Property{Name: name, Value: string(value.AppendTo(nil))})
		}
		return tr.Ack(at), nil
	}
	p := coretest.Start(t, config(tr, step(t, sendhook.Funcs("x", nil, func(_ context.Context, c *sendhook.Context) {
		for name, value := range c.Properties() {
			seen = append(seen, core.Property{Name: name, Value: value})
		}
	}))))
	m := &core.Message{
		Topic: "T", Body: []byte("x"), Tag: "tag", Keys: []string{"k1", "k2"}, DeliverAt: time.UnixMilli(1234),
		Properties: map[string]string{"b": "2", "a": "1"},
	}
	if _, err := p.Send(context.Background(), m); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(seen, want) || len(seen) != 6 {
		t.Errorf("got %v, want %v", seen, want)
	}
}

func TestFuncsMayBeHalf(t *testing.T) {
	n := 0
	p := coretest.Start(t, config(&coretest.Transport{},
		step(t, sendhook.Funcs("a", func(context.Context, *sendhook.Context) error { n++; return nil }, nil)),
		step(t, sendhook.Funcs("b", nil, func(context.Context, *sendhook.Context) { n++ }))))
	if _, err := p.Send(context.Background(), coretest.Message("x")); err != nil || n != 2 {
		t.Errorf("%v, %d calls", err, n)
	}
}

func TestSharedMessageStaysAsItIs(t *testing.T) {
	full := func() *core.Message {
		return &core.Message{Topic: "T", Body: []byte("x"), Keys: []string{"k"}, Properties: map[string]string{"a": "b"}}
	}
	m := full()
	var mu sync.Mutex
	attempts := map[string]int{}
	p := coretest.Start(t, config(&coretest.Transport{Forget: true}, step(t, sendhook.Funcs("x",
		func(_ context.Context, c *sendhook.Context) error {
			c.SetValue(c.Call().MessageID().String())
			return nil
		},
		func(_ context.Context, c *sendhook.Context) {
			mu.Lock()
			defer mu.Unlock()
			attempts[c.Value().(string)]++
			if c.Value() != c.Call().MessageID().String() {
				t.Error("a context was shared")
			}
		}))))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if _, err := p.Send(context.Background(), m); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if len(attempts) != 800 {
		t.Errorf("%d different attempts, want 800", len(attempts))
	}
	if !reflect.DeepEqual(m, full()) {
		t.Errorf("the message changed: %+v", m)
	}
}

func nopStep(tb testing.TB) core.Step {
	return step(tb, sendhook.Funcs("x",
		func(context.Context, *sendhook.Context) error { return nil },
		func(context.Context, *sendhook.Context) {}))
}

func TestNoAllocations(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	p := coretest.Start(t, config(&coretest.Transport{Forget: true}, nopStep(t)))
	m := coretest.Message("x")
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := p.Send(context.Background(), m); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("a hook costs %v allocations, want 0", n)
	}
}

func BenchmarkHook(b *testing.B) {
	p := coretest.Start(b, config(&coretest.Transport{Forget: true}, nopStep(b)))
	m := coretest.Message("x")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Send(context.Background(), m); err != nil {
			b.Fatal(err)
		}
	}
}
