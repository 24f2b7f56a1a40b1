package core_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// gate is a transport whose attempts wait until it is opened.
type gate struct {
	coretest.Transport
	open chan struct{}
	most atomic.Int32
	now  atomic.Int32
}

func newGate() *gate {
	g := &gate{open: make(chan struct{})}
	g.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
		g.most.Store(max(g.most.Load(), g.now.Add(1)))
		defer g.now.Add(-1)
		select {
		case <-g.open:
			return g.Ack(at), nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-at.Aborted():
			return nil, core.ErrAborted
		}
	}
	return g
}

func (g *gate) config(workers, inFlight int) core.Config {
	cfg := coretest.Config(g)
	cfg.MaxWorkers, cfg.MaxInFlight = workers, inFlight
	return cfg
}

// Asynchronous sends beyond the workers stand in line: all are in flight, a few
// are worked on, and they go out in their order.
func TestLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const sends, workers = 100, 2
		g := newGate()
		p := coretest.Start(t, g.config(workers, sends))
		var outcomes []error
		for i := range sends {
			p.SendAsync(t.Context(), coretest.Message(fmt.Sprint(i)), func(_ core.Result, err error) {
				outcomes = append(outcomes, err) // one worker at a time gets through
			})
			synctest.Wait()
		}
		if n := len(g.Attempts()); n != workers {
			t.Errorf("%d sends are worked on, want %d", n, workers)
		}
		if err := p.TrySendAsync(t.Context(), coretest.Message("x"), nil); core.ClassOf(err) != core.ClassInFlight {
			t.Errorf("a send too many: %v", err)
		}
		for range sends {
			g.open <- struct{}{}
			synctest.Wait()
		}
		if len(outcomes) != sends || errors.Join(outcomes...) != nil {
			t.Errorf("%d outcomes, %v", len(outcomes), errors.Join(outcomes...))
		}
		for i, a := range g.Attempts() {
			if a.Body != fmt.Sprint(i) {
				t.Fatalf("attempt %d is of message %s", i, a.Body)
			}
		}
		if g.most.Load() != workers {
			t.Errorf("%d at a time", g.most.Load())
		}
	})
}

// Who stands in line is not forgotten there: time and context end the wait.
func TestLineEnds(t *testing.T) {
	type outcome struct {
		body  string
		err   error
		after time.Duration
	}
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		p := coretest.Start(t, g.config(1, 100))
		start := time.Now()
		var mu sync.Mutex
		var got []outcome
		send := func(ctx context.Context, body string, limit time.Duration) {
			p.SendAsync(ctx, coretest.Message(body), func(_ core.Result, err error) {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, outcome{body, err, time.Since(start)})
			}, core.SendTimeout(limit))
			synctest.Wait()
		}
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(t.Context())
		send(t.Context(), "at work", time.Minute)
		send(t.Context(), "last", time.Minute)
		send(t.Context(), "short", 20*time.Millisecond)
		send(ctx, "cancelled", time.Minute)
		send(t.Context(), "shorter", 10*time.Millisecond)
		time.Sleep(15 * time.Millisecond)
		cancel(why)
		time.Sleep(time.Second)
		close(g.open)
		synctest.Wait()

		want := []struct {
			body  string
			class core.Class
			after time.Duration
		}{
			{"shorter", core.ClassTimeout, 10 * time.Millisecond},
			{"cancelled", core.ClassCanceled, 15 * time.Millisecond},
			{"short", core.ClassTimeout, 20 * time.Millisecond},
			{"at work", 0, 1015 * time.Millisecond},
			{"last", 0, 1015 * time.Millisecond},
		}
		if len(got) != len(want) {
			t.Fatalf("got %v", got)
		}
		for i, w := range want {
			o := got[i]
			if o.body != w.body || o.after != w.after || (o.err == nil) != (w.class == 0) {
				t.Errorf("outcome %d: %v, want %v", i, o, w)
			}
			if o.err != nil && (core.ClassOf(o.err) != w.class || core.CertaintyOf(o.err) != core.NotSent) {
				t.Errorf("%s: %v", o.body, o.err)
			}
		}
		if !errors.Is(got[1].err, why) {
			t.Errorf("without its cause: %v", got[1].err)
		}
	})
}

// Shutdown waits for the line, and what it cannot wait for it aborts.
func TestShutdownWithLine(t *testing.T) {
	for _, open := range []bool{true, false} {
		t.Run(fmt.Sprintf("open %v", open), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const sends = 50
				g := newGate()
				p, err := core.NewProducer(g.config(3, sends))
				if err == nil {
					err = p.Start(t.Context())
				}
				if err != nil {
					t.Fatal(err)
				}
				var acked, aborted atomic.Int32
				for range sends {
					p.SendAsync(t.Context(), coretest.Message("x"), func(_ core.Result, err error) {
						switch {
						case err == nil:
							acked.Add(1)
						case errors.Is(err, core.ErrAborted):
							aborted.Add(1)
						default:
							t.Error(err)
						}
					}, core.SendTimeout(time.Minute))
				}
				if open {
					time.AfterFunc(time.Second, func() { close(g.open) })
				}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				err = p.Shutdown(ctx)
				if open && (err != nil || acked.Load() != sends) || !open && (err == nil || aborted.Load() != sends) {
					t.Errorf("%d acknowledged, %d aborted, %v", acked.Load(), aborted.Load(), err)
				}
			})
		})
	}
}

// A step that ends its goroutine ends one send, and the next in line goes on.
func TestGoexitWithLine(t *testing.T) {
	cfg := coretest.Config(&coretest.Transport{}, core.CallStep("exit", core.StageGuard, core.InterceptorFunc(
		func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			if string(c.Message().Body) == "exit" {
				runtime.Goexit()
			}
			return next(ctx, c)
		})))
	cfg.MaxWorkers = 1
	p := coretest.Start(t, cfg)
	const sends = 200
	outcomes := make(chan error, sends)
	for i := range sends {
		body := "x"
		if i%3 == 0 {
			body = "exit"
		}
		p.SendAsync(t.Context(), coretest.Message(body), func(_ core.Result, err error) { outcomes <- err })
	}
	failed := 0
	for range sends {
		if <-outcomes != nil {
			failed++
		}
	}
	if want := (sends + 2) / 3; failed != want {
		t.Errorf("%d failed, want %d", failed, want)
	}
}

// Many sends, short times, cancellations and few workers: each has one outcome,
// and calls that are used again are not ended by a timer of their former use.
func TestLineUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &coretest.Transport{Forget: true}
		tr.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
			time.Sleep(time.Millisecond)
			return tr.Ack(at), nil
		}
		cfg := coretest.Config(tr)
		cfg.MaxWorkers, cfg.MaxInFlight = 4, 300
		p := coretest.Start(t, cfg)
		rng := rand.New(rand.NewPCG(1, 2))
		var ok, timeout, canceled, early atomic.Int32
		const sends = 5000
		var wg sync.WaitGroup
		for range sends {
			ctx, cancel := context.WithCancel(t.Context())
			limit := time.Duration(1+rng.IntN(120)) * time.Millisecond
			if rng.IntN(4) == 0 {
				time.AfterFunc(time.Duration(rng.IntN(50))*time.Millisecond, cancel)
			}
			start := time.Now()
			wg.Add(1)
			p.SendAsync(ctx, coretest.Message("x"), func(_ core.Result, err error) {
				defer wg.Done()
				defer cancel()
				switch took := time.Since(start); core.ClassOf(err) {
				case core.ClassTimeout, core.ClassInFlight:
					timeout.Add(1)
					if took < limit && ctx.Err() == nil {
						early.Add(1)
					}
				case core.ClassCanceled:
					canceled.Add(1)
				default:
					ok.Add(1)
				}
			}, core.SendTimeout(limit))
		}
		wg.Wait()
		if early.Load() > 0 {
			t.Errorf("%d sends ended before their time", early.Load())
		}
		if ok.Load() == 0 || timeout.Load() == 0 || canceled.Load() == 0 || ok.Load()+timeout.Load()+canceled.Load() != sends {
			t.Errorf("%d acknowledged, %d out of time, %d cancelled", ok.Load(), timeout.Load(), canceled.Load())
		}
	})
}

// Expired calls whose step ends the goroutine do not use up those who look after
// expired calls.
func TestGoexitOfExpiredCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		cfg := g.config(1, 1000)
		cfg.Steps = append(cfg.Steps, core.CallStep("exit", core.StageGuard, core.InterceptorFunc(
			func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				if string(c.Message().Body) == "exit" {
					runtime.Goexit()
				}
				return next(ctx, c)
			})))
		p := coretest.Start(t, cfg)
		var ended atomic.Int32
		done := func(core.Result, error) { ended.Add(1) }
		p.SendAsync(t.Context(), coretest.Message("at work"), done, core.SendTimeout(time.Minute))
		synctest.Wait()
		const expired = 400
		for range expired {
			p.SendAsync(t.Context(), coretest.Message("exit"), done, core.SendTimeout(10*time.Millisecond))
		}
		time.Sleep(time.Second)
		if n := ended.Load(); n != expired {
			t.Errorf("%d of %d expired sends have an outcome", n, expired)
		}
		close(g.open)
	})
}

// A worker that ends and a send that comes at the same moment do not each leave
// the line to the other.
func TestNobodyIsForgottenInLine(t *testing.T) {
	cfg := coretest.Config(&coretest.Transport{Forget: true})
	cfg.MaxWorkers, cfg.Timeout = 1, time.Minute
	p := coretest.Start(t, cfg)
	const senders, rounds = 4, 20_000
	for range rounds {
		var wg sync.WaitGroup
		wg.Add(senders)
		for range senders {
			go p.SendAsync(t.Context(), coretest.Message("x"), func(_ core.Result, err error) {
				if err != nil {
					t.Error(err)
				}
				wg.Done()
			})
		}
		wg.Wait() // one that was forgotten would fail after a minute
		if t.Failed() {
			return
		}
	}
}
