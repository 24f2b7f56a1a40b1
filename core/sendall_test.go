package core_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// TestSendAll: every message has its own outcome, at its own place.
func TestSendAll(t *testing.T) {
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		if at.Call().Message().Tag == "bad" {
			return nil, coretest.Refuse(at, rocketmq.CodeMessageIllegal, "")
		}
		return tr.Ack(at), nil
	}
	cfg := coretest.Config(tr)
	cfg.MaxInFlight = 3
	p := coretest.Start(t, cfg)
	var msgs []*core.Message
	for i := range 100 {
		m := coretest.Message(fmt.Sprint(i))
		if i%10 == 7 {
			m.Tag = "bad"
		}
		msgs = append(msgs, m)
	}
	msgs = append(msgs, nil)
	out := p.SendAll(t.Context(), msgs)
	failed := 0
	for i, o := range out {
		switch {
		case o.Message != msgs[i]:
			t.Fatalf("outcome %d is of another message", i)
		case (o.Err == nil) != (i != 100 && i%10 != 7):
			t.Errorf("message %d: %v", i, o.Err)
		case o.Err == nil && !o.Result.Acked():
			t.Errorf("message %d: %+v", i, o.Result)
		}
	}
	for o := range out.Failed() {
		if failed == 0 && o.Err != out.FirstErr() {
			t.Error("FirstErr is not the first error")
		}
		failed++
	}
	if failed != 11 || core.ClassOf(out.FirstErr()) != core.ClassRejected {
		t.Errorf("%d failed, first %v", failed, out.FirstErr())
	}
	if err := p.SendAll(t.Context(), msgs[:3]).FirstErr(); err != nil {
		t.Error(err)
	}
	if out := p.SendAll(t.Context(), nil); len(out) != 0 || out.FirstErr() != nil {
		t.Errorf("%v", out)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.SendAll(ctx, msgs[:3]).FirstErr(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestSplitBatch: the batches are the messages in order, each batch fits, and none could take
// the next one's first message.
func TestSplitBatch(t *testing.T) {
	a := func(size int) *core.Message { return &core.Message{Topic: "A", Body: make([]byte, size)} }
	b := func(size int) *core.Message { return &core.Message{Topic: "B", Body: make([]byte, size)} }
	keyed := &core.Message{Topic: "A", Body: []byte("x"), ShardingKey: "k"}
	fixed := &core.Message{Topic: "A", Body: []byte("x"), Queue: &core.Queue{Broker: "broker-a", ID: 1}}
	same := &core.Message{Topic: "A", Body: []byte("y"), Queue: &core.Queue{Broker: "broker-a", ID: 1}}
	// A message takes 22 bytes, and its id's property 42.
	const overhead = 22 + 42
	for _, tt := range []struct {
		name  string
		msgs  []*core.Message
		limit int
		want  string // sizes of the batches
	}{
		{"none", nil, 100, "[]"},
		{"exactly", []*core.Message{a(100), a(100)}, 200 + 2*overhead, "[2]"},
		{"one byte more", []*core.Message{a(100), a(101)}, 200 + 2*overhead, "[1 1]"},
		{"the first is too large", []*core.Message{a(5000), a(10), a(10)}, 1000, "[1 2]"},
		{"too large by itself", []*core.Message{a(10), a(5000), a(10), a(10)}, 1000, "[1 1 2]"},
		{"topics", []*core.Message{a(1), a(1), b(1), a(1)}, 0, "[2 1 1]"},
		{"key", []*core.Message{a(1), keyed, keyed, a(1)}, 0, "[1 2 1]"},
		{"queue", []*core.Message{a(1), fixed, same, a(1)}, 0, "[1 2 1]"},
		{"waiting", []*core.Message{a(1), {Topic: "A", NoWaitStore: true}}, 0, "[1 1]"},
		{"nil", []*core.Message{a(1), nil, nil, a(1)}, 0, "[1 1 1 1]"},
		{"default", slices.Repeat([]*core.Message{a(1024)}, 2000), 0, "[963 963 74]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sizes := []int{}
			var all []*core.Message
			for batch := range core.SplitBatch(tt.msgs, tt.limit) {
				sizes = append(sizes, len(batch))
				all = append(all, batch...)
			}
			if got := fmt.Sprint(sizes); got != tt.want || !slices.Equal(all, tt.msgs) {
				t.Errorf("batches of %s, want %s", got, tt.want)
			}
		})
	}
	for range core.SplitBatch([]*core.Message{a(1), b(1)}, 0) {
		break // must not go on
	}
}

func ExampleProducer_SendAll() {
	p, err := core.NewProducer(coretest.Config(&coretest.Transport{}))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if err := p.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	defer p.Shutdown(ctx)
	out := p.SendAll(ctx, []*core.Message{
		{Topic: "Orders", Body: []byte("one")}, {Topic: "Orders", Body: []byte("two")}, {Topic: "Audit", Body: []byte("three")},
	})
	fmt.Println(len(out), out.FirstErr())
	// Output: 3 <nil>
}

func ExampleSplitBatch() {
	var msgs []*core.Message
	for i := range 5 {
		msgs = append(msgs, &core.Message{Topic: "Orders", Body: []byte(strings.Repeat("x", 400+i))})
	}
	for batch := range core.SplitBatch(msgs, 1000) {
		fmt.Println(len(batch), len(batch[0].Body))
	}
	// Output:
	// 2 400
	// 2 402
	// 1 404
}
