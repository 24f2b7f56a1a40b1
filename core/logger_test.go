package core_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// logFunc is a log handler that calls a function.
type logFunc func()

func (f logFunc) Enabled(context.Context, slog.Level) bool  { return true }
func (f logFunc) Handle(context.Context, slog.Record) error { f(); return nil }
func (f logFunc) WithAttrs([]slog.Attr) slog.Handler        { return f }
func (f logFunc) WithGroup(string) slog.Handler             { return f }

// noisy is a producer's configuration in which every send logs, as does what servers ask, and
// the function of what servers ask.
func noisy(t *testing.T, handler slog.Handler) (*core.Producer, func()) {
	t.Helper()
	r := &inboxKeeper{}
	cfg := coretest.Config(r, core.ListenerStep("bad", panickingListener{}))
	cfg.Logger = slog.New(handler)
	p := coretest.Start(t, cfg)
	return p, func() { _ = r.inbox.Deliver(&core.ServerRequest{Kind: core.RequestReply}) }
}

type panickingListener struct{}

func (panickingListener) CallDone(context.Context, *core.CallReport) { panic("a listener") }

// inboxKeeper is a transport that keeps the inbox.
type inboxKeeper struct {
	coretest.Transport
	inbox *core.Inbox
}

func (k *inboxKeeper) RegisterGroup(_ context.Context, r core.Registration) error {
	k.inbox = r.Inbox
	return nil
}

func (*inboxKeeper) UnregisterGroup(context.Context, string) error { return nil }

// A log handler that blocks held every send whose listener had panicked, and the goroutine of
// a connection that brought a request. Nobody but Shutdown waits for it, and that no longer
// than it may.
func TestLogHandlerThatBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		p, ask := noisy(t, logFunc(func() { <-release }))
		start := time.Now()
		for range 10 {
			if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
				t.Error(err)
			}
			ask()
			p.Snapshot()
		}
		if err := p.SetPolicies(t.Context(), &core.PolicyTable{Default: &core.Policy{Name: "default"}}); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d > 0 {
			t.Errorf("took %v", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		err := p.Shutdown(ctx)
		if err == nil || !strings.Contains(err.Error(), "left behind the log handler") || time.Since(start) > 10*time.Second {
			t.Errorf("Shutdown gave %v after %v", err, time.Since(start))
		}
		close(release)
	})
}

// A log handler may send, and may look at the producer.
func TestLogHandlerThatSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p *core.Producer
		var once sync.Once
		ready := make(chan struct{})
		errs := make(chan error, 1)
		p, ask := noisy(t, logFunc(func() {
			once.Do(func() {
				<-ready
				_, err := p.Send(context.Background(), coretest.Message("inner"))
				p.Snapshot()
				errs <- err
			})
		}))
		close(ready)
		ask()
		if _, err := p.Send(t.Context(), coretest.Message("outer")); err != nil {
			t.Error(err)
		}
		if err := <-errs; err != nil {
			t.Error(err)
		}
	})
}

// A log handler that panics loses its lines and nothing else.
func TestLogHandlerThatPanics(t *testing.T) {
	p, ask := noisy(t, logFunc(func() { panic("the handler") }))
	for range 3 {
		if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
			t.Error(err)
		}
		ask()
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := p.Send(t.Context(), coretest.Message("x")); !errors.Is(err, core.ErrClosed) {
		t.Error(err)
	}
}
