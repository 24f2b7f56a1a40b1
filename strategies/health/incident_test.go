package health_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/strategies/health"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/strategies/selector"
)

// An incident: broker-a is ill for 23.4 s, broker-b is well. A message is sent every 10 ms, each
// by a caller of its own, by the default selector and retry policy.
const (
	incidentBegin = 5 * time.Second
	incidentEnd   = incidentBegin + 23400*ms
	incidentOver  = incidentEnd + 20*time.Second
	sendEvery     = 10 * ms
	roundTrip     = 2 * ms
)

// incident is what came of one.
type incident struct {
	sick    int           // attempts at the broker that is ill
	notice  time.Duration // from the beginning until the view says so; never if it does not
	back    time.Duration // from the end until the broker stores a message again; never if it does not
	slowest time.Duration // of all sends
	errors  int
}

// ill is what is wrong with broker-a: what it does with an attempt, and with a probe.
type ill struct {
	attempt func(ctx context.Context, at *core.Attempt) error
	probe   func(ctx context.Context, b core.Broker) error
	once    bool // only with the first attempt that it meets
}

// play makes a producer with a view meet an incident.
func play(t *testing.T, what ill, view func(probe func(context.Context, core.Broker) error) (core.HealthView, []core.Step)) (out incident) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var mu sync.Mutex
		var met bool
		isIll := func() bool {
			now := time.Since(begin)
			return incidentBegin <= now && now < incidentEnd
		}
		v, steps := view(func(ctx context.Context, b core.Broker) error {
			if b.Name == "broker-a" && isIll() && !what.once {
				return what.probe(ctx, b)
			}
			return nil
		})
		tr := &coretest.Transport{Forget: true}
		tr.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
			at.MarkWritten()
			onA := at.Queue().Broker == "broker-a"
			mu.Lock()
			sick := onA && isIll() && !(what.once && met)
			if sick {
				met = true
				out.sick++
			}
			mu.Unlock()
			if sick {
				if err := what.attempt(ctx, at); err != nil {
					return nil, err
				}
			} else {
				time.Sleep(roundTrip)
			}
			mu.Lock()
			defer mu.Unlock()
			end := incidentEnd
			if what.once {
				end = incidentBegin
			}
			if since := time.Since(begin) - end; onA && !sick && since >= 0 && out.back < 0 {
				out.back = since
			}
			return tr.Ack(at), nil
		}
		cfg := coretest.Config(tr, steps...)
		cfg.Selector, cfg.Retry, cfg.Health = selector.RoundRobin(), retry.AtLeastOnce(), v
		p := coretest.Start(t, cfg)
		out.notice, out.back = never, never
		var wg sync.WaitGroup
		for time.Since(begin) < incidentOver {
			wg.Go(func() {
				start := time.Now()
				_, err := p.Send(t.Context(), coretest.Message("x"))
				mu.Lock()
				defer mu.Unlock()
				out.slowest = max(out.slowest, time.Since(start))
				if err != nil {
					out.errors++
				}
			})
			time.Sleep(sendEvery)
			if v != nil && out.notice < 0 && isIll() && v.Health(brokerA) != core.HealthGood {
				out.notice = time.Since(begin) - incidentBegin
			}
		}
		wg.Wait()
	})
	return out
}

// views are those that the table compares. The probe asks the broker for an answer.
var views = []struct {
	name string
	make func(t *testing.T, probe func(context.Context, core.Broker) error) (core.HealthView, []core.Step)
}{
	{"none", func(*testing.T, func(context.Context, core.Broker) error) (core.HealthView, []core.Step) {
		return nil, nil
	}},
	{"latency table of 5.x", func(t *testing.T, _ func(context.Context, core.Broker) error) (core.HealthView, []core.Step) {
		return must(health.NewLatency(health.Config{})), nil
	}},
	{"latency table of 4.9", func(t *testing.T, _ func(context.Context, core.Broker) error) (core.HealthView, []core.Step) {
		return must(health.NewLatency(health.Config{Table: health.Java49()})), nil
	}},
	{"breaker", func(t *testing.T, _ func(context.Context, core.Broker) error) (core.HealthView, []core.Step) {
		b := must(breaker.New(breaker.Config{}))
		return b, []core.Step{b.Step()}
	}},
	{"reachability", func(t *testing.T, probe func(context.Context, core.Broker) error) (core.HealthView, []core.Step) {
		return must(health.NewReachability(health.ReachabilityConfig{Probe: probe})), nil
	}},
	{"worst of breaker and reachability", func(t *testing.T, probe func(context.Context, core.Broker) error) (core.HealthView, []core.Step) {
		b := must(breaker.New(breaker.Config{}))
		return health.Worst(b, must(health.NewReachability(health.ReachabilityConfig{Probe: probe}))), []core.Step{b.Step()}
	}},
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// ills are the incidents of the table.
var ills = []struct {
	name string
	ill
}{
	{"dead", ill{attempt: func(context.Context, *core.Attempt) error { return core.ErrConnect }, probe: unreachable}},
	{"hung", ill{attempt: func(ctx context.Context, at *core.Attempt) error { return coretest.Hang(ctx, at) }, probe: silent}},
	{"slow", ill{attempt: func(ctx context.Context, at *core.Attempt) error {
		answer := make(chan struct{})
		timer := time.AfterFunc(700*ms, func() { close(answer) })
		defer timer.Stop()
		return at.Wait(ctx, answer)
	}, probe: reachable}},
	{"one lost connection", ill{attempt: func(context.Context, *core.Attempt) error { return core.ErrConnectionLost }, once: true}},
}

// The most that a view may cost in an incident, in each of its columns: attempts at the broker
// that is ill, and the times until the view says so and until the broker is used again. never is
// for what does not happen, whatever for what says nothing of the view.
const (
	never    = -1
	whatever = time.Hour
)

var worstCases = map[string]map[string]struct {
	sick         int
	notice, back time.Duration
}{
	"dead": {
		"none":                              {2340, never, 30 * ms},
		"latency table of 5.x":              {6, 40 * ms, 10100 * ms},
		"latency table of 4.9":              {2, 40 * ms, never},
		"breaker":                           {15, 100 * ms, 5100 * ms},
		"reachability":                      {2, 40 * ms, 1100 * ms},
		"worst of breaker and reachability": {2, 40 * ms, 1100 * ms},
	},
	"hung": {
		"none":                              {2340, never, whatever},
		"latency table of 5.x":              {200, 1100 * ms, 10100 * ms},
		"latency table of 4.9":              {110, 1100 * ms, never},
		"breaker":                           {120, 1100 * ms, 5100 * ms},
		"reachability":                      {110, 1100 * ms, 1600 * ms},
		"worst of breaker and reachability": {110, 1100 * ms, 5100 * ms},
	},
	"slow": {
		"none":                              {1300, never, whatever},
		"latency table of 5.x":              {400, 800 * ms, 2800 * ms},
		"latency table of 4.9":              {80, 800 * ms, 30800 * ms},
		"breaker":                           {1300, never, whatever},
		"reachability":                      {1300, never, whatever},
		"worst of breaker and reachability": {1300, never, whatever},
	},
	"one lost connection": {
		"none":                              {1, never, 50 * ms},
		"latency table of 5.x":              {1, 40 * ms, 10100 * ms},
		"latency table of 4.9":              {1, 40 * ms, never},
		"breaker":                           {1, never, 50 * ms},
		"reachability":                      {1, whatever, 50 * ms},
		"worst of breaker and reachability": {1, whatever, 50 * ms},
	},
}

// The table of docs/strategies.md. Run with -v it is printed.
func TestIncidents(t *testing.T) {
	for _, what := range ills {
		for _, v := range views {
			got := play(t, what.ill, func(probe func(context.Context, core.Broker) error) (core.HealthView, []core.Step) {
				return v.make(t, probe)
			})
			t.Logf("| %s | %s | %d | %s | %s |", what.name, v.name, got.sick, seconds(got.notice), seconds(got.back))
			most := worstCases[what.name][v.name]
			if got.errors != 0 || got.slowest > 1100*ms {
				t.Errorf("%s, %s: %d errors, and the slowest send took %v", what.name, v.name, got.errors, got.slowest)
			}
			if got.sick == 0 || got.sick > most.sick {
				t.Errorf("%s, %s: %d attempts at the broker, want at most %d", what.name, v.name, got.sick, most.sick)
			}
			for column, d := range map[string][2]time.Duration{"noticed": {got.notice, most.notice}, "used again": {got.back, most.back}} {
				if got, most := d[0], d[1]; most != whatever && (got == never) != (most == never) || got > most {
					t.Errorf("%s, %s: %s after %v, want at most %v", what.name, v.name, column, got, most)
				}
			}
		}
	}
}

func seconds(d time.Duration) string {
	if d == never {
		return "never"
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
