package health_test

import (
	"context"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/refusal"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/strategies/health"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = time.Millisecond

// The brokers of coretest.Config.
var (
	brokerA = core.Broker{Name: "broker-a", Addr: "broker-a:10911"}
	brokerB = core.Broker{Name: "broker-b", Addr: "broker-b:10911"}
)

// The tables of Java's MQFaultStrategy, row by row.
func TestTables(t *testing.T) {
	tests := []struct {
		name      string
		table     health.Table
		latencies []int // ms
		times     []int // ms
		isolation int   // what a failure gives, ms
	}{
		{
			"5.x", health.Java5(),
			[]int{0, 49, 50, 99, 100, 549, 550, 1799, 1800, 2999, 3000, 4999, 5000, 14999, 15000, 60000},
			[]int{0, 0, 0, 0, 0, 0, 2000, 2000, 5000, 5000, 6000, 6000, 10000, 10000, 30000, 30000},
			10000,
		},
		{
			"4.9", health.Java49(),
			[]int{0, 49, 50, 99, 100, 549, 550, 999, 1000, 1999, 2000, 2999, 3000, 14999, 15000, 60000},
			[]int{0, 0, 0, 0, 0, 0, 30000, 30000, 60000, 60000, 120000, 120000, 180000, 180000, 600000, 600000},
			600000,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i, l := range tt.latencies {
				if got, want := tt.table.Lookup(time.Duration(l)*ms), time.Duration(tt.times[i])*ms; got != want {
					t.Errorf("after %d ms: %v, want %v", l, got, want)
				}
			}
			if got, want := tt.table.Lookup(tt.table.Isolation), time.Duration(tt.isolation)*ms; got != want {
				t.Errorf("after a failure: %v, want %v", got, want)
			}
		})
	}
}

// script is a transport whose next answer is told beforehand.
type script struct {
	coretest.Transport
	delay time.Duration
	err   error
	hang  bool
	weak  core.SendStatus
}

func (s *script) RoundTrip(ctx context.Context, at *core.Attempt) (*core.Result, error) {
	at.MarkWritten()
	time.Sleep(s.delay)
	switch {
	case s.hang:
		return nil, coretest.Hang(ctx, at)
	case s.err != nil:
		return nil, s.err
	}
	res := s.Ack(at)
	if s.weak != 0 {
		res.Status = s.weak
	}
	return res, nil
}

// world is a producer with a view, in virtual time.
type world struct {
	t    *testing.T
	tr   *script
	view *health.Latency
	p    *core.Producer
}

func inBubble(t *testing.T, cfg health.Config, f func(w *world), steps ...core.Step) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		view, err := health.NewLatency(cfg)
		if err != nil {
			t.Fatal(err)
		}
		tr := &script{}
		c := coretest.Config(tr, steps...)
		c.Health = view
		f(&world{t, tr, view, coretest.Start(t, c)})
	})
}

// send makes one attempt at broker-a that ends as told.
func (w *world) send(ctx context.Context, delay time.Duration, err error) {
	w.t.Helper()
	w.tr.delay, w.tr.err = delay, err
	msg := coretest.Message("x")
	msg.Queue = &core.Queue{Broker: "broker-a"}
	_, got := w.p.Send(ctx, msg)
	if err != nil && !errors.Is(got, err) {
		w.t.Fatalf("send ended with %v, want %v", got, err)
	}
}

func (w *world) expect(want core.Health) {
	w.t.Helper()
	if got := w.view.Health(brokerA); got != want {
		w.t.Errorf("broker-a is %v, want %v", got, want)
	}
	if got := w.view.Health(brokerB); got != core.HealthGood {
		w.t.Errorf("broker-b, of which nothing is known, is %v", got)
	}
}

func TestSlowAnswers(t *testing.T) {
	inBubble(t, health.Config{}, func(w *world) {
		w.expect(core.HealthGood)
		w.send(w.t.Context(), 549*ms, nil)
		w.expect(core.HealthGood)
		w.send(w.t.Context(), 550*ms, nil)
		w.expect(core.HealthSuspect)
		time.Sleep(2*time.Second - ms)
		w.expect(core.HealthSuspect)
		time.Sleep(ms)
		w.expect(core.HealthGood)
	})
}

func TestFailures(t *testing.T) {
	for name, tt := range map[string]struct {
		table health.Table
		d     time.Duration
	}{
		"5.x":                  {health.Java5(), 10 * time.Second},
		"4.9":                  {health.Java49(), 10 * time.Minute},
		"nothing said":         {health.Table{}, 10 * time.Second},
		"an isolation alone":   {health.Table{Isolation: 3 * time.Second}, 6 * time.Second},
		"an overwriting table": {health.Table{Overwrite: true}, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, health.Config{Table: tt.table}, func(w *world) {
				w.send(w.t.Context(), 0, core.ErrConnectionLost)
				w.expect(core.HealthDown)
				time.Sleep(tt.d - ms)
				w.expect(core.HealthDown)
				time.Sleep(ms)
				w.expect(core.HealthGood)
			})
		})
	}
}

// A quick answer during the time only says that the broker lives in 5.x, and
// ends the time in 4.9.
func TestQuickAnswerAfterFailure(t *testing.T) {
	inBubble(t, health.Config{Table: health.Java5()}, func(w *world) {
		w.send(w.t.Context(), 0, core.ErrConnectionLost)
		w.send(w.t.Context(), 0, nil)
		w.expect(core.HealthSuspect)
		time.Sleep(5 * time.Second)
		w.send(w.t.Context(), 600*ms, nil) // 2 s more do not shorten the 10 s
		time.Sleep(4 * time.Second)
		w.expect(core.HealthSuspect)
		time.Sleep(time.Second)
		w.expect(core.HealthGood)
	})
	inBubble(t, health.Config{Table: health.Java49()}, func(w *world) {
		w.send(w.t.Context(), 0, core.ErrConnectionLost)
		w.send(w.t.Context(), 0, nil)
		w.expect(core.HealthGood)
		w.send(w.t.Context(), 0, core.ErrConnectionLost)
		w.send(w.t.Context(), 600*ms, nil) // 30 s instead of 10 min
		w.expect(core.HealthSuspect)
		time.Sleep(30 * time.Second)
		w.expect(core.HealthGood)
	})
}

func TestWhatCounts(t *testing.T) {
	refuse := func(code rocketmq.ResponseCode) error { return refusal.Of(code, "", brokerA.Addr) }
	tests := []struct {
		name string
		err  error
		want core.Health
	}{
		{"connect", core.ErrConnect, core.HealthDown},
		{"lost", core.ErrConnectionLost, core.HealthDown},
		{"busy", refuse(rocketmq.CodeSystemBusy), core.HealthDown},
		{"not available", refuse(rocketmq.CodeServiceNotAvailable), core.HealthDown},
		{"system error", refuse(rocketmq.CodeSystemError), core.HealthDown},
		{"illegal message", refuse(rocketmq.CodeMessageIllegal), core.HealthGood},
		{"no permission", refuse(rocketmq.CodeNoPermission), core.HealthGood},
		{"no topic", refuse(rocketmq.CodeTopicNotExist), core.HealthGood},
		{"aborted", core.ErrAborted, core.HealthGood},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, health.Config{}, func(w *world) {
				w.send(w.t.Context(), 0, tt.err)
				w.expect(tt.want)
			})
		})
	}
	t.Run("slow refusal", func(t *testing.T) {
		inBubble(t, health.Config{}, func(w *world) {
			w.send(w.t.Context(), 600*ms, refuse(rocketmq.CodeMessageIllegal))
			w.expect(core.HealthSuspect)
		})
	})
	t.Run("weak status", func(t *testing.T) {
		inBubble(t, health.Config{}, func(w *world) {
			w.tr.weak = core.FlushDiskTimeout
			w.send(w.t.Context(), 0, nil)
			w.expect(core.HealthGood)
		})
	})
}

// A caller who gives a send less time than the broker needs isolated it for all others.
func TestTimeouts(t *testing.T) {
	tests := []struct {
		name    string
		needs   time.Duration // of the broker, for what it was sent before; 0 for nothing
		timeout time.Duration
		minWait time.Duration
		want    core.Health
	}{
		{"of the producer", 0, time.Hour, 0, core.HealthDown},
		{"of the caller", 0, time.Second, 0, core.HealthDown},
		{"of an impatient caller, before any answer", 0, 499 * ms, 0, core.HealthGood},
		{"long enough, before any answer", 0, 500 * ms, 0, core.HealthDown},
		{"of an impatient caller", 100 * ms, 80 * ms, 0, core.HealthGood},
		{"of one who is hardly patient", 100 * ms, 124 * ms, 0, core.HealthGood},
		{"long enough", 100 * ms, 130 * ms, 0, core.HealthDown},
		{"less than the least", 10 * ms, 49 * ms, 0, core.HealthGood},
		{"the least", 10 * ms, 50 * ms, 0, core.HealthDown},
		{"the least of the user's", 10 * ms, 49 * ms, 20 * ms, core.HealthDown},
		{"of a whole attempt, after slow answers", 2 * time.Second, time.Second, 0, core.HealthDown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, health.Config{MinWait: tt.minWait}, func(w *world) {
				for range 50 {
					if tt.needs > 0 {
						w.send(w.t.Context(), tt.needs, nil)
					}
				}
				time.Sleep(time.Minute) // what slow answers cost is over
				w.tr.hang = true
				ctx, cancel := context.WithTimeout(w.t.Context(), tt.timeout)
				defer cancel()
				w.send(ctx, 0, nil)
				w.expect(tt.want)
			})
		})
	}
}

// A broker that never answered is taken to need what the slowest of the others needs, and one
// that did what it needs itself. A refusal does not show what storing takes.
func TestWhatABrokerNeeds(t *testing.T) {
	at := func(broker string, n int, took time.Duration, err error) func(w *world) {
		return func(w *world) {
			w.tr.delay, w.tr.err = took, err
			for range n {
				_, _ = w.p.Send(w.t.Context(), &core.Message{Topic: "T", Queue: &core.Queue{Broker: broker}})
			}
			w.tr.err = nil
		}
	}
	for _, tt := range []struct {
		name    string
		before  []func(w *world)
		timeout time.Duration
		want    core.Health
	}{
		{"another needs longer", []func(*world){at("broker-b", 50, 100*ms, nil)}, 80 * ms, core.HealthGood},
		{"others need less", []func(*world){at("broker-b", 50, 100*ms, nil)}, 130 * ms, core.HealthDown},
		{"the first of two needs longer", []func(*world){at("broker-b", 50, 100*ms, nil), at("broker-c", 50, 10*ms, nil)}, 80 * ms, core.HealthGood},
		{"the second of two needs longer", []func(*world){at("broker-b", 50, 10*ms, nil), at("broker-c", 50, 100*ms, nil)}, 80 * ms, core.HealthGood},
		{"it needs less than others", []func(*world){at("broker-b", 50, 100*ms, nil), at("broker-a", 50, 10*ms, nil)}, 80 * ms, core.HealthDown},
		{"quick refusals", []func(*world){at("broker-a", 50, 100*ms, nil), at("broker-a", 50, ms, refusal.Of(rocketmq.CodeMessageIllegal, "", brokerA.Addr))}, 80 * ms, core.HealthGood},
		{"a slow refusal", []func(*world){at("broker-b", 50, 10*ms, nil), at("broker-a", 1, 400*ms, refusal.Of(rocketmq.CodeMessageIllegal, "", brokerA.Addr))}, 80 * ms, core.HealthDown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				view, err := health.NewLatency(health.Config{})
				if err != nil {
					t.Fatal(err)
				}
				tr := &script{}
				c := coretest.Config(tr)
				c.Routes, c.Health = coretest.Routes(1, "broker-a", "broker-b", "broker-c"), view
				w := &world{t, tr, view, coretest.Start(t, c)}
				for _, f := range tt.before {
					f(w)
				}
				time.Sleep(time.Minute)
				tr.hang = true
				ctx, cancel := context.WithTimeout(t.Context(), tt.timeout)
				defer cancel()
				w.send(ctx, 0, nil)
				w.expect(tt.want)
			})
		})
	}
}

func TestWhatProvesNothing(t *testing.T) {
	t.Run("cancellation", func(t *testing.T) {
		inBubble(t, health.Config{}, func(w *world) {
			ctx, cancel := context.WithCancelCause(w.t.Context())
			time.AfterFunc(700*ms, func() { cancel(errors.New("user went away")) })
			w.tr.hang = true
			w.send(ctx, 0, nil)
			w.expect(core.HealthGood)
		})
	})
	t.Run("one-way", func(t *testing.T) {
		inBubble(t, health.Config{Table: health.Java49()}, func(w *world) {
			w.send(w.t.Context(), 0, core.ErrConnectionLost)
			w.tr.err = nil
			msg := coretest.Message("x")
			msg.Queue = &core.Queue{Broker: "broker-a"}
			if err := w.p.SendOneway(w.t.Context(), msg); err != nil {
				t.Fatal(err)
			}
			w.expect(core.HealthDown)
		})
	})
	veto := core.AttemptStep("veto", core.AttemptGuard, core.AttemptInterceptorFunc(func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) {
		return nil, core.ErrConnect
	}))
	t.Run("veto", func(t *testing.T) {
		inBubble(t, health.Config{}, func(w *world) {
			w.send(w.t.Context(), 0, core.ErrConnect)
			w.expect(core.HealthGood)
		}, veto)
	})
}

func TestForgetsBrokersWithoutRoute(t *testing.T) {
	view, err := health.NewLatency(health.Config{})
	if err != nil {
		t.Fatal(err)
	}
	tr := &script{err: core.ErrConnectionLost}
	cfg := coretest.Config(tr)
	cfg.Health, cfg.Retry = view, coretest.Retry(2)
	p := coretest.Start(t, cfg)
	if _, err := p.Send(t.Context(), coretest.Message("x")); err == nil {
		t.Fatal("send succeeded")
	}
	if err := p.Shutdown(t.Context()); err != nil { // joins the reports of routes
		t.Fatal(err)
	}
	old, _ := coretest.Routes(2, "broker-a", "broker-b").Route(t.Context(), "T")
	now, _ := coretest.Routes(2, "broker-b").Route(t.Context(), "T")
	view.RouteChanged(&core.RouteReport{Topic: "T", Old: old, New: now})
	if got := names(view); !slices.Equal(got, []string{"broker-b"}) {
		t.Errorf("known brokers: %v, want broker-b", got)
	}
	if got := view.Health(brokerA); got != core.HealthGood {
		t.Errorf("forgotten broker is %v", got)
	}
}

func names(l *health.Latency) (out []string) {
	for _, s := range l.Snapshot() {
		out = append(out, s.Broker)
	}
	return out
}

func TestSnapshot(t *testing.T) {
	inBubble(t, health.Config{}, func(w *world) {
		w.send(w.t.Context(), 600*ms, nil)
		time.Sleep(500 * ms)
		want := []health.Status{{Broker: "broker-a", Addr: "broker-a:10911", Health: core.HealthSuspect, Latency: 600 * ms, Left: 1500 * ms}}
		if got := w.view.Snapshot(); !reflect.DeepEqual(got, want) {
			t.Errorf("snapshot %+v, want %+v", got, want)
		}
		time.Sleep(5 * time.Minute)
		if got := w.view.Snapshot()[0]; got.Left != 0 || got.Health != core.HealthGood {
			t.Errorf("five minutes later: %+v", got)
		}
	})
}

// With a table that only extends, the end of the time never comes nearer,
// whatever happens.
func TestJava5OnlyExtends(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		outcomes := rapid.SliceOfN(rapid.IntRange(0, 4000), 1, 8).Draw(rt, "latencies")
		inBubble(t, health.Config{}, func(w *world) {
			var end time.Time
			for _, o := range outcomes {
				var err error
				if o%5 == 0 {
					err = core.ErrConnectionLost
				}
				w.send(w.t.Context(), min(time.Duration(o)*ms, 2900*ms), err)
				now := time.Now().Add(w.view.Snapshot()[0].Left)
				if now.Before(end) {
					rt.Errorf("end moved from %v to %v", end, now)
				}
				if w.view.Snapshot()[0].Left > 0 {
					end = now
				}
			}
		})
	})
}

func TestConfigErrors(t *testing.T) {
	tests := []struct {
		name string
		cfg  health.Config
		want []string
	}{
		{"lengths", health.Config{Table: health.Table{LatencyMax: []time.Duration{1}}}, []string{"1 latencies and 0 times"}},
		{
			"order and sign",
			health.Config{MinWait: -1, Table: health.Table{
				LatencyMax: []time.Duration{2, 1}, NotAvailable: []time.Duration{0, -1}, Isolation: 1,
			}},
			[]string{"ascend", "negative duration", "MinWait"},
		},
		{"no unit", health.Config{Table: health.Table{LatencyMax: []time.Duration{50, 100}, NotAvailable: []time.Duration{0, 2000}}, MinWait: 50}, []string{
			"table's duration is 50ns, at least 10µs is needed", "2000 ms is 2000*time.Millisecond", "MinWait is 50ns",
		}},
		{"empty", health.Config{Table: health.Table{LatencyMax: []time.Duration{}}}, []string{"0 latencies"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := health.NewLatency(tt.cfg)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

func TestAllocatesNothing(t *testing.T) {
	view, err := health.NewLatency(health.Config{})
	if err != nil {
		t.Fatal(err)
	}
	tr := &coretest.Transport{Forget: true}
	cfg := coretest.Config(tr, core.AttemptStep("measure", core.AttemptWire, core.AttemptInterceptorFunc(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
		res, err := next(ctx, at)
		report := &core.AttemptReport{Attempt: at, Result: res, Latency: time.Second, Written: true}
		if n := testing.AllocsPerRun(100, func() { view.AttemptDone(ctx, report); view.Health(brokerA) }); n != 0 {
			t.Errorf("%v allocations an attempt, want 0", n)
		}
		return res, err
	})))
	if _, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
}

type fixed core.Health

func (f fixed) Health(core.Broker) core.Health { return core.Health(f) }

type listening struct {
	fixed
	attempts, routes *int
}

func (l listening) AttemptDone(context.Context, *core.AttemptReport) { *l.attempts++ }
func (l listening) RouteChanged(*core.RouteReport)                   { *l.routes++ }

func TestWorst(t *testing.T) {
	attempts, routes := 0, 0
	view := health.Worst(fixed(core.HealthGood), listening{fixed(core.HealthSuspect), &attempts, &routes})
	if got := view.Health(brokerA); got != core.HealthSuspect {
		t.Errorf("worst of good and suspect is %v", got)
	}
	if got := health.Worst().Health(brokerA); got != core.HealthGood {
		t.Errorf("worst of nothing is %v", got)
	}
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Health = view
	p := coretest.Start(t, cfg)
	if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if attempts != 1 || routes != 1 {
		t.Errorf("heard %d attempts and %d routes, want 1 and 1", attempts, routes)
	}
}

// A broker may be left alone for ever.
func TestIsolationWithoutEnd(t *testing.T) {
	l, err := health.NewLatency(health.Config{Table: health.Table{
		LatencyMax: []time.Duration{0, time.Second}, NotAvailable: []time.Duration{0, math.MaxInt64}, Isolation: time.Second,
	}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := coretest.Config(&coretest.Transport{Do: func(context.Context, *core.Attempt) (*core.Result, error) {
		return nil, core.ErrConnectionLost
	}})
	cfg.Health = l
	if _, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x")); err == nil {
		t.Error("no error")
	}
	if got := l.Health(brokerA); got != core.HealthDown {
		t.Errorf("it is %v", got)
	}
}

// The first step counts as the others do. In Java's tables an answer at it costs nothing, so
// only the table itself shows where it is.
func TestFirstStep(t *testing.T) {
	for name, table := range map[string]health.Table{"5.x": health.Java5(), "4.9": health.Java49()} {
		if got := table.LatencyMax[0]; got != 50*ms {
			t.Errorf("%s: the first step is at %v, want 50ms", name, got)
		}
	}
	one := health.Table{LatencyMax: []time.Duration{100 * ms}, NotAvailable: []time.Duration{time.Second}}
	if below, at := one.Lookup(100*ms-1), one.Lookup(100*ms); below != 0 || at != time.Second {
		t.Errorf("a table of one step leaves the broker alone for %v below it and %v at it, want 0s and 1s", below, at)
	}
}
