package embedded_test

import (
	"testing"

	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

var serializations = []wire.Serialization{wire.JSON, wire.RocketMQ}

func TestSendIsStored(t *testing.T) {
	for _, ser := range serializations {
		for _, code := range []int{wire.SendMessage, wire.SendMessageV2} {
			c := embedded.New(t, embedded.Config{})
			b := c.Brokers()[0]
			p := connect(t, c, b.Addr(), ser)
			a := mustCode(t, p.call(sendCommand(code, "t", 2, "hello", wire.Field{Key: "TAGS", Value: "x"}, wire.Field{Key: "UNIQ_KEY", Value: "id1"})), 0)
			stored := c.Stored("t")
			if len(stored) != 1 {
				t.Fatalf("%d stored, want 1", len(stored))
			}
			m := stored[0]
			if string(m.Body) != "hello" || m.QueueID != 2 || m.Property("TAGS") != "x" || m.UniqueID() != "id1" {
				t.Errorf("stored %+v", m)
			}
			if a.Ext.Get("msgId") != m.MsgID || a.Ext.Get("queueId") != "2" || a.Ext.Get("queueOffset") != "0" ||
				a.Ext.Get("MSG_REGION") != "DefaultRegion" || a.Ext.Get("TRACE_ON") != "true" || a.Ext.Get("transactionId") != "id1" {
				t.Errorf("answer %+v, message id %s", a.Ext, m.MsgID)
			}
		}
	}
}
