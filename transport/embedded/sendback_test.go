package embedded_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// join makes a heartbeat of one consumer group with subscriptions, which are topic and expression in turn.
func join(client, group string, subscriptions ...string) wire.Command {
	var subs []string
	for i := 0; i < len(subscriptions); i += 2 {
		subs = append(subs, subscription(subscriptions[i], subscriptions[i+1], "TAG", 1))
	}
	return wire.Command{Code: wire.HeartBeat, Body: []byte(`{"clientID":"` + client + `","consumerDataSet":[{"groupName":"` + group +
		`","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","subscriptionDataSet":[` +
		strings.Join(subs, ",") + `]}]}`)}
}

// subscription is one as Java clients put it into heartbeats.
func subscription(topic, expression, kind string, version int) string {
	var tags, codes []string
	if expression != "*" && kind == "TAG" {
		for tag := range strings.SplitSeq(expression, "||") {
			tag = strings.TrimSpace(tag)
			tags = append(tags, strconv.Quote(tag))
			code := int32(0)
			for _, c := range tag {
				code = 31*code + int32(c)
			}
			codes = append(codes, strconv.Itoa(int(code)))
		}
	}
	return `{"classFilterMode":false,"codeSet":[` + strings.Join(codes, ",") + `],"expressionType":"` + kind + `","subString":"` + expression +
		`","subVersion":` + strconv.Itoa(version) + `,"tagsSet":[` + strings.Join(tags, ",") + `],"topic":"` + topic + `"}`
}

// sendBack makes a request of a consumer that could not consume a message.
func sendBack(group string, m wire.StoredMessage, level, limit int) wire.Command {
	return wire.Command{Code: wire.ConsumerSendMsgBack, Ext: wire.Fields{
		prop("group", group), prop("offset", strconv.FormatInt(m.CommitLogOffset, 10)), prop("delayLevel", strconv.Itoa(level)),
		prop("originMsgId", m.MsgID().String()), prop("originTopic", m.Topic), prop("unitMode", "false"),
		prop("maxReconsumeTimes", strconv.Itoa(limit)),
	}}
}

// only pulls the messages of queue 0 of a topic from an offset on and fails the test unless there is one.
func (p *peer) only(topic string, offset int64) wire.StoredMessage {
	p.t.Helper()
	got := messages(p.t, mustCode(p.t, p.call(pullCommand(topic, 0, offset, 32)), 0).Body)
	if len(got) != 1 {
		p.t.Fatalf("%d messages of %s", len(got), topic)
	}
	return got[0]
}

// wantProperties fails the test unless the message has the properties; an empty value means that it must not.
func wantProperties(t testing.TB, m wire.StoredMessage, want ...wire.Field) {
	t.Helper()
	props := wire.ParseProperties(m.Properties)
	for _, w := range want {
		if got := props.Get(w.Key); got != w.Value {
			t.Errorf("property %s is %q, want %q", w.Key, got, w.Value)
		}
	}
}

// A message that a Go or C++ consumer could not consume was lost, because it could not be sent back: it comes again after
// 10 s, 30 s and a minute, and then lies in the group's dead-letter topic.
func TestFailedMessageComesAgainAndThenIsDead(t *testing.T) {
	for _, ser := range serializations {
		synctest.Test(t, func(t *testing.T) {
			c := inMemory(t, embedded.Config{})
			p := connect(t, c, c.Brokers()[0].Addr(), ser)
			mustCode(t, p.call(join("c1", "g", "t", "*")), 0)
			mustCode(t, p.send("t", 0, "hello", prop("TAGS", "x"), prop("KEYS", "k"), prop("UNIQ_KEY", "id")), 0)
			first := p.only("t", 0)
			m := first
			same := []wire.Field{
				prop("TAGS", "x"), prop("KEYS", "k"), prop("UNIQ_KEY", "id"), prop("RETRY_TOPIC", "t"),
				prop("ORIGIN_MESSAGE_ID", first.MsgID().String()), prop("WAIT", "false"),
			}
			for i, wait := range []time.Duration{10 * time.Second, 30 * time.Second, time.Minute} {
				mustCode(t, p.call(sendBack("g", m, 0, 3)), 0)
				time.Sleep(wait - time.Millisecond)
				synctest.Wait()
				if n := c.StoredCount("%RETRY%g"); n != i {
					t.Fatalf("%d retries %v after the failure, want %d", n, wait-time.Millisecond, i)
				}
				time.Sleep(time.Millisecond)
				synctest.Wait()
				m = p.only("%RETRY%g", int64(i))
				if m.ReconsumeTimes != i+1 || string(m.Body) != "hello" || m.BornTimestamp != first.BornTimestamp {
					t.Errorf("retry %d: %+v", i+1, m)
				}
				wantProperties(t, m, append(same, prop("DELAY", ""), prop("REAL_TOPIC", "%RETRY%g"), prop("REAL_QID", "0"))...)
			}
			mustCode(t, p.call(sendBack("g", m, 0, 3)), 0)
			m = p.only("%DLQ%g", 0)
			if m.ReconsumeTimes != 4 || string(m.Body) != "hello" {
				t.Errorf("dead message: %+v", m)
			}
			wantProperties(t, m, same...)
			if n := c.StoredCount("%RETRY%g"); n != 3 {
				t.Errorf("%d retries", n)
			}
			route := mustCode(t, connect(t, c, c.NameServers()[0], ser).call(wire.Command{Code: wire.GetRouteInfoByTopic, Ext: wire.RouteFields("%DLQ%g")}), 0)
			r, err := wire.ParseRoute(route.Body)
			if err != nil || len(r.Queues) != 1 || r.Queues[0].WriteQueueNums != 1 || r.Queues[0].Perm != rocketmq.PermRead|rocketmq.PermWrite {
				t.Errorf("route of the dead-letter topic: %+v, %v", r, err)
			}
		})
	}
}

// What a consumer asks for decides how long a message waits and how often it comes again.
func TestSendBackAsTheConsumerAsks(t *testing.T) {
	for _, tt := range []struct {
		name         string
		level, limit string
		wait         time.Duration // below 0: dead at once
	}{
		{"no limit given, the group's 16", "0", "", 10 * time.Second},
		{"its own level", "1", "16", time.Second},
		{"a level beyond the last", "99", "16", 2 * time.Hour},
		{"dead at once", "-1", "16", -1},
		{"no retry allowed", "0", "0", -1},
		{"no retry allowed, whatever level", "5", "0", -1},
		{"a limit below zero", "0", "-1", -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := inMemory(t, embedded.Config{})
				p := connect(t, c, c.Brokers()[0].Addr(), wire.JSON)
				mustCode(t, p.send("t", 0, "hello"), 0)
				back := sendBack("g", p.only("t", 0), 0, 0)
				back.Ext.Set("delayLevel", tt.level)
				back.Ext.Set("maxReconsumeTimes", tt.limit)
				mustCode(t, p.call(back), 0)
				if tt.wait < 0 {
					wantProperties(t, p.only("%DLQ%g", 0), prop("DELAY", "0"))
					return
				}
				time.Sleep(tt.wait - time.Millisecond)
				synctest.Wait()
				early := c.StoredCount("%RETRY%g")
				time.Sleep(time.Millisecond)
				synctest.Wait()
				if early != 0 || c.StoredCount("%RETRY%g") != 1 || c.StoredCount("%DLQ%g") != 0 {
					t.Errorf("%d early, %d in time, %d dead", early, c.StoredCount("%RETRY%g"), c.StoredCount("%DLQ%g"))
				}
			})
		})
	}
}

// The settings of a group count: how many retry queues it has, how often a message comes again, whether it may consume.
func TestSendBackFollowsTheGroup(t *testing.T) {
	c := inMemory(t, embedded.Config{DelayLevels: []time.Duration{0, 0, time.Millisecond}})
	b := c.Brokers()[0]
	p := connect(t, c, b.Addr(), wire.JSON)
	set := func(body string) {
		t.Helper()
		mustCode(t, p.call(wire.Command{Code: wire.UpdateAndCreateSubscription, Body: []byte(body)}), 0)
	}
	mustCode(t, p.send("t", 0, "hello"), 0)
	first := p.only("t", 0)
	back := func(m wire.StoredMessage) wire.Command {
		cmd := sendBack("g", m, 0, 0)
		cmd.Ext.Set("maxReconsumeTimes", "")
		return cmd
	}

	set(`{"groupName":"g","retryQueueNums":3,"retryMaxTimes":1,"consumeEnable":true}`)
	for range 3 {
		mustCode(t, p.call(back(first)), 0)
	}
	waitFor(t, "three retries", func() bool { return c.StoredCount("%RETRY%g") == 3 })
	used := map[int]bool{}
	for _, m := range c.Stored("%RETRY%g") {
		used[m.QueueID] = true
	}
	if len(used) != 3 {
		t.Errorf("retry queues used: %v", used)
	}
	mustCode(t, p.call(back(p.only("%RETRY%g", 0))), 0)
	if n := c.StoredCount("%DLQ%g"); n != 1 {
		t.Errorf("%d dead messages after one retry of one", n)
	}

	set(`{"groupName":"g","retryQueueNums":0}`) // the message is given up, and nobody is told, as by real brokers
	mustCode(t, p.call(back(first)), 0)
	if n := c.StoredCount("%RETRY%g") + c.StoredCount("SCHEDULE_TOPIC_XXXX"); n != 6 {
		t.Errorf("%d messages", n)
	}
	set(`{"groupName":"readers","consumeEnable":false}`)
	mustCode(t, p.call(pullCommand("t", 0, 0, 32)), 16)

	b.SetPerm(rocketmq.PermRead)
	mustCode(t, p.call(sendBack("g2", first, 0, 16)), 16)
	b.SetPerm(rocketmq.PermRead | rocketmq.PermWrite)
	if err := c.PutTopic(embedded.Topic{Name: "%RETRY%g3", ReadQueues: 1, WriteQueues: 1, Perm: rocketmq.PermRead}); err != nil {
		t.Fatal(err)
	}
	mustCode(t, p.call(sendBack("g3", first, 0, 16)), 16)
	gone := first
	gone.CommitLogOffset = 1 << 40
	mustCode(t, p.call(sendBack("g2", gone, 0, 16)), 1)
	mustCode(t, p.call(sendBack("not a group", first, 0, 16)), 26)
	mustCode(t, p.call(sendBack(strings.Repeat("g", 121), first, 0, 16)), 1) // its retry topic would have too long a name
	mustCode(t, p.call(wire.Command{Code: wire.ConsumerSendMsgBack, Ext: wire.Fields{prop("group", "g")}}), 1)
}

// A consumer that keeps an order, and a Java consumer whose send-back failed, send the message to the retry topic
// themselves: beyond the limit it is dead too.
func TestRetrySentByTheConsumerItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory(t, embedded.Config{})
		p := connect(t, c, c.Brokers()[0].Addr(), wire.JSON)
		if err := c.CreateTopic("%RETRY%g", 2); err != nil {
			t.Fatal(err)
		}
		retry := func(group, times, limit string) {
			t.Helper()
			queue := map[string]int{"g": 1}[group] // a dead-letter topic has one queue only
			cmd := sendCommand(wire.SendMessageV2, "%RETRY%"+group, queue, "hello", prop("DELAY", "3"), prop("RETRY_TOPIC", "t"))
			cmd.Ext.Set("j", times)
			cmd.Ext.Set("l", limit)
			mustCode(t, p.call(cmd), 0)
		}
		retry("g", "2", "2")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := c.Stored("%RETRY%g"); len(got) != 1 || got[0].ReconsumeTimes != 2 || got[0].QueueID != 1 {
			t.Errorf("%+v", got)
		}
		retry("g", "3", "2")
		m := p.only("%DLQ%g", 0)
		if m.ReconsumeTimes != 3 {
			t.Errorf("%+v", m)
		}
		wantProperties(t, m, prop("RETRY_TOPIC", "t"))
		// Whoever holds a lock consumes in order and has tried by itself as often as it may.
		mustCode(t, p.call(wire.Command{
			Code: wire.LockBatchMQ, Body: []byte(`{"consumerGroup":"ordered","clientId":"c","mqSet":[{"topic":"t","brokerName":"broker-a","queueId":0}]}`),
		}), 0)
		retry("ordered", "1", "16")
		p.only("%DLQ%ordered", 0)
		retry("g4", "1", "16")
		if n := c.StoredCount("%DLQ%g4"); n != 0 {
			t.Errorf("%d dead messages of a group that holds no lock", n)
		}
		time.Sleep(time.Minute)
		retry("ordered", "1", "16")
		if n := c.StoredCount("%DLQ%ordered"); n != 1 {
			t.Errorf("%d dead messages after the lock is over", n)
		}
	})
}

// The text form of delay levels is RocketMQ's.
func TestParseDelayLevels(t *testing.T) {
	const defaults = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h"
	if got, err := embedded.ParseDelayLevels(defaults); err != nil || !slices.Equal(got, embedded.DefaultDelayLevels()) {
		t.Errorf("the defaults: %v, %v", got, err)
	}
	if got, err := embedded.ParseDelayLevels(" 0s  2d"); err != nil || !slices.Equal(got, []time.Duration{0, 48 * time.Hour}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, text := range []string{"", " ", "1", "s", "-1s", "1.5s", "1ms", "1x", "1s,5s", "2147483647d", strings.Repeat("1s ", 257)} {
		if got, err := embedded.ParseDelayLevels(text); !errors.Is(err, embedded.ErrConfig) {
			t.Errorf("%.20q: %v, %v", text, got, err)
		}
	}
}

// Settings of groups are given back, and forgotten when a group is deleted.
func TestGroupSettings(t *testing.T) {
	c := inMemory(t, embedded.Config{})
	p := connect(t, c, c.Brokers()[0].Addr(), wire.JSON)
	get := func(name string) string {
		t.Helper()
		return string(mustCode(t, p.call(wire.Command{Code: wire.GetSubscriptionGroupConfig, Ext: wire.Fields{prop("group", name)}}), 0).Body)
	}
	const rest = `"brokerId":0,"whichBrokerWhenConsumeSlowly":1,"notifyConsumerIdsChangedEnable":true,"groupSysFlag":0,"consumeTimeoutMinute":15}`
	const defaults = `{"groupName":"g","consumeEnable":true,"consumeFromMinEnable":true,"consumeBroadcastEnable":true,"consumeMessageOrderly":false,"retryQueueNums":1,"retryMaxTimes":16,` + rest
	if got := get("g"); got != defaults {
		t.Errorf("got %s", got)
	}
	put := func(body string) wire.Command {
		return wire.Command{Code: wire.UpdateAndCreateSubscription, Body: []byte(body)}
	}
	mustCode(t, p.call(put(`{"groupName":"g","retryMaxTimes":3,"consumeBroadcastEnable":false,"groupRetryPolicy":{"type":"CUSTOMIZED"}}`)), 0)
	if got := get("g"); got != strings.Replace(strings.Replace(defaults, `"retryMaxTimes":16`, `"retryMaxTimes":3`, 1), `"consumeBroadcastEnable":true`, `"consumeBroadcastEnable":false`, 1) {
		t.Errorf("got %s", got)
	}
	mustCode(t, p.send("t", 0, "x"), 0)
	beat := join("c1", "g", "t", "*")
	beat.Body = []byte(strings.Replace(string(beat.Body), "CLUSTERING", "BROADCASTING", 1))
	mustCode(t, p.call(beat), 0)
	mustCode(t, p.call(pullCommand("t", 0, 0, 32, prop("consumerGroup", "g"), prop("sysFlag", "0"))), 16)

	offset := wire.Fields{prop("consumerGroup", "g"), prop("topic", "t"), prop("queueId", "0"), prop("commitOffset", "1")}
	del := func(clean string) {
		t.Helper()
		mustCode(t, p.call(wire.Command{Code: wire.DeleteSubscriptionGroup, Ext: wire.Fields{prop("groupName", "g"), prop("cleanOffset", clean)}}), 0)
	}
	mustCode(t, p.call(wire.Command{Code: wire.UpdateConsumerOffset, Ext: offset}), 0)
	del("false")
	if _, there := c.Brokers()[0].ConsumerOffset("g", "t", 0); !there || get("g") != defaults {
		t.Errorf("offset kept: %v, settings %s", there, get("g"))
	}
	del("true")
	if _, there := c.Brokers()[0].ConsumerOffset("g", "t", 0); there {
		t.Error("the offset is still there")
	}
	for body, code := range map[string]int{
		"": 1, "{}": 29, `{"groupName":"a b"}`: 29, `{"groupName":"` + strings.Repeat("g", 256) + `"}`: 29, `{"groupName":"g","retryQueueNums":-1}`: 29,
		`{"groupName":"g","retryQueueNums":65537}`: 29,
	} {
		if a := p.call(put(body)); a.Code != code {
			t.Errorf("%.40s: code %d (%s), want %d", body, a.Code, a.Remark, code)
		}
	}
	mustCode(t, p.call(wire.Command{Code: wire.GetSubscriptionGroupConfig, Ext: wire.Fields{prop("group", "a b")}}), 26)
	mustCode(t, p.call(wire.Command{Code: wire.DeleteSubscriptionGroup}), 1)
}
