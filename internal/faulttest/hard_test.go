package faulttest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// roles are the functions of a user around a default producer, from the log down to the dial.
var roles = []string{
	"log", "breaker's log", "breaker's state", "dial", "translator", "allow", "sign",
	"step", "attempt step", "state listener", "call listener", "attempt listener", "route listener", "drain", "service", "done",
}

// stuckCode is such code. Each role blocks when it is told to, until it is released.
type stuckCode struct {
	release chan struct{}
	mu      sync.Mutex
	stuck   map[string]bool
	was     map[string]int
}

func newStuckCode() *stuckCode {
	return &stuckCode{release: make(chan struct{}), stuck: map[string]bool{}, was: map[string]int{}}
}

func (c *stuckCode) act(role string) {
	c.mu.Lock()
	stuck := c.stuck[role]
	if stuck {
		c.was[role]++
	}
	c.mu.Unlock()
	if stuck {
		<-c.release
	}
}

func (c *stuckCode) stick(names ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range names {
		c.stuck[n] = true
	}
}

// stuckLog is a log handler in a role.
type stuckLog struct {
	c    *stuckCode
	role string
}

func (stuckLog) Enabled(context.Context, slog.Level) bool       { return true }
func (l stuckLog) WithAttrs([]slog.Attr) slog.Handler           { return l }
func (l stuckLog) WithGroup(string) slog.Handler                { return l }
func (l stuckLog) Handle(context.Context, slog.Record) error    { l.c.act(l.role); return nil }
func (c *stuckCode) log(role string) *slog.Logger               { return slog.New(stuckLog{c, role}) }
func (c *stuckCode) StateChanged(*core.StateReport)             { c.act("state listener") }
func (c *stuckCode) CallDone(context.Context, *core.CallReport) { c.act("call listener") }
func (c *stuckCode) AttemptDone(context.Context, *core.AttemptReport) {
	c.act("attempt listener")
}
func (c *stuckCode) RouteChanged(*core.RouteReport) { c.act("route listener") }
func (c *stuckCode) Drain()                         { c.act("drain") }
func (c *stuckCode) Start(context.Context) error    { return nil }
func (c *stuckCode) Shutdown(context.Context) error { c.act("service"); return nil }

func (c *stuckCode) Intercept(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
	c.act("step")
	return next(ctx, call)
}

func (c *stuckCode) InterceptAttempt(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
	c.act("attempt step")
	return next(ctx, at)
}

func (c *stuckCode) Sign(remoting.SignRequest) (wire.Fields, error) {
	c.act("sign")
	return nil, nil
}

// Whatever code of the user blocks anywhere in a producer and its client, Shutdown returns with
// its context, or 50 ms later. When the code goes on, every callback has run once, and no
// goroutine is left.
func TestShutdownWhileUserCodeBlocks(t *testing.T) {
	for _, role := range append(slices.Clone(roles), "all") {
		for _, patience := range []time.Duration{0, 300 * time.Millisecond, 2 * time.Second} {
			sub(t, fmt.Sprintf("%s, %v", role, patience), func(t *testing.T) {
				const sends = 50
				w := newWorld(t, 2)
				c := newStuckCode()
				b, err := breaker.New(breaker.Config{
					Logger: c.log("breaker's log"), OnStateChange: func(core.Broker, breaker.State, breaker.State) { c.act("breaker's state") },
				})
				if err != nil {
					t.Fatal(err)
				}
				cfg := liftoff.Config{Timeout: time.Minute, NameServers: w.NameServers(), Group: "hard", Logger: c.log("log")}
				cfg.Client = remoting.Config{
					Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
						c.act("dial")
						return w.Dial(ctx, network, addr)
					},
					MapAddr:     func(addr string) string { c.act("translator"); return addr },
					AllowBroker: func(string) bool { c.act("allow"); return true },
					Signer:      c,
				}
				p, err := liftoff.New(cfg, liftoff.WithBreaker(b),
					liftoff.WithSteps(core.CallStep("code", core.StageGuard, c).WithAttempt(core.AttemptGuard, c)))
				if err != nil {
					t.Fatal(err)
				}
				if err := p.Start(bg); err != nil {
					t.Fatal(err)
				}
				if role == "all" {
					c.stick(roles...)
				} else {
					c.stick(role)
				}
				var ended atomic.Int64
				for i := range sends {
					p.SendAsync(bg, msg(fmt.Sprint(i)), func(core.Result, error) {
						ended.Add(1)
						c.act("done")
					})
				}
				time.Sleep(50 * time.Millisecond)
				w.Broker("broker-a").Stop() // its connection ends, which is logged, and its breaker opens
				for i := range sends {
					p.SendAsync(bg, msg(fmt.Sprint(i)), func(core.Result, error) {
						ended.Add(1)
						c.act("done")
					})
				}
				time.Sleep(50 * time.Millisecond)
				ctx, cancel := context.WithTimeout(bg, patience)
				defer cancel()
				d := took(func() { err = p.Shutdown(ctx) })
				wantAtMost(t, "shutdown", d, patience+50*time.Millisecond)
				var left *core.ShutdownError
				if err != nil && !errors.As(err, &left) && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
				close(c.release)
				synctest.Wait()
				time.Sleep(time.Minute)
				want(t, "callbacks", ended.Load(), 2*sends)
				want(t, "sends in flight", p.Snapshot().InFlight.Sends, 0)
			})
		}
	}
}
