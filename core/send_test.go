package core_test

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/internal/race"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestChainAllocatesNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	tr := &coretest.Transport{Forget: true}
	nop := core.InterceptorFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) { return next(ctx, c) })
	nopAttempt := core.AttemptInterceptorFunc(func(ctx context.Context, a *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
		return next(ctx, a)
	})
	p := coretest.Start(t, coretest.Config(tr,
		core.CallStep("a", core.StageObserve, nop),
		core.CallStep("b", core.StageGuard, nop),
		core.AttemptStep("c", core.AttemptObserve, nopAttempt),
		core.AttemptStep("d", core.AttemptGuard, nopAttempt),
	))
	ctx := context.Background()
	m := &core.Message{Topic: "T", Body: []byte("x"), Tag: "tag", Keys: []string{"a", "b"}, Properties: map[string]string{"p": "1", "q": "2"}}
	n := testing.AllocsPerRun(1000, func() {
		if _, err := p.Send(ctx, m); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("a send through the chain allocates %v times, want 0", n)
	}
}

// A batch allocates nothing, whatever its length.
func TestBatchAllocations(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	p := coretest.Start(t, coretest.Config(&coretest.Transport{Forget: true}))
	ctx := context.Background()
	batch := make([]*core.Message, 32)
	for i := range batch {
		batch[i] = &core.Message{Topic: "T", Body: []byte("x"), Tag: "tag", Properties: map[string]string{"p": "1"}}
	}
	n := testing.AllocsPerRun(1000, func() {
		if _, err := p.SendBatch(ctx, batch); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("a batch allocates %v times, want 0", n)
	}
}

// An asynchronous send costs the chain nothing either: the way to the worker and
// back is in the pooled call.
func TestAsyncAllocatesNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	p := coretest.Start(t, coretest.Config(&coretest.Transport{Forget: true}))
	ctx := context.Background()
	m := coretest.Message("x")
	outcome := make(chan error, 1)
	done := func(_ core.Result, err error) { outcome <- err }
	n := testing.AllocsPerRun(1000, func() {
		p.SendAsync(ctx, m, done)
		if err := <-outcome; err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("an asynchronous send allocates %v times, want 0", n)
	}
}

func TestNilArguments(t *testing.T) {
	p := coretest.Start(t, coretest.Config(&coretest.Transport{}))
	var none context.Context
	for name, err := range map[string]error{
		"message": func() error { _, err := p.Send(t.Context(), nil); return err }(),
		"context": func() error { _, err := p.Send(none, coretest.Message("x")); return err }(),
		"one-way": p.SendOneway(none, coretest.Message("x")),
		"try":     p.TrySendAsync(none, coretest.Message("x"), nil),
		"batch":   func() error { _, err := p.SendBatch(none, []*core.Message{coretest.Message("x")}); return err }(),
	} {
		if core.ClassOf(err) != core.ClassInvalid || core.CertaintyOf(err) != core.NotSent {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, opt := range map[string]core.SendOption{
		"option": nil, "retry": core.SendRetry(nil), "selector": core.SendSelector(nil),
		"typed nil": core.SendRetry(core.RetryPolicyFunc(nil)), "option function": core.SendOptionFunc(nil),
		"timeout": core.SendTimeout(3000), "no timeout": core.SendTimeout(0), "attempt timeout": core.SendAttemptTimeout(-time.Second),
	} {
		_, err := p.Send(t.Context(), coretest.Message("x"), opt)
		if core.ClassOf(err) != core.ClassInvalid || core.CertaintyOf(err) != core.NotSent {
			t.Errorf("%s: %v", name, err)
		}
		async := make(chan error, 1)
		p.SendAsync(t.Context(), coretest.Message("x"), func(_ core.Result, err error) { async <- err }, opt)
		if err := <-async; core.ClassOf(err) != core.ClassInvalid || core.CertaintyOf(err) != core.NotSent {
			t.Errorf("%s, asynchronous: %v", name, err)
		}
		if err := p.TrySendAsync(t.Context(), coretest.Message("x"), nil, opt); core.ClassOf(err) != core.ClassInvalid {
			t.Errorf("%s, try: %v", name, err)
		}
	}
}
