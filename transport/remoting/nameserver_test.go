package remoting_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// one is the route of every topic.
func one(string) *wire.RouteData { return routeTo(2, "127.0.0.1:10911") }

// Row 4: no name server is there: a typed error, at once; it heals by itself.
func TestNameServerDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		c := client(t, remoting.Config{NameServers: []string{"ns1:9876;ns2:9876"}, Dial: n.dial})
		start := time.Now()
		for range 3 {
			_, err := c.Route(bg, "T")
			var ns *remoting.NameServerError
			if core.ClassOf(err) != core.ClassNetwork || !errors.As(err, &ns) || len(ns.Errs) != 2 || !errors.Is(err, core.ErrConnect) {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(err.Error(), "ns1:9876") || !strings.Contains(err.Error(), "ns2:9876") {
				t.Errorf("got %v", err)
			}
		}
		if time.Since(start) != 0 {
			t.Errorf("took %v", time.Since(start))
		}
		run(t, n.listen("ns2:9876"), func(s *session, c wire.Command) { answerRoute(s, c, one) })
		time.Sleep(time.Second)
		if _, err := c.Route(bg, "T"); err != nil {
			t.Error(err)
		}
	})
}

// Row 6: one of two name servers hangs, refuses, or speaks something else. The
// other is asked within a second, and stays the first to ask.
func TestNameServerFailover(t *testing.T) {
	for name, script := range map[string]func(s *session, c wire.Command){
		"hung":    func(*session, wire.Command) {},
		"closes":  func(s *session, _ wire.Command) { s.nc.Close() },
		"HTTP":    func(s *session, _ wire.Command) { s.write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) },
		"refuses": func(s *session, c wire.Command) { s.answer(c, 1, "name server not ready") },
		"junk":    func(s *session, c wire.Command) { s.answer(c, 0, "", []byte("not a route")...) },
		"asks":    func(s *session, _ wire.Command) { s.command(&wire.Command{Code: 40, Flag: wire.FlagOneway}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newPipes()
				bad := run(t, n.listen("bad:9876"), script)
				run(t, n.listen("good:9876"), func(s *session, c wire.Command) { answerRoute(s, c, one) })
				c := client(t, remoting.Config{NameServers: []string{"bad:9876", "good:9876"}, Dial: n.dial})
				start := time.Now()
				for range 20 {
					if _, err := c.Route(bg, "T"); err != nil {
						t.Fatal(err)
					}
				}
				if d := time.Since(start); d > remoting.DefaultNameServerTimeout {
					t.Errorf("20 look-ups took %v", d)
				}
				if n := len(bad.requests(wire.GetRouteInfoByTopic)); n > 1 {
					t.Errorf("the bad server was asked %d times", n)
				}
				if s := c.Stats(); s.Requests != 0 {
					t.Errorf("a name server's request was served: %+v", s)
				}
			})
		})
	}
}

// Rows 19 and 29: what all name servers say, and the caller's end, is in the error.
func TestNameServerErrors(t *testing.T) {
	http := broker(t, func(s *session, _ wire.Command) { s.write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) })
	c := client(t, remoting.Config{NameServers: []string{http.addr()}, NameServerTimeout: minute})
	_, err := c.Route(bg, "T")
	if core.ClassOf(err) != core.ClassNetwork || !strings.Contains(err.Error(), "HTTP server") {
		t.Errorf("got %v", err)
	}

	hung := broker(t, func(*session, wire.Command) {})
	c = client(t, remoting.Config{NameServers: []string{hung.addr()}, NameServerTimeout: minute})
	ctx, cancel := context.WithCancel(bg)
	go func() {
		eventually(t, "the question is asked", func() bool { return len(hung.requests(wire.GetRouteInfoByTopic)) > 0 })
		cancel()
	}()
	if _, err := c.Route(ctx, "T"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}

	c = client(t, remoting.Config{NameServers: []string{hung.addr()}, NameServerTimeout: 10 * time.Millisecond})
	_, err = c.Route(bg, "T")
	if core.ClassOf(err) != core.ClassNetwork || !errors.Is(err, core.ErrTimeout) || !strings.Contains(err.Error(), hung.addr()) {
		t.Errorf("got %v", err)
	}
}

// script is a name server that answers after a time, or from a connection on, or not at all.
func answering(routes func(topic string) *wire.RouteData, after time.Duration) func(s *session, c wire.Command) {
	return func(s *session, c wire.Command) {
		go func() {
			time.Sleep(after)
			answerRoute(s, c, routes)
		}()
	}
}

func unknown(string) *wire.RouteData { return nil }

// A name server that does not know a topic, because it was restarted, ended the look-up, and
// the client stayed with it. The others are asked, and the one that knows is asked first from
// then on.
func TestIgnorantNameServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 10 { // the first to ask is a random one
			n := newPipes()
			ignorant := run(t, n.listen("ignorant:9876"), answering(unknown, 0))
			run(t, n.listen("knows:9876"), answering(one, 0))
			c := client(t, remoting.Config{NameServers: []string{"ignorant:9876", "knows:9876"}, Dial: n.dial})
			for range 5 {
				if _, err := c.Route(bg, "T"); err != nil {
					t.Fatal(err)
				}
			}
			if n := len(ignorant.requests(wire.GetRouteInfoByTopic)); n > 1 {
				t.Errorf("the ignorant server was asked %d times", n)
			}
		}
	})
}

// A topic is unknown when a server says so and none knows it. One that does not answer cannot
// hold that up for long, else a dead name server would stop all new topics.
func TestUnknownTopic(t *testing.T) {
	for name, tt := range map[string]struct {
		other func(s *session, c wire.Command)
		most  time.Duration
	}{
		"all say so":  {answering(unknown, 0), 0},
		"one is slow": {answering(unknown, 300*time.Millisecond), 300 * time.Millisecond},
		"one hangs":   {func(*session, wire.Command) {}, remoting.DefaultNameServerTimeout},
		"one is gone": {func(s *session, _ wire.Command) { s.nc.Close() }, 0},
		"one is sick": {func(s *session, c wire.Command) { s.answer(c, 1, "not ready") }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for range 5 {
					n := newPipes()
					run(t, n.listen("ignorant:9876"), answering(func(topic string) *wire.RouteData {
						if topic == "KEY" {
							return routeTo(1, "h:1")
						}
						return nil
					}, 0))
					run(t, n.listen("other:9876"), tt.other)
					c := client(t, remoting.Config{
						NameServers: []string{"ignorant:9876", "other:9876"}, Dial: n.dial, CreateTopicKey: "KEY",
					})
					start := time.Now()
					route, err := c.Route(bg, "new")
					if err != nil || show(route) != "broker-a/0=h:1" {
						t.Fatalf("got %v, %v", route, err)
					}
					// The create-topic key may be asked for at the other one first.
					if d := time.Since(start); d > 2*tt.most {
						t.Errorf("took %v, want at most twice %v", d, tt.most)
					}
				}
			})
		})
	}
}

// A name server that needed more than a second could not be used, although a send has three.
func TestSlowNameServer(t *testing.T) {
	for name, tt := range map[string]struct {
		after  time.Duration
		other  func(s *session, c wire.Command) // nil for one that refuses connections
		asked  int
		answer time.Duration
	}{
		"slow, alone":        {1200 * time.Millisecond, nil, 1, 1200 * time.Millisecond},
		"slower, alone":      {2500 * time.Millisecond, nil, 2, 2500 * time.Millisecond},
		"slow, beside hung":  {1200 * time.Millisecond, func(*session, wire.Command) {}, 1, 1200 * time.Millisecond},
		"slowest, alone":     {4500 * time.Millisecond, nil, 2, 4500 * time.Millisecond},
		"slow, beside sick":  {3500 * time.Millisecond, func(s *session, c wire.Command) { s.answer(c, 1, "not ready") }, 2, 3500 * time.Millisecond},
		"hung, beside quick": {time.Hour, answering(one, 0), 1, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newPipes()
				slow := run(t, n.listen("slow:9876"), answering(one, tt.after))
				other := &fake{}
				if tt.other != nil {
					other = run(t, n.listen("other:9876"), tt.other)
				}
				c := client(t, remoting.Config{NameServers: []string{"slow:9876"}, Dial: n.dial})
				if _, err := c.Route(timed(t, 50*time.Millisecond), "T"); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatal(err)
				}
				// It stays the first to ask.
				if err := c.UpdateNameServers("slow:9876", "other:9876"); err != nil {
					t.Fatal(err)
				}
				before := len(slow.requests(wire.GetRouteInfoByTopic))
				start := time.Now()
				if _, err := c.Route(timed(t, 5*time.Second), "T"); err != nil {
					t.Fatal(err)
				}
				if d := time.Since(start); d != tt.answer {
					t.Errorf("took %v, want %v", d, tt.answer)
				}
				if n := len(slow.requests(wire.GetRouteInfoByTopic)) - before; n != tt.asked {
					t.Errorf("the slow server was asked %d times, want %d", n, tt.asked)
				}
				if n := len(other.requests(wire.GetRouteInfoByTopic)); n > 1 {
					t.Errorf("the other server was asked %d times", n)
				}
				time.Sleep(time.Hour)
			})
		})
	}
}

// Three servers, each with a trouble of its own: each is asked when it is its turn, a second
// after the one before it, and once.
func TestNameServersTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		ignorant := run(t, n.listen("a:9876"), answering(unknown, 900*time.Millisecond))
		hung := run(t, n.listen("b:9876"), func(*session, wire.Command) {})
		slow := run(t, n.listen("c:9876"), answering(one, 500*time.Millisecond))
		c := client(t, remoting.Config{NameServers: []string{"a:9876"}, Dial: n.dial})
		if err := c.UpdateNameServers("a:9876;b:9876;c:9876"); err != nil { // the first stays the first
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := c.Route(timed(t, 5*time.Second), "T"); err != nil || time.Since(start) != 2400*time.Millisecond {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		for _, f := range []*fake{ignorant, hung, slow} {
			if n := len(f.requests(wire.GetRouteInfoByTopic)); n != 1 {
				t.Errorf("%s was asked %d times", f.addr(), n)
			}
		}
		time.Sleep(time.Minute)
	})
}

// A server that hangs holds up one new topic, and the next ones only after a while.
func TestHungNameServerDoesNotHoldUpEveryNewTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		run(t, n.listen("good:9876"), answering(func(topic string) *wire.RouteData {
			if topic == "TBW102" {
				return one(topic)
			}
			return nil
		}, 0))
		var answers atomic.Bool
		run(t, n.listen("hung:9876"), func(s *session, c wire.Command) {
			if answers.Load() {
				answerRoute(s, c, func(topic string) *wire.RouteData { return routeTo(1, "found:1") })
			}
		})
		c := client(t, remoting.Config{NameServers: []string{"hung:9876"}, Dial: n.dial})
		if err := c.UpdateNameServers("hung:9876", "good:9876"); err != nil {
			t.Fatal(err)
		}
		for i, want := range []time.Duration{time.Second, 0, 0, time.Second, 0} {
			if i == 3 {
				time.Sleep(20 * time.Second)
			}
			start := time.Now()
			if _, err := c.Route(bg, fmt.Sprint("new-", i)); err != nil || time.Since(start) != want {
				t.Errorf("topic %d: %v after %v, want after %v", i, err, time.Since(start), want)
			}
		}
		answers.Store(true)
		time.Sleep(20 * time.Second)
		if route, err := c.Route(bg, "elsewhere"); err != nil || route.Broker(0).Addr != "found:1" {
			t.Errorf("%v, %v", route, err)
		}
	})
}

func timed(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(bg, d)
	t.Cleanup(cancel)
	return ctx
}

// The connection to the only name server is dead, and nothing says so. The question is asked
// again on a new one, within the time of a send.
func TestDeadConnectionToTheNameServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		ns := run(t, n.listen("ns:9876"), func(s *session, c wire.Command) {
			if s.n > 1 || c.Ext.Get("topic") == "first" {
				answerRoute(s, c, one)
			}
		})
		c := client(t, remoting.Config{NameServers: []string{"ns:9876"}, Dial: n.dial})
		if _, err := c.Route(bg, "first"); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := c.Route(timed(t, 3*time.Second), "T"); err != nil || time.Since(start) != 2*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		if n := ns.accepted.Load(); n != 2 {
			t.Errorf("%d connections", n)
		}
	})
}

// A name server's name leads to another machine from some time on, and the old one goes on with
// what it knew. The name was resolved once, for as long as the connection lived. Now it is
// resolved again every few minutes, and the old connection stays where that fails.
func TestNamesOfNameServersAreResolvedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		run(t, n.listen("10.0.0.1:9876"), answering(func(string) *wire.RouteData { return routeTo(1, "old:1") }, 0))
		run(t, n.listen("10.0.0.2:9876"), answering(func(string) *wire.RouteData { return routeTo(1, "new:1") }, 0))
		var to atomic.Value
		to.Store("10.0.0.1:9876")
		client := func(server string) *remoting.Client {
			return client(t, remoting.Config{
				NameServers: []string{server},
				Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
					if strings.HasPrefix(addr, "ns.") {
						addr = to.Load().(string)
					}
					return n.dial(ctx, network, addr)
				},
			})
		}
		c, byAddress := client("ns.example:9876"), client("10.0.0.1:9876")
		look := func(c *remoting.Client) string {
			route, err := c.Route(bg, "T")
			if err != nil {
				t.Fatal(err)
			}
			return route.Broker(0).Addr
		}
		for minute, tt := range []struct{ to, want string }{
			{"10.0.0.1:9876", "old:1"},
			{"10.0.0.1:9876", "old:1"},
			{"10.0.0.3:9876", "old:1"}, // nobody is there
			{"10.0.0.3:9876", "old:1"},
			{"10.0.0.3:9876", "old:1"},
			{"10.0.0.2:9876", ""}, // soon
			{"10.0.0.2:9876", "new:1"},
		} {
			to.Store(tt.to)
			for range 59 {
				got := look(c)
				if tt.want != "" && got != tt.want {
					t.Fatalf("minute %d: %s, want %s", minute, got, tt.want)
				}
				if got := look(byAddress); got != "old:1" {
					t.Fatalf("by address: %s", got)
				}
				time.Sleep(time.Second)
			}
			time.Sleep(time.Second)
		}
		synctest.Wait() // a connection may just be replaced
		if d := byAddress.Stats().Dials; d != 1 {
			t.Errorf("an address was dialed %d times", d)
		}
		if s := c.Stats(); s.Connections != 1 || s.Lost != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// What a call says whose time is over while name servers are silent.
func TestSilentNameServersAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		run(t, n.listen("hung:9876"), func(*session, wire.Command) {})
		c := client(t, remoting.Config{NameServers: []string{"hung:9876", "dead:9876"}, Dial: n.dial})
		cfg := coretest.Config(unregistered{c})
		cfg.Routes = c
		_, err := coretest.Start(t, cfg).Send(bg, coretest.Message("x"))
		wantFailure(t, err, core.ClassNetwork, core.NotSent)
		_, direct := c.Route(timed(t, 3*time.Second), "T")
		var ns *remoting.NameServerError
		if !errors.As(direct, &ns) || core.ClassOf(direct) != core.ClassNetwork || !errors.Is(direct, context.DeadlineExceeded) {
			t.Errorf("got %v", direct)
		}
		for _, err := range []error{err, direct} {
			for _, want := range []string{"no name server", "hung:9876: no answer", "connection refused", "dead:9876"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is missing in: %v", want, err)
				}
			}
		}
		if _, err := c.Route(bg, "T"); !errors.As(err, &ns) {
			t.Errorf("without a deadline: %v", err)
		}
	})
}

// The list can change while the client runs.
func TestUpdateNameServers(t *testing.T) {
	a, b := nameServer(t, one), nameServer(t, one)
	c := client(t, remoting.Config{NameServers: []string{a.addr()}, HeartbeatInterval: 20 * time.Millisecond})
	if _, err := c.Route(bg, "T"); err != nil {
		t.Fatal(err)
	}
	if err := c.UpdateNameServers(" ; "); err == nil {
		t.Error("an empty list was taken")
	}
	if err := c.UpdateNameServers("http://" + b.addr()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Route(bg, "T"); err != nil {
		t.Fatal(err)
	}
	if na, nb := len(a.requests(wire.GetRouteInfoByTopic)), len(b.requests(wire.GetRouteInfoByTopic)); na != 1 || nb != 1 {
		t.Errorf("asked %d and %d times", na, nb)
	}
	eventually(t, "the old server's connection is closed", func() bool { return c.Stats().Connections == 1 })
}

func TestConfig(t *testing.T) {
	var dialed string
	for list, want := range map[string]string{
		"ns":                                 "ns:9876",
		"ns.example.com:9877":                "ns.example.com:9877",
		" http://10.0.0.1:9876/ ":            "10.0.0.1:9876",
		"rocketmq://ns:1;rocketmq://ns:1":    "ns:1",
		"::1":                                "",
		"::1:9876":                           "",
		"[fe80::1]:99":                       "[fe80::1]:99",
		"[::1]":                              "[::1]:9876",
		"[fe80::1%eth0]":                     "[fe80::1%eth0]:9876",
		"fe80::1%eth0":                       "",
		"fd00::2:10911":                      "[fd00::2]:10911",
		"fd00:0:0:0:0:0:0:2:9876":            "[fd00:0:0:0:0:0:0:2]:9876",
		"ns:1,":                              "ns:1",
		"ns:0":                               "",
		"ns:70000":                           "",
		":9876":                              "",
		"ns:http":                            "",
		"a:b:c":                              "",
		"https://ns:9876":                    "",
		"http://jmenv.example:8080/rocketmq": "",
		"":                                   "",
		" ;, ":                               "",
	} {
		c, err := remoting.NewClient(remoting.Config{
			NameServers: []string{list}, NameServerTimeout: time.Minute,
			Dial: func(_ context.Context, _, addr string) (net.Conn, error) {
				dialed = addr
				return nil, errors.New("no")
			},
		})
		if want == "" {
			if err == nil {
				t.Errorf("%q was taken", list)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", list, err)
			continue
		}
		if err := c.Start(bg); err != nil {
			t.Fatal(err)
		}
		_, _ = c.Route(bg, "T")
		if err := c.Shutdown(bg); err != nil {
			t.Error(err)
		}
		if dialed != want {
			t.Errorf("%q: dialed %q, want %q", list, dialed, want)
		}
	}

	_, err := remoting.NewClient(remoting.Config{
		NameServers: []string{"a:0", "b:x"}, Serialization: 9, MaxBrokers: -1, IdleTimeout: -1, Signer: (*signer)(nil),
	})
	for _, want := range []string{`"a:0"`, `"b:x"`, "serialization 9", "MaxBrokers", "IdleTimeout", "Signer is a nil pointer"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
}
