package validate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/validate"
	"github.com/liftoff-mq/liftoff/internal/race"
)

func newValidator(tb testing.TB, opts ...validate.Option) *validate.Validator {
	tb.Helper()
	v, err := validate.New(opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func newProducer(tb testing.TB, opts ...validate.Option) (*core.Producer, *coretest.Transport) {
	tb.Helper()
	tr := &coretest.Transport{}
	return coretest.Start(tb, config(tr, newValidator(tb, opts...).Step())), tr
}

// modes are the ways to send one message.
var modes = map[string]func(p *core.Producer, m *core.Message) error{
	"sync": func(p *core.Producer, m *core.Message) error {
		_, err := p.Send(context.Background(), m)
		return err
	},
	"async": func(p *core.Producer, m *core.Message) error {
		ch := make(chan error, 1)
		p.SendAsync(context.Background(), m, func(_ core.Result, err error) { ch <- err })
		return <-ch
	},
	"oneway": func(p *core.Producer, m *core.Message) error { return p.SendOneway(context.Background(), m) },
}

type want struct {
	field string
	rule  validate.Rule
	text  string // part of the reason
}

// broken gives the rules that err names.
func broken(err error) validate.Errors {
	var es validate.Errors
	if errors.As(err, &es) {
		return es
	}
	var e *validate.Error
	if errors.As(err, &e) {
		return validate.Errors{e}
	}
	return nil
}

func checkBroken(t *testing.T, err error, wants []want) {
	t.Helper()
	got := broken(err)
	if len(got) != len(wants) {
		t.Fatalf("got %d broken rules, want %d: %v", len(got), len(wants), err)
	}
	for i, w := range wants {
		e := got[i]
		if e.Field != w.field || e.Rule != w.rule || !strings.Contains(e.Reason, w.text) {
			t.Errorf("rule %d: got %s %s %q, want %s %s %q", i, e.Field, e.Rule, e.Reason, w.field, w.rule, w.text)
		}
	}
	if !errors.Is(err, core.ErrInvalidMessage) || core.ClassOf(err) != core.ClassInvalid {
		t.Errorf("%v is no invalid message (class %v)", err, core.ClassOf(err))
	}
	if core.CertaintyOf(err) != core.NotSent {
		t.Errorf("certainty %v, want not-sent", core.CertaintyOf(err))
	}
}

func with(f func(m *core.Message)) *core.Message {
	m := &core.Message{Topic: "T", Body: []byte("x")}
	f(m)
	return m
}

var refused = []struct {
	name  string
	m     *core.Message
	wants []want
}{
	{"empty topic", with(func(m *core.Message) { m.Topic = "" }), []want{{"Topic", validate.Required, "blank"}}},
	{"blank topic", with(func(m *core.Message) { m.Topic = " \t" }), []want{{"Topic", validate.Required, "blank"}}},
	{"topic of 128 bytes", with(func(m *core.Message) { m.Topic = strings.Repeat("t", 128) }), []want{{"Topic", validate.TooLong, "has 128 bytes, at most 127"}}},
	{"topic characters", with(func(m *core.Message) { m.Topic = "a.b" }), []want{{"Topic", validate.BadChar, `"a.b"`}}},
	{"topic not ASCII", with(func(m *core.Message) { m.Topic = "größe" }), []want{{"Topic", validate.BadChar, "characters"}}},
	{"system topic", with(func(m *core.Message) { m.Topic = "SCHEDULE_TOPIC_XXXX" }), []want{{"Topic", validate.Reserved, "broker"}}},
	{"half topic", with(func(m *core.Message) { m.Topic = "RMQ_SYS_TRANS_HALF_TOPIC" }), []want{{"Topic", validate.Reserved, "broker"}}},
	{"op topic", with(func(m *core.Message) { m.Topic = "RMQ_SYS_TRANS_OP_HALF_TOPIC" }), []want{{"Topic", validate.Reserved, "broker"}}},
	{"check topic", with(func(m *core.Message) { m.Topic = "TRANS_CHECK_MAX_TIME_TOPIC" }), []want{{"Topic", validate.Reserved, "broker"}}},
	{"self test topic", with(func(m *core.Message) { m.Topic = "SELF_TEST_TOPIC" }), []want{{"Topic", validate.Reserved, "broker"}}},
	{"moved topic", with(func(m *core.Message) { m.Topic = "OFFSET_MOVED_EVENT" }), []want{{"Topic", validate.Reserved, "broker"}}},
	{"nil body", with(func(m *core.Message) { m.Body = nil }), []want{{"Body", validate.Required, "empty"}}},
	{"empty body", with(func(m *core.Message) { m.Body = []byte{} }), []want{{"Body", validate.Required, "empty"}}},
	{"body of 4 MiB and 1", with(func(m *core.Message) { m.Body = make([]byte, 4194305) }), []want{{"Body", validate.TooLong, "has 4194305 bytes, at most 4194304"}}},
	{"separator 1 in tag", with(func(m *core.Message) { m.Tag = "a\x01b" }), []want{{"Tag", validate.BadChar, "U+0001"}}},
	{"separator 2 in tag", with(func(m *core.Message) { m.Tag = "a\x02" }), []want{{"Tag", validate.BadChar, "U+0001"}}},
	{"tag not UTF-8", with(func(m *core.Message) { m.Tag = "\xff" }), []want{{"Tag", validate.BadUTF8, "UTF-8"}}},
	{"separator in sharding key", with(func(m *core.Message) { m.ShardingKey = "\x02" }), []want{{"ShardingKey", validate.BadChar, "U+0001"}}},
	{"sharding key not UTF-8", with(func(m *core.Message) { m.ShardingKey = "\xc3" }), []want{{"ShardingKey", validate.BadUTF8, "UTF-8"}}},
	{"keys", with(func(m *core.Message) { m.Keys = []string{"ok", "", "a b", "c\x01", "\xfe"} }), []want{
		{"Keys[1]", validate.Required, "empty"},
		{"Keys[2]", validate.BadChar, "blank"},
		{"Keys[3]", validate.BadChar, "U+0001"},
		{"Keys[4]", validate.BadUTF8, "UTF-8"},
	}},
	{"negative delay level", with(func(m *core.Message) { m.DelayLevel = -1 }), []want{{"DelayLevel", validate.OutOfRange, "-1"}}},
	{"a delay in seconds", with(func(m *core.Message) { m.DelayLevel = 1_000_000 }), []want{{"DelayLevel", validate.OutOfRange, "is 1000000, allowed is 0 (no delay) to 18; it is the number of a level and no time"}}},
	{"one level too many", with(func(m *core.Message) { m.DelayLevel = 19 }), []want{{"DelayLevel", validate.OutOfRange, "19"}}},
	{"two delays", with(func(m *core.Message) { m.DelayLevel, m.DeliverAt = 1, time.Now() }), []want{{"DeliverAt", validate.Conflict, "DelayLevel"}}},
	{"three delays", with(func(m *core.Message) { m.DelayLevel, m.DeliverAt, m.DeliverAfter = 1, time.Now(), time.Hour }), []want{
		{"DeliverAt", validate.Conflict, "together with DelayLevel"}, {"DeliverAfter", validate.Conflict, "together with DelayLevel"},
	}},
	{"delivery time and delay", with(func(m *core.Message) { m.DeliverAt, m.DeliverAfter = time.Now(), time.Hour }), []want{{"DeliverAfter", validate.Conflict, "together with DeliverAt"}}},
	{"negative delay", with(func(m *core.Message) { m.DeliverAfter = -1 }), []want{{"DeliverAfter", validate.OutOfRange, "negative: -1ns"}}},
	{"long delay", with(func(m *core.Message) { m.DeliverAfter = 72*time.Hour + 1 }), []want{{"DeliverAfter", validate.OutOfRange, "at most 72h0m0s"}}},
	{"negative priority", with(func(m *core.Message) { m.Priority = new(-1) }), []want{{"Priority", validate.OutOfRange, "is -1, it begins at 0"}}},
	{"priority and delay", with(func(m *core.Message) { m.Priority, m.DeliverAfter = new(1), time.Hour }), []want{{"Priority", validate.Conflict, "DeliverAfter"}}},
	{"priority and sharding key", with(func(m *core.Message) { m.Priority, m.ShardingKey = new(1), "s" }), []want{{"ShardingKey", validate.Conflict, "Priority"}}},
	{"priority and queue", with(func(m *core.Message) { m.Priority, m.Queue = new(1), &core.Queue{Broker: "a"} }), []want{{"Queue", validate.Conflict, "the broker chooses the queue"}}},
	{"priority and lite topic", with(func(m *core.Message) { m.Priority, m.LiteTopic = new(1), "l" }), []want{{"LiteTopic", validate.Conflict, "Priority"}}},
	{"lite topic and delay level", with(func(m *core.Message) { m.DelayLevel, m.LiteTopic = 1, "l" }), []want{{"LiteTopic", validate.Conflict, "DelayLevel"}}},
	{"lite topic and sharding key", with(func(m *core.Message) { m.ShardingKey, m.LiteTopic = "s", "l" }), []want{{"ShardingKey", validate.Conflict, "LiteTopic"}}},
	{"lite topic of 65 bytes", with(func(m *core.Message) { m.LiteTopic = strings.Repeat("l", 65) }), []want{{"LiteTopic", validate.TooLong, "has 65 bytes, at most 64"}}},
	{"lite topic characters", with(func(m *core.Message) { m.LiteTopic = "a%b|" }), []want{{"LiteTopic", validate.BadChar, `"a%b|"`}}},
	{"reconsume times for a plain topic", with(func(m *core.Message) { m.Properties = map[string]string{"RECONSUME_TIME": "1"} }), []want{{`Properties["RECONSUME_TIME"]`, validate.Reserved, "another name"}}},
	{"reconsume times", with(func(m *core.Message) {
		m.Topic, m.Properties = "%RETRY%g", map[string]string{"RECONSUME_TIME": "-1", "MAX_RECONSUME_TIMES": "x"}
	}), []want{
		{`Properties["MAX_RECONSUME_TIMES"]`, validate.OutOfRange, "no number from 0"}, {`Properties["RECONSUME_TIME"]`, validate.OutOfRange, "no number from 0"},
	}},
	{"delay of 3 days and more", with(func(m *core.Message) { m.DeliverAt = time.Now().Add(73 * time.Hour) }), []want{{"DeliverAt", validate.OutOfRange, "72h0m0s"}}},
	{"delay of centuries", with(func(m *core.Message) { m.DeliverAt = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) }), []want{{"DeliverAt", validate.OutOfRange, "72h0m0s"}}},
	{"delivery before 1970", with(func(m *core.Message) { m.DeliverAt = time.Time{}.Add(time.Hour) }), []want{{"DeliverAt", validate.OutOfRange, "1970"}}},
	{"properties", with(func(m *core.Message) {
		m.Properties = map[string]string{"": "v", " ": "v", "a": "", "b": " ", "c\x01": "v", "d": "\x02", "e\xff": "v", "f": "\xff", "ok": "v"}
	}), []want{
		{`Properties[" "]`, validate.Required, "name"},
		{`Properties[""]`, validate.Required, "name"},
		{`Properties["a"]`, validate.Required, "value"},
		{`Properties["b"]`, validate.Required, "value"},
		{`Properties["c\x01"]`, validate.BadChar, "U+0001"},
		{`Properties["d"]`, validate.BadChar, "U+0001"},
		{`Properties["e\xff"]`, validate.BadUTF8, "UTF-8"},
		{`Properties["f"]`, validate.BadUTF8, "UTF-8"},
	}},
	{"typed property", with(func(m *core.Message) { m.Properties = map[string]string{"__SHARDINGKEY": "k"} }), []want{{`Properties["__SHARDINGKEY"]`, validate.Reserved, "use the field ShardingKey"}}},
	{"transient property", with(func(m *core.Message) { m.Properties = map[string]string{"__RMQ.TRANSIENT.x": "k"} }), []want{{`Properties["__RMQ.TRANSIENT.x"]`, validate.Reserved, "another name"}}},
	{"light queue with a path", with(func(m *core.Message) { m.Properties = map[string]string{"INNER_MULTI_DISPATCH": "a/b"} }), []want{{`Properties["INNER_MULTI_DISPATCH"]`, validate.BadChar, "/"}}},
	{"queue without broker", with(func(m *core.Message) { m.Queue = &core.Queue{ID: 1} }), []want{{"Queue", validate.OutOfRange, "broker"}}},
	{"negative queue", with(func(m *core.Message) { m.Queue = &core.Queue{Broker: "broker-a", ID: -1} }), []want{{"Queue", validate.OutOfRange, "number"}}},
	{"long property name", with(func(m *core.Message) { m.Properties = map[string]string{strings.Repeat("n", 5000): ""} }), []want{{`Properties["` + strings.Repeat("n", 128) + `"...]`, validate.Required, "value"}}},
	{"everything", &core.Message{Tag: "\x01", DelayLevel: -1}, []want{
		{"Topic", validate.Required, ""}, {"Body", validate.Required, ""}, {"Tag", validate.BadChar, ""}, {"DelayLevel", validate.OutOfRange, ""},
	}},
}

func TestRefusedInEveryMode(t *testing.T) {
	p, tr := newProducer(t)
	for _, tt := range refused {
		for mode, send := range modes {
			t.Run(tt.name+"/"+mode, func(t *testing.T) {
				before := *tt.m
				before.Body, before.Keys, before.Properties = bytes.Clone(tt.m.Body), slices.Clone(tt.m.Keys), maps.Clone(tt.m.Properties)
				checkBroken(t, send(p, tt.m), tt.wants)
				if !reflect.DeepEqual(*tt.m, before) {
					t.Error("the message was changed")
				}
			})
		}
	}
	if n := len(tr.Attempts()); n != 0 {
		t.Errorf("%d attempts reached the transport, want none", n)
	}
}

func TestAccepted(t *testing.T) {
	for name, m := range map[string]*core.Message{
		"smallest":              with(func(*core.Message) {}),
		"topic of 127 bytes":    with(func(m *core.Message) { m.Topic = strings.Repeat("t", 127) }),
		"every topic character": with(func(m *core.Message) { m.Topic = "%|azAZ09_-" }),
		"retry topic":           with(func(m *core.Message) { m.Topic = "%RETRY%group" }),
		"body of 4 MiB":         with(func(m *core.Message) { m.Body = make([]byte, 4194304) }),
		"UTF-8":                 with(func(m *core.Message) { m.Tag, m.Keys, m.ShardingKey = "größe", []string{"ключ", "鍵"}, "🗝" }),
		"delay level":           with(func(m *core.Message) { m.DelayLevel = 18 }),
		"delivery in 3 days":    with(func(m *core.Message) { m.DeliverAt = time.Now().Add(72*time.Hour - time.Minute) }),
		"delay of 3 days":       with(func(m *core.Message) { m.DeliverAfter = 72 * time.Hour }),
		"priority 0":            with(func(m *core.Message) { m.Priority = new(0) }),
		"lite topic":            with(func(m *core.Message) { m.LiteTopic = strings.Repeat("aZ0_-", 12) + "wxyz" }),
		"lite topic and queue":  with(func(m *core.Message) { m.LiteTopic, m.Queue = "l", &core.Queue{Broker: "broker-a"} }),
		"delay and key": with(func(m *core.Message) {
			m.DeliverAfter, m.ShardingKey, m.Queue = 1, "s", &core.Queue{Broker: "broker-a"}
		}),
		"reconsume times": with(func(m *core.Message) {
			m.Topic, m.Properties = "%RETRY%g", map[string]string{"RECONSUME_TIME": "0", "MAX_RECONSUME_TIMES": "2147483647"}
		}),
		"delivery in the past":  with(func(m *core.Message) { m.DeliverAt = time.Now().Add(-time.Hour) }),
		"control characters":    with(func(m *core.Message) { m.Properties = map[string]string{"a\n": "\x03b"} }),
		"blanks inside a value": with(func(m *core.Message) { m.Properties = map[string]string{"a": " b c "} }),
		"names that users set": with(func(m *core.Message) {
			m.Properties = map[string]string{"CHECK_IMMUNITY_TIME_IN_SECONDS": "5", "TRACE_CONTEXT": "x"}
		}),
		"light queues":           with(func(m *core.Message) { m.Properties = map[string]string{"INNER_MULTI_DISPATCH": "%LMQ%a,%LMQ%b"} }),
		"lower-case reserved":    with(func(m *core.Message) { m.Properties = map[string]string{"tags": "x", "delay": "1"} }),
		"fixed queue":            with(func(m *core.Message) { m.Queue = &core.Queue{Broker: "broker-b", ID: 1} }),
		"nil and empty elements": with(func(m *core.Message) { m.Keys, m.Properties = []string{}, map[string]string{} }),
	} {
		t.Run(name, func(t *testing.T) {
			p, tr := newProducer(t)
			for mode, send := range modes {
				if err := send(p, m); err != nil {
					t.Errorf("%s: %v", mode, err)
				}
			}
			if n := len(tr.Attempts()); n != len(modes) {
				t.Errorf("%d attempts, want %d", n, len(modes))
			}
		})
	}
}

// The names of reference Java classes, MessageConst of 4.9 and 5.x.
var reservedNames = []string{
	"KEYS", "TAGS", "WAIT", "DELAY", "RETRY_TOPIC", "REAL_TOPIC", "REAL_QID", "TRAN_MSG", "PGROUP", "MIN_OFFSET",
	"MAX_OFFSET", "BUYER_ID", "ORIGIN_MESSAGE_ID", "TRANSFER_FLAG", "CORRECTION_FLAG", "MQ2_FLAG", "RECONSUME_TIME",
	"MSG_REGION", "TRACE_ON", "UNIQ_KEY", "EXTEND_UNIQ_INFO", "MAX_RECONSUME_TIMES", "CONSUME_START_TIME",
	"DUP_INFO", "TRAN_PREPARED_QUEUE_OFFSET", "INSTANCE_ID", "CORRELATION_ID", "REPLY_TO_CLIENT", "TTL",
	"ARRIVE_TIME", "PUSH_REPLY_TIME", "CLUSTER", "MSG_TYPE", "POP_CK", "POP_CK_OFFSET", "1ST_POP_TIME",
	"INNER_MULTI_QUEUE_OFFSET", "TIMER_DELAY_SEC", "TIMER_DELIVER_MS", "TIMER_DELAY_MS", "TIMER_ENQUEUE_MS",
	"TIMER_DEQUEUE_MS", "TIMER_ROLL_TIMES", "TIMER_OUT_MS", "TIMER_DEL_UNIQKEY", "TIMER_DELAY_LEVEL",
	"__BORNHOST", "BORN_TIMESTAMP", "__SHARDINGKEY", "__transactionId__",
	"_SYS_MSG_PRIORITY_", "__LITE_TOPIC", "ORIGIN_GROUP", "TIMER_ROLL_LABEL", "TRANS_OFFSET", // 5.4 and 5.5
}

func TestReservedNames(t *testing.T) {
	p, _ := newProducer(t)
	for _, name := range reservedNames {
		_, err := p.Send(context.Background(), with(func(m *core.Message) { m.Properties = map[string]string{name: "v"} }))
		if es := broken(err); len(es) != 1 || es[0].Rule != validate.Reserved {
			t.Errorf("%s: got %v, want it refused as reserved", name, err)
		}
	}
}

func TestPropertiesSize(t *testing.T) {
	// What the id and the name take: UNIQ_KEY, 32 digits, n, and two separators each.
	const other = 8 + 32 + 2 + 1 + 2
	for _, tt := range []struct {
		value int
		ok    bool
	}{{rocketmq.MaxPropertiesLength - other, true}, {rocketmq.MaxPropertiesLength - other + 1, false}} {
		p, _ := newProducer(t)
		_, err := p.Send(context.Background(), with(func(m *core.Message) {
			m.Properties = map[string]string{"n": strings.Repeat("v", tt.value)}
		}))
		switch {
		case tt.ok && err != nil:
			t.Errorf("value of %d bytes: %v", tt.value, err)
		case !tt.ok:
			checkBroken(t, err, []want{{"Properties", validate.TooLong, "32256 bytes, at most 32255"}})
			if e := broken(err)[0]; e.Limit != 32255 || e.Actual != 32256 {
				t.Errorf("limit %d, actual %d", e.Limit, e.Actual)
			}
		}
	}
}

func TestBatch(t *testing.T) {
	two := func(f func(a, b *core.Message)) []*core.Message {
		a, b := with(func(*core.Message) {}), with(func(*core.Message) {})
		f(a, b)
		return []*core.Message{a, b}
	}
	qa, qb := &core.Queue{Broker: "broker-a"}, &core.Queue{Broker: "broker-b"}
	for _, tt := range []struct {
		name  string
		msgs  []*core.Message
		index int
		wants []want
	}{
		{"good", two(func(a, b *core.Message) { a.Tag, b.Keys = "t", []string{"k"} }), 0, nil},
		{"good with common fields", two(func(a, b *core.Message) {
			a.NoWaitStore, b.NoWaitStore, a.ShardingKey, b.ShardingKey, a.Queue, b.Queue = true, true, "s", "s", &core.Queue{Broker: "broker-a"}, qa
		}), 0, nil},
		{"bad message", two(func(_, b *core.Message) { b.Body = nil }), 1, []want{{"Body", validate.Required, "empty"}}},
		{"delay level", two(func(_, b *core.Message) { b.DelayLevel = 1 }), 1, []want{{"DelayLevel", validate.NoBatch, "batch"}}},
		{"delivery time", two(func(a, _ *core.Message) { a.DeliverAt = time.Now() }), 0, []want{{"DeliverAt", validate.NoBatch, "batch"}}},
		{"wait flags", two(func(_, b *core.Message) { b.NoWaitStore = true }), 1, []want{{"NoWaitStore", validate.NotSingle, "message 0"}}},
		{"sharding keys", two(func(a, _ *core.Message) { a.ShardingKey = "a" }), 1, []want{{"ShardingKey", validate.NotSingle, "message 0"}}},
		{"queues", two(func(a, b *core.Message) { a.Queue, b.Queue = qa, qb }), 1, []want{{"Queue", validate.NotSingle, "message 0"}}},
		{"one queue", two(func(_, b *core.Message) { b.Queue = qb }), 1, []want{{"Queue", validate.NotSingle, "message 0"}}},
		{"retry topic", two(func(a, b *core.Message) { a.Topic, b.Topic = "%RETRY%g", "%RETRY%g" }), 0, []want{{"Topic", validate.NoBatch, "%RETRY%"}, {"Topic", validate.NoBatch, "%RETRY%"}}},
		{"light queues", two(func(_, b *core.Message) {
			b.Properties = map[string]string{"INNER_MULTI_DISPATCH": "%LMQ%a", "a": "1", "b": "2"}
		}), 1, []want{{`Properties["INNER_MULTI_DISPATCH"]`, validate.NoBatch, "ignore it in a batch"}}},
		{"lite topic", two(func(a, _ *core.Message) { a.Properties = map[string]string{"__LITE_TOPIC": "l"} }), 0, []want{{`Properties["__LITE_TOPIC"]`, validate.Reserved, "the field LiteTopic"}}},
		{"delay", two(func(a, _ *core.Message) { a.DeliverAfter = 1 }), 0, []want{{"DeliverAfter", validate.NoBatch, "batch"}}},
		{"priority", two(func(a, _ *core.Message) { a.Priority = new(1) }), 0, []want{{"Priority", validate.NoBatch, "ignore it in a batch"}}},
		{"lite", two(func(a, _ *core.Message) { a.LiteTopic = "l" }), 0, []want{{"LiteTopic", validate.NoBatch, "ignore it in a batch"}}},
		{"total size", two(func(a, b *core.Message) { a.Body, b.Body = make([]byte, 2<<20), make([]byte, 2<<20) }), -1, []want{
			// 22 bytes and the properties, which are the id: 42 bytes.
			{"batch", validate.TooLong, fmt.Sprintf("%d bytes, at most %d", 4<<20+2*(22+42), 4<<20)},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, tr := newProducer(t)
			_, err := p.SendBatch(context.Background(), tt.msgs)
			if tt.wants == nil {
				if err != nil || len(tr.Attempts()) != 1 {
					t.Fatalf("got %v and %d attempts, want a sent batch", err, len(tr.Attempts()))
				}
				return
			}
			checkBroken(t, err, tt.wants)
			if e := broken(err)[0]; e.Index != tt.index {
				t.Errorf("index %d, want %d", e.Index, tt.index)
			}
			if tt.index >= 0 && !strings.Contains(err.Error(), fmt.Sprintf("message %d: ", tt.index)) {
				t.Errorf("%q does not name message %d", err, tt.index)
			}
			if len(tr.Attempts()) != 0 {
				t.Error("the batch was sent")
			}
		})
	}
}

func TestManyBrokenRulesAreCut(t *testing.T) {
	p, _ := newProducer(t)
	_, err := p.Send(context.Background(), with(func(m *core.Message) { m.Keys = make([]string, 1000) }))
	if n := len(broken(err)); n != 16 {
		t.Errorf("%d rules reported, want 16", n)
	}
	if len(err.Error()) > 2000 {
		t.Errorf("the text has %d bytes", len(err.Error()))
	}
}

func TestErrorsHoldNoContents(t *testing.T) {
	p, _ := newProducer(t)
	const secret = "s3cret"
	_, err := p.Send(context.Background(), &core.Message{
		Topic: "T", Body: []byte(secret + strings.Repeat("x", 5<<20)), Tag: secret + "\x01", Keys: []string{secret + " "},
		ShardingKey: secret + "\xff", Properties: map[string]string{"p": secret + "\x02", "TAGS": secret},
	})
	if len(broken(err)) != 6 {
		t.Errorf("%d rules broken, want 6: %v", len(broken(err)), err)
	}
	if strings.Contains(err.Error(), secret) {
		t.Errorf("the text shows contents: %v", err)
	}
}

func TestOptions(t *testing.T) {
	for name, opts := range map[string][]validate.Option{
		"body":             {validate.MaxBodySize(0)},
		"properties":       {validate.MaxPropertiesSize(rocketmq.MaxPropertiesLength + 1)},
		"properties less":  {validate.MaxPropertiesSize(41)},
		"delay":            {validate.MaxDelay(-1)},
		"delay in no unit": {validate.MaxDelay(72)},
		"endless delay":    {validate.MaxDelay(1 << 62)},
		"delay level":      {validate.MaxDelayLevel(-1)},
		"huge delay level": {validate.MaxDelayLevel(1_000_000)},
		"huge body":        {validate.MaxBodySize(1 << 30)},
		"nil":              {nil},
	} {
		if v, err := validate.New(opts...); err == nil || v != nil || !strings.HasPrefix(err.Error(), "validate: ") {
			t.Errorf("%s: got %v, %v", name, v, err)
		}
	}
	levels, _ := newProducer(t, validate.MaxDelayLevel(20))
	for level, ok := range map[int]bool{20: true, 21: false} {
		if _, err := levels.Send(t.Context(), with(func(m *core.Message) { m.DelayLevel = level })); (err == nil) != ok {
			t.Errorf("level %d of 20: %v", level, err)
		}
	}
	p, _ := newProducer(t, validate.MaxBodySize(10), validate.MaxPropertiesSize(50), validate.MaxDelay(time.Minute))
	_, err := p.Send(context.Background(), &core.Message{Topic: "T", Body: make([]byte, 11), DeliverAt: time.Now().Add(time.Hour)})
	checkBroken(t, err, []want{{"Body", validate.TooLong, "at most 10"}, {"DeliverAt", validate.OutOfRange, "1m0s"}})
	_, err = p.Send(context.Background(), with(func(m *core.Message) { m.Properties = map[string]string{"name": "value"} }))
	checkBroken(t, err, []want{{"Properties", validate.TooLong, "53 bytes, at most 50"}})
}

func TestOncePerCallAndBeforeTheRoute(t *testing.T) {
	runs := 0
	count := core.InterceptorFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
		runs++
		return next(ctx, c)
	})
	tr := &coretest.Transport{Do: func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		return nil, coretest.Refuse(at, rocketmq.CodeSystemBusy, "")
	}}
	lookups := 0
	cfg := config(tr, newValidator(t).Step(), core.CallStep("count", core.StageGuard, count).After("validate"))
	cfg.Retry = coretest.Retry(3)
	routes := cfg.Routes
	cfg.Routes = coretest.RouteFunc(func(ctx context.Context, topic string) (*core.Route, error) {
		lookups++
		return routes.Route(ctx, topic)
	})
	p := coretest.Start(t, cfg)
	if _, err := p.Send(context.Background(), &core.Message{Topic: "a.b", Body: []byte("x")}); !errors.Is(err, core.ErrInvalidMessage) {
		t.Fatalf("got %v", err)
	}
	if runs != 0 || lookups != 0 {
		t.Errorf("a refused call went on: %d runs, %d look-ups", runs, lookups)
	}
	if _, err := p.Send(context.Background(), &core.Message{Topic: "T", Body: []byte("x")}); err == nil {
		t.Fatal("want a failure")
	}
	if runs != 1 || len(tr.Attempts()) != 3 {
		t.Errorf("%d runs and %d attempts, want 1 and 3", runs, len(tr.Attempts()))
	}
}

func fullMessage() *core.Message {
	return &core.Message{
		Topic: "orders", Body: []byte("body"), Tag: "tag", Keys: []string{"k1", "k2"}, ShardingKey: "s",
		DelayLevel: 3, Properties: map[string]string{"a": "1", "b": "2", "c": "3"}, Flag: 7, NoWaitStore: true,
	}
}

func TestSharedMessageStaysAsItIs(t *testing.T) {
	p, _ := newProducer(t)
	m, orig := fullMessage(), fullMessage()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if _, err := p.Send(context.Background(), m); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if !reflect.DeepEqual(m, orig) {
		t.Errorf("the message changed: %+v", m)
	}
}

func TestNoAllocations(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	tr := &coretest.Transport{Forget: true}
	p := coretest.Start(t, config(tr, newValidator(t).Step()))
	m := fullMessage()
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := p.Send(context.Background(), m); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("a valid message costs %v allocations, want 0", n)
	}
}

// parse reads a properties string by the rules of brokers (Java:
// MessageDecoder.string2messageProperties), independently of the encoder.
func parse(s string) (map[string]string, bool) {
	out := map[string]string{}
	for _, entry := range strings.Split(s, "\x02") {
		if entry == "" {
			continue
		}
		parts := strings.Split(entry, "\x01")
		if len(parts) != 2 || parts[0] == "" || parts[1] == "" {
			return nil, false
		}
		if _, dup := out[parts[0]]; dup {
			return nil, false
		}
		out[parts[0]] = parts[1]
	}
	return out, true
}

// Whatever is accepted must arrive as it was meant.
func FuzzAcceptedParsesBack(f *testing.F) {
	f.Add("T", "tag", "k1", "k2", "s", "name", "value", "other", "thing", int64(0), 0)
	f.Add("T", "", "", "", "", "TAGS", "x", "a\x01", "b\x02", int64(1), -1)
	f.Add("a.b", "\xff", "a b", "\x01", "\x02", "", "", " ", "x", int64(1<<40), 2)
	f.Add("T", "t", "", "", "", "UNIQ_KEY", "x", "\u2028", "\u00a0", int64(-5), 0)
	tr := &coretest.Transport{Forget: true}
	var sent string
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		var text strings.Builder // as a transport writes it
		for name, value := range at.Call().Outgoing().Properties() {
			text.WriteString(name + "\x01" + value.String() + "\x02")
		}
		sent = text.String()
		return tr.Ack(at), nil
	}
	p := coretest.Start(f, config(tr, newValidator(f).Step()))
	f.Fuzz(func(t *testing.T, topic, tag, key1, key2, shard, n1, v1, n2, v2 string, delay int64, level int) {
		m := &core.Message{Topic: topic, Body: []byte("x"), Tag: tag, ShardingKey: shard, DelayLevel: level, Properties: map[string]string{}}
		if key1 != "" || key2 != "" {
			m.Keys = []string{key1, key2}
		}
		if n1 != "" || v1 != "" {
			m.Properties[n1] = v1
		}
		if n2 != "" || v2 != "" {
			m.Properties[n2] = v2
		}
		if delay != 0 {
			m.DeliverAt = time.Now().Add(time.Duration(delay))
		}
		sent = ""
		if _, err := p.Send(context.Background(), m); err != nil {
			if len(broken(err)) == 0 {
				t.Fatalf("failed otherwise than by validation: %v", err)
			}
			if sent != "" {
				t.Fatal("refused, but sent")
			}
			return
		}
		want := maps.Clone(m.Properties)
		if tag != "" {
			want["TAGS"] = tag
		}
		if len(m.Keys) > 0 {
			want["KEYS"] = strings.Join(m.Keys, " ")
		}
		if shard != "" {
			want["__SHARDINGKEY"] = shard
		}
		if level != 0 {
			want["DELAY"] = fmt.Sprint(level)
		}
		if delay != 0 {
			want["TIMER_DELIVER_MS"] = fmt.Sprint(m.DeliverAt.UnixMilli())
		}
		got, ok := parse(sent)
		if !ok {
			t.Fatalf("the properties string is ambiguous: %q", sent)
		}
		id, hasID := got["UNIQ_KEY"]
		if !hasID || len(id) != 32 {
			t.Fatalf("unique id %q", id)
		}
		delete(got, "UNIQ_KEY")
		if !maps.Equal(got, want) {
			t.Fatalf("sent %v, meant %v", got, want)
		}
		if len(m.Keys) > 0 && !slices.Equal(strings.Split(got["KEYS"], " "), m.Keys) {
			t.Fatalf("keys %q arrive as %q", m.Keys, got["KEYS"])
		}
	})
}

func BenchmarkValidate(b *testing.B) {
	for name, m := range map[string]*core.Message{"plain": with(func(*core.Message) {}), "full": fullMessage()} {
		for _, steps := range [][]core.Step{nil, {newValidator(b).Step()}} {
			b.Run(fmt.Sprintf("%s/steps=%d", name, len(steps)), func(b *testing.B) {
				p := coretest.Start(b, config(&coretest.Transport{Forget: true}, steps...))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := p.Send(context.Background(), m); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
