package health_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/health"
)

func TestReport(t *testing.T) {
	inBubble(t, health.Config{}, func(w *world) {
		if got := w.view.BrokerReport(brokerA); got != nil {
			t.Errorf("of a broker that it does not know it says %v", got)
		}
		w.send(w.t.Context(), 600*ms, nil)
		time.Sleep(500 * ms)
		want := []core.Setting{
			{Name: "latency health", Value: "suspect"},
			{Name: "latency of the last attempt", Value: "600ms"},
			{Name: "left alone for", Value: "1.5s"},
		}
		if got := w.view.BrokerReport(brokerA); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if got := w.p.Snapshot().Brokers[0]; got.Addr != brokerA.Addr || !slices.Equal(got.Details, want) {
			t.Errorf("the producer's snapshot says %+v", got)
		}
	})
}

// step is a view that is an attempt interceptor too, as breakers are.
type step struct{ view }

func (step) InterceptAttempt(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
	return next(ctx, at)
}

// view is one of the user's that reports and describes itself.
type view string

func (view) Health(core.Broker) core.Health { return core.HealthGood }
func (v view) BrokerReport(core.Broker) []core.Setting {
	return []core.Setting{{Name: string(v), Value: "yes"}}
}

func (v view) Describe() core.Description {
	return core.Description{Summary: "the view " + string(v), Settings: []core.Setting{{Name: string(v), Value: "1"}}}
}

func TestCombinationsReportAndDescribe(t *testing.T) {
	w := health.Worst(view("a"), fixed(core.HealthGood), step{"b"}, view("c"))
	// What is a step reports as a step.
	if got, want := w.(core.BrokerReporter).BrokerReport(brokerA), []core.Setting{{Name: "a", Value: "yes"}, {Name: "c", Value: "yes"}}; !slices.Equal(got, want) {
		t.Errorf("it reports %v, want %v", got, want)
	}
	for _, tt := range []struct {
		v    core.HealthView
		want string
	}{
		{w, "worst of the view a and health_test.fixed and the view b and the view c (a 1, b 1, c 1)"},
		{health.Worst(), "worst of no views: every broker counts as good"},
		{health.First(view("a"), health.Worst(view("b"), view("c"))), "first of the view a and worst of the view b and the view c (a 1, b 1, c 1)"},
		{health.First(), "first of no views: every broker counts as good"},
	} {
		if got := core.Describe(tt.v).String(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func TestDescriptions(t *testing.T) {
	for _, tt := range []struct {
		cfg  health.Config
		want string
	}{
		{
			health.Config{},
			"latency fault tolerance (left alone after a failure 10s, left alone after an answer of latency:time 550ms:2s 1.8s:5s 3s:6s 5s:10s 15s:30s, a quick answer leaves the time as it is, time-outs count from 50ms, if the broker lately needed less)",
		},
		{
			health.Config{Table: health.Table{Isolation: time.Second, Overwrite: true}},
			"latency fault tolerance (left alone after a failure 2s, left alone after an answer of latency:time 550ms:2s 1.8s:5s 3s:6s 5s:10s 15s:30s, a quick answer ends the time, time-outs count from 50ms, if the broker lately needed less)",
		},
		{
			health.Config{Table: health.Java49(), MinWait: time.Second},
			"latency fault tolerance (left alone after a failure 10m0s, left alone after an answer of latency:time 550ms:30s 1s:1m0s 2s:2m0s 3s:3m0s 15s:10m0s, a quick answer ends the time, time-outs count from 1s, if the broker lately needed less)",
		},
	} {
		v, err := health.NewLatency(tt.cfg)
		if err != nil {
			t.Fatal(err)
		}
		if got := core.Describe(v).String(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

// The table is the view's own: what becomes of the caller's slices does not matter.
func TestTableIsCopied(t *testing.T) {
	table := health.Java5()
	v, err := health.NewLatency(health.Config{Table: table})
	if err != nil {
		t.Fatal(err)
	}
	before := core.Describe(v).String()
	table.NotAvailable[6], table.LatencyMax[6] = 0, 0
	if after := core.Describe(v).String(); after != before {
		t.Errorf("it was %s and is %s", before, after)
	}
}

// What combines a nil view is nil, and a producer says so by the field's name, also where a
// policy's nil field would mean the default.
func TestNilIsRefused(t *testing.T) {
	for name, v := range map[string]core.HealthView{
		"view":         health.Worst(fixed(core.HealthGood), nil),
		"Latency":      health.Worst((*health.Latency)(nil), fixed(core.HealthGood)),
		"view, within": health.Worst(health.Worst(nil)),
		"first view":   health.First(nil, fixed(core.HealthGood)),
	} {
		cfg := coretest.Config(&coretest.Transport{})
		cfg.Policies = &core.PolicyTable{Default: &core.Policy{Name: "orders", Health: v}}
		if _, err := core.NewProducer(cfg); err == nil || !strings.Contains(err.Error(), `policy "orders": Health is nil`) {
			t.Errorf("nil %s: %v", name, err)
		}
	}
}
