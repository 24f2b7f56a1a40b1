package remoting_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// recalling hides that a client wants groups, and so heartbeats.
type recalling struct {
	core.Transport
	core.Recaller
}

// leaving answers requests of a code with GO_AWAY, on so many connections.
func leaving(code int, connections int) func(s *session, c wire.Command) {
	return func(s *session, c wire.Command) {
		if c.Code == code && s.n <= connections {
			s.answer(c, int(rocketmq.CodeGoAway), "please go away")
			return
		}
		s.ok(c)
	}
}

// Row 25: GO_AWAY costs an operation and a look-up a new connection too, and nothing else.
func TestGoAwayFromWhatIsNoSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		b := run(t, n.listen("b:1"), leaving(wire.RecallMessage, 1))
		ns := run(t, n.listen("ns:9876"), func(s *session, c wire.Command) {
			if s.n == 1 {
				s.answer(c, int(rocketmq.CodeGoAway), "please go away")
				return
			}
			answerRoute(s, c, func(string) *wire.RouteData { return routeTo(1, "b:1") })
		})
		c := client(t, remoting.Config{NameServers: []string{"ns"}, Dial: n.dial})
		cfg := coretest.Config(recalling{c, c})
		cfg.Routes = coretest.RouteFunc(c.Route)
		p := coretest.Start(t, cfg)
		res, err := p.Send(bg, coretest.Message("x"))
		if err != nil || res.Attempts != 1 {
			t.Fatalf("%+v, %v", res, err)
		}
		if n := ns.accepted.Load(); n != 2 {
			t.Errorf("%d connections to the name server", n)
		}
		if _, err := p.Recall(bg, "T", handle("T", "broker-a")); err != nil {
			t.Error(err)
		}
		if got := b.requests(wire.RecallMessage); len(got) != 2 || got[0].Opaque == got[1].Opaque || b.accepted.Load() != 2 {
			t.Errorf("%d requests on %d connections", len(got), b.accepted.Load())
		}
		if s := c.Stats(); s.GoAways != 2 {
			t.Errorf("stats %+v", s)
		}
	})
}

// Row 25: the second GO_AWAY to an operation is an error, and so is the first one where no
// other connection can be had. The broker has refused the operation in both.
func TestGoAwayTwiceFromAnOperation(t *testing.T) {
	for name, hangsUp := range map[string]bool{"twice": false, "no other connection": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newPipes()
				var b *fake
				b = run(t, n.listen("b:1"), func(s *session, c wire.Command) {
					if hangsUp {
						b.ln.Close()
					}
					s.answer(c, int(rocketmq.CodeGoAway), "please go away")
				})
				c := client(t, remoting.Config{Dial: n.dial})
				cfg := coretest.Config(recalling{c, c})
				cfg.Routes = fixed(t, 1, "b:1")
				_, err := coretest.Start(t, cfg).Recall(bg, "T", handle("T", "broker-a"))
				if core.ClassOf(err) != core.ClassUnavailable || core.CertaintyOf(err) != core.NotStored {
					t.Errorf("%v, %v: %v", core.ClassOf(err), core.CertaintyOf(err), err)
				}
				want := 2
				if hangsUp {
					want = 1
				}
				if got := len(b.requests(wire.RecallMessage)); got != want {
					t.Errorf("%d requests, want %d", got, want)
				}
			})
		})
	}
}

// Row 25: a one-way send has no answer that could say GO_AWAY. The heartbeat's does, and the
// next one-way sends take a new connection.
func TestGoAwayFromAHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t)
		var shuttingDown atomic.Bool
		v.a.script = func(s *session, c wire.Command) {
			if s.n == 1 && shuttingDown.Load() && !c.IsOneway() {
				s.answer(c, int(rocketmq.CodeGoAway), "please go away")
				return
			}
			s.ok(c)
		}
		v.routes = func(string) *wire.RouteData { return routeTo(1, "a:1") }
		c := v.client(t)
		cfg := coretest.Config(c)
		cfg.Routes = c
		p := coretest.Start(t, cfg)
		sendOneway(t, p)
		shuttingDown.Store(true)
		time.Sleep(remoting.DefaultHeartbeatInterval)
		synctest.Wait()
		sendOneway(t, p)
		synctest.Wait()
		if s := c.Stats(); s.GoAways != 1 || v.a.accepted.Load() != 2 || s.Connections != 2 {
			t.Errorf("%d connections, stats %+v", v.a.accepted.Load(), s)
		}
		if n := len(v.a.requests(wire.SendMessageV2)); n != 2 {
			t.Errorf("%d sends arrived", n)
		}
	})
}

// A peer that says GO_AWAY to each heartbeat is not dialed without end.
func TestGoAwayFromEveryHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t)
		v.a.script = leaving(wire.HeartBeat, 1000)
		v.routes = func(string) *wire.RouteData { return routeTo(1, "a:1") }
		c := v.client(t)
		cfg := coretest.Config(c)
		cfg.Routes = c
		p := coretest.Start(t, cfg)
		sendOneway(t, p)
		time.Sleep(10 * remoting.DefaultHeartbeatInterval)
		if n := v.a.accepted.Load(); n > 12 {
			t.Errorf("%d connections in ten intervals", n)
		}
	})
}

// Connections that only carried one-way sends, operations or heartbeats close when they are
// idle, as those of answered sends do; and heartbeats keep one open while its topic is in use.
func TestIdleConnectionsInEveryMode(t *testing.T) {
	for name, use := range map[string]func(t *testing.T, p *core.Producer){
		"one-way": func(t *testing.T, p *core.Producer) { sendOneway(t, p) },
		"operations": func(t *testing.T, p *core.Producer) {
			if _, err := p.Recall(bg, "T", handle("T", "broker-a")); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newPipes()
				b := run(t, n.listen("b:1"), nil)
				c := client(t, remoting.Config{Dial: n.dial})
				cfg := coretest.Config(recalling{c, c})
				cfg.Routes = fixed(t, 1, "b:1")
				p := coretest.Start(t, cfg)
				for range 2 {
					use(t, p)
					time.Sleep(5 * time.Second)
					if n := c.Stats().Connections; n != 1 {
						t.Errorf("%d connections after the use", n)
					}
					time.Sleep(remoting.DefaultIdleTimeout + 2*remoting.DefaultHeartbeatInterval)
					if n := c.Stats().Connections; n != 0 {
						t.Errorf("%d connections are open", n)
					}
				}
				if s := c.Stats(); b.accepted.Load() != 2 || s.Lost != 0 {
					t.Errorf("%d connections, stats %+v", b.accepted.Load(), s)
				}
			})
		})
	}
	t.Run("heartbeats", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			v := newVirtual(t)
			v.routes = func(string) *wire.RouteData { return routeTo(1, "a:1") }
			c := v.client(t)
			cfg := coretest.Config(c)
			cfg.Routes = c
			sendOneway(t, coretest.Start(t, cfg))
			time.Sleep(8 * time.Minute)
			if n := v.a.accepted.Load(); n != 1 || len(beats(t, v.a)) < 15 {
				t.Errorf("%d connections, %d heartbeats", n, len(beats(t, v.a)))
			}
		})
	})
}

func sendOneway(t *testing.T, p *core.Producer) {
	t.Helper()
	if err := p.SendOneway(bg, coretest.Message("x")); err != nil {
		t.Error(err)
	}
}
