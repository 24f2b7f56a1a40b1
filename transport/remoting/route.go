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

// Route looks a topic up at the name servers. One that they do not know now, though they did
// at an earlier look-up of this client, keeps its last route, for as long as the client lives:
// see [Config].MaxTopics. One that was never known gets the queues that brokers would create
// for it: those of the create-topic key, at most [Config].DefaultTopicQueueNums of each
// broker (Java: MQClientInstance.updateTopicRouteInfoFromNameServer).
//
// Errors: a *[RouteError], which matches [core.ErrNoRoute], where there is
// nothing to send to; a *[NameServerError] where no server answered in the time of ctx; the
// end of ctx.
func (c *Client) Route(ctx context.Context, topic string) (*core.Route, error) {
	if err := c.usable(); err != nil {
		return nil, err
	}
	data, err := c.lookUp(ctx, topic)
	if err != nil {
		return nil, err
	}
	own := data != nil
	if !own {
		route, known, first := c.known.keep(topic)
		if first {
			c.log.Warn("no name server knows the topic any more; its last route is kept", "topic", topic)
		}
		switch {
		case route != nil:
			return route, nil
		case known:
			return nil, noWritable(topic)
		}
		if data, err = c.defaultRoute(ctx, topic); err != nil {
			return nil, err
		}
	}
	if readOnly(data) {
		c.known.set(topic, nil, own)
		return nil, noWritable(topic)
	}
	route, err := c.usableRoute(ctx, topic, data)
	if err != nil {
		return nil, err
	}
	c.known.set(topic, route, own)
	return route, nil
}

// defaultRoute is the route by which a topic is created.
func (c *Client) defaultRoute(ctx context.Context, topic string) (*wire.RouteData, error) {
	data, err := c.lookUp(ctx, c.cfg.CreateTopicKey)
	if err != nil {
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
	return data, nil
}

// noWritable is the error for a topic that nobody may write to.
func noWritable(topic string) error {
	return &RouteError{Topic: topic, Reason: "the route has no writable queue", readOnly: true}
}

// usableRoute keeps what can be sent to: writable queues of brokers whose master
// has an address that can be dialed and is allowed. The queues of an order configuration and of
// a static topic are all kept, because a key's place depends on their number; those of other
// brokers are there as absent ones. It costs time in proportion to brokers and queues.
func (c *Client) usableRoute(ctx context.Context, topic string, data *wire.RouteData) (*core.Route, error) {
	addrs, err := c.masters(ctx, topic, data)
	if err != nil {
		return nil, err
	}
	var refused error
	found := make(map[string]core.Broker, len(data.Brokers))
	masters := make([]wire.BrokerData, 0, len(data.Brokers))
	for i := range data.Brokers {
		b := &data.Brokers[i]
		raw, ok := b.Master()
		if _, twice := found[b.BrokerName]; twice || !ok {
			continue
		}
		refuse := addrs[i].refused
		if refuse == nil {
			refuse = checkNames(b, addrs[i].addr)
		}
		if refuse != nil {
			refused = fmt.Errorf("broker %s at %s: %w", words.Quote(b.BrokerName), words.Quote(raw), refuse)
			continue
		}
		found[b.BrokerName] = core.Broker{Name: b.BrokerName, Addr: addrs[i].addr, Cluster: b.Cluster, Network: c.network}
		masters = append(masters, *b)
	}
	published, err := wire.PublishQueues(&wire.RouteData{
		OrderTopicConf: data.OrderTopicConf, Queues: data.Queues, Brokers: masters, Mappings: data.Mappings,
	})
	if err != nil {
		return nil, noQueue(topic, err, refused)
	}
	queues := make([]core.Queue, len(published))
	brokers := make([]core.Broker, 0, len(masters))
	used := make(map[string]bool, len(masters))
	there := false
	for i, q := range published {
		queues[i] = core.Queue{Broker: q.BrokerName, ID: q.QueueID}
		if used[q.BrokerName] {
			continue
		}
		used[q.BrokerName] = true
		b, ok := found[q.BrokerName]
		if b.Name = q.BrokerName; ok {
			there = true
		}
		brokers = append(brokers, b)
	}
	if !there {
		return nil, noQueue(topic, wire.ErrNoMaster, refused)
	}
	makeRoute := core.NewRoute
	if data.Static() {
		makeRoute = core.NewStaticRoute
	}
	route, err := makeRoute(queues, brokers)
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

// knownRoutes remembers where topics live. The brokers of those in use stay connected, and
// connections to other brokers are closed when idle. The routes that name servers gave are
// kept longer than that: see keep.
type knownRoutes struct {
	mu     sync.Mutex
	most   int
	topics map[string]*knownRoute
	queues int            // of all routes
	uses   map[string]int // topics in use of each address
	latest time.Time      // the last successful look-up of any topic
}

type knownRoute struct {
	route *core.Route // nil for a topic that is read-only
	own   bool        // and not the default topic's
	used  bool        // somebody sends to it
	lost  bool        // no name server knows it any more
	seen  time.Time   // when it was last looked up
}

// routeAge is how long a topic counts as in use after its last look-up. Look-ups
// are repeated while it is, so this is a matter of missing several; while no name
// server answers, nothing ages.
const routeAge = 10 * time.Minute

// maxKnownQueues bounds the routes that are remembered by what they take, about 32 MiB.
const maxKnownQueues = 1 << 20

func (k *knownRoutes) init(most int) {
	k.most, k.topics, k.uses = most, map[string]*knownRoute{}, map[string]int{}
}

// set notes a topic's route, nil for one that is read-only.
func (k *knownRoutes) set(topic string, route *core.Route, own bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.latest = time.Now()
	r := &knownRoute{route: route, own: own, seen: k.latest}
	k.use(r)
	k.forget(topic)
	for len(k.topics) > 0 && (len(k.topics) >= k.most || k.queues+r.len() > maxKnownQueues) {
		k.evict()
	}
	k.topics[topic] = r
	k.queues += r.len()
}

// keep gives the route of a topic that no name server knows now, nil if none ever did. A name
// server that was started a moment ago knows the topics of those brokers only that have
// registered since. So the route stays, as in Java: by the default topic's route the
// messages would go to brokers that do not have the topic, and create it there. Known says
// that the topic is no new one, also where there is no route; first that this was not so at
// the last look-up.
func (k *knownRoutes) keep(topic string) (route *core.Route, known, first bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.topics[topic]
	if r == nil || !r.own {
		return nil, false, false
	}
	first = !r.lost
	r.lost, r.seen = true, time.Now()
	k.latest = r.seen
	k.use(r)
	return r.route, true, first
}

func (k *knownRoutes) drop(topic string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forget(topic)
}

// len is the number of its queues.
func (r *knownRoute) len() int {
	if r.route == nil {
		return 0
	}
	return r.route.Len()
}

// addrs are the addresses of its brokers.
func (r *knownRoute) addrs() (out []string) {
	if r.route == nil {
		return nil
	}
	for _, b := range r.route.Brokers() {
		if !b.Absent() {
			out = append(out, b.Addr)
		}
	}
	return out
}

// use counts a topic's brokers as in use. Here and below the lock is held.
func (k *knownRoutes) use(r *knownRoute) {
	if r.used {
		return
	}
	r.used = true
	for _, a := range r.addrs() {
		k.uses[a]++
	}
}

func (k *knownRoutes) unuse(r *knownRoute) {
	if !r.used {
		return
	}
	r.used = false
	for _, a := range r.addrs() {
		if k.uses[a]--; k.uses[a] == 0 {
			delete(k.uses, a)
		}
	}
}

// forget takes a topic out.
func (k *knownRoutes) forget(topic string) {
	if r := k.topics[topic]; r != nil {
		k.unuse(r)
		k.queues -= r.len()
		delete(k.topics, topic)
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
		switch {
		case k.latest.Sub(r.seen) <= routeAge:
		case r.own:
			k.unuse(r)
		default:
			k.forget(topic)
		}
	}
	out := make(map[string]bool, len(k.uses))
	for a := range k.uses {
		out[a] = true
	}
	return out
}
