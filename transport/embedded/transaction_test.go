package embedded_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// sendHalf sends a half message and gives its end, to be committed.
func (p *peer) sendHalf(body string, properties ...wire.Field) wire.TransactionEnd {
	p.t.Helper()
	cmd := sendCommand(wire.SendMessageV2, "t", 2, body, append([]wire.Field{
		prop("TRAN_MSG", "true"), prop("PGROUP", "g"), prop("UNIQ_KEY", body),
	}, properties...)...)
	cmd.Ext.Set("g", strconv.FormatInt(time.Now().UnixMilli(), 10)) // when it was born
	a := mustCode(p.t, p.call(cmd), 0)
	place, err := wire.ParseOffsetID(a.Ext.Get("msgId"))
	offset, notNumber := strconv.ParseInt(a.Ext.Get("queueOffset"), 10, 64)
	if err := errors.Join(err, notNumber); err != nil || a.Ext.Get("transactionId") != body || a.Ext.Get("queueId") != "2" {
		p.t.Fatalf("answer %v, %v", a.Ext, err)
	}
	return wire.TransactionEnd{
		Topic: "t", Group: "g", QueueOffset: offset, CommitLogOffset: place.Offset, Decision: rocketmq.SysTransactionCommit, MsgID: body,
	}
}

func (p *peer) end(e wire.TransactionEnd) wire.Command {
	p.t.Helper()
	return p.call(wire.Command{Code: wire.EndTransaction, Ext: e.Fields()})
}

// A half message is not visible until it is committed, and then is what was sent.
func TestEndOfTransaction(t *testing.T) {
	for _, ser := range serializations {
		t.Run(ser.String(), func(t *testing.T) {
			c := inMemory(t, embedded.Config{})
			p := connect(t, c, c.Brokers()[0].Addr(), ser)
			half := p.sendHalf("m", prop("mine", "1"))
			if n := c.StoredCount("t"); n != 0 {
				t.Errorf("%d are visible", n)
			}
			if halves := c.Stored(rocketmq.TransactionHalfTopic); len(halves) != 1 || halves[0].Property("REAL_TOPIC") != "t" || halves[0].Property("REAL_QID") != "2" ||
				halves[0].SysFlag&rocketmq.SysTransactionMask != 0 {
				t.Errorf("half messages %+v", halves)
			}
			if a := mustCode(t, p.end(half), 0); a.Remark != "" {
				t.Errorf("remark %q", a.Remark)
			}
			got := c.Stored("t")
			if len(got) != 1 || string(got[0].Body) != "m" || got[0].QueueID != 2 || got[0].Property("mine") != "1" || got[0].UniqueID() != "m" ||
				got[0].Property("TRAN_MSG") != "" || got[0].Property("REAL_TOPIC") != "" || got[0].SysFlag&rocketmq.SysTransactionMask != rocketmq.SysTransactionCommit {
				t.Errorf("visible %+v", got)
			}
			// As in a real broker.
			mustCode(t, p.end(half), 0)
			if n := c.StoredCount("t"); n != 2 {
				t.Errorf("two commits store the message %d times", n)
			}
			rolled := p.sendHalf("r")
			rolled.Decision = rocketmq.SysTransactionRollback
			for range 2 {
				mustCode(t, p.end(rolled), 0)
			}
			if n := c.StoredCount("t"); n != 2 || c.Broker("broker-a").OpenTransactions() != 0 {
				t.Errorf("%d are visible, %d open", n, c.Broker("broker-a").OpenTransactions())
			}
		})
	}
}

func TestEndsThatAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory(t, embedded.Config{TransactionCheckInterval: time.Hour})
		p := connect(t, c, c.Brokers()[0].Addr(), wire.JSON)
		plain := mustCode(t, p.send("t", 0, "plain"), 0)
		place, err := wire.ParseOffsetID(plain.Ext.Get("msgId"))
		if err != nil {
			t.Fatal(err)
		}
		for name, tt := range map[string]struct {
			change func(e *wire.TransactionEnd)
			code   int
			remark string
		}{
			"nowhere":         {func(e *wire.TransactionEnd) { e.CommitLogOffset = 1 << 40 }, 1, "Find prepared transaction message failed"},
			"in between":      {func(e *wire.TransactionEnd) { e.CommitLogOffset++ }, 1, "Find prepared transaction message failed"},
			"a plain message": {func(e *wire.TransactionEnd) { e.CommitLogOffset = place.Offset }, 1, "Find prepared transaction message failed"},
			"another group":   {func(e *wire.TransactionEnd) { e.Group = "x" }, 1, "The producer group wrong"},
			"another place":   {func(e *wire.TransactionEnd) { e.QueueOffset++ }, 1, "The transaction state table offset wrong"},
			"no decision":     {func(e *wire.TransactionEnd) { e.Decision = 4 }, 1, "RemotingCommandException"},
			"no group":        {func(e *wire.TransactionEnd) { e.Group = "" }, 1, "RemotingCommandException"},
		} {
			half := p.sendHalf(name)
			tt.change(&half)
			if a := mustCode(t, p.end(half), tt.code); len(a.Remark) < len(tt.remark) || !slices.Contains([]string{a.Remark[:len(tt.remark)], a.Remark}, tt.remark) && name != "no decision" && name != "no group" {
				t.Errorf("%s: remark %q", name, a.Remark)
			}
		}
		// An end that comes after the message's own time is refused, unless the broker asked.
		late := p.sendHalf("late", prop("CHECK_IMMUNITY_TIME_IN_SECONDS", "5"))
		time.Sleep(6 * time.Second)
		mustCode(t, p.end(late), 604)
		late.FromCheck = true
		mustCode(t, p.end(late), 0)
		if n := c.StoredCount("t"); n != 2 {
			t.Errorf("%d are visible", n)
		}
	})
}

// A broker asks in turns about what is open and old enough, and gives up at last.
func TestBrokerAsksAboutTransactions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory(t, embedded.Config{TransactionCheckInterval: 10 * time.Second, TransactionTimeout: 4 * time.Second, TransactionCheckMax: 3})
		p := connect(t, c, c.Brokers()[0].Addr(), wire.JSON)
		mustCode(t, p.call(wire.Command{Code: wire.HeartBeat, Body: wire.AppendHeartbeat(nil, &wire.Heartbeat{ClientID: "c", ProducerGroups: []string{"g"}})}), 0)
		start := time.Now()
		p.sendHalf("open")
		p.sendHalf("patient", prop("CHECK_IMMUNITY_TIME_IN_SECONDS", "25"))
		done := p.sendHalf("done")
		mustCode(t, p.end(done), 0)
		time.Sleep(7 * time.Second)
		p.sendHalf("young")
		time.Sleep(50 * time.Second)
		var asked []string
		for range 9 {
			r := p.asked()
			m, _, err := wire.ParseStored(r.Body)
			h, bad := wire.ParseTransactionCheck(r.Ext)
			if err := errors.Join(err, bad); err != nil || m.Topic != "t" || m.QueueID != 2 || h.MsgID != string(m.Body) || h.TransactionID != h.MsgID || h.BrokerName != "broker-a" {
				t.Fatalf("%+v, %+v, %v", h, m, err)
			}
			times, _ := wire.LookupProperty(string(m.Properties), rocketmq.PropertyTransactionCheckTimes)
			asked = append(asked, fmt.Sprintf("%v %s %s", time.UnixMilli(m.StoreTimestamp).Sub(start), m.Body, times))
		}
		want := []string{
			"10s open 1", "20s young 1", "20s open 2", "30s patient 1", "30s young 2", "30s open 3", "40s patient 2", "40s young 3", "50s patient 3",
		}
		if !slices.Equal(asked, want) {
			t.Errorf("asked %q, want %q", asked, want)
		}
		time.Sleep(time.Minute)
		if open, given := c.Broker("broker-a").OpenTransactions(), bodies(c, "TRANS_CHECK_MAX_TIME_TOPIC"); open != 0 || !slices.Equal(given, []string{"open", "patient", "young"}) {
			t.Errorf("%d are open, given up %q", open, given)
		}
	})
}

// What a checked half message's question says ends it; the place of before commits the message and leaves it open.
func TestEndOfAPlaceOfBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory(t, embedded.Config{TransactionCheckInterval: 10 * time.Second, TransactionTimeout: time.Second})
		p := connect(t, c, c.Brokers()[0].Addr(), wire.JSON)
		mustCode(t, p.call(wire.Command{Code: wire.HeartBeat, Body: wire.AppendHeartbeat(nil, &wire.Heartbeat{ClientID: "c", ProducerGroups: []string{"g"}})}), 0)
		before := p.sendHalf("m")
		time.Sleep(11 * time.Second)
		h, err := wire.ParseTransactionCheck(p.asked().Ext)
		if err != nil {
			t.Fatal(err)
		}
		mustCode(t, p.end(before), 0)
		if open := c.Broker("broker-a").OpenTransactions(); open != 1 || c.StoredCount("t") != 1 {
			t.Errorf("%d open, %d visible", open, c.StoredCount("t"))
		}
		now := before
		now.QueueOffset, now.CommitLogOffset, now.FromCheck = h.QueueOffset, h.CommitLogOffset, true
		mustCode(t, p.end(now), 0)
		if open := c.Broker("broker-a").OpenTransactions(); open != 0 || c.StoredCount("t") != 2 {
			t.Errorf("%d open, %d visible", open, c.StoredCount("t"))
		}
	})
}

// A stopped broker asks when it runs again; one without a client of the group asks nobody and counts.
func TestBrokerThatCannotAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory(t, embedded.Config{TransactionCheckInterval: 10 * time.Second, TransactionCheckMax: 2})
		b := c.Broker("broker-a")
		p := connect(t, c, b.Addr(), wire.JSON)
		p.sendHalf("m")
		b.Stop()
		time.Sleep(time.Minute)
		if err := b.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if b.OpenTransactions() != 1 {
			t.Error("a stopped broker has given up")
		}
		time.Sleep(time.Minute)
		if open := b.OpenTransactions(); open != 0 || len(c.Stored("TRANS_CHECK_MAX_TIME_TOPIC")) != 1 {
			t.Errorf("%d are open", open)
		}
	})
}
