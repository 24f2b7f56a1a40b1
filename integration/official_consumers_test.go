package integration

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/apache/rocketmq-client-go/v2/rlog"

	"github.com/liftoff-mq/liftoff/integration/javaprog"
	"github.com/liftoff-mq/liftoff/integration/realcluster"
)

// retryLevels are a broker's delay levels here. A failed message waits for level 3 first, then 4, then 5, which is the last.
const retryLevels = "1h 1h 1s 2s 3s"

// retryWait is how long a message waits before its n-th retry, counted from 1.
func retryWait(n int) time.Duration { return time.Duration(min(n, 3)) * time.Second }

// delivery is a message as a consumer got it. With StartFailed the consumer did not start.
type delivery struct {
	Body, Topic, Tags, OriginMsgID string
	ReconsumeTimes                 int
	Millis                         int64
	StartFailed                    string
	Code                           int
}

// officialConsumer is a client of RocketMQ's own. Run consumes from the start of a topic, by an expression, until it got
// that many messages or a minute and a half are over. It fails those whose body begins with "fail".
type officialConsumer struct {
	name    string
	fails   int // messages
	retries int // of each
	run     func(t *testing.T, nameServer, topic, group, expression string, expected int) []delivery
}

func javaConsumer(version, mode, kind string) officialConsumer {
	return officialConsumer{"Java " + version, 2, 3, func(t *testing.T, nameServer, topic, group, expression string, expected int) []delivery {
		lines := javaprog.Run(t, version, "Consume", nameServer, topic, group, mode, kind, expression, "3", strconv.Itoa(expected), "90")
		return deliveries(t, lines)
	}}
}

func deliveries(t *testing.T, lines []string) []delivery {
	t.Helper()
	got := make([]delivery, len(lines))
	for i, l := range lines {
		mustJSON(t, l, &got[i])
	}
	return got
}

// goConsumer is the Go client, v2.1.2. It ends before its time if patience is over.
func goConsumer(kind consumer.ExpressionType, patience time.Duration) officialConsumer {
	return officialConsumer{"Go", 2, 3, func(t *testing.T, nameServer, topic, group, expression string, expected int) []delivery {
		var mu sync.Mutex
		var got []delivery
		enough := make(chan struct{})
		stop := startGoConsumer(t, nameServer, topic, group, consumer.MessageSelector{Type: kind, Expression: expression}, func(d delivery) {
			mu.Lock()
			defer mu.Unlock()
			if got = append(got, d); len(got) == expected {
				close(enough)
			}
		})
		select {
		case <-enough:
		case <-time.After(patience):
		}
		time.Sleep(time.Second) // what was failed last goes back, and more than expected would come
		stop()
		return got
	}}
}

// startGoConsumer consumes until it is stopped. It fails messages whose body begins with "fail".
func startGoConsumer(t *testing.T, nameServer, topic, group string, want consumer.MessageSelector, took func(delivery)) (stop func()) {
	t.Helper()
	c, err := consumer.NewPushConsumer(
		consumer.WithNsResolver(primitive.NewPassthroughResolver([]string{nameServer})),
		consumer.WithGroupName(group), consumer.WithInstance(group+strconv.Itoa(os.Getpid())),
		consumer.WithMaxReconsumeTimes(3), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
	)
	must(t, err)
	must(t, c.Subscribe(topic, want, func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		result := consumer.ConsumeSuccess
		for _, m := range messages {
			took(delivery{
				Body: string(m.Body), Topic: m.Topic, Tags: m.GetTags(), OriginMsgID: m.GetProperty("ORIGIN_MESSAGE_ID"),
				ReconsumeTimes: int(m.ReconsumeTimes), Millis: time.Now().UnixMilli(),
			})
			if strings.HasPrefix(string(m.Body), "fail") {
				result = consumer.ConsumeRetryLater
			}
		}
		return result, nil
	}))
	must(t, c.Start())
	return func() { must(t, c.Shutdown()) }
}

// cppConsumer is the C++ client. Its C interface has no setting for the retries, so they are the client's 16.
func cppConsumer() officialConsumer {
	return officialConsumer{"C++", 1, 16, func(t *testing.T, nameServer, topic, group, expression string, expected int) []delivery {
		return deliveries(t, runCpp(t, nameServer, topic, group, expression, strconv.Itoa(expected), "240"))
	}}
}

// officialProducer is the Go client's, to give the consumers something to do.
func officialProducer(t *testing.T, nameServer string) func(topic string, messages ...*primitive.Message) []*primitive.SendResult {
	t.Helper()
	rlog.SetLogLevel("fatal")
	p, err := producer.NewDefaultProducer(
		producer.WithNsResolver(primitive.NewPassthroughResolver([]string{nameServer})),
		producer.WithGroupName("official_go_producer"), producer.WithInstanceName(t.Name()+strconv.Itoa(os.Getpid())),
	)
	must(t, err)
	must(t, p.Start())
	t.Cleanup(func() { must(t, p.Shutdown()) })
	return func(topic string, messages ...*primitive.Message) []*primitive.SendResult {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		var results []*primitive.SendResult
		for _, m := range messages {
			m.Topic = topic
			r, err := p.SendSync(ctx, m)
			must(t, err)
			results = append(results, r)
		}
		return results
	}
}

func tagged(body, tag string, keys ...string) *primitive.Message {
	m := &primitive.Message{Body: []byte(body)}
	return m.WithTag(tag).WithKeys(keys)
}

// A Go or C++ consumer lost what it failed at `liftoff broker`. The official consumers get it again, after the times of
// the delay levels, as often as they allow, and then it lies in the group's dead-letter topic: there as at real brokers. What
// their tags do not name never comes.
func TestOfficialConsumersFailMessages(t *testing.T) {
	t.Parallel()
	clients := func(more ...officialConsumer) []officialConsumer {
		return append(more, goConsumer(consumer.TAG, 90*time.Second))
	}
	t.Run("liftoff", func(t *testing.T) {
		t.Parallel()
		nameServer := startLiftoffBroker(t, "--delay-levels", retryLevels)
		all := clients()
		for _, v := range realcluster.Versions {
			all = append(all, javaConsumer(v, "concurrently", "tag"))
		}
		failMessages(t, nameServer, all)
	})
	eachVersion(t, func(t *testing.T, version string) {
		c := startCluster(t, realcluster.Options{Version: version, Settings: []string{"messageDelayLevel=" + retryLevels}})
		failMessages(t, c.NameServer(), clients(javaConsumer(version, "concurrently", "tag")))
	})
}

// So does the C++ consumer; its 16 retries take minutes at a real broker. Of messages that it pulls together, its C interface
// shows the listener none after the first that fails, and sends all of them back (CPushConsumer.cpp). So here it fails one
// message only.
func TestOfficialCppConsumerFailsMessages(t *testing.T) {
	t.Parallel()
	failMessages(t, startLiftoffBroker(t, "--delay-levels", retryLevels), []officialConsumer{cppConsumer()})
}

func failMessages(t *testing.T, nameServer string, clients []officialConsumer) {
	send := officialProducer(t, nameServer)
	for _, client := range clients {
		t.Run(client.name, func(t *testing.T) {
			t.Parallel() // they wait most of the time
			topic, group := topicFor(t, "t"), topicFor(t, "g")
			messages := []*primitive.Message{tagged("skip", "other"), tagged("good", "also")} // each goes to another queue
			failing := []string{"fail-1", "fail-2"}[:client.fails]
			for _, body := range failing {
				messages = append(messages, tagged(body, "keep"))
			}
			sent := send(topic, messages...)[2:]
			got := client.run(t, nameServer, topic, group, "keep || also", client.fails*(client.retries+1)+1)
			byBody := map[string][]delivery{}
			for _, d := range got {
				byBody[d.Body] = append(byBody[d.Body], d)
			}
			if len(byBody) != client.fails+1 || len(byBody["good"]) != 1 {
				t.Errorf("delivered: %v", byBody)
			}
			for i, body := range failing {
				times := byBody[body]
				if len(times) != client.retries+1 {
					for _, m := range javaprog.ReadBack(t, realcluster.Default, nameServer, "%RETRY%"+group, client.fails*client.retries, time.Minute) {
						t.Logf("the broker has %s for retry %d, at %d, since %d", m.Body(), m.ReconsumeTimes, m.QueueOffset, m.StoreTimestamp)
					}
					t.Fatalf("%s was delivered %d times, want %d: %+v", body, len(times), client.retries+1, times)
				}
				for n, d := range times {
					if d.ReconsumeTimes != n || d.Topic != topic || d.Tags != "keep" {
						t.Errorf("delivery %d of %s: %+v", n, body, d)
					}
					if n == 0 {
						continue
					}
					if d.OriginMsgID != sent[i].OffsetMsgID {
						t.Errorf("retry %d of %s comes from %s, want %s", n, body, d.OriginMsgID, sent[i].OffsetMsgID)
					}
					if waited := time.Duration(d.Millis-times[n-1].Millis) * time.Millisecond; waited < retryWait(n)-100*time.Millisecond {
						t.Errorf("retry %d of %s came after %v, want %v", n, body, waited, retryWait(n))
					}
				}
			}
			dead := javaprog.ReadBack(t, realcluster.Default, nameServer, "%DLQ%"+group, client.fails, time.Minute)
			if len(dead) != client.fails {
				t.Fatalf("%d dead messages", len(dead))
			}
			for _, m := range dead {
				if body := string(m.Body()); !strings.HasPrefix(body, "fail-") || m.ReconsumeTimes != client.retries+1 || m.Properties["RETRY_TOPIC"] != topic {
					t.Errorf("dead message %q: %+v", body, m)
				}
			}
		})
	}
}

// A Java consumer that keeps an order tries again by itself, and then gives the message up to the dead-letter topic.
func TestOfficialOrderlyConsumerFailsMessages(t *testing.T) {
	t.Parallel()
	nameServer := startLiftoffBroker(t, "--delay-levels", retryLevels)
	send := officialProducer(t, nameServer)
	for _, version := range realcluster.Versions {
		t.Run(version, func(t *testing.T) {
			topic, group := topicFor(t, "t"), topicFor(t, "g")
			send(topic, tagged("fail-1", "x"), tagged("good", "x"))
			got := javaConsumer(version, "orderly", "tag").run(t, nameServer, topic, group, "*", 5)
			if len(got) != 5 {
				t.Errorf("delivered: %+v", got)
			}
			dead := javaprog.ReadBack(t, version, nameServer, "%DLQ%"+group, 1, time.Minute)
			if len(dead) != 1 || string(dead[0].Body()) != "fail-1" {
				t.Errorf("dead: %+v", dead)
			}
		})
	}
}

// A consumer that leaves it to the broker to share out the queues, as pop consumption needs it, started and got nothing. It
// gets its queues, to pull, as from a real broker on which its group is not set to pop.
func TestOfficialConsumerThatWantsTheBrokerToShareOut(t *testing.T) {
	t.Parallel()
	nameServer := startLiftoffBroker(t)
	send := officialProducer(t, nameServer)
	for _, version := range realcluster.Versions {
		if version[0] == '4' {
			continue
		}
		t.Run(version, func(t *testing.T) {
			topic := topicFor(t, "t")
			send(topic, tagged("good", "x"))
			if got := javaConsumer(version, "broker", "tag").run(t, nameServer, topic, topicFor(t, "g"), "*", 1); len(got) != 1 {
				t.Errorf("delivered: %+v", got)
			}
		})
	}
}

// A subscription by SQL was delivered unfiltered to a Go consumer. Now the clients say why they get nothing: Java's at its
// start, Go's in its log.
func TestOfficialConsumersAreRefusedSQL(t *testing.T) {
	t.Parallel()
	nameServer := startLiftoffBroker(t)
	send := officialProducer(t, nameServer)
	const why = "The broker does not support consumer to filter message by SQL92"
	for _, version := range realcluster.Versions {
		t.Run("Java "+version, func(t *testing.T) {
			topic := topicFor(t, "t")
			send(topic, tagged("good", "x"))
			got := javaConsumer(version, "concurrently", "sql").run(t, nameServer, topic, topicFor(t, "g"), "a > 1", 1)
			if len(got) != 1 || !strings.Contains(got[0].StartFailed, why) || got[0].Code != 1 {
				t.Errorf("got %+v", got)
			}
		})
	}
	t.Run("Go", func(t *testing.T) {
		topic := topicFor(t, "t")
		send(topic, tagged("good", "x"))
		var log goLog
		rlog.SetLogger(&log)
		defer rlog.SetLogger(&goLog{})
		got := goConsumer(consumer.SQL92, 15*time.Second).run(t, nameServer, topic, topicFor(t, "g"), "a > 1", 1)
		if len(got) != 0 || !strings.Contains(log.text.String(), why) {
			t.Errorf("got %+v, and the log says\n%s", got, tail(log.text.String(), 2000))
		}
	})
}

// goLog keeps the warnings of the Go client.
type goLog struct{ text lockedBuffer }

func (l *goLog) add(message string, fields map[string]any) {
	_, _ = fmt.Fprintln(&l.text, message, fields)
}

func (l *goLog) Debug(string, map[string]any)       {}
func (l *goLog) Info(string, map[string]any)        {}
func (l *goLog) Warning(m string, f map[string]any) { l.add(m, f) }
func (l *goLog) Error(m string, f map[string]any)   { l.add(m, f) }
func (l *goLog) Fatal(m string, f map[string]any)   { l.add(m, f) }
func (l *goLog) Level(string)                       {}
func (l *goLog) OutputPath(string) error            { return nil }
