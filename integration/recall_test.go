package integration

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

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
	eachCluster(t, func(t *testing.T, c *cluster) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		topic := topicFor(t, "t")
		c.CreateTopic(t, topic, 1, "broker-a")
		broker := c.BrokerAddr("broker-a")
		began := time.Now()
		// send gives the handle with which the message can be recalled.
		send := func(body string, due time.Duration) string {
			x := exchange{code: wire.SendMessageV2, body: []byte(body), send: &wire.SendRequest{
				Group: "g", Topic: topic, DefaultTopic: rocketmq.DefaultTopic, DefaultTopicQueueNums: 4, BornTimestamp: began.UnixMilli(),
				Properties: wire.AppendProperties(nil, wire.Fields{
					{Key: "UNIQ_KEY", Value: fmt.Sprintf("7F000001000A18B4AAC2%012d", due.Milliseconds())},
					{Key: "TIMER_DELIVER_MS", Value: strconv.FormatInt(began.Add(due).UnixMilli(), 10)},
				}),
			}}
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
