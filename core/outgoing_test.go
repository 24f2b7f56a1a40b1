package core_test

import (
	"context"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

func TestPropertiesOnTheWire(t *testing.T) {
	at := time.UnixMilli(1764000000123)
	tests := []struct {
		name string
		msg  core.Message
		set  [][2]string
		want string // after the unique id; \x01 as =, \x02 as ;
	}{
		{"plain", core.Message{}, nil, ""},
		{
			"every field",
			core.Message{Tag: "t", Keys: []string{"k1", "k2"}, ShardingKey: "s", DelayLevel: 3, DeliverAt: at, NoWaitStore: true},
			nil, "TAGS=t;KEYS=k1 k2;__SHARDINGKEY=s;DELAY=3;TIMER_DELIVER_MS=1764000000123;WAIT=false;",
		},
		{"delay, rounded up", core.Message{DeliverAfter: time.Millisecond + 1}, nil, "TIMER_DELAY_MS=2;"},
		{"least delay", core.Message{DeliverAfter: 1}, nil, "TIMER_DELAY_MS=1;"},
		{
			"of 5.4 and 5.5",
			core.Message{Priority: new(12), LiteTopic: "chat-1"},
			nil, "_SYS_MSG_PRIORITY_=12;__LITE_TOPIC=chat-1;",
		},
		{"sorted", core.Message{Properties: map[string]string{"b": "2", "a": "1", "c": "3"}}, nil, "a=1;b=2;c=3;"},
		{
			"shadowed",
			core.Message{Tag: "t", Properties: map[string]string{"a": "1", "b": "2"}},
			[][2]string{{"TAGS", "other"}, {"a", "9"}, {"a", "10"}, {"x", "y"}},
			"b=2;TAGS=other;a=10;x=y;",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := &coretest.Transport{}
			p := coretest.Start(t, coretest.Config(tr, core.CallStep("set", core.StageShape, core.InterceptorFunc(
				func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
					out := c.Outgoing()
					for _, kv := range tt.set {
						out.SetProperty(kv[0], kv[1])
					}
					before := out.PropertiesSize()
					res, err := next(ctx, c)
					if after := out.PropertiesSize(); err == nil && before != after {
						t.Errorf("size %d before, %d after", before, after)
					}
					return res, err
				}))))
			m := tt.msg
			m.Topic, m.Body = "T", []byte("x")
			res, err := p.Send(t.Context(), &m)
			if err != nil {
				t.Fatal(err)
			}
			got := tr.Attempts()[0].Properties
			if want := "UNIQ_KEY=" + res.MessageID.String() + ";" + tt.want; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestOutgoingProperty(t *testing.T) {
	m := &core.Message{
		Topic: "T", Body: []byte("x"), Tag: "t", Keys: []string{"a", "b"}, ShardingKey: "s", DelayLevel: 2,
		DeliverAt: time.UnixMilli(5), NoWaitStore: true, Properties: map[string]string{"mine": "1"},
	}
	p := coretest.Start(t, coretest.Config(&coretest.Transport{}, core.CallStep("look", core.StageShape, core.InterceptorFunc(
		func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			out := c.Outgoing()
			out.SetProperty("added", "2")
			for name, want := range map[string]string{
				"TAGS": "t", "KEYS": "a b", "__SHARDINGKEY": "s", "DELAY": "2", "TIMER_DELIVER_MS": "5", "WAIT": "false",
				"mine": "1", "added": "2", "UNIQ_KEY": c.MessageID().String(),
			} {
				if got, ok := out.Property(name); !ok || got != want {
					t.Errorf("property %s is %q, %v; want %q", name, got, ok, want)
				}
			}
			if v, ok := out.Property("other"); ok {
				t.Errorf("property other is %q", v)
			}
			return next(ctx, c)
		}))))
	if _, err := p.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

func TestSlots(t *testing.T) {
	slot, other := core.NewSlot[int]("n"), core.NewSlot[int]("n")
	var seen []int
	p := coretest.Start(t, coretest.Config(&coretest.Transport{},
		core.CallStep("set", core.StageObserve, core.InterceptorFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			if _, ok := slot.Get(c); ok {
				t.Error("a slot outlived its call")
			}
			slot.Set(c, 1)
			slot.Set(c, 2)
			return next(ctx, c)
		})),
		core.AttemptStep("get", core.AttemptWire, core.AttemptInterceptorFunc(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
			v, ok := slot.Get(at.Call())
			if _, wrong := other.Get(at.Call()); !ok || wrong {
				t.Error("slots are mixed up")
			}
			seen = append(seen, v)
			return next(ctx, at)
		}))))
	for range 2 {
		if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 2 || seen[0] != 2 || seen[1] != 2 {
		t.Errorf("saw %v", seen)
	}
}
