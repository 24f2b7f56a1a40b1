package integration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/integration/javaprog"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// recallMessage is RequestCode.RECALL_MESSAGE.
const recallMessage = 370

// The brokers of 5.x hold a message until it is due and take it back if it is recalled before. Both are settings that
// the start script makes; here they are asked for in bare requests, so that a test of Liftoff that fails fails for Liftoff.
// 4.9.7 has neither: it hands out nothing to recall with and does not know the request.
func TestBrokersHoldTimedMessagesAndRecallThem(t *testing.T) {
	t.Parallel()
	eachCluster(t, func(t *testing.T, c *cluster) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		topic := topicFor(t, "t")
		c.CreateTopic(t, topic, 1, "broker-a")
		broker := c.BrokerAddr("broker-a")
		began := time.Now()
		// send gives the handle with which the message can be recalled.
		send := func(body string, due time.Duration) string {
			x := sendOf(body, wire.SendMessageV2, topic, body, "e=0", "i="+properties(
				fmt.Sprintf("UNIQ_KEY=7F000001000A18B4AAC2%012d", due.Milliseconds()),
				"TIMER_DELIVER_MS="+strconv.FormatInt(began.Add(due).UnixMilli(), 10),
			))
			answer, err := x.call(ctx, broker, wire.JSON)
			if err != nil || answer.Code != 0 {
				t.Fatalf("send %s: code %d %s: %v", body, answer.Code, answer.Remark, err)
			}
			return answer.Ext.Get("recallHandle")
		}
		// The one that is recalled is due first, so it would be there when the other one is.
		recalled := send("recalled", 6*time.Second)
		send("kept", 8*time.Second)
		x := exchange{code: recallMessage, ext: wire.Fields{
			{Key: "producerGroup", Value: "g"}, {Key: "topic", Value: topic}, {Key: "recallHandle", Value: recalled},
		}}
		answer, err := x.call(ctx, broker, wire.JSON)
		if err != nil {
			t.Fatal(err)
		}
		if c.Version() == "4.9.7" {
			if recalled != "" || answer.Code != 3 { // ResponseCode.REQUEST_CODE_NOT_SUPPORTED
				t.Errorf("handle %q, recall answered with code %d %s", recalled, answer.Code, answer.Remark)
			}
			return
		}
		if recalled == "" || answer.Code != 0 {
			t.Fatalf("handle %q, recall answered with code %d %s", recalled, answer.Code, answer.Remark)
		}
		if n := c.Stored(t, topic, 1, "broker-a"); n != 0 {
			t.Errorf("%d messages are delivered before they are due", n)
		}
		stored := javaprog.ReadBack(t, c.Version(), c.NameServer(), topic, 1, time.Minute)
		if len(stored) != 1 || string(stored[0].Body()) != "kept" {
			t.Errorf("delivered: %+v, want the message that was not recalled", stored)
		}
	})
}

// Of 100 timed messages half are recalled by the producer. Exactly the others arrive. 4.9.7 knows no timed messages: it
// delivers them at once, gives no handle, and its refusal of a recall is told by its type.
func TestRecall(t *testing.T) {
	t.Parallel()
	eachCluster(t, func(t *testing.T, c *cluster) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		const messages, queues = 100, 2
		p := newProducer(t, c.NameServer(), producerOptions{group: "integration-recall"})
		topic := topicFor(t, "t")
		c.CreateTopic(t, topic, queues)
		tenSecondsOn := tenSeconds(ctx, t, c, p)
		due := time.Now().Add(20 * time.Second)
		var want []string
		recall := map[string]string{} // handles by id
		for i := range messages {
			body := fmt.Sprintf("message %03d", i)
			r, err := p.Send(ctx, &core.Message{Topic: topic, Body: []byte(body), DeliverAt: due.Add(time.Duration(i) * 20 * time.Millisecond)})
			if err != nil {
				t.Fatal(err)
			}
			if (r.RecallHandle != "") != (c.Version() != "4.9.7") {
				t.Fatalf("%s: handle %q", body, r.RecallHandle)
			}
			if i%2 == 0 && r.RecallHandle != "" {
				recall[r.MessageID.String()] = r.RecallHandle
			} else {
				want = append(want, body)
			}
		}
		if c.Version() == "4.9.7" {
			none := rocketmq.RecallHandle{Topic: topic, Broker: "broker-a", DeliverAt: due, MessageID: goldenID}
			var failed *core.OperationError
			if _, err := p.Recall(ctx, topic, none.String()); !errors.Is(err, core.ErrUnsupported) || !errors.As(err, &failed) || failed.Certainty != core.NotStored {
				t.Errorf("recall at a broker that knows none: %v", err)
			}
			if n := c.Stored(t, topic, queues); n != messages {
				t.Errorf("%d of %d are delivered at once", n, messages)
			}
			return
		}
		for id, handle := range recall {
			for range 2 { // twice is as good as once
				if got, err := p.Recall(ctx, topic, handle); err != nil || got != id {
					t.Fatalf("recall of %s: %q, %v", id, got, err)
				}
			}
			if _, err := p.Recall(ctx, topic+"x", handle); !errors.Is(err, core.ErrInvalidMessage) {
				t.Fatalf("recall in another topic: %v", err)
			}
		}
		if left := time.Until(due); left < 5*time.Second {
			t.Fatalf("the recalls took so long that %s are left until the messages are due", left)
		}
		if n := c.Stored(t, topic, queues); n != 0 {
			t.Errorf("%d messages are delivered before they are due", n)
		}
		javaprog.ReadBack(t, c.Version(), c.NameServer(), topic, len(want), time.Minute)
		time.Sleep(3 * time.Second) // what was recalled and comes all the same comes by now
		var got []string
		for _, m := range javaprog.ReadBack(t, c.Version(), c.NameServer(), topic, len(want), time.Minute) {
			got = append(got, string(m.Body()))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%d are delivered, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
		}
		for id, handle := range recall {
			_, err := p.Recall(ctx, topic, handle)
			var failed *core.OperationError
			if !errors.As(err, &failed) || failed.Class != core.ClassRejected || failed.Certainty != core.NotStored || !strings.Contains(err.Error(), "timestamp invalid") {
				t.Fatalf("recall of %s after its time: %v", id, err)
			}
		}
		tenSecondsOn()
	})
}

// tenSeconds sends messages that are due in 10 s, by the time and by the delay, and recalls one of each. What it returns
// is called when they have long been due: the one has come at its time, within 2 s, and the recalled one has not.
func tenSeconds(ctx context.Context, t *testing.T, c *cluster, p *core.Producer) (check func()) {
	t.Helper()
	const ahead = 10 * time.Second
	if c.Version() == "4.9.7" {
		return func() {}
	}
	topic := topicFor(t, "s")
	c.CreateTopic(t, topic, 1)
	type span struct{ from, to time.Time }
	due := map[string]span{}
	for body, m := range map[string]core.Message{
		"by time": {DeliverAt: time.Now().Add(ahead)}, "by delay": {DeliverAfter: ahead},
		"by time, recalled": {DeliverAt: time.Now().Add(ahead)}, "by delay, recalled": {DeliverAfter: ahead},
	} {
		m.Topic, m.Body = topic, []byte(body)
		began := time.Now()
		r, err := p.Send(ctx, &m)
		must(t, err)
		switch {
		case strings.HasSuffix(body, "recalled"):
			id, err := p.Recall(ctx, topic, r.RecallHandle)
			if err != nil || id != r.MessageID.String() {
				t.Errorf("recall of %q: %q, %v", body, id, err)
			}
		case m.DeliverAt.IsZero(): // counted by the broker, from when it got the message
			due[body] = span{began.Add(ahead), time.Now().Add(ahead)}
		default:
			due[body] = span{m.DeliverAt, m.DeliverAt}
		}
	}
	return func() {
		t.Helper()
		const tolerance = 2 * time.Second
		for _, m := range javaprog.ReadBack(t, c.Version(), c.NameServer(), topic, len(due), time.Minute) {
			at, body := time.UnixMilli(m.StoreTimestamp), string(m.Body())
			want, there := due[body]
			if !there || at.Before(want.from.Add(-tolerance)) || at.After(want.to.Add(tolerance)) {
				t.Errorf("%q came at %s, want it between %s and %s", body, at, want.from, want.to)
			}
			t.Logf("%s: %q came %s after its time", c.Version(), body, at.Sub(want.to))
			delete(due, body)
		}
		if len(due) > 0 {
			t.Errorf("there have not come %v", due)
		}
	}
}
