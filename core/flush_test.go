package core_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// flushing is a step that holds calls back until a flush.
type flushing struct {
	name       string
	journal    *journal
	flush, end func() // what is done in either, beside the journal
	begun      chan struct{}
}

func newFlushing(j *journal, name string) *flushing {
	return &flushing{name: name, journal: j, flush: func() {}, end: func() {}, begun: make(chan struct{}, 8)}
}

func (f *flushing) Flush() func() {
	f.journal.write("flush " + f.name)
	f.flush()
	f.begun <- struct{}{}
	return func() {
		f.journal.write("end " + f.name)
		f.end()
	}
}

func (f *flushing) Intercept(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
	if c.Message().Tag == "held" {
		<-f.begun
		f.begun <- struct{}{}
		time.Sleep(time.Second)
	}
	return next(ctx, c)
}

// Steps that hold calls back are told before Flush waits, each once, those of policies too, and told again when it returns.
// A step without anything to end gives nil.
func TestFlushTellsSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &journal{}
		first, other := newFlushing(j, "first"), newFlushing(j, "policy's")
		cfg := coretest.Config(&coretest.Transport{},
			core.CallStep("a.first", core.StageEncode, first), core.CallStep("b.first", core.StageEncode, first),
			core.CallStep("nothing", core.StageEncode, endless{}))
		cfg.Timeout = time.Hour
		cfg.Policies = &core.PolicyTable{Default: &core.Policy{Name: "rest"}, ByTopic: map[string]*core.Policy{"Other": {
			Name: "other", Steps: []core.Step{core.CallStep("other", core.StageGuard, other)},
		}}}
		p := coretest.Start(t, cfg)
		sent := &core.Message{Topic: "Orders", Tag: "held", Body: []byte("x")}
		p.SendAsync(t.Context(), sent, func(core.Result, error) { j.write("done") })
		synctest.Wait()
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		j.expect(t, "flush", "flush first, flush policy's, done, end policy's, end first")
		// Two at a time, with nothing to wait for.
		errs := make(chan error, 2)
		for range 2 {
			go func() { errs <- p.Flush(t.Context()) }()
		}
		if err := errors.Join(<-errs, <-errs); err != nil {
			t.Error(err)
		}
		if got := j.take(); strings.Count(got, "flush ") != 4 || strings.Count(got, "end ") != 4 {
			t.Errorf("two flushes: %q", got)
		}
	})
}

// endless has nothing to end.
type endless struct{}

func (endless) Flush() func() { return nil }

func (endless) Intercept(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
	return next(ctx, c)
}

// A step's code that panics, ends its goroutine or blocks spoils no flush: it waits for the sends all the same, and no
// longer than its context.
func TestFlushOfStepsThatGoWrong(t *testing.T) {
	released := make(chan struct{})
	for name, tt := range map[string]struct {
		wrong  func()
		panics int
		took   time.Duration
	}{
		"panic":  {func() { panic("boom") }, 1, time.Minute},
		"goexit": {runtime.Goexit, 0, time.Minute},
		"block":  {func() { <-released }, 0, time.Hour},
	} {
		for _, when := range []string{"flush", "end"} {
			t.Run(name+" at the "+when, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					if name == "block" {
						released = make(chan struct{})
					}
					logs := &logLines{}
					good, bad := newFlushing(&journal{}, "good"), newFlushing(&journal{}, "bad")
					if when == "flush" {
						bad.flush = tt.wrong
					} else {
						bad.end = tt.wrong
					}
					tr := &coretest.Transport{}
					tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
						time.Sleep(time.Minute)
						return tr.Ack(at), nil
					}
					cfg := coretest.Config(tr, core.CallStep("a", core.StageGuard, good), core.CallStep("b", core.StageGuard, bad))
					cfg.Timeout, cfg.Logger = 2*time.Hour, logs.logger()
					p := coretest.Start(t, cfg)
					p.SendAsync(t.Context(), coretest.Message("x"), nil)
					synctest.Wait()
					ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
					defer cancel()
					began := time.Now()
					err := p.Flush(ctx)
					if late := name == "block" && when == "flush"; time.Since(began) != tt.took || (err != nil) != late || late && !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%v after %v", err, time.Since(began))
					}
					if name == "block" {
						close(released)
					}
					synctest.Wait()
					good.journal.expect(t, "the other step", "flush good, end good")
					if n := logs.count("flush panicked"); n != tt.panics {
						t.Errorf("%d lines, want %d: %s", n, tt.panics, logs.buf.String())
					}
				})
			})
		}
	}
}
