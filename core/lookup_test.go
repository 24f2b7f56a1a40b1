package core_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// A look-up used to end after 3 s whatever the time of its calls, and an answer that came
// later was lost, each time.
func TestALookUpTakesWhatItsCallsHave(t *testing.T) {
	for _, tt := range []struct {
		name    string
		took    time.Duration // what the name server needs
		timeout time.Duration // RouteTimeout
		send    time.Duration // the call's
		want    error
		after   time.Duration
		next    time.Duration // what a second call takes, -1 for a failure
	}{
		{"slow, the call has time", 15 * time.Second, 0, 20 * time.Second, nil, 15 * time.Second, 0},
		{"slower than the call", 5 * time.Second, 0, 3 * time.Second, core.ErrTimeout, 3 * time.Second, 2 * time.Second},
		{"beyond all", time.Hour, 0, 3 * time.Second, core.ErrTimeout, 3 * time.Second, -1},
		{"with a limit", 5 * time.Second, 2 * time.Second, 20 * time.Second, core.ErrTimeout, 2 * time.Second, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &source{took: tt.took, give: func(int) (*core.Route, error) { return routeTo("broker-a"), nil }}
				cfg := coretest.Config(&coretest.Transport{})
				cfg.Routes, cfg.RouteTimeout = src, tt.timeout
				p := coretest.Start(t, cfg)
				start := time.Now()
				_, err := p.Send(t.Context(), coretest.Message("x"), core.SendTimeout(tt.send))
				if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) || time.Since(start) != tt.after {
					t.Errorf("after %v: %v, want %v after %v", time.Since(start), err, tt.want, tt.after)
				}
				start = time.Now()
				_, err = p.Send(t.Context(), coretest.Message("x"))
				if tt.next < 0 {
					if err == nil {
						t.Error("sent")
					}
					return
				}
				if err != nil || time.Since(start) != tt.next || src.count() != 1 {
					t.Errorf("the next call: %v after %v, %d look-ups", err, time.Since(start), src.count())
				}
			})
		})
	}
}

// The error of a look-up whose time is over says how long that was. A source's own error stays
// as it is, its own time-out and one that it gives at the end of the time too.
func TestErrorsOfALookUp(t *testing.T) {
	own := errors.New("the name server said no")
	for name, tt := range map[string]struct {
		route func(ctx context.Context) error
		is    error
		limit bool
	}{
		"time is over": {func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }, core.ErrTimeout, true},
		"own time-out": {func(context.Context) error { return core.ErrTimeout }, core.ErrTimeout, false},
		"late answer":  {func(ctx context.Context) error { <-ctx.Done(); return own }, own, false},
		"own error":    {func(context.Context) error { return own }, own, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := coretest.Config(&coretest.Transport{})
				cfg.RouteTimeout = 2 * time.Second
				cfg.Routes = coretest.RouteFunc(func(ctx context.Context, _ string) (*core.Route, error) { return nil, tt.route(ctx) })
				_, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x"))
				if !errors.Is(err, tt.is) || strings.Contains(err.Error(), "after 2s") != tt.limit {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

// A call whose time ends before the look-up says what the look-up has met so far.
func TestLookUpProgressIsInTheError(t *testing.T) {
	for _, tt := range []struct {
		met   error
		class core.Class
	}{{errors.New("?"), core.ClassTimeout}, {&core.BrokerError{Class: core.ClassNetwork}, core.ClassNetwork}} {
		testLookUpProgress(t, tt.met, tt.class)
	}
}

// The name server hangs when a broker says that the route is outdated. The call goes on with
// the old route after a second, instead of waiting until its time is over.
func TestARefreshIsNotWaitedForForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{give: func(n int) (*core.Route, error) { return routeTo("broker-a", "broker-b"), nil }}
		tr := &coretest.Transport{}
		failOn(tr, "broker-a", code(rocketmq.CodeNotLeaderForQueue, ""))
		cfg := coretest.Config(tr)
		cfg.Routes, cfg.Retry = src, coretest.Retry(2)
		p := coretest.Start(t, cfg)
		m := coretest.Message("x")
		m.Queue = &core.Queue{Broker: "broker-b"}
		if _, err := p.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		src.mu.Lock()
		src.took = time.Hour
		src.mu.Unlock()
		start := time.Now()
		res, err := p.Send(t.Context(), coretest.Message("x"))
		if err != nil || res.Queue.Broker != "broker-b" || time.Since(start) != time.Second {
			t.Errorf("%v after %v: %v", res.Queue, time.Since(start), err)
		}
		start = time.Now()
		_, err = p.Send(t.Context(), coretest.Message("x"), core.SendTimeout(300*time.Millisecond))
		if !errors.Is(err, core.ErrTimeout) || time.Since(start) != 300*time.Millisecond {
			t.Errorf("a shorter call: after %v: %v", time.Since(start), err)
		}
	})
}
