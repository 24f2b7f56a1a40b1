package admin_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/admin"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Every queue is there with what its broker has of it.
func TestOffsets(t *testing.T) {
	virtual(t, 2, remoting.Config{}, func(t *testing.T, w *world) {
		// A topic that gets fewer queues: consumers still read the third.
		if _, err := w.CreateTopic(t.Context(), admin.Topic{Name: "t", Queues: 2, ReadQueues: 3}, admin.Place{}); err != nil {
			t.Fatal(err)
		}
		stored := map[core.Queue]time.Time{}
		count := map[core.Queue]int64{}
		for i := range 5 {
			time.Sleep(time.Second)
			q := w.send(t, core.Message{Topic: "t", Body: []byte{byte(i)}}).Queue
			if count[q]++; count[q] == 1 {
				stored[q] = time.Now().Truncate(time.Millisecond)
			}
		}
		got, err := w.Offsets(t.Context(), "t")
		if err != nil || len(got) != 6 {
			t.Fatalf("%+v, %v", got, err)
		}
		for i, o := range got {
			if want := (core.Queue{Broker: []string{"broker-a", "broker-b"}[i/3], ID: i % 3}); o.Queue != want {
				t.Errorf("%d is %v, want %v", i, o.Queue, want)
			}
			if o.Min != 0 || o.Max != count[o.Queue] || !o.Earliest.Equal(stored[o.Queue]) {
				t.Errorf("%+v, want %d from %v", o, count[o.Queue], stored[o.Queue])
			}
		}
	})
}

// A broker that does not answer costs its own queues, and one time-out.
func TestOffsetsOfSomeBrokers(t *testing.T) {
	virtual(t, 2, remoting.Config{}, func(t *testing.T, w *world) {
		if err := w.Cluster.CreateTopic("t", 4); err != nil {
			t.Fatal(err)
		}
		w.on("broker-a", wire.GetMinOffset, embedded.Hang())
		begin := time.Now()
		got, err := w.Offsets(t.Context(), "t")
		var some *admin.BrokersError
		if !errors.As(err, &some) || len(some.Failed) != 1 || some.Failed[0].Broker != "broker-a" || core.ClassOf(err) != core.ClassTimeout || !strings.Contains(err.Error(), "queue 0: ") {
			t.Errorf("%v", err)
		}
		if len(got) != 4 || got[0].Broker != "broker-b" || time.Since(begin) != admin.DefaultTimeout {
			t.Errorf("%+v after %v", got, time.Since(begin))
		}
	})
}

// The logical queues of a static topic are asked for at the brokers that lead them.
func TestOffsetsOfAStaticTopic(t *testing.T) {
	virtual(t, 2, remoting.Config{}, func(t *testing.T, w *world) {
		if err := w.CreateStaticTopic("t", "broker-b", "broker-a", "broker-b"); err != nil {
			t.Fatal(err)
		}
		for _, code := range []int{wire.GetMaxOffset, wire.GetMinOffset} {
			w.on("", code, embedded.ReplyWith(wire.Command{Ext: wire.Fields{{Key: "offset", Value: "7"}}}))
		}
		got, err := w.Offsets(t.Context(), "t")
		if err != nil || fmt.Sprint(got) != fmt.Sprint([]admin.QueueOffsets{
			{Queue: core.Queue{Broker: "broker-a", ID: 1}, Min: 7, Max: 7},
			{Queue: core.Queue{Broker: "broker-b", ID: 0}, Min: 7, Max: 7},
			{Queue: core.Queue{Broker: "broker-b", ID: 2}, Min: 7, Max: 7},
		}) {
			t.Errorf("%+v, %v", got, err)
		}
		for _, r := range w.Requests(wire.GetMaxOffset) {
			if r.Command.Ext.Get("bname") != r.Node || r.Command.Ext.Get("topic") != "t" {
				t.Errorf("%s is asked %v", r.Node, r.Command.Ext)
			}
		}
	})
}

// The greatest offset may be older than the least one, which is asked for later.
func TestOffsetsThatMoveMeanwhile(t *testing.T) {
	virtual(t, 1, remoting.Config{}, func(t *testing.T, w *world) {
		if err := w.Cluster.CreateTopic("t", 1); err != nil {
			t.Fatal(err)
		}
		w.on("", wire.GetMaxOffset, embedded.ReplyWith(wire.Command{Ext: wire.Fields{{Key: "offset", Value: "5"}}}))
		w.on("", wire.GetMinOffset, embedded.ReplyWith(wire.Command{Ext: wire.Fields{{Key: "offset", Value: "9"}}}))
		if got, err := w.Offsets(t.Context(), "t"); err != nil || len(got) != 1 || got[0].Min != 9 || got[0].Max != 9 || !got[0].Earliest.IsZero() {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestOffsetAt(t *testing.T) {
	virtual(t, 1, remoting.Config{}, func(t *testing.T, w *world) {
		if err := w.Cluster.CreateTopic("t", 1); err != nil {
			t.Fatal(err)
		}
		begin := time.Now().Truncate(time.Millisecond)
		for range 3 {
			w.send(t, core.Message{Topic: "t", Body: []byte("x")})
			time.Sleep(time.Second)
		}
		q := core.Queue{Broker: "broker-a"}
		for after, want := range map[time.Duration]int64{-time.Hour: 0, 0: 0, time.Millisecond: 1, time.Second: 1, 2 * time.Second: 2, time.Hour: 3} {
			if got, err := w.OffsetAt(t.Context(), "t", q, begin.Add(after)); err != nil || got != want {
				t.Errorf("after %v: %d, %v, want %d", after, got, err, want)
			}
		}
		if _, err := w.OffsetAt(t.Context(), "t", core.Queue{Broker: "broker-x"}, begin); !errors.Is(err, core.ErrNoRoute) {
			t.Errorf("%v", err)
		}
		w.on("", wire.GetRouteInfoByTopic, answerOf(wire.AppendRoute(nil, &wire.RouteData{
			Queues:  []wire.QueueData{{BrokerName: "broker-a", ReadQueueNums: 1}},
			Brokers: []wire.BrokerData{{BrokerName: "broker-a", Addrs: map[int64]string{1: w.Broker("broker-a").Addr()}}},
		}, wire.StandardKeys)))
		if _, err := w.OffsetAt(t.Context(), "t", q, begin); !errors.Is(err, core.ErrConnect) || !strings.Contains(err.Error(), "no master") {
			t.Errorf("%v", err)
		}
	})
}

// What is no number is an error of the answer; what a broker refuses has its class.
func TestOffsetAnswers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		action embedded.Action
		class  core.Class
	}{
		{"no field", embedded.ReplyWith(wire.Command{}), core.ClassBroker},
		{"no number", embedded.ReplyWith(wire.Command{Ext: wire.Fields{{Key: "offset", Value: "x"}}}), core.ClassBroker},
		{"beyond 64 bits", embedded.ReplyWith(wire.Command{Ext: wire.Fields{{Key: "offset", Value: "9223372036854775808"}}}), core.ClassBroker},
		{"no permission", refuse(rocketmq.CodeNoPermission, "User:u has no permission to access"), core.ClassAuth},
		{"no topic", refuse(rocketmq.CodeTopicNotExist, "topic not exist"), core.ClassNoTopic},
		{"garbage", embedded.Garbage([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")), core.ClassNetwork},
		{"cut", embedded.Cut(), core.ClassNetwork},
		{"hung", embedded.Hang(), core.ClassTimeout},
		{"slow", embedded.Trickle(time.Second), core.ClassTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			virtual(t, 1, remoting.Config{}, func(t *testing.T, w *world) {
				if err := w.Cluster.CreateTopic("t", 1); err != nil {
					t.Fatal(err)
				}
				w.on("", wire.SearchOffsetByTimestamp, tt.action)
				begin := time.Now()
				_, err := w.OffsetAt(t.Context(), "t", core.Queue{Broker: "broker-a"}, begin)
				if core.ClassOf(err) != tt.class || time.Since(begin) > admin.DefaultTimeout {
					t.Errorf("%v, %v after %v, want %v", err, core.ClassOf(err), time.Since(begin), tt.class)
				}
			})
		})
	}
}

// More brokers than are asked at once: each is asked, and none twice.
func TestManyBrokers(t *testing.T) {
	const brokers = 20
	virtual(t, brokers, remoting.Config{}, func(t *testing.T, w *world) {
		begin := time.Now()
		w.on("", wire.UpdateAndCreateTopic, embedded.Delay(time.Second, embedded.Pass()))
		done, err := w.CreateTopic(t.Context(), admin.Topic{Name: "t", Queues: 1}, admin.Place{})
		if err != nil || len(done) != brokers || !slices.IsSorted(done) || w.RequestCount(wire.UpdateAndCreateTopic) != brokers || time.Since(begin) != 3*time.Second {
			t.Errorf("%d done, %d requests, %v, %v", len(done), w.RequestCount(wire.UpdateAndCreateTopic), time.Since(begin), err)
		}
		w.on("", wire.GetMaxOffset, refuse(1, strings.Repeat("no ", 100)))
		_, err = w.Offsets(t.Context(), "t")
		if err == nil || !strings.Contains(err.Error(), strconv.Itoa(brokers)+" of "+strconv.Itoa(brokers)) || !strings.HasSuffix(err.Error(), "; and 12 more") || len(err.Error()) > 8<<10 {
			t.Errorf("%v", err)
		}
	})
}
