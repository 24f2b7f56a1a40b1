package retry_test

import (
	"context"
	"errors"
	"maps"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/strategies/retry"
)

func newBudget(tb interface{ Fatal(...any) }, ratio float64, burst int) *retry.Budget {
	b, err := retry.NewBudget(ratio, burst)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// The budget against a plain count of what it owes, in an outage and else.
func TestBudgetModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tenths := rapid.IntRange(0, 10).Draw(rt, "tenths")
		burst := rapid.SampledFrom([]int{1, 2, 5, retry.OutageBurst - 1, retry.OutageBurst, retry.OutageBurst + 3}).Draw(rt, "burst")
		b := newBudget(rt, float64(tenths)/10, burst)
		full := map[bool]int{false: burst * 10, true: min(burst, retry.OutageBurst) * 10} // in tenths, by outage
		have := maps.Clone(full)
		const deposit, usual, outage, drain = 0, 1, 2, 3
		for i, what := range rapid.SliceOf(rapid.IntRange(deposit, drain)).Draw(rt, "steps") {
			switch what {
			case deposit:
				b.Deposit()
				kind := have[false] == full[false]
				have[kind] = min(have[kind]+tenths, full[kind])
			case usual, outage:
				kind := what == outage
				granted := b.Withdraw(&core.Failure{Outage: kind})
				if granted != (have[kind] >= 10) {
					rt.Fatalf("step %d: granted %v with %d tenths", i, granted, have[kind])
				}
				if granted {
					have[kind] -= 10
				}
			case drain:
				for kind := range have {
					for have[kind] >= 20 {
						if have[kind] -= 10; !b.Withdraw(&core.Failure{Outage: kind}) {
							rt.Fatalf("step %d: refused with %d tenths", i, have[kind])
						}
					}
				}
			}
			if b.Left() != have[false]/10 || b.LeftInOutage() != have[true]/10 {
				rt.Fatalf("step %d: %d and %d left, want %d and %d tenths", i, b.Left(), b.LeftInOutage(), have[false], have[true])
			}
		}
	})
}

// A success that the full usual bucket has no room for pays for a retry in an outage, and
// only such a success does.
func TestBudgetOverflow(t *testing.T) {
	b := newBudget(t, 1, 2)
	b.Withdraw(&core.Failure{})
	b.Withdraw(&core.Failure{Outage: true})
	for i, want := range [][2]int{{2, 1}, {2, 2}, {2, 2}} {
		b.Deposit()
		if got := [2]int{b.Left(), b.LeftInOutage()}; got != want {
			t.Errorf("after success %d: %v are left, usually and in an outage, want %v", i+1, got, want)
		}
	}
}

func TestBudgetConcurrently(t *testing.T) {
	b := newBudget(t, 0.1, 100)
	var granted atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				b.Deposit()
				if b.Withdraw(&core.Failure{}) {
					granted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if got := granted.Load(); got < 100+8*1000/10-101 || got > 100+8*1000/10 {
		t.Errorf("%d retries granted for 8000 successes, want about 900 and not more", got)
	}
}

// A flood of "busy": attempts on the wire stay within 1.1 per message, and the
// burst (row 11 of the faults: flood of code 2).
func TestBudgetBoundsRetries(t *testing.T) {
	const messages, burst = 500, 10
	var n atomic.Int64
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		if n.Add(1)%2 == 0 { // half of the attempts
			return nil, coretest.Refuse(at, rocketmq.CodeSystemBusy, "[PC_SYNCHRONIZED]broker busy")
		}
		return tr.Ack(at), nil
	}
	cfg := coretest.Config(tr)
	cfg.Retry = retry.AtLeastOnce(retry.Retries(5), retry.Pause(retry.Exponential(1, 1, 1)))
	cfg.Budget = newBudget(t, 0.1, burst)
	p := coretest.Start(t, cfg)
	for range messages {
		if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil && core.ClassOf(err) != core.ClassBusy {
			t.Fatal(err)
		}
	}
	if got, most := len(tr.Attempts()), messages*11/10+burst; got > most || got < messages+burst {
		t.Errorf("%d attempts for %d messages, want more than %d and at most %d", got, messages, messages+burst, most)
	}
}

func TestBudgetErrors(t *testing.T) {
	for _, tt := range []struct {
		ratio float64
		burst int
		want  []string
	}{
		{-0.1, 0, []string{"ratio", "burst"}},
		{1.1, 1, []string{"ratio"}},
		{math.NaN(), 1, []string{"ratio"}},
		{0.1, math.MaxInt, []string{"burst"}},
	} {
		_, err := retry.NewBudget(tt.ratio, tt.burst)
		if err == nil {
			t.Errorf("ratio %v and burst %d were accepted", tt.ratio, tt.burst)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("error %q does not name %s", err, want)
			}
		}
	}
}

// What is just within the limits is accepted.
func TestBudgetLimits(t *testing.T) {
	for _, burst := range []int{1, 1_000_000_000} {
		for _, ratio := range []float64{0, 1} {
			if b := newBudget(t, ratio, burst); b.Left() != burst {
				t.Errorf("ratio %v, burst %d: %d are left", ratio, burst, b.Left())
			}
		}
	}
	if _, err := retry.NewBudget(0, 1_000_000_001); err == nil {
		t.Error("a burst above the limit was accepted")
	}
}

// The default policy through a producer: another broker at once, never a third
// attempt at what cannot help.
func TestThroughAProducer(t *testing.T) {
	for _, tt := range []struct {
		name     string
		err      func(at *core.Attempt) error
		attempts int
		brokers  int
	}{
		{"busy everywhere", func(at *core.Attempt) error { return coretest.Refuse(at, rocketmq.CodeSystemBusy, "") }, 1 + retry.DefaultBusy, 2},
		{"credentials", func(at *core.Attempt) error {
			return coretest.Refuse(at, rocketmq.CodeNoPermission, "check signature failed")
		}, 1, 1},
		{"read-only brokers", func(at *core.Attempt) error { return coretest.Refuse(at, rocketmq.CodeNoPermission, "") }, 2, 2},
		{"lost", func(*core.Attempt) error { return core.ErrConnectionLost }, 3, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := &coretest.Transport{Do: func(_ context.Context, at *core.Attempt) (*core.Result, error) { return nil, tt.err(at) }}
			cfg := coretest.Config(tr)
			cfg.Retry = retry.AtLeastOnce(retry.Pause(retry.Exponential(1, 1, 1)))
			_, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x"))
			var se *core.SendError
			if !errors.As(err, &se) || len(se.Attempts) != tt.attempts {
				t.Errorf("got %v, want %d attempts", err, tt.attempts)
			}
			brokers := map[string]bool{}
			for _, a := range tr.Attempts() {
				brokers[a.Queue.Broker] = true
			}
			if len(brokers) != tt.brokers {
				t.Errorf("went to %d brokers, want %d", len(brokers), tt.brokers)
			}
		})
	}
}

func BenchmarkBudget(b *testing.B) {
	budget := newBudget(b, 0.1, 100)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			budget.Deposit()
		}
	})
}
