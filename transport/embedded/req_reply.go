package embedded

// SEND_REPLY_MESSAGE (324), SEND_REPLY_MESSAGE_V2 (325): requests to a broker, of a client that replies
// to another one's message. PUSH_REPLY_MESSAGE_TO_CLIENT (326): the broker's request to that other one.
//
// Versions: as 5.3.3 (Java ReplyMessageProcessor). The property REPLY_TO_CLIENT names the client, which
// is known by its producers' heartbeats: see Client.replies. The broker asks it and waits 10 s for its
// answer, and only then answers the reply's sender. The reply is also stored in its topic, whether it was
// brought or not, with the properties that it came with alone.
//
// Deviations: replies that wait for their client's answer take 16 MiB at most (Config.MaxTableBytes); one
// more is answered as by a busy broker.

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// pushTime is how long a broker waits for a client's answer (Java Broker2Client.callClient).
const pushTime = 10 * time.Second

// replyTopic is the cluster's topic for replies, which each of its brokers has.
func (c *Cluster) replyTopic() Topic {
	return Topic{
		Name: rocketmq.ReplyTopic(c.cfg.ClusterName), ReadQueues: 1, WriteQueues: 1, Perm: rocketmq.PermRead | rocketmq.PermWrite,
	}
}

// region are the fields that every answer to a send has.
func region() wire.Fields {
	return wire.Fields{{Key: rocketmq.PropertyMsgRegion, Value: regionID}, {Key: rocketmq.PropertyTraceOn, Value: "true"}}
}

func (b *Broker) sendReply(c *conn, cmd *wire.Command) reply {
	req, err := wire.ParseSend(cmd)
	if err != nil {
		return badField(err)
	}
	topic, refusal := b.admit(c, cmd, &req)
	if refusal.code != rocketmq.CodeSuccess {
		if !refusal.thrown {
			refusal.ext = region()
		}
		return refusal
	}
	if req.QueueID < 0 {
		if topic.WriteQueues == 0 {
			return javaException("java.lang.ArithmeticException", "the topic has no writable queue to choose")
		}
		req.QueueID = int(b.next.Add(1) % uint64(topic.WriteQueues))
	}
	props := wire.ParseProperties(req.Properties)
	id := props.Get(rocketmq.PropertyReplyToClient)
	if id == "" {
		return b.replied(c, &req, cmd.Body, "reply message properties[REPLY_TO_CLIENT] is null")
	}
	to := b.repliesTo(id)
	if to == nil {
		return b.replied(c, &req, cmd.Body, "push reply message fail, channel of <"+wire.TrimRemark(id)+"> not found.")
	}
	size := entryBytes + len(cmd.Body) + 2*len(req.Properties)
	if !b.pushing.take(size) {
		refusal := refuse(rocketmq.CodeSystemBusy, "too many replies wait for their clients")
		refusal.ext = region()
		return refusal
	}
	push := b.pushOf(c, &req, props)
	own := *cmd // the frame is the reader's
	own.Body = slices.Clone(cmd.Body)
	push.Body = own.Body
	b.node.cluster.spawn(func() {
		defer b.pushing.give(size)
		remark := ""
		ctx, cancel := context.WithTimeout(b.node.cluster.ctx, pushTime)
		defer cancel()
		if answer, err := to.ask(ctx, &push); err != nil || answer.Code != int(rocketmq.CodeSuccess) {
			remark = "push reply message to " + wire.TrimRemark(id) + "fail." // without a blank, as real ones say it
		}
		r := b.replied(c, &req, own.Body, remark)
		if own.IsOneway() || c.ended() {
			return
		}
		frame, err := appendReply(nil, c.form(&own), own.Opaque, &r)
		if err != nil {
			c.unanswered(own.Code, err)
			return
		}
		c.sendNow(frame)
	})
	return reply{later: true}
}

// pushOf is the request that brings a reply to its client, without the body.
func (b *Broker) pushOf(c *conn, req *wire.SendRequest, props wire.Fields) wire.Command {
	props.Set(rocketmq.PropertyPushReplyTime, textOf(time.Now().UnixMilli()))
	return wire.Command{
		Code: wire.PushReplyMessageToClient, Language: wire.LanguageJava, Version: serverVersion, Opaque: b.pushes.Add(1),
		Ext: wire.Fields{
			{Key: "producerGroup", Value: req.Group},
			{Key: "topic", Value: req.Topic},
			{Key: "defaultTopic", Value: req.DefaultTopic},
			{Key: "defaultTopicQueueNums", Value: strconv.Itoa(req.DefaultTopicQueueNums)},
			{Key: "queueId", Value: strconv.Itoa(req.QueueID)},
			{Key: "sysFlag", Value: textOf(int64(req.SysFlag))},
			{Key: "bornTimestamp", Value: textOf(req.BornTimestamp)},
			{Key: "flag", Value: textOf(int64(req.Flag))},
			{Key: "properties", Value: string(wire.AppendProperties(nil, props))},
			{Key: "reconsumeTimes", Value: strconv.Itoa(req.ReconsumeTimes)},
			{Key: "unitMode", Value: strconv.FormatBool(req.UnitMode)},
			{Key: "bornHost", Value: c.remote.String()},
			{Key: "storeHost", Value: b.Addr()},
			{Key: "storeTimestamp", Value: textOf(time.Now().UnixMilli())},
		},
	}
}

// replied stores the reply and makes the answer to it. The remark says why its client did not get
// it, "" if it did.
func (b *Broker) replied(c *conn, req *wire.SendRequest, body []byte, remark string) reply {
	r := reply{ext: region()}
	if remark != "" {
		r.code, r.remark = rocketmq.CodeSystemError, remark
	}
	if len(body) == 0 {
		return javaException("java.lang.NullPointerException", "the message has no body")
	}
	m := wire.StoredMessage{
		Topic: req.Topic, QueueID: req.QueueID, Flag: req.Flag, BornTimestamp: req.BornTimestamp,
		BornHost: c.remote, ReconsumeTimes: req.ReconsumeTimes, Body: body, Properties: req.Properties,
	}
	if len(body) <= maxMessageSize && b.store.append(&m) == nil {
		r.ext = append(
			r.ext, wire.Field{Key: "msgId", Value: m.MsgID().String()}, wire.Field{Key: "queueId", Value: strconv.Itoa(req.QueueID)},
			wire.Field{Key: "queueOffset", Value: textOf(m.QueueOffset)},
		)
	} else if remark == "" {
		r.ext = append(
			r.ext, wire.Field{Key: "msgId", Value: "0"}, wire.Field{Key: "queueId", Value: strconv.Itoa(req.QueueID)},
			wire.Field{Key: "queueOffset", Value: "0"},
		)
	}
	return r
}

// repliesTo finds the connection to which a client's replies go, nil if there is none.
func (b *Broker) repliesTo(id string) *conn {
	t := &b.clients
	t.mu.Lock()
	defer t.mu.Unlock()
	client := t.byID[id]
	if client == nil || client.replies == nil || client.replies.ended() {
		return nil
	}
	return client.replies
}
