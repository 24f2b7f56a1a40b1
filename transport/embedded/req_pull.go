package embedded

// PULL_MESSAGE (11), LITE_PULL_MESSAGE (361): requests to a broker.
//
// Versions: codes, next offsets and limits (32 messages, 256 KiB, one message whatever its size)
// as 5.3.3. A pull with the suspend flag that finds nothing waits for a message, at most as long
// as it asked for and 30 s. A commit offset in the header is kept. Messages are left out by the
// hash of their tag, after the expression in the header or, without one, that of the group's heartbeat.
// Other expressions than tags are refused as by a broker that is not set to support them.
//
// Deviations: a pull that waits ends with code 20 when a message comes that it does not want. There
// are no slaves to read from.

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

const litePullMessage = 361

// Bits of a pull's system flag (Java PullSysFlag).
const (
	pullCommitOffset = 1 << 0
	pullSuspend      = 1 << 1
	pullSubscription = 1 << 2
)

const (
	maxPullMessages = 32
	maxPullBytes    = 256 << 10
	maxSuspend      = 30 * time.Second
	// maxPassedOver is how many messages one pull may leave out (Java maxFilterMessageSize).
	maxPassedOver = 16000
)

// Why a pull is not permitted (Java ForbiddenType).
const (
	forbiddenByBroker = "1"
	forbiddenByGroup  = "2"
	forbiddenByTopic  = "3"
	forbiddenCast     = "4"
)

func forbiddenPull(by, remark string) reply {
	r := refuse(rocketmq.CodeNoPermission, remark)
	r.ext = wire.Fields{{Key: "forbiddenType", Value: by}}
	return r
}

// pullRequest is the part of a pull's header that matters here.
type pullRequest struct {
	group, topic string
	queue        int
	offset       int64
	max          int
	sysFlag      int64
	version      int64 // of the subscription
	suspend      time.Duration
	want         wire.Subscription
}

func (b *Broker) pull(c *conn, cmd *wire.Command) reply {
	f := readFields(cmd)
	req := pullRequest{
		group: f.text("consumerGroup"), topic: f.text("topic"), queue: f.int("queueId"), offset: f.int64("queueOffset"),
		max: f.int("maxMsgNums"), sysFlag: f.int64("sysFlag"), version: f.optional("subVersion", 0),
		suspend: time.Duration(min(f.optional("suspendTimeoutMillis", 0), maxSuspend.Milliseconds())) * time.Millisecond,
	}
	commit := f.optional("commitOffset", -1)
	if f.err != nil {
		return badField(f.err)
	}
	group, known := b.groups.get(req.group)
	topic, ok := b.topics.get(req.topic)
	switch {
	case b.Perm()&rocketmq.PermRead == 0:
		return forbiddenPull(forbiddenByBroker, "the broker["+b.host()+"] pulling message is forbidden")
	case !known:
		return refuse(codeGroupNotExist, "subscription group ["+wire.TrimRemark(req.group)+"] does not exist")
	case !group.ConsumeEnable:
		return forbiddenPull(forbiddenByGroup, "subscription group no permission, "+wire.TrimRemark(req.group))
	case !ok:
		return noTopic(req.topic)
	case topic.Perm&rocketmq.PermRead == 0:
		return forbiddenPull(forbiddenByTopic, "the topic["+req.topic+"] pulling message is forbidden")
	case req.queue < 0 || req.queue >= topic.ReadQueues:
		return refuse(rocketmq.CodeInvalidParameter, "queueId["+strconv.Itoa(req.queue)+"] is illegal, topic:["+req.topic+
			"] topicConfig.readQueueNums:["+strconv.Itoa(topic.ReadQueues)+"] consumer:["+c.remote.String()+"]")
	}
	var refusal reply
	if req.want, refusal = b.wanted(&req, &group, cmd); refusal.code != rocketmq.CodeSuccess {
		return refusal
	}
	if req.sysFlag&pullCommitOffset != 0 && commit >= 0 {
		b.offsets.set(req.group, queueKey{req.topic, req.queue}, commit)
	}
	r := b.store.pull(&req)
	if r.code == codePullNotFound && req.sysFlag&pullSuspend != 0 && req.suspend > 0 && !cmd.IsOneway() && b.hold(c, cmd, req) {
		return reply{later: true}
	}
	return r
}

// wanted is what the pull is filtered by.
func (b *Broker) wanted(req *pullRequest, group *groupConfig, cmd *wire.Command) (wire.Subscription, reply) {
	none := wire.Subscription{}
	if req.sysFlag&pullSubscription != 0 {
		if r := unfiltered([]wire.Subscription{{Type: cmd.Ext.Get("expressionType")}}); r.code != rocketmq.CodeSuccess {
			return none, r
		}
		s, ok := wire.NewSubscription(req.topic, cmd.Ext.Get("subscription"))
		if !ok {
			return none, refuse(codeSubscriptionParse, "parse the consumer's subscription failed")
		}
		return s, reply{}
	}
	known, ok := b.clients.group(req.group)
	switch {
	case !ok:
		return none, refuse(codeSubscriptionNotExist, "the consumer's group info not exist")
	case !group.BroadcastEnable && known.MessageModel == "BROADCASTING":
		return none, forbiddenPull(forbiddenCast, "the consumer group["+req.group+"] can not consume by broadcast way")
	}
	i := slices.IndexFunc(known.Subscriptions, func(s wire.Subscription) bool { return s.Topic == req.topic })
	switch {
	case i < 0:
		return none, refuse(codeSubscriptionNotExist, "the consumer's subscription not exist")
	case known.Subscriptions[i].Version < req.version:
		return none, refuse(codeSubscriptionOld, "the consumer's subscription not latest")
	}
	return known.Subscriptions[i], reply{}
}

// pull answers from what is stored (Java DefaultMessageStore.getMessage).
func (s *store) pull(req *pullRequest) reply {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var low, high int64
	q := s.queues[queueKey{req.topic, req.queue}]
	if q != nil {
		low, high = q.min, q.max()
	}
	r := reply{remark: "FOUND"}
	next := req.offset
	switch {
	case high == 0:
		// Java calls an offset in an empty queue moved, unless it is the start.
		r.code, r.remark, next = codePullNotFound, "NO_MESSAGE_IN_QUEUE", 0
		if req.offset != 0 {
			r.code = codePullOffsetMoved
		}
	case req.offset < low:
		r.code, r.remark, next = codePullOffsetMoved, "OFFSET_TOO_SMALL", low
	case req.offset == high:
		r.code, r.remark = codePullNotFound, "OFFSET_OVERFLOW_ONE"
	case req.offset > high:
		r.code, r.remark, next = codePullOffsetMoved, "OFFSET_OVERFLOW_BADLY", high
	default:
		n := 0
		for _, e := range q.entries[req.offset-low:] {
			if n > 0 && (n >= min(req.max, maxPullMessages) || len(r.body)+int(e.size) > maxPullBytes) || next-req.offset >= maxPassedOver {
				break
			}
			next++
			if !req.want.Matches(e.tag) {
				continue
			}
			if r.body == nil {
				r.body = make([]byte, 0, max(int(e.size), 4<<10))
			}
			r.body = append(r.body, s.at(e)...)
			n++
		}
		if n == 0 {
			r.code, r.remark = codePullRetryImmediately, "NO_MATCHED_MESSAGE"
		}
	}
	r.ext = wire.Fields{
		{Key: "suggestWhichBrokerId", Value: "0"},
		{Key: "nextBeginOffset", Value: textOf(next)},
		{Key: "minOffset", Value: textOf(low)},
		{Key: "maxOffset", Value: textOf(high)},
		{Key: "topicSysFlag", Value: "0"},
		{Key: "groupSysFlag", Value: "0"},
	}
	return r
}

func noTopic(topic string) reply {
	return refuse(rocketmq.CodeTopicNotExist, "topic["+wire.TrimRemark(topic)+"] not exist, apply first please!")
}

// heldPull is a pull that waits for a message.
type heldPull struct {
	once   sync.Once
	finish func()
}

// release answers pulls whose queue has got a message, or whose time is over.
func release(held []*heldPull) {
	for _, h := range held {
		h.once.Do(h.finish)
	}
}

// own copies the texts of a pull that is kept, and returns what they take.
func (r *pullRequest) own() (size int) {
	r.group, r.topic = strings.Clone(r.group), strings.Clone(r.topic)
	// A subscription of a heartbeat is shared and counted there; that of a header is the pull's.
	if r.sysFlag&pullSubscription != 0 {
		r.want.Topic, r.want.Expression = r.topic, strings.Clone(r.want.Expression)
		size = len(r.want.Expression) + 4*len(r.want.Codes)
	}
	return 4*entryBytes + size + len(r.group) + len(r.topic) // with its timer
}

// hold keeps a pull until its queue gets a message. It reports false if the pull must be answered
// now.
func (b *Broker) hold(c *conn, cmd *wire.Command, req pullRequest) bool {
	s, code, ser, opaque := b.store, cmd.Code, c.form(cmd), cmd.Opaque
	size := req.own()
	key := queueKey{req.topic, req.queue}
	h := &heldPull{}
	var stop func() bool
	h.finish = func() {
		// The waker may be another connection's reader, which must not wait for this one's peer.
		c.sendLater(func() []byte {
			stop()
			s.mu.Lock()
			s.waiting.give(size)
			s.mu.Unlock()
			if c.ended() {
				return nil
			}
			r := s.pull(&req)
			if _, there := b.topics.get(req.topic); !there {
				r = noTopic(req.topic)
			}
			frame, err := appendReply(nil, ser, opaque, &r)
			if err != nil {
				c.unanswered(code, err)
				return nil
			}
			return frame
		})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.queues[key]; q != nil && q.max() > req.offset || !s.waiting.take(size) {
		return false
	}
	stop = b.node.cluster.after(req.suspend, func() {
		s.mu.Lock()
		rest := slices.DeleteFunc(s.held[key], func(o *heldPull) bool { return o == h })
		if s.held[key] = rest; len(rest) == 0 {
			delete(s.held, key)
		}
		s.mu.Unlock()
		h.once.Do(h.finish)
	})
	s.held[key] = append(s.held[key], h)
	return true
}
