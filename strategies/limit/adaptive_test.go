package limit_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/internal/race"
	"github.com/liftoff-mq/liftoff/strategies/limit"
)

// one is a configuration with one broker.
func one(t core.Transport, steps ...core.Step) core.Config {
	cfg := patient(t, steps...)
	cfg.Routes = coretest.Routes(1, "broker-a")
	return cfg
}

// load is a number of callers that send one message after the other for a time.
type load struct {
	done atomic.Int64
	sum  atomic.Int64 // of the times of attempts at the transport
}

// AttemptDone implements [core.AttemptListener].
func (l *load) AttemptDone(_ context.Context, r *core.AttemptReport) {
	if r.Err == nil {
		l.done.Add(1)
		l.sum.Add(int64(r.Latency))
	}
}

// take gives what was done since the last take, with the mean time of it.
func (l *load) take() (done int64, mean time.Duration) {
	done = l.done.Swap(0)
	return done, time.Duration(l.sum.Swap(0) / max(done, 1))
}

// With many more callers than the broker can work on it is as busy as it can be, and its queue
// stays short. When it becomes ten times slower the limit follows, and again when it recovers.
func TestAdaptiveFollows(t *testing.T) {
	const callers = 200
	for _, tt := range []struct {
		threads   int
		each, far time.Duration
	}{
		{1, ms, ms},
		{1, 500 * time.Microsecond, 200 * time.Microsecond},
		{4, ms, ms},
		{16, 10 * ms, ms},
		{1, ms, 50 * ms},
		{64, 10 * ms, ms},
	} {
		t.Run(fmt.Sprintf("%d threads, %v each, %v away", tt.threads, tt.each, tt.far), func(t *testing.T) {
			if race.Enabled && tt.threads*int(time.Second/tt.each) > 2000 {
				t.Skip("too many messages for the race detector")
			}
			synctest.Test(t, func(t *testing.T) {
				s, a, l := newServer(tt.threads, tt.each, tt.far), newAdaptive(t, limit.AdaptiveConfig{}), new(load)
				p := coretest.Start(t, one(s, a.Step(), core.ListenerStep("load", l)))
				var all sends
				ctx, cancel := context.WithCancel(bg)
				for range callers {
					all.wg.Go(func() {
						for ctx.Err() == nil {
							_, _ = p.Send(ctx, coretest.Message("x"))
						}
					})
				}
				for i, each := range []time.Duration{tt.each, 10 * tt.each, tt.each} {
					s.takes(each)
					const settle, measured = 12 * time.Second, 3 * time.Second
					time.Sleep(settle)
					l.take()
					time.Sleep(measured)
					done, mean := l.take()
					best := int64(tt.threads) * int64(measured/each)
					alone := tt.far + each
					t.Logf("%v each: %d of %d, in %v; alone %v; %+v", each, done, best, mean, alone, a.States()[0])
					if done < best*85/100 {
						t.Errorf("%d: %d messages, the broker can do %d", i, done, best)
					}
					// So long do Min attempts take one after the other, if they have to.
					least := tt.far + each*time.Duration(max(limit.DefaultAdaptiveMin/tt.threads, 1))
					if most := 2*least + 2*limit.DefaultTarget; mean > most {
						t.Errorf("%d: a message takes %v, at most %v are expected", i, mean, most)
					}
				}
				cancel()
				all.wg.Wait()
			})
		})
	}
}

// Senders that never have much under way do not widen the limit: the broker was not seen to
// take so many.
func TestUnusedLimitStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdaptive(t, limit.AdaptiveConfig{})
		p := coretest.Start(t, one(newServer(1, ms, ms), a.Step()))
		for range 1000 {
			if _, err := p.Send(bg, coretest.Message("x")); err != nil {
				t.Fatal(err)
			}
		}
		want := limit.Status{Broker: "broker-a", Addr: "broker-a:10911", Limit: 32, Quickest: 2 * ms}
		if got := a.States()[0]; got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// gated starts so many sends at broker-a and gives their attempts.
func gated(t *testing.T, g *gate, p *core.Producer, all *sends, n int) []*attempt {
	t.Helper()
	for range n {
		all.start(bg, p, to("broker-a"))
		synctest.Wait()
	}
	if g.under() != n {
		t.Fatalf("%d attempts are under way, want %d", g.under(), n)
	}
	out := make([]*attempt, n)
	for i := range out {
		out[i] = <-g.attempts
	}
	return out
}

func end(err error, attempts ...*attempt) {
	for _, a := range attempts {
		a.end <- err
		synctest.Wait()
	}
}

// What the ends of attempts do to a limit of 32.
func TestAdaptiveSignals(t *testing.T) {
	answer := func(code rocketmq.ResponseCode) error {
		return coretest.Refuse(&core.Attempt{}, code, "")
	}
	for name, tt := range map[string]struct {
		err  error
		took time.Duration
		want int
	}{
		"answered soon":       {nil, 10 * ms, 37}, // 32 and its root
		"answered soon after": {nil, 15 * ms, 37},
		"answered late":       {nil, 20 * ms, 24}, // 15 of 20
		"answered very late":  {nil, 100 * ms, 16},
		"busy":                {answer(rocketmq.CodeSystemBusy), 0, 16},
		"flow control":        {answer(rocketmq.CodeFlowControl), 0, 16},
		"unavailable":         {answer(rocketmq.CodeServiceNotAvailable), 0, 16},
		"lost":                {core.ErrConnectionLost, 0, 16},
		"timed out":           {core.ErrTimeout, time.Second, 16},
		"timed out late":      {core.ErrTimeout, 60 * ms, 16}, // the broker needs less than 50 ms
		"timed out too early": {core.ErrTimeout, 10 * ms, 32},
		"the message's fault": {answer(rocketmq.CodeMessageIllegal), 0, 32},
		"cancelled":           {context.Canceled, 0, 32},
		"veto":                {core.ErrForbidden, 0, 32},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, a := newGate(), newAdaptive(t, limit.AdaptiveConfig{})
				p := coretest.Start(t, patient(g, a.Step()))
				var all sends
				// A first round of few attempts shows how far the broker is.
				few := gated(t, g, p, &all, 8)
				time.Sleep(10 * ms)
				end(nil, few...)
				got := gated(t, g, p, &all, 16)
				time.Sleep(tt.took)
				end(tt.err, got[:8]...)
				if s := state(a.States(), "broker-a"); s.Limit != tt.want || s.Quickest != 10*ms {
					t.Errorf("got %+v, want a limit of %d", s, tt.want)
				}
				// What was under way then tells of the same load.
				end(core.ErrConnectionLost, got[8:12]...)
				if s := state(a.States(), "broker-a"); tt.want != 32 && s.Limit != tt.want {
					t.Errorf("the rest made the limit %d, want %d", s.Limit, tt.want)
				}
				end(nil, got[12:]...)
				all.wg.Wait()
			})
		})
	}
}

// What counts is how many were under way at most in the round, not at its end.
func TestLimitWasInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, a := newGate(), newAdaptive(t, limit.AdaptiveConfig{})
		p := coretest.Start(t, patient(g, a.Step()))
		var all sends
		got := gated(t, g, p, &all, 16)
		end(core.ErrForbidden, got[:9]...)
		got = append(got[9:], gated(t, g, p, &all, 1)...)
		end(nil, got...)
		if s := state(a.States(), "broker-a"); s.Limit != 37 {
			t.Errorf("got %+v", s)
		}
		all.wg.Wait()
	})
}

// At a far broker half as long again is soon enough.
func TestFarBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, a := newGate(), newAdaptive(t, limit.AdaptiveConfig{})
		p := coretest.Start(t, patient(g, a.Step()))
		var all sends
		for _, tt := range []struct {
			took time.Duration
			want int
		}{{100 * ms, 37}, {150 * ms, 43}, {160 * ms, 41}} {
			got := gated(t, g, p, &all, 24)
			time.Sleep(tt.took)
			end(nil, got[:8]...)
			end(core.ErrForbidden, got[8:]...)
			if s := state(a.States(), "broker-a"); s.Limit != tt.want {
				t.Errorf("after %v: %+v, want a limit of %d", tt.took, s, tt.want)
			}
		}
		all.wg.Wait()
	})
}

// The first limit is within the bounds.
func TestFirstLimit(t *testing.T) {
	for cfg, want := range map[limit.AdaptiveConfig]int{{}: 32, {Max: 7}: 7, {Min: 50}: 50} {
		a := newAdaptive(t, cfg)
		p := coretest.Start(t, one(&coretest.Transport{}, a.Step()))
		if _, err := p.Send(bg, coretest.Message("x")); err != nil {
			t.Error(err)
		}
		if got := a.States()[0].Limit; got != want {
			t.Errorf("%+v: %d, want %d", cfg, got, want)
		}
	}
}

// A round ends after a second where there are few answers.
func TestSlowRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, a := newGate(), newAdaptive(t, limit.AdaptiveConfig{Max: 4})
		p := coretest.Start(t, patient(g, a.Step()))
		var all sends
		got := gated(t, g, p, &all, 4)
		time.Sleep(time.Second - 1)
		end(nil, got[0])
		if s := state(a.States(), "broker-a"); s.Quickest != 0 {
			t.Errorf("the round ended early: %+v", s)
		}
		time.Sleep(time.Nanosecond)
		end(nil, got[1])
		if s := state(a.States(), "broker-a"); s.Quickest != time.Second-1 {
			t.Errorf("after a second: %+v", s)
		}
		end(nil, got[2:]...)
		all.wg.Wait()
	})
}

// One-way attempts and vetoes take room and teach nothing, whatever their end.
func TestWhatTeachesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &coretest.Transport{}
		fail := core.AttemptInterceptorFunc(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
			if string(at.Call().Message().Body) == "veto" {
				return nil, core.ErrConnectionLost
			}
			return next(ctx, at)
		})
		tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
			if string(at.Call().Message().Body) == "fail" {
				return nil, core.ErrConnectionLost
			}
			return tr.Ack(at), nil
		}
		a := newAdaptive(t, limit.AdaptiveConfig{})
		p := coretest.Start(t, one(tr, a.Step(), core.AttemptStep("fail", core.AttemptWire, fail)))
		for range 100 {
			_ = p.SendOneway(bg, coretest.Message("x"))
			_ = p.SendOneway(bg, coretest.Message("fail"))
			_, _ = p.Send(bg, coretest.Message("veto"))
		}
		want := limit.Status{Broker: "broker-a", Addr: "broker-a:10911", Limit: 32}
		if got := a.States()[0]; got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// The limit keeps within its bounds, and lets Min attempts through however ill the broker is.
func TestAdaptiveBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, a := newGate(), newAdaptive(t, limit.AdaptiveConfig{Min: 3, Max: 40})
		p := coretest.Start(t, patient(g, a.Step()))
		var all sends
		for _, tt := range []struct {
			err  error
			want int
		}{{nil, 40}, {core.ErrConnectionLost, 3}, {nil, 40}} {
			for range 100 {
				end(tt.err, gated(t, g, p, &all, state(a.States(), "broker-a").Limit+b2i(len(a.States()) == 0)*32)...)
			}
			if got := state(a.States(), "broker-a").Limit; got != tt.want {
				t.Errorf("with %v: a limit of %d, want %d", tt.err, got, tt.want)
			}
		}
		all.wg.Wait()
	})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Every ten seconds the quickest answer is measured anew, with a quarter of what was under way
// before, for a time in which the queue runs empty. Then the old limit is back.
func TestMeasuresAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, a := newGate(), newAdaptive(t, limit.AdaptiveConfig{Max: 32})
		p := coretest.Start(t, patient(g, a.Step()))
		var all sends
		expect := func(l int, quickest time.Duration) {
			t.Helper()
			if s := state(a.States(), "broker-a"); s.Limit != l || s.Quickest != quickest {
				t.Errorf("got %+v, want a limit of %d and %v", s, l, quickest)
			}
		}
		got := gated(t, g, p, &all, 20)
		time.Sleep(ms)
		end(nil, got...)
		time.Sleep(10 * time.Second)
		got = gated(t, g, p, &all, 20)
		time.Sleep(40 * ms)
		expect(32, ms)
		end(nil, got[0]) // the first after a second
		expect(5, ms)
		all.start(bg, p, to("broker-a")) // has to wait
		synctest.Wait()
		if g.under() != 0 {
			t.Error("the queue does not run empty")
		}
		end(nil, got[1:]...)
		got = []*attempt{<-g.attempts}
		for range 7 { // more than enough answers, too early
			time.Sleep(11 * ms)
			end(nil, got...)
			expect(5, ms)
			got = gated(t, g, p, &all, 5)
		}
		time.Sleep(3*ms - 1) // twice the 40 ms of the round before
		end(nil, got[0])
		expect(5, ms)
		time.Sleep(1 * time.Nanosecond)
		end(nil, got[1])
		expect(32, 3*ms-1)
		// Until the next turn a quicker answer counts, and a slower one does not.
		end(nil, got[2:]...)
		for _, took := range []time.Duration{5 * ms, 2 * ms, 5 * ms} {
			got = gated(t, g, p, &all, 8)
			time.Sleep(took)
			end(nil, got...)
		}
		expect(32, 2*ms)
		all.wg.Wait()
	})
}

// A producer with little under way is not held back while it measures.
func TestMeasuresUnderLittleLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, a := newGate(), newAdaptive(t, limit.AdaptiveConfig{})
		p := coretest.Start(t, patient(g, a.Step()))
		var all sends
		start := time.Now()
		for time.Since(start) < 40*time.Second {
			took := ms
			if time.Since(start) > 10*time.Second {
				took = 30 * ms
			}
			got := gated(t, g, p, &all, 3)
			time.Sleep(took)
			end(nil, got...)
			if s := state(a.States(), "broker-a"); s.Limit < 4 {
				t.Fatalf("after %v: %+v", time.Since(start), s)
			}
		}
		if s := state(a.States(), "broker-a"); s.Quickest != 30*ms {
			t.Errorf("got %+v", s)
		}
		all.wg.Wait()
	})
}

// Producers that do not know of each other share a broker: each has its part of what it can
// do, and its queue stays short.
func TestProducersShareABroker(t *testing.T) {
	if race.Enabled {
		t.Skip("too many messages for the race detector")
	}
	synctest.Test(t, func(t *testing.T) {
		const producers, settle, measured = 4, 35 * time.Second, 10 * time.Second
		s := newServer(4, 2*ms, ms)
		ctx, cancel := context.WithCancel(bg)
		var all sends
		var loads []*load
		for range producers {
			l := new(load)
			loads = append(loads, l)
			p := coretest.Start(t, one(s, newAdaptive(t, limit.AdaptiveConfig{}).Step(), core.ListenerStep("load", l)))
			for range 30 {
				all.wg.Go(func() {
					for ctx.Err() == nil {
						_, _ = p.Send(ctx, coretest.Message("x"))
					}
				})
			}
			time.Sleep(1700 * ms)
		}
		time.Sleep(settle)
		for _, l := range loads {
			l.take()
		}
		time.Sleep(measured)
		best := int64(4 * measured / (2 * ms))
		total := int64(0)
		for i, l := range loads {
			done, mean := l.take()
			t.Logf("producer %d: %d of %d, in %v", i, done, best, mean)
			total += done
			if done < best/producers*2/3 || done > best/producers*3/2 {
				t.Errorf("producer %d has %d of %d", i, done, best)
			}
			if mean > 20*ms {
				t.Errorf("producer %d: a message takes %v", i, mean)
			}
		}
		if total < best*95/100 {
			t.Errorf("%d of %d", total, best)
		}
		cancel()
		all.wg.Wait()
	})
}

// The measurement of a quick broker lasts 50 ms, and one attempt at least is let in.
func TestMeasuresAQuickBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, a := newGate(), newAdaptive(t, limit.AdaptiveConfig{Min: 1, Max: 8})
		p := coretest.Start(t, patient(g, a.Step()))
		var all sends
		for range 3 {
			time.Sleep(10 * time.Second)
			end(nil, gated(t, g, p, &all, 2)...)
		}
		start := time.Now()
		for state(a.States(), "broker-a").Limit == 1 {
			time.Sleep(ms)
			end(nil, gated(t, g, p, &all, 1)...)
		}
		if took := time.Since(start); took != 50*ms {
			t.Errorf("it took %v", took)
		}
		if s := state(a.States(), "broker-a"); s.Limit != 8 {
			t.Errorf("got %+v", s)
		}
		all.wg.Wait()
	})
}

// A failure while the quickest answer is measured halves the limit from before.
func TestFailureWhileMeasuring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, a := newGate(), newAdaptive(t, limit.AdaptiveConfig{Max: 32})
		p := coretest.Start(t, patient(g, a.Step()))
		var all sends
		end(nil, gated(t, g, p, &all, 20)...)
		time.Sleep(10 * time.Second)
		end(nil, gated(t, g, p, &all, 20)...)
		if s := state(a.States(), "broker-a"); s.Limit != 5 {
			t.Fatalf("it does not measure: %+v", s)
		}
		end(core.ErrConnectionLost, gated(t, g, p, &all, 1)...)
		if s := state(a.States(), "broker-a"); s.Limit != 16 {
			t.Errorf("got %+v, want half of 32", s)
		}
		all.wg.Wait()
	})
}
