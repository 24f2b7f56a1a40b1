package wire

import "github.com/liftoff-mq/liftoff/core/rocketmq"

// TransactionEnd is the header of END_TRANSACTION (code 37), by which a producer says what
// becomes of a half message (Java EndTransactionRequestHeader).
type TransactionEnd struct {
	// Topic is that of the message, not that of half messages. Brokers from 5.x on check
	// permissions by it.
	Topic string // may be empty
	Group string
	// QueueOffset is the half message's place in the queue of half messages, CommitLogOffset
	// that in the store.
	QueueOffset     int64
	CommitLogOffset int64
	// Decision is [rocketmq.SysTransactionCommit], SysTransactionRollback or, for "not known
	// yet", SysTransactionNone. To the last one brokers answer nothing.
	Decision int32
	// FromCheck says that the broker asked.
	FromCheck     bool
	MsgID         string // the unique id of the message
	TransactionID string // may be empty
	BrokerName    string // may be empty; brokers do not look at it, proxies do
}

// Fields returns the header's fields. Texts that are empty are left out.
func (e TransactionEnd) Fields() Fields {
	f := make(Fields, 0, 9)
	add := func(key, value string) {
		if value != "" {
			f = append(f, Field{Key: key, Value: value})
		}
	}
	add("topic", e.Topic)
	add("producerGroup", e.Group)
	add("tranStateTableOffset", itoa(e.QueueOffset))
	add("commitLogOffset", itoa(e.CommitLogOffset))
	add("commitOrRollback", itoa(e.Decision))
	add("fromTransactionCheck", boolText(e.FromCheck))
	add("msgId", e.MsgID)
	add("transactionId", e.TransactionID)
	add("bname", e.BrokerName)
	return f
}

// ParseTransactionEnd reads the header of an end. Errors match [ErrField]: a field that Java
// calls not null and that is missing, a number that is none, a decision that is none.
func ParseTransactionEnd(c *Command) (TransactionEnd, error) {
	p := fieldParser{fields: c.Ext}
	e := TransactionEnd{
		Topic: c.Ext.Get("topic"), Group: p.text("producerGroup", ""),
		QueueOffset: p.int64("tranStateTableOffset", ""), CommitLogOffset: p.int64("commitLogOffset", ""),
		Decision: p.int32("commitOrRollback", ""), FromCheck: c.Ext.Get("fromTransactionCheck") == "true",
		MsgID: p.text("msgId", ""), TransactionID: c.Ext.Get("transactionId"), BrokerName: c.Ext.Get("bname"),
	}
	switch e.Decision {
	case rocketmq.SysTransactionNone, rocketmq.SysTransactionCommit, rocketmq.SysTransactionRollback:
	default:
		p.fail("commitOrRollback", "", "no decision")
	}
	return e, p.err
}

// TransactionCheck is the header of CHECK_TRANSACTION_STATE (code 39), by which a broker asks
// a producer what becomes of the half message in the body (Java
// CheckTransactionStateRequestHeader). The broker wants no answer but a [TransactionEnd].
type TransactionCheck struct {
	Topic           string // of half messages
	QueueOffset     int64
	CommitLogOffset int64
	MsgID           string // the unique id
	TransactionID   string
	OffsetMsgID     string
	BrokerName      string // from 5.x on
}

// Fields returns the header's fields. Texts that are empty are left out.
func (h TransactionCheck) Fields() Fields {
	f := make(Fields, 0, 7)
	add := func(key, value string) {
		if value != "" {
			f = append(f, Field{Key: key, Value: value})
		}
	}
	add("topic", h.Topic)
	add("tranStateTableOffset", itoa(h.QueueOffset))
	add("commitLogOffset", itoa(h.CommitLogOffset))
	add("msgId", h.MsgID)
	add("transactionId", h.TransactionID)
	add("offsetMsgId", h.OffsetMsgID)
	add("bname", h.BrokerName)
	return f
}

// ParseTransactionCheck reads the fields of a check. Errors match [ErrField]: an offset that is
// missing or no number. The other fields may be empty.
func ParseTransactionCheck(fields Fields) (TransactionCheck, error) {
	p := fieldParser{fields: fields}
	h := TransactionCheck{
		Topic: fields.Get("topic"), QueueOffset: p.int64("tranStateTableOffset", ""), CommitLogOffset: p.int64("commitLogOffset", ""),
		MsgID: fields.Get("msgId"), TransactionID: fields.Get("transactionId"), OffsetMsgID: fields.Get("offsetMsgId"),
		BrokerName: fields.Get("bname"),
	}
	return h, p.err
}
