package wire

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// Reasons why a route gives nothing to publish to. Both are normal states of a cluster.
var (
	// ErrNoWritableQueue: no queue of the route may be written.
	ErrNoWritableQueue = errors.New("wire: route has no writable queue")
	// ErrNoMaster: there are writable queues, but none of their brokers has a master.
	ErrNoMaster = errors.New("wire: route has no master for its writable queues")
)

// RouteData is what a name server knows about a topic (Java TopicRouteData).
type RouteData struct {
	// OrderTopicConf names the queues of an ordered topic; see [ParseOrderConf].
	OrderTopicConf string
	Queues         []QueueData
	Brokers        []BrokerData
	// Mappings say which broker leads which logical queue of a static topic (5.x), an entry for
	// each broker. Other topics have none.
	Mappings []QueueMapping
}

// Static reports whether it is a static topic, which has logical queues. Their numbers are the
// topic's, whatever broker leads them. An order configuration takes precedence, as in Java.
func (r *RouteData) Static() bool { return len(r.Mappings) > 0 && r.OrderTopicConf == "" }

// QueueMapping says which logical queues of a static topic a broker leads (Java
// TopicQueueMappingInfo, without its scope, of which only "__global__" has ever been in use).
type QueueMapping struct {
	BrokerName string
	// TotalQueues is the number of the topic's logical queues, over all brokers.
	TotalQueues int
	// Epoch grows with each change. Where two brokers claim a queue the greater one is right.
	Epoch int64
	// Queues maps logical queues to the broker's own queues, in which it stores them.
	Queues map[int]int
}

// QueueData says how many queues a broker has for the topic.
type QueueData struct {
	BrokerName     string
	ReadQueueNums  int
	WriteQueueNums int
	// Perm holds rocketmq.PermRead, rocketmq.PermWrite and so on.
	Perm         int
	TopicSysFlag int
}

// BrokerData says where the brokers of one name are.
type BrokerData struct {
	Cluster    string
	BrokerName string
	// Addrs maps broker ids to addresses; [rocketmq.MasterID] is the master's.
	Addrs              map[int64]string
	ZoneName           string
	EnableActingMaster bool
}

// Master returns the address of the broker's master.
func (b *BrokerData) Master() (addr string, ok bool) {
	addr, ok = b.Addrs[rocketmq.MasterID]
	return addr, ok && addr != ""
}

// Broker returns the entry of a broker name, nil if there is none.
func (r *RouteData) Broker(name string) *BrokerData {
	for i := range r.Brokers {
		if r.Brokers[i].BrokerName == name {
			return &r.Brokers[i]
		}
	}
	return nil
}

// Clone returns a deep copy.
func (r *RouteData) Clone() *RouteData {
	c := *r
	c.Queues = slices.Clone(r.Queues)
	c.Brokers = slices.Clone(r.Brokers)
	for i := range c.Brokers {
		c.Brokers[i].Addrs = maps.Clone(c.Brokers[i].Addrs)
	}
	c.Mappings = slices.Clone(r.Mappings)
	for i := range c.Mappings {
		c.Mappings[i].Queues = maps.Clone(c.Mappings[i].Queues)
	}
	return &c
}

// Equal reports whether two routes say the same, the order of their entries aside.
func (r *RouteData) Equal(o *RouteData) bool {
	if r.OrderTopicConf != o.OrderTopicConf || len(r.Queues) != len(o.Queues) || len(r.Brokers) != len(o.Brokers) ||
		len(r.Mappings) != len(o.Mappings) {
		return false
	}
	byQueue := func(a, b QueueData) int {
		return cmp.Or(cmp.Compare(a.BrokerName, b.BrokerName), a.Perm-b.Perm, a.WriteQueueNums-b.WriteQueueNums,
			a.ReadQueueNums-b.ReadQueueNums, a.TopicSysFlag-b.TopicSysFlag)
	}
	byBroker := func(a, b BrokerData) int {
		return cmp.Or(cmp.Compare(a.BrokerName, b.BrokerName), cmp.Compare(a.Cluster, b.Cluster))
	}
	byMapping := func(a, b QueueMapping) int {
		return cmp.Or(cmp.Compare(a.BrokerName, b.BrokerName), cmp.Compare(a.Epoch, b.Epoch))
	}
	return slices.Equal(slices.SortedFunc(slices.Values(r.Queues), byQueue), slices.SortedFunc(slices.Values(o.Queues), byQueue)) &&
		slices.EqualFunc(slices.SortedFunc(slices.Values(r.Mappings), byMapping), slices.SortedFunc(slices.Values(o.Mappings), byMapping),
			func(a, b QueueMapping) bool {
				return a.BrokerName == b.BrokerName && a.TotalQueues == b.TotalQueues && a.Epoch == b.Epoch && maps.Equal(a.Queues, b.Queues)
			}) &&
		slices.EqualFunc(slices.SortedFunc(slices.Values(r.Brokers), byBroker), slices.SortedFunc(slices.Values(o.Brokers), byBroker),
			func(a, b BrokerData) bool {
				return a.Cluster == b.Cluster && a.BrokerName == b.BrokerName && maps.Equal(a.Addrs, b.Addrs) &&
					a.ZoneName == b.ZoneName && a.EnableActingMaster == b.EnableActingMaster
			})
}

// PublishQueue is a queue that a producer may send to.
type PublishQueue struct {
	BrokerName string
	QueueID    int
}

// PublishQueues lists the queues to publish to, by Java's rule (MQClientInstance,
// topicRouteData2TopicPublishInfo): those of the order configuration if there is one, in its
// order; else all logical queues of a static topic, in the order of their numbers; else every
// queue below the write count of each writable broker that has a master, sorted by broker name.
// The first two kinds are listed whatever the brokers are like, because a key's place depends on
// the number of queues. A logical queue that no broker leads has [rocketmq.MockBrokerNone].
//
// Errors: [ErrNoWritableQueue], [ErrNoMaster], and those of [ParseOrderConf]. More than
// [MaxRouteQueues] queues match [ErrLimit] before any list is made.
func PublishQueues(r *RouteData) ([]PublishQueue, error) {
	if r.OrderTopicConf != "" {
		conf, err := ParseOrderConf(r.OrderTopicConf)
		if err != nil {
			return nil, err
		}
		return expand(conf)
	}
	if r.Static() {
		return logicalQueues(r.Mappings)
	}
	masters := make(map[string]bool, len(r.Brokers))
	for i := range r.Brokers {
		if _, ok := r.Brokers[i].Master(); ok {
			masters[r.Brokers[i].BrokerName] = true
		}
	}
	counts := make([]OrderQueues, 0, len(r.Queues))
	seen := make(map[string]bool, len(r.Queues))
	writable := false
	for _, q := range r.Queues {
		if q.Perm&rocketmq.PermWrite == 0 || q.WriteQueueNums <= 0 {
			continue
		}
		writable = true
		// A broker named twice would have each of its queues twice.
		if masters[q.BrokerName] && !seen[q.BrokerName] {
			seen[q.BrokerName] = true
			counts = append(counts, OrderQueues{BrokerName: q.BrokerName, Queues: q.WriteQueueNums})
		}
	}
	switch {
	case !writable:
		return nil, ErrNoWritableQueue
	case len(counts) == 0:
		return nil, ErrNoMaster
	}
	slices.SortFunc(counts, func(a, b OrderQueues) int { return strings.Compare(a.BrokerName, b.BrokerName) })
	return expand(counts)
}

// logicalQueues lists the queues of a static topic with the brokers that lead them (Java
// ClientMetadata.topicRouteData2EndpointsForStaticTopic).
func logicalQueues(mappings []QueueMapping) ([]PublishQueue, error) {
	total := 0
	for i := range mappings {
		total = max(total, mappings[i].TotalQueues)
	}
	switch {
	case total > MaxRouteQueues:
		return nil, tooMuch(partRoute, "more than "+strconv.Itoa(MaxRouteQueues)+" queues")
	case total <= 0:
		return nil, ErrNoWritableQueue
	}
	out := make([]PublishQueue, total)
	for id := range out {
		out[id] = PublishQueue{BrokerName: rocketmq.MockBrokerNone, QueueID: id}
	}
	// The newest claim comes last. Of two with one epoch the order of names decides, so that the
	// same route gives the same queues.
	for _, m := range slices.SortedFunc(slices.Values(mappings), func(a, b QueueMapping) int {
		return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), strings.Compare(a.BrokerName, b.BrokerName))
	}) {
		for id := range m.Queues {
			if 0 <= id && id < total && m.BrokerName != "" {
				out[id].BrokerName = m.BrokerName
			}
		}
	}
	return out, nil
}

func expand(counts []OrderQueues) ([]PublishQueue, error) {
	total := 0
	for _, c := range counts {
		// Each term is bounded before it is added: the sum cannot overflow.
		if c.Queues > MaxRouteQueues || total+c.Queues > MaxRouteQueues {
			return nil, tooMuch(partRoute, "more than "+strconv.Itoa(MaxRouteQueues)+" queues")
		}
		total += c.Queues
	}
	if total == 0 {
		return nil, ErrNoWritableQueue
	}
	out := make([]PublishQueue, 0, total)
	for _, c := range counts {
		for id := range c.Queues {
			out = append(out, PublishQueue{BrokerName: c.BrokerName, QueueID: id})
		}
	}
	return out, nil
}

// OrderQueues is one entry of an order configuration: queues 0 to Queues-1 of a broker.
type OrderQueues struct {
	BrokerName string
	Queues     int
}

// ParseOrderConf decodes an order configuration "broker-a:4;broker-b:4". Like Java it allows a
// last semicolon. Errors match [ErrDecode]; more than [MaxRouteQueues] queues in one entry or
// more than [MaxRouteBrokers] entries match [ErrLimit].
func ParseOrderConf(conf string) ([]OrderQueues, error) {
	const part = "order configuration"
	var out []OrderQueues
	at := 0
	for entry := range strings.SplitSeq(strings.TrimRight(conf, ";"), ";") {
		name, count, ok := strings.Cut(entry, ":")
		if !ok || name == "" {
			return nil, malformed(part, "entry is not broker:count", at)
		}
		n, ok := parseInt32(count)
		if !ok || n < 0 {
			return nil, malformed(part, "count is not a number", at)
		}
		if n > MaxRouteQueues {
			return nil, tooMuch(part, "more than "+strconv.Itoa(MaxRouteQueues)+" queues")
		}
		if len(out) == MaxRouteBrokers {
			return nil, tooMuch(part, "more than "+strconv.Itoa(MaxRouteBrokers)+" brokers")
		}
		out = append(out, OrderQueues{BrokerName: name, Queues: int(n)})
		at += len(entry) + 1
	}
	return out, nil
}
