package remoting_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

func handle(topic, broker string) string {
	return rocketmq.RecallHandle{Topic: topic, Broker: broker, DeliverAt: time.UnixMilli(1893456000001), MessageID: "ID1"}.String()
}

// TestRecall: the request names topic, handle and broker; each end of it is told apart.
func TestRecall(t *testing.T) {
	tests := []struct {
		name      string
		code      int
		remark    string
		class     core.Class
		certainty core.Certainty
		is        error
	}{
		{"success", 0, "", core.ClassNone, core.CertaintyUnknown, nil},
		{"an old broker", int(rocketmq.CodeRequestCodeNotSupported), " request type 370 not supported", core.ClassRejected, core.NotStored, core.ErrUnsupported},
		{"switched off", int(rocketmq.CodeNoPermission), "recall failed, operation is forbidden", core.ClassForbidden, core.NotStored, nil},
		{"too late", int(rocketmq.CodeIllegalOperation), "recall failed, timestamp invalid", core.ClassRejected, core.NotStored, nil},
		{"unexplained", int(rocketmq.CodeSystemError), "", core.ClassBroker, core.MaybeStored, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := broker(t, func(s *session, c wire.Command) {
				if c.Code != wire.RecallMessage {
					s.ok(c)
					return
				}
				s.command(&wire.Command{
					Code: tt.code, Remark: tt.remark, Opaque: c.Opaque, Flag: wire.FlagResponse, Serialization: c.Serialization,
					Ext: wire.Fields{{Key: "msgId", Value: "ID1"}},
				})
			})
			c := client(t, remoting.Config{})
			p := registered(t, c, "g", b.addr(), nil)
			id, err := p.Recall(bg, "T", handle("T", "broker-a"))
			if tt.code == 0 {
				if err != nil || id != "ID1" {
					t.Fatalf("%q, %v", id, err)
				}
			} else {
				var oe *core.OperationError
				if !errors.As(err, &oe) || oe.Class != tt.class || oe.Certainty != tt.certainty || oe.Addr != b.addr() || id != "" {
					t.Fatalf("%q, %v", id, err)
				}
				if tt.is != nil && !errors.Is(err, tt.is) {
					t.Errorf("%v is not %v", err, tt.is)
				}
			}
			asked := b.requests(wire.RecallMessage)
			if len(asked) != 1 {
				t.Fatalf("%d requests", len(asked))
			}
			for _, f := range []wire.Field{
				{Key: "producerGroup", Value: "g"}, {Key: "topic", Value: "T"}, {Key: "recallHandle", Value: handle("T", "broker-a")}, {Key: "bname", Value: "broker-a"},
			} {
				if got := asked[0].Ext.Get(f.Key); got != f.Value {
					t.Errorf("%s is %q, want %q", f.Key, got, f.Value)
				}
			}
		})
	}
}

// TestRecallEnds: a recall that gets no answer ends with its deadline, its caller or the
// producer, and says that it may have been carried out.
func TestRecallEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		b := run(t, n.listen("b:1"), func(s *session, c wire.Command) {
			if c.Code != wire.RecallMessage {
				s.ok(c)
			}
		})
		c := client(t, remoting.Config{Dial: n.dial})
		p := registered(t, c, "g", b.addr(), func(cfg *core.Config) { cfg.Timeout = 3 * time.Second })
		for _, tt := range []struct {
			name  string
			ctx   time.Duration
			class core.Class
			took  time.Duration
		}{
			{"deadline", time.Hour, core.ClassTimeout, 3 * time.Second},
			{"caller", time.Second, core.ClassTimeout, time.Second},
		} {
			ctx, cancel := context.WithTimeout(bg, tt.ctx)
			start := time.Now()
			_, err := p.Recall(ctx, "T", handle("T", "broker-a"))
			cancel()
			var oe *core.OperationError
			if !errors.As(err, &oe) || oe.Class != tt.class || oe.Certainty != core.MaybeStored || time.Since(start) != tt.took {
				t.Errorf("%s: after %v: %v", tt.name, time.Since(start), err)
			}
		}
	})
}

// TestRecallNotSent: without a connection nothing was sent.
func TestRecallNotSent(t *testing.T) {
	c := client(t, remoting.Config{})
	p := registered(t, c, "g", "127.0.0.1:1", nil)
	_, err := p.Recall(bg, "T", handle("T", "broker-a"))
	var oe *core.OperationError
	if !errors.As(err, &oe) || oe.Class != core.ClassNetwork || oe.Certainty != core.NotSent {
		t.Error(err)
	}
}

// signer adds two fields, the second of which counts what it saw.
type signer struct {
	mu   sync.Mutex
	seen []remoting.SignRequest
	fail error
}

func (s *signer) Sign(r remoting.SignRequest) (wire.Fields, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.Body = append([]byte(nil), r.Body...)
	s.seen = append(s.seen, r)
	if s.fail != nil {
		return nil, s.fail
	}
	return wire.Fields{{Key: "AccessKey", Value: "me"}, {Key: "Signature", Value: "sum"}}, nil
}

// TestSigner: every request of the client is signed, and what the signer saw, with its own
// fields behind, is what arrives.
func TestSigner(t *testing.T) {
	for form, ser := range map[string]remoting.Serialization{"binary": remoting.Binary, "json": remoting.JSON} {
		t.Run(form, func(t *testing.T) {
			b := broker(t, nil)
			ns := nameServer(t, func(string) *wire.RouteData { return routeTo(1, b.addr()) })
			s := &signer{}
			c := client(t, remoting.Config{Signer: s, Serialization: ser, NameServers: []string{ns.addr()}})
			cfg := coretest.Config(c)
			cfg.Routes, cfg.Timeout = c, minute
			p := coretest.Start(t, cfg)
			m := &core.Message{Topic: "T", Body: []byte("one"), Tag: "tag", Properties: map[string]string{"a": "1"}, NoWaitStore: true}
			if _, err := p.Send(bg, m); err != nil {
				t.Fatal(err)
			}
			if _, err := p.SendBatch(bg, []*core.Message{m, m}); err != nil {
				t.Fatal(err)
			}
			if err := p.SendOneway(bg, m); err != nil {
				t.Fatal(err)
			}
			if _, err := p.Recall(bg, "T", handle("T", "broker-a")); err != nil {
				t.Fatal(err)
			}
			if err := p.Shutdown(bg); err != nil { // unregisters
				t.Fatal(err)
			}
			for _, code := range []int{
				wire.SendMessageV2, wire.SendBatchMessage, wire.HeartBeat, wire.RecallMessage, wire.UnregisterClient, wire.GetRouteInfoByTopic,
			} {
				arrived := append(b.requests(code), ns.requests(code)...)
				if len(arrived) == 0 {
					t.Errorf("no request %d", code)
				}
				for _, cmd := range arrived {
					s.check(t, cmd)
				}
			}
		})
	}
}

// check looks for what the signer saw of a request that arrived.
func (s *signer) check(t *testing.T, cmd wire.Command) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.seen {
		if r.Code != cmd.Code || string(r.Body) != string(cmd.Body) {
			continue
		}
		want := append(append(wire.Fields(nil), r.Fields...), wire.Field{Key: "AccessKey", Value: "me"}, wire.Field{Key: "Signature", Value: "sum"})
		same := len(want) == len(cmd.Ext)
		for _, f := range want {
			same = same && cmd.Ext.Get(f.Key) == f.Value
		}
		if same && r.Addr != "" {
			return
		}
	}
	t.Errorf("request %d arrived as no signer saw it: %v", cmd.Code, cmd.Ext)
}

// TestSignerFails: nothing is sent that could not be signed.
func TestSignerFails(t *testing.T) {
	noKeys := errors.New("no keys")
	for name, s := range map[string]remoting.Signer{"error": &signer{fail: noKeys}, "panic": struct{ remoting.Signer }{}} {
		t.Run(name, func(t *testing.T) {
			b := broker(t, nil)
			p := producer(t, client(t, remoting.Config{Signer: s}), b.addr())
			_, err := p.Send(bg, coretest.Message("x"))
			wantFailure(t, err, core.ClassAuth, core.NotSent)
			if name == "error" && !errors.Is(err, noKeys) {
				t.Error(err)
			}
			_, err = p.SendBatch(bg, []*core.Message{coretest.Message("x"), coretest.Message("y")})
			wantFailure(t, err, core.ClassAuth, core.NotSent)
			if n := len(b.requests(wire.SendMessageV2)) + len(b.requests(wire.SendBatchMessage)); n != 0 {
				t.Errorf("%d requests arrived", n)
			}
		})
	}
}

// TestSignerFailsAtTheLookUp: a route that cannot be asked for is a matter of credentials, too, also
// where another name server is away.
func TestSignerFailsAtTheLookUp(t *testing.T) {
	ns := nameServer(t, func(string) *wire.RouteData { return nil })
	c := client(t, remoting.Config{Signer: &signer{fail: errors.New("no keys")}, NameServers: []string{"127.0.0.1:1", ns.addr()}})
	cfg := coretest.Config(c)
	cfg.Routes, cfg.Timeout = c, minute
	_, err := coretest.Start(t, cfg).Send(bg, coretest.Message("x"))
	wantFailure(t, err, core.ClassAuth, core.NotSent)
	if n := len(ns.requests(wire.GetRouteInfoByTopic)); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
}

// livingSigner is a signer that is a service.
type livingSigner struct {
	signer
	failStart, failShutdown error
	started, stopped        int
}

func (s *livingSigner) Start(context.Context) error    { s.started++; return s.failStart }
func (s *livingSigner) Shutdown(context.Context) error { s.stopped++; return s.failShutdown }

// TestSignerIsStartedAndShutDown: once each, whatever else goes wrong.
func TestSignerIsStartedAndShutDown(t *testing.T) {
	fails := errors.New("the signer fails")
	newClient := func(s *livingSigner) *remoting.Client {
		c, err := remoting.NewClient(remoting.Config{NameServers: []string{"127.0.0.1:1"}, Signer: s})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	s := &livingSigner{failShutdown: fails}
	c := newClient(s)
	if err := c.Start(bg); err != nil || s.started != 1 || s.stopped != 0 {
		t.Fatalf("%v, started %d times, shut down %d times", err, s.started, s.stopped)
	}
	if err := c.Start(bg); err == nil || s.started != 1 || s.stopped != 0 { // it signs for the client that runs
		t.Errorf("started twice: %v, the signer %d times, shut down %d times", err, s.started, s.stopped)
	}
	if err := c.Shutdown(bg); !errors.Is(err, fails) || s.stopped != 1 {
		t.Errorf("%v, shut down %d times", err, s.stopped)
	}
	if err := c.Shutdown(bg); err != nil || s.stopped != 1 {
		t.Errorf("again: %v, shut down %d times", err, s.stopped)
	}
	if err := c.Start(bg); !errors.Is(err, core.ErrClosed) || s.started != 1 {
		t.Errorf("started after the end: %v, the signer %d times", err, s.started)
	}

	s = &livingSigner{failStart: fails}
	c = newClient(s)
	if err := c.Start(bg); !errors.Is(err, fails) {
		t.Errorf("the client runs: %v", err)
	}
	if err := c.Shutdown(bg); err != nil || s.stopped != 0 {
		t.Errorf("a signer that did not start: %v, shut down %d times", err, s.stopped)
	}

	s = &livingSigner{failStart: fails}
	c = newClient(s)
	_ = c.Start(bg)
	s.failStart = nil
	if err := errors.Join(c.Start(bg), c.Shutdown(bg)); err != nil || s.started != 2 || s.stopped != 1 {
		t.Errorf("started at the second try: %v, the signer %d times, shut down %d times", err, s.started, s.stopped)
	}
}

// TestUnknownCodec: a body that consumers could not unpack is not sent.
func TestUnknownCodec(t *testing.T) {
	b := broker(t, nil)
	cfg := coretest.Config(client(t, remoting.Config{}), core.CallStep("pack", core.StageEncode, core.InterceptorFunc(
		func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			c.Outgoing().SetPacked([]byte("packed"), "brotli")
			return next(ctx, c)
		})))
	cfg.Routes = fixed(t, 1, b.addr())
	_, err := coretest.Start(t, cfg).Send(bg, coretest.Message("x"))
	wantFailure(t, err, core.ClassUnsupported, core.NotSent)
}

// TestSendBy: a policy that would go to another broker with an unsent message, but not with an
// unanswered one, caps the time for sending and not the time for the answer.
func TestSendBy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		slow := run(t, n.listen("slow:1"), func(s *session, c wire.Command) {
			time.Sleep(1500 * time.Millisecond)
			s.ok(c)
		})
		quick := run(t, n.listen("quick:1"), nil)
		notSent := core.RetryPolicyFunc(func(f *core.Failure) core.Decision { return core.Decision{Retry: f.Certainty.Safe()} })
		for _, tt := range []struct {
			name     string
			first    string
			attempts int
			took     time.Duration
		}{
			{"an answer may take its time", slow.addr(), 1, 1500 * time.Millisecond},
			{"a dial may not", "nowhere:1", 2, time.Second},
		} {
			c := client(t, remoting.Config{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				if addr == "nowhere:1" {
					<-ctx.Done()
					return nil, ctx.Err()
				}
				return n.dial(ctx, network, addr)
			}})
			cfg := coretest.Config(unregistered{c})
			cfg.Routes, cfg.Retry = fixed(t, 1, tt.first, quick.addr()), notSent
			start := time.Now()
			res, err := coretest.Start(t, cfg).Send(bg, coretest.Message("x"))
			if err != nil || res.Attempts != tt.attempts || time.Since(start) != tt.took {
				t.Errorf("%s: %d attempts in %v: %v", tt.name, res.Attempts, time.Since(start), err)
			}
		}
	})
}

// Symptom: a broker that refused the short form of a send and could not be reached for the long
// one left the message "maybe stored", with the words "cannot connect".
func TestRefusalBeforeAnotherForm(t *testing.T) {
	b := broker(t, func(s *session, c wire.Command) {
		if c.Code == wire.SendMessageV2 {
			s.f.ln.Close() // no further connection
			s.answer(c, int(rocketmq.CodeRequestCodeNotSupported), "")
			s.nc.Close()
			return
		}
		s.ok(c)
	})
	p := producer(t, client(t, remoting.Config{}), b.addr())
	_, err := p.Send(bg, coretest.Message("x"))
	// The second request is on the connection before its end is seen, or meets a dial.
	if errors.Is(err, core.ErrConnect) {
		wantFailure(t, err, core.ClassUnavailable, core.NotStored)
	} else {
		wantFailure(t, err, core.ClassNetwork, core.MaybeStored)
	}
}

// TestRedoHasTheTimeThatIsLeft: a request that a broker sent away is made again, also after the
// time for sending the first one is over.
func TestRedoHasTheTimeThatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		b := run(t, n.listen("b:1"), func(s *session, c wire.Command) {
			if c.Code == wire.SendMessageV2 && s.n == 1 {
				time.Sleep(1500 * time.Millisecond)
				s.answer(c, int(rocketmq.CodeGoAway), "")
				return
			}
			s.ok(c)
		})
		c := client(t, remoting.Config{Dial: n.dial})
		cfg := coretest.Config(unregistered{c})
		cfg.Routes = fixed(t, 1, b.addr(), "other:1")
		cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision { return core.Decision{Retry: f.Certainty.Safe() && f.Attempt < 2} })
		res, err := coretest.Start(t, cfg).Send(bg, coretest.Message("x"))
		if err != nil || res.Attempts != 1 {
			t.Errorf("%d attempts, %v", res.Attempts, err)
		}
	})
}
