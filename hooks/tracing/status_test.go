package tracing_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/tracing"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// The text of a failed span told the same failure once for the call and once more for each
// attempt, without an end.
func TestStatusSaysOnceWhatEndedTheCall(t *testing.T) {
	r := newRig(t, func(c *core.Config) { c.Retry = coretest.Retry(3) }, tracing.WithAttemptSpans(true))
	r.transport.Do = func(context.Context, *core.Attempt) (*core.Result, error) {
		return nil, errors.New("no\x1b[2J luck " + strings.Repeat("x", 10_000))
	}
	if _, err := r.producer.Send(t.Context(), coretest.Message("x")); err == nil {
		t.Fatal("sent")
	}
	spans := r.spans.Ended()
	if len(spans) < 2 {
		t.Fatalf("%d spans", len(spans))
	}
	for _, s := range spans {
		st := s.Status()
		if st.Code != codes.Error || len(st.Description) > 256 || strings.Count(st.Description, "luck") != 1 ||
			strings.ContainsFunc(st.Description, unicode.IsControl) {
			t.Errorf("%s: the status is %v with %d bytes: %q", s.Name(), st.Code, len(st.Description), st.Description)
		}
	}
}

// known is a transport whose servers know the client by an id.
type known struct{ core.Transport }

func (known) ClientID() string { return "10.0.0.1@17#4711" }

// Spans did not say which client sent, unless the program repeated the id in an option.
func TestClientID(t *testing.T) {
	for name, tt := range map[string]struct {
		opts []tracing.Option
		want string
	}{
		"the transport's": {nil, "10.0.0.1@17#4711"},
		"an own one":      {[]tracing.Option{tracing.WithClientID("own")}, "own"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(c *core.Config) { c.Transport = known{c.Transport} }, append(tt.opts, tracing.WithAttemptSpans(true))...)
			if _, err := r.producer.SendBatch(t.Context(), []*core.Message{coretest.Message("a"), coretest.Message("b")}); err != nil {
				t.Fatal(err)
			}
			spans := r.spans.Ended()
			if len(spans) != 4 {
				t.Errorf("%d spans", len(spans))
			}
			for _, s := range spans {
				wantAttrs(t, s.Attributes(), semconv.MessagingClientID(tt.want))
			}
		})
	}
}
