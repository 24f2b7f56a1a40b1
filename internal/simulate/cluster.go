package simulate

import (
	"cmp"
	"context"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

const (
	// noticed is how long after a kill a real name server still listed the broker.
	noticed = 4 * time.Second
	// slowAnswer is how late a slow broker answers.
	slowAnswer = 2 * time.Second
	// flap is how long a broker that flaps is down, and how long it is up.
	flap = time.Second
	// fixedShare is the part of the service time that every send takes.
	fixedShare = 0.6
	// storeRoom is what a message takes in a broker's store at most.
	storeRoom = 512
)

// cluster is the embedded cluster with what a scenario does to it.
type cluster struct {
	*embedded.Cluster
	scenario *Scenario
	names    []string
	outages  []outage

	mu   sync.Mutex
	mood map[string]Incident // how a broker treats sends: Slow, Busy, LostAnswers
}

func newCluster(ctx context.Context, s *Scenario) (*cluster, error) {
	names := embedded.BrokerNames(s.Brokers)
	c := &cluster{scenario: s, names: names, outages: s.outages(names), mood: map[string]Incident{}}
	var err error
	c.Cluster, err = embedded.Start(ctx, embedded.Config{
		Brokers: names, Network: embedded.NewNetwork(), RecordedRequests: -1, MaxConnections: 2 * maxCallers,
		// All messages of all attempts have to stay, or those that had to go would look lost.
		MaxStoredBytes: max(embedded.DefaultMaxStoredBytes, 4*storeRoom*int64(s.Rate*s.Duration.Seconds())),
		MaxTableBytes:  1 << 30,
	})
	if err != nil {
		return nil, err
	}
	if err := c.CreateTopic(s.Topic, queues); err != nil {
		_ = c.Close()
		return nil, err
	}
	for _, code := range []int{wire.SendMessage, wire.SendMessageV2} {
		c.Control(code, c.serve)
	}
	return c, nil
}

// serve decides how a broker treats a send. It stores first and answers when its service time is over,
// so what is under way when it dies is stored without an answer.
func (c *cluster) serve(req *embedded.Request) embedded.Action {
	took := c.service(req)
	c.mu.Lock()
	mood := c.mood[req.Node]
	c.mu.Unlock()
	switch mood {
	case Busy:
		return embedded.Delay(took, embedded.Reply(rocketmq.CodeSystemBusy, "[TIMEOUT_CLEAN_QUEUE]broker busy, start flow control for a while"))
	case Slow:
		took += slowAnswer
	case LostAnswers:
		return embedded.StoreThen(embedded.Delay(took, embedded.Cut()))
	}
	return embedded.StoreThen(embedded.Delay(took, embedded.Pass()))
}

// service is how long a broker takes for a send. The message and the broker decide it, and not
// the order in which requests come: those that one event caused may come in any.
func (c *cluster) service(req *embedded.Request) time.Duration {
	message, node := fnv.New64a(), fnv.New64a()
	_, _ = message.Write(req.Command.Body) // a hash takes everything
	_, _ = node.Write([]byte(req.Node))
	rnd := rand.New(rand.NewPCG(c.scenario.Seed^message.Sum64(), node.Sum64()))
	return time.Duration(float64(c.scenario.Service) * (fixedShare + (1-fixedShare)*rnd.ExpFloat64()))
}

func (c *cluster) setMood(broker string, mood Incident) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mood[broker] = mood
}

// step is something that happens at a time.
type step struct {
	at time.Duration
	do func()
}

// script is what the incident does, in order.
func (c *cluster) script(ctx context.Context) []step {
	var out []step
	add := func(at time.Duration, do func()) { out = append(out, step{at, do}) }
	for _, o := range c.outages {
		b := c.Broker(o.broker)
		start := func() { _ = b.Start(ctx) } // in memory the port is free
		switch c.scenario.Incident {
		case Dead:
			add(o.begin, b.Kill)
			if o.begin+noticed < o.end {
				add(o.begin+noticed, b.Stop)
			}
			add(o.end, start)
		case Hung:
			add(o.begin, b.Pause)
			add(o.end, b.Resume)
		case Flapping:
			for at := o.begin; at < o.end; at += 2 * flap {
				add(at, b.Kill)
				add(min(at+flap, o.end), start)
			}
		case RollingRestart:
			add(o.begin, b.Stop)
			add(o.end, start)
		default: // the others are moods
			add(o.begin, func() { c.setMood(o.broker, c.scenario.Incident) })
			add(o.end, func() { c.setMood(o.broker, None) })
		}
	}
	slices.SortStableFunc(out, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	return out
}

// sick reports whether a broker is sick at a time.
func (c *cluster) sick(broker string, at time.Duration) bool {
	return slices.ContainsFunc(c.outages, func(o outage) bool { return o.broker == broker && at >= o.begin && at < o.end })
}

// copies counts how often each message is stored, by its unique id.
func (c *cluster) copies() map[string]int {
	out := map[string]int{}
	for _, m := range c.Stored(c.scenario.Topic) {
		out[m.UniqueID()]++
	}
	return out
}
