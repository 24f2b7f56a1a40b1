package admin

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/words"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// QueueOffsets is what a broker has of one queue.
type QueueOffsets struct {
	core.Queue
	// Min is the offset of the oldest message that is there, Max the one that the next message
	// gets. Of an empty queue they are equal.
	Min, Max int64
	// Earliest is when the oldest message was stored; the zero time of an empty queue.
	Earliest time.Time
}

// Offsets gives the offsets of all queues of a topic, those to read and those to write, by
// broker and number. Each broker is asked for its queues one by one: GET_MAX_OFFSET (30),
// GET_MIN_OFFSET (31) and GET_EARLIEST_MSG_STORETIME (32). A broker that fails is asked for no
// further queue, and is in a *[BrokersError] beside what the others have. So is one that answers with
// an offset below 0, with a *[remoting.AnswerError].
func (a *Admin) Offsets(ctx context.Context, topic string) ([]QueueOffsets, error) {
	route, err := a.Route(ctx, topic)
	if err != nil {
		return nil, err
	}
	queues := queuesOf(route)
	brokers := slices.DeleteFunc(mastersOf(route.Brokers), func(b broker) bool { return len(queues[b.name]) == 0 })
	var mu sync.Mutex
	var out []QueueOffsets
	err = a.each(ctx, "offsets of topic "+topic, brokers, func(ctx context.Context, b broker) error {
		for _, id := range queues[b.name] {
			o, err := a.offsetsOf(ctx, topic, b, id)
			if err != nil {
				return fmt.Errorf("queue %d: %w", id, err)
			}
			mu.Lock()
			out = append(out, o)
			mu.Unlock()
		}
		return nil
	})
	slices.SortFunc(out, func(a, b QueueOffsets) int {
		return cmp.Or(cmp.Compare(a.Broker, b.Broker), cmp.Compare(a.ID, b.ID))
	})
	return out, err
}

// queuesOf are the queues of each broker. Those of a static topic are the logical ones that it
// leads.
func queuesOf(route *wire.RouteData) map[string][]int {
	out := map[string][]int{}
	if route.Static() {
		for i := range route.Mappings {
			m := &route.Mappings[i]
			out[m.BrokerName] = slices.Sorted(maps.Keys(m.Queues))
		}
		return out
	}
	for _, q := range route.Queues {
		for id := len(out[q.BrokerName]); id < max(q.ReadQueueNums, q.WriteQueueNums); id++ {
			out[q.BrokerName] = append(out[q.BrokerName], id)
		}
	}
	return out
}

// noTime is the time of a queue without messages (Java: DefaultMessageStore.getEarliestMessageTime).
const noTime = -1

func (a *Admin) offsetsOf(ctx context.Context, topic string, b broker, id int) (QueueOffsets, error) {
	o := QueueOffsets{Queue: core.Queue{Broker: b.name, ID: id}}
	fields := queueFields(topic, o.Queue)
	var err error
	if o.Max, err = a.number(ctx, b, wire.GetMaxOffset, "offset", fields, 0); err != nil {
		return o, err
	}
	if o.Min, err = a.number(ctx, b, wire.GetMinOffset, "offset", fields, 0); err != nil {
		return o, err
	}
	// The edges are asked for one after the other; meanwhile old messages may go.
	if o.Max = max(o.Max, o.Min); o.Max == o.Min {
		return o, nil
	}
	millis, err := a.number(ctx, b, wire.GetEarliestMsgStoreTime, "timestamp", fields, noTime)
	if err == nil && millis > 0 {
		o.Earliest = time.UnixMilli(millis)
	}
	return o, err
}

// queueFields names a queue. Brokers from 5.0 on find by "bname" who leads it in a static topic.
func queueFields(topic string, q core.Queue) wire.Fields {
	return wire.Fields{{Key: "topic", Value: topic}, {Key: "queueId", Value: strconv.Itoa(q.ID)}, {Key: "bname", Value: q.Broker}}
}

// OffsetAt is the offset of the first message of a queue that was stored at a time or later,
// with SEARCH_OFFSET_BY_TIMESTAMP (29). If there is none it is the one that the next message
// gets, of 4.9 that of the last message (Java: MQAdminImpl.searchOffset). An offset below 0 is a
// *[remoting.AnswerError].
func (a *Admin) OffsetAt(ctx context.Context, topic string, queue core.Queue, at time.Time) (int64, error) {
	route, err := a.Route(ctx, topic)
	if err != nil {
		return 0, err
	}
	data := route.Broker(queue.Broker)
	if data == nil {
		return 0, fmt.Errorf("%w: broker %s is not in the route of %s", core.ErrNoRoute, words.Quote(queue.Broker), words.Quote(topic))
	}
	addr, ok := data.Master()
	if !ok {
		return 0, fmt.Errorf("broker %s: %w", words.Quote(queue.Broker), errNoMaster)
	}
	fields := append(queueFields(topic, queue), wire.Field{Key: "timestamp", Value: strconv.FormatInt(at.UnixMilli(), 10)})
	return a.number(ctx, broker{name: queue.Broker, addr: addr}, wire.SearchOffsetByTimestamp, "offset", fields, 0)
}
