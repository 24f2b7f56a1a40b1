package faulttest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// newStatic is a cluster of three brokers with the static topic S: broker-a leads the queues 0, 2 and 4, broker-b the
// queues 1, 3, 5 and 6, broker-c none.
func newStatic(t testing.TB) *world {
	t.Helper()
	w := newWorld(t, 3)
	if err := w.CreateStaticTopic("S", "broker-a", "broker-b", "broker-a", "broker-b", "broker-a", "broker-b", "broker-b"); err != nil {
		t.Fatal(err)
	}
	return w
}

const staticQueues = 7

// The brokers' own queues were taken for a static topic's: one-way messages vanished and some keys always failed with
// code 501. Every kind of send meets the broker that leads its queue, at once.
func TestEveryKindOfSendToAStaticTopic(t *testing.T) {
	const sends = 210
	message := func(i int) *core.Message { return &core.Message{Topic: "S", Body: fmt.Appendf(nil, "%d", i)} }
	for _, tt := range []struct {
		name string
		send func(s *sender, i int) error
		each int
	}{
		{"plain", func(s *sender, i int) error { _, err := s.Send(bg, message(i)); return err }, 1},
		{"keyed", func(s *sender, i int) error {
			m := message(i)
			m.ShardingKey = fmt.Sprintf("key-%d", i)
			_, err := s.Send(bg, m)
			return err
		}, 1},
		{"fixed", func(s *sender, i int) error {
			m := message(i)
			m.Queue = &core.Queue{Broker: rocketmq.MockBrokerGlobal, ID: i % staticQueues}
			res, err := s.Send(bg, m)
			if err == nil && res.Queue.ID != m.Queue.ID {
				err = fmt.Errorf("it went to %v", res.Queue)
			}
			return err
		}, 1},
		{"one-way", func(s *sender, i int) error { return s.SendOneway(bg, message(i)) }, 1},
		{"batch", func(s *sender, i int) error {
			_, err := s.SendBatch(bg, []*core.Message{message(i), message(i), message(i)})
			return err
		}, 3},
	} {
		sub(t, tt.name, func(t *testing.T) {
			w := newStatic(t)
			s := w.start(t)
			for i := range sends / tt.each {
				if err := tt.send(s, i); err != nil {
					t.Fatalf("send %d: %v", i, err)
				}
			}
			time.Sleep(time.Second)
			if got := len(s.log.take()); got != sends/tt.each {
				t.Errorf("%d attempts for %d sends", got, sends/tt.each)
			}
			used := map[string]int{}
			for _, m := range w.Stored("S") {
				used[fmt.Sprint(m.Broker, "/", m.QueueID)]++
			}
			if got := w.StoredCount("S"); got != sends || len(used) != staticQueues {
				t.Errorf("%d of %d messages are stored, in %d of %d queues: %v", got, sends, len(used), staticQueues, used)
			}
		})
	}
}

// When a queue of a static topic moves to another broker, the old one refuses with code 501, certainly without storing.
// Sends to that very queue failed for good. They follow, also when the name server hears of it late; only if it does not
// in time they fail, and are certainly not stored.
func TestSendsFollowAQueueOfAStaticTopic(t *testing.T) {
	for _, late := range []time.Duration{0, 150 * time.Millisecond, time.Minute} {
		for name, prepare := range map[string]func(m *core.Message){
			"fixed": func(m *core.Message) { m.Queue = &core.Queue{Broker: "broker-a", ID: 2} },
			"keyed": func(m *core.Message) { m.ShardingKey = "key-6" }, // is in queue 2 too
		} {
			sub(t, fmt.Sprintf("%s, the name server %s late", name, late), func(t *testing.T) {
				w := newStatic(t)
				s := w.start(t)
				send := func() (core.Result, error) {
					m := &core.Message{Topic: "S", Body: []byte("x")}
					prepare(m)
					return s.Send(bg, m)
				}
				if res, err := send(); err != nil || res.Queue != (core.Queue{Broker: "broker-a", ID: 2}) {
					t.Fatalf("before: %v, %v", res.Queue, err)
				}
				if late > 0 {
					old := &wire.RouteData{Mappings: []wire.QueueMapping{
						{BrokerName: "broker-a", TotalQueues: staticQueues, Epoch: 1, Queues: map[int]int{0: 0, 2: 1, 4: 2}},
						{BrokerName: "broker-b", TotalQueues: staticQueues, Epoch: 1, Queues: map[int]int{1: 0, 3: 1, 5: 2, 6: 3}},
					}}
					for _, b := range w.Brokers()[:2] {
						old.Brokers = append(old.Brokers, wire.BrokerData{BrokerName: b.Name(), Addrs: map[int64]string{0: b.Addr()}})
					}
					knows := w.routeIs(old)
					timer := time.AfterFunc(late, knows)
					defer timer.Stop()
				}
				if err := w.RemapQueue("S", 2, "broker-c"); err != nil {
					t.Fatal(err)
				}
				res, err := send()
				if late > time.Second {
					se := wantFailure(t, err, core.ClassStale, core.NotStored)
					if len(se.Attempts) < 2 {
						t.Errorf("%d attempts", len(se.Attempts))
					}
					return
				}
				if err != nil || res.Queue != (core.Queue{Broker: "broker-c", ID: 2}) || res.Attempts < 2 || res.MaybeDuplicate {
					t.Errorf("afterwards: %+v, %v", res, err)
				}
				if res, err = send(); err != nil || res.Attempts != 1 {
					t.Errorf("the next one: %+v, %v", res, err)
				}
				if got := w.StoredCount("S"); got != 3 {
					t.Errorf("%d stored, want 3", got)
				}
			})
		}
	}
}

// The queues of a broker that is away stay the topic's, so that keys keep theirs: what belongs there is certainly not
// sent, and everything else goes on.
func TestStaticTopicWithoutOneOfItsBrokers(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newStatic(t)
		s := w.startWith(t, liftoff.Config{RouteRefresh: time.Second})
		place := map[string]core.Queue{}
		send := func(key string) (core.Result, error) {
			return s.Send(bg, &core.Message{Topic: "S", Body: []byte("x"), ShardingKey: key})
		}
		for i := range 30 {
			key := fmt.Sprintf("key-%d", i)
			res, err := send(key)
			if err != nil {
				t.Fatal(err)
			}
			place[key] = res.Queue
		}
		w.Broker("broker-b").Stop()
		time.Sleep(2 * time.Second)
		for key, q := range place {
			res, err := send(key)
			if q.Broker == "broker-b" {
				if core.CertaintyOf(err) != core.NotSent {
					t.Errorf("%s, which is in %v: %+v, %v", key, q, res, err)
				}
			} else if err != nil || res.Queue != q {
				t.Errorf("%s, which is in %v: %+v, %v", key, q, res, err)
			}
		}
		s.log.take()
		for range 20 {
			if _, err := send(""); err != nil {
				t.Error(err)
			}
		}
		if got := len(s.log.take()); got != 20 {
			t.Errorf("%d attempts for 20 sends without a key", got)
		}
		if err := w.Broker("broker-b").Start(bg); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		for key, q := range place {
			if res, err := send(key); err != nil || res.Queue != q {
				t.Errorf("%s, which is in %v, afterwards: %+v, %v", key, q, res, err)
			}
		}
	})
}

// A broker that only refuses a queue that it does not lead is well: no breaker opens for it.
func TestStaleRoutesOpenNoBreaker(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newStatic(t)
		s := w.start(t)
		w.Control(wire.SendMessageV2, func(r *embedded.Request) embedded.Action {
			return embedded.Reply(rocketmq.CodeNotLeaderForQueue, "S-2 does not exit in request process of current broker "+r.Node)
		})
		for range 20 {
			_, err := s.Send(bg, &core.Message{Topic: "S", Body: []byte("x"), Queue: &core.Queue{Broker: "broker-a", ID: 2}})
			wantFailure(t, err, core.ClassStale, core.NotStored)
		}
		if got := s.breaker("broker-a"); got.String() != "closed" {
			t.Errorf("the breaker of broker-a is %s", got)
		}
	})
}

// A one-way send hears nothing of a queue that has moved, so its messages are lost until somebody else does, or the
// route is looked up again: what the documentation says, in numbers.
func TestOnewaySendsToAQueueThatHasMoved(t *testing.T) {
	for name, asked := range map[string]bool{"alone": false, "beside a send with an answer": true} {
		sub(t, name, func(t *testing.T) {
			w := newStatic(t)
			s := w.startWith(t, liftoff.Config{RouteRefresh: 30 * time.Second})
			send := func() {
				m := &core.Message{Topic: "S", Body: []byte("x"), Queue: &core.Queue{Broker: "broker-a", ID: 2}}
				if err := s.SendOneway(bg, m); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
			}
			send()
			if err := w.RemapQueue("S", 2, "broker-c"); err != nil {
				t.Fatal(err)
			}
			send()
			if got := w.StoredCount("S"); got != 1 {
				t.Fatalf("%d stored, want 1: the old broker has refused", got)
			}
			if asked {
				m := &core.Message{Topic: "S", Body: []byte("x"), Queue: &core.Queue{Broker: "broker-a", ID: 2}}
				if _, err := s.Send(bg, m); err != nil {
					t.Fatal(err)
				}
			} else {
				time.Sleep(30 * time.Second)
			}
			before := w.StoredCount("S")
			send()
			if got := w.StoredCount("S"); got != before+1 {
				t.Errorf("%d stored, want %d", got, before+1)
			}
		})
	}
}
