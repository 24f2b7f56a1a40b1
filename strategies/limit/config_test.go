package limit_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/limit"
)

// mistakes checks that an error names all that is wrong, and that there is none where nothing is.
func mistakes(t *testing.T, name string, made bool, err error, want ...string) {
	t.Helper()
	if (err == nil) != (len(want) == 0) || made != (err == nil) {
		t.Errorf("%s: got %v, made: %v", name, err, made)
	}
	for _, w := range want {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("%s: %q is not in %v", name, w, err)
		}
	}
}

func TestRateConfig(t *testing.T) {
	const allowed = ", allowed is 0.001 to 10000000 messages a second"
	for name, tt := range map[string]struct {
		cfg  limit.RateConfig
		want []string
	}{
		"least":     {cfg: limit.RateConfig{PerSecond: 0.001}},
		"most":      {cfg: limit.RateConfig{PerSecond: 10_000_000, Burst: 10_000_000, Excess: limit.Refuse}},
		"zero":      {limit.RateConfig{}, []string{"limit: rate: PerSecond is not set"}},
		"too rare":  {limit.RateConfig{PerSecond: 0.0009}, []string{"PerSecond is 0.0009" + allowed}},
		"too often": {limit.RateConfig{PerSecond: 10_000_001}, []string{"PerSecond is 1.0000001e+07" + allowed}},
		"NaN":       {limit.RateConfig{PerSecond: math.NaN()}, []string{"PerSecond is NaN" + allowed}},
		"infinite":  {limit.RateConfig{PerSecond: math.Inf(1)}, []string{"PerSecond is +Inf" + allowed}},
		"all wrong": {limit.RateConfig{PerSecond: -1, Burst: -1, Excess: 7}, []string{"PerSecond is -1", "Burst is negative: -1", "Excess is unknown(7), allowed is wait or refuse"}},
		"too much":  {limit.RateConfig{PerSecond: 1, Burst: 10_000_001}, []string{"Burst is 10000001, at most 10000000 is allowed"}},
	} {
		r, err := limit.NewRate(tt.cfg)
		mistakes(t, name, r != nil, err, tt.want...)
	}
}

func TestBulkheadConfig(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  limit.BulkheadConfig
		want []string
	}{
		"zero":     {},
		"one":      {cfg: limit.BulkheadConfig{Max: 1}},
		"most":     {cfg: limit.BulkheadConfig{Max: 1_000_000}},
		"negative": {limit.BulkheadConfig{Max: -1}, []string{"limit: bulkhead: Max is negative: -1"}},
		"too much": {limit.BulkheadConfig{Max: 1_000_001}, []string{"Max is 1000001, at most 1000000 is allowed"}},
	} {
		b, err := limit.NewBulkhead(tt.cfg)
		mistakes(t, name, b != nil, err, tt.want...)
	}
}

func TestAdaptiveConfig(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  limit.AdaptiveConfig
		want []string
	}{
		"zero":          {},
		"a small most":  {cfg: limit.AdaptiveConfig{Max: 1}},
		"a large least": {cfg: limit.AdaptiveConfig{Min: 5000}},
		"limits":        {cfg: limit.AdaptiveConfig{Min: 1_000_000, Max: 1_000_000, Target: 100 * time.Microsecond}},
		"all wrong":     {limit.AdaptiveConfig{Min: -1, Max: -1, Target: -1}, []string{"limit: adaptive: ", "Min is negative: -1", "Max is negative: -1", "Target is negative: -1ns"}},
		"crossed":       {limit.AdaptiveConfig{Min: 10, Max: 5}, []string{"the smallest limit, 10 attempts, is larger than the largest, 5"}},
		"no unit":       {limit.AdaptiveConfig{Target: 5}, []string{"Target is 5ns, at least 100µs is needed"}},
		"too much":      {limit.AdaptiveConfig{Max: 1_000_001, Target: time.Minute}, []string{"Max is 1000001", "Target is 1m, at most 10s"}},
	} {
		a, err := limit.NewAdaptive(tt.cfg)
		mistakes(t, name, a != nil, err, tt.want...)
	}
}

func TestConfigsAsJSON(t *testing.T) {
	for text, into := range map[string]any{
		`{"perSecond":0.5,"burst":3,"excess":"refuse"}`: new(limit.RateConfig),
		`{"max":7}`:                          new(limit.BulkheadConfig),
		`{"min":2,"max":9,"target":"1.5ms"}`: new(limit.AdaptiveConfig),
	} {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if out, err := json.Marshal(into); err != nil || string(out) != text {
			t.Errorf("%s became %s, %v", text, out, err)
		}
		if err := json.Unmarshal([]byte(`{"mux":1}`), into); err == nil || !strings.Contains(err.Error(), "mux: it is not known; there are ") {
			t.Errorf("an unknown member: %v", err)
		}
	}
	err := json.Unmarshal([]byte(`{"excess":"queue","perSecond":"1"}`), new(limit.RateConfig))
	for _, want := range []string{`excess: rocketmq: excess "queue" is not known; there are wait, refuse`, "perSecond: string does not fit: want a number"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestDescriptions(t *testing.T) {
	const beyond = "beyond another broker gets the message; where no other is left, or may take it, it waits within its time and then fails (in-flight, not-sent))"
	for want, part := range map[string]any{
		"bounds the messages of each topic (at most 100 messages a second, burst 100 messages, beyond calls wait for their turn, and fail at once where that comes after their time (in-flight, not-sent))":                                                          newRate(t, limit.RateConfig{PerSecond: 100}),
		"bounds the messages of each topic (at most 0.25 messages a second, burst 1 messages, beyond calls fail at once (in-flight, not-sent))":                                                                                                                      newRate(t, limit.RateConfig{PerSecond: 0.25, Excess: limit.Refuse}),
		"bounds the attempts under way at each broker (limit 128 attempts, " + beyond:                                                                                                                                                                                newBulkhead(t, 0),
		"bounds the attempts under way at each broker by what it can do (limit 4 to 1024 attempts, grows while answers take up to 5ms, or half as long again, more than the quickest, halves when the broker is busy, unavailable, not reached or silent, " + beyond: newAdaptive(t, limit.AdaptiveConfig{}),
	} {
		if got := core.Describe(part).String(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
