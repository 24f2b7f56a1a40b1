package embedded

// Static topics (5.x): logical queues, each led by one broker, which keeps it in a queue of its own.
//
// Versions: as 5.3.3 for who sends: the route has the mapping by broker, and a broker that does not
// lead a queue answers a send to it with 501.
//
// Deviations: name servers and brokers know a change at once. Offsets go on after a change, where
// real ones leave a gap of some 10,000, and are never unknown. They are the logical ones in answers
// to sends, and the brokers' own in [Cluster.Stored]. Consumers cannot read a static topic: every
// other request of a broker that names it is refused with code 1.

import (
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// staticTopics are the static topics of a cluster.
type staticTopics struct {
	mu     sync.RWMutex
	topics map[string]*staticTopic
}

// staticTopic is one of them. Its queues are replaced, not changed.
type staticTopic struct {
	epoch  int64
	own    map[*Broker]int // queues that brokers have made for it
	queues []logicalQueue
}

// logicalQueue says where a logical queue is.
type logicalQueue struct {
	broker *Broker // leads it
	own    int     // the broker's own queue
	shift  int64   // from the offsets there to the logical ones
}

// lead gives the queue to a broker, in a new queue of its own.
func (t *staticTopic) lead(broker *Broker, shift int64) logicalQueue {
	q := logicalQueue{broker: broker, own: t.own[broker], shift: shift}
	t.own[broker]++
	return q
}

// CreateStaticTopic makes a static topic: it has as many logical queues as leaders, which are
// numbered from 0, and the broker that is named at a queue's place leads it. Errors: an illegal
// name, an unknown broker, no queue or more than 65536, a topic that is there.
func (c *Cluster) CreateStaticTopic(topic string, leaders ...string) error {
	if len(leaders) == 0 || len(leaders) > maxQueues {
		return fmt.Errorf("embedded: static topic %s: 1 to %d queues are allowed", topic, maxQueues)
	}
	t := &staticTopic{own: map[*Broker]int{}}
	for _, name := range leaders {
		b := c.Broker(name)
		if b == nil {
			return fmt.Errorf("embedded: no broker %q", name)
		}
		t.queues = append(t.queues, t.lead(b, 0))
	}
	c.static.mu.Lock()
	defer c.static.mu.Unlock()
	if _, there := c.static.topics[topic]; there {
		return fmt.Errorf("embedded: static topic %s exists", topic)
	}
	for _, b := range c.brokers {
		if _, there := b.topics.get(topic); there {
			return fmt.Errorf("embedded: topic %s exists on %s", topic, b.Name())
		}
	}
	if err := c.putOwn(topic, t); err != nil {
		return err
	}
	if c.static.topics == nil {
		c.static.topics = map[string]*staticTopic{}
	}
	t.epoch = 1
	c.static.topics[topic] = t
	return nil
}

// RemapQueue gives a logical queue of a static topic to another broker. The old one refuses sends
// to it from then on, with code 501. Errors: no static topic of that name, no such queue, an
// unknown broker.
func (c *Cluster) RemapQueue(topic string, queue int, broker string) error {
	b := c.Broker(broker)
	if b == nil {
		return fmt.Errorf("embedded: no broker %q", broker)
	}
	c.static.mu.Lock()
	defer c.static.mu.Unlock()
	t := c.static.topics[topic]
	if t == nil || queue < 0 || queue >= len(t.queues) {
		return fmt.Errorf("embedded: no queue %d of a static topic %s", queue, topic)
	}
	old := t.queues[queue]
	if old.broker == b {
		return nil
	}
	_, end := old.broker.store.edges(queueKey{topic, old.own})
	t.queues[queue] = t.lead(b, old.shift+end)
	t.epoch++
	return c.putOwn(topic, t)
}

// putOwn gives each broker the queues that it leads or has led.
func (c *Cluster) putOwn(topic string, t *staticTopic) error {
	for b, n := range t.own {
		if err := c.CreateTopic(topic, n, b.Name()); err != nil {
			return err
		}
	}
	return nil
}

// find gives the place of a logical queue on the broker, where it leads it. Of a negative number
// it gives the broker's first one, as brokers choose for a request that leaves the queue to them.
func (s *staticTopics) find(topic string, queue int, b *Broker) (q logicalQueue, id int, static, leads bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.topics[topic]
	if t == nil {
		return q, queue, false, false
	}
	if queue < 0 {
		queue = max(0, slices.IndexFunc(t.queues, func(q logicalQueue) bool { return q.broker == b }))
	}
	if queue < len(t.queues) {
		q = t.queues[queue]
	}
	return q, queue, true, q.broker == b
}

// mappings are those of a topic's route, nil for a topic that is not static.
func (s *staticTopics) mappings(topic string) []wire.QueueMapping {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.topics[topic]
	if t == nil {
		return nil
	}
	at := map[*Broker]int{}
	var out []wire.QueueMapping
	for b := range t.own {
		at[b] = len(out)
		out = append(out, wire.QueueMapping{BrokerName: b.Name(), TotalQueues: len(t.queues), Epoch: t.epoch, Queues: map[int]int{}})
	}
	for id, q := range t.queues {
		out[at[q.broker]].Queues[id] = q.own
	}
	return out
}

// putLogical is put for every topic: the request's queue may be a logical one.
func (b *Broker) putLogical(c *conn, cmd *wire.Command, req *wire.SendRequest) reply {
	q, id, static, leads := b.node.cluster.static.find(req.Topic, req.QueueID, b)
	switch {
	case !static:
		return b.put(c, cmd, req)
	case !leads:
		return reply{
			code:   rocketmq.CodeNotLeaderForQueue,
			remark: req.Topic + "-" + strconv.Itoa(id) + " does not exit in request process of current broker " + b.Name(),
			thrown: true, // it is refused before the fields of other refusals are there
		}
	}
	req.QueueID = q.own
	r := b.put(c, cmd, req)
	if r.stored {
		r.send.QueueID, r.send.QueueOffset = id, r.send.QueueOffset+q.shift
	}
	return r
}

// refuseStatic refuses what is asked of a static topic besides a send.
func (b *Broker) refuseStatic(cmd *wire.Command) (r reply, refused bool) {
	topic := cmd.Ext.Get("topic")
	if _, _, static, _ := b.node.cluster.static.find(topic, 0, b); !static {
		return r, false
	}
	return refuse(rocketmq.CodeSystemError, "request "+strconv.Itoa(cmd.Code)+" for the static topic "+topic+" is not modelled here"), true
}
