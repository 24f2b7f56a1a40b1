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
				ctx := &slowContext{inner, func() {}, func() {}, func() {}}
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
