package core_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// However many sends end at a time, so many idle workers are kept.
func TestIdleWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const kept, sends = 256, 300
		g := newGate()
		p := coretest.Start(t, g.config(sends, sends))
		for range sends {
			p.SendAsync(t.Context(), coretest.Message("x"), nil)
		}
		synctest.Wait()
		if s := p.Snapshot().Workers; s.Active != sends || s.Idle != 0 {
			t.Errorf("%+v", s)
		}
		close(g.open)
		synctest.Wait()
		if s := p.Snapshot().Workers; s.Active != 0 || s.Idle != kept || goroutinesIn("core.(*workers).work") != kept {
			t.Errorf("%+v", s)
		}
	})
}

// However many sends run out of time in line, so many goroutines see to their failure, also
// where a step holds each of them up.
func TestGoroutinesOfExpiredSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most, sends = 256, 600
		g, hold := newGate(), make(chan struct{})
		cfg := g.config(1, sends+1)
		cfg.Steps = append(cfg.Steps, around("slow", func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			if c.Message().Tag == "expired" {
				<-hold
			}
			return next(ctx, c)
		}))
		p := coretest.Start(t, cfg)
		p.SendAsync(t.Context(), coretest.Message("at work"), nil, core.SendTimeout(time.Hour))
		synctest.Wait()
		var failed atomic.Int32
		for range sends {
			p.SendAsync(t.Context(), &core.Message{Topic: "T", Body: []byte("x"), Tag: "expired"}, func(_ core.Result, err error) {
				if core.ClassOf(err) == core.ClassTimeout {
					failed.Add(1)
				}
			}, core.SendTimeout(time.Second))
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := goroutinesIn("core.(*workers).failExpired"); n != most {
			t.Errorf("%d goroutines, want %d", n, most)
		}
		close(hold)
		synctest.Wait()
		if n := failed.Load(); n != sends {
			t.Errorf("%d of %d sends failed", n, sends)
		}
		if n := goroutinesIn("core.(*workers).failExpired"); n != 0 {
			t.Errorf("%d goroutines are left", n)
		}
		close(g.open)
	})
}

// watchedContext counts who watches for its end.
type watchedContext struct {
	context.Context
	mu       sync.Mutex
	watchers int
	most     int
}

// Value hides what kind of context is within, so that context.AfterFunc asks this one.
func (c *watchedContext) Value(any) any { return nil }

// AfterFunc is what context.AfterFunc calls.
func (c *watchedContext) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watchers++
	c.most = max(c.most, c.watchers)
	inner := context.AfterFunc(c.Context, f)
	return sync.OnceValue(func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.watchers--
		return inner()
	})
}

// A send that leaves the line no longer watches its caller's context, which may live for
// ever.
func TestLineLetsGoOfContexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const sends = 20
		inner, cancel := context.WithCancel(t.Context())
		defer cancel()
		ctx := &watchedContext{Context: inner}
		g := newGate()
		p := coretest.Start(t, g.config(1, sends))
		for range sends {
			p.SendAsync(ctx, coretest.Message("x"), nil)
		}
		synctest.Wait()
		close(g.open)
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx.mu.Lock()
		defer ctx.mu.Unlock()
		if ctx.watchers != 0 || ctx.most != sends-1 {
			t.Errorf("%d watch still, there were %d", ctx.watchers, ctx.most)
		}
	})
}
