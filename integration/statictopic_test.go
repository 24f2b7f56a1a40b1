package integration

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/integration/javaprog"
)

// staticQueues is the number of logical queues of the static topics here. No two brokers have equally many.
const staticQueues = 7

// Brokers of 5.x keep the logical queues of a static topic in queues of their own with other numbers. When a producer
// took the ones for the others, half of the one-way messages vanished and some keys always failed with code 501. Every
// kind of send is stored at its first attempt, whatever queue it goes to. 4.9.7 has no static topics.
func TestStaticTopicTakesEverySend(t *testing.T) {
	t.Parallel()
	const sends = 1000
	eachCluster(t, func(t *testing.T, c *cluster) {
		if c.Version() == "4.9.7" {
			return
		}
		msg := func(topic string, i int) *core.Message {
			return &core.Message{Topic: topic, Body: fmt.Appendf(nil, "%d", i)}
		}
		for _, tt := range []struct {
			mode string
			// send makes the send with that number and gives its result, nil for one without an answer.
			send func(ctx context.Context, p *core.Producer, topic string, i int) (*core.Result, error)
			each int // messages of one send
		}{
			{"plain", func(ctx context.Context, p *core.Producer, topic string, i int) (*core.Result, error) {
				r, err := p.Send(ctx, msg(topic, i))
				return &r, err
			}, 1},
			{"keyed", func(ctx context.Context, p *core.Producer, topic string, i int) (*core.Result, error) {
				m := msg(topic, i)
				m.ShardingKey = fmt.Sprintf("key-%d", i%50)
				r, err := p.Send(ctx, m)
				return &r, err
			}, 1},
			{"fixed", func(ctx context.Context, p *core.Producer, topic string, i int) (*core.Result, error) {
				m := msg(topic, i)
				// What Java calls a static topic's queue, and what the broker that leads it is called, or led it once.
				names := []string{"__syslo__global__", "broker-a", "broker-b"}
				m.Queue = &core.Queue{Broker: names[i%len(names)], ID: i % staticQueues}
				r, err := p.Send(ctx, m)
				if err == nil && r.Queue.ID != m.Queue.ID {
					err = fmt.Errorf("%v is for %v", r.Queue, m.Queue)
				}
				return &r, err
			}, 1},
			{"async", func(ctx context.Context, p *core.Producer, topic string, i int) (*core.Result, error) {
				type outcome struct {
					r   core.Result
					err error
				}
				came := make(chan outcome, 1)
				p.SendAsync(ctx, msg(topic, i), func(r core.Result, err error) { came <- outcome{r, err} })
				o := <-came
				return &o.r, o.err
			}, 1},
			{"oneway", func(ctx context.Context, p *core.Producer, topic string, i int) (*core.Result, error) {
				return nil, p.SendOneway(ctx, msg(topic, i))
			}, 1},
			{"batch", func(ctx context.Context, p *core.Producer, topic string, i int) (*core.Result, error) {
				var batch []*core.Message
				for k := range 10 {
					batch = append(batch, msg(topic, 10*i+k))
				}
				r, err := p.SendBatch(ctx, batch)
				if err != nil {
					return nil, err
				}
				first := r.At(0)
				return &first, nil
			}, 10},
		} {
			t.Run(tt.mode, func(t *testing.T) {
				topic := topicFor(t, "t")
				c.CreateStaticTopic(t, topic, staticQueues)
				p := newProducer(t, c.NameServer(), producerOptions{})
				failed := 0
				for i := 0; i < sends/tt.each && failed < 20; i++ {
					r, err := tt.send(t.Context(), p, topic, i)
					switch {
					case err != nil:
						if failed++; failed <= 3 {
							t.Errorf("send %d: %v", i, err)
						}
					case r != nil && r.Attempts != 1:
						t.Errorf("send %d took %d attempts", i, r.Attempts)
					}
				}
				if failed > 0 {
					t.Fatalf("%d sends failed", failed)
				}
				// An independent reader, of what the brokers really have.
				deadline := time.Now().Add(10 * time.Second)
				stored := 0
				for stored = c.Stored(t, topic, staticQueues); stored < sends && time.Now().Before(deadline); stored = c.Stored(t, topic, staticQueues) {
					time.Sleep(100 * time.Millisecond)
				}
				if stored != sends {
					t.Errorf("%d of %d messages are stored", stored, sends)
				}
				led, err := c.LogicalQueues(t.Context(), topic)
				must(t, err)
				for id, q := range led {
					n, err := c.Cluster.QueueStored(t.Context(), topic, q.Physical, q.Broker)
					must(t, err)
					if n == 0 {
						t.Errorf("queue %d, which is queue %d of %s, got none of the messages", id, q.Physical, q.Broker)
					}
				}
				if tt.mode != "plain" {
					return
				}
				takesRecalls(t, p, topic)
				// Java's consumer finds the same.
				bodies := map[string]int{}
				for _, m := range javaprog.ReadBack(t, c.Version(), c.NameServer(), topic, sends, time.Minute) {
					bodies[string(m.Body())]++
				}
				if len(bodies) != sends {
					t.Errorf("a Java consumer reads %d of %d messages", len(bodies), sends)
				}
			})
		}
	})
}

// An operator gives the queues of a static topic to other brokers while it is sent to. The old broker refuses with code
// 501, certainly without storing; the sends follow to the new one, in the same queues by number.
func TestStaticTopicIsRemappedUnderLoad(t *testing.T) {
	t.Parallel()
	eachCluster(t, func(t *testing.T, c *cluster) {
		if c.Version() == "4.9.7" {
			return
		}
		topic := topicFor(t, "t")
		c.CreateStaticTopic(t, topic, staticQueues)
		p := newProducer(t, c.NameServer(), producerOptions{})
		var acked, moved atomic.Int64
		senders := newSenders(t)
		queueOf := make([]map[int]bool, 20) // of each key
		for worker, prepare := range []func(m *core.Message, i int){
			func(*core.Message, int) {},
			func(m *core.Message, i int) { m.ShardingKey = fmt.Sprintf("key-%d", i%len(queueOf)) },
			func(m *core.Message, i int) { m.Queue = &core.Queue{Broker: "broker-a", ID: i % staticQueues} },
		} {
			senders.Go(func() {
				for i := 0; !senders.stopped(); i++ {
					m := &core.Message{Topic: topic, Body: fmt.Appendf(nil, "%d-%d", worker, i)}
					prepare(m, i)
					r, err := p.Send(t.Context(), m)
					if err != nil {
						t.Errorf("worker %d, send %d: %s %s: %v", worker, i, core.ClassOf(err), core.CertaintyOf(err), err)
						continue
					}
					if r.MaybeDuplicate {
						t.Errorf("worker %d, send %d: it may be stored twice: %+v", worker, i, r)
					}
					acked.Add(1)
					if r.Attempts > 1 {
						moved.Add(1)
					}
					if m.ShardingKey != "" {
						k := i % len(queueOf)
						if queueOf[k] == nil {
							queueOf[k] = map[int]bool{}
						}
						queueOf[k][r.Queue.ID] = true
					}
				}
			})
		}
		time.Sleep(500 * time.Millisecond)
		c.RemapStaticTopic(t, topic, staticQueues, "broker-b")
		time.Sleep(500 * time.Millisecond)
		before := c.Stored(t, topic, staticQueues, "broker-a")
		time.Sleep(500 * time.Millisecond)
		after := c.Stored(t, topic, staticQueues, "broker-a")
		senders.stop()
		if before != after || before == 0 {
			t.Errorf("broker-a, which leads no queue any more, has %d messages and then %d", before, after)
		}
		for k, ids := range queueOf {
			if len(ids) != 1 {
				t.Errorf("key-%d went to %d queues: %v", k, len(ids), ids)
			}
		}
		if got, want := c.Stored(t, topic, 2*staticQueues), int(acked.Load()); got != want {
			t.Errorf("%d messages are stored, %d were acknowledged", got, want)
		}
		if moved.Load() == 0 {
			t.Error("no send met the old broker")
		}
		t.Logf("%s: %d acknowledged, %d of them at a second attempt", c.Version(), acked.Load(), moved.Load())
	})
}
