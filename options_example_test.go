package liftoff_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/accumulate"
	"github.com/liftoff-mq/liftoff/hooks/compress"
	"github.com/liftoff-mq/liftoff/hooks/validate"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/strategies/health"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/strategies/selector"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

var cfg = liftoff.Config{Group: "orders", NameServers: []string{"127.0.0.1:9876"}}

// A step of one's own stands where its stage says.
func ExampleWithSteps() {
	quota := core.InterceptorFunc(func(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
		return next(ctx, call)
	})
	producer, err := liftoff.New(cfg,
		liftoff.WithSteps(core.CallStep("quota", core.StageGuard, quota).After("validate")),
		liftoff.WithoutBreaker(), liftoff.WithoutCompression(),
	)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(producer.Pipeline().Names())
	// Output: [validate quota] []
}

// Hooks place themselves.
func ExampleWithHooks() {
	small, err := accumulate.New(accumulate.Config{})
	if err != nil {
		log.Fatal(err)
	}
	producer, err := liftoff.New(cfg, liftoff.WithHooks(small))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(producer.Pipeline().Names())
	// Output: [validate compress.zlib accumulate] [breaker]
}

// The requests of the producer's own client are signed, for a cluster with access control.
func ExampleWithCredentials() {
	keys, err := acl.Static(acl.Credentials{AccessKey: "orders", SecretKey: acl.NewSecret("my-secret-key")})
	if err != nil {
		log.Fatal(err)
	}
	producer, err := liftoff.New(cfg, liftoff.WithCredentials(keys))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.Contains(producer.Pipeline().String(), "signed, fixed credentials (access key orders)"))
	// Output: true
}

// An order that is given outright lists every step.
func ExampleWithOrder() {
	_, err := liftoff.New(cfg, liftoff.WithOrder(core.Order{Call: []string{"validate"}}))
	fmt.Println(err)
	// Output: producer "orders": pipeline: step "compress.zlib": missing in the call order
}

// What a producer is made of, as it says itself.
func describe(options ...liftoff.Option) {
	producer, err := liftoff.New(cfg, options...)
	if err != nil {
		log.Fatal(err)
	}
	policy := producer.Pipeline().Policies()[0]
	fmt.Println("selector:", policy.Selector.Summary)
	fmt.Println("retry:", policy.Retry.Summary)
	fmt.Println("budget:", policy.Budget)
	fmt.Println("health:", policy.Health.Summary)
}

func ExampleWithSelector() {
	describe(liftoff.WithSelector(selector.RoundRobin()))
	// Output:
	// selector: round-robin over queues, neighbours on different brokers
	// retry: at least once
	// budget: token bucket (retries for each call that succeeds 0.1, burst 4096, burst in an outage 1500)
	// health: circuit breaker for each broker
}

func ExampleWithRetry() {
	describe(liftoff.WithRetry(retry.Safe()))
	// Output:
	// selector: hash of the sharding key, as in Java
	// retry: safe
	// budget: token bucket (retries for each call that succeeds 0.1, burst 4096, burst in an outage 1500)
	// health: circuit breaker for each broker
}

func ExampleWithBudget() {
	budget, err := retry.NewBudget(0.2, 50)
	if err != nil {
		log.Fatal(err)
	}
	describe(liftoff.WithBudget(budget))
	// Output:
	// selector: hash of the sharding key, as in Java
	// retry: at least once
	// budget: token bucket (retries for each call that succeeds 0.2, burst 50, burst in an outage 50)
	// health: circuit breaker for each broker
}

func ExampleWithoutBudget() {
	describe(liftoff.WithoutBudget(), liftoff.WithoutBreaker())
	// Output:
	// selector: hash of the sharding key, as in Java
	// retry: at least once
	// budget: none: every retry is granted
	// health: none: every broker counts as good
}

// Java's judgement of brokers instead of circuit breakers.
func ExampleWithHealth() {
	latency, err := health.NewLatency(health.Config{})
	if err != nil {
		log.Fatal(err)
	}
	describe(liftoff.WithHealth(latency), liftoff.WithoutBreaker())
	// Output:
	// selector: hash of the sharding key, as in Java
	// retry: at least once
	// budget: token bucket (retries for each call that succeeds 0.1, burst 4096, burst in an outage 1500)
	// health: latency fault tolerance
}

func ExampleWithBreaker() {
	breakers, err := breaker.New(breaker.Config{Probes: 2})
	if err != nil {
		log.Fatal(err)
	}
	producer, err := liftoff.New(cfg, liftoff.WithBreaker(breakers))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(producer.Pipeline().Policies()[0].Health.Settings[2])
	// Output: {closes after 2 attempts that succeed; until then there are at most 2 at a time}
}

func ExampleWithoutBreaker() {
	producer, err := liftoff.New(cfg, liftoff.WithoutBreaker())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(producer.Pipeline().Names())
	// Output: [validate compress.zlib] []
}

func ExampleWithCompressor() {
	producer, err := liftoff.New(cfg, liftoff.WithCompressor(compress.LZ4()))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(producer.Pipeline().Names())
	// Output: [validate compress.lz4] [breaker]
}

func ExampleWithoutCompression() {
	producer, err := liftoff.New(cfg, liftoff.WithoutCompression())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(producer.Pipeline().Names())
	// Output: [validate] [breaker]
}

func ExampleWithLimits() {
	producer, err := liftoff.New(cfg, liftoff.WithLimits(validate.MaxBodySize(1<<20)))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(producer.Pipeline().Steps()[0].Description)
	// Output: messages as brokers take them (body at most 1 MiB, properties at most 32255 bytes, delivery at most 72h ahead, delay level at most 18)
}

// Payments must not be stored twice, and may take their time.
func ExampleWithPolicies() {
	policies := &liftoff.PolicyTable{
		Default: &liftoff.Policy{Name: "default"}, // as the producer is made
		ByTopic: map[string]*liftoff.Policy{
			"Payments": {Name: "payments", Timeout: 10 * time.Second, Retry: retry.Safe()},
		},
	}
	producer, err := liftoff.New(cfg, liftoff.WithPolicies(policies))
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range producer.Pipeline().Policies() {
		fmt.Printf("%s: %s, %s, %s; %v: %v\n", p.Topics, p.Name, p.Timeout, p.Retry.Summary, p.Failures[0].Name, p.Failures[0])
	}
	// Output:
	// Payments: payments, 10s, safe; broker hangs: timeout, maybe-stored after 1 attempt: 10s at one broker
	// every other topic: default, 3s, at least once; broker hangs: timeout, maybe-stored after 2 attempts: 1s at one broker, 2s at the other broker
}

// The policies stand in a file. While the producer runs it is read again when it changes.
func ExampleWithPolicyFile() {
	producer, err := liftoff.New(cfg, liftoff.WithPolicyFile("strategies/policyfile/starter.yaml"))
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range producer.Pipeline().Policies() {
		fmt.Printf("%s: %s, %s, %s\n", p.Topics, p.Name, p.Timeout, p.Retry.Summary)
	}
	// Output:
	// Payments: payments, 10s, safe
	// every other topic: default, 3s, at least once
}

// One send that differs from the rest.
func ExampleSendTimeout() {
	ctx := context.Background()
	producer, err := liftoff.New(liftoff.Config{Group: "orders"},
		liftoff.WithTransport(&coretest.Transport{Do: func(_ context.Context, at *core.Attempt) (*core.Result, error) {
			fmt.Println("attempt", at.Number(), "at queue", at.Queue())
			return nil, coretest.Refuse(at, rocketmq.CodeServiceNotAvailable, "not now")
		}}, coretest.Routes(2, "broker-a", "broker-b")),
	)
	if err != nil {
		log.Fatal(err)
	}
	if err := producer.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer producer.Shutdown(ctx)
	last := core.QueueSelectorFunc(func(_ context.Context, sel *core.Selection) (int, error) { return sel.Len() - 1, nil })
	_, err = producer.Send(ctx, &liftoff.Message{Topic: "Orders", Body: []byte("order 42")},
		liftoff.SendTimeout(time.Second), liftoff.SendAttemptTimeout(200*time.Millisecond),
		liftoff.SendRetry(retry.Safe(retry.Retries(1))), liftoff.SendSelector(last),
	)
	fmt.Println(liftoff.CertaintyOf(err))
	// Output:
	// attempt 1 at queue broker-b/1
	// attempt 2 at queue broker-b/1
	// not-stored
}

// What brokers ask of the producer group has a handler; here nothing has asked.
func ExampleWithHandler() {
	checks := core.ServerRequestHandlerFunc(func(_ context.Context, r *core.ServerRequest) {
		fmt.Println("a check of", r.Fields["transactionId"])
	})
	producer, err := liftoff.New(cfg, liftoff.WithHandler(core.RequestTransactionCheck, checks))
	if err != nil {
		log.Fatal(err)
	}
	limits := producer.Pipeline().Limits()
	fmt.Println(limits[len(limits)-1].Value)
	// Output: handlers for transaction-check; others are refused, and so is what comes while 1024 wait
}

// A transport of one's own, here a scripted one, needs no name server.
func ExampleWithTransport() {
	ctx := context.Background()
	producer, err := liftoff.New(
		liftoff.Config{Group: "orders"},
		liftoff.WithTransport(&coretest.Transport{}, coretest.Routes(1, "broker-a")),
	)
	if err != nil {
		log.Fatal(err)
	}
	if err := producer.Start(ctx); err != nil {
		log.Fatal(err)
	}
	res, err := producer.Send(ctx, &liftoff.Message{Topic: "Orders", Body: []byte("order 42")})
	fmt.Println(res.Status, res.Queue, err)
	fmt.Println(producer.Shutdown(ctx))
	// Output:
	// SEND_OK broker-a/0 <nil>
	// <nil>
}

// Two producers share a client. Whoever made it starts and stops it.
func ExampleWithClient() {
	ctx := context.Background()
	cluster, err := embedded.Start(ctx, embedded.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	client, err := remoting.NewClient(remoting.Config{NameServers: cluster.NameServers()})
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer client.Shutdown(ctx)
	for _, group := range []string{"orders", "invoices"} {
		producer, err := liftoff.New(liftoff.Config{Group: group}, liftoff.WithClient(client))
		if err != nil {
			log.Fatal(err)
		}
		if err := producer.Start(ctx); err != nil {
			log.Fatal(err)
		}
		res, err := producer.Send(ctx, &liftoff.Message{Topic: "Orders", Body: []byte("order 42")})
		fmt.Println(group, res.Status, err)
		if err := producer.Shutdown(ctx); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// orders SEND_OK <nil>
	// invoices SEND_OK <nil>
}

// A client made by hand that this producer starts and stops.
func ExampleWithOwnClient() {
	ctx := context.Background()
	cluster, err := embedded.Start(ctx, embedded.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	client, err := remoting.NewClient(remoting.Config{NameServers: cluster.NameServers(), Serialization: remoting.JSON})
	if err != nil {
		log.Fatal(err)
	}
	producer, err := liftoff.New(liftoff.Config{Group: "orders"}, liftoff.WithOwnClient(client))
	if err != nil {
		log.Fatal(err)
	}
	if err := producer.Start(ctx); err != nil {
		log.Fatal(err)
	}
	res, err := producer.Send(ctx, &liftoff.Message{Topic: "Orders", Body: []byte("order 42")})
	fmt.Println(res.Status, err)
	fmt.Println(producer.Shutdown(ctx), client.Stats().Connections)
	// Output:
	// SEND_OK <nil>
	// <nil> 0
}

// ticker is a service that a part of the program needs while the producer lives.
type ticker struct{}

func (ticker) Start(context.Context) error    { fmt.Println("started"); return nil }
func (ticker) Shutdown(context.Context) error { fmt.Println("stopped"); return nil }

func ExampleWithService() {
	ctx := context.Background()
	producer, err := liftoff.New(cfg, liftoff.WithService(ticker{}))
	if err != nil {
		log.Fatal(err)
	}
	if err := producer.Start(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(producer.State())
	fmt.Println(producer.Shutdown(ctx))
	// Output:
	// started
	// running
	// stopped
	// <nil>
}

// The client's own settings: a cluster without a socket is reached by its own Dial.
func ExampleConfig_client() {
	ctx := context.Background()
	cluster, err := embedded.Start(ctx, embedded.Config{Network: embedded.NewNetwork()})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	producer, err := liftoff.New(liftoff.Config{
		Group: "orders", NameServers: cluster.NameServers(), Client: remoting.Config{Dial: cluster.Dial},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := producer.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer producer.Shutdown(ctx)
	_, err = producer.Send(ctx, &liftoff.Message{Topic: "Orders", Body: []byte("order 42")})
	fmt.Println(err, cluster.RequestCount(wire.SendMessageV2))

	cluster.Broker("broker-a").Kill()
	_, err = producer.Send(ctx, &liftoff.Message{Topic: "Orders", Body: []byte("order 43")}, liftoff.SendRetry(retry.Safe(retry.Retries(0))))
	fmt.Println(core.ClassOf(err), errors.Is(err, context.DeadlineExceeded))
	// Output:
	// <nil> 1
	// network false
}

// A transaction joins a message to something else. Where the broker is not told how it ended, it
// asks the checker.
func ExampleWithTransactions() {
	cluster, err := embedded.Start(context.Background(), embedded.Config{
		TransactionTimeout: time.Second, TransactionCheckInterval: 100 * time.Millisecond,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	asked := make(chan string, 1)
	checker := liftoff.CheckFunc(func(_ context.Context, c *liftoff.TransactionCheck) (liftoff.TransactionDecision, error) {
		asked <- string(c.Message.Body)
		return liftoff.TransactionCommit, nil
	})
	producer, err := liftoff.New(liftoff.Config{Group: "orders", NameServers: cluster.NameServers()},
		liftoff.WithTransactions(checker, "Orders"))
	if err != nil {
		log.Fatal(err)
	}
	if err := producer.Start(context.Background()); err != nil {
		log.Fatal(err)
	}
	for body, decision := range map[string]liftoff.TransactionDecision{
		"paid": liftoff.TransactionCommit, "cancelled": liftoff.TransactionRollback, "pending": liftoff.TransactionUnknown,
	} {
		_, err := producer.SendTransaction(context.Background(), &liftoff.Message{Topic: "Orders", Body: []byte(body)},
			func(context.Context, *liftoff.Result) (liftoff.TransactionDecision, error) { return decision, nil })
		if err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("asked about:", <-asked)
	if err := producer.Shutdown(context.Background()); err != nil { // waits until the broker is told
		log.Fatal(err)
	}
	fmt.Println("visible:", cluster.StoredCount("Orders"))
	// Output:
	// asked about: pending
	// visible: 2
}
