package embedded

// QUERY_CONSUMER_OFFSET (14), UPDATE_CONSUMER_OFFSET (15), SEARCH_OFFSET_BY_TIMESTAMP (29),
// GET_MAX_OFFSET (30), GET_MIN_OFFSET (31), GET_EARLIEST_MSG_STORETIME (32): requests to a broker.
//
// Versions: as 5.3.3. A queue that has no messages has the offsets 0 and 0, whether or not its
// topic exists; where a group has committed none, its offset is not found. For 4.9 that is 0, and
// 4.9 keeps offsets for every group and topic.
//
// Deviations: offsets are kept in memory and survive Stop and Start only.

import (
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

type offsetKey struct {
	group string
	queue queueKey
}

// offsets is how far groups have consumed.
type offsets struct {
	mu   sync.Mutex
	at   map[offsetKey]int64
	size quota
}

func (k *offsetKey) size() int { return entrySize(k.group, k.queue.topic) }

func (o *offsets) set(group string, q queueKey, offset int64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.at == nil {
		o.at = make(map[offsetKey]int64)
	}
	key := offsetKey{group, q}
	if _, there := o.at[key]; !there {
		if !o.size.take(key.size()) {
			return false
		}
		key = offsetKey{strings.Clone(group), queueKey{strings.Clone(q.topic), q.id}}
	}
	o.at[key] = offset
	return true
}

func (o *offsets) get(group string, q queueKey) (int64, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, ok := o.at[offsetKey{group, q}]
	return n, ok
}

// remove drops the offsets that match.
func (o *offsets) remove(match func(offsetKey) bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for k := range o.at {
		if match(k) {
			o.size.give(k.size())
			delete(o.at, k)
		}
	}
}

// topics returns the topics of which a group has offsets, sorted.
func (o *offsets) topics(group string) []string {
	return o.names(func(k offsetKey) (string, bool) { return k.queue.topic, k.group == group })
}

// groups returns the groups that have offsets of a topic, sorted.
func (o *offsets) groups(topic string) []string {
	return o.names(func(k offsetKey) (string, bool) { return k.group, k.queue.topic == topic })
}

func (o *offsets) names(of func(offsetKey) (string, bool)) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	seen := make(map[string]bool)
	for k := range o.at {
		if name, ok := of(k); ok {
			seen[name] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// ConsumerOffset returns the offset that a consumer group has committed for a queue of this broker.
func (b *Broker) ConsumerOffset(group, topic string, queue int) (offset int64, ok bool) {
	return b.offsets.get(group, queueKey{topic, queue})
}

func offsetReply(n int64) reply {
	return reply{ext: wire.Fields{{Key: "offset", Value: textOf(n)}}}
}

func (b *Broker) queryOffset(cmd *wire.Command) reply {
	f := readFields(cmd)
	group, key := cmd.Ext.Get("consumerGroup"), queueKey{f.text("topic"), f.int("queueId")}
	if f.err != nil {
		return badField(f.err)
	}
	if n, ok := b.offsets.get(group, key); ok && n >= 0 {
		return offsetReply(n)
	}
	if strings.EqualFold(cmd.Ext.Get("setZeroIfNotFound"), "false") {
		return refuse(codeQueryNotFound, "Not found, do not set to zero, maybe this group boot first")
	}
	// A new group begins at the start while the first message is still there.
	if low, high := b.store.edges(key); low == 0 && high > 0 {
		return offsetReply(0)
	}
	return refuse(codeQueryNotFound, "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first")
}

func (b *Broker) updateOffset(cmd *wire.Command) reply {
	// Java's reader of these fields takes a number that is none for a missing one.
	f := readFields(cmd)
	group, topic := cmd.Ext.Get("consumerGroup"), f.text("topic")
	queue, queueErr := strconv.ParseInt(cmd.Ext.Get("queueId"), 10, 32)
	n, offsetErr := strconv.ParseInt(cmd.Ext.Get("commitOffset"), 10, 64)
	_, known := b.topics.get(topic)
	switch {
	case group == "" || illegalGroup(group):
		return refuse(codeGroupNotExist, "Group "+wire.TrimRemark(group)+" not exist!")
	case f.err != nil:
		return javaException("java.lang.NullPointerException", "the request has no topic")
	case !known:
		return refuse(rocketmq.CodeTopicNotExist, "Topic "+wire.TrimRemark(topic)+" not exist!")
	case queueErr != nil:
		return refuse(rocketmq.CodeInvalidParameter, "QueueId is null, topic is "+topic)
	case offsetErr != nil:
		return refuse(rocketmq.CodeInvalidParameter, "Offset is null, topic is "+topic)
	}
	key := queueKey{topic, int(queue)}
	if !b.offsets.set(group, key, n) {
		return refuse(rocketmq.CodeSystemBusy, "too many consumer offsets")
	}
	return reply{}
}

func (b *Broker) edgeOffset(cmd *wire.Command, greatest bool) reply {
	f := readFields(cmd)
	key := queueKey{f.text("topic"), f.int("queueId")}
	if f.err != nil {
		return badField(f.err)
	}
	low, high := b.store.edges(key)
	if greatest {
		return offsetReply(high)
	}
	return offsetReply(low)
}

func (b *Broker) searchOffset(cmd *wire.Command) reply {
	f := readFields(cmd)
	key, at := queueKey{f.text("topic"), f.int("queueId")}, f.int64("timestamp")
	if f.err != nil {
		return badField(f.err)
	}
	return offsetReply(b.store.search(key, at, strings.EqualFold(cmd.Ext.Get("boundaryType"), "upper")))
}

func (b *Broker) earliestTime(cmd *wire.Command) reply {
	f := readFields(cmd)
	key := queueKey{f.text("topic"), f.int("queueId")}
	if f.err != nil {
		return badField(f.err)
	}
	return reply{ext: wire.Fields{{Key: "timestamp", Value: textOf(b.store.earliest(key))}}}
}

// MaxOffset returns the offset that the next message of a queue of this broker will get.
func (b *Broker) MaxOffset(topic string, queue int) int64 {
	_, high := b.store.edges(queueKey{topic, queue})
	return high
}

// MinOffset returns the offset of the oldest message that the broker still has of a queue.
func (b *Broker) MinOffset(topic string, queue int) int64 {
	low, _ := b.store.edges(queueKey{topic, queue})
	return low
}

// edges returns the least and the next offset of a queue.
func (s *store) edges(key queueKey) (low, high int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if q := s.queues[key]; q != nil {
		return q.min, q.max()
	}
	return 0, 0
}

// search returns the first offset stored at or after a time in milliseconds or, for the upper
// boundary, the last one stored at or before it.
func (s *store) search(key queueKey, at int64, upper bool) int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	q := s.queues[key]
	if q == nil || len(q.entries) == 0 {
		return 0
	}
	if upper {
		n := sort.Search(len(q.entries), func(i int) bool { return s.storedAt(q.entries[i]) > at })
		return q.min + int64(max(n-1, 0))
	}
	return q.min + int64(sort.Search(len(q.entries), func(i int) bool { return s.storedAt(q.entries[i]) >= at }))
}

// earliest returns the store time of a queue's oldest message in milliseconds, -1 without one.
func (s *store) earliest(key queueKey) int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if q := s.queues[key]; q != nil && len(q.entries) > 0 {
		return s.storedAt(q.entries[0])
	}
	return -1
}

func (s *store) storedAt(e entry) int64 {
	m, _, err := wire.ParseStored(s.at(e))
	if err != nil {
		return time.Now().UnixMilli()
	}
	return m.StoreTimestamp
}
