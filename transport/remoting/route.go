package remoting

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/internal/words"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Route looks a topic up at the name servers. A topic that they do not know gets
// the queues that brokers would create for it: those of the create-topic key,
// at most [Config].DefaultTopicQueueNums of each broker (Java:
// MQClientInstance.updateTopicRouteInfoFromNameServer).
//
// Errors: a *[RouteError], which matches [core.ErrNoRoute], where there is
// nothing to send to; a *[NameServerError] where no server answered; the end of
// ctx.
func (c *Client) Route(ctx context.Context, topic string) (*core.Route, error) {
	if err := c.usable(); err != nil {
		return nil, err
	}
	data, err := c.lookUp(ctx, topic)
	if err != nil {
		return nil, err
	}
	if data == nil {
		if data, err = c.lookUp(ctx, c.cfg.CreateTopicKey); err != nil {
			return nil, err
		}
		if data == nil {
			c.known.drop(topic)
			return nil, &RouteError{Topic: topic, Reason: "the topic does not exist, and brokers do not create topics"}
		}
		for i := range data.Queues {
			q := &data.Queues[i]
			q.WriteQueueNums = min(q.ReadQueueNums, c.cfg.DefaultTopicQueueNums)
			q.ReadQueueNums = q.WriteQueueNums
		}
	}
	if readOnly(data) {
		c.known.drop(topic)
		return nil, &RouteError{Topic: topic, Reason: "the route has no writable queue", readOnly: true}
	}
	route, err := c.usableRoute(topic, data)
	if err != nil {
		return nil, err
	}
	if c.known.set(topic, route) {
		c.kickHeartbeat()
	}
	return route, nil
}

// usableRoute keeps what can be sent to: writable queues of brokers whose master
// has an address that can be dialed and is allowed.
func (c *Client) usableRoute(topic string, data *wire.RouteData) (*core.Route, error) {
	var refused error
	brokers := make([]core.Broker, 0, len(data.Brokers))
	masters := make([]wire.BrokerData, 0, len(data.Brokers))
	for i := range data.Brokers {
		b := &data.Brokers[i]
		addr, ok := b.Master()
		if !ok || slices.ContainsFunc(brokers, func(o core.Broker) bool { return o.Name == b.BrokerName }) {
			continue
		}
		if c.cfg.MapAddr != nil {
			addr = c.cfg.MapAddr(addr)
		}
		if err := checkBroker(b, addr); err != nil {
			refused = fmt.Errorf("broker %s at %s: %w", words.Quote(b.BrokerName), words.Quote(addr), err)
			continue
		}
		if c.cfg.AllowBroker != nil && !c.cfg.AllowBroker(addr) {
			refused = fmt.Errorf("broker %s at %s: the address is not allowed", words.Quote(b.BrokerName), words.Quote(addr))
			continue
		}
		brokers = append(brokers, core.Broker{Name: b.BrokerName, Addr: addr, Cluster: b.Cluster})
		masters = append(masters, *b)
	}
	published, err := wire.PublishQueues(&wire.RouteData{
		OrderTopicConf: data.OrderTopicConf, Queues: data.Queues, Brokers: masters,
	})
	if err != nil {
		return nil, noQueue(topic, err, refused)
	}
	queues := make([]core.Queue, 0, len(published))
	used := make(map[string]bool, len(brokers))
	for _, q := range published {
		// An order configuration may name brokers that are not there.
		if slices.ContainsFunc(brokers, func(b core.Broker) bool { return b.Name == q.BrokerName }) {
			queues = append(queues, core.Queue{Broker: q.BrokerName, ID: q.QueueID})
			used[q.BrokerName] = true
		}
	}
	if len(queues) == 0 {
		return nil, noQueue(topic, wire.ErrNoMaster, refused)
	}
	brokers = slices.DeleteFunc(brokers, func(b core.Broker) bool { return !used[b.Name] })
	route, err := core.NewRoute(queues, brokers)
	if err != nil {
		return nil, &RouteError{Topic: topic, Reason: "the route is unusable", Err: err}
	}
	return route, nil
}

func noQueue(topic string, err, refused error) error {
	reason := "the route is unusable"
	switch {
	case errors.Is(err, wire.ErrNoWritableQueue):
		reason, err = "the route has no writable queue", refused
	case errors.Is(err, wire.ErrNoMaster) && refused != nil:
		reason, err = "no broker of the route can be used", refused
	case errors.Is(err, wire.ErrNoMaster):
		reason, err = "no writable queue has a master broker", nil
	}
	return &RouteError{Topic: topic, Reason: reason, Err: err}
}

// readOnly reports whether nobody may write to any queue of a route. A route without
// queues, or with none to write to, says no such thing: it is half a route.
func readOnly(data *wire.RouteData) bool {
	return len(data.Queues) > 0 && !slices.ContainsFunc(data.Queues, func(q wire.QueueData) bool { return q.Perm&rocketmq.PermWrite != 0 })
}

// knownRoutes remembers where the topics in use live: their brokers get
// heartbeats, and connections to other brokers are closed when idle.
type knownRoutes struct {
	mu     sync.Mutex
	most   int
	topics map[string]knownRoute
	uses   map[string]int // topics of each address
	latest time.Time      // the last successful look-up of any topic
}

type knownRoute struct {
	addrs []string
	seen  time.Time
}

// routeAge is how long a topic counts as in use after its last look-up. Look-ups
// are repeated while it is, so this is a matter of missing several; while no name
// server answers, nothing ages.
const routeAge = 10 * time.Minute

func (k *knownRoutes) init(most int) {
	k.most, k.topics, k.uses = most, map[string]knownRoute{}, map[string]int{}
}

// set notes a topic's brokers. It reports whether a broker is new to all topics.
func (k *knownRoutes) set(topic string, route *core.Route) (news bool) {
	brokers := route.Brokers()
	addrs := make([]string, len(brokers))
	for i, b := range brokers {
		addrs[i] = b.Addr
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.latest = time.Now()
	old, ok := k.topics[topic]
	if !ok && len(k.topics) >= k.most {
		k.evict()
	}
	k.topics[topic] = knownRoute{addrs, k.latest}
	for _, a := range addrs {
		news = news || k.uses[a] == 0
		k.uses[a]++
	}
	k.unuse(old.addrs)
	return news
}

func (k *knownRoutes) drop(topic string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forget(topic)
}

// forget takes a topic out. It is called with the lock held.
func (k *knownRoutes) forget(topic string) {
	k.unuse(k.topics[topic].addrs)
	delete(k.topics, topic)
}

func (k *knownRoutes) unuse(addrs []string) {
	for _, a := range addrs {
		if k.uses[a]--; k.uses[a] == 0 {
			delete(k.uses, a)
		}
	}
}

// evict makes room by dropping the topic that was looked up longest ago.
func (k *knownRoutes) evict() {
	var oldest string
	var seen time.Time
	for topic, r := range k.topics {
		if oldest == "" || r.seen.Before(seen) {
			oldest, seen = topic, r.seen
		}
	}
	k.forget(oldest)
}

// addrs returns the brokers of all topics in use.
func (k *knownRoutes) addrs() map[string]bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for topic, r := range k.topics {
		if k.latest.Sub(r.seen) > routeAge {
			k.forget(topic)
		}
	}
	out := make(map[string]bool, len(k.uses))
	for a := range k.uses {
		out[a] = true
	}
	return out
}
