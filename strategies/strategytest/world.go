package strategytest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// world is a real producer in which a strategy has to work, over a transport that does what
// the kit says.
type world struct {
	k      *kit
	p      *core.Producer // nil when it has ended
	ack    coretest.Transport
	script atomic.Pointer[func(at *core.Attempt) end]

	mu     sync.Mutex
	routes map[string]*core.Route // by topic; "" is for all others
	grades map[string]core.Health // by broker, for worlds whose view is the kit's
}

// end is how an attempt ends.
type end uint8

const (
	stored      end = iota
	slowly          // stored after 100 ms
	refused         // there is no connection
	lost            // the connection is lost
	hung            // no answer
	busy            // the broker says so
	rejected        // the broker refuses the message
	noAuth          // or the credentials
	noTopic         // or does not know the topic
	noWriting       // or lets nobody write
	cancelled       // the caller gives up
	forbidden       // a hook's veto
	unexplained     // a hook's veto that looks like a failure of the network
	hookPanics      // a hook panics
	transPanics     // the transport panics
	ends            // how many there are
)

var endNames = [ends]string{
	"stored", "stored slowly", "not connected", "lost", "hung", "busy", "rejected", "not authorized", "without topic",
	"read-only", "cancelled", "vetoed", "vetoed with an error of the network", "ended by a hook's panic", "ended by the transport's panic",
}

func (e end) String() string { return endNames[e] }

// cancelKey finds the function in an attempt's context that cancels it.
type cancelKey struct{}

// hook is the step of the kit: it vetoes.
func (w *world) hook(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
	switch w.ending(at) {
	case forbidden:
		return nil, core.ErrForbidden
	case unexplained:
		return nil, core.ErrConnect
	case hookPanics:
		panic("a hook of the kit's")
	}
	return next(ctx, at)
}

func (w *world) ending(at *core.Attempt) end {
	f := w.script.Load()
	if f == nil {
		return stored
	}
	switch e := (*f)(at); {
	case w.k.virtual:
		return e
	case e == hung: // what takes time is left out where time is real
		return lost
	case e == slowly:
		return stored
	case e == noTopic, e == noWriting: // after which the route is looked up
		return rejected
	default:
		return e
	}
}

// RoundTrip makes world the transport.
func (w *world) RoundTrip(ctx context.Context, at *core.Attempt) (*core.Result, error) {
	refusal := func(class core.Class) (*core.Result, error) {
		at.MarkWritten()
		if !at.WantsAnswer() {
			return w.ack.Ack(at), nil
		}
		return nil, &core.BrokerError{Class: class, Certainty: core.NotStored, Addr: at.Addr()}
	}
	switch w.ending(at) {
	case refused:
		return nil, core.ErrConnect
	case lost:
		at.MarkWritten()
		return nil, core.ErrConnectionLost
	case hung:
		if at.MarkWritten(); at.WantsAnswer() {
			return nil, coretest.Hang(ctx, at)
		}
	case slowly:
		if at.WantsAnswer() {
			answer := make(chan struct{})
			defer time.AfterFunc(100*time.Millisecond, func() { close(answer) }).Stop()
			if err := at.Wait(ctx, answer); err != nil {
				return nil, err
			}
		}
	case busy:
		return refusal(core.ClassBusy)
	case rejected:
		return refusal(core.ClassRejected)
	case noAuth:
		return refusal(core.ClassAuth)
	case noTopic:
		return refusal(core.ClassNoTopic)
	case noWriting:
		return refusal(core.ClassForbidden)
	case cancelled:
		if cancel, ok := ctx.Value(cancelKey{}).(context.CancelFunc); ok {
			cancel()
			return nil, core.ContextError(ctx)
		}
	case transPanics:
		panic("the transport of the kit's")
	}
	at.MarkWritten()
	return w.ack.Ack(at), nil
}

// Route makes world the route source.
func (w *world) Route(_ context.Context, topic string) (*core.Route, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r := w.routes[topic]; r == readOnly {
		return nil, fmt.Errorf("%w: %s", core.ErrNotWritable, topic)
	} else if r != nil {
		return r, nil
	}
	if r := w.routes[""]; r != nil {
		return r, nil
	}
	return nil, fmt.Errorf("%w: %s", core.ErrNoRoute, topic)
}

// Health makes world a health view.
func (w *world) Health(b core.Broker) core.Health {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.grades[b.Name]
}

// grade sets what Health says.
func (w *world) grade(h core.Health, brokers ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.grades = map[string]core.Health{}
	for _, b := range brokers {
		w.grades[b] = h
	}
}

// start makes a producer of the world. It has no retries, unless cfg says otherwise.
func (k *kit) start(route *core.Route, cfg core.Config) *world {
	w := &world{k: k, routes: map[string]*core.Route{"": route}, grades: map[string]core.Health{}}
	w.ack.Forget = true
	cfg.Group, cfg.Transport, cfg.Routes = "strategytest", w, w
	cfg.Timeout, cfg.AttemptTimeout, cfg.RouteRefresh = 3*time.Second, time.Second, 300*24*time.Hour
	if !k.virtual { // nobody waits for pauses
		cfg.Timeout, cfg.AttemptTimeout = 50*time.Millisecond, 10*time.Millisecond
	}
	if cfg.Selector == nil {
		cfg.Selector = coretest.InOrder()
	}
	if cfg.Retry == nil {
		cfg.Retry = coretest.NoRetry()
	}
	if cfg.Health == nil {
		cfg.Health = w
	}
	cfg.Steps = append(slices.Clone(cfg.Steps),
		core.AttemptStep("strategytest.hook", core.AttemptWire, core.AttemptInterceptorFunc(w.hook)))
	var err error
	if w.p, err = core.NewProducer(cfg); err != nil {
		k.fatalf("no producer can be made with it: %v", err)
	}
	k.worlds = append(k.worlds, w)
	k.do(func() { err = w.p.Start(context.Background()) })
	if err != nil {
		k.fatalf("the producer does not start: %v", err)
	}
	return w
}

// stop ends the producer.
func (w *world) stop() {
	if w.p == nil {
		return
	}
	p := w.p
	w.p = nil
	var err error
	w.k.do(func() { err = p.Shutdown(context.Background()) })
	if err != nil {
		w.k.failf("the producer does not end: %v", err)
	}
}

// happens says how attempts end from now on.
func (w *world) happens(f func(at *core.Attempt) end) { w.script.Store(&f) }

// allEnd lets every attempt end like this.
func (w *world) allEnd(e end) { w.happens(func(*core.Attempt) end { return e }) }

// mode is how a message is sent: one of core's modes, or in a batch.
type mode uint8

const (
	bySync mode = iota
	byAsync
	byOneway
	byBatch
	modes // how many there are
)

// send sends a message, on the caller's goroutine but for an asynchronous one, and waits for
// the outcome.
func (w *world) send(by mode, m *core.Message, opts ...core.SendOption) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ctx = context.WithValue(ctx, cancelKey{}, cancel)
	switch by {
	case byAsync:
		outcome := make(chan error, 1)
		w.p.SendAsync(ctx, m, func(_ core.Result, err error) { outcome <- err }, opts...)
		return <-outcome
	case byOneway:
		return w.p.SendOneway(ctx, m, opts...)
	case byBatch:
		_, err := w.p.SendBatch(ctx, []*core.Message{m, clone(m)}, opts...)
		return err
	}
	_, err := w.p.Send(ctx, m, opts...)
	return err
}

// sends makes n calls, one after the other.
func (w *world) sends(n int, by mode, m *core.Message, opts ...core.SendOption) {
	w.k.do(func() {
		for range n {
			_ = w.send(by, m, opts...)
			if w.k.isBroken() {
				return
			}
		}
	})
}

// sendsTo makes n calls to a broker's first queue, which the messages name.
func (w *world) sendsTo(n int, by mode, topic, broker string, opts ...core.SendOption) {
	m := message(topic)
	m.Queue = &core.Queue{Broker: broker}
	w.sends(n, by, m, opts...)
}

// replace gives a topic another route, and makes the producer notice.
func (w *world) replace(topic string, r *core.Route) {
	w.setRoute(topic, r)
	w.sends(1, bySync, nowhere(topic), lookUpTime)
	w.k.settle()
}

// readOnly stands for the route of a topic that nobody may write to any more.
var readOnly = new(core.Route)

// setRoute sets a topic's route; "" is for all that have none.
func (w *world) setRoute(topic string, r *core.Route) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.routes[topic] = r
}

// lookUpTime is time enough for a look-up: two have some time between them.
var lookUpTime = core.SendTimeout(3 * time.Second)

// nowhere is a message for a queue that no route has: it is never sent, but it has the route
// looked up.
func nowhere(topic string) *core.Message {
	m := message(topic)
	m.Queue = &core.Queue{Broker: "strategytest-nobody", ID: 1 << 30}
	return m
}

// brokersOf are the names of a route's brokers that are there.
func brokersOf(r *core.Route) []string {
	var names []string
	for _, b := range r.Brokers() {
		if !b.Absent() {
			names = append(names, b.Name)
		}
	}
	return names
}

// queuesOf are a route's queues whose brokers are there.
func queuesOf(r *core.Route) []core.Queue {
	var out []core.Queue
	for i := range r.Len() {
		if !r.Broker(i).Absent() {
			out = append(out, r.Queue(i))
		}
	}
	return out
}

func message(topic string) *core.Message {
	return &core.Message{Topic: topic, Body: []byte("x"), Keys: []string{"k"}, Properties: map[string]string{"p": "v"}}
}

func clone(m *core.Message) *core.Message {
	c := *m
	c.Body, c.Keys, c.Properties = slices.Clone(m.Body), slices.Clone(m.Keys), maps.Clone(m.Properties)
	if m.Queue != nil {
		q := *m.Queue
		c.Queue = &q
	}
	return &c
}

// queues makes a route: n queues on each broker. A name that ends in "-" is that of an absent
// broker.
func queues(n int, brokers ...string) *core.Route {
	var qs []core.Queue
	for _, name := range brokers {
		for i := range n {
			qs = append(qs, core.Queue{Broker: name, ID: i})
		}
	}
	return made(core.NewRoute(qs, brokersNamed(brokers)))
}

// staticQueues makes the route of a static topic: each broker leads n of its queues.
func staticQueues(n int, brokers ...string) *core.Route {
	var qs []core.Queue
	for i := range n * len(brokers) {
		qs = append(qs, core.Queue{Broker: brokers[i%len(brokers)], ID: i})
	}
	return made(core.NewStaticRoute(qs, brokersNamed(brokers)))
}

func brokersNamed(names []string) []core.Broker {
	var out []core.Broker
	for _, name := range names {
		b := brokerOf(name)
		if strings.HasSuffix(name, "-") {
			b.Addr = ""
		}
		out = append(out, b)
	}
	return out
}

func made(r *core.Route, err error) *core.Route {
	if err != nil {
		panic(err)
	}
	return r
}

// brokerOf is the broker of a name in the routes of the kit.
func brokerOf(name string) core.Broker {
	return core.Broker{Name: name, Addr: name + ":10911", Cluster: "DefaultCluster"}
}

// routesByDefault are the shapes of routes that strategies meet, in an order in which a
// route grows, shrinks and is replaced by another.
func routesByDefault() []*core.Route {
	many := make([]string, 16)
	for i := range many {
		many[i] = fmt.Sprintf("broker-%02d", i)
	}
	uneven := made(core.NewRoute(
		[]core.Queue{{Broker: "a"}, {Broker: "b"}, {Broker: "b", ID: 1}, {Broker: "b", ID: 2}, {Broker: "b", ID: 3}},
		brokersNamed([]string{"a", "b"})))
	return []*core.Route{
		queues(1, "a"),
		queues(4, "a", "b", "c"),
		queues(1, "a", "b"),
		queues(4, "x", "y", "z"),
		queues(8, "a", "b", "c"),
		uneven,
		queues(1, "b"),
		queues(1, many...),
		staticQueues(3, "a", "b", "c"),
		queues(2, "a", "away-", "c"),
	}
}
