package namespace_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/namespace"
	"github.com/liftoff-mq/liftoff/internal/race"
)

func newNamespace(tb testing.TB, name string) *namespace.Namespace {
	tb.Helper()
	n, err := namespace.New(name)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

func TestWrapAndUnwrap(t *testing.T) {
	for _, tt := range []struct{ ns, name, wire string }{
		{"ns", "orders", "ns%orders"},
		{"ns", "", ""},
		{"", "orders", "orders"},
		{"ns", "ns%orders", "ns%orders"},
		{"ns", "nsx%orders", "ns%nsx%orders"},
		{"ns", "ns", "ns%ns"},
		{"ns", "other%orders", "ns%other%orders"},
		{"ns", "%RETRY%g", "%RETRY%ns%g"},
		{"ns", "%RETRY%ns%g", "%RETRY%ns%g"},
		{"ns", "%DLQ%g", "%DLQ%ns%g"},
		{"ns", "%DLQ%ns%g", "%DLQ%ns%g"},
		{"ns", "%OTHER%g", "ns%%OTHER%g"},
		{"ns", "TBW102", "TBW102"},
		{"ns", "SCHEDULE_TOPIC_XXXX", "SCHEDULE_TOPIC_XXXX"},
		{"ns", "RMQ_SYS_TRACE_TOPIC", "RMQ_SYS_TRACE_TOPIC"},
		{"ns", "rmq_sys_anything", "rmq_sys_anything"},
		{"ns", "CID_RMQ_SYS_x", "CID_RMQ_SYS_x"},
	} {
		if got := namespace.Wrap(tt.ns, tt.name); got != tt.wire {
			t.Errorf("Wrap(%q, %q) = %q, want %q", tt.ns, tt.name, got, tt.wire)
		}
		if got := namespace.WrapGroup(tt.ns, tt.name); got != tt.wire {
			t.Errorf("WrapGroup(%q, %q) = %q, want %q", tt.ns, tt.name, got, tt.wire)
		}
		if got := namespace.Wrap(tt.ns, tt.wire); got != tt.wire {
			t.Errorf("wrapping %q again gives %q", tt.wire, got)
		}
		bare := strings.Replace(tt.name, "ns%", "", 1)
		if tt.name == "nsx%orders" || tt.name == "other%orders" {
			bare = tt.name
		}
		if got := namespace.Unwrap(tt.ns, tt.wire); got != bare {
			t.Errorf("Unwrap(%q, %q) = %q, want %q", tt.ns, tt.wire, got, bare)
		}
	}
	if got := namespace.Unwrap("ns", "other%orders"); got != "other%orders" {
		t.Errorf("Unwrap took off a foreign namespace: %q", got)
	}
	for name, want := range map[string]string{
		"ns%orders": "ns", "orders": "", "": "", "%RETRY%ns%g": "ns", "%RETRY%g": "", "%DLQ%ns%g": "ns", "TBW102": "",
	} {
		if got := namespace.Of(name); got != want {
			t.Errorf("Of(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestBadNames(t *testing.T) {
	for _, name := range []string{"", " ", "a%b", "a.b", "größe", "a\x01", strings.Repeat("n", 101)} {
		n, err := namespace.New(name)
		if err == nil || n != nil || !strings.HasPrefix(err.Error(), "namespace: ") {
			t.Errorf("%q: got %v, %v, want an error", name, n, err)
		}
	}
	for _, name := range []string{"a", "MQ_INST_123_abc", "a-b|c", strings.Repeat("n", 100)} {
		if err := namespace.Check(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestEveryMode(t *testing.T) {
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		if ns, _ := at.Call().Outgoing().Property("INSTANCE_ID"); ns != "ns" {
			t.Errorf("%v: instance %q", at.Call().Mode(), ns)
		}
		return tr.Ack(at), nil
	}
	cfg := config(tr, newNamespace(t, "ns").Step())
	routes := cfg.Routes
	var asked sync.Map
	cfg.Routes = coretest.RouteFunc(func(ctx context.Context, topic string) (*core.Route, error) {
		asked.Store(topic, true)
		return routes.Route(ctx, topic)
	})
	p := coretest.Start(t, cfg)
	ctx := context.Background()
	m := &core.Message{Topic: "orders", Body: []byte("x"), Properties: map[string]string{"a": "b"}}
	orig := &core.Message{Topic: "orders", Body: []byte("x"), Properties: map[string]string{"a": "b"}}
	if _, err := p.Send(ctx, m); err != nil {
		t.Error(err)
	}
	done := make(chan error)
	p.SendAsync(ctx, m, func(_ core.Result, err error) { done <- err })
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := p.SendOneway(ctx, m); err != nil {
		t.Error(err)
	}
	if _, err := p.SendBatch(ctx, []*core.Message{m, m, m}); err != nil {
		t.Error(err)
	}
	attempts := tr.Attempts()
	if len(attempts) != 4 {
		t.Fatalf("%d attempts", len(attempts))
	}
	for _, a := range attempts {
		if a.Topic != "ns%orders" {
			t.Errorf("%v: topic %q", a.Mode, a.Topic)
		}
	}
	if !reflect.DeepEqual(m, orig) {
		t.Errorf("the message changed: %+v", m)
	}
	asked.Range(func(topic, _ any) bool {
		if topic != "ns%orders" {
			t.Errorf("a route of %q was asked for", topic)
		}
		return true
	})
}

func TestEveryMessageOfABatch(t *testing.T) {
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		for o := range at.Call().All() {
			if id, _ := o.Property("INSTANCE_ID"); id != "ns" || o.Topic() != "ns%T" {
				t.Errorf("topic %q, instance %q", o.Topic(), id)
			}
		}
		return tr.Ack(at), nil
	}
	p := coretest.Start(t, config(tr, newNamespace(t, "ns").Step()))
	if _, err := p.SendBatch(context.Background(), []*core.Message{coretest.Message("1"), coretest.Message("2")}); err != nil {
		t.Fatal(err)
	}
}

// A step further out may run the call again: the namespace must not pile up.
func TestRunAgain(t *testing.T) {
	again := core.InterceptorFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
		if _, err := next(ctx, c); err != nil {
			return nil, err
		}
		return next(ctx, c)
	})
	var sent [][]core.Property
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		var props []core.Property
		for name, value := range at.Call().Outgoing().Properties() {
			props = append(props, core.Property{Name: name, Value: value.String()})
		}
		sent = append(sent, props)
		return tr.Ack(at), nil
	}
	p := coretest.Start(t, config(tr, newNamespace(t, "ns").Step(), core.CallStep("again", core.StageGuard, again)))
	if _, err := p.Send(context.Background(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	a := tr.Attempts()
	if len(a) != 2 || a[0].Topic != "ns%T" || a[1].Topic != "ns%T" || !slices.Equal(sent[0], sent[1]) {
		t.Errorf("got %+v with %v", a, sent)
	}
}

// recaller is a transport that takes every message back and remembers under which topic.
type recaller struct {
	coretest.Transport
	targets []string
}

func (r *recaller) Recall(_ context.Context, op *core.Operation, handle string) (string, error) {
	op.MarkWritten()
	h, err := rocketmq.ParseRecallHandle(handle)
	r.targets = append(r.targets, op.Target())
	return h.MessageID, err
}

// A message is recalled from the topic that it was sent to.
func TestRecall(t *testing.T) {
	tr := &recaller{}
	p := coretest.Start(t, config(tr, newNamespace(t, "ns").Step()))
	handle := func(topic string) string {
		return rocketmq.RecallHandle{Topic: topic, Broker: "broker-a", DeliverAt: time.UnixMilli(1), MessageID: "ID"}.String()
	}
	for _, topic := range []string{"orders", "orders", "ns%orders"} {
		if id, err := p.Recall(context.Background(), topic, handle("ns%orders")); id != "ID" || err != nil {
			t.Errorf("%s: got %q, %v", topic, id, err)
		}
	}
	if want := []string{"ns%orders", "ns%orders", "ns%orders"}; !slices.Equal(tr.targets, want) {
		t.Errorf("recalled from %q, want %q", tr.targets, want)
	}
	// Another tenant's message is not this producer's to recall.
	for _, foreign := range []string{"orders", "other%orders"} {
		_, err := p.Recall(context.Background(), "orders", handle(foreign))
		var oe *core.OperationError
		if !errors.As(err, &oe) || oe.Class != core.ClassInvalid || oe.Topic != "orders" || oe.Certainty != core.NotSent {
			t.Errorf("%s: got %v", foreign, err)
		}
	}
	_, err := p.Recall(context.Background(), strings.Repeat("t", 125), handle("x"))
	if !errors.Is(err, core.ErrInvalidMessage) || !strings.Contains(err.Error(), "128 bytes") {
		t.Errorf("128 bytes on the wire: %v", err)
	}
	if len(tr.targets) != 3 {
		t.Errorf("%d recalls reached the transport, want 3", len(tr.targets))
	}
}

func TestPlaceAndDescription(t *testing.T) {
	p, err := core.Resolve(core.Order{}, newNamespace(t, "tenant-7").Step())
	if err != nil {
		t.Fatal(err)
	}
	want := []core.PlacedStep{{
		Name: "namespace", Scope: "call", Stage: "shape",
		Description: core.Description{
			Summary:  "topics in a namespace",
			Settings: []core.Setting{{Name: "namespace", Value: "tenant-7"}},
		},
	}}
	if got := p.Steps(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestTopicGetsTooLong(t *testing.T) {
	tr := &coretest.Transport{}
	p := coretest.Start(t, config(tr, newNamespace(t, "ns").Step()))
	if _, err := p.Send(context.Background(), &core.Message{Topic: strings.Repeat("t", 124), Body: []byte("x")}); err != nil {
		t.Errorf("127 bytes on the wire: %v", err)
	}
	_, err := p.Send(context.Background(), &core.Message{Topic: strings.Repeat("t", 125), Body: []byte("x")})
	if !errors.Is(err, core.ErrInvalidMessage) || !strings.Contains(err.Error(), "128 bytes") {
		t.Errorf("128 bytes on the wire: %v", err)
	}
	if n := len(tr.Attempts()); n != 1 {
		t.Errorf("%d attempts, want 1", n)
	}
}

// More topics than are remembered, from many goroutines: always the right one.
func TestManyTopics(t *testing.T) {
	tr := &coretest.Transport{Forget: true}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		if got, want := at.Call().Outgoing().Topic(), "ns%"+at.Call().Message().Topic; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		return tr.Ack(at), nil
	}
	p := coretest.Start(t, config(tr, newNamespace(t, "ns").Step()))
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 400 {
				m := &core.Message{Topic: fmt.Sprintf("T%d", (i+g*50)%400), Body: []byte("x")}
				if _, err := p.Send(context.Background(), m); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestNoAllocations(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	p := coretest.Start(t, config(&coretest.Transport{Forget: true}, newNamespace(t, "ns").Step()))
	m := coretest.Message("x")
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := p.Send(context.Background(), m); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("a known topic costs %v allocations, want 0", n)
	}
}

func BenchmarkNamespace(b *testing.B) {
	p := coretest.Start(b, config(&coretest.Transport{Forget: true}, newNamespace(b, "ns").Step()))
	m := coretest.Message("x")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Send(context.Background(), m); err != nil {
			b.Fatal(err)
		}
	}
}
