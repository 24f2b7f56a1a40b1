package embedded_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// FuzzStream gives servers any bytes. A panic ends the process, a stuck server the test.
func FuzzStream(f *testing.F) {
	for _, ser := range serializations {
		for _, cmd := range []wire.Command{
			sendCommand(wire.SendMessageV2, "t", 0, "hello", prop("DELAY", "1")), sendCommand(wire.SendMessage, "t", -1, "hello"),
			pullCommand("t", 0, 0, 32), recallCommand("TBW102", "djEgVEJXMTAyIGJyb2tlci1hIDQxMDI0NDQ4MDAwMDAgSUQ="),
			{Code: wire.GetRouteInfoByTopic, Ext: wire.RouteFields("t")},
			{Code: wire.HeartBeat, Body: []byte(`{"clientID":"c","producerDataSet":[{"groupName":"g"}]}`)},
		} {
			cmd.Serialization = ser
			b, err := wire.AppendCommand(nil, &cmd)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b, true)
			f.Add(b[:len(b)-1], false)
		}
	}
	f.Add([]byte("\xff\xff\xff\xff\x00\x00\x00\x00"), true)
	c := inMemory(f, embedded.Config{MaxStoredBytes: 1 << 20, RecordedRequests: 10})
	b := c.Brokers()[0]
	f.Fuzz(func(t *testing.T, in []byte, broker bool) {
		addr := c.NameServers()[0]
		if broker {
			addr = b.Addr()
		}
		p := connect(t, c, addr, wire.JSON)
		_, _ = p.conn.Write(in) // the server may close in the middle
		_ = p.conn.Close()
		for b.Connections() > 0 {
			runtime.Gosched()
		}
		mustCode(t, connect(t, c, addr, wire.JSON).call(wire.Command{Code: 9999}), 3)
	})
}

// FuzzRequest gives the handlers well-formed requests of any content. Fields is name=value a line.
func FuzzRequest(f *testing.F) {
	codes := []int{
		wire.SendMessage, wire.SendMessageV2, wire.SendBatchMessage, wire.HeartBeat, wire.UnregisterClient, wire.PullMessage, 361,
		wire.GetConsumerListByGroup, wire.QueryConsumerOffset, wire.UpdateConsumerOffset, wire.SearchOffsetByTimestamp, wire.GetMaxOffset,
		wire.GetMinOffset, wire.GetEarliestMsgStoreTime, wire.ViewMessageByID, wire.UpdateAndCreateTopic, wire.LockBatchMQ, wire.UnlockBatchMQ,
		wire.GetRouteInfoByTopic, wire.GetBrokerClusterInfo,
		wire.RecallMessage, wire.ConsumerSendMsgBack, wire.CheckClientConfig, wire.QueryMessage, wire.DeleteTopicInBroker, wire.GetTopicConfig, wire.QueryAssignment,
		wire.UpdateAndCreateSubscription, wire.DeleteSubscriptionGroup, wire.GetSubscriptionGroupConfig, wire.GetTopicStatsInfo,
		wire.GetConsumeStats, wire.GetConsumerConnectionList, wire.GetProducerConnectionList, wire.QueryTopicConsumeByWho,
	}
	text := func(ext wire.Fields) string {
		var b strings.Builder
		for _, e := range ext {
			b.WriteString(e.Key + "=" + e.Value + "\n")
		}
		return b.String()
	}
	inner, err := wire.AppendBatchMessage(nil, 0, []byte("x"), []byte("a\x01b\x02"))
	if err != nil {
		f.Fatal(err)
	}
	for i, code := range codes {
		switch code {
		case wire.SendMessage, wire.SendMessageV2, wire.SendBatchMessage:
			cmd := sendCommand(code, "t", 0, "", prop("UNIQ_KEY", "x"), prop("TIMER_DELAY_SEC", "1"))
			f.Add(i, text(cmd.Ext), inner, false)
		default:
			f.Add(i, text(pullCommand("t", 0, 0, 32, prop("sysFlag", "7"), prop("suspendTimeoutMillis", "9"), prop("timestamp", "1"),
				prop("commitOffset", "1"), prop("offset", "0"), prop("clientID", "c"), prop("readQueueNums", "1"), prop("writeQueueNums", "1"),
				prop("perm", "6"), prop("group", "g"), prop("groupName", "g"),
				prop("delayLevel", "0"), prop("key", "x"), prop("maxNum", "9"), prop("beginTimestamp", "0"), prop("endTimestamp", "9999999999999"),
				prop("recallHandle", "djEgdCBicm9rZXItYSA0MTAyNDQ0ODAwMDAwIElE")).Ext), []byte(`{"clientID":"c","clientId":"c","groupName":"g","consumerGroup":"g","topic":"t","strategyName":"AVG","retryMaxTimes":1,"subscriptionData":{"expressionType":"TAG"},"mqSet":[{"topic":"t","queueId":1}],"consumerDataSet":[{"groupName":"g","subscriptionDataSet":[{"topic":"t","subString":"a","codeSet":[97]}]}]}`), true)
		}
	}
	c := inMemory(f, embedded.Config{MaxStoredBytes: 1 << 20, RecordedRequests: 10})
	f.Fuzz(func(t *testing.T, code int, fields string, body []byte, binary bool) {
		cmd := wire.Command{Code: codes[(code%len(codes)+len(codes))%len(codes)], Body: body, Opaque: 1}
		for line := range strings.Lines(fields) {
			if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok && len(cmd.Ext) < wire.MaxExtFields {
				cmd.Ext = append(cmd.Ext, wire.Field{Key: name, Value: value})
			}
		}
		if binary {
			cmd.Serialization = wire.RocketMQ
		}
		if _, err := wire.AppendCommand(nil, &cmd); err != nil {
			t.Skip("no form on the wire")
		}
		for _, addr := range []string{c.NameServers()[0], c.Brokers()[0].Addr()} {
			p := connect(t, c, addr, cmd.Serialization)
			own := cmd
			p.write(&own)
			last := wire.Command{Code: 9999, Opaque: 2}
			p.write(&last)
			for {
				a, err := p.next()
				if err != nil {
					t.Fatal(err)
				}
				if a.Code == wire.NotifyConsumerIDsChanged && !a.IsResponse() {
					continue
				}
				if a.Opaque == 2 {
					break
				}
				if a.Opaque != 1 || !a.IsResponse() {
					t.Fatalf("got %+v", a)
				}
			}
		}
		// What was stored can be read.
		c.Stored("t")
	})
}
