package forbid_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/forbid"
	"github.com/liftoff-mq/liftoff/internal/race"
)

func newCheck(tb testing.TB, name string, f func(ctx context.Context, c *forbid.Context) error) *forbid.Check {
	tb.Helper()
	c, err := forbid.New(forbid.Func(name, f))
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

var allow = func(context.Context, *forbid.Context) error { return nil }

// send sends in one of the modes.
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

var modes = []string{"sync", "async", "oneway", "batch"}

func TestRefusal(t *testing.T) {
	cause := errors.New("not today")
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			tr := &coretest.Transport{}
			check := newCheck(t, "days", func(context.Context, *forbid.Context) error { return cause })
			p := coretest.Start(t, config(tr, check.Step()))
			err := send(p, mode, coretest.Message("x"))
			if !errors.Is(err, core.ErrForbidden) || !errors.Is(err, cause) || core.ClassOf(err) != core.ClassForbidden {
				t.Errorf("got %v, class %v", err, core.ClassOf(err))
			}
			if core.CertaintyOf(err) != core.NotSent {
				t.Errorf("certainty %v", core.CertaintyOf(err))
			}
			var e *forbid.Error
			if !errors.As(err, &e) || e.Hook != "days" || e.Queue != (core.Queue{Broker: "broker-a"}) || !strings.Contains(err.Error(), "days") {
				t.Errorf("got %+v in %v", e, err)
			}
			if len(tr.Attempts()) != 0 {
				t.Error("the message was sent")
			}
		})
	}
}

// What the hook's own error is must not be taken for what the attempt was.
func TestClassIsForbiddenWhateverTheCause(t *testing.T) {
	for _, cause := range []error{
		context.Canceled, context.DeadlineExceeded, core.ErrInvalidMessage, core.ErrCircuitOpen,
		&core.BrokerError{Code: rocketmq.CodeSystemBusy, Addr: "elsewhere"},
	} {
		check := newCheck(t, "x", func(context.Context, *forbid.Context) error { return fmt.Errorf("policy: %w", cause) })
		p := coretest.Start(t, config(&coretest.Transport{}, check.Step()))
		_, err := p.Send(context.Background(), coretest.Message("x"))
		if core.ClassOf(err) != core.ClassForbidden || !errors.Is(err, cause) {
			t.Errorf("%v: got %v, class %v", cause, err, core.ClassOf(err))
		}
	}
}

func TestContextShowsTheAttempt(t *testing.T) {
	type seen struct {
		group, topic, addr string
		mode               core.Mode
		queue              core.Queue
		number, messages   int
		body               string
	}
	var mu sync.Mutex
	var got []seen
	check := newCheck(t, "look", func(_ context.Context, c *forbid.Context) error {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, seen{
			c.Group(), c.Topic(), c.BrokerAddr(), c.Mode(), c.Queue(), c.Number(), c.Call().Len(), string(c.Message().Body),
		})
		if c.Attempt().Number() == 1 {
			return errors.New("try elsewhere")
		}
		return nil
	})
	for i, mode := range modes {
		got = nil
		cfg := config(&coretest.Transport{}, check.Step())
		cfg.Retry = coretest.Retry(3)
		p := coretest.Start(t, cfg)
		if err := send(p, mode, coretest.Message("hello")); err != nil {
			t.Errorf("%s: %v", mode, err)
		}
		coreMode, n := core.Mode(i), 1
		if mode == "batch" {
			coreMode, n = core.Sync, 2
		}
		want := []seen{
			{"test", "T", "broker-a:10911", coreMode, core.Queue{Broker: "broker-a"}, 1, n, "hello"},
			{"test", "T", "broker-b:10911", coreMode, core.Queue{Broker: "broker-b"}, 2, n, "hello"},
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: the hook saw %v, want %v", mode, got, want)
		}
	}
}

// A refusal says nothing about the broker.
func TestRefusalIsNoAttemptAtTheBroker(t *testing.T) {
	var reports []core.AttemptReport
	listen := attemptListener(func(r *core.AttemptReport) { reports = append(reports, *r) })
	check := newCheck(t, "x", func(context.Context, *forbid.Context) error { return errors.New("no") })
	p := coretest.Start(t, config(&coretest.Transport{}, check.Step(), core.ListenerStep("listen", listen)))
	if _, err := p.Send(context.Background(), coretest.Message("x")); err == nil {
		t.Fatal("want a refusal")
	}
	if len(reports) != 1 || !reports[0].Abandoned || reports[0].Class != core.ClassForbidden || reports[0].Written {
		t.Errorf("reports %+v", reports)
	}
}

type attemptListener func(r *core.AttemptReport)

func (f attemptListener) AttemptDone(_ context.Context, r *core.AttemptReport) { f(r) }

func TestFirstRefusalEnds(t *testing.T) {
	asked := ""
	mk := func(name string, err error) core.Step {
		return newCheck(t, name, func(context.Context, *forbid.Context) error { asked += name; return err }).Step()
	}
	p := coretest.Start(t, config(&coretest.Transport{}, mk("c", nil), mk("b", errors.New("no")), mk("a", nil)))
	_, err := p.Send(context.Background(), coretest.Message("x"))
	if asked != "ab" || !errors.Is(err, core.ErrForbidden) {
		t.Errorf("asked %q, got %v", asked, err)
	}
}

func TestPanicNamesTheStep(t *testing.T) {
	check := newCheck(t, "wild", func(context.Context, *forbid.Context) error { panic("boom") })
	tr := &coretest.Transport{}
	p := coretest.Start(t, config(tr, check.Step()))
	for _, mode := range modes {
		err := send(p, mode, coretest.Message("x"))
		var pe *core.PanicError
		if !errors.As(err, &pe) || pe.Step != "forbid.wild" {
			t.Errorf("%s: got %v", mode, err)
		}
	}
	if len(tr.Attempts()) != 0 {
		t.Error("the message was sent")
	}
}

type namedHook string

func (n namedHook) Name() string                                          { return string(n) }
func (n namedHook) CheckForbidden(context.Context, *forbid.Context) error { return nil }

func TestNewRefusesBadHooks(t *testing.T) {
	var typedNil *pointerHook
	for name, h := range map[string]forbid.Hook{
		"nil": nil, "typed nil": typedNil, "nil function": forbid.Func("x", nil),
		"no name": namedHook(""), "upper case": namedHook("Region"), "blank": namedHook("a b"), "dot at the end": namedHook("a."),
	} {
		c, err := forbid.New(h)
		if err == nil || c != nil || !strings.HasPrefix(err.Error(), "forbid: ") {
			t.Errorf("%s: got %v, %v, want an error", name, c, err)
		}
	}
	var wild *wildHook
	if _, err := forbid.New(wild); err == nil || !strings.Contains(err.Error(), "nil") {
		t.Errorf("a nil hook without a usable name: got %v", err)
	}
	if _, err := forbid.New(wildHook{}); err == nil || !strings.Contains(err.Error(), "Name") || !strings.Contains(err.Error(), "no name today") {
		t.Errorf("a hook whose Name panics: got %v", err)
	}
}

// wildHook is a hook whose Name panics.
type wildHook struct{}

func (wildHook) Name() string                                          { panic("no name today") }
func (wildHook) CheckForbidden(context.Context, *forbid.Context) error { return nil }

func TestPlaceAndDescription(t *testing.T) {
	c, err := forbid.New(namedHook("region.eu-1"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := core.Resolve(core.Order{}, c.Step())
	if err != nil {
		t.Fatal(err)
	}
	want := []core.PlacedStep{{
		Name: "forbid.region.eu-1", Scope: "attempt", Stage: "guard",
		Description: core.Description{
			Summary:  "a check that may refuse an attempt",
			Settings: []core.Setting{{Name: "hook", Value: "region.eu-1"}},
		},
	}}
	if got := p.Steps(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

type pointerHook struct{}

func (*pointerHook) Name() string                                          { return "p" }
func (*pointerHook) CheckForbidden(context.Context, *forbid.Context) error { return nil }

func TestManyAtOnce(t *testing.T) {
	check := newCheck(t, "x", func(_ context.Context, c *forbid.Context) error {
		if string(c.Message().Body) == "bad" {
			return errors.New("bad")
		}
		return nil
	})
	p := coretest.Start(t, config(&coretest.Transport{Forget: true}, check.Step()))
	good, bad := coretest.Message("good"), coretest.Message("bad")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if _, err := p.Send(context.Background(), good); err != nil {
					t.Error(err)
				}
				if _, err := p.Send(context.Background(), bad); !errors.Is(err, core.ErrForbidden) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestNoAllocations(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	p := coretest.Start(t, config(&coretest.Transport{Forget: true}, newCheck(t, "x", allow).Step()))
	m := coretest.Message("x")
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := p.Send(context.Background(), m); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("a check costs %v allocations, want 0", n)
	}
}

func BenchmarkCheck(b *testing.B) {
	p := coretest.Start(b, config(&coretest.Transport{Forget: true}, newCheck(b, "x", allow).Step()))
	m := coretest.Message("x")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Send(context.Background(), m); err != nil {
			b.Fatal(err)
		}
	}
}
