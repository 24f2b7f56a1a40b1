package remoting_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
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
		NameServers: []string{"a:0", "b:x"}, Serialization: 9, MaxBrokers: -1, IdleTimeout: -1,
	})
	for _, want := range []string{`"a:0"`, `"b:x"`, "serialization 9", "MaxBrokers", "IdleTimeout"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
}
