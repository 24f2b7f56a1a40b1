package embedded_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

func pullCommand(topic string, queue int, offset int64, max int, extra ...wire.Field) wire.Command {
	f := wire.Fields{
		prop("consumerGroup", "readers"), prop("topic", topic), prop("queueId", strconv.Itoa(queue)),
		prop("queueOffset", strconv.FormatInt(offset, 10)), prop("maxMsgNums", strconv.Itoa(max)), prop("sysFlag", "4"),
		prop("subscription", "*"), prop("subVersion", "0"), prop("expressionType", "TAG"),
	}
	for _, e := range extra {
		f.Set(e.Key, e.Value)
	}
	return wire.Command{Code: wire.PullMessage, Ext: f}
}

func messages(t testing.TB, body []byte) []wire.StoredMessage {
	t.Helper()
	var out []wire.StoredMessage
	for len(body) > 0 {
		m, rest, err := wire.ParseStored(body)
		if err != nil {
			t.Fatal(err)
		}
		out, body = append(out, m), rest
	}
	return out
}

func TestPullReadsWhatWasSent(t *testing.T) {
	for _, ser := range serializations {
		c := inMemory(t, embedded.Config{})
		p := connect(t, c, c.Brokers()[0].Addr(), ser)
		for i := range 70 {
			mustCode(t, p.send("t", 1, "m"+strconv.Itoa(i), prop("n", strconv.Itoa(i))), 0)
		}
		var next int64
		var got []wire.StoredMessage
		for range 3 {
			a := mustCode(t, p.call(pullCommand("t", 1, next, 100)), 0)
			batch := messages(t, a.Body)
			got = append(got, batch...)
			next += int64(len(batch))
			if a.Ext.Get("nextBeginOffset") != strconv.FormatInt(next, 10) || a.Ext.Get("minOffset") != "0" || a.Ext.Get("maxOffset") != "70" {
				t.Errorf("fields %v after %d", a.Ext, next)
			}
			if len(batch) > 32 {
				t.Errorf("%d messages in one answer", len(batch))
			}
		}
		if len(got) != 70 {
			t.Fatalf("%d messages", len(got))
		}
		for i, m := range got {
			if string(m.Body) != "m"+strconv.Itoa(i) || m.QueueOffset != int64(i) || m.Topic != "t" || wire.ParseProperties(m.Properties).Get("n") != strconv.Itoa(i) {
				t.Errorf("message %d: %+v", i, m)
			}
		}
	}
}

func TestPullStopsAtItsSize(t *testing.T) {
	c := inMemory(t, embedded.Config{})
	p := connect(t, c, c.Brokers()[0].Addr(), wire.RocketMQ)
	for range 4 {
		mustCode(t, p.send("t", 0, strings.Repeat("x", 100<<10)), 0)
	}
	mustCode(t, p.send("t", 0, strings.Repeat("x", 1<<20)), 0)
	for _, tt := range []struct {
		offset int64
		max    int
		want   int
	}{{0, 32, 2}, {0, 1, 1}, {4, 32, 1}, {3, 0, 1}} {
		a := mustCode(t, p.call(pullCommand("t", 0, tt.offset, tt.max)), 0)
		if n := len(messages(t, a.Body)); n != tt.want {
			t.Errorf("from %d at most %d: got %d, want %d", tt.offset, tt.max, n, tt.want)
		}
	}
}

func TestPullWithoutMessages(t *testing.T) {
	c := inMemory(t, embedded.Config{})
	b := c.Brokers()[0]
	p := connect(t, c, b.Addr(), wire.RocketMQ)
	mustCode(t, p.send("t", 0, "x"), 0)
	if err := c.PutTopic(embedded.Topic{Name: "writeonly", ReadQueues: 1, WriteQueues: 1, Perm: 2}); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		cmd  wire.Command
		code int
		next string
	}{
		{"end of the queue", pullCommand("t", 0, 1, 32), 19, "1"},
		{"beyond the end", pullCommand("t", 0, 9, 32), 21, "1"},
		{"before the start", pullCommand("t", 0, -1, 32), 21, "0"},
		{"empty queue", pullCommand("t", 1, 0, 32), 19, "0"},
		{"empty queue, beyond the end", pullCommand("t", 1, 5, 32), 21, "0"},
		{"no such queue", pullCommand("t", 4, 0, 32), 29, ""},
		{"no such topic", pullCommand("none", 0, 0, 32), 17, ""},
		{"write-only topic", pullCommand("writeonly", 0, 0, 32), 16, ""},
		{"filter by SQL", pullCommand("t", 0, 0, 32, prop("expressionType", "SQL92")), 1, ""},
		{"no offset", pullCommand("t", 0, 0, 32, prop("queueOffset", "")), 1, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if a := mustCode(t, p.call(tt.cmd), tt.code); a.Ext.Get("nextBeginOffset") != tt.next || len(a.Body) > 0 {
				t.Errorf("fields %v, %d bytes", a.Ext, len(a.Body))
			}
		})
	}
	b.SetPerm(rocketmq.PermWrite)
	mustCode(t, p.call(pullCommand("t", 0, 0, 32)), 16)
}

// A pull with the suspend flag is answered when a message comes, or at its end.
func TestPullWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory(t, embedded.Config{})
		b := c.Brokers()[0]
		reader := connect(t, c, b.Addr(), wire.RocketMQ)
		writer := connect(t, c, b.Addr(), wire.RocketMQ)
		mustCode(t, writer.send("t", 0, "first"), 0)

		wait := []wire.Field{prop("sysFlag", "6"), prop("suspendTimeoutMillis", "15000")}
		begin := time.Now()
		cmd := pullCommand("t", 0, 1, 32, wait...)
		opaque := reader.write(&cmd)
		time.Sleep(3 * time.Second)
		mustCode(t, writer.send("t", 1, "another queue"), 0)
		time.Sleep(3 * time.Second)
		mustCode(t, writer.send("t", 0, "second"), 0)
		got := messages(t, mustCode(t, reader.answer(opaque), 0).Body)
		if len(got) != 1 || string(got[0].Body) != "second" || time.Since(begin) != 6*time.Second {
			t.Errorf("%d messages after %v", len(got), time.Since(begin))
		}

		begin = time.Now()
		mustCode(t, reader.call(pullCommand("t", 0, 2, 32, wait...)), 19)
		if d := time.Since(begin); d != 15*time.Second {
			t.Errorf("nothing found after %v", d)
		}
		begin = time.Now()
		mustCode(t, reader.call(pullCommand("t", 0, 2, 32, prop("sysFlag", "6"), prop("suspendTimeoutMillis", "99999999"))), 19)
		if d := time.Since(begin); d != 30*time.Second {
			t.Errorf("an endless wait ended after %v", d)
		}
		// A waiting pull is no reason for Close to wait.
		cmd = pullCommand("t", 0, 2, 32, wait...)
		reader.write(&cmd)
		synctest.Wait()
	})
}

func TestOffsets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory(t, embedded.Config{})
		b := c.Brokers()[0]
		p := connect(t, c, b.Addr(), wire.JSON)
		begin := time.Now().UnixMilli()
		for range 5 {
			mustCode(t, p.send("t", 0, "x"), 0)
			time.Sleep(time.Second)
		}
		ask := func(code int, extra ...wire.Field) wire.Command {
			f := append(wire.Fields{prop("topic", "t"), prop("queueId", "0"), prop("consumerGroup", "g")}, extra...)
			return p.call(wire.Command{Code: code, Ext: f})
		}
		offset := func(want string, cmd wire.Command) {
			t.Helper()
			if got := mustCode(t, cmd, 0).Ext.Get("offset"); got != want {
				t.Errorf("offset %s, want %s", got, want)
			}
		}
		offset("5", ask(wire.GetMaxOffset))
		offset("0", ask(wire.GetMinOffset))
		offset("0", ask(wire.GetMaxOffset, prop("queueId", "3")))
		for ms, want := range map[int64]string{-1: "0", 0: "0", 1: "1", 1000: "1", 2500: "3", 4000: "4", 4001: "5"} {
			offset(want, ask(wire.SearchOffsetByTimestamp, prop("timestamp", strconv.FormatInt(begin+ms, 10))))
		}
		for ms, want := range map[int64]string{-1: "0", 0: "0", 999: "0", 1000: "1", 2500: "2", 99999: "4"} {
			offset(want, ask(wire.SearchOffsetByTimestamp, prop("timestamp", strconv.FormatInt(begin+ms, 10)), prop("boundaryType", "UPPER")))
		}
		if got := mustCode(t, ask(wire.GetEarliestMsgStoreTime), 0).Ext.Get("timestamp"); got != strconv.FormatInt(begin, 10) {
			t.Errorf("earliest %s", got)
		}
		offset("0", ask(wire.QueryConsumerOffset))
		mustCode(t, ask(wire.QueryConsumerOffset, prop("setZeroIfNotFound", "false")), 22)
		mustCode(t, ask(wire.UpdateConsumerOffset, prop("commitOffset", "4")), 0)
		offset("4", ask(wire.QueryConsumerOffset))
		mustCode(t, ask(wire.UpdateConsumerOffset, prop("commitOffset", "1"), prop("topic", "none")), 17)
		mustCode(t, p.call(pullCommand("t", 0, 0, 1, prop("sysFlag", "5"), prop("commitOffset", "3"))), 0)
		if n, ok := b.ConsumerOffset("readers", "t", 0); n != 3 || !ok {
			t.Errorf("offset committed by a pull: %d, %v", n, ok)
		}
		for _, code := range []int{
			wire.GetMaxOffset, wire.GetMinOffset, wire.SearchOffsetByTimestamp, wire.GetEarliestMsgStoreTime,
			wire.QueryConsumerOffset, wire.ViewMessageByID, wire.UpdateAndCreateTopic,
		} {
			if a := mustCode(t, p.call(wire.Command{Code: code}), 1); !strings.Contains(a.Remark, "missing") {
				t.Errorf("code %d without fields: %q", code, a.Remark)
			}
		}
	})
}

func TestLocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory(t, embedded.Config{})
		p := connect(t, c, c.Brokers()[0].Addr(), wire.RocketMQ)
		ask := func(code int, client string, queues ...int) []int {
			t.Helper()
			req := map[string]any{"consumerGroup": "g", "clientId": client}
			var set []map[string]any
			for _, q := range queues {
				set = append(set, map[string]any{"topic": "t", "brokerName": "broker-a", "queueId": q})
			}
			req["mqSet"] = set
			body, _ := json.Marshal(req)
			a := mustCode(t, p.call(wire.Command{Code: code, Body: body}), 0)
			var got struct {
				Locked []struct{ QueueID int } `json:"lockOKMQSet"`
			}
			if len(a.Body) > 0 {
				if err := json.Unmarshal(a.Body, &got); err != nil {
					t.Fatal(err)
				}
			}
			out := []int{}
			for _, q := range got.Locked {
				out = append(out, q.QueueID)
			}
			return out
		}
		want := func(got []int, want ...int) {
			t.Helper()
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("locked %v, want %v", got, want)
			}
		}
		want(ask(wire.LockBatchMQ, "a", 0, 1), 0, 1)
		want(ask(wire.LockBatchMQ, "b", 1, 2), 2)
		ask(wire.UnlockBatchMQ, "b", 1) // not its own
		want(ask(wire.LockBatchMQ, "b", 1))
		ask(wire.UnlockBatchMQ, "a", 1)
		want(ask(wire.LockBatchMQ, "b", 1), 1)
		time.Sleep(time.Minute)
		want(ask(wire.LockBatchMQ, "b", 0), 0)
		mustCode(t, p.call(wire.Command{Code: wire.LockBatchMQ, Body: []byte("no json")}), 1)
	})
}
