package embedded_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// silent checks that nothing comes for an hour of virtual time and nothing was closed.
func silent(t *testing.T, p *peer) {
	t.Helper()
	if err := p.conn.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	n, err := p.conn.Read(make([]byte, 1))
	if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read %d bytes, %v", n, err)
	}
	if err := p.conn.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
}

// closed checks that the connection ends here and after how many more bytes.
func closed(t *testing.T, p *peer, after int) {
	t.Helper()
	if b, err := io.ReadAll(p.conn); len(b) != after || err != nil {
		t.Fatalf("%d bytes and %v before the end, want %d", len(b), err, after)
	}
}

// Each action, alone: what the client gets and what is stored. Every case runs in virtual time.
func TestActions(t *testing.T) {
	request := sendCommand(wire.SendMessageV2, "t", 0, "hello")
	tests := []struct {
		name   string
		action embedded.Action
		stored int
		check  func(t *testing.T, p *peer, opaque int32)
	}{
		{"pass", embedded.Pass(), 1, func(t *testing.T, p *peer, o int32) { mustCode(t, p.answer(o), 0) }},
		{"zero", embedded.Action{}, 1, func(t *testing.T, p *peer, o int32) { mustCode(t, p.answer(o), 0) }},
		{"reply", embedded.Reply(2, "[OVERLOAD]"), 0, func(t *testing.T, p *peer, o int32) {
			if a := mustCode(t, p.answer(o), 2); a.Remark != "[OVERLOAD]" || len(a.Ext) != 0 {
				t.Errorf("%+v", a)
			}
		}},
		{
			"reply with", embedded.ReplyWith(wire.Command{Code: 10, Remark: "r", Opaque: 77, Ext: wire.Fields{prop("a", "b")}, Body: []byte("body")}), 0,
			func(t *testing.T, p *peer, o int32) {
				if a := mustCode(t, p.answer(o), 10); a.Remark != "r" || a.Ext.Get("a") != "b" || string(a.Body) != "body" {
					t.Errorf("%+v", a)
				}
			},
		},
		{
			"edit", embedded.Edit(func(a *wire.Command) { a.Code = 12; a.Opaque = 77; a.Ext.Set("queueId", "9") }), 1,
			func(t *testing.T, p *peer, o int32) {
				if a := mustCode(t, p.answer(o), 12); a.Ext.Get("queueId") != "9" || a.Ext.Get("msgId") == "" {
					t.Errorf("%+v", a)
				}
			},
		},
		{"delay", embedded.Delay(3*time.Second, embedded.Pass()), 1, func(t *testing.T, p *peer, o int32) {
			begin := time.Now()
			mustCode(t, p.answer(o), 0)
			if d := time.Since(begin); d != 3*time.Second {
				t.Errorf("answered after %v", d)
			}
		}},
		{"delay, then cut", embedded.Delay(time.Second, embedded.Cut()), 0, func(t *testing.T, p *peer, _ int32) { closed(t, p, 0) }},
		{"hang", embedded.Hang(), 0, func(t *testing.T, p *peer, _ int32) { silent(t, p) }},
		{"store, then hang", embedded.StoreThen(embedded.Hang()), 1, func(t *testing.T, p *peer, _ int32) { silent(t, p) }},
		{"store, then a wrong answer", embedded.StoreThen(embedded.Reply(1, "lost")), 1, func(t *testing.T, p *peer, o int32) { mustCode(t, p.answer(o), 1) }},
		{"store, then answer late", embedded.StoreThen(embedded.Delay(time.Minute, embedded.Pass())), 1, func(t *testing.T, p *peer, o int32) {
			if a := mustCode(t, p.answer(o), 0); a.Ext.Get("msgId") == "" {
				t.Errorf("%+v", a)
			}
		}},
		{"cut", embedded.Cut(), 0, func(t *testing.T, p *peer, _ int32) { closed(t, p, 0) }},
		{"store, then cut", embedded.StoreThenCut(), 1, func(t *testing.T, p *peer, _ int32) { closed(t, p, 0) }},
		{"cut in the frame", embedded.CutAfter(7), 1, func(t *testing.T, p *peer, _ int32) { closed(t, p, 7) }},
		{"garbage", embedded.Garbage([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")), 0, func(t *testing.T, p *peer, _ int32) {
			b := make([]byte, 28)
			if _, err := io.ReadFull(p.conn, b); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 400") {
				t.Fatalf("%q, %v", b, err)
			}
			silent(t, p)
		}},
		{"duplicate", embedded.Duplicate(), 1, func(t *testing.T, p *peer, o int32) {
			a, b := mustCode(t, p.answer(o), 0), mustCode(t, p.answer(o), 0)
			if a.Ext.Get("msgId") != b.Ext.Get("msgId") {
				t.Errorf("%v and %v", a.Ext, b.Ext)
			}
			silent(t, p)
		}},
		{"wrong opaque", embedded.WrongOpaque(), 1, func(t *testing.T, p *peer, o int32) {
			a, err := p.next()
			if err != nil || a.Opaque == o || a.Code != 0 || !a.IsResponse() {
				t.Errorf("%+v, %v", a, err)
			}
			silent(t, p)
		}},
		{"answer to another", embedded.AnswerTo(4711), 1, func(t *testing.T, p *peer, _ int32) { mustCode(t, p.answer(4711), 0) }},
		{"trickle", embedded.Trickle(time.Second), 1, func(t *testing.T, p *peer, o int32) {
			begin := time.Now()
			// A later answer waits its turn.
			cmd := wire.Command{Code: 9999}
			next := p.write(&cmd)
			mustCode(t, p.answer(o), 0)
			if d := time.Since(begin); d < 100*time.Second {
				t.Errorf("the whole answer came within %v", d)
			}
			mustCode(t, p.answer(next), 3)
		}},
	}
	for _, ser := range serializations {
		for _, tt := range tests {
			t.Run(fmt.Sprintf("%v/%s", ser, tt.name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := inMemory(t, embedded.Config{})
					c.ControlOnce(wire.SendMessageV2, func(*embedded.Request) embedded.Action { return tt.action })
					p := connect(t, c, c.Brokers()[0].Addr(), ser)
					if err := p.conn.SetDeadline(time.Time{}); err != nil {
						t.Fatal(err)
					}
					cmd := request
					tt.check(t, p, p.write(&cmd))
					if n := c.StoredCount("t"); n != tt.stored {
						t.Errorf("%d stored, want %d", n, tt.stored)
					}
				})
			})
		}
	}
}

// Requests that hang or wait do not hold up the others of their connection.
func TestSlowRequestsLetOthersPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory(t, embedded.Config{})
		c.Control(wire.SendMessageV2, func(r *embedded.Request) embedded.Action {
			switch r.Topic() {
			case "hang":
				return embedded.Hang()
			case "slow":
				return embedded.Delay(time.Second, embedded.Pass())
			}
			return embedded.Pass()
		})
		p := connect(t, c, c.Brokers()[0].Addr(), wire.RocketMQ)
		hang, slow := sendCommand(wire.SendMessageV2, "hang", 0, "x"), sendCommand(wire.SendMessageV2, "slow", 0, "the body must outlive its frame")
		p.write(&hang)
		late := p.write(&slow)
		for range 100 {
			mustCode(t, p.send("t", 0, "overwrites what the reader has buffered"), 0)
		}
		mustCode(t, p.answer(late), 0)
		if m := c.Stored("slow"); string(m[0].Body) != "the body must outlive its frame" {
			t.Errorf("stored %q", m[0].Body)
		}
	})
}

func TestRulesAndTheirOrder(t *testing.T) {
	c := inMemory(t, embedded.Config{Brokers: embedded.BrokerNames(2)})
	a, b := connect(t, c, c.Broker("broker-a").Addr(), wire.JSON), connect(t, c, c.Broker("broker-b").Addr(), wire.JSON)
	ns := connect(t, c, c.NameServers()[0], wire.JSON)
	reply := func(code int) func(*embedded.Request) embedded.Action {
		return func(*embedded.Request) embedded.Action { return embedded.Reply(2, fmt.Sprint(code)) }
	}
	want := func(p *peer, remark string) {
		t.Helper()
		if got := p.send("t", 0, "x").Remark; got != remark {
			t.Errorf("remark %q, want %q", got, remark)
		}
	}
	want(a, "")
	removeAny := c.Control(embedded.AnyCode, reply(1))
	want(a, "1")
	if got := ns.call(wire.Command{Code: wire.GetBrokerClusterInfo}).Remark; got != "1" {
		t.Errorf("name server: %q", got)
	}
	removeCode := c.Control(wire.SendMessageV2, reply(2))
	want(a, "2")
	var asked atomic.Int32
	removeScoped := c.Control(wire.SendMessageV2, func(r *embedded.Request) embedded.Action {
		asked.Add(1)
		if r.Node == "broker-b" && r.Remote.IsValid() && r.Conn > 0 && r.Command.Code == wire.SendMessageV2 && string(r.Command.Body) == "x" {
			return embedded.Reply(2, "3")
		}
		return embedded.Pass()
	})
	want(a, "2")
	want(b, "3")
	c.ControlOnce(wire.SendMessageV2, func(r *embedded.Request) embedded.Action {
		if r.Node == "broker-b" {
			return embedded.Reply(2, "4")
		}
		return embedded.Pass()
	})
	want(a, "2") // does not use the rule up
	want(b, "4")
	want(b, "3")
	removeScoped()
	removeScoped()
	want(b, "2")
	if n := asked.Load(); n != 4 {
		t.Errorf("the scoped rule was asked %d times", n)
	}
	removeCode()
	want(b, "1")
	removeAny()
	want(b, "")
}

func TestControlOnceIsUsedOnce(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	c.ControlOnce(wire.SendMessageV2, func(*embedded.Request) embedded.Action { return embedded.Reply(2, "") })
	codes := make(chan int, 64)
	for range 8 {
		p := connect(t, c, c.Brokers()[0].Addr(), wire.RocketMQ)
		go func() {
			for range 8 {
				cmd := sendCommand(wire.SendMessageV2, "t", 0, "x")
				p.write(&cmd)
				a, err := p.next()
				if err != nil {
					a.Code = -1
				}
				codes <- a.Code
			}
		}()
	}
	count := map[int]int{}
	for range 64 {
		count[<-codes]++
	}
	if count[2] != 1 || count[0] != 63 {
		t.Errorf("codes %v", count)
	}
}

func TestRulesMayStopTheirServer(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	b := c.Brokers()[0]
	c.ControlOnce(wire.SendMessageV2, func(r *embedded.Request) embedded.Action {
		c.Broker(r.Node).Stop()
		return embedded.Hang()
	})
	p := connect(t, c, b.Addr(), wire.RocketMQ)
	cmd := sendCommand(wire.SendMessageV2, "t", 0, "x")
	p.write(&cmd)
	if _, err := p.next(); err == nil {
		t.Error("a stopped broker answered")
	}
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustCode(t, connect(t, c, b.Addr(), wire.RocketMQ).send("t", 0, "x"), 0)
}

func TestOnewayUnderFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			action embedded.Action
			stored int
		}{
			{embedded.Pass(), 1},
			{embedded.Reply(2, ""), 0},
			{embedded.Duplicate(), 1},
			{embedded.Edit(func(*wire.Command) {}), 1},
			{embedded.Trickle(time.Second), 1},
			{embedded.WrongOpaque(), 1},
			{embedded.AnswerTo(1), 1},
		} {
			c := inMemory(t, embedded.Config{})
			c.Control(wire.SendMessageV2, func(*embedded.Request) embedded.Action { return embedded.StoreThen(embedded.Pass()) })
			c.ControlOnce(wire.SendMessageV2, func(*embedded.Request) embedded.Action { return tt.action })
			p := connect(t, c, c.Brokers()[0].Addr(), wire.JSON)
			cmd := sendCommand(wire.SendMessageV2, "t", 0, "x")
			cmd.Flag = wire.FlagOneway
			p.write(&cmd)
			silent(t, p)
			if n := c.StoredCount("t"); n != tt.stored {
				t.Errorf("%d stored, want %d", n, tt.stored)
			}
		}
	})
}
