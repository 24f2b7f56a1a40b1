package remoting_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// registered makes a producer of a group that is registered with the client.
func registered(t testing.TB, c *remoting.Client, group, addr string, change func(*core.Config)) *core.Producer {
	t.Helper()
	cfg := coretest.Config(c)
	cfg.Group, cfg.Routes, cfg.Timeout = group, fixed(t, 1, addr), minute
	if change != nil {
		change(&cfg)
	}
	return coretest.Start(t, cfg)
}

// halfMessage is a stored half message of a group, as a check carries it.
func halfMessage(t testing.TB, group string) []byte {
	t.Helper()
	b, err := wire.AppendStored(nil, &wire.StoredMessage{
		Topic: "T", Body: []byte("half"), BornHost: netip.MustParseAddrPort("127.0.0.1:1"), StoreHost: netip.MustParseAddrPort("127.0.0.1:2"),
		Properties: wire.AppendProperty(nil, rocketmq.PropertyProducerGroup, group),
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// lockedText is a log that a test can read.
type lockedText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestInbox: what a broker asks reaches the handler of the group that is asked, as a copy. What
// no producer handles is answered if the broker waits, and else counted and logged.
func TestInbox(t *testing.T) {
	check := func(group string, flag int32) wire.Command {
		return wire.Command{
			Code: wire.CheckTransactionState, Flag: flag, Opaque: 7, Serialization: wire.RocketMQ, Body: halfMessage(t, group),
			Ext: wire.Fields{{Key: "transactionId", Value: "tx"}, {Key: "tranStateTableOffset", Value: "3"}},
		}
	}
	tests := []struct {
		name      string
		ask       wire.Command
		group     string // whose handler is called, "" for none
		answer    int    // -1: none
		unhandled uint64 // of both groups together
		logged    string
	}{
		{"a check of group two", check("two", wire.FlagOneway), "two", -1, 0, ""},
		{"a check that wants an answer", check("two", 0), "two", 0, 0, ""},
		{"a check of a group without a handler", check("one", wire.FlagOneway), "", -1, 1, "CHECK_TRANSACTION_STATE"},
		{"a check that names no group", check("", 0), "", int(rocketmq.CodeRequestCodeNotSupported), 1, "CHECK_TRANSACTION_STATE"},
		{"a check of a group that is not here", check("rogue", 0), "", int(rocketmq.CodeRequestCodeNotSupported), 1, "rogue"},
		{
			"a reply names no group",
			wire.Command{Code: wire.PushReplyMessageToClient, Opaque: 7, Serialization: wire.JSON, Body: []byte("reply")},
			"two", 0, 0, "",
		},
		{
			"what no version knows",
			wire.Command{Code: 4711, Opaque: 7, Serialization: wire.JSON},
			"", int(rocketmq.CodeRequestCodeNotSupported), 1, "REQUEST_4711",
		},
		{
			"for consumers",
			wire.Command{Code: wire.NotifyConsumerIDsChanged, Flag: wire.FlagOneway, Opaque: 7, Serialization: wire.RocketMQ},
			"", -1, 0, "",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var once sync.Once
			b := broker(t, func(s *session, c wire.Command) {
				if c.Code == wire.SendMessageV2 {
					once.Do(func() { s.command(&tt.ask) })
				}
				s.ok(c)
			})
			log := &lockedText{}
			c := client(t, remoting.Config{})
			got := make(chan *core.ServerRequest, 4)
			handler := core.ServerRequestHandlerFunc(func(_ context.Context, r *core.ServerRequest) { got <- r })
			withLog := func(cfg *core.Config) { cfg.Logger = slog.New(slog.NewTextHandler(log, nil)) }
			one := registered(t, c, "one", b.addr(), withLog)
			two := registered(t, c, "two", b.addr(), func(cfg *core.Config) {
				withLog(cfg)
				cfg.Handlers = map[core.ServerRequestKind]core.ServerRequestHandler{
					core.RequestTransactionCheck: handler, core.RequestReply: handler,
				}
			})
			for range 2 { // the second answer comes after the request was handled
				if _, err := one.Send(bg, coretest.Message("x")); err != nil {
					t.Fatal(err)
				}
			}
			if tt.group != "" {
				r := <-got
				if r.Addr != b.addr() || string(r.Body) != string(tt.ask.Body) || r.Name == "" || len(r.Fields) != len(tt.ask.Ext) {
					t.Errorf("%+v", r)
				}
				if r.Kind == core.RequestTransactionCheck && (r.Group != tt.group || r.Fields["transactionId"] != "tx") {
					t.Errorf("%+v", r)
				}
			}
			if tt.answer >= 0 {
				eventually(t, "an answer", func() bool { return len(b.requests(tt.answer)) > 0 })
			}
			if n := one.Snapshot().Inbox.Unhandled + two.Snapshot().Inbox.Unhandled; n != tt.unhandled {
				t.Errorf("%d unhandled, want %d", n, tt.unhandled)
			}
			if tt.logged == "" {
				if s := log.String(); strings.Contains(s, "no handler") {
					t.Errorf("log %s", s)
				}
			} else { // lines come through a queue
				eventually(t, fmt.Sprintf("the log says %q", tt.logged), func() bool { return strings.Contains(log.String(), tt.logged) })
			}
			if s := c.Stats(); s.Requests != 1 || s.RefusedRequests != tt.unhandled {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

// TestRefusedAtTheProducerWithHandlers: where a step has a producer of its own at the client, whose
// group is the first by name and which handles nothing, a question for nobody is counted by the
// program's own producer.
func TestRefusedAtTheProducerWithHandlers(t *testing.T) {
	for name, tt := range map[string]struct {
		handlers map[core.ServerRequestKind]core.ServerRequestHandler
		by       string
	}{
		"one has handlers": {map[core.ServerRequestKind]core.ServerRequestHandler{
			core.RequestReply: core.ServerRequestHandlerFunc(func(context.Context, *core.ServerRequest) {}),
		}, "orders"},
		"none has": {nil, "_INNER_TRACE"},
	} {
		t.Run(name, func(t *testing.T) {
			var once sync.Once
			b := broker(t, func(s *session, c wire.Command) {
				if c.Code == wire.SendMessageV2 {
					once.Do(func() {
						s.command(&wire.Command{Code: wire.CheckTransactionState, Opaque: 7, Serialization: wire.RocketMQ, Body: halfMessage(t, "rogue")})
					})
				}
				s.ok(c)
			})
			c := client(t, remoting.Config{})
			producers := map[string]*core.Producer{
				"_INNER_TRACE": registered(t, c, "_INNER_TRACE", b.addr(), nil),
				"orders":       registered(t, c, "orders", b.addr(), func(cfg *core.Config) { cfg.Handlers = tt.handlers }),
			}
			if _, err := producers["orders"].Send(bg, coretest.Message("x")); err != nil {
				t.Fatal(err)
			}
			eventually(t, "a refusal", func() bool { return c.Stats().RefusedRequests == 1 })
			for group, p := range producers {
				if n := p.Snapshot().Inbox.Unhandled; (n == 1) != (group == tt.by) {
					t.Errorf("%d at %s, want it at %s", n, group, tt.by)
				}
			}
		})
	}
}

// TestReplyWithTooManyProperties: a reply whose properties are longer than those of a message may be
// is not made into a map, which would be some ten times as large. Its broker is told, and its
// connection lives on.
func TestReplyWithTooManyProperties(t *testing.T) {
	reply := func(opaque int32, length int) *wire.Command {
		text := strings.Repeat("a\x01b\x02", length/4+1)[:length]
		return &wire.Command{
			Code: wire.PushReplyMessageToClient, Opaque: opaque, Serialization: wire.RocketMQ, Ext: wire.Fields{{Key: "properties", Value: text}},
		}
	}
	var once sync.Once
	b := broker(t, func(s *session, c wire.Command) {
		if c.Code == wire.SendMessageV2 {
			once.Do(func() {
				s.command(reply(7, 3_900_000))
				s.command(reply(8, rocketmq.ProtocolMaxPropertiesLength+1))
				s.command(reply(9, rocketmq.ProtocolMaxPropertiesLength))
			})
		}
		s.ok(c)
	})
	c := client(t, remoting.Config{})
	got := make(chan *core.ServerRequest, 3)
	p := registered(t, c, "g", b.addr(), func(cfg *core.Config) {
		cfg.Handlers = map[core.ServerRequestKind]core.ServerRequestHandler{
			core.RequestReply: core.ServerRequestHandlerFunc(func(_ context.Context, r *core.ServerRequest) { got <- r }),
		}
	})
	for range 2 { // the second answer comes after the replies were read
		if _, err := p.Send(bg, coretest.Message("x"), core.SendTimeout(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if r := <-got; len(r.Properties) != 1 || r.Properties["a"] != "b" || len(got) > 0 {
		t.Errorf("%d properties, and %d replies more", len(r.Properties), len(got))
	}
	eventually(t, "all answers", func() bool {
		return len(b.requests(int(rocketmq.CodeSystemError))) == 2 && len(b.requests(int(rocketmq.CodeSuccess))) == 1
	})
	for _, answer := range b.requests(int(rocketmq.CodeSystemError)) {
		if !strings.Contains(answer.Remark, "properties longer than 32767 bytes") {
			t.Errorf("answered %q", answer.Remark)
		}
	}
	if s := c.Stats(); s.Requests != 3 || s.RefusedRequests != 2 || s.Lost != 0 {
		t.Errorf("%+v", s)
	}
}

// TestInboxFull: a broker that asks faster than the handlers work is told that this client is
// busy, and the connection lives on.
func TestInboxFull(t *testing.T) {
	const asked = 6000 // more than an inbox holds of replies
	sends := 0
	b := broker(t, func(s *session, c wire.Command) {
		if c.Code == wire.SendMessageV2 {
			// A storm with the first send, one request more with each later one.
			if sends++; sends == 1 {
				for i := range asked {
					s.command(&wire.Command{Code: wire.PushReplyMessageToClient, Opaque: int32(i), Serialization: wire.RocketMQ})
				}
			} else {
				s.command(&wire.Command{Code: wire.PushReplyMessageToClient, Opaque: int32(asked + sends), Serialization: wire.RocketMQ})
			}
		}
		s.ok(c)
	})
	c := client(t, remoting.Config{})
	release := make(chan struct{})
	free := sync.OnceFunc(func() { close(release) })
	t.Cleanup(free)
	p := registered(t, c, "g", b.addr(), func(cfg *core.Config) {
		cfg.Handlers = map[core.ServerRequestKind]core.ServerRequestHandler{
			core.RequestReply: core.ServerRequestHandlerFunc(func(context.Context, *core.ServerRequest) { <-release }),
		}
	})
	if _, err := p.Send(bg, coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all requests", func() bool { return p.Snapshot().Inbox.Requests == asked })
	s := p.Snapshot().Inbox
	if s.Full == 0 || s.Waiting+int(s.Full) != asked {
		t.Errorf("%+v", s)
	}
	// In the storm answers may be left out: the broker asks faster than it reads. After it one
	// more request is answered.
	if _, err := p.Send(bg, coretest.Message("x"), core.SendTimeout(time.Minute)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a busy answer", func() bool { return len(b.requests(int(rocketmq.CodeSystemBusy))) > 0 })
	free()
	eventually(t, "all handled", func() bool { return p.Snapshot().Inbox.Waiting == 0 })
	if _, err := p.Send(bg, coretest.Message("x"), core.SendTimeout(time.Minute)); err != nil {
		t.Error(err)
	}
	if st := c.Stats(); st.Dials != 1 || st.Lost != 0 {
		t.Errorf("%+v", st)
	}
}
