package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/compress"
	"github.com/liftoff-mq/liftoff/internal/words"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Message is a message as a broker has it.
type Message struct {
	// StoredMessage is the record. Its body is packed if its system flag says so: see Unpack.
	wire.StoredMessage
	// Broker is the name of the broker that gave it; "" if it was asked for by its offset id.
	Broker string
}

// Property returns a property, or "". It looks for it in the record: a list of all of them can be
// ten times as large.
func (m *Message) Property(name string) string {
	value, _ := wire.LookupProperty(string(m.Properties), name)
	return strings.Clone(value)
}

// AllProperties makes a list of all properties, the user's and RocketMQ's own.
func (m *Message) AllProperties() wire.Fields { return wire.ParseProperties(m.Properties) }

// UniqueID is the id that the producer gave the message; "" if it gave none.
func (m *Message) UniqueID() string { return m.Property(rocketmq.PropertyUniqKey) }

// OffsetID says where the message lies. [Admin.MessageAt] takes it.
func (m *Message) OffsetID() string { return m.MsgID().String() }

// ID is the unique id, or the offset id where there is none (Java: MessageClientExt.getMsgId).
func (m *Message) ID() string {
	if id := m.UniqueID(); id != "" {
		return id
	}
	return m.OffsetID()
}

// Tag is the message's tag, or "".
func (m *Message) Tag() string { return m.Property(rocketmq.PropertyTags) }

// Keys are the message's keys.
func (m *Message) Keys() []string {
	return strings.FieldsFunc(m.Property(rocketmq.PropertyKeys), func(r rune) bool { return string(r) == rocketmq.KeySeparator })
}

// Born is when the producer made the message, by its own clock.
func (m *Message) Born() time.Time { return time.UnixMilli(m.BornTimestamp) }

// Stored is when the broker stored it.
func (m *Message) Stored() time.Time { return time.UnixMilli(m.StoreTimestamp) }

// Unpack returns the body as it was sent, by the codecs of package compress: zlib, LZ4 and
// Zstandard. One of more than limit bytes, 8 MiB with a limit of 0, is an error that matches
// [compress.ErrTooLarge].
func (m *Message) Unpack(limit int) ([]byte, error) {
	if limit <= 0 {
		limit = compress.DefaultMaxUnpacked
	}
	return compress.Decompress(nil, m.Body, m.SysFlag, limit)
}

// checkPlace looks at the numbers of a record that say where it lies.
func checkPlace(m *wire.StoredMessage) error {
	if m.QueueID < 0 || m.QueueOffset < 0 || m.CommitLogOffset < 0 {
		return &wire.DecodeError{Part: "stored message", Offset: -1, Reason: fmt.Sprintf(
			"it is at offset %d of queue %d, and at %d of the store", m.QueueOffset, m.QueueID, m.CommitLogOffset)}
	}
	return nil
}

// notAt is how a broker begins to say that nothing is at an offset; it has no code for that
// (Java: QueryMessageProcessor.viewMessageById).
const notAt = "can not find message by the offset"

// MessageAt asks for the message of an offset id, with VIEW_MESSAGE_BY_ID (33) at the broker
// whose address is in the id (Java: MQAdminImpl.viewMessage). Whoever made up the id decides
// which address that is; [remoting.Config].AllowedBrokers says which may be dialed. Addresses
// and MapAddr translate it. An entry of Addresses by a broker's name does not, because the id does
// not have the name. The topic is there for brokers from 5.3 on with access control; it may be
// empty.
//
// Errors: one that matches [ErrNotFound]; a *[core.BrokerError]; a *[remoting.AnswerError],
// also for an id that leads into the middle of a message.
func (a *Admin) MessageAt(ctx context.Context, topic, offsetID string) (*Message, error) {
	id, err := wire.ParseOffsetID(offsetID)
	if err != nil {
		return nil, invalid("offset message id %s: %v", words.Quote(offsetID), err)
	}
	addr := id.Addr.String()
	fields := wire.Fields{{Key: "offset", Value: fmt.Sprint(id.Offset)}}
	if topic != "" {
		if err := checkTopic(topic); err != nil {
			return nil, err
		}
		fields = append(fields, wire.Field{Key: "topic", Value: topic})
	}
	answer, err := a.ask(ctx, broker{addr: addr}, wire.ViewMessageByID, fields)
	if be := (*core.BrokerError)(nil); errors.As(err, &be) && be.Code == rocketmq.CodeSystemError && strings.HasPrefix(be.Remark, notAt) {
		return nil, &NotFoundError{What: fmt.Sprintf("offset %d of the broker at %s", id.Offset, addr)}
	}
	if err != nil {
		return nil, err
	}
	m, rest, err := wire.ParseStored(answer.Body)
	if err == nil && len(rest) > 0 {
		err = errors.New("something follows the message")
	}
	if err == nil {
		err = checkPlace(&m)
	}
	if err == nil && m.CommitLogOffset != id.Offset {
		err = fmt.Errorf("the message is that of offset %d", m.CommitLogOffset)
	}
	if err != nil {
		return nil, &remoting.AnswerError{Addr: addr, Err: fmt.Errorf("message at offset %d: %w", id.Offset, err)}
	}
	return &Message{StoredMessage: m}, nil
}
