package tracing_test

import (
	"context"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/tracing"
)

func TestNewRefusesNilOptions(t *testing.T) {
	tr, err := tracing.New(tracing.WithBodySize(), nil, tracing.WithBodySize(), nil)
	if tr != nil || err == nil || !strings.Contains(err.Error(), "tracing: option 1 is nil") || !strings.Contains(err.Error(), "option 3 is nil") {
		t.Errorf("got %v, %v", tr, err)
	}
}

func TestDescribe(t *testing.T) {
	all := func(context.Context, *core.Call) bool { return true }
	for _, tt := range []struct {
		opts []tracing.Option
		want string
	}{
		{nil, "OpenTelemetry spans (calls a span each, attempts events of it, messages of a batch a span each)"},
		{
			[]tracing.Option{tracing.WithAttemptSpans(true), tracing.WithCreateSpans(false)},
			"OpenTelemetry spans (calls a span each, attempts a span each, messages of a batch no spans of their own)",
		},
		{
			[]tracing.Option{tracing.WithMessageKeys()},
			"OpenTelemetry spans (calls a span each, attempts events of it, messages of a batch a span each, message keys in the spans)",
		},
		{
			[]tracing.Option{tracing.WithFilter(all), tracing.WithUnsampledParents(true)},
			"OpenTelemetry spans (calls a span each that the filter lets pass, attempts events of it, messages of a batch a span each, below unsampled spans as the sampler decides)",
		},
	} {
		p, err := core.Resolve(core.Order{}, newTracing(t, tt.opts...).Step())
		if err != nil {
			t.Fatal(err)
		}
		steps := p.Steps()
		if len(steps) < 2 || steps[0].Scope != "call" || steps[1].Scope != "attempt" || steps[0].Stage != "observe" || steps[1].Stage != "observe" {
			t.Fatalf("got %+v", steps)
		}
		for _, s := range steps[:2] {
			if s.Name != tracing.StepName || s.Description.String() != tt.want {
				t.Errorf("%s scope: got %s\nwant %s", s.Scope, s.Description, tt.want)
			}
		}
	}
}
