package core_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

func ExampleNewProducer() {
	ctx := context.Background()
	p, err := core.NewProducer(core.Config{
		Group:     "orders",
		Transport: &coretest.Transport{}, // remoting.NewClient for a real cluster
		Routes:    coretest.Routes(2, "broker-a", "broker-b"),
		Selector:  coretest.InOrder(),
		Retry:     coretest.NoRetry(),
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := p.Start(ctx); err != nil {
		log.Fatal(err)
	}
	res, err := p.Send(ctx, &core.Message{Topic: "Orders", Body: []byte("order 42")})
	fmt.Println(res.Status, res.Queue, err)
	fmt.Println(p.Shutdown(ctx), p.State())
	// Output:
	// SEND_OK broker-a/0 <nil>
	// <nil> shut down
}

func ExampleResolve() {
	pass := core.InterceptorFunc(func(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
		return next(ctx, call)
	})
	// The order in which steps are given does not matter.
	pipeline, err := core.Resolve(core.Order{},
		core.CallStep("quota", core.StageGuard, pass).After("login"),
		core.CallStep("stamp", core.StageShape, pass),
		core.CallStep("login", core.StageGuard, pass),
	)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(pipeline)
	_, err = core.Resolve(core.Order{}, core.CallStep("quota", core.StageGuard, pass).After("login"))
	fmt.Println(err)
	// Output:
	// call     guard    login
	// call     guard    quota
	// call     shape    stamp
	// core              engine     message id, route, queue selection, retry
	// attempt           transport
	// pipeline: step "quota": neighbour "login" is unknown; no other step is in its stage
}

func ExampleNewRoute() {
	route, err := core.NewRoute(
		[]core.Queue{{Broker: "broker-a", ID: 0}, {Broker: "broker-a", ID: 1}},
		[]core.Broker{{Name: "broker-a", Addr: "10.0.0.5:10911"}},
	)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(route.Len(), route.Queue(1), route.Broker(1).Addr)
	// Output: 2 broker-a/1 10.0.0.5:10911
}

// leastBusy chooses the broker with the fewest attempts under way. It is a
// selector and, because it has AttemptDone, a listener.
type leastBusy struct {
	chosen core.Slot[string] // the broker that this call's attempt is counted for
	busy   map[string]int    // a mutex goes with it where sends are concurrent
}

func (l *leastBusy) ForTopic(string) core.QueueSelector { return l }

func (l *leastBusy) Select(_ context.Context, sel *core.Selection) (int, error) {
	best := 0
	for i := range sel.Len() {
		if l.busy[sel.Queue(i).Broker] < l.busy[sel.Queue(best).Broker] {
			best = i
		}
	}
	broker := sel.Queue(best).Broker
	l.busy[broker]++
	l.chosen.Set(sel.Call(), broker)
	return best, nil
}

// AttemptDone follows every Select. It also comes without one, where the message
// names its queue or a retry policy asked for the same queue: then the slot holds
// nothing to take back.
func (l *leastBusy) AttemptDone(_ context.Context, r *core.AttemptReport) {
	if broker, _ := l.chosen.Get(r.Attempt.Call()); broker != "" {
		l.busy[broker]--
		l.chosen.Set(r.Attempt.Call(), "")
	}
}

// A slot carries what one half of a plugin learns to the other: here from a
// selector's choice to the attempt's end.
func ExampleNewSlot() {
	ctx := context.Background()
	l := &leastBusy{chosen: core.NewSlot[string]("chosen"), busy: map[string]int{"broker-a": 3}}
	cfg := coretest.Config(&coretest.Transport{Do: func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		fmt.Println("during:", l.busy)
		return at.Result(), nil
	}})
	cfg.Selector = l
	p, err := core.NewProducer(cfg)
	if err != nil {
		log.Fatal(err)
	}
	if err := p.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer p.Shutdown(ctx)
	res, err := p.Send(ctx, coretest.Message("hello"))
	fmt.Println(res.Queue, err)
	res, err = p.Send(ctx, &core.Message{Topic: "T", Body: []byte("fixed"), Queue: &core.Queue{Broker: "broker-a", ID: 1}})
	fmt.Println(res.Queue, err)
	fmt.Println("after:", l.busy)
	// Output:
	// during: map[broker-a:3 broker-b:1]
	// broker-b/0 <nil>
	// during: map[broker-a:3 broker-b:0]
	// broker-a/1 <nil>
	// after: map[broker-a:3 broker-b:0]
}

// Options change a single send.
func ExampleSendRetry() {
	ctx := context.Background()
	busy := &coretest.Transport{Do: func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		if at.Broker().Name == "broker-a" {
			return nil, coretest.Refuse(at, rocketmq.CodeSystemBusy, "full")
		}
		return at.Result(), nil
	}}
	p, err := core.NewProducer(coretest.Config(busy))
	if err != nil {
		log.Fatal(err)
	}
	if err := p.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer p.Shutdown(ctx)
	_, err = p.Send(ctx, coretest.Message("once"))
	fmt.Println(core.ClassOf(err))
	again := core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
		return core.Decision{Retry: f.Attempt < 2 && f.Certainty.Safe(), After: time.Millisecond}
	})
	res, err := p.Send(ctx, coretest.Message("twice"), core.SendRetry(again), core.SendTimeout(time.Minute))
	fmt.Println(res.Queue.Broker, res.Attempts, err)
	// Output:
	// busy
	// broker-b 2 <nil>
}

func ExampleSendTimeout() {
	ctx := context.Background()
	p, err := core.NewProducer(coretest.Config(&coretest.Transport{Do: func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
		return nil, coretest.Hang(ctx, at)
	}}))
	if err != nil {
		log.Fatal(err)
	}
	if err := p.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer p.Shutdown(ctx)
	_, err = p.Send(ctx, coretest.Message("hello"), core.SendTimeout(10*time.Millisecond))
	fmt.Println(core.ClassOf(err), errors.Is(err, context.DeadlineExceeded))
	// Output: timeout true
}

// What a caller does about a failed send depends on what became of the message.
func ExampleCertaintyOf() {
	ctx := context.Background()
	for _, code := range []rocketmq.ResponseCode{rocketmq.CodeMessageIllegal, rocketmq.CodeSystemError} {
		p, err := core.NewProducer(coretest.Config(&coretest.Transport{Do: func(_ context.Context, at *core.Attempt) (*core.Result, error) {
			return nil, coretest.Refuse(at, code, "")
		}}))
		if err != nil {
			log.Fatal(err)
		}
		if err := p.Start(ctx); err != nil {
			log.Fatal(err)
		}
		_, err = p.Send(ctx, coretest.Message("hello"))
		fmt.Println(core.ClassOf(err), core.CertaintyOf(err))
		if err := p.Shutdown(ctx); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// rejected not-stored
	// broker maybe-stored
}

// A send from within a request that goes on when the request is over. With the request's own
// context it would be cancelled as soon as the handler returns.
func ExampleProducer_SendAsync() {
	answered := make(chan struct{})
	broker := &coretest.Transport{}
	broker.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
		if err := at.Wait(ctx, answered); err != nil { // the broker takes a while
			return nil, err
		}
		return broker.Ack(at), nil
	}
	producer, err := core.NewProducer(coretest.Config(broker))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if err := producer.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	handle := func(ctx context.Context, name string, detach func(context.Context) context.Context) {
		producer.SendAsync(detach(ctx), &core.Message{Topic: "Orders", Body: []byte("1")}, func(_ core.Result, err error) {
			fmt.Println(name, core.ClassOf(err), err == nil)
			if err != nil {
				close(answered)
			}
		})
	}
	request, over := context.WithCancel(ctx)
	handle(request, "detached:", context.WithoutCancel)
	handle(request, "attached:", func(ctx context.Context) context.Context { return ctx })
	over() // the handlers have returned
	if err := producer.Shutdown(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// attached: canceled false
	// detached: none true
}
