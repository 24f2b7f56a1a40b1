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

// Each address of a name is a name server: with the first one dead, hung, or ignorant the next one
// is asked.
func TestEachAddressOfANameIsAServer(t *testing.T) {
	for name, first := range map[string]func(s *session, c wire.Command){
		"dead":     nil,
		"hung":     func(*session, wire.Command) {},
		"ignorant": answering(unknown, 0),
		"slow":     answering(func(string) *wire.RouteData { return routeTo(1, "10.1.0.1:10911") }, 2500*time.Millisecond),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newPipes()
				if first != nil {
					run(t, n.listen("10.0.0.1:9877"), first)
				}
				ns(t, n, "10.0.0.2:9877")
				ns(t, n, "[fd00::3]:9877")
				names := &dns{}
				names.set("ns.example", "fd00::3", "::ffff:10.0.0.1", "10.0.0.2", "10.0.0.2")
				d := discover(t, n, remoting.Config{NameServers: []string{"ns.example:9877"}, Discovery: remoting.Discovery{Resolver: names}})
				for range 10 {
					d.wantSend(2 * time.Second)
				}
				d.wantServers("10.0.0.1:9877", "10.0.0.2:9877", "[fd00::3]:9877")
				time.Sleep(time.Minute) // the slow answer
			})
		})
	}
}

// The name leads elsewhere from some time on. Where the old servers are gone, or answer nothing any
// more, DNS is asked at once, within the send that has met it.
func TestNamesThatMove(t *testing.T) {
	for name, old := range map[string]func(s *session, c wire.Command){
		"gone": nil,
		"hung": func(*session, wire.Command) {},
		"sick": func(s *session, c wire.Command) { s.answer(c, 1, "not ready") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newPipes()
				if old != nil {
					run(t, n.listen("10.0.0.1:9876"), old)
					run(t, n.listen("10.0.0.2:9876"), old)
				}
				moved := ns(t, n, "10.0.0.3:9876")
				names := &dns{}
				names.set("ns.example", "10.0.0.1", "10.0.0.2")
				d := discover(t, n, remoting.Config{NameServers: []string{"ns.example"}, Discovery: remoting.Discovery{Resolver: names}})
				if err := d.send(); err == nil {
					t.Fatal("somebody answered")
				}
				time.Sleep(20 * time.Second)
				names.set("ns.example", "10.0.0.3")
				d.wantSend(2500 * time.Millisecond)
				d.wantServers("10.0.0.3:9876")
				if n := len(moved.requests(wire.GetRouteInfoByTopic)); n != 1 {
					t.Errorf("the new one was asked %d times", n)
				}
			})
		})
	}
}

// DNS that fails or hangs takes no server away. Names are looked up in their interval and no more
// often, as long as somebody answers.
func TestResolverThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		ns(t, n, "10.0.0.1:9876")
		names := &dns{}
		names.set("ns.example", "10.0.0.1")
		d := discover(t, n, remoting.Config{NameServers: []string{"ns.example", "10.0.0.9:9876"}, Discovery: remoting.Discovery{Resolver: names, Interval: time.Minute}})
		synctest.Wait()
		names.hang(true)
		time.Sleep(65 * time.Second)
		d.wantServers("10.0.0.1:9876", "10.0.0.9:9876")
		names.hang(false)
		names.set("ns.example")
		time.Sleep(time.Minute)
		d.wantServers("10.0.0.1:9876", "10.0.0.9:9876")
		d.wantSend(time.Second)
		if got := names.count(); got != 3 {
			t.Errorf("DNS was asked %d times", got)
		}
		// A name that stays in the list stays known.
		if err := d.c.UpdateNameServers("10.0.0.8:9876", "ns.example"); err != nil {
			t.Fatal(err)
		}
		d.wantServers("10.0.0.8:9876", "10.0.0.1:9876")
		if err := d.c.UpdateNameServers("ns.example", "10.0.0.9:9876"); err != nil {
			t.Fatal(err)
		}
		names.set("ns.example", "10.0.0.2")
		time.Sleep(time.Minute)
		d.wantServers("10.0.0.2:9876", "10.0.0.9:9876")
		// A new one is looked up at once.
		time.Sleep(30 * time.Second)
		names.set("new.example", "10.0.0.3")
		if err := d.c.UpdateNameServers("new.example"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		d.wantServers("10.0.0.3:9876")
	})
}

// An endpoint may answer with names. One that cannot be looked up now keeps its addresses, and DNS answers
// in another order are no change.
func TestNamesInAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		names := &dns{}
		names.set("a.example", "10.0.0.1", "10.0.0.2")
		names.set("b.example", "10.0.0.3")
		var list page
		list.set("a.example:9876;b.example:9876;10.0.0.4:9876")
		endpoint(t, n, "conf.example:8080", list.ServeHTTP)
		d := discover(t, n, remoting.Config{Discovery: remoting.Discovery{
			Endpoint: "conf.example", Resolver: names, HTTPClient: overPipes(n), Interval: time.Minute,
		}})
		synctest.Wait()
		d.wantServers("10.0.0.1:9876", "10.0.0.2:9876", "10.0.0.3:9876", "10.0.0.4:9876")
		names.set("a.example", "10.0.0.2", "10.0.0.1")
		names.set("b.example")
		time.Sleep(time.Minute)
		synctest.Wait()
		d.wantServers("10.0.0.1:9876", "10.0.0.2:9876", "10.0.0.3:9876", "10.0.0.4:9876")
		if log := d.log.String(); strings.Count(log, "addrs=") != 1 {
			t.Errorf("the log says %s", log)
		}
		want := "name servers endpoint http://conf.example:8080/rocketmq/nsaddr, asked every 1m"
		if got := core.Describe(d.c).String(); !strings.Contains(got, want) {
			t.Errorf("%q does not say %q", got, want)
		}
	})
}

// The list changes, but for the server that hangs: it is still asked last.
func TestSilentServersStaySilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		hung := run(t, n.listen("10.0.0.1:9876"), func(*session, wire.Command) {})
		ns(t, n, "10.0.0.2:9876")
		d := discover(t, n, remoting.Config{NameServers: []string{"10.0.0.1:9876"}})
		if err := d.send(); err == nil {
			t.Fatal("somebody answered")
		}
		time.Sleep(8 * time.Second) // the look-up goes on for ten
		before := len(hung.requests(wire.GetRouteInfoByTopic))
		if err := d.c.UpdateNameServers("10.0.0.1:9876", "10.0.0.2:9876"); err != nil {
			t.Fatal(err)
		}
		d.wantSend(0)
		if n := len(hung.requests(wire.GetRouteInfoByTopic)) - before; n != 0 {
			t.Errorf("the hung server was asked %d times", n)
		}
	})
}

// All servers refuse connections: the sources are asked once more, not before a second after the last
// time, and then the look-up is over.
func TestLookUpsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := &dns{}
		names.set("ns.example", "10.0.0.1", "10.0.0.2")
		d := discover(t, newPipes(), remoting.Config{NameServers: []string{"ns.example"}, Discovery: remoting.Discovery{Resolver: names}})
		for i, want := range []time.Duration{time.Second, time.Second, 0} {
			if i == 2 {
				time.Sleep(10 * time.Second)
			}
			start := time.Now()
			var failed *remoting.NameServerError
			if _, err := d.c.Route(timed(t, 3*time.Second), "T"); !errors.As(err, &failed) || failed.None || len(failed.Errs) != 2 || errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("got %v", err)
			}
			if took := time.Since(start); took != want {
				t.Errorf("look-up %d took %v, want %v", i, took, want)
			}
			if got := names.count(); got != i+2 {
				t.Errorf("DNS was asked %d times", got)
			}
		}
	})
}

// A name that does not exist yet: a send waits for it, and DNS is asked once a second.
func TestNameThatComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		ns(t, n, "10.0.0.1:9876")
		names := &dns{}
		d := discover(t, n, remoting.Config{NameServers: []string{"ns.example"}, Discovery: remoting.Discovery{Resolver: names}})
		time.Sleep(time.Minute)
		if got := names.count(); got < 55 || got > 61 {
			t.Errorf("DNS was asked %d times in a minute", got)
		}
		time.AfterFunc(1500*time.Millisecond, func() { names.set("ns.example", "10.0.0.1") })
		d.wantSend(2500 * time.Millisecond)
		// Without a deadline a look-up ends all the same.
		if err := d.c.UpdateNameServers("other.example"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		d.wantServers("10.0.0.1:9876") // until the new one is known
	})
	synctest.Test(t, func(t *testing.T) {
		d := discover(t, newPipes(), remoting.Config{NameServers: []string{"ns.example"}, Discovery: remoting.Discovery{Resolver: &dns{}}})
		start := time.Now()
		if _, err := d.c.Route(bg, "T"); core.ClassOf(err) != core.ClassNetwork || time.Since(start) != 4*time.Second || strings.Count(err.Error(), "ns.example:9876: ") != 1 {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		// Shutdown ends what waits.
		time.AfterFunc(time.Second, func() { _ = d.c.Shutdown(bg) })
		if _, err := d.c.Route(bg, "T"); !errors.Is(err, core.ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
}

func TestSRV(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const name = "_rocketmq._tcp.example.com"
		n := newPipes()
		ns(t, n, "10.0.0.2:9877")
		names := &dns{}
		d := discover(t, n, remoting.Config{Discovery: remoting.Discovery{SRV: []string{name}, Resolver: names, Interval: time.Minute}})
		err := d.send()
		wantFailure(t, err, core.ClassNetwork, core.NotSent)
		if !strings.Contains(err.Error(), "SRV "+name) || !strings.Contains(err.Error(), "no such host") {
			t.Error(err)
		}
		names.set("a.example", "10.0.0.1", "10.0.0.2")
		names.setSRV(name, &net.SRV{Target: "a.example.", Port: 9877}, &net.SRV{Target: "10.0.0.3", Port: 9876}, nil)
		for range 3 {
			d.wantSend(time.Second)
		}
		d.wantServers("10.0.0.3:9876", "10.0.0.1:9877", "10.0.0.2:9877")
		for says, records := range map[string][]*net.SRV{
			"no such service": {{Target: ".", Port: 0}},
			"port":            {{Target: "a.example.", Port: 0}},
			"host":            {{Target: "a\x1b[2J.example.", Port: 1}},
			"no name server":  {},
		} {
			names.setSRV(name, &net.SRV{Target: "10.0.0.3", Port: 9876})
			time.Sleep(time.Minute)
			synctest.Wait()
			names.setSRV(name, records...)
			time.Sleep(time.Minute)
			synctest.Wait()
			d.wantServers("10.0.0.3:9876")
			if log := d.log.String(); !strings.Contains(log, says) {
				t.Errorf("%q is missing in %s", says, log)
			}
			showable(t, "the log", d.log.String())
		}
	})
}
