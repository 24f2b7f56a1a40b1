package admin_test

import (
	"errors"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/admin"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// A broker that is named twice is asked once, whatever else the second entry says.
func TestBrokerNamedTwice(t *testing.T) {
	virtual(t, 1, remoting.Config{}, func(t *testing.T, w *world) {
		w.on("broker-a", wire.QueryMessage, answerOf(record(t, "t", 1, wire.Field{Key: rocketmq.PropertyKeys, Value: "k"})))
		addr := w.Broker("broker-a").Addr()
		for name, addrs := range map[string][2]map[int64]string{
			"the same twice":   {{0: addr}, {0: addr}},
			"elsewhere":        {{0: addr}, {0: "127.0.0.1:1"}},
			"without a master": {{0: addr}, {}},
			"with a slave":     {{1: addr}, {1: "127.0.0.1:1"}},
		} {
			remove := w.on("", wire.GetRouteInfoByTopic, answerOf(wire.AppendRoute(nil, &wire.RouteData{
				Queues:  []wire.QueueData{{BrokerName: "broker-a", ReadQueueNums: 1}},
				Brokers: []wire.BrokerData{{BrokerName: "broker-a", Addrs: addrs[0]}, {BrokerName: "broker-a", Addrs: addrs[1]}},
			}, wire.StandardKeys)))
			if got, err := w.MessagesByKey(t.Context(), admin.Query{Topic: "t", Key: "k"}); len(got) != 1 || err != nil {
				t.Errorf("%s: %d messages of one, %v", name, len(got), err)
			}
			if name != "with a slave" { // offsets are the master's alone
				if got, err := w.Offsets(t.Context(), "t"); len(got) != 1 || err != nil {
					t.Errorf("%s: %d queues of one, %v", name, len(got), err)
				}
			}
			remove()
		}
	})
}

// Numbers that no broker can mean are no success.
func TestNumbersBelowZero(t *testing.T) {
	answer := func(field, value string) embedded.Action {
		return embedded.ReplyWith(wire.Command{Ext: wire.Fields{{Key: field, Value: value}}})
	}
	virtual(t, 1, remoting.Config{}, func(t *testing.T, w *world) {
		if err := w.Cluster.CreateTopic("t", 1); err != nil {
			t.Fatal(err)
		}
		w.on("", wire.GetMaxOffset, answer("offset", "7"))
		for _, tt := range []struct {
			name  string
			code  int
			field string
			value string
			fine  bool
		}{
			{"max", wire.GetMaxOffset, "offset", "-1", false},
			{"min", wire.GetMinOffset, "offset", "-7", false},
			{"no time", wire.GetEarliestMsgStoreTime, "timestamp", "-1", true},
			{"time", wire.GetEarliestMsgStoreTime, "timestamp", "-2", false},
		} {
			remove := w.on("", tt.code, answer(tt.field, tt.value))
			got, err := w.Offsets(t.Context(), "t")
			var bad *remoting.AnswerError
			if errors.As(err, &bad) == tt.fine || (len(got) == 1) != tt.fine {
				t.Errorf("%s: %+v, %v", tt.name, got, err)
			}
			remove()
		}
		w.on("", wire.SearchOffsetByTimestamp, answer("offset", "-1"))
		var bad *remoting.AnswerError
		if n, err := w.OffsetAt(t.Context(), "t", core.Queue{Broker: "broker-a"}, time.Now()); !errors.As(err, &bad) {
			t.Errorf("offset %d, %v", n, err)
		}
		for name, m := range map[string]wire.StoredMessage{
			"queue": {QueueID: -1}, "queue offset": {QueueOffset: -1}, "store offset": {CommitLogOffset: -1},
		} {
			m.Topic, m.Properties = "t", wire.AppendProperty(nil, rocketmq.PropertyKeys, "k")
			b, err := wire.AppendStored(nil, &m)
			if err != nil {
				t.Fatal(err)
			}
			remove := w.on("", wire.QueryMessage, answerOf(b))
			if got, err := w.MessagesByKey(t.Context(), admin.Query{Topic: "t", Key: "k"}); !errors.As(err, &bad) {
				t.Errorf("%s: %d messages, %v", name, len(got), err)
			}
			remove()
		}
	})
}
