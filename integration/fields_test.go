package integration

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/integration/javaprog"
)

// fieldCases are messages that between them set every field. Their property "case" tells them apart.
func fieldCases() map[string]core.Message {
	return map[string]core.Message{
		"plain":      {},
		"tag":        {Tag: "paid"},
		"keys":       {Keys: []string{"order-1", "Zürich"}},
		"sharding":   {ShardingKey: "customer 7"},
		"properties": {Properties: map[string]string{"city": "Zürich", "emoji": "🚀", "sp ace": " v ", "eq": "a=b;c"}},
		// As long as they may be. What brokers add must still fit.
		"long":   {Properties: map[string]string{"long": strings.Repeat("x", rocketmq.MaxPropertiesLength-200)}},
		"flag":   {Flag: -2147483648},
		"nowait": {NoWaitStore: true},
		"queue":  {Queue: &core.Queue{Broker: "broker-b", ID: 2}},
		"all": {
			Tag: "t", Keys: []string{"k"}, ShardingKey: "s", Properties: map[string]string{"a": "b"}, Flag: 7, NoWaitStore: true,
			Queue: &core.Queue{Broker: "broker-a", ID: 1},
		},
		"delay": {DelayLevel: 2, Tag: "late"}, // 5 s
		"timer": {DeliverAt: time.Now().Add(6 * time.Second), Tag: "late"},
		"after": {DeliverAfter: 6 * time.Second, Tag: "late"},
		// Brokers before 5.4 and 5.5 keep these as properties and do nothing about them.
		"low":      {Priority: new(0)},
		"high":     {Priority: new(2)},
		"too high": {Priority: new(100)},
		"lite":     {LiteTopic: "chat-1"},
	}
}

// Every field of a message, sent in every mode, is what the official consumer reads.
func TestEveryMessageFieldInEveryModeIsReadBack(t *testing.T) {
	t.Parallel()
	eachCluster(t, func(t *testing.T, c *cluster) {
		p := newProducer(t, c.NameServer(), producerOptions{})
		for _, mode := range modes {
			t.Run(mode, func(t *testing.T) {
				topic := topicFor(t, "t")
				c.CreateTopic(t, topic, 4)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				cases := fieldCases()
				if mode == "batch" {
					// RocketMQ refuses delayed messages in a batch, and a batch goes to one queue with one WAIT for all.
					maps.DeleteFunc(cases, func(_ string, m core.Message) bool {
						return m.Delayed() || m.Priority != nil || m.LiteTopic != "" || m.Queue != nil || m.NoWaitStore || m.ShardingKey != ""
					})
				}
				began := time.Now()
				ids := sendFieldCases(ctx, t, p, mode, topic, cases)
				stored := javaprog.ReadBack(t, c.Version(), c.NameServer(), topic, len(cases), time.Minute)
				seen := map[string]bool{}
				for _, m := range stored {
					name := m.Properties["case"]
					want, ok := cases[name]
					if !ok || seen[name] {
						t.Errorf("case %q is stored twice or never sent: %+v", name, m)
						continue
					}
					seen[name] = true
					if mode != "oneway" && ids[name] != m.MsgID {
						t.Errorf("%s: id %s, acknowledged as %s", name, m.MsgID, ids[name])
					}
					judgeFields(t, c.Version(), name, &want, &m, began)
				}
				if len(seen) != len(cases) {
					t.Errorf("%d of %d cases are stored: %v", len(seen), len(cases), slices.Sorted(maps.Keys(seen)))
				}
			})
		}
	})
}

// sendFieldCases sends each case and returns the acknowledged ids by case name.
func sendFieldCases(ctx context.Context, t *testing.T, p *core.Producer, mode, topic string, cases map[string]core.Message) map[string]string {
	t.Helper()
	ids := map[string]string{}
	names := slices.Sorted(maps.Keys(cases))
	var messages []*core.Message
	for _, name := range names {
		m := cases[name]
		m.Topic = topic
		m.Body = []byte("case " + name)
		m.Properties = maps.Clone(m.Properties)
		if m.Properties == nil {
			m.Properties = map[string]string{}
		}
		m.Properties["case"] = name
		messages = append(messages, &m)
	}
	type outcome struct {
		name string
		r    core.Result
		err  error
	}
	results := make(chan outcome, len(names))
	switch mode {
	case "sync":
		for i, m := range messages {
			r, err := p.Send(ctx, m)
			results <- outcome{names[i], r, err}
		}
	case "async":
		for i, m := range messages {
			p.SendAsync(ctx, m, func(r core.Result, err error) { results <- outcome{names[i], r, err} })
		}
	case "oneway":
		for i, m := range messages {
			results <- outcome{names[i], core.Result{}, p.SendOneway(ctx, m)}
		}
	case "batch":
		rs, err := p.SendBatch(ctx, messages)
		if err != nil || rs.Len() != len(messages) {
			t.Fatalf("%d results for %d messages: %v", rs.Len(), len(messages), err)
		}
		for i, r := range rs.All() {
			results <- outcome{names[i], r, nil}
		}
	}
	for range names {
		o := <-results
		if o.err != nil {
			t.Errorf("%s: %v", o.name, o.err)
		}
		ids[o.name] = o.r.MessageID.String()
	}
	return ids
}

func judgeFields(t *testing.T, version, name string, want *core.Message, got *javaprog.Message, sentAfter time.Time) {
	t.Helper()
	check := func(what string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %s is %#v, want %#v", name, what, got, want)
		}
	}
	check("body", string(got.Body()), "case "+name)
	check("tag", got.Tags, want.Tag)
	keys := ""
	for i, k := range want.Keys {
		if i > 0 {
			keys += " "
		}
		keys += k
	}
	check("keys", got.Keys, keys)
	check("sharding key", got.Properties["__SHARDINGKEY"], want.ShardingKey)
	check("flag", got.Flag, int(want.Flag))
	if version != "4.9.7" { // its broker heeds WAIT and takes it out of what it stores
		check("wait", got.WaitStore, !want.NoWaitStore)
	}
	for k, v := range want.Properties {
		check("property "+strconv.Quote(k), got.Properties[k], v)
	}
	if want.Queue != nil {
		check("queue", fmt.Sprintf("%s/%d", got.Broker, got.QueueID), want.Queue.String())
	}
	check("lite topic", got.Properties["__LITE_TOPIC"], want.LiteTopic)
	if p := want.Priority; p != nil {
		check("priority", got.Properties["_SYS_MSG_PRIORITY_"], strconv.Itoa(*p))
		if version == "5.5.0" { // it has four queues
			check("queue of the priority", got.QueueID, min(*p, 3))
		}
	}
	if want.LiteTopic != "" && version == "5.5.0" {
		check("light queue", got.Properties["INNER_MULTI_DISPATCH"], "%LMQ%$"+got.Topic+"$"+want.LiteTopic)
	}
	if born := time.UnixMilli(got.BornTimestamp); born.Before(sentAfter.Add(-time.Second)) || born.After(time.Now().Add(time.Second)) {
		t.Errorf("%s: born at %s, sent after %s", name, born, sentAfter)
	}
	// A delayed message is stored in its topic only when it is due.
	stored := time.UnixMilli(got.StoreTimestamp)
	switch {
	case want.DelayLevel > 0:
		if d := stored.Sub(sentAfter); d < 4*time.Second {
			t.Errorf("%s: delivered after %s, want 5 s", name, d)
		}
	case want.DeliverAfter > 0:
		if version == "4.9.7" {
			check("TIMER_DELAY_MS", got.Properties["TIMER_DELAY_MS"], strconv.FormatInt(want.DeliverAfter.Milliseconds(), 10))
		} else if d := stored.Sub(sentAfter); d < want.DeliverAfter-time.Second {
			t.Errorf("%s: delivered after %s, want %s", name, d, want.DeliverAfter)
		}
	case !want.DeliverAt.IsZero():
		if version == "4.9.7" { // has no timer and delivers at once, with the property kept
			check("TIMER_DELIVER_MS", got.Properties["TIMER_DELIVER_MS"], strconv.FormatInt(want.DeliverAt.UnixMilli(), 10))
		} else if stored.Before(want.DeliverAt.Add(-time.Second)) { // the timer's precision is 1 s
			t.Errorf("%s: delivered at %s, want %s", name, stored, want.DeliverAt)
		}
	}
}
