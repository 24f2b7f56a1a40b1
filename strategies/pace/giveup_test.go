package pace_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/strategies/pace"
)

// A send that waits for its place ends with its context, its time or the producer.
func TestWaitEnds(t *testing.T) {
	why := errors.New("it is not wanted any more")
	for name, tt := range map[string]struct {
		end   func(p *core.Producer, cancel context.CancelCauseFunc)
		cause error
		class core.Class
	}{
		"cancelled": {func(_ *core.Producer, cancel context.CancelCauseFunc) { cancel(nil) }, context.Canceled, core.ClassCanceled},
		"with a cause": {
			func(_ *core.Producer, cancel context.CancelCauseFunc) { cancel(why) }, why, core.ClassCanceled,
		},
		"out of time": {
			func(*core.Producer, context.CancelCauseFunc) { time.Sleep(5*time.Minute + ms) }, context.DeadlineExceeded, core.ClassInFlight,
		},
		"shutdown": {
			func(p *core.Producer, _ context.CancelCauseFunc) {
				ctx, stop := context.WithTimeout(bg, time.Second)
				defer stop()
				_ = p.Shutdown(ctx)
			}, core.ErrAborted, core.ClassClosed,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, pc := newGate(), pacer(t, fixed(16))
				p, err := core.NewProducer(config(g, pc))
				if err != nil {
					t.Fatal(err)
				}
				if err := p.Start(bg); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancelCause(bg)
				defer cancel(nil)
				var in, out sends
				in.start(bg, p, 16, "broker-a")
				synctest.Wait()
				out.start(ctx, p, 1, "broker-a")
				synctest.Wait()
				tt.end(p, cancel)
				synctest.Wait()
				_, errs := out.count()
				if len(errs) != 1 {
					t.Fatalf("the send goes on: %v", errs)
				}
				got := errs[0]
				if !errors.Is(got, tt.cause) || core.ClassOf(got) != tt.class || core.CertaintyOf(got) != core.NotSent {
					t.Errorf("got %v", got)
				}
				pe := (*pace.Error)(nil)
				if !errors.As(got, &pe) || pe.Broker != "broker-a" || pe.Addr != "broker-a:10911" || pe.Window != 16 || pe.Unconfirmed != 16 && name != "shutdown" || !strings.Contains(got.Error(), "broker-a") {
					t.Errorf("got %+v in %v", pe, got)
				}
				if n := len(g.Attempts()); n != 16 {
					t.Errorf("%d messages were sent, want 16", n)
				}
				if s := state(pc, "broker-a"); s.Waiting != 0 {
					t.Errorf("left behind: %+v", s)
				}
				for range len(g.samples) {
					select {
					case (<-g.samples).end <- nil:
					default: // its send has given up too
					}
				}
				in.wg.Wait()
				if err := p.Shutdown(bg); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// The time of an attempt is capped where another broker is left: a retry policy
// may then go there.
func TestAnotherBrokerWhenTheFirstIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, pc := newGate(), pacer(t, fixed(16))
		cfg := config(g, pc)
		cfg.AttemptTimeout, cfg.Retry = time.Second, coretest.Retry(2)
		p := coretest.Start(t, cfg)
		var in sends
		in.start(bg, p, 16, "broker-a")
		synctest.Wait()
		start := time.Now()
		if err := p.SendOneway(bg, coretest.Message("x")); err != nil {
			t.Fatal(err)
		}
		if list := g.Attempts(); list[len(list)-1].Queue.Broker != "broker-b" || time.Since(start) != time.Second {
			t.Errorf("%v after %v", list[len(list)-1], time.Since(start))
		}
		for range 4 {
			(<-g.samples).end <- nil
		}
		in.wg.Wait()
	})
}

// A policy that goes elsewhere only with what was not sent caps the wait for a place too.
func TestWaitEndsInTimeForAnotherBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, pc := newGate(), pacer(t, fixed(16))
		cfg := config(g, pc)
		cfg.AttemptTimeout = time.Second
		cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
			return core.Decision{Retry: f.Err != nil && f.Certainty == core.NotSent && f.Attempt < 2}
		})
		p := coretest.Start(t, cfg)
		var in sends
		in.start(bg, p, 16, "broker-a")
		synctest.Wait()
		start := time.Now()
		if err := p.SendOneway(bg, coretest.Message("x")); err != nil {
			t.Fatal(err)
		}
		if list := g.Attempts(); list[len(list)-1].Queue.Broker != "broker-b" || time.Since(start) != time.Second {
			t.Errorf("%v after %v", list[len(list)-1], time.Since(start))
		}
		for range 4 {
			(<-g.samples).end <- nil
		}
		in.wg.Wait()
	})
}

// Whatever becomes of the samples, no send waits for ever.
func TestLostSamples(t *testing.T) {
	for name, outcome := range map[string]func(ctx context.Context, at *core.Attempt) (*core.Result, error){
		"silent": func(ctx context.Context, at *core.Attempt) (*core.Result, error) { return nil, coretest.Hang(ctx, at) },
		"lost": func(context.Context, *core.Attempt) (*core.Result, error) {
			return nil, core.ErrConnectionLost
		},
		"panic": func(context.Context, *core.Attempt) (*core.Result, error) { panic("boom") },
		"not asked": func(_ context.Context, at *core.Attempt) (*core.Result, error) {
			return at.Result(), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr, pc := &coretest.Transport{}, pacer(t, fixed(16))
				tr.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
					if at.WantsAnswer() {
						return outcome(ctx, at)
					}
					return tr.Ack(at), nil
				}
				cfg := config(tr, pc)
				cfg.Timeout = time.Second
				p := coretest.Start(t, cfg)
				for range 20 {
					var all sends
					all.start(bg, p, 16, "broker-a")
					all.wg.Wait()
				}
				if n := len(tr.Attempts()); n != 320 {
					t.Errorf("%d messages were sent, want all 320", n)
				}
				if s := state(pc, "broker-a"); s.Samples != 0 || s.Unconfirmed >= 16 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// A broker that cannot be reached, or a hook's veto further in, fills no window.
func TestWhatIsNotSentTakesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, pc := &coretest.Transport{Unwritten: true}, pacer(t, fixed(16))
		var down atomic.Bool
		down.Store(true)
		tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
			if down.Load() {
				return nil, core.ErrConnect
			}
			at.MarkWritten()
			return tr.Ack(at), nil
		}
		p := coretest.Start(t, config(tr, pc))
		var all sends
		all.start(bg, p, 1000, "broker-a")
		all.wg.Wait()
		if _, errs := all.count(); len(errs) != 1000 || !errors.Is(errs[0], core.ErrConnect) {
			t.Errorf("%d errors, %v", len(errs), errs[0])
		}
		if got, want := state(pc, "broker-a"), (pace.Status{Broker: "broker-a", Addr: "broker-a:10911", Window: 16}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		down.Store(false)
		if err := p.SendOneway(bg, coretest.Message("x")); err != nil {
			t.Error(err)
		}
	})
}

// The window shrinks under the sends that wait and under the samples: still each of them
// gets through, or gives up when it wants to.
func TestRandomOutcomes(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 1))
				draw := make(chan int, 1)
				draw <- 0
				next := func(n int) int {
					<-draw
					defer func() { draw <- 0 }()
					return r.IntN(n)
				}
				tr, pc := &coretest.Transport{Unwritten: true, Forget: true}, pacer(t, pace.Config{MinWindow: 2, MaxWindow: 64})
				tr.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
					if next(10) == 0 {
						return nil, core.ErrConnect
					}
					at.MarkWritten()
					time.Sleep(time.Duration(next(3)) * ms)
					if !at.WantsAnswer() {
						return tr.Ack(at), nil
					}
					switch next(6) {
					case 0:
						return nil, coretest.Refuse(at, rocketmq.CodeSystemBusy, "")
					case 1:
						return nil, coretest.Hang(ctx, at)
					case 2:
						time.Sleep(30 * ms)
					}
					return tr.Ack(at), nil
				}
				cfg := config(tr, pc)
				cfg.Timeout = time.Second
				p := coretest.Start(t, cfg)
				var all sends
				for range 40 {
					all.wg.Go(func() {
						for range 50 {
							ctx, cancel := context.WithTimeout(bg, time.Duration(1+next(2000))*ms)
							err := p.SendOneway(ctx, coretest.Message("x"))
							cancel()
							if pe := (*pace.Error)(nil); errors.As(err, &pe) && core.CertaintyOf(err) != core.NotSent {
								t.Error(err)
							}
						}
					})
				}
				all.wg.Wait()
				if s := state(pc, "broker-a"); s.Samples != 0 || s.Waiting != 0 || s.Unconfirmed < 0 || s.Unconfirmed > 64 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}
