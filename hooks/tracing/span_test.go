package tracing_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/accumulate"
	"github.com/liftoff-mq/liftoff/hooks/namespace"
	"github.com/liftoff-mq/liftoff/hooks/tracing"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

func TestSendSpan(t *testing.T) {
	deliverAt := time.UnixMilli(1_900_000_000_123)
	tests := []struct {
		name string
		msg  core.Message
		want []attribute.KeyValue
		none []attribute.Key
	}{
		{
			"plain",
			core.Message{},
			[]attribute.KeyValue{semconv.MessagingRocketMQMessageTypeNormal},
			[]attribute.Key{
				semconv.MessagingRocketMQMessageTagKey, semconv.MessagingRocketMQMessageKeysKey,
				semconv.MessagingBatchMessageCountKey, semconv.MessagingMessageBodySizeKey, semconv.MessagingClientIDKey,
				semconv.MessagingRocketMQMessageGroupKey, semconv.ErrorTypeKey,
			},
		},
		{
			"tag and keys", // which tend to name people, so they are left out unless asked for
			core.Message{Tag: "created", Keys: []string{"k1", "k2"}},
			[]attribute.KeyValue{semconv.MessagingRocketMQMessageTag("created")},
			[]attribute.Key{semconv.MessagingRocketMQMessageKeysKey},
		},
		{
			"fifo",
			core.Message{ShardingKey: "customer-7"},
			[]attribute.KeyValue{semconv.MessagingRocketMQMessageTypeFifo, semconv.MessagingRocketMQMessageGroup("customer-7")},
			nil,
		},
		{
			"delay level",
			core.Message{DelayLevel: 3, ShardingKey: "x"},
			[]attribute.KeyValue{semconv.MessagingRocketMQMessageTypeDelay, semconv.MessagingRocketMQMessageDelayTimeLevel(3)},
			[]attribute.Key{semconv.MessagingRocketMQMessageDeliveryTimestampKey, semconv.MessagingRocketMQMessageGroupKey},
		},
		{
			"delivery time",
			core.Message{DeliverAt: deliverAt},
			[]attribute.KeyValue{semconv.MessagingRocketMQMessageTypeDelay, semconv.MessagingRocketMQMessageDeliveryTimestampKey.Int64(1_900_000_000_123)},
			[]attribute.Key{semconv.MessagingRocketMQMessageDelayTimeLevelKey},
		},
		{
			"delay",
			core.Message{DeliverAfter: 1500 * time.Millisecond},
			[]attribute.KeyValue{semconv.MessagingRocketMQMessageTypeDelay, attribute.Int("liftoff.message.delay", 1500)},
			[]attribute.Key{semconv.MessagingRocketMQMessageDelayTimeLevelKey, semconv.MessagingRocketMQMessageDeliveryTimestampKey},
		},
		{
			"priority",
			core.Message{Priority: new(0)},
			[]attribute.KeyValue{semconv.MessagingRocketMQMessageTypeKey.String("priority"), attribute.Int("liftoff.message.priority", 0)},
			nil,
		},
		{
			"lite topic",
			core.Message{LiteTopic: "chat"},
			[]attribute.KeyValue{semconv.MessagingRocketMQMessageTypeKey.String("lite"), attribute.String("liftoff.message.lite_topic", "chat")},
			[]attribute.Key{semconv.MessagingRocketMQMessageGroupKey},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil)
			m := tt.msg
			m.Topic, m.Body = "Orders", []byte("body")
			res, err := r.producer.Send(t.Context(), &m)
			if err != nil {
				t.Fatal(err)
			}
			s := r.ended(t, 1)[0]
			if s.Name() != "send Orders" || s.SpanKind() != trace.SpanKindProducer {
				t.Errorf("got %v span %q, want producer span \"send Orders\"", s.SpanKind(), s.Name())
			}
			wantAttrs(t, s.Attributes(), append(tt.want,
				semconv.MessagingSystemRocketMQ,
				semconv.MessagingOperationName("send"),
				semconv.MessagingOperationTypeSend,
				semconv.MessagingRocketMQNamespace(""),
				semconv.MessagingDestinationName("Orders"),
				semconv.MessagingDestinationPartitionID("broker-a-0"),
				semconv.MessagingMessageID(res.MessageID.String()),
				semconv.ServerAddress("broker-a"), semconv.ServerPort(10911),
				attribute.String("liftoff.send_status", "SEND_OK"),
				attribute.Int("liftoff.attempts", 1),
				attribute.String("liftoff.mode", "sync"))...)
			wantNone(t, s.Attributes(), append(tt.none, semconv.NetworkPeerAddressKey)...)
			if st := s.Status(); st.Code != codes.Unset {
				t.Errorf("status %v, want unset", st)
			}
			sc := s.InstrumentationScope()
			if sc.Name != tracing.ScopeName || sc.Version != tracing.Version || sc.SchemaURL != semconv.SchemaURL {
				t.Errorf("scope %+v", sc)
			}
			if got := remote(r.transport.wire(0)); got.SpanID() != s.SpanContext().SpanID() || !got.IsSampled() {
				t.Errorf("message carries %v, want the send span %v", got.SpanID(), s.SpanContext().SpanID())
			}
			if m.Properties != nil {
				t.Errorf("the user's message got properties %v", m.Properties)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	var sampled []attribute.KeyValue
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans),
		sdktrace.WithSampler(samplerFunc(func(p sdktrace.SamplingParameters) { sampled = slices.Clone(p.Attributes) })))
	r := newRig(t, nil,
		tracing.WithTracerProvider(provider), tracing.WithNamespace("ns"), tracing.WithClientID("client@1"), tracing.WithBodySize(),
		tracing.WithSpanNameFormatter(func(op string, m *core.Message) string { return m.Topic + "/" + op }),
		tracing.WithAttributesFn(func(_ context.Context, op string, m *core.Message) []attribute.KeyValue {
			return []attribute.KeyValue{attribute.String("tenant", op+m.Tag)}
		}),
		tracing.WithFilter(func(_ context.Context, c *core.Call) bool { return c.Message().Tag != "quiet" }))
	q := core.Queue{Broker: "broker-b", ID: 1}
	if _, err := r.producer.Send(t.Context(), &core.Message{Topic: "T", Body: []byte("12345"), Tag: "x", Queue: &q}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.producer.Send(t.Context(), &core.Message{Topic: "T", Body: []byte("1"), Tag: "quiet"}); err != nil {
		t.Fatal(err)
	}
	got := spans.Ended()
	if len(got) != 1 || got[0].Name() != "T/send" {
		t.Fatalf("got %d spans, want only T/send", len(got))
	}
	wantAttrs(t, sampled, semconv.MessagingRocketMQNamespace("ns"), semconv.MessagingClientID("client@1"),
		semconv.MessagingMessageBodySize(5), attribute.String("tenant", "sendx"),
		semconv.MessagingSystemRocketMQ, semconv.MessagingOperationName("send"), semconv.MessagingOperationTypeSend,
		semconv.MessagingDestinationName("T"), semconv.MessagingDestinationPartitionID("broker-b-1"))
	if props := r.transport.wire(1); props["traceparent"] != "" {
		t.Errorf("the filtered call carries %v", props)
	}
}

type samplerFunc func(sdktrace.SamplingParameters)

func (f samplerFunc) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	f(p)
	return sdktrace.SamplingResult{Decision: sdktrace.RecordAndSample}
}
func (f samplerFunc) Description() string { return "test" }

func TestNamespaceOfTheMessage(t *testing.T) {
	ns, err := namespace.New("ns")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(c *core.Config) { c.Steps = append(c.Steps, ns.Step()) })
	if _, err := r.producer.Send(t.Context(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	if got := r.transport.Attempts()[0].Topic; got != "ns%T" {
		t.Fatalf("topic %q went out", got)
	}
	s := r.ended(t, 1)[0]
	wantAttrs(t, s.Attributes(), semconv.MessagingRocketMQNamespace("ns"), semconv.MessagingDestinationName("T"))
	if s.Name() != "send T" {
		t.Errorf("span %q, want the topic without namespace", s.Name())
	}
}

// send sends in a mode and returns the outcome.
func send(t *testing.T, p *core.Producer, mode core.Mode, m *core.Message) error {
	t.Helper()
	switch mode {
	case core.Async:
		done := make(chan error, 1)
		p.SendAsync(t.Context(), m, func(_ core.Result, err error) { done <- err })
		return <-done
	case core.Oneway:
		return p.SendOneway(t.Context(), m)
	default:
		_, err := p.Send(t.Context(), m)
		return err
	}
}

func TestEveryModeEndsWithItsOutcome(t *testing.T) {
	for _, mode := range []core.Mode{core.Sync, core.Async, core.Oneway} {
		for _, fails := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v fails=%v", mode, fails), func(t *testing.T) {
				r := newRig(t, nil)
				if fails {
					r.transport.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
						return nil, core.ErrConnectionLost
					}
				}
				err := send(t, r.producer, mode, coretest.Message("x"))
				if fails != (err != nil) {
					t.Fatalf("got %v", err)
				}
				s := r.ended(t, 1)[0]
				wantAttrs(t, s.Attributes(), attribute.String("liftoff.mode", mode.String()))
				if !fails {
					want := "SEND_OK"
					if mode == core.Oneway {
						want = "WRITTEN"
					}
					wantAttrs(t, s.Attributes(), attribute.String("liftoff.send_status", want))
					return
				}
				wantErrorType(t, s.Attributes(), "network")
				wantAttrs(t, s.Attributes(), attribute.String("liftoff.certainty", "maybe-stored"))
				if st := s.Status(); st.Code != codes.Error || st.Description != core.ErrConnectionLost.Error() {
					t.Errorf("status %v, want what ended the call", st)
				}
			})
		}
	}
}

func TestRetryOnAnotherBroker(t *testing.T) {
	r := newRig(t, func(c *core.Config) { c.Retry = coretest.Retry(3) })
	r.transport.Do = busyOnce
	if _, err := r.producer.Send(t.Context(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	s := r.ended(t, 1)[0]
	wantAttrs(t, s.Attributes(), attribute.Int("liftoff.attempts", 2),
		semconv.MessagingDestinationPartitionID("broker-b-0"), semconv.ServerAddress("broker-b"))
	wantNone(t, s.Attributes(), semconv.ErrorTypeKey)
	ev := s.Events()
	if len(ev) != 2 || ev[0].Name != "attempt" || ev[1].Name != "attempt" {
		t.Fatalf("got events %v, want two attempts", ev)
	}
	wantAttrs(t, ev[0].Attributes, attribute.Int("liftoff.attempt", 1), semconv.ServerAddress("broker-a"),
		semconv.ServerPort(10911), semconv.MessagingDestinationPartitionID("broker-a-0"),
		semconv.ErrorTypeKey.String("SYSTEM_BUSY"), attribute.Int("liftoff.response_code", 2))
	wantAttrs(t, ev[1].Attributes, attribute.Int("liftoff.attempt", 2), semconv.ServerAddress("broker-b"),
		semconv.MessagingDestinationPartitionID("broker-b-0"))
	wantNone(t, ev[1].Attributes, semconv.ErrorTypeKey)
	if d, ok := value(t, ev[0].Attributes, "liftoff.attempt.duration").(float64); !ok || d < 0 {
		t.Errorf("duration of the attempt is %v", d)
	}
	if sent := r.transport.sent; !slices.Equal(sent[0], sent[1]) {
		t.Errorf("the attempts carry different properties:\n%q\n%q", sent[0], sent[1])
	}
}

func TestAttemptSpans(t *testing.T) {
	r := newRig(t, func(c *core.Config) { c.Retry = coretest.Retry(3) }, tracing.WithAttemptSpans(true))
	var inTransport trace.SpanContext
	r.transport.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
		inTransport = trace.SpanContextFromContext(ctx)
		return busyOnce(ctx, at)
	}
	if _, err := r.producer.Send(t.Context(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	s := r.ended(t, 3)
	first, second, call := s[0], s[1], s[2]
	for i, a := range []sdktrace.ReadOnlySpan{first, second} {
		if a.Name() != "attempt T" || a.SpanKind() != trace.SpanKindClient || a.Parent().SpanID() != call.SpanContext().SpanID() {
			t.Errorf("span %d is %v %q with parent %v", i, a.SpanKind(), a.Name(), a.Parent().SpanID())
		}
		wantAttrs(t, a.Attributes(), attribute.Int("liftoff.attempt", i+1), semconv.MessagingOperationName("attempt"))
		wantNone(t, a.Attributes(), semconv.MessagingOperationTypeKey)
	}
	wantErrorType(t, first.Attributes(), "SYSTEM_BUSY")
	if first.Status().Code != codes.Error || second.Status().Code != codes.Unset {
		t.Errorf("statuses %v and %v", first.Status(), second.Status())
	}
	if inTransport.SpanID() != second.SpanContext().SpanID() {
		t.Errorf("the transport saw span %v, want that of the attempt", inTransport.SpanID())
	}
	if call.Name() != "send T" || len(call.Events()) != 0 {
		t.Errorf("call span %q has events %v, want none", call.Name(), call.Events())
	}
	if got := remote(r.transport.wire(1)); got.SpanID() != call.SpanContext().SpanID() {
		t.Errorf("message carries %v, want the send span", got.SpanID())
	}
}

type namedError struct{}

func (namedError) Error() string     { return "quota" }
func (namedError) ErrorType() string { return "quota_exceeded" }

func TestLocalFailuresAreVisible(t *testing.T) {
	tests := []struct {
		err  error
		want string
	}{
		{fmt.Errorf("%w: no body", core.ErrInvalidMessage), "invalid_message"},
		{fmt.Errorf("limiter: %w", core.ErrTooManyInFlight), "in_flight"},
		{context.Canceled, "canceled"},
		{core.ErrTimeout, "timeout"},
		{fmt.Errorf("rules: %w", core.ErrForbidden), "forbidden"},
		{fmt.Errorf("wrapped: %w", namedError{}), "quota_exceeded"},
		{errors.New("plain"), "*errors.errorString"},
		{&core.BrokerError{Code: rocketmq.CodeTopicNotExist}, "TOPIC_NOT_EXIST"},
		{&core.SendError{Class: core.ClassUnknown, Cause: errors.New("x")}, "*errors.errorString"},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			r := newRig(t, func(c *core.Config) {
				c.Steps = append(c.Steps, guard(func(context.Context, *core.Call, core.Handler) (*core.Result, error) { return nil, tt.err }))
			})
			if _, err := r.producer.Send(t.Context(), &core.Message{}); err == nil {
				t.Fatal("no error")
			}
			s := r.ended(t, 1)[0]
			if s.Name() != "send" {
				t.Errorf("span %q, want \"send\" where there is no topic", s.Name())
			}
			wantErrorType(t, s.Attributes(), tt.want)
			wantAttrs(t, s.Attributes(), attribute.Int("liftoff.attempts", 0))
			if tt.want == "invalid_message" {
				wantAttrs(t, s.Attributes(), attribute.String("liftoff.certainty", "not-sent"))
			}
			wantNone(t, s.Attributes(), semconv.MessagingDestinationPartitionIDKey, semconv.ServerAddressKey, semconv.MessagingDestinationNameKey)
			if s.Status().Code != codes.Error || len(s.Events()) != 0 {
				t.Errorf("status %v, events %v; want an error and no exception event", s.Status(), s.Events())
			}
		})
	}
}

// A step may put an error of its own in the place of the send's. The span must not guess then.
func TestCertaintyBehindAStepsOwnError(t *testing.T) {
	r := newRig(t, func(c *core.Config) {
		c.Steps = append(c.Steps, guard(func(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
			_, err := next(ctx, call)
			return nil, fmt.Errorf("lost in translation: %v", err)
		}))
	})
	r.transport.Do = func(context.Context, *core.Attempt) (*core.Result, error) { return nil, core.ErrConnectionLost }
	if _, err := r.producer.Send(t.Context(), coretest.Message("x")); core.CertaintyOf(err) != core.MaybeStored {
		t.Errorf("got %v", err)
	}
	wantAttrs(t, r.ended(t, 1)[0].Attributes(), attribute.String("liftoff.certainty", "unknown"))
}

func TestNoRouteAndVeto(t *testing.T) {
	t.Run("no route", func(t *testing.T) {
		r := newRig(t, func(c *core.Config) {
			c.Routes = coretest.RouteFunc(func(context.Context, string) (*core.Route, error) { return nil, core.ErrNoRoute })
		})
		if _, err := r.producer.Send(t.Context(), coretest.Message("x")); !errors.Is(err, core.ErrNoRoute) {
			t.Fatal(err)
		}
		wantErrorType(t, r.ended(t, 1)[0].Attributes(), "no_route")
	})
	t.Run("veto in attempt scope", func(t *testing.T) {
		r := newRig(t, func(c *core.Config) {
			c.Steps = append(c.Steps, core.AttemptStep("forbid.x", core.AttemptGuard, core.AttemptInterceptorFunc(func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) {
				return nil, fmt.Errorf("rule: %w", core.ErrForbidden)
			})))
		})
		if _, err := r.producer.Send(t.Context(), coretest.Message("x")); !errors.Is(err, core.ErrForbidden) {
			t.Fatal(err)
		}
		s := r.ended(t, 1)[0]
		wantErrorType(t, s.Attributes(), "forbidden")
		if len(s.Events()) != 1 {
			t.Fatalf("events %v, want the vetoed attempt", s.Events())
		}
		wantErrorType(t, s.Events()[0].Attributes, "forbidden")
	})
}

func TestPanicAndGoexit(t *testing.T) {
	boom := func(f func()) func(*core.Config) {
		return func(c *core.Config) {
			c.Steps = append(c.Steps, guard(func(context.Context, *core.Call, core.Handler) (*core.Result, error) { f(); return nil, nil }))
		}
	}
	t.Run("panic", func(t *testing.T) {
		r := newRig(t, boom(func() { panic("boom") }))
		if _, err := r.producer.Send(t.Context(), coretest.Message("x")); err == nil {
			t.Fatal("no error")
		}
		wantErrorType(t, r.ended(t, 1)[0].Attributes(), "plugin")
	})
	t.Run("goexit", func(t *testing.T) {
		r := newRig(t, boom(runtime.Goexit))
		done := make(chan error, 1)
		r.producer.SendAsync(t.Context(), coretest.Message("x"), func(_ core.Result, err error) { done <- err })
		if err := <-done; err == nil {
			t.Fatal("no error")
		}
		if s := r.ended(t, 1)[0]; s.Status().Code != codes.Error {
			t.Errorf("status %v", s.Status())
		} else {
			wantErrorType(t, s.Attributes(), "plugin")
		}
	})
}

func TestNoRoomInFlight(t *testing.T) {
	release := make(chan struct{})
	entered := make(chan struct{})
	r := newRig(t, func(c *core.Config) { c.MaxInFlight = 1 })
	r.transport.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		close(entered)
		<-release
		return at.Result(), nil
	}
	first, second := make(chan error, 1), make(chan error, 1)
	r.producer.SendAsync(t.Context(), coretest.Message("x"), func(_ core.Result, err error) { first <- err })
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.producer.SendAsync(ctx, coretest.Message("x"), func(_ core.Result, err error) { second <- err })
	if err := <-second; !errors.Is(err, core.ErrTooManyInFlight) {
		t.Fatal(err)
	}
	s := r.spans.Ended()
	if len(s) != 1 || s[0].Name() != "send T" {
		t.Fatalf("got %d ended spans, want that of the refused call", len(s))
	}
	wantErrorType(t, s[0].Attributes(), "in_flight")
	close(release)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	r.ended(t, 2)
}

// An outer step may run everything below it again: each run has its span, and
// the message carries that of the run it was sent in.
func TestOuterRepetition(t *testing.T) {
	r := newRig(t, func(c *core.Config) {
		c.Steps = append(c.Steps, core.CallStep("again", core.StageObserve, core.InterceptorFunc(func(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
			if _, err := next(ctx, call); err == nil {
				return nil, errors.New("the first run should fail")
			}
			return next(ctx, call)
		})).Before("otel.trace"))
	})
	fails := true
	r.transport.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		if fails {
			fails = false
			return nil, core.ErrConnectionLost
		}
		return at.Result(), nil
	}
	if _, err := r.producer.Send(t.Context(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	s := r.ended(t, 2)
	for i := range r.transport.sent {
		if got := remote(r.transport.wire(i)); got.SpanID() != s[i].SpanContext().SpanID() || len(s[i].Links()) != 0 {
			t.Errorf("run %d carries %v, want %v without links", i+1, got.SpanID(), s[i].SpanContext().SpanID())
		}
	}
}

// A send that shares a request with others tells where that went, as one of its own.
func TestAccumulatedSends(t *testing.T) {
	together, err := accumulate.New(accumulate.Config{})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *core.Config) {
			c.Steps = append(c.Steps, together.Step())
			c.Transport.(*recorder).Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
				time.Sleep(time.Millisecond)
				return c.Transport.(*recorder).Ack(at), nil
			}
		})
		var wg sync.WaitGroup
		for range 9 {
			wg.Go(func() {
				if _, err := r.producer.Send(t.Context(), coretest.Message("x")); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		if n := len(r.transport.Attempts()); n >= 9 {
			t.Errorf("%d requests: no send shared one", n)
		}
		for _, s := range r.ended(t, 9) {
			wantAttrs(t, s.Attributes(), attribute.Int("liftoff.attempts", 1),
				semconv.ServerAddress("broker-a"), semconv.ServerPort(10911))
			if value(t, s.Attributes(), semconv.MessagingDestinationPartitionIDKey) == nil {
				t.Error("no partition")
			}
		}
	})
}

// A sampler that does not heed the parent is asked if the application wants that.
func TestWithUnsampledParents(t *testing.T) {
	r := newRig(t, nil, tracing.WithUnsampledParents(true))
	parent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, Remote: true})
	if _, err := r.producer.Send(trace.ContextWithSpanContext(t.Context(), parent), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	// The recorder's provider samples by the parent; what matters is who decided.
	r.ended(t, 0)

	spans := tracetest.NewSpanRecorder()
	always := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans), sdktrace.WithSampler(sdktrace.AlwaysSample()))
	for _, on := range []bool{false, true} {
		p := coretest.Start(t, coretest.Config(&coretest.Transport{},
			newTracing(t, tracing.WithTracerProvider(always), tracing.WithPropagators(propagators()), tracing.WithUnsampledParents(on)).Step()))
		if _, err := p.Send(trace.ContextWithSpanContext(t.Context(), parent), coretest.Message("x")); err != nil {
			t.Fatal(err)
		}
		want := 0
		if on {
			want = 1
		}
		if n := len(spans.Ended()); n != want {
			t.Errorf("on=%v: %d spans, want %d", on, n, want)
		}
	}
}

// Keys are in the spans of those who ask for them: of single messages and of those of a batch.
func TestMessageKeys(t *testing.T) {
	r := newRig(t, nil, tracing.WithMessageKeys())
	m := coretest.Message("x")
	m.Keys = []string{"k1", "k2"}
	if _, err := r.producer.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if _, err := r.producer.SendBatch(t.Context(), []*core.Message{m, coretest.Message("y")}); err != nil {
		t.Fatal(err)
	}
	spans := r.ended(t, 4)
	wantAttrs(t, spans[0].Attributes(), semconv.MessagingRocketMQMessageKeys("k1", "k2"))
	wantAttrs(t, spans[1].Attributes(), semconv.MessagingRocketMQMessageKeys("k1", "k2"))
	wantNone(t, spans[2].Attributes(), semconv.MessagingRocketMQMessageKeysKey)
}
