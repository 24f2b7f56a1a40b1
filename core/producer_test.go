package core_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

func TestNewProducerReportsEveryMistake(t *testing.T) {
	_, err := core.NewProducer(core.Config{Timeout: -1, MaxInFlight: -1, Own: []core.Service{nil}, Steps: []core.Step{core.ListenerStep("a", nil)}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"group is empty", "Config.Timeout is negative", "Config.MaxInFlight is negative", "Config.Transport is nil",
		"Config.Routes is nil", "Config.Selector is nil", "Config.Retry is nil", "Config.Own[0] is nil", `step "a": it is empty`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
}

func TestGroupRules(t *testing.T) {
	tests := []struct {
		group string
		ok    bool
	}{
		{"orders", true},
		{"a%b|c-D_9", true},
		{strings.Repeat("g", 120), true},
		{"", false},
		{strings.Repeat("g", 121), false},
		{"with blank", false},
		{"günter", false},
		{"DEFAULT_PRODUCER", false},
	}
	for _, tt := range tests {
		cfg := coretest.Config(&coretest.Transport{})
		cfg.Group = tt.group
		if _, err := core.NewProducer(cfg); (err == nil) != tt.ok {
			t.Errorf("group %q: %v", tt.group, err)
		}
	}
}

// registrar is a transport that keeps groups; service is one with a life.
type registrar struct {
	coretest.Transport
	log *[]string
	err error
}

func (r *registrar) RegisterGroup(_ context.Context, g core.Registration) error {
	*r.log = append(*r.log, "register "+g.Group)
	return r.err
}

func (r *registrar) UnregisterGroup(_ context.Context, g string) error {
	*r.log = append(*r.log, "unregister "+g)
	return nil
}

type service struct {
	name string
	log  *[]string
	err  error
}

func (s service) Start(context.Context) error {
	*s.log = append(*s.log, "start "+s.name)
	return s.err
}

func (s service) Shutdown(context.Context) error {
	*s.log = append(*s.log, "stop "+s.name)
	return nil
}

func TestServiceStates(t *testing.T) {
	boom := errors.New("boom")
	tests := []struct {
		name        string
		own         []error
		register    error
		state       core.State
		log         []string
		afterwards  core.State
		shutdownLog []string
	}{
		{"all well", []error{nil, nil}, nil, core.StateRunning, []string{"start 0", "start 1", "register test"}, core.StateShutdown, []string{"unregister test", "stop 1", "stop 0"}},
		{"service fails", []error{nil, boom}, nil, core.StateStartFailed, []string{"start 0", "start 1", "stop 0"}, core.StateShutdown, nil},
		{"registration fails", []error{nil}, boom, core.StateStartFailed, []string{"start 0", "register test", "stop 0"}, core.StateShutdown, nil},
		{"group taken", nil, core.ErrGroupTaken, core.StateCreated, []string{"register test"}, core.StateShutdown, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log []string
			cfg := coretest.Config(&registrar{log: &log, err: tt.register})
			for i, err := range tt.own {
				cfg.Own = append(cfg.Own, service{string(rune('0' + i)), &log, err})
			}
			states := &stateLog{}
			cfg.Steps = []core.Step{core.ListenerStep("states", states)}
			p, err := core.NewProducer(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if p.State() != core.StateCreated {
				t.Errorf("a new producer is %v", p.State())
			}
			if _, err := p.Send(t.Context(), coretest.Message("x")); !errors.Is(err, core.ErrNotRunning) {
				t.Errorf("send before Start: %v", err)
			}
			err = p.Start(t.Context())
			if (err == nil) != (tt.state == core.StateRunning) || p.State() != tt.state {
				t.Errorf("start: %v; state %v, want %v", err, p.State(), tt.state)
			}
			if !slices.Equal(log, tt.log) {
				t.Errorf("log %v, want %v", log, tt.log)
			}
			if tt.state != core.StateCreated {
				if err := p.Start(t.Context()); err == nil {
					t.Error("a second start succeeded")
				}
			}
			log = nil
			for range 2 {
				if err := p.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if !slices.Equal(log, tt.shutdownLog) || p.State() != tt.afterwards {
				t.Errorf("shutdown log %v, want %v; state %v", log, tt.shutdownLog, p.State())
			}
			if _, err := p.Send(t.Context(), coretest.Message("x")); !errors.Is(err, core.ErrClosed) {
				t.Errorf("send after Shutdown: %v", err)
			}
			if err := p.TrySendAsync(t.Context(), coretest.Message("x"), nil); !errors.Is(err, core.ErrClosed) {
				t.Errorf("TrySendAsync after Shutdown: %v", err)
			}
			done := make(chan error, 2)
			p.SendAsync(t.Context(), coretest.Message("x"), func(_ core.Result, err error) { done <- err })
			if err := <-done; !errors.Is(err, core.ErrClosed) {
				t.Errorf("SendAsync after Shutdown: %v", err)
			}
			if err := p.Start(t.Context()); err == nil {
				t.Error("a start after shutdown succeeded")
			}
			if last := (*states)[len(*states)-1]; last.New != core.StateShutdown || last.Group != "test" {
				t.Errorf("last state report %+v", last)
			}
		})
	}
}

type stateLog []core.StateReport

func (s *stateLog) StateChanged(r *core.StateReport) { *s = append(*s, *r) }

func TestShutdownDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &coretest.Transport{}
		tr.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
			time.Sleep(time.Second)
			return tr.Ack(at), nil
		}
		p := coretest.Start(t, coretest.Config(tr))
		var acked, failed atomic.Int32
		for range 50 {
			p.SendAsync(t.Context(), coretest.Message("x"), func(_ core.Result, err error) {
				if err == nil {
					acked.Add(1)
				} else {
					failed.Add(1)
				}
			})
		}
		go func() { // sends that come while Shutdown waits are refused
			time.Sleep(500 * time.Millisecond)
			if _, err := p.Send(t.Context(), coretest.Message("late")); !errors.Is(err, core.ErrClosed) {
				t.Errorf("a send during Shutdown: %v", err)
			}
		}()
		start := time.Now()
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if acked.Load() != 50 || failed.Load() != 0 || time.Since(start) != time.Second {
			t.Errorf("%d acknowledged, %d failed after %v", acked.Load(), failed.Load(), time.Since(start))
		}
	})
}

func TestShutdownAbortsWhatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &coretest.Transport{Do: func(ctx context.Context, at *core.Attempt) (*core.Result, error) { return nil, coretest.Hang(ctx, at) }}
		cfg := coretest.Config(tr)
		cfg.Retry = coretest.Retry(10)
		cfg.Timeout = time.Hour
		cfg.MaxInFlight = 10
		p, err := core.NewProducer(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		outcomes := make(chan error, 100)
		const sends = 30 // 10 in flight, 20 waiting for room
		for range sends {
			go p.SendAsync(t.Context(), coretest.Message("x"), func(_ core.Result, err error) { outcomes <- err })
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		err = p.Shutdown(ctx)
		var se *core.ShutdownError
		if !errors.As(err, &se) || se.Undelivered != sends || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("shutdown: %v", err)
		}
		if got := time.Since(start); got != 5*time.Second {
			t.Errorf("shutdown took %v, want its context's 5 s", got)
		}
		synctest.Wait()
		certain := map[core.Certainty]int{}
		for range sends {
			err := <-outcomes
			if !errors.Is(err, core.ErrAborted) {
				t.Errorf("outcome %v, want ErrAborted", err)
			}
			certain[core.CertaintyOf(err)]++
		}
		if certain[core.MaybeStored] != 10 || certain[core.NotSent] != 20 {
			t.Errorf("certainties %v, want 10 maybe stored and 20 not sent", certain)
		}
		select {
		case err := <-outcomes:
			t.Errorf("one outcome too many: %v", err)
		default:
		}
	})
}

func TestShutdownReturnsAlthoughDoneBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := core.NewProducer(coretest.Config(&coretest.Transport{}))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		p.SendAsync(t.Context(), coretest.Message("x"), func(core.Result, error) { <-release })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Shutdown(ctx); err == nil || !strings.Contains(err.Error(), "blocks") {
			t.Errorf("shutdown: %v", err)
		}
		close(release)
	})
}

func TestFlushWaitsForWhatCameBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &coretest.Transport{}
		tr.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
			time.Sleep(time.Second)
			return tr.Ack(at), nil
		}
		p := coretest.Start(t, coretest.Config(tr))
		ctx, cancel := context.WithCancel(t.Context())
		go func() { // a load that never pauses
			for ctx.Err() == nil {
				p.SendAsync(ctx, coretest.Message("x"), nil)
				time.Sleep(100 * time.Millisecond)
			}
		}()
		time.Sleep(5050 * time.Millisecond)
		for range 3 {
			start := time.Now()
			if err := p.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := time.Since(start); got > 1100*time.Millisecond {
				t.Errorf("flush took %v under a steady load", got)
			}
		}
		short, stop := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer stop()
		p.SendAsync(t.Context(), coretest.Message("x"), nil)
		if err := p.Flush(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("flush: %v, want its context's end", err)
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Errorf("flush after one that gave up: %v", err)
		}
		cancel()
	})
}

func TestDoneRunsOnceOnEveryPath(t *testing.T) {
	boom := errors.New("boom")
	tests := []struct {
		name string
		do   func(tr *coretest.Transport) func(context.Context, *core.Attempt) (*core.Result, error)
		msg  *core.Message
		ok   bool
	}{
		{"acknowledged", func(tr *coretest.Transport) func(context.Context, *core.Attempt) (*core.Result, error) { return nil }, coretest.Message("x"), true},
		{"failed", func(*coretest.Transport) func(context.Context, *core.Attempt) (*core.Result, error) {
			return func(context.Context, *core.Attempt) (*core.Result, error) { return nil, boom }
		}, coretest.Message("x"), false},
		{"panic", func(*coretest.Transport) func(context.Context, *core.Attempt) (*core.Result, error) {
			return func(context.Context, *core.Attempt) (*core.Result, error) { panic("x") }
		}, coretest.Message("x"), false},
		{"goexit", func(*coretest.Transport) func(context.Context, *core.Attempt) (*core.Result, error) {
			return func(context.Context, *core.Attempt) (*core.Result, error) { runtime.Goexit(); return nil, nil }
		}, coretest.Message("x"), false},
		{"nil message", func(*coretest.Transport) func(context.Context, *core.Attempt) (*core.Result, error) { return nil }, nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := &coretest.Transport{}
			tr.Do = tt.do(tr)
			p := coretest.Start(t, coretest.Config(tr))
			var runs, successes atomic.Int32
			var wg sync.WaitGroup
			const sends = 100
			for range sends {
				wg.Add(1)
				p.SendAsync(t.Context(), tt.msg, func(_ core.Result, err error) {
					defer wg.Done()
					runs.Add(1)
					if err == nil {
						successes.Add(1)
					}
				})
			}
			wg.Wait()
			if err := p.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			want := int32(0)
			if tt.ok {
				want = sends
			}
			if runs.Load() != sends || successes.Load() != want {
				t.Errorf("done ran %d times, %d successes", runs.Load(), successes.Load())
			}
		})
	}
}

func TestDoneMaySendAndPanic(t *testing.T) {
	cfg := coretest.Config(&coretest.Transport{})
	cfg.MaxInFlight = 1
	p := coretest.Start(t, cfg)
	end := make(chan struct{})
	var next func(depth int)
	next = func(depth int) {
		p.SendAsync(t.Context(), coretest.Message("x"), func(core.Result, error) {
			if depth == 100 {
				close(end)
				panic("a panic in done ends nothing")
			}
			next(depth + 1) // would deadlock if done held the only permit
		})
	}
	next(1)
	<-end
	if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
		t.Error(err)
	}
}

func TestInFlightLimits(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*core.Config)
		body   int
		room   int
	}{
		{"by number", func(c *core.Config) { c.MaxInFlight = 5 }, 1, 5},
		{"by bytes", func(c *core.Config) { c.MaxInFlightBytes = 1000 }, 300, 3},
		{"one message larger than the limit", func(c *core.Config) { c.MaxInFlightBytes = 1000 }, 5000, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := &coretest.Transport{Do: func(ctx context.Context, at *core.Attempt) (*core.Result, error) { return nil, coretest.Hang(ctx, at) }}
				cfg := coretest.Config(tr)
				tt.change(&cfg)
				p := coretest.Start(t, cfg)
				m := coretest.Message(strings.Repeat("x", tt.body))
				var runs atomic.Int32
				done := func(core.Result, error) { runs.Add(1) }
				for range tt.room {
					if err := p.TrySendAsync(t.Context(), m, done); err != nil {
						t.Fatal(err)
					}
				}
				err := p.TrySendAsync(t.Context(), m, func(core.Result, error) { t.Error("done ran for a send that was refused") })
				if !errors.Is(err, core.ErrTooManyInFlight) || sendError(t, err).Class != core.ClassInFlight {
					t.Errorf("one too many: %v", err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				start := time.Now()
				outcome := make(chan error, 1)
				p.SendAsync(ctx, m, func(_ core.Result, err error) { outcome <- err })
				if got := time.Since(start); got != 100*time.Millisecond {
					t.Errorf("SendAsync waited %v for room, want its context's 100 ms", got)
				}
				if err := <-outcome; !errors.Is(err, core.ErrTooManyInFlight) || !errors.Is(err, context.DeadlineExceeded) || core.CertaintyOf(err) != core.NotSent {
					t.Errorf("without room: %v", err)
				}
				p.SendAsync(t.Context(), m, done) // waits until the others have timed out
				if err := p.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
				if int(runs.Load()) != tt.room+1 {
					t.Errorf("done ran %d times", runs.Load())
				}
			})
		})
	}
}

func TestMessageIsNeverWrittenTo(t *testing.T) {
	shape := core.CallStep("shape", core.StageShape, core.InterceptorFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
		out := c.Outgoing()
		out.SetTopic("ns%" + out.Topic())
		out.SetPacked(append([]byte("packed "), out.Body()...), "zlib")
		out.SetProperty("added", "1")
		return next(ctx, c)
	}))
	tr := &coretest.Transport{}
	p := coretest.Start(t, coretest.Config(tr, shape))
	m := &core.Message{
		Topic: "T", Body: []byte("body"), Tag: "tag", Keys: []string{"k1", "k2"}, ShardingKey: "s", DelayLevel: 3,
		Properties: map[string]string{"a": "1", "b": "2"}, Flag: 7, NoWaitStore: true,
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 100 {
				var err error
				switch i % 3 {
				case 0:
					_, err = p.Send(t.Context(), m)
				case 1:
					err = p.SendOneway(t.Context(), m)
				default:
					done := make(chan error)
					p.SendAsync(t.Context(), m, func(_ core.Result, err error) { done <- err })
					err = <-done
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	want := core.Message{
		Topic: "T", Body: []byte("body"), Tag: "tag", Keys: []string{"k1", "k2"}, ShardingKey: "s", DelayLevel: 3,
		Properties: map[string]string{"a": "1", "b": "2"}, Flag: 7, NoWaitStore: true,
	}
	if string(m.Body) != string(want.Body) || m.Topic != want.Topic || len(m.Properties) != 2 || m.Properties["a"] != "1" || !slices.Equal(m.Keys, want.Keys) {
		t.Errorf("the message changed: %+v", m)
	}
	sent := tr.Attempts()
	ids := map[core.MessageID]bool{}
	for _, s := range sent {
		ids[s.MessageID] = true
		if s.Topic != "ns%T" || s.Body != "packed body" || s.Codec != "zlib" {
			t.Fatalf("sent %+v", s)
		}
	}
	if len(sent) != 800 || len(ids) != 800 {
		t.Errorf("%d sends with %d ids", len(sent), len(ids))
	}
}

func TestListenerPanicTouchesNothing(t *testing.T) {
	p := coretest.Start(t, coretest.Config(&coretest.Transport{}, core.ListenerStep("bad", badListener{})))
	if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
		t.Error(err)
	}
}

type badListener struct{}

func (badListener) CallDone(context.Context, *core.CallReport)       { panic("call") }
func (badListener) AttemptDone(context.Context, *core.AttemptReport) { panic("attempt") }
func (badListener) RouteChanged(*core.RouteReport)                   { panic("route") }
func (badListener) StateChanged(*core.StateReport)                   { panic("state") }

// A strategy listens by itself; one that is a step too is told only once.
func TestStrategiesListen(t *testing.T) {
	h := &hearingHealth{}
	for _, asStep := range []bool{false, true} {
		h.attempts = 0
		cfg := coretest.Config(&coretest.Transport{})
		cfg.Health = h
		if asStep {
			cfg.Steps = []core.Step{core.ListenerStep("health", h)}
		}
		p := coretest.Start(t, cfg)
		if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
			t.Fatal(err)
		}
		if h.attempts != 1 {
			t.Errorf("as a step: %v: told %d times of one attempt", asStep, h.attempts)
		}
	}
}

type hearingHealth struct{ attempts int }

func (h *hearingHealth) Health(core.Broker) core.Health                   { return core.HealthGood }
func (h *hearingHealth) AttemptDone(context.Context, *core.AttemptReport) { h.attempts++ }

// Two shutdowns and two flushes at once, in virtual time: the second waits for
// the first and obeys its own context.
func TestWaitsForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &coretest.Transport{}
		tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
			time.Sleep(time.Second)
			return tr.Ack(at), nil
		}
		p := coretest.Start(t, coretest.Config(tr))
		p.SendAsync(t.Context(), coretest.Message("x"), nil)
		for _, wait := range []func(context.Context) error{p.Flush, p.Shutdown} {
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					if err := wait(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			synctest.Wait()
			if err := wait(short); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			cancel()
			wg.Wait()
		}
	})
}

// A context that has ended does not keep an idle producer from shutting down.
func TestShutdownWithEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 {
		p := coretest.Start(t, coretest.Config(&coretest.Transport{}))
		if err := p.Flush(ctx); err != nil {
			t.Errorf("nothing is in flight: %v", err)
		}
		if err := p.Shutdown(ctx); err != nil || p.State() != core.StateShutdown {
			t.Errorf("%v, %v", p.State(), err)
		}
	}
}
