package remoting_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
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

func ExampleNewClient() {
	client, err := remoting.NewClient(remoting.Config{NameServers: []string{"ns1.example:9876;ns2.example:9876"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	// A client does nothing before Start.
	_, err = client.Route(context.Background(), "orders")
	fmt.Println(errors.Is(err, core.ErrNotRunning))
	_, err = remoting.NewClient(remoting.Config{})
	fmt.Println(err)
	// Output:
	// true
	// remoting client: no name server is given
}

func TestLifecycle(t *testing.T) {
	b := broker(t, nil)
	c, err := remoting.NewClient(remoting.Config{NameServers: []string{b.addr()}})
	if err != nil {
		t.Fatal(err)
	}
	p := producer(t, c, b.addr())
	_, err = p.Send(bg, coretest.Message("x"))
	wantFailure(t, err, core.ClassClosed, core.NotSent)
	for name, err := range map[string]error{
		"send": err, "route": func() error { _, err := c.Route(bg, "T"); return err }(), "register": c.RegisterGroup(bg, core.Registration{Group: "g"}),
	} {
		if !errors.Is(err, core.ErrNotRunning) {
			t.Errorf("%s before start: %v", name, err)
		}
	}
	if err := c.Start(bg); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(bg); err == nil {
		t.Error("started twice")
	}
	if _, err := p.Send(bg, coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.Shutdown(bg); err != nil {
			t.Fatal(err)
		}
	}
	_, err = p.Send(bg, coretest.Message("x"))
	wantFailure(t, err, core.ClassClosed, core.NotSent)
	for name, err := range map[string]error{
		"send": err, "route": func() error { _, err := c.Route(bg, "T"); return err }(),
		"register": c.RegisterGroup(bg, core.Registration{Group: "g"}), "start": c.Start(bg),
	} {
		if !errors.Is(err, core.ErrClosed) {
			t.Errorf("%s after shutdown: %v", name, err)
		}
	}
	if err := c.UnregisterGroup(bg, "g"); err != nil {
		t.Errorf("unregister after shutdown: %v", err)
	}

	c, err = remoting.NewClient(remoting.Config{NameServers: []string{b.addr()}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Shutdown(bg); err != nil {
		t.Error(err)
	}
	if err := c.Start(bg); !errors.Is(err, core.ErrClosed) {
		t.Errorf("start after shutdown: %v", err)
	}
}

func TestClientID(t *testing.T) {
	form := regexp.MustCompile(`^[0-9a-f.:]+@` + strconv.Itoa(os.Getpid()) + `#[0-9a-f]{16}$`)
	a, b := client(t, remoting.Config{}), client(t, remoting.Config{})
	if !form.MatchString(a.ClientID()) || a.ClientID() == b.ClientID() {
		t.Errorf("ids %q, %q", a.ClientID(), b.ClientID())
	}
	if id := client(t, remoting.Config{ClientID: "mine"}).ClientID(); id != "mine" {
		t.Errorf("id %q", id)
	}
}

// Row 28: the client goes with calls in flight at a hung broker, during a dial
// and during a look-up: each fails at once, once, with the truth.
func TestShutdownInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		hung := func(addr string) *fake { return run(t, n.listen(addr), func(*session, wire.Command) {}) }
		hung("b:1")
		hung("ns:9876")
		n.listen("backlog:1") // accepts nobody
		c := client(t, remoting.Config{NameServers: []string{"ns:9876"}, Dial: n.dial, NameServerTimeout: minute})
		p, q := producer(t, c, "b:1"), producer(t, c, "backlog:1")
		var ended atomic.Int32
		want := map[core.Certainty]int32{}
		got := make(chan error, 300)
		for range 100 {
			p.SendAsync(bg, coretest.Message("x"), func(_ core.Result, err error) { ended.Add(1); got <- err }, core.SendTimeout(minute))
			q.SendAsync(bg, coretest.Message("x"), func(_ core.Result, err error) { ended.Add(1); got <- err }, core.SendTimeout(minute))
		}
		route := make(chan error, 1)
		go func() {
			_, err := c.Route(bg, "T")
			route <- err
		}()
		synctest.Wait()
		start := time.Now()
		if err := c.Shutdown(bg); err != nil {
			t.Fatal(err)
		}
		for range 200 {
			se := failure(t, <-got)
			want[se.Certainty]++
			if !errors.Is(se, core.ErrClosed) || se.Class != core.ClassClosed {
				t.Fatalf("got %v", se)
			}
		}
		if err := <-route; !errors.Is(err, core.ErrClosed) {
			t.Errorf("route: %v", err)
		}
		if want[core.MaybeStored] != 100 || want[core.NotSent] != 100 || time.Since(start) != 0 {
			t.Errorf("got %v after %v", want, time.Since(start))
		}
		synctest.Wait()
		if ended.Load() != 200 {
			t.Errorf("%d calls ended", ended.Load())
		}
	})
}

// Row 28: the producer goes first, with its own time; what was aborted says so.
func TestProducerShutdownAborts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		b := run(t, n.listen("b:1"), func(*session, wire.Command) {})
		c := client(t, remoting.Config{Dial: n.dial})
		cfg := coretest.Config(unregistered{c})
		cfg.Routes = fixed(t, 1, b.addr())
		p, err := core.NewProducer(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(bg); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 10)
		for range 10 {
			p.SendAsync(bg, coretest.Message("x"), func(_ core.Result, err error) { done <- err }, core.SendTimeout(minute))
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		start := time.Now()
		var se *core.ShutdownError
		if err := p.Shutdown(ctx); !errors.As(err, &se) || se.Undelivered != 10 || time.Since(start) != time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		for range 10 {
			err := <-done
			wantFailure(t, err, core.ClassClosed, core.MaybeStored)
			if !errors.Is(err, core.ErrAborted) {
				t.Errorf("got %v", err)
			}
		}
	})
}

// Row 29: a context that has ended before anything began.
func TestContextEndedBefore(t *testing.T) {
	b := broker(t, nil)
	c := client(t, remoting.Config{NameServers: []string{b.addr()}})
	ctx, cancel := context.WithCancel(bg)
	cancel()
	_, err := producer(t, c, b.addr()).Send(ctx, coretest.Message("x"))
	wantFailure(t, err, core.ClassCanceled, core.NotSent)
	if _, err := c.Route(ctx, "T"); !errors.Is(err, context.Canceled) {
		t.Errorf("route: %v", err)
	}
	if s := c.Stats(); s.Dials+s.DialFailures != 0 {
		t.Errorf("stats %+v", s)
	}
}

// Shutdown is bounded by its context even where a user's dial does not obey its own.
func TestShutdownBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		n := newPipes()
		c, err := remoting.NewClient(remoting.Config{NameServers: []string{"ns"}, Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			<-release
			return n.dial(ctx, network, addr)
		}})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(bg); err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = c.Route(bg, "T") }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		if err := c.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "shutdown") {
			t.Errorf("got %v", err)
		}
		close(release)
		if err := c.Shutdown(bg); err != nil {
			t.Error(err)
		}
	})
}
