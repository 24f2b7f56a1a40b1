package core_test

import (
	"context"
	"strings"
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
		p := coretest.Start(t, g.config(sends, 2*sends))
		for range 2 * sends {
			p.SendAsync(t.Context(), coretest.Message("x"), nil)
		}
		for range sends - kept { // make room for more at a time
			g.open <- struct{}{}
			synctest.Wait()
		}
		if s := p.Snapshot().Workers; s.Active != sends || s.Places != sends {
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
		for range 3 { // where one has ended, one follows
			if n := goroutinesIn("core.(*workers).work") - 1; n != most {
				t.Errorf("%d goroutines, want %d", n, most)
			}
			hold <- struct{}{}
			time.Sleep(time.Second)
		}
		close(hold)
		synctest.Wait()
		if n := failed.Load(); n != sends {
			t.Errorf("%d of %d sends failed", n, sends)
		}
		if s := p.Snapshot().Workers; s.Active != 1 || s.Queued != 0 {
			t.Errorf("%+v", s)
		}
		close(g.open)
	})
}

// Sends that run out of time in line get their outcome also where the done functions of those
// before them wait for that.
func TestDoneMayWaitForExpiredSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const sends = 600
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
		var all sync.WaitGroup
		all.Add(sends)
		for range sends {
			p.SendAsync(t.Context(), &core.Message{Topic: "T", Body: []byte("x"), Tag: "expired"}, func(core.Result, error) {
				all.Done()
				all.Wait()
			}, core.SendTimeout(time.Second))
		}
		time.Sleep(2 * time.Second) // none stands in line any more; most wait to fail
		close(hold)
		time.Sleep(time.Minute)
		if s := p.Snapshot().InFlight; s.Sends != 1 {
			t.Errorf("%d sends are left, want the one at work", s.Sends)
		}
		close(g.open)
	})
}

// Acknowledged sends make places for more at a time while others wait for one, and sends that
// time out take them away again.
func TestPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const first, most, sends = 256, 400, 1000
		g := newGate()
		g.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
			g.most.Store(max(g.most.Load(), g.now.Add(1)))
			defer g.now.Add(-1)
			if err := at.Wait(ctx, g.open); err != nil {
				return nil, err
			}
			return g.Ack(at), nil
		}
		cfg := g.config(most, sends)
		cfg.Timeout = time.Minute
		p := coretest.Start(t, cfg)
		places := func(when string, want int) {
			t.Helper()
			synctest.Wait()
			if s := p.Snapshot().Workers; s.Places != want || s.Max != most || s.Active > max(want, first) && s.Queued > 0 && s.Active != want {
				t.Errorf("%s: %+v, want %d places", when, s, want)
			}
		}
		send := func(n int) {
			for range n {
				p.SendAsync(t.Context(), coretest.Message("x"), nil)
			}
			synctest.Wait()
		}
		places("at first", first)
		for range 500 { // one at a time needs no more places
			send(1)
			g.open <- struct{}{}
		}
		places("after sends that nobody waited behind", first)
		send(sends)
		places("nothing is answered", first)
		for i := range 100 {
			g.open <- struct{}{}
			places("answers come", first+i+1)
		}
		if s := p.Snapshot().Workers; s.Active != first+100 {
			t.Errorf("%+v", s)
		}
		for range 100 {
			g.open <- struct{}{}
			synctest.Wait()
		}
		places("as many as there can be", most)
		time.Sleep(time.Minute) // those at work, and those in line
		places("after as many time-outs", first)
		if n := g.most.Load(); n != most {
			t.Errorf("%d were worked on at a time, want %d", n, most)
		}
	})
}

// done may wait for another send, also where as many do as can be worked on, in flight or
// failing at a time: it holds nothing that a send needs.
func TestDoneMayWaitForSends(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*core.Config)
		outer  func(tr *coretest.Transport) // how the outer sends end
	}{
		"acknowledged": {func(c *core.Config) {}, nil},
		"one worker":   {func(c *core.Config) { c.MaxWorkers = 1 }, nil},
		"one place":    {func(c *core.Config) { c.MaxInFlight = 1 }, nil},
		"out of time in line": {func(c *core.Config) { c.MaxWorkers = 1 }, func(tr *coretest.Transport) {
			tr.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
				if at.Call().Message().Tag == "outer" {
					return nil, coretest.Hang(ctx, at)
				}
				return tr.Ack(at), nil
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const sends = 5000
				tr := &coretest.Transport{Forget: true}
				cfg := coretest.Config(tr)
				cfg.MaxInFlight = 2 * sends
				tt.change(&cfg)
				if tt.outer != nil {
					tt.outer(tr)
				}
				p := coretest.Start(t, cfg)
				var acked, ended atomic.Int32
				start := time.Now()
				for range sends {
					p.SendAsync(t.Context(), &core.Message{Topic: "T", Body: []byte("x"), Tag: "outer"}, func(core.Result, error) {
						inner := make(chan error, 1)
						p.SendAsync(t.Context(), coretest.Message("inner"), func(_ core.Result, err error) { inner <- err })
						if <-inner == nil {
							acked.Add(1)
						}
						ended.Add(1)
					})
				}
				if err := p.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
				if acked.Load() != sends || ended.Load() != sends {
					t.Errorf("%d of %d inner sends are acknowledged after %v", acked.Load(), ended.Load(), time.Since(start))
				}
			})
		})
	}
}

// A send that comes while a done function keeps a place empty does not overtake those that stand
// in line.
func TestNoSendOvertakesTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		p := coretest.Start(t, g.config(1, 10))
		p.SendAsync(t.Context(), coretest.Message("first"), func(core.Result, error) {
			p.SendAsync(t.Context(), coretest.Message("last"), nil)
			time.Sleep(time.Second)
		})
		synctest.Wait()
		p.SendAsync(t.Context(), coretest.Message("second"), nil)
		g.open <- struct{}{}
		synctest.Wait()
		close(g.open)
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		var bodies []string
		for _, a := range g.Attempts() {
			bodies = append(bodies, a.Body)
		}
		if got := strings.Join(bodies, ", "); got != "first, second, last" {
			t.Errorf("sent in the order %s", got)
		}
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
