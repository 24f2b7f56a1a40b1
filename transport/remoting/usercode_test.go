package remoting_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// userCode places a function of the user's where the client calls one about the broker b:1.
// F is called then, and what the client wanted of the function comes after it.
var userCode = map[string]func(cfg *remoting.Config, n *pipes, f func()){
	"log handler, of a dial that failed": func(cfg *remoting.Config, n *pipes, f func()) {
		cfg.Dial = refuses(n, "b:1")
		cfg.Logger = slog.New(logFunc(f))
	},
	"log handler, of a connection that was lost": func(cfg *remoting.Config, n *pipes, f func()) {
		b := &fake{ln: n.listen("b:1"), script: func(s *session, _ wire.Command) { s.nc.Close() }}
		b.start()
		n.cleanup = append(n.cleanup, b.stop)
		cfg.Logger = slog.New(logFunc(f))
	},
	"log handler, of an answer to nothing": func(cfg *remoting.Config, n *pipes, f func()) {
		b := &fake{ln: n.listen("b:1"), script: func(s *session, c wire.Command) {
			s.write(s.stored(wire.Command{Opaque: c.Opaque + 1000, Serialization: c.Serialization, Code: c.Code, Ext: c.Ext}, 0))
			s.ok(c)
		}}
		b.start()
		n.cleanup = append(n.cleanup, b.stop)
		cfg.Logger = slog.New(logFunc(f))
	},
	"Dial": func(cfg *remoting.Config, n *pipes, f func()) {
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr == "b:1" {
				f()
			}
			return n.dial(ctx, network, addr)
		}
	},
	"AllowBroker": func(cfg *remoting.Config, n *pipes, f func()) {
		cfg.AllowBroker = func(addr string) bool {
			if addr == "b:1" {
				f()
			}
			return true
		}
	},
	"a connection's Write": func(cfg *remoting.Config, n *pipes, f func()) {
		cfg.Dial = wraps(n, "b:1", func(nc net.Conn) net.Conn { return hookedConn{Conn: nc, write: f} })
	},
	"a connection's Read": func(cfg *remoting.Config, n *pipes, f func()) {
		cfg.Dial = wraps(n, "b:1", func(nc net.Conn) net.Conn { return hookedConn{Conn: nc, read: f} })
	},
	"a connection's Close": func(cfg *remoting.Config, n *pipes, f func()) {
		b := &fake{ln: n.listen("b:1"), script: func(s *session, _ wire.Command) { s.nc.Close() }}
		b.start()
		n.cleanup = append(n.cleanup, b.stop)
		cfg.Dial = wraps(n, "b:1", func(nc net.Conn) net.Conn { return hookedConn{Conn: nc, close: f} })
	},
}

// routeCode is userCode of which a look-up of a route asks.
var routeCode = map[string]func(cfg *remoting.Config, f func()){
	"MapAddr": func(cfg *remoting.Config, f func()) {
		cfg.MapAddr = func(addr string) string {
			if addr == "b:1" {
				f()
			}
			return addr
		}
	},
	"AllowBroker": func(cfg *remoting.Config, f func()) {
		cfg.AllowBroker = func(addr string) bool {
			if addr == "b:1" {
				f()
			}
			return true
		}
	},
}

func refuses(n *pipes, refused string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr == refused {
			return nil, errors.New("refused")
		}
		return n.dial(ctx, network, addr)
	}
}

func wraps(n *pipes, which string, wrap func(net.Conn) net.Conn) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := n.dial(ctx, network, addr)
		if err == nil && addr == which {
			nc = wrap(nc)
		}
		return nc, err
	}
}

// hookedConn calls the functions that are not nil before what they stand for.
type hookedConn struct {
	net.Conn
	read, write, close func()
}

func (c hookedConn) Read(b []byte) (int, error) {
	if c.read != nil {
		c.read()
	}
	return c.Conn.Read(b)
}

func (c hookedConn) Write(b []byte) (int, error) {
	if c.write != nil {
		c.write()
	}
	return c.Conn.Write(b)
}

func (c hookedConn) Close() error {
	if c.close != nil {
		c.close()
	}
	return c.Conn.Close()
}

// logFunc is a log handler that calls a function.
type logFunc func()

func (f logFunc) Enabled(context.Context, slog.Level) bool  { return true }
func (f logFunc) Handle(context.Context, slog.Record) error { f(); return nil }
func (f logFunc) WithAttrs([]slog.Attr) slog.Handler        { return f }
func (f logFunc) WithGroup(string) slog.Handler             { return f }

// twoBrokers are brokers at a:1 and b:1, unless something listens there already, with a client.
func twoBrokers(t *testing.T, n *pipes, cfg remoting.Config) *remoting.Client {
	t.Helper()
	for _, f := range n.cleanup {
		t.Cleanup(f)
	}
	for _, addr := range []string{"a:1", "b:1"} {
		if !n.listens(addr) {
			run(t, n.listen(addr), nil)
		}
	}
	if cfg.Dial == nil {
		cfg.Dial = n.dial
	}
	return client(t, cfg)
}

// A log handler, a dialer, a connection or a rule about addresses that blocks held up every
// send to its broker for ever, past the deadline, and some held up the whole client. Only what
// needs the function's answer may wait for it, and no longer than it wants to.
func TestUserCodeThatBlocks(t *testing.T) {
	for name, place := range userCode {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, release := newPipes(), make(chan struct{})
				var cfg remoting.Config
				place(&cfg, n, func() { <-release })
				c := twoBrokers(t, n, cfg)
				t.Cleanup(func() { close(release) }) // before the client's
				a, b := producer(t, c, "a:1"), producer(t, c, "b:1")
				var wg sync.WaitGroup
				for range 8 {
					wg.Go(func() { // the one that runs into it, and those that come after
						start := time.Now()
						_, _ = b.Send(bg, coretest.Message("x"), core.SendTimeout(time.Second))
						if d := time.Since(start); d > time.Second {
							t.Errorf("a send to the broker ended after %v", d)
						}
					})
					time.Sleep(400 * time.Millisecond)
				}
				stillWorks(t, c, a)
				wg.Wait()
				stillWorks(t, c, a)
				ctx, cancel := context.WithTimeout(bg, time.Second)
				defer cancel()
				start := time.Now()
				_ = c.Shutdown(ctx)
				if d := time.Since(start); d > time.Second {
					t.Errorf("Shutdown took %v", d)
				}
			})
		})
	}
}

// stillWorks checks what has nothing to do with the broker b:1.
func stillWorks(t *testing.T, c *remoting.Client, a *core.Producer) {
	t.Helper()
	start := time.Now()
	for range 10 {
		if _, err := a.Send(bg, coretest.Message("x"), core.SendTimeout(time.Second)); err != nil {
			t.Errorf("to the other broker: %v", err)
		}
	}
	a.Snapshot()
	c.Stats()
	c.BrokerReport(core.Broker{Name: "broker-a", Addr: "b:1"})
	if d := time.Since(start); d > 0 {
		t.Errorf("sends to the other broker and looks at the client took %v", d)
	}
}

// The same functions may use the client: they send to either broker.
func TestUserCodeThatSends(t *testing.T) {
	for name, place := range userCode {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newPipes()
				var cfg remoting.Config
				var a, b *core.Producer
				var once sync.Once
				sent := make(chan struct{})
				place(&cfg, n, func() {
					once.Do(func() {
						defer close(sent)
						for _, p := range []*core.Producer{a, b} {
							start := time.Now()
							_, err := p.Send(bg, coretest.Message("inner"), core.SendTimeout(time.Second))
							if d := time.Since(start); d > time.Second {
								t.Errorf("an inner send took %v", d)
							}
							if p == a && err != nil {
								t.Errorf("the inner send to the other broker: %v", err)
							}
						}
					})
				})
				c := twoBrokers(t, n, cfg)
				a, b = producer(t, c, "a:1"), producer(t, c, "b:1")
				_, _ = b.Send(bg, coretest.Message("outer"))
				<-sent
				stillWorks(t, c, a)
			})
		})
	}
}

// A function that a look-up asks and that blocks holds up the sends that need this route,
// until their deadline, and no other look-up.
func TestUserCodeThatBlocksALookUp(t *testing.T) {
	for name, place := range routeCode {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v, release := newVirtual(t), make(chan struct{})
				v.routes = func(topic string) *wire.RouteData { return routeTo(1, strings.ToLower(topic)+":1") }
				cfg := remoting.Config{NameServers: []string{"ns"}, Dial: v.n.dial}
				place(&cfg, func() { <-release })
				c := client(t, cfg)
				t.Cleanup(func() { close(release) })
				p := routed(t, c)
				goroutines := 0
				for i := range 100 {
					if i == 10 {
						goroutines = runtime.NumGoroutine()
					}
					start := time.Now()
					_, err := p.Send(bg, &core.Message{Topic: "B", Body: []byte("x")}, core.SendTimeout(time.Second))
					if wantFailure(t, err, core.ClassTimeout, core.NotSent); time.Since(start) > time.Second || !strings.Contains(err.Error(), name+" ") && !strings.Contains(err.Error(), "MapAddr or "+name) {
						t.Errorf("a send to the broker ended after %v with %v", time.Since(start), err)
					}
					start = time.Now()
					if _, err := c.Route(bg, "A"); err != nil {
						t.Errorf("the route of another topic: %v", err)
					}
					if _, err := p.Send(bg, &core.Message{Topic: "A", Body: []byte("x")}); err != nil || time.Since(start) > 0 {
						t.Errorf("to another topic: %v, after %v", err, time.Since(start))
					}
				}
				if n := runtime.NumGoroutine(); n > goroutines+2 {
					t.Errorf("%d goroutines, %d before", n, goroutines)
				}
				ctx, cancel := context.WithTimeout(bg, time.Second)
				defer cancel()
				start := time.Now()
				if _, err := c.Route(ctx, "B"); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, core.ErrTimeout) || time.Since(start) != time.Second {
					t.Errorf("Route ended with %v after %v", err, time.Since(start))
				}
			})
		})
	}
}

// routed is a producer that asks c for its routes.
func routed(t *testing.T, c *remoting.Client) *core.Producer {
	t.Helper()
	cfg := coretest.Config(unregistered{c})
	cfg.Routes = coretest.RouteFunc(c.Route)
	cfg.Timeout = minute
	return coretest.Start(t, cfg)
}

// failing are the ways in which a function can go wrong besides an error.
var failing = map[string]struct {
	f    func()
	says string
}{
	"panics":                  {func() { panic("out of luck") }, "out of luck"},
	"panics with nil pointer": {func() { var p *fake; p.addr() }, "nil pointer"},
	"ends its goroutine":      {func() { runtime.Goexit() }, "ended its goroutine"},
}

// A Dial that panicked, or gave neither a connection nor an error, ended the process. It is
// the error of the sends that wanted the connection, and says whose it is.
func TestDialThatGoesWrong(t *testing.T) {
	type dial = func(ctx context.Context, network, addr string) (net.Conn, error)
	tests := map[string]struct {
		dial dial
		says string
	}{
		"nil, nil":       {func(context.Context, string, string) (net.Conn, error) { return nil, nil }, "neither a connection nor an error"},
		"a nil pointer":  {func(context.Context, string, string) (net.Conn, error) { return (*net.TCPConn)(nil), nil }, "neither a connection nor an error"},
		"nil of its own": {func(context.Context, string, string) (net.Conn, error) { return (*hookedConn)(nil), nil }, "neither a connection nor an error"},
	}
	for name, way := range failing {
		tests[name] = struct {
			dial dial
			says string
		}{func(context.Context, string, string) (net.Conn, error) { way.f(); return nil, nil }, way.says}
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newPipes()
				c := twoBrokers(t, n, remoting.Config{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
					if addr == "b:1" {
						return tt.dial(ctx, network, addr)
					}
					return n.dial(ctx, network, addr)
				}})
				a, b := producer(t, c, "a:1"), producer(t, c, "b:1")
				for range 3 {
					_, err := b.Send(bg, coretest.Message("x"), core.SendTimeout(time.Second))
					wantFailure(t, err, core.ClassNetwork, core.NotSent)
					for _, want := range []string{"remoting.Config.Dial", tt.says, "b:1"} {
						if !strings.Contains(err.Error(), want) {
							t.Errorf("got %q, want %q in it", err, want)
						}
					}
				}
				stillWorks(t, c, a)
			})
		})
	}
}

// A connection of the user's whose methods panic ended the process. It ends the connection.
func TestConnectionThatGoesWrong(t *testing.T) {
	for name, way := range failing {
		for method, conn := range map[string]hookedConn{
			"Read": {read: way.f}, "Write": {write: way.f}, "Close": {close: way.f},
		} {
			t.Run(method+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := newPipes()
					c := twoBrokers(t, n, remoting.Config{Dial: wraps(n, "b:1", func(nc net.Conn) net.Conn {
						conn := conn
						conn.Conn = nc
						t.Cleanup(func() { nc.Close() })
						return conn
					})})
					a, b := producer(t, c, "a:1"), producer(t, c, "b:1")
					_, err := b.Send(bg, coretest.Message("x"), core.SendTimeout(time.Second))
					if method != "Close" {
						if se := failure(t, err); se.Class != core.ClassNetwork || !strings.Contains(err.Error(), way.says) || !strings.Contains(err.Error(), "connection's") {
							t.Errorf("got %v", err)
						}
					}
					stillWorks(t, c, a)
				})
			})
		}
	}
}

// Rules about addresses that panic ended the process, or left no word of whose fault it is.
func TestAddressRulesThatGoWrong(t *testing.T) {
	for name, way := range failing {
		for function, place := range routeCode {
			t.Run(function+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					v := newVirtual(t)
					cfg := remoting.Config{NameServers: []string{"ns"}, Dial: v.n.dial}
					place(&cfg, way.f)
					c := client(t, cfg)
					_, err := c.Route(bg, "T")
					if err == nil || !strings.Contains(err.Error(), "remoting.Config."+function) || !strings.Contains(err.Error(), way.says) {
						t.Errorf("the look-up gave %v", err)
					}
					_, err = routed(t, c).Send(bg, coretest.Message("x"), core.SendTimeout(time.Second))
					if failure(t, err); !strings.Contains(err.Error(), "remoting.Config."+function) {
						t.Errorf("the send gave %v", err)
					}
					if function == "AllowBroker" { // a route of one's own is not asked about before the dial
						_, err := producer(t, c, "b:1").Send(bg, coretest.Message("x"), core.SendTimeout(time.Second))
						wantFailure(t, err, core.ClassNetwork, core.NotSent)
						if !strings.Contains(err.Error(), "remoting.Config.AllowBroker") {
							t.Errorf("the send by a fixed route gave %v", err)
						}
					}
					stillWorks(t, c, producer(t, c, "a:1"))
				})
			})
		}
	}
}

// A log handler that panicked ended the process. Its lines are lost, and the next one says so.
func TestLogHandlerThatGoesWrong(t *testing.T) {
	for name, way := range failing {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, b := newPipes(), &bytes.Buffer{}
				bad := true
				c := twoBrokers(t, n, remoting.Config{Dial: refuses(n, "b:1"), Logger: slog.New(hookedLog{slog.NewTextHandler(b, nil), func() {
					if bad {
						way.f()
					}
				}})})
				a, p := producer(t, c, "a:1"), producer(t, c, "b:1")
				_, err := p.Send(bg, coretest.Message("x"), core.SendTimeout(time.Second))
				wantFailure(t, err, core.ClassNetwork, core.NotSent)
				stillWorks(t, c, a)
				synctest.Wait()
				bad = false
				if err := c.UpdateNameServers("other"); err != nil { // it logs
					t.Fatal(err)
				}
				synctest.Wait()
				if got := b.String(); !strings.Contains(got, "log lines are missing") || !strings.Contains(got, "other") {
					t.Errorf("logged %q", got)
				}
			})
		})
	}
}

type hookedLog struct {
	slog.Handler
	before func()
}

func (h hookedLog) WithAttrs(a []slog.Attr) slog.Handler {
	return hookedLog{h.Handler.WithAttrs(a), h.before}
}

func (h hookedLog) Handle(ctx context.Context, r slog.Record) error {
	h.before()
	return h.Handler.Handle(ctx, r)
}
