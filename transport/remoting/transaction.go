package remoting

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/internal/words"
	"github.com/liftoff-mq/liftoff/transport/remoting/internal/conn"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

var (
	_ core.TransactionEnder = (*Client)(nil)
	_ core.BrokerKeeper     = (*Client)(nil)
)

// EndTransaction implements [core.TransactionEnder] with END_TRANSACTION (37). Java sends it
// one-way. Brokers of every version answer a commit and a rollback if they are asked to, so
// here a refusal is heard. An unknown decision they do not answer (EndTransactionProcessor),
// so it is sent one-way.
func (c *Client) EndTransaction(ctx context.Context, op *core.Operation) error {
	if err := c.usable(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return core.ContextError(ctx)
	}
	end := op.Transaction()
	id, err := wire.ParseOffsetID(end.OffsetMessageID)
	if err != nil {
		return fmt.Errorf("%w: the place that the broker gave the half message: %w", core.ErrUnsupported, err)
	}
	p, err := c.brokers.get(op.Addr())
	if err != nil {
		return err
	}
	kind := conn.Ask
	if end.Decision == core.TransactionUnknown {
		kind = conn.Oneway
	}
	answer, err := c.operate(ctx, op, p, kind, wire.Command{Code: wire.EndTransaction, Ext: wire.TransactionEnd{
		Topic: op.Target(), Group: op.Group(), QueueOffset: end.QueueOffset, CommitLogOffset: id.Offset,
		Decision: decisionFlag(end.Decision), FromCheck: end.FromCheck, MsgID: end.MessageID, TransactionID: end.TransactionID,
		BrokerName: op.Broker().Name,
	}.Fields()})
	if err != nil || kind == conn.Oneway {
		return err
	}
	err = answered(p, answer)
	if be := (*core.BrokerError)(nil); errors.As(err, &be) && be.Code == rocketmq.CodeSlaveNotAvailable {
		// Of a send this code means stored. Here a slave says it, which ends no transactions.
		be.Class, be.Certainty = core.ClassUnavailable, core.NotStored
	}
	return err
}

func decisionFlag(d core.TransactionDecision) int32 {
	switch d {
	case core.TransactionCommit:
		return rocketmq.SysTransactionCommit
	case core.TransactionRollback:
		return rocketmq.SysTransactionRollback
	default:
		return rocketmq.SysTransactionNone
	}
}

// ParseCheck implements [core.TransactionEnder] for CHECK_TRANSACTION_STATE (39).
func (c *Client) ParseCheck(r *core.ServerRequest) (*core.TransactionCheck, error) {
	var fields wire.Fields
	for key, value := range r.Fields {
		fields = append(fields, wire.Field{Key: key, Value: value})
	}
	h, err := wire.ParseTransactionCheck(fields)
	if err != nil {
		return nil, err
	}
	m, _, err := wire.ParseStored(r.Body)
	if err != nil {
		return nil, err
	}
	// Without the id of its place the request's offset is all that the end needs of it.
	if _, err := wire.ParseOffsetID(h.OffsetMsgID); err != nil {
		h.OffsetMsgID = wire.OffsetID{Addr: netip.AddrPortFrom(netip.IPv4Unspecified(), 0), Offset: h.CommitLogOffset}.String()
	}
	check := &core.TransactionCheck{
		Message:   &core.Message{Topic: m.Topic, Body: m.Body, Flag: m.Flag},
		MessageID: h.MsgID, TransactionID: h.TransactionID, Codec: packedBy(&m),
		Born: time.UnixMilli(m.BornTimestamp), Stored: time.UnixMilli(m.StoreTimestamp),
		Addr: r.Addr, Target: m.Topic, Broker: h.BrokerName, OffsetMessageID: h.OffsetMsgID, QueueOffset: h.QueueOffset,
	}
	for _, f := range wire.ParseProperties(m.Properties) {
		addProperty(check, f.Key, f.Value)
	}
	// They go into spans, errors and the program's own tables.
	if rocketmq.CheckTopic(check.Message.Topic) != rocketmq.NameOK || !words.IsName(check.MessageID) || !isShowable(check.TransactionID) || !isShowable(check.Broker) {
		return nil, fmt.Errorf("%w: the half message has no usable topic, unique id, transaction or broker", wire.ErrField)
	}
	return check, nil
}

// isShowable reports whether a text that may be missing can be shown to anybody.
func isShowable(text string) bool { return text == "" || words.IsName(text) }

// addProperty puts a stored property into its place in the message of a check.
func addProperty(check *core.TransactionCheck, name, value string) {
	m := check.Message
	switch name {
	case rocketmq.PropertyUniqKey:
		check.MessageID = value
	case rocketmq.PropertyMsgRegion:
		if words.IsName(value) {
			check.Region = value
		}
	case rocketmq.PropertyTransactionCheckTimes:
		check.Times, _ = strconv.Atoi(value) // what is no number is none
	case rocketmq.PropertyInstanceID: // the namespace; a topic outside of one has none
		m.Topic = strings.TrimPrefix(m.Topic, value+namespaceSeparator)
	case rocketmq.PropertyTags:
		m.Tag = value
	case rocketmq.PropertyKeys:
		m.Keys = strings.Split(value, rocketmq.KeySeparator)
	case rocketmq.PropertyShardingKey:
		m.ShardingKey = value
	case rocketmq.PropertyWait:
		m.NoWaitStore = value == "false"
	case rocketmq.PropertyTransactionID, rocketmq.PropertyTransactionPreparedQueue: // the broker's
	default:
		if !rocketmq.IsReservedProperty(name) {
			if m.Properties == nil {
				m.Properties = map[string]string{}
			}
			m.Properties[name] = value
		}
	}
}

// namespaceSeparator stands between a namespace and a topic (Java: NamespaceUtil).
const namespaceSeparator = "%"

// packedBy is the codec that packed the body of a stored message, "" for none. Some brokers
// unpack what they read from their store and leave the flag as it is; the checksum, which is
// that of the stored body, tells it.
func packedBy(m *wire.StoredMessage) string {
	if m.SysFlag&rocketmq.SysCompressed == 0 || wire.BodyCRC(m.Body) != m.BodyCRC {
		return ""
	}
	for i := range codecs {
		if m.SysFlag&rocketmq.SysCompressionMask == codecs[i].flag&rocketmq.SysCompressionMask {
			return codecs[i].name
		}
	}
	return codecs[0].name // producers older than the numbers pack with zlib
}
