package wire

import "github.com/liftoff-mq/liftoff/core/rocketmq"

// Recall is the header of RECALL_MESSAGE (code 370), by which a producer takes a timed message
// back before its time. Brokers know it from 5.3.2 on (Java RecallMessageRequestHeader).
type Recall struct {
	Group  string // may be empty
	Topic  string
	Handle string // as the answer to the send gave it, see [SendResponse]
	// BrokerName is the broker that the handle names. Brokers do not look at it, proxies do.
	BrokerName string // may be empty
}

// Fields returns the header's fields; an empty group or broker name is left out.
func (r Recall) Fields() Fields {
	f := make(Fields, 0, 4)
	if r.Group != "" {
		f = append(f, Field{Key: "producerGroup", Value: r.Group})
	}
	f = append(f, Field{Key: "topic", Value: r.Topic}, Field{Key: "recallHandle", Value: r.Handle})
	if r.BrokerName != "" {
		f = append(f, Field{Key: "bname", Value: r.BrokerName})
	}
	return f
}

// ParseRecall reads the header of a recall. What is missing is empty: a broker has an answer of
// its own for each field that it misses, because Java's decoder of such headers logs what is
// missing and goes on (Java RemotingCommand.decodeCommandCustomHeaderDirectly).
func ParseRecall(c *Command) Recall {
	return Recall{
		Group: c.Ext.Get("producerGroup"), Topic: c.Ext.Get("topic"), Handle: c.Ext.Get("recallHandle"), BrokerName: c.Ext.Get("bname"),
	}
}

// RecallResponse is the header of the answer to a recall that was carried out (Java
// RecallMessageResponseHeader).
type RecallResponse struct {
	MsgID    string // the unique id of the message, as the handle names it
	RegionID string // may be empty
}

// Fields returns the header's fields; an empty region is left out.
func (r RecallResponse) Fields() Fields {
	f := Fields{{Key: "msgId", Value: r.MsgID}}
	if r.RegionID != "" {
		f = append(f, Field{Key: rocketmq.PropertyMsgRegion, Value: r.RegionID})
	}
	return f
}

// ParseRecallResponse reads the answer to a recall, which must have code 0. Errors match
// [ErrField]: an answer without an id.
func ParseRecallResponse(c *Command) (RecallResponse, error) {
	p := fieldParser{fields: c.Ext}
	r := RecallResponse{MsgID: p.text("msgId", ""), RegionID: c.Ext.Get(rocketmq.PropertyMsgRegion)}
	return r, p.err
}
