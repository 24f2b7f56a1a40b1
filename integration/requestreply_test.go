package integration

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/rlog"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/requestreply"
	"github.com/liftoff-mq/liftoff/integration/javaprog"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// roundTrips is how many requests each test makes.
const roundTrips = 1000

// javaExchange is a line of the program RequestReply.
type javaExchange struct{ Body, Reply, Error string }

// javaRequestReply runs one end of the Java client's request-reply in the background.
func javaRequestReply(t *testing.T, version, role, nameServer, topic, limit string, count int, flags ...string) (wait func() []javaExchange) {
	t.Helper()
	if _, err := javaprog.Build(version); err != nil {
		t.Fatal(err)
	}
	var lines []string
	var err error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		lines, err = javaprog.TryRun(t, version, "RequestReply", append(flags, role, nameServer, topic, strconv.Itoa(count), limit)...)
	}()
	return func() []javaExchange {
		t.Helper()
		<-ended
		must(t, err)
		out := make([]javaExchange, len(lines))
		for i, l := range lines {
			mustJSON(t, l, &out[i])
		}
		return out
	}
}

// requester starts a producer that makes requests.
func requester(t *testing.T, nameServer string) *requestreply.Requester {
	t.Helper()
	r, err := liftoff.NewRequester(requestreply.Config{})
	must(t, err)
	p, err := liftoff.New(liftoff.Config{Group: "integration-requests", NameServers: []string{nameServer}}, liftoff.WithHooks(r))
	startProducer(t, p, err)
	return r
}

// Every request of Liftoff gets the one reply of a Java consumer, and no request is executed twice.
func TestRequestsToJava(t *testing.T) {
	t.Parallel()
	eachCluster(t, func(t *testing.T, c *cluster) {
		topic := topicFor(t, "t")
		c.CreateTopic(t, topic, 4)
		requestsToJava(t, c.Version(), c.NameServer(), topic)
	})
}

func requestsToJava(t *testing.T, version, nameServer, topic string) {
	t.Helper()
	responder := javaRequestReply(t, version, "respond", nameServer, topic, "120", roundTrips)
	r := requester(t, nameServer)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	room := make(chan struct{}, 32)
	for i := range roundTrips {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			body := fmt.Sprintf("liftoff-%d", i)
			reply, err := r.Request(ctx, &core.Message{Topic: topic, Body: []byte(body)}, core.SendTimeout(time.Minute))
			if err != nil {
				t.Error(err)
			} else if string(reply.Body) != "re:"+body {
				t.Errorf("%s has the reply %s", body, reply.Body)
			}
		})
	}
	wg.Wait()
	executed := map[string]int{}
	for _, x := range responder() {
		if executed[x.Body]++; x.Reply != "SEND_OK" || executed[x.Body] > 1 {
			t.Errorf("the responder says %+v", x)
		}
	}
	if s := r.Snapshot(); len(executed) != roundTrips || s.Replies != roundTrips || s.Unmatched != 0 || s.Waiting != 0 {
		t.Errorf("%d were executed, %+v", len(executed), s)
	}
}

// A broker forgets where a client's replies go when another producer of the client leaves (Java:
// ProducerManager.unregisterProducer). The replies of the one that stays come all the same.
func TestRequestsAfterAnotherProducerHasLeft(t *testing.T) {
	t.Parallel()
	eachCluster(t, func(t *testing.T, c *cluster) {
		topic, others := topicFor(t, "t"), topicFor(t, "others")
		c.CreateTopic(t, topic, 4)
		c.CreateTopic(t, others, 4)
		_ = replying(t, c.NameServer(), topic, topic+"_g", newProducer(t, c.NameServer(), producerOptions{group: "integration-repliers", timeout: 20 * time.Second}))
		client, err := remoting.NewClient(remoting.Config{NameServers: []string{c.NameServer()}})
		must(t, err)
		must(t, client.Start(t.Context()))
		t.Cleanup(func() { must(t, client.Shutdown(context.Background())) })
		r, err := liftoff.NewRequester(requestreply.Config{})
		must(t, err)
		p, err := liftoff.New(liftoff.Config{Group: "integration-stays"}, liftoff.WithHooks(r), liftoff.WithClient(client))
		startProducer(t, p, err)
		for i := range 3 {
			other, err := liftoff.New(liftoff.Config{Group: "integration-leaves"}, liftoff.WithClient(client))
			must(t, err)
			must(t, other.Start(t.Context()))
			for range 8 { // all queues, so both brokers
				_, err = other.Send(t.Context(), &core.Message{Topic: others, Body: []byte("x")})
				must(t, err)
			}
			request := func(what string) {
				t.Helper()
				body := fmt.Sprint(what, i)
				reply, err := r.Request(t.Context(), &core.Message{Topic: topic, Body: []byte(body)}, core.SendTimeout(20*time.Second))
				must(t, err)
				if string(reply.Body) != "re:"+body {
					t.Errorf("%s has the reply %s", body, reply.Body)
				}
			}
			request("with both")
			must(t, other.Shutdown(t.Context()))
			request("with one")
		}
	})
}

// Every request of a Java client gets the one reply that Liftoff sends for a consumer of another library.
func TestRepliesToJava(t *testing.T) {
	t.Parallel()
	eachCluster(t, func(t *testing.T, c *cluster) {
		topic := topicFor(t, "t")
		c.CreateTopic(t, topic, 4)
		repliesToJava(t, c.Version(), c.NameServer(), topic)
	})
}

func repliesToJava(t *testing.T, version, nameServer, topic string) {
	t.Helper()
	p := newProducer(t, nameServer, producerOptions{group: "integration-replies", timeout: 20 * time.Second})
	replies := replying(t, nameServer, topic, topic+"_g", p)
	replied := map[string]int{}
	for _, x := range javaRequestReply(t, version, "request", nameServer, topic, "60000", roundTrips)() {
		if replied[x.Body]++; x.Reply != "re:"+x.Body || replied[x.Body] > 1 {
			t.Errorf("the requester says %+v", x)
		}
	}
	if n := replies.Load(); len(replied) != roundTrips || n != roundTrips {
		t.Errorf("%d requests have a reply, %d replies were sent, want %d", len(replied), n, roundTrips)
	}
}

// replying runs a consumer of another library, for whose messages the producer sends replies, until the test ends, and
// counts the replies.
func replying(t *testing.T, nameServer, topic, group string, p *core.Producer, options ...consumer.Option) *atomic.Int64 {
	t.Helper()
	rlog.SetLogLevel("fatal")
	replies := new(atomic.Int64)
	c, err := consumer.NewPushConsumer(append([]consumer.Option{
		consumer.WithNsResolver(primitive.NewPassthroughResolver([]string{nameServer})),
		consumer.WithGroupName(group), consumer.WithInstance(topic + group + strconv.Itoa(os.Getpid())),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
	}, options...)...)
	must(t, err)
	must(t, c.Subscribe(topic, consumer.MessageSelector{}, func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, m := range messages {
			res, err := requestreply.SendReply(ctx, p, m.GetProperties(), append([]byte("re:"), m.Body...))
			if replies.Add(1); err != nil || res.Status != core.SendOK {
				t.Errorf("reply to %s: %v, %v", m.Body, res.Status, err)
			}
		}
		return consumer.ConsumeSuccess, nil
	}))
	must(t, c.Start())
	t.Cleanup(func() { must(t, c.Shutdown()) })
	return replies
}

// The Java clients, unchanged, make requests and replies at `liftoff broker`.
func TestOfficialRequestReplyAtLiftoffBroker(t *testing.T) {
	t.Parallel()
	nameServer := startLiftoffBroker(t)
	eachVersion(t, func(t *testing.T, version string) {
		topic := topicFor(t, "t")
		create := exchange{code: wire.UpdateAndCreateTopic, ext: fieldsOf("topic="+topic, "defaultTopic=TBW102", "readQueueNums=4", "writeQueueNums=4",
			"perm=6", "topicFilterType=SINGLE_TAG", "topicSysFlag=0", "order=false")}
		_, err := create.call(t.Context(), brokerOf(t, nameServer), wire.JSON)
		must(t, err)
		responder := javaRequestReply(t, version, "respond", nameServer, topic, "120", roundTrips)
		replied := map[string]int{}
		for _, x := range javaRequestReply(t, version, "request", nameServer, topic, "60000", roundTrips)() {
			if replied[x.Body]++; x.Reply != "re:"+x.Body || replied[x.Body] > 1 {
				t.Errorf("the requester says %+v", x)
			}
		}
		if n := len(responder()); len(replied) != roundTrips || n != roundTrips {
			t.Errorf("%d requests have a reply, %d were executed, want %d", len(replied), n, roundTrips)
		}
	})
}
