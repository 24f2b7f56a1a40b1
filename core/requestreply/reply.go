package requestreply

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// ErrNoRequest is a received message that is no request: its properties name no client that waits for a reply.
var ErrNoRequest = errors.New("requestreply: the message is no request")

// NewReply makes the reply to a received message, whose properties are given as the consumer
// got them, under RocketMQ's names (Java: MessageUtil.createReplyMessage). The message goes to
// the reply topic of the request's cluster; the option has to be given to the call that sends
// it, and makes a reply of it. Before that the message may be changed: tag, keys, properties,
// but not its topic. A body has at least one byte, as every message's.
//
// Any producer can send it, as often as it likes: the requester takes the first one. A success
// means that the requester's client has it, and not that it is stored. The failures of a reply:
//
//   - [core.ClassForbidden]: the requester is not connected to that broker, because it has
//     ended, or lost its connection. Another broker is tried, if the topic has one.
//   - [core.ClassBroker], maybe-stored: the requester's client did not answer the broker.
//   - [core.ErrTimeout]: a broker waits for the client's answer for up to 10 s, longer than a
//     send's default time.
//
// The error wraps [ErrNoRequest] where a property is missing that every request has.
func NewReply(request map[string]string, body []byte) (*core.Message, core.SendOption, error) {
	var missing []string
	var errs []error
	get := func(name string) string {
		v := request[name]
		if v == "" {
			missing = append(missing, name)
		} else if err := rocketmq.CheckProperty(name, v); err != nil {
			errs = append(errs, err)
		}
		return v
	}
	cluster, to := get(rocketmq.PropertyCluster), replyTo{id: get(rocketmq.PropertyCorrelationID), client: get(rocketmq.PropertyReplyToClient)}
	if to.ttl = request[rocketmq.PropertyTTL]; rocketmq.CheckProperty(rocketmq.PropertyTTL, to.ttl) != nil {
		to.ttl = ""
	}
	if len(missing) > 0 {
		errs = append([]error{fmt.Errorf("it has no property %s", strings.Join(missing, ", "))}, errs...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrNoRequest, err)
	}
	return &core.Message{Topic: rocketmq.ReplyTopic(cluster), Body: body}, to, nil
}

// SendReply makes the reply to a received message and sends it with p; see [NewReply].
func SendReply(ctx context.Context, p *core.Producer, request map[string]string, body []byte, opts ...core.SendOption) (core.Result, error) {
	msg, to, err := NewReply(request, body)
	if err != nil {
		return core.Result{}, failed(nil, core.NotSent, fmt.Errorf("%w: %w", core.ErrInvalidMessage, err))
	}
	return p.Send(ctx, msg, append([]core.SendOption{to}, opts...)...)
}

// replyTo is the address of a reply: what of a request's properties it takes over.
type replyTo struct{ id, client, ttl string }

// ApplySend makes the call's message a reply.
func (t replyTo) ApplySend(o *core.CallOptions) {
	o.Property(rocketmq.PropertyMsgType, rocketmq.ReplyType)
	o.Property(rocketmq.PropertyCorrelationID, t.id)
	o.Property(rocketmq.PropertyReplyToClient, t.client)
	if t.ttl != "" {
		o.Property(rocketmq.PropertyTTL, t.ttl)
	}
}
