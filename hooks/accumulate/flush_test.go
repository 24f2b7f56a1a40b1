package accumulate_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/accumulate"
)

// Shutdown sends what waits at once, and waits for it.
func TestShutdownFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(20 * ms)
		p := coretest.Start(t, config(t, l, accumulate.Config{Linger: 30 * time.Second}))
		all := each(p, "flying", "a", "b", "c")
		fixed := coretest.Message("d")
		fixed.Queue = &core.Queue{Broker: "broker-b", ID: 1}
		land := send(t.Context(), p, fixed)
		synctest.Wait()
		again := coretest.Message("e")
		again.Queue = fixed.Queue
		all = append(all, land, send(t.Context(), p, again))
		time.Sleep(10 * ms)
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(l.begun); took != 30*ms {
			t.Errorf("shut down after %v, want 10 ms and a round trip", took)
		}
		for _, s := range all {
			if _, err := s.wait(); err != nil {
				t.Error(err)
			}
		}
		if rs := l.seen(); len(rs) != 4 || len(l.stored) != 6 {
			t.Errorf("requests %v, stored %v", rs, l.stored)
		}
		if _, err := p.Send(t.Context(), coretest.Message("x")); !errors.Is(err, core.ErrClosed) {
			t.Error(err)
		}
	})
}

// What is on its way when Shutdown's time ends is aborted, and told so.
func TestShutdownAborts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(time.Minute)
		p := coretest.Start(t, config(t, l, accumulate.Config{Linger: 30 * time.Second}))
		all := each(p, "flying", "a", "b", "c")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 10*ms)
		defer cancel()
		err := p.Shutdown(ctx)
		var se *core.ShutdownError
		if !errors.As(err, &se) || se.Undelivered != 4 || time.Since(l.begun) != 10*ms {
			t.Errorf("shut down after %v: %v", time.Since(l.begun), err)
		}
		for _, s := range all {
			if _, err := s.wait(); !errors.Is(err, core.ErrAborted) || core.CertaintyOf(err) != core.MaybeStored {
				t.Error(err)
			}
		}
	})
}

// Sends that come to the step only after Shutdown began hardly wait.
func TestLateDuringShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(ms)
		slow := core.InterceptorFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			if string(c.Message().Body) != "flying" {
				time.Sleep(10 * ms)
			}
			return next(ctx, c)
		})
		p := coretest.Start(t, config(t, l, accumulate.Config{Linger: 30 * time.Second}, core.CallStep("slow", core.StageGuard, slow)))
		land := waiting(t, l, p)
		all := each(p, "a", "b")
		synctest.Wait()
		time.AfterFunc(11*ms, land)
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(l.begun); took != 12*ms {
			t.Errorf("took %v, want 10 ms, a round trip and another ms", took)
		}
		for _, s := range all {
			if _, err := s.wait(); err != nil {
				t.Error(err)
			}
		}
	})
}

// Flush sends what waits at once. While it waits, what comes hardly lingers; after it, as before. Another flush may end
// earlier.
func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(20 * ms)
		p := coretest.Start(t, config(t, l, accumulate.Config{Linger: 30 * time.Second}))
		begun := time.Now()
		all := each(p, "flying", "a", "b", "c")
		synctest.Wait()
		time.Sleep(10 * ms)
		flushed := make(chan time.Duration, 2)
		flush := func(ctx context.Context) {
			_ = p.Flush(ctx)
			flushed <- time.Since(begun)
		}
		go flush(t.Context())
		synctest.Wait() // the other one stands in line behind it
		short, cancel := context.WithTimeout(t.Context(), 2*ms)
		defer cancel()
		go flush(short)
		time.Sleep(5 * ms)
		all = append(all, each(p, "d", "e")...)
		if first, second := <-flushed, <-flushed; first != 12*ms || second != 30*ms {
			t.Errorf("flushed after %v and %v, want 12 ms, and 10 ms and a round trip", first, second)
		}
		for _, s := range all {
			if _, err := s.wait(); err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(begun); took > 36*ms {
			t.Errorf("what came meanwhile took until %v, want 15 ms, at most 1 ms and a round trip", took)
		}
		begun = time.Now()
		for _, s := range each(p, "flying", "f", "g", "h", "i") {
			if _, err := s.wait(); err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(begun); took < time.Second {
			t.Errorf("after the flush: sent after %v, want them to wait for more", took)
		}
	})
}
