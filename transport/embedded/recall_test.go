package embedded_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// recallCommand makes a recall as a producer does.
func recallCommand(topic, handle string) wire.Command {
	r := wire.Recall{Group: "g", Topic: topic, Handle: handle, BrokerName: "broker-a"}
	return wire.Command{Code: wire.RecallMessage, Ext: r.Fields()}
}

func (p *peer) recall(topic, handle string) wire.Command {
	p.t.Helper()
	return p.call(recallCommand(topic, handle))
}

// recalled fails the test unless the answer says that a recall was carried out.
func recalled(t *testing.T, a wire.Command, id string) {
	t.Helper()
	if r, err := wire.ParseRecallResponse(new(mustCode(t, a, 0))); err != nil || r.MsgID != id || r.RegionID != "DefaultRegion" {
		t.Fatalf("answer %v, %v, want the id %s", a.Ext, err, id)
	}
}

func deliverAt(at time.Time) wire.Field {
	return prop("TIMER_DELIVER_MS", strconv.FormatInt(at.UnixMilli(), 10))
}

func handleOf(topic, broker string, at time.Time, id string) string {
	return rocketmq.RecallHandle{Topic: topic, Broker: broker, DeliverAt: at, MessageID: id}.String()
}

func bodies(c *embedded.Cluster, topic string) []string {
	var out []string
	for _, m := range c.Stored(topic) {
		out = append(out, string(m.Body))
	}
	slices.Sort(out)
	return out
}

// Of 100 timed messages half are recalled by the handles of their answers. Exactly the others arrive.
func TestRecalledMessagesNeverArrive(t *testing.T) {
	for _, ser := range serializations {
		t.Run(ser.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := inMemory(t, embedded.Config{})
				p := connect(t, c, c.Brokers()[0].Addr(), ser)
				began := time.Now()
				var want []string
				handles := map[string]string{}
				for i := range 100 {
					id := fmt.Sprintf("ID%03d", i)
					a := mustCode(t, p.send("t", i%4, id, prop("UNIQ_KEY", id), deliverAt(began.Add(20*time.Second+time.Duration(i)*37*time.Millisecond))), 0)
					if handle := a.Ext.Get("recallHandle"); i%2 == 0 {
						handles[id] = handle
					} else {
						want = append(want, id)
					}
				}
				time.Sleep(10 * time.Second)
				for id, handle := range handles {
					recalled(t, p.recall("t", handle), id)
				}
				if n := c.StoredCount("rmq_sys_wheel_timer"); n != 150 {
					t.Errorf("the timer has %d messages, want 100 and 50 recalls", n)
				}
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				if got := bodies(c, "t"); !slices.Equal(got, want) {
					t.Errorf("%d arrived: %v, want %d: %v", len(got), got, len(want), want)
				}
				for id, handle := range handles {
					if a := mustCode(t, p.recall("t", handle), 604); a.Remark != "recall failed, timestamp invalid" {
						t.Errorf("%s, when its time is over: %q", id, a.Remark)
					}
				}
			})
		})
	}
}

// The answers are those of a 5.3.3 and of a 5.5.0, which were asked the same.
func TestRecallAnswers(t *testing.T) {
	const (
		invalid = "recall handle is invalid"
		late    = "recall failed, timestamp invalid"
		success = "not set any response code"
	)
	raw := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for _, ser := range serializations {
		t.Run(ser.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := inMemory(t, embedded.Config{})
				b := c.Brokers()[0]
				p := connect(t, c, b.Addr(), ser)
				mustCode(t, p.send("t", 0, "x"), 0)
				mustCode(t, p.send("%RETRY%g", 0, "x"), 0)
				now := time.Now()
				soon := now.Add(time.Hour)
				ms := strconv.FormatInt(soon.UnixMilli(), 10)
				good := handleOf("t", "broker-a", soon, "ID")
				for _, tt := range []struct {
					name   string
					ext    wire.Fields
					code   int
					remark string
					id     string
				}{
					{"good", recallCommand("t", good).Ext, 0, success, "ID"},
					{"again", recallCommand("t", good).Ext, 0, success, "ID"},
					{"without padding", recallCommand("t", strings.TrimRight(good, "=")).Ext, 0, success, "ID"},
					{"without group and broker", wire.Recall{Topic: "t", Handle: good}.Fields(), 0, success, "ID"},
					{"never sent", recallCommand("t", handleOf("t", "broker-a", soon, "NEVER")).Ext, 0, success, "NEVER"},
					{"for another broker by the field alone", wire.Recall{Topic: "t", Handle: good, BrokerName: "broker-z"}.Fields(), 0, success, "ID"},
					{"retry topic", recallCommand("%RETRY%g", handleOf("%RETRY%g", "broker-a", soon, "ID")).Ext, 0, success, "ID"},
					{"six parts", recallCommand("t", raw("v1 t broker-a "+ms+" ID more")).Ext, 0, success, "ID"},
					{"last moment", recallCommand("t", handleOf("t", "broker-a", now.Add(time.Millisecond), "ID")).Ext, 0, success, "ID"},
					{"nearly too far", recallCommand("t", handleOf("t", "broker-a", now.Add(72*time.Hour-time.Millisecond), "ID")).Ext, 0, success, "ID"},
					{"long id", recallCommand("t", handleOf("t", "broker-a", soon, strings.Repeat("x", 5000))).Ext, 0, success, strings.Repeat("x", 5000)},
					{"oversize id", recallCommand("t", handleOf("t", "broker-a", soon, strings.Repeat("x", 20_000))).Ext, 1, "recall failed, execute error", ""},
					{"unknown topic", recallCommand("u", handleOf("u", "broker-a", soon, "ID")).Ext, 17, "recall failed, the topic[u] not exist", ""},
					{"unknown topic comes before a bad handle", recallCommand("u", "%").Ext, 17, "recall failed, the topic[u] not exist", ""},
					{"no handle", wire.Fields{prop("topic", "t")}, 604, invalid, ""},
					{"empty handle", recallCommand("t", "").Ext, 604, invalid, ""},
					{"malformed handle", recallCommand("t", "%%%").Ext, 604, invalid, ""},
					{"oversize handle", recallCommand("t", strings.Repeat("x", 30_001)).Ext, 604, invalid, ""},
					{"later version", recallCommand("t", raw("v2 t broker-a "+ms+" ID")).Ext, 604, invalid, ""},
					{"four parts", recallCommand("t", raw("v1 t broker-a "+ms)).Ext, 604, invalid, ""},
					{"other topic", recallCommand("t", handleOf("u", "broker-a", soon, "ID")).Ext, 604, "recall failed, topic not match", ""},
					{"other broker", recallCommand("t", handleOf("t", "broker-b", soon, "ID")).Ext, 604, "recall failed, broker service not available", ""},
					{"other topic and broker", recallCommand("t", handleOf("u", "broker-b", soon, "ID")).Ext, 604, "recall failed, topic not match", ""},
					{"late", recallCommand("t", handleOf("t", "broker-a", now, "ID")).Ext, 604, late, ""},
					{"too far", recallCommand("t", handleOf("t", "broker-a", now.Add(72*time.Hour), "ID")).Ext, 604, late, ""},
					{"a time that is none", recallCommand("t", raw("v1 t broker-a soon ID")).Ext, 604, late, ""},
					{"the first time", recallCommand("t", raw("v1 t broker-a -9223372036854775808 ID")).Ext, 604, late, ""},
				} {
					a := p.call(wire.Command{Code: wire.RecallMessage, Ext: tt.ext})
					id, there := a.Ext.Lookup("msgId")
					if a.Code != tt.code || a.Remark != tt.remark || id != tt.id || there != (tt.code == 0) || a.Ext.Get("MSG_REGION") != "DefaultRegion" {
						t.Errorf("%s: %d %q %.80v, want %d %q %.20s", tt.name, a.Code, a.Remark, a.Ext, tt.code, tt.remark, tt.id)
					}
				}
				// What makes Java's processor throw has no fields.
				if a := mustCode(t, p.call(wire.Command{Code: wire.RecallMessage}), 1); len(a.Ext) != 0 {
					t.Errorf("no topic: %v", a.Ext)
				}
				empty := map[wire.Serialization]int{wire.JSON: 17, wire.RocketMQ: 1}[ser]
				mustCode(t, p.recall("", good), empty)
				b.SetPerm(rocketmq.PermRead)
				recalled(t, p.recall("t", good), "ID")
				// Without an answer, a recall is carried out all the same.
				before := c.StoredCount("rmq_sys_wheel_timer")
				oneway := recallCommand("t", good)
				oneway.Flag = wire.FlagOneway
				p.write(&oneway)
				recalled(t, p.recall("t", good), "ID")
				if n := c.StoredCount("rmq_sys_wheel_timer") - before; n != 2 {
					t.Errorf("%d recalls are stored, want 2", n)
				}
			})
		})
	}
}

// A recall is stored as a message that names another one.
func TestStoredRecall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory(t, embedded.Config{})
		p := connect(t, c, c.Brokers()[0].Addr(), wire.RocketMQ)
		mustCode(t, p.send("t", 3, "x"), 0)
		at := time.Now().Truncate(time.Second).Add(time.Hour + 500*time.Millisecond)
		ms := at.UnixMilli()
		recalled(t, p.recall("t", handleOf("t", "broker-a", at, "ID")), "ID")
		m := c.Stored("rmq_sys_wheel_timer")[0]
		got := map[string]string{}
		for _, f := range m.Properties {
			got[f.Key] = f.Value
		}
		want := map[string]string{
			"TAGS": "_RECALL_TAG_", "TIMER_DEL_UNIQKEY": "t+ID", "UNIQ_KEY": "ID", "PGROUP": "g", "REAL_TOPIC": "t", "REAL_QID": "0",
			"TIMER_DELIVER_MS": strconv.FormatInt(ms, 10), "TIMER_OUT_MS": strconv.FormatInt(ms-500, 10),
			"BORN_TIMESTAMP": strconv.FormatInt(time.Now().UnixMilli(), 10),
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || m.QueueID != 0 || string(m.Body) != "0" || m.SysFlag != 0 || !m.BornTime.Equal(time.Now()) {
			t.Errorf("stored %+v, want the properties %v", m, want)
		}
		pulled := mustCode(t, p.call(pullCommand("rmq_sys_wheel_timer", 0, 0, 1)), 0)
		if r, _, err := wire.ParseStored(pulled.Body); err != nil || string(r.Body) != "0" {
			t.Errorf("pulled %+v, %v", r, err)
		}
	})
}

// What a recall erases: the messages of its topic and id in its second of the timer, on its broker.
func TestRecallErases(t *testing.T) {
	const in = 10 * time.Second
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, p *peer, start time.Time)
		want string // bodies that arrive
	}{
		{"by its own handle", func(t *testing.T, p *peer, start time.Time) {
			a := p.send("t", 0, "m", prop("UNIQ_KEY", "ID"), deliverAt(start.Add(in)))
			recalled(t, p.recall("t", a.Ext.Get("recallHandle")), "ID")
		}, ""},
		{"by another time of the same second", func(t *testing.T, p *peer, start time.Time) {
			p.send("t", 0, "m", prop("UNIQ_KEY", "ID"), deliverAt(start.Add(in+500*time.Millisecond)))
			recalled(t, p.recall("t", handleOf("t", "broker-a", start.Add(in+time.Millisecond), "ID")), "ID")
		}, ""},
		{"a whole second belongs to the one before", func(t *testing.T, p *peer, start time.Time) {
			p.send("t", 0, "m", prop("UNIQ_KEY", "ID"), deliverAt(start.Add(in)))
			recalled(t, p.recall("t", handleOf("t", "broker-a", start.Add(in-time.Millisecond), "ID")), "ID")
		}, ""},
		{"not by the next second", func(t *testing.T, p *peer, start time.Time) {
			p.send("t", 0, "m", prop("UNIQ_KEY", "ID"), deliverAt(start.Add(in)))
			recalled(t, p.recall("t", handleOf("t", "broker-a", start.Add(in+time.Millisecond), "ID")), "ID")
		}, "m"},
		{"not by the second before", func(t *testing.T, p *peer, start time.Time) {
			p.send("t", 0, "m", prop("UNIQ_KEY", "ID"), deliverAt(start.Add(in+time.Millisecond)))
			recalled(t, p.recall("t", handleOf("t", "broker-a", start.Add(in), "ID")), "ID")
		}, "m"},
		{"copies", func(t *testing.T, p *peer, start time.Time) {
			for queue := range 3 {
				p.send("t", queue, "m", prop("UNIQ_KEY", "ID"), deliverAt(start.Add(in)))
			}
			recalled(t, p.recall("t", handleOf("t", "broker-a", start.Add(in), "ID")), "ID")
		}, ""},
		{"what comes after it", func(t *testing.T, p *peer, start time.Time) {
			recalled(t, p.recall("t", handleOf("t", "broker-a", start.Add(in), "ID")), "ID")
			p.send("t", 0, "m", prop("UNIQ_KEY", "ID"), deliverAt(start.Add(in)))
		}, ""},
		{"not another id, topic or kind", func(t *testing.T, p *peer, start time.Time) {
			p.send("t", 0, "id", prop("UNIQ_KEY", "OTHER"), deliverAt(start.Add(in)))
			p.send("t", 0, "level", prop("UNIQ_KEY", "ID"), prop("DELAY", "3"))
			p.send("t", 0, "now", prop("UNIQ_KEY", "ID"))
			p.send("u", 0, "topic", prop("UNIQ_KEY", "ID"), deliverAt(start.Add(in)))
			recalled(t, p.recall("t", handleOf("t", "broker-a", start.Add(in), "ID")), "ID")
		}, "id level now topic"},
		{"by a message that says so", func(t *testing.T, p *peer, start time.Time) {
			p.send("t", 0, "m", prop("UNIQ_KEY", "ID"), deliverAt(start.Add(in)))
			mustCode(t, p.send("t", 0, "eraser", deliverAt(start.Add(in)), prop("TIMER_DEL_UNIQKEY", "t+ID")), 0)
		}, ""},
		{"a message that says so too late", func(t *testing.T, p *peer, start time.Time) {
			mustCode(t, p.send("t", 0, "eraser", deliverAt(start), prop("TIMER_DEL_UNIQKEY", "t+ID")), 13)
			mustCode(t, p.send("t", 0, "by level", prop("DELAY", "1"), prop("TIMER_DEL_UNIQKEY", "t+ID")), 0)
			mustCode(t, p.send("t", 0, "not timed", prop("TIMER_DEL_UNIQKEY", "t+ID")), 0)
		}, "by level not timed"},
		{"a message that was in the timer", func(t *testing.T, p *peer, start time.Time) {
			mustCode(t, p.send("t", 0, "now", deliverAt(start.Add(in)), prop("TIMER_OUT_MS", "7")), 0)
		}, "now"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := inMemory(t, embedded.Config{})
				if err := c.CreateTopic("t", 4); err != nil {
					t.Fatal(err)
				}
				tt.do(t, connect(t, c, c.Brokers()[0].Addr(), wire.JSON), time.Now())
				time.Sleep(time.Minute)
				synctest.Wait()
				got := append(bodies(c, "t"), bodies(c, "u")...)
				if strings.Join(got, " ") != tt.want {
					t.Errorf("%q arrived, want %q", got, tt.want)
				}
			})
		})
	}
}

// A broker that is stopped takes no recalls. It keeps those that it has, and the time goes on.
func TestRecallAtAStoppedBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory(t, embedded.Config{})
		b := c.Brokers()[0]
		p := connect(t, c, b.Addr(), wire.RocketMQ)
		start := time.Now()
		handles := map[string]string{}
		for _, m := range []struct {
			id string
			in time.Duration
		}{{"recalled", 10 * time.Second}, {"due-while-stopped", 10 * time.Second}, {"recalled-for-later", time.Hour}, {"recalled-after-the-start", time.Hour}, {"due-later", time.Hour}} {
			handles[m.id] = mustCode(t, p.send("t", 0, m.id, prop("UNIQ_KEY", m.id), deliverAt(start.Add(m.in))), 0).Ext.Get("recallHandle")
		}
		mustCode(t, p.recall("t", handles["recalled"]), 0)
		mustCode(t, p.recall("t", handles["recalled-for-later"]), 0)
		b.Stop()
		if _, err := c.Dial(t.Context(), "tcp", b.Addr()); err == nil {
			t.Error("a stopped broker is there for recalls")
		}
		time.Sleep(time.Minute)
		if err := b.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		p = connect(t, c, b.Addr(), wire.RocketMQ)
		if a := mustCode(t, p.recall("t", handles["due-while-stopped"]), 604); a.Remark != "recall failed, timestamp invalid" {
			t.Errorf("too late: %q", a.Remark)
		}
		mustCode(t, p.recall("t", handles["recalled-after-the-start"]), 0)
		if got := bodies(c, "t"); !slices.Equal(got, []string{"due-while-stopped"}) {
			t.Errorf("%q arrived with the start", got)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if got := bodies(c, "t"); !slices.Equal(got, []string{"due-later", "due-while-stopped"}) {
			t.Errorf("%q arrived", got)
		}
	})
}

// Messages that come due while they are recalled, in real time: what was recalled with success does not arrive.
func TestRecallAtTheLastMoment(t *testing.T) {
	const each, workers = 50, 4
	c := inMemory(t, embedded.Config{})
	addr := c.Brokers()[0].Addr()
	// The time of the handles is that of the delivery.
	due := time.Now().Truncate(time.Second).Add(time.Second + time.Millisecond)
	if time.Until(due) < 200*time.Millisecond {
		due = due.Add(time.Second)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	gone := map[string]bool{}
	for w := range workers {
		p := connect(t, c, addr, serializations[w%2])
		wg.Go(func() {
			handles := map[string]string{}
			for i := range each {
				id := fmt.Sprintf("%d-%d", w, i)
				handles[id] = p.send("t", 0, id, prop("UNIQ_KEY", id), deliverAt(due)).Ext.Get("recallHandle")
			}
			for id, handle := range handles {
				for time.Until(due) > 2*time.Millisecond {
					pause()
				}
				if p.recall("t", handle).Code == 0 {
					mu.Lock()
					gone[id] = true
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	waitFor(t, "the others", func() bool { return c.StoredCount("t") >= workers*each-len(gone) })
	for _, id := range bodies(c, "t") {
		if gone[id] {
			t.Errorf("%s was recalled and arrived", id)
		}
	}
	t.Logf("%d of %d recalled in time", len(gone), workers*each)
}
