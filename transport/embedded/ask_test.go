package embedded_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// producer connects a client of a producer group.
func producer(t testing.TB, c *embedded.Cluster, id string, ser wire.Serialization, groups ...string) *peer {
	t.Helper()
	p := connect(t, c, c.Brokers()[0].Addr(), ser)
	body := wire.AppendHeartbeat(nil, &wire.Heartbeat{ClientID: id, ProducerGroups: groups})
	mustCode(t, p.call(wire.Command{Code: wire.HeartBeat, Body: body}), 0)
	return p
}

// asked reads the request of a broker.
func (p *peer) asked() wire.Command {
	p.t.Helper()
	cmd, err := p.next()
	if err != nil || cmd.IsResponse() {
		p.t.Fatalf("got %+v, %v, want a request", cmd, err)
	}
	return cmd
}

// reply answers the request of a broker.
func (p *peer) reply(request wire.Command, answer wire.Command) {
	p.t.Helper()
	answer.Opaque, answer.Flag = request.Opaque, answer.Flag|wire.FlagResponse
	p.write(&answer)
}

// outcome is what Ask returned.
type outcome struct {
	answer wire.Command
	err    error
}

func ask(ctx context.Context, b *embedded.Broker, cmd wire.Command) <-chan outcome {
	out := make(chan outcome, 1)
	go func() {
		a, err := b.Ask(ctx, "g", cmd)
		out <- outcome{a, err}
	}()
	return out
}

func TestAsk(t *testing.T) {
	for name, network := range map[string]*embedded.Network{"TCP": nil, "memory": embedded.NewNetwork()} {
		for _, ser := range serializations {
			t.Run(name+"/"+ser.String(), func(t *testing.T) {
				c := embedded.New(t, embedded.Config{Network: network})
				b := c.Brokers()[0]
				p := producer(t, c, "one", ser, "other", "g")
				request := wire.Command{
					Code: wire.CheckTransactionState, Language: wire.LanguageJava, Opaque: 99, Flag: wire.FlagResponse,
					Ext: wire.Fields{prop("msgId", "ID")}, Body: []byte("question"), Serialization: ser,
				}
				got := ask(t.Context(), b, request)
				r := p.asked()
				if r.Code != wire.CheckTransactionState || r.Flag != 0 || r.Opaque == 99 || r.Version != wire.V5_3_3 || r.Serialization != ser ||
					r.Ext.Get("msgId") != "ID" || string(r.Body) != "question" {
					t.Errorf("the client was asked %+v", r)
				}
				p.reply(r, wire.Command{Code: 1, Remark: "not mine", Ext: wire.Fields{prop("k", "v")}, Body: []byte("answer")})
				// What comes next must not show in what was answered.
				mustCode(t, p.send("t", 0, strings.Repeat("x", 5000)), 0)
				o := <-got
				if a := o.answer; o.err != nil || a.Code != 1 || a.Remark != "not mine" || a.Ext.Get("k") != "v" || string(a.Body) != "answer" || a.Opaque != r.Opaque || !a.IsResponse() {
					t.Errorf("answer %+v, %v", a, o.err)
				}
				large := bytes.Repeat([]byte("0123456789"), 300_000)
				got = ask(t.Context(), b, wire.Command{Code: wire.PushReplyMessageToClient, Version: 7, Body: large})
				again := p.asked()
				if again.Opaque == r.Opaque || again.Version != 7 || !bytes.Equal(again.Body, large) {
					t.Errorf("the client was asked again: opaque %d, version %d, %d bytes", again.Opaque, again.Version, len(again.Body))
				}
				p.reply(again, wire.Command{Body: large})
				if o := <-got; o.err != nil || o.answer.Code != 0 || !bytes.Equal(o.answer.Body, large) {
					t.Errorf("code %d, %d bytes, %v", o.answer.Code, len(o.answer.Body), o.err)
				}
			})
		}
	}
}

func TestAskOneway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory(t, embedded.Config{})
		b := c.Brokers()[0]
		p := producer(t, c, "one", wire.JSON, "g")
		ended, cancel := context.WithCancel(t.Context())
		cancel() // nothing is waited for
		for i := range 20 {
			a, err := b.Ask(ended, "g", wire.Command{Code: 39, Flag: wire.FlagOneway, Remark: strconv.Itoa(i)})
			if err != nil || a.Code != 0 || a.Opaque != 0 {
				t.Fatalf("%+v, %v", a, err)
			}
		}
		for i := range 20 {
			if r := p.asked(); !r.IsOneway() || r.Remark != strconv.Itoa(i) {
				t.Errorf("request %d is %+v", i, r)
			}
		}
		p.reply(wire.Command{Opaque: 1}, wire.Command{}) // an answer all the same is dropped
		mustCode(t, p.send("t", 0, "x"), 0)
	})
}

// The clients of a group are asked in turn. Those that have left it are not.
func TestAskTakesTurns(t *testing.T) {
	c := inMemory(t, embedded.Config{})
	b := c.Brokers()[0]
	peers := map[string]*peer{}
	for _, id := range []string{"c", "a", "b"} {
		peers[id] = producer(t, c, id, wire.RocketMQ, "g")
	}
	other := producer(t, c, "aa", wire.RocketMQ, "h")
	turns := func(order string) {
		t.Helper()
		for _, id := range strings.Fields(order) {
			got := ask(t.Context(), b, wire.Command{Code: 39})
			peers[id].reply(peers[id].asked(), wire.Command{Remark: id})
			if o := <-got; o.err != nil || o.answer.Remark != id {
				t.Fatalf("%s: %+v, %v", id, o.answer, o.err)
			}
		}
	}
	turns("a b c a b c")
	leave := wire.Command{Code: wire.UnregisterClient, Ext: wire.Unregister{ClientID: "b", ProducerGroup: "g"}.Fields()}
	mustCode(t, peers["b"].call(leave), 0)
	turns("a c a c")
	// The latest heartbeat counts: the client has another connection now.
	peers["a"] = producer(t, c, "a", wire.RocketMQ, "g")
	turns("a c")
	_ = peers["a"].conn.Close()
	waitFor(t, "the client to be forgotten", func() bool { return len(b.Clients()) == 2 })
	turns("c c")
	mustCode(t, other.send("t", 0, "x"), 0) // it was asked nothing
}

func TestAskWithoutAClient(t *testing.T) {
	c := inMemory(t, embedded.Config{})
	b := c.Brokers()[0]
	none := func(when string) {
		t.Helper()
		for _, flag := range []int32{0, wire.FlagOneway} {
			_, err := b.Ask(t.Context(), "g", wire.Command{Code: 39, Flag: flag})
			if !errors.Is(err, embedded.ErrNoClient) || !strings.Contains(err.Error(), `"g" at broker-a`) {
				t.Errorf("%s: %v", when, err)
			}
		}
	}
	none("nobody")
	p := connect(t, c, b.Addr(), wire.JSON)
	mustCode(t, p.send("t", 0, "x"), 0)
	none("without a heartbeat")
	mustCode(t, p.call(wire.Command{Code: wire.HeartBeat, Body: []byte(`{"clientID":"c","consumerDataSet":[{"groupName":"g"}],"producerDataSet":[{"groupName":"G"}]}`)}), 0)
	none("a consumer and another group")
	p = producer(t, c, "c", wire.JSON, "g")
	mustCode(t, p.call(wire.Command{Code: wire.UnregisterClient, Ext: wire.Unregister{ClientID: "c", ProducerGroup: "g"}.Fields()}), 0)
	none("unregistered")
	producer(t, c, "d", wire.JSON, "g")
	b.Stop()
	none("stopped")
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	none("started again")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Ask(t.Context(), "g", wire.Command{Code: 39}); !errors.Is(err, embedded.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// Whatever ends first ends the wait, and names itself.
func TestAskEnds(t *testing.T) {
	because := errors.New("the test wants it")
	for _, tt := range []struct {
		name string
		end  func(c *embedded.Cluster, p *peer, cancel context.CancelCauseFunc)
		want []error
	}{
		{"context", func(_ *embedded.Cluster, _ *peer, cancel context.CancelCauseFunc) { cancel(because) }, []error{context.Canceled, because}},
		{"deadline", func(*embedded.Cluster, *peer, context.CancelCauseFunc) { time.Sleep(time.Hour) }, []error{context.DeadlineExceeded}},
		{"client", func(_ *embedded.Cluster, p *peer, _ context.CancelCauseFunc) { _ = p.conn.Close() }, []error{net.ErrClosed}},
		{"stop", func(c *embedded.Cluster, _ *peer, _ context.CancelCauseFunc) { c.Brokers()[0].Stop() }, []error{net.ErrClosed}},
		{"kill", func(c *embedded.Cluster, _ *peer, _ context.CancelCauseFunc) { c.Brokers()[0].Kill() }, []error{net.ErrClosed}},
		{"close", func(c *embedded.Cluster, _ *peer, _ context.CancelCauseFunc) { _ = c.Close() }, []error{embedded.ErrClosed}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := inMemory(t, embedded.Config{})
				p := producer(t, c, "one", wire.JSON, "g")
				deadline, stop := context.WithTimeout(t.Context(), time.Minute)
				defer stop()
				ctx, cancel := context.WithCancelCause(deadline)
				defer cancel(nil)
				got := ask(ctx, c.Brokers()[0], wire.Command{Code: 39})
				p.asked()
				synctest.Wait()
				tt.end(c, p, cancel)
				o := <-got
				for _, want := range tt.want {
					if !errors.Is(o.err, want) {
						t.Errorf("got %v, want %v", o.err, want)
					}
				}
				if !strings.Contains(o.err.Error(), `client "one" of group "g"`) {
					t.Errorf("%v does not say who was asked", o.err)
				}
			})
		})
	}
}

// Answers that nobody waits for are dropped and disturb nothing.
func TestAskIgnoresStrayAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory(t, embedded.Config{})
		b := c.Brokers()[0]
		p := producer(t, c, "one", wire.JSON, "g")
		q := producer(t, c, "two", wire.JSON, "h")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		late := ask(ctx, b, wire.Command{Code: 39})
		r := p.asked()
		if o := <-late; !errors.Is(o.err, context.DeadlineExceeded) {
			t.Fatal(o.err)
		}
		p.reply(r, wire.Command{Remark: "late"})
		got := ask(t.Context(), b, wire.Command{Code: 39})
		r = p.asked()
		p.reply(wire.Command{Opaque: r.Opaque + 1}, wire.Command{Remark: "of another"})
		q.reply(r, wire.Command{Remark: "by another"})
		mustCode(t, q.send("t", 0, "x"), 0)
		synctest.Wait()
		p.reply(r, wire.Command{Remark: "right"})
		p.reply(r, wire.Command{Remark: "twice"})
		if o := <-got; o.err != nil || o.answer.Remark != "right" {
			t.Errorf("%+v, %v", o.answer, o.err)
		}
	})
}

// A client that reads or answers nothing cannot make a broker hold ever more.
func TestAskIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := embedded.New(t, embedded.Config{Network: &embedded.Network{Buffer: 4 << 10}})
		b := c.Brokers()[0]
		p := producer(t, c, "one", wire.JSON, "g")
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		for range 1024 {
			wg.Go(func() {
				if _, err := b.Ask(ctx, "g", wire.Command{Code: 39}); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if _, err := b.Ask(ctx, "g", wire.Command{Code: 39}); err == nil || !strings.Contains(err.Error(), "1024 requests wait") {
			t.Errorf("one more: %v", err)
		}
		asked := 0
		var err error
		for ; err == nil && asked < 1000; asked++ {
			_, err = b.Ask(ctx, "g", wire.Command{Code: 39, Flag: wire.FlagOneway, Body: make([]byte, 64<<10)})
		}
		if err == nil || !strings.Contains(err.Error(), "bytes wait to be read") || asked > 20 {
			t.Errorf("%d of 64 KiB were taken, %v", asked, err)
		}
		// It reads again, and can be asked again.
		for range 1024 + asked - 1 {
			p.asked()
		}
		if _, err := b.Ask(ctx, "g", wire.Command{Code: 39, Flag: wire.FlagOneway}); err != nil {
			t.Error(err)
		}
		if _, err := b.Ask(ctx, "g", wire.Command{Code: 39, Serialization: 9}); !errors.Is(err, wire.ErrEncode) {
			t.Errorf("no form on the wire: %v", err)
		}
	})
}

// A paused broker neither writes nor reads; what was asked is asked when it goes on.
func TestAskWhilePaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory(t, embedded.Config{})
		b := c.Brokers()[0]
		p := producer(t, c, "one", wire.JSON, "g")
		b.Pause()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.Ask(short, "g", wire.Command{Code: 39, Remark: "first"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("paused: %v", err)
		}
		got := ask(t.Context(), b, wire.Command{Code: 39, Remark: "second"})
		synctest.Wait()
		b.Resume()
		for _, remark := range []string{"first", "second"} {
			r := p.asked()
			if r.Remark != remark {
				t.Errorf("asked %+v, want %s", r, remark)
			}
			p.reply(r, wire.Command{})
		}
		if o := <-got; o.err != nil {
			t.Error(o.err)
		}
	})
}

// Many ask many at once, over TCP, while the clients send.
func TestAskConcurrently(t *testing.T) {
	const clients, askers, each = 4, 8, 50
	c := embedded.New(t, embedded.Config{})
	b := c.Brokers()[0]
	var serving, asking sync.WaitGroup
	for i := range clients {
		p := producer(t, c, strconv.Itoa(i), serializations[i%2], "g")
		serving.Go(func() {
			for {
				r, err := p.next()
				if err != nil {
					return
				}
				if r.IsResponse() {
					continue
				}
				// Two answers at once, one that is late for nobody and the one that is waited for.
				answer := wire.Command{Opaque: r.Opaque ^ 1<<29, Flag: wire.FlagResponse, Remark: "stray"}
				p.write(&answer)
				p.reply(r, wire.Command{Remark: r.Remark})
				cmd := sendCommand(wire.SendMessageV2, "t", 0, r.Remark)
				p.write(&cmd)
			}
		})
	}
	for i := range askers {
		asking.Go(func() {
			for k := range each {
				question := fmt.Sprintf("%d-%d", i, k)
				if a, err := b.Ask(t.Context(), "g", wire.Command{Code: 39, Remark: question}); err != nil || a.Remark != question {
					t.Errorf("%s: %+v, %v", question, a, err)
				}
			}
		})
	}
	asking.Wait()
	waitFor(t, "the clients' messages", func() bool { return c.StoredCount("t") == askers*each })
	b.Stop()
	serving.Wait()
}
