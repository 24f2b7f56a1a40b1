package accumulate_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/refusal"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/accumulate"
)

// Random callers with random limits, delays, refusals, losses and cancellations,
// in virtual time, each seed a world of its own. Whatever happens, a send ends in
// time and what it says of its message is true.
func TestRandom(t *testing.T) {
	seeds := 300
	if testing.Short() {
		seeds = 30
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) { randomWorld(t, uint64(seed)) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func randomWorld(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 7))
	dice := func(n int) func() bool { // true once in n times, safe for concurrent use
		var mu sync.Mutex
		own := rand.New(rand.NewPCG(seed, r.Uint64()))
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return n > 0 && own.IntN(n) == 0
		}
	}
	l := newLine(time.Duration(r.IntN(4000)) * time.Microsecond)
	refuse, lose, illegal := dice(r.IntN(12)), dice(r.IntN(12)), dice(r.IntN(12))
	l.fate = func(int, request) error {
		switch {
		case refuse():
			return refusal.Of(rocketmq.CodeSystemBusy, "", "")
		case illegal():
			return poison
		}
		return nil
	}
	l.lost = func(int) bool { return lose() }
	cfg := coretest.Config(l, accumulator(t, accumulate.Config{
		Linger: time.Duration(1+r.IntN(8)) * ms, MaxCount: 2 + r.IntN(20), MaxBytes: 1024 << r.IntN(3),
	}).Step())
	cfg.Timeout = time.Duration(5+r.IntN(50)) * ms
	cfg.Retry = coretest.Retry(1 + r.IntN(3))
	p := coretest.Start(t, cfg)

	var mu sync.Mutex
	results, failures := map[string]core.Result{}, map[string]error{}
	var wg sync.WaitGroup
	for caller := range 1 + r.IntN(24) {
		own := rand.New(rand.NewPCG(seed, r.Uint64()))
		wg.Go(func() {
			for n := range 1 + own.IntN(10) {
				time.Sleep(time.Duration(own.IntN(3)*own.IntN(4000)) * time.Microsecond)
				ctx, cancel := context.WithCancel(context.Background())
				if own.IntN(6) == 0 {
					time.AfterFunc(time.Duration(own.IntN(12000))*time.Microsecond, cancel)
				}
				limit, opts := cfg.Timeout, []core.SendOption(nil)
				if own.IntN(6) == 0 {
					limit = time.Duration(1+own.IntN(20)) * ms
					opts = append(opts, core.SendTimeout(limit))
				}
				m := coretest.Message(fmt.Sprintf("%d/%d/%0*d", caller, n, own.IntN(200), 0))
				body := string(m.Body)
				begun := time.Now()
				res, err := p.Send(ctx, m, opts...)
				if took := time.Since(begun); took > limit {
					t.Errorf("%s took %v of %v", body, took, limit)
				}
				cancel()
				clear(m.Body)
				mu.Lock()
				if results[body] = res; err != nil {
					failures[body] = err
				}
				mu.Unlock()
			}
		})
	}
	if r.IntN(2) == 0 {
		time.Sleep(time.Duration(r.IntN(20)) * ms)
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(r.IntN(30))*ms)
		var se *core.ShutdownError
		if err := p.Shutdown(ctx); err != nil && !errors.As(err, &se) {
			t.Error(err)
		}
		cancel()
	}
	wg.Wait()
	if err := p.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	verify(t, l, results, failures)
}

// verify compares what the sends say with what is stored.
func verify(t *testing.T, l *line, results map[string]core.Result, failures map[string]error) {
	t.Helper()
	times := map[string]int{}
	for id, copies := range l.stored {
		for _, body := range copies {
			times[body]++
			if body != copies[0] {
				t.Errorf("id %s belongs to %q and %q", id, copies[0], body)
			}
		}
	}
	offsets := map[int64]string{}
	for body, res := range results {
		if err, failed := failures[body]; failed {
			var se *core.SendError
			if !errors.As(err, &se) || se.Certainty.Safe() && times[body] > 0 {
				t.Errorf("%q is stored %d times: %v", body, times[body], err)
			}
			continue
		}
		id := res.MessageID.String()
		if copies := l.stored[id]; len(copies) == 0 || copies[0] != body || res.OffsetMessageID != "off-"+id {
			t.Errorf("%q got the result of %q: %+v", body, copies, res)
		}
		if times[body] > 1 && !res.MaybeDuplicate {
			t.Errorf("%q is stored %d times: %+v", body, times[body], res)
		}
		if other, dup := offsets[res.QueueOffset]; dup {
			t.Errorf("%q and %q lie at %d", body, other, res.QueueOffset)
		}
		offsets[res.QueueOffset] = body
	}
	for body := range times {
		if _, sent := results[body]; !sent {
			t.Errorf("%q is stored, and nobody sent it", body)
		}
	}
}
