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
)

// attacher is a step that knows its producers.
type attacher struct {
	core.InterceptorFunc
	to   []*core.Producer
	err  error
	none bool // its handler is nil
}

func (a *attacher) Attach(p *core.Producer) (map[core.ServerRequestKind]core.ServerRequestHandler, error) {
	if a.err == errPanics {
		panic("oh no")
	}
	a.to = append(a.to, p)
	if a.none {
		return handlers{core.RequestReply: core.ServerRequestHandlerFunc(nil)}, nil
	}
	return handlers{core.RequestReply: core.ServerRequestHandlerFunc(func(context.Context, *core.ServerRequest) {})}, a.err
}

var errPanics = errors.New("panics")

func attach(name string, a *attacher) core.Step {
	a.InterceptorFunc = pass
	return core.CallStep(name, core.StageShape, a)
}

// A step learns of its producer once, and its handlers are the producer's. What it says against
// that is an error of the construction, and so is a second handler of one kind.
func TestAttach(t *testing.T) {
	one := &attacher{}
	m := &mailman{}
	cfg := coretest.Config(m, attach("one", one).WithAttempt(core.AttemptGuard, nopAttempt{}))
	p := coretest.Start(t, cfg)
	if len(one.to) != 1 || one.to[0] != p || len(m.inbox.Kinds()) != 1 {
		t.Errorf("attached to %v, handlers %v", one.to, m.inbox.Kinds())
	}
	for name, tt := range map[string]struct {
		two  *attacher
		want string
	}{
		"two handlers": {&attacher{}, "step two handles reply requests of servers, which step one does already"},
		"an error":     {&attacher{err: errors.New("not mine")}, "step two: not mine"},
		"a panic":      {&attacher{err: errPanics}, "oh no"},
		"no handler":   {&attacher{none: true}, "step two: its handler of reply requests is nil"},
	} {
		_, err := core.NewProducer(coretest.Config(&mailman{}, attach("one", &attacher{}), attach("two", tt.two)))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	late := &core.PolicyTable{Default: &core.Policy{Name: "late", Steps: []core.Step{attach("late", &attacher{})}}}
	if err := p.SetPolicies(t.Context(), late); err == nil || !strings.Contains(err.Error(), "has to be among the steps that the producer is made with") {
		t.Errorf("later: %v", err)
	}
}

type nopAttempt struct{}

func (nopAttempt) InterceptAttempt(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
	return next(ctx, at)
}

// crier is a transport that makes itself known.
type crier struct {
	coretest.Transport
	route  *core.Route
	err    error
	silent bool // its Announce waits until ctx ends
}

func (c *crier) Announce(ctx context.Context, route *core.Route) error {
	if c.silent {
		<-ctx.Done()
		return core.ContextError(ctx)
	}
	c.route = route
	return c.err
}

// Shutdown aborts an announcement and a look-up that wait, and counts neither as a send.
func TestAnnounceIsAborted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := coretest.Config(&crier{silent: true})
		known := cfg.Routes
		cfg.Routes = coretest.RouteFunc(func(ctx context.Context, topic string) (*core.Route, error) {
			if topic == "slow" {
				<-ctx.Done()
				return nil, core.ContextError(ctx)
			}
			return known.Route(ctx, topic)
		})
		p, err := core.NewProducer(cfg)
		if err == nil {
			err = p.Start(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		errs := make(chan error, 2)
		go func() { errs <- p.Announce(t.Context(), "T") }()
		go func() {
			_, err := p.Route(t.Context(), "slow")
			errs <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		for range 2 {
			if err := <-errs; !errors.Is(err, core.ErrAborted) {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestAnnounce(t *testing.T) {
	c := &crier{err: errors.New("nobody listens")}
	p := coretest.Start(t, coretest.Config(c))
	route, err := p.Route(t.Context(), "T")
	if err != nil || route.Len() != 4 {
		t.Fatalf("%v, %v", route, err)
	}
	if err := p.Announce(t.Context(), "T"); !errors.Is(err, c.err) || c.route != route {
		t.Errorf("%v, %v", c.route, err)
	}
	if err := coretest.Start(t, coretest.Config(&coretest.Transport{})).Announce(t.Context(), "T"); err != nil {
		t.Errorf("a transport that has nothing to say: %v", err)
	}
	stopped, err := core.NewProducer(coretest.Config(c))
	if err != nil {
		t.Fatal(err)
	}
	if err := stopped.Announce(t.Context(), "T"); !errors.Is(err, core.ErrNotRunning) {
		t.Errorf("%v", err)
	}
	if _, err := stopped.Route(t.Context(), "T"); !errors.Is(err, core.ErrNotRunning) {
		t.Errorf("%v", err)
	}
	cfg := coretest.Config(c)
	cfg.Routes = coretest.RouteFunc(func(ctx context.Context, _ string) (*core.Route, error) {
		<-ctx.Done()
		return nil, core.ContextError(ctx)
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := coretest.Start(t, cfg).Announce(ctx, "T"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// A companion in its producer's own group would be refused at the start.
func TestCompanionGroup(t *testing.T) {
	p, err := core.NewProducer(coretest.Config(&coretest.Transport{}))
	if err != nil {
		t.Fatal(err)
	}
	own := core.Config{Group: p.Group(), Selector: coretest.InOrder(), Retry: coretest.NoRetry()}
	if _, err := p.Companion(own); err == nil || !strings.Contains(err.Error(), `"test"`) {
		t.Errorf("got %v", err)
	}
}
