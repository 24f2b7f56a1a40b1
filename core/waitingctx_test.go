package core_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// slowContext is a context of the program's own, whose methods may block.
type slowContext struct {
	context.Context
	register, stop, err func()
	hides               bool
}

// Value may hide what kind of context is within, so that context.AfterFunc asks this one and
// not the one within.
func (c *slowContext) Value(key any) any {
	if c.hides {
		return nil
	}
	return c.Context.Value(key)
}

// AfterFunc is what context.AfterFunc calls.
func (c *slowContext) AfterFunc(f func()) func() bool {
	c.register()
	stop := context.AfterFunc(c.Context, f)
	return func() bool {
		c.stop()
		return stop()
	}
}

func (c *slowContext) Err() error {
	c.err()
	return c.Context.Err()
}

// The methods of a caller's context ran under the lock of the queue in which asynchronous sends
// wait for a worker: one that blocks held up every such send of the producer, also past its
// deadline.
func TestContextOfAWaitingSendBlocks(t *testing.T) {
	for _, method := range []string{"AfterFunc", "stop", "Err"} {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				busy, release := make(chan struct{}), make(chan struct{})
				var tr *coretest.Transport
				tr = &coretest.Transport{Do: func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
					if string(at.Call().Message().Body) == "busy" {
						<-busy
					}
					return tr.Ack(at), nil
				}}
				cfg := coretest.Config(tr)
				cfg.MaxWorkers, cfg.Timeout = 1, time.Minute
				p := coretest.Start(t, cfg)
				var done atomic.Int64
				send := func(ctx context.Context, body string) {
					p.SendAsync(ctx, coretest.Message(body), func(core.Result, error) { done.Add(1) })
				}
				send(t.Context(), "busy")
				synctest.Wait()

				inner, cancel := context.WithCancel(t.Context())
				defer cancel()
				wait := func() { <-release }
				ctx := &slowContext{inner, func() {}, func() {}, func() {}, method != "Err"}
				switch method {
				case "AfterFunc":
					ctx.register = wait
				case "stop":
					ctx.stop = wait
				}
				go send(ctx, "slow")
				synctest.Wait()
				if method == "Err" {
					ctx.err = wait
					cancel()
				}
				// The others wait for the worker, and their time is theirs.
				short, end := context.WithTimeout(t.Context(), time.Second)
				defer end()
				for range 3 {
					send(short, "x")
				}
				time.Sleep(2 * time.Second)
				if n := done.Load(); n < 3 {
					t.Errorf("%d sends have ended, want the 3 whose time is over", n)
				}
				for range 3 {
					send(t.Context(), "x")
				}
				close(busy)
				time.Sleep(time.Second)
				if n := done.Load(); n < 3+1+3 && method != "stop" { // the worker itself is in stop
					t.Errorf("%d sends have ended", n)
				}
				close(release)
				time.Sleep(time.Second)
				if n := done.Load(); n != 3+1+3+1 {
					t.Errorf("%d sends have ended, want all", n)
				}
			})
		})
	}
}

// endingContext ends while somebody begins to watch it. Nobody is told, as if that had happened
// before there was anything to end.
type endingContext struct {
	context.Context
	end context.CancelFunc
}

func (c *endingContext) Value(any) any { return nil }

func (c *endingContext) AfterFunc(func()) func() bool {
	c.end()
	return func() bool { return false }
}

// A context that ends in the moment before its send stands in line ends the send, and not only
// the send's time does.
func TestContextEndsBeforeTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		p := coretest.Start(t, g.config(1, 10))
		p.SendAsync(t.Context(), coretest.Message("at work"), nil, core.SendTimeout(time.Hour))
		inner, cancel := context.WithCancel(t.Context())
		start := time.Now()
		outcome := make(chan error, 1)
		p.SendAsync(&endingContext{inner, cancel}, coretest.Message("x"), func(_ core.Result, err error) { outcome <- err })
		if err := <-outcome; core.ClassOf(err) != core.ClassCanceled || time.Since(start) != 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		close(g.open)
	})
}

// The time of a send ends in line also where its context cannot.
func TestTimeEndsInLineWithoutAContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		p := coretest.Start(t, g.config(1, 10))
		p.SendAsync(context.Background(), coretest.Message("at work"), nil, core.SendTimeout(time.Hour))
		start := time.Now()
		outcome := make(chan error, 1)
		p.SendAsync(context.Background(), coretest.Message("x"), func(_ core.Result, err error) { outcome <- err }, core.SendTimeout(time.Second))
		if err := <-outcome; core.ClassOf(err) != core.ClassTimeout || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		close(g.open)
	})
}
